package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

// session is what a transport has above it.
type session struct {
	t        *testing.T
	tr       Transport
	slab     *block.Slab
	w        actor.World
	accepted chan Accepted
	dialed   chan Dialed
	addr     netip.AddrPort
}

func newSession(t *testing.T, env Env) *session {
	s := &session{t: t, w: newWorld(t), slab: block.NewSlab(64 * block.Size), dialed: make(chan Dialed, 16)}
	env.Slab = s.slab
	s.tr = NewTCP(env, NewNet(NetConfig{}))
	t.Cleanup(s.tr.Close)
	return s
}

func (s *session) listen(addr netip.AddrPort) Listening {
	s.t.Helper()
	a, accepted := listenTo[Accepted](s.t, s.w, 16)
	s.accepted = accepted
	answer := make(chan Listening, 2)
	s.tr.Listen(addr, a.Inlet, actor.FuncRef(func(l Listening) { answer <- l }))
	l := wait(s.t, "Listening", answer)
	s.addr = l.Addr
	return l
}

func (s *session) dial(addr netip.AddrPort, o Origin) Dialed {
	s.t.Helper()
	s.tr.Dial(Dial{Addr: addr, Origin: o, Reply: actor.FuncRef(func(d Dialed) { s.dialed <- d })})
	d := wait(s.t, "Dialed", s.dialed)
	if d.Addr != addr || (d.Link == nil) == (d.Err == nil) {
		s.t.Errorf("dialed %+v", d)
	}
	return d
}

func wait[M any](t *testing.T, what string, c chan M) M {
	t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(patience):
		t.Fatalf("no %s came", what)
		panic("not reached")
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		l.Close()
	}
	return err == nil
}

func TestListenAndDial(t *testing.T) {
	s := newSession(t, Env{})
	if l := s.listen(netip.AddrPort{}); l.Err != nil || l.Addr.Port() == 0 || !l.Addr.Addr().IsUnspecified() {
		t.Fatalf("listening: %+v", l)
	}
	addrs := []string{"127.0.0.1"}
	if hasIPv6() {
		addrs = append(addrs, "::1") // the same port
	}
	for _, ip := range addrs {
		to := netip.AddrPortFrom(netip.MustParseAddr(ip), s.addr.Port())
		d := s.dial(to, FromUser)
		if d.Err != nil {
			t.Fatal(d.Err)
		}
		if i := d.Link.Info(); i.Transport != "tcp" || i.Remote != to || i.Incoming || !i.Local.IsValid() || i.Encrypted {
			t.Errorf("dialed: %+v", i)
		}
		x := bind(t, s.w, s.slab, d.Link)
		x.link.Allow(Unlimited)
		b := NewBatch()
		b.Handshake = &hello
		b.Add(wire.Message{ID: wire.Unchoke})
		x.link.Send(b)
		a := wait(t, "Accepted", s.accepted)
		if i := a.Link.Info(); a.Handshake != hello || !i.Incoming || i.Remote != d.Link.Info().Local {
			t.Errorf("accepted %+v, %+v", a.Handshake, i)
		}
		y := bind(t, s.w, s.slab, a.Link)
		y.link.Allow(Unlimited)
		y.want("unchoke")
		y.link.Close(nil)
		y.wantClosed("")
		x.wantClosed("closed without a handshake")
	}
}

func TestListenErrors(t *testing.T) {
	s := newSession(t, Env{})
	first := s.listen(loopback(0))
	if first.Err != nil || first.Addr.Addr() != loopback(0).Addr() {
		t.Fatalf("listening at one address: %+v", first)
	}
	if l := newSession(t, Env{}).listen(first.Addr); !errors.Is(l.Err, syscall.EADDRINUSE) {
		t.Errorf("a port in use gives %v", l.Err)
	}
	// Of both families one is in use.
	if l := newSession(t, Env{}).listen(netip.AddrPortFrom(netip.IPv6Unspecified(), first.Addr.Port())); l.Err == nil {
		t.Errorf("a port in use gives %+v", l)
	}
	if l := s.listen(netip.MustParseAddrPort("8.8.8.8:0")); !errors.Is(l.Err, ErrNotOurs) {
		t.Errorf("not our address: %v", l.Err)
	}
	s.tr.Close()
	if l := s.listen(loopback(0)); l.Err == nil {
		t.Error("listening after Close")
	}
}

