package utpanacrolix

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// pair is two nodes of one world, of which the second listens.
func pair(t testing.TB, env transport.Env) (x, y *node) {
	w := newWorld(t)
	return newNode(t, w, Make, env), newNode(t, w, Make, env).listen("127.0.0.1:0")
}

// stranger is a bare UDP socket.
func stranger(t testing.TB) *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func TestDialToSilenceTimesOut(t *testing.T) {
	x, _ := pair(t, transport.Env{})
	d := waitFor(t, "an answer", x.dialLater(transport.Dial{Addr: addrOf(stranger(t)), Timeout: 50 * time.Millisecond}))
	var e *transport.LinkError
	if !errors.Is(d.Err, context.DeadlineExceeded) || !errors.As(d.Err, &e) || e.Fault != transport.NetworkFault || d.Link != nil {
		t.Errorf("answer %+v", d)
	}
}

// TestDialIsRefused: the native transport's reset carries the id that we write, which
// the library alone would not understand.
func TestDialIsRefused(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Make, transport.Env{})
	y := newNode(t, w, backends["native"], transport.Env{}).listen("127.0.0.1:0")
	a, b := x.shake(y) // keeps the socket
	y.tr.Close()
	if d := x.dial(y.addr); d.Err == nil || errors.Is(d.Err, context.DeadlineExceeded) {
		t.Errorf("answer %v", d.Err)
	}
	b.link.Close(errBye)
	b.closed()
	a.closed()
}

func TestDialsObeyThePolicy(t *testing.T) {
	x, y := pair(t, transport.Env{})
	var e *transport.PolicyError
	d := waitFor(t, "an answer", x.dialLater(transport.Dial{Addr: y.addr, Origin: transport.FromPeer}))
	if !errors.As(d.Err, &e) {
		t.Errorf("answer %v", d.Err)
	}
	for _, nobody := range []netip.AddrPort{{}, netip.MustParseAddrPort("127.0.0.1:0")} {
		if d := x.dial(nobody); d.Err == nil {
			t.Errorf("dialed %v", nobody)
		}
	}
}

func TestLinksSayWhatTheyAre(t *testing.T) {
	x, y := pair(t, transport.Env{})
	a, b := x.shake(y)
	if i := a.link.Info(); i.Transport != "utp" || i.Remote != y.addr || i.Incoming {
		t.Errorf("dialed: %+v", i)
	}
	if i := b.link.Info(); i.Transport != "utp" || i.Local != y.addr || !i.Incoming || i.Remote.Port() != a.link.Info().Local.Port() {
		t.Errorf("accepted: %+v", i)
	}
	a.link.Close(errBye)
	if err := a.closed(); !errors.Is(err, errBye) {
		t.Errorf("closed with %v", err)
	}
	if err := b.closed(); !errors.Is(err, io.EOF) {
		t.Errorf("the remote heard %v", err)
	}
}

// TestListenChoosesAPortOfBothFamilies: what is dialed may come by either.
func TestListenChoosesAPortOfBothFamilies(t *testing.T) {
	w := newWorld(t)
	x, y := newNode(t, w, Make, transport.Env{}), newNode(t, w, Make, transport.Env{}).listen("")
	if y.addr.Port() == 0 || !y.addr.Addr().IsUnspecified() {
		t.Fatalf("listens at %v", y.addr)
	}
	if l := y.tryListen("", actor.Inlet[transport.Accepted]{}); l.Err == nil {
		t.Error("it listens twice")
	}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		y.addr = netip.AddrPortFrom(netip.MustParseAddr(ip), y.addr.Port())
		a, b := x.shake(y)
		a.link.Close(errBye)
		a.closed()
		if err := b.closed(); !errors.Is(err, io.EOF) {
			t.Errorf("over %s: %v", ip, err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	_, y := pair(t, transport.Env{})
	z := newNode(t, y.w, Make, transport.Env{})
	if l := z.tryListen(y.addr.String(), actor.Inlet[transport.Accepted]{}); !transport.InUse(l.Err) {
		t.Errorf("listens at %v: %v", l.Addr, l.Err)
	}
	z.listen("127.0.0.1:0") // a failure is not the end
}

// TestLinksOutliveClose: the transport's end is that of listening and dialing only, and
// its sockets end with the last link.
func TestLinksOutliveClose(t *testing.T) {
	x, y := pair(t, transport.Env{})
	a, b := x.shake(y)
	y.tr.Close()
	x.tr.Close()
	if d := x.dial(y.addr); !errors.Is(d.Err, transport.ErrClosed) {
		t.Errorf("dial after Close: %v", d.Err)
	}
	if l := y.tryListen("127.0.0.1:0", actor.Inlet[transport.Accepted]{}); !errors.Is(l.Err, transport.ErrClosed) {
		t.Errorf("listen after Close: %v", l.Err)
	}
	sayHello(a.link)
	for heard := false; !heard; {
		if m, ok := waitFor(t, "what was sent", b.events).(*transport.Batch); ok {
			m.Release()
			heard = true
		}
	}
	a.link.Close(errBye)
	a.closed()
	b.closed()
	z := newNode(t, y.w, Make, transport.Env{})
	eventually(t, "the port is free", func() bool {
		return z.tryListen(y.addr.String(), actor.Inlet[transport.Accepted]{}).Err == nil
	})
}

func TestDialsEndWithClose(t *testing.T) {
	x, _ := pair(t, transport.Env{})
	answer := x.dialLater(transport.Dial{Addr: addrOf(stranger(t))})
	x.tr.Close()
	if d := waitFor(t, "an answer", answer); !errors.Is(d.Err, transport.ErrClosed) {
		t.Errorf("answer %v", d.Err)
	}
}

// TestGuestsWithoutAHandshake: who says something else, or no more than a part, hears
// the end of it, and the session hears of nobody.
func TestGuestsWithoutAHandshake(t *testing.T) {
	x, y := pair(t, transport.Env{HandshakeTimeout: 50 * time.Millisecond})
	for _, text := range []string{"GET / HTTP/1.1", ""} {
		l := x.dialed(y)
		a, heard := listenTo[transport.Event](x, 8)
		b := transport.NewBatch()
		b.Add(wire.Message{ID: wire.Extended, Payload: []byte(text)})
		l.Send(b)
		l.Allow(transport.Unlimited)
		l.Bind(a.Inlet)
		(&end{t, l, heard}).closed()
	}
	if len(y.accepted) > 0 {
		t.Error("the session got a connection without a handshake")
	}
}