func TestDialErrors(t *testing.T) {
	s := newSession(t, Env{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := addrPortOf(l.Addr())
	l.Close()
	if d := s.dial(dead, FromUser); !errors.Is(d.Err, syscall.ECONNREFUSED) || !strings.Contains(d.Err.Error(), dead.String()) {
		t.Errorf("nobody there: %v", d.Err)
	}
	var refused *PolicyError
	if d := s.dial(dead, FromPeer); !errors.As(d.Err, &refused) {
		t.Errorf("against the policy: %v", d.Err)
	}
	s.tr.Close()
	if d := s.dial(dead, FromUser); !errors.Is(d.Err, ErrClosed) {
		t.Errorf("after Close: %v", d.Err)
	}
}

// A dial ends with its time, or with the transport; it has one answer in any case.
func TestDialEnds(t *testing.T) {
	s := newSession(t, Env{})
	s.listen(loopback(0))
	s.tr.Dial(Dial{Addr: s.addr, Timeout: time.Nanosecond, Reply: actor.FuncRef(func(d Dialed) { s.dialed <- d })})
	d := wait(t, "Dialed", s.dialed)
	var slow net.Error
	if !errors.As(d.Err, &slow) || !slow.Timeout() {
		t.Errorf("out of time: %v", d.Err)
	}
	const dials = 8
	for range dials {
		s.tr.Dial(Dial{Addr: s.addr, Reply: actor.FuncRef(func(d Dialed) { s.dialed <- d })})
	}
	s.tr.Close()
	for range dials {
		if d := wait(t, "Dialed", s.dialed); d.Err != nil && !errors.Is(d.Err, ErrClosed) && !errors.Is(d.Err, syscall.ECONNREFUSED) {
			t.Errorf("while closing: %v", d.Err)
		} else {
			d.Drop()
		}
	}
}

func TestUndeliveredLinksAreClosed(t *testing.T) {
	s := newSession(t, Env{})
	s.listen(loopback(0))
	d := s.dial(s.addr, FromUser)
	raw, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	d.Drop()
	if !d.Link.(*conn).closed() {
		t.Error("a Dialed that is dropped closes its link")
	}
	rawSend(raw, helloBytes())
	a := wait(t, "Accepted", s.accepted)
	a.Drop()
	if _, err := io.ReadAll(raw); err != nil {
		t.Errorf("an Accepted that is dropped closes its connection, got %v", err)
	}
}

func TestGreet(t *testing.T) {
	for name, c := range map[string]struct {
		write  func(net.Conn)
		err    string
		passed time.Duration
	}{
		"at once":        {func(c net.Conn) { rawSend(c, append(helloBytes(), "more"...)) }, "", 0},
		"silence":        {func(c net.Conn) {}, "no handshake: ", 10 * time.Second},
		"other protocol": {func(c net.Conn) { rawSend(c, []byte("\x16\x03\x01")) }, "not a BitTorrent handshake", 0},
		"wrong late":     {func(c net.Conn) { rawSend(c, []byte("\x13BitTorrent protocoX")) }, "not a BitTorrent handshake", 0},
		"closed":         {func(c net.Conn) { rawSend(c, helloBytes()[:30]); c.Close() }, "no handshake: EOF", 0},
		"a byte a second": {func(c net.Conn) {
			for _, b := range helloBytes() {
				if rawSend(c, []byte{b}) {
					time.Sleep(time.Second)
				}
			}
		}, "no handshake: ", 10 * time.Second},
		"just in time": {func(c net.Conn) {
			for _, b := range helloBytes() {
				if rawSend(c, []byte{b}) {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}, "", 6700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				var writer sync.WaitGroup
				defer writer.Wait()
				writer.Go(func() { c.write(b) })
				began := time.Now()
				got, err := Greet(a, Info{}, Env{Slab: block.NewSlab(1)})
				if passed := time.Since(began); passed != c.passed {
					t.Errorf("took %v, want %v", passed, c.passed)
				}
				switch {
				case c.err == "" && (err != nil || got.Handshake != hello || !got.Link.Info().Incoming):
					t.Errorf("got %+v, %v", got, err)
				case c.err == "":
					got.Drop()
				case err == nil || !strings.Contains(err.Error(), c.err):
					t.Errorf("got %v, want %q", err, c.err)
				}
				_, _ = io.Copy(io.Discard, b) // it has been closed
			})
		})
	}
}

// When too many say nothing, the oldest makes room: who shakes hands at once gets in.
func TestSilentOnesMakeRoom(t *testing.T) {
	s := newSession(t, Env{MaxHalfOpen: 2})
	s.listen(loopback(0))
	porch := s.tr.(*tcp).porch
	var silent []net.Conn
	for i := range 3 {
		c, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
		eventually(t, "it is on the porch", func() bool {
			porch.mu.Lock()
			defer porch.mu.Unlock()
			last := porch.silent.Back()
			return last != nil && last.Value.(*seat).c.RemoteAddr().String() == c.LocalAddr().String() && porch.n == min(i+1, 2)
		})
	}
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the oldest must have been closed")
	}
	honest, err := net.Dial("tcp", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	rawSend(honest, helloBytes())
	a := wait(t, "Accepted", s.accepted)
	a.Drop()
	if _, err := silent[1].Read(make([]byte, 1)); err == nil {
		t.Error("the next must have been closed")
	}
	s.tr.Close()
	if _, err := silent[2].Read(make([]byte, 1)); err == nil {
		t.Error("Close turns out who is silent")
	}
	eventually(t, "the porch is empty", func() bool { porch.mu.Lock(); defer porch.mu.Unlock(); return porch.n == 0 })
}

// When the session does not take connections, they wait on the porch and no others
// are let in.
func TestFullPorch(t *testing.T) {
	p := Porch{max: 1}
	a, b := net.Pipe()
	s := p.enter(a)
	p.greeted(s)
	if p.enter(b) != nil {
		t.Error("who has shaken hands is not turned out")
	}
	p.leave(s)
	if s = p.enter(b); s == nil {
		t.Fatal("there is room now")
	}
	p.Close()
	if p.leave(s); p.n != 0 || p.enter(a) != nil {
		t.Error("a closed porch is empty and lets nobody in")
	}
}

// failing is a listener that lacks descriptors for a while.
type failing struct {
	net.Listener
	calls atomic.Int32
	conn  net.Conn
	end   chan struct{}
}

func (f *failing) Accept() (net.Conn, error) {
	switch n := f.calls.Add(1); {
	case n <= 5:
		return nil, syscall.EMFILE
	case n == 6:
		return f.conn, nil
	}
	<-f.end
	return nil, net.ErrClosed
}

func TestAcceptSurvivesWantOfDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		in, accepted := listenTo[Accepted](t, w, 1)
		tr := NewTCP(Env{Slab: block.NewSlab(1)}, NewNet(NetConfig{})).(*tcp)
		a, b := net.Pipe()
		f := &failing{conn: a, end: make(chan struct{})}
		began := time.Now()
		done := make(chan struct{})
		go func() { tr.accept(f, in.Inlet); close(done) }()
		rawSend(b, helloBytes())
		got := <-accepted
		if waited := time.Since(began); waited != (5+10+20+40+80)*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		got.Drop()
		close(f.end)
		<-done
		tr.Close()
	})
}

func TestNetListens(t *testing.T) {
	n := NewNet(NetConfig{})
	p, err := n.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := n.DialContext(t.Context(), "udp4", p.LocalAddr().String(), FromUser)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rawSend(c, []byte("ping"))
	buf := make([]byte, 16)
	if k, _, err := p.ReadFrom(buf); err != nil || !bytes.Equal(buf[:k], []byte("ping")) {
		t.Errorf("got %q, %v", buf[:k], err)
	}
	if _, err := n.Dialer(FromPeer)(t.Context(), "udp4", p.LocalAddr().String()); err == nil {
		t.Error("UDP passes the policy as well")
	}
}
