package utpnative

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
	"github.com/shoal-bt/shoal/wire"
)

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
	x, _ := pair(t)
	d := waitFor(t, "an answer", x.dialLater(addrOf(stranger(t)), 50*time.Millisecond))
	var e *transport.LinkError
	if !errors.Is(d.Err, context.DeadlineExceeded) || !errors.As(d.Err, &e) || e.Fault != transport.NetworkFault || d.Link != nil {
		t.Errorf("answer %+v", d)
	}
	x.wantNothing()
}

func TestDialIsRefused(t *testing.T) {
	x, y := pair(t)
	a, _ := x.connect(y) // keeps the socket
	y.tr.Close()
	d := x.dial(y.addr)
	if !errors.Is(d.Err, utp.ErrRefused) || !strings.Contains(d.Err.Error(), y.addr.String()) {
		t.Errorf("answer %v", d.Err)
	}
	if d := y.dial(x.addr); !errors.Is(d.Err, transport.ErrClosed) {
		t.Errorf("dial after Close: %v", d.Err)
	}
	if l := y.tryListen("127.0.0.1:0", actor.Inlet[transport.Accepted]{}); !errors.Is(l.Err, transport.ErrClosed) {
		t.Errorf("listen after Close: %v", l.Err)
	}
	a.send(wire.Message{ID: wire.Interested}) // links outlive Close
	a.link.Close(errBye)
	a.wantClosed("bye")
}

func TestDialsObeyThePolicy(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Config{Check: transport.NewNet(transport.NetConfig{}).Check})
	answer := make(chan transport.Dialed, 1)
	x.tr.Dial(transport.Dial{
		Addr: netip.MustParseAddrPort("127.0.0.1:9999"), Origin: transport.FromPeer,
		Reply: actor.FuncRef(func(d transport.Dialed) { answer <- d }),
	})
	var e *transport.PolicyError
	if d := waitFor(t, "an answer", answer); !errors.As(d.Err, &e) {
		t.Errorf("answer %v", d.Err)
	}
	if d := x.dial(netip.AddrPort{}); d.Err == nil {
		t.Error("dialed nobody")
	}
}

// TestListenChoosesAPortOfBothFamilies: what is dialed may come by either.
func TestListenChoosesAPortOfBothFamilies(t *testing.T) {
	w := newWorld(t)
	x, y := newNode(t, w, Config{}), newNode(t, w, Config{}).listen("")
	if y.addr.Port() == 0 || !y.addr.Addr().IsUnspecified() {
		t.Fatalf("listens at %v", y.addr)
	}
	if l := y.tryListen("", actor.Inlet[transport.Accepted]{}); l.Err == nil {
		t.Error("it listens twice")
	}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		y.addr = netip.AddrPortFrom(netip.MustParseAddr(ip), y.addr.Port())
		a, b := x.connect(y)
		b.link.Close(errBye)
		b.wantClosed("bye")
		a.wantClosed("EOF")
	}
	x.wantNothing()
	y.wantNothing()
}

func TestPortInUse(t *testing.T) {
	_, y := pair(t)
	z := newNode(t, y.w, Config{})
	if l := z.tryListen(y.addr.String(), actor.Inlet[transport.Accepted]{}); !transport.InUse(l.Err) {
		t.Errorf("listens at %v: %v", l.Addr, l.Err)
	}
	z.listen("127.0.0.1:0") // a failure is not the end
}

// TestListenersDialFromTheirPort: who is behind a NAT is reachable where it dials from.
func TestListenersDialFromTheirPort(t *testing.T) {
	w := newWorld(t)
	x, y := newNode(t, w, Config{}).listen("127.0.0.1:0"), newNode(t, w, Config{}).listen("127.0.0.1:0")
	_, theirs := x.shake(y)
	if theirs.Info().Remote != x.addr {
		t.Errorf("dialed from %v, listens at %v", theirs.Info().Remote, x.addr)
	}
	theirs.Close(nil)
}

// Every order of closing ends both links once, and leaves nothing.
func TestCloseOrders(t *testing.T) {
	x, y := pair(t)
	for name, f := range map[string]func(a, b *end){
		"dialer":   func(a, _ *end) { a.link.Close(errBye) },
		"acceptor": func(_, b *end) { b.link.Close(errBye) },
		"both":     func(a, b *end) { a.link.Close(errBye); b.link.Close(errBye) },
		"twice":    func(a, _ *end) { a.link.Close(errBye); a.link.Close(nil) },
		"with data": func(a, b *end) {
			for range 100 {
				a.send(request(1), request(2))
				b.send(request(3))
			}
			a.link.Close(errBye)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := x.connect(y)
			f(a, b)
			a.wantClosed("")
			b.wantClosed("")
			a.send(request(9)) // of no use, but no harm
			a.link.Allow(1)
		})
	}
	x.wantNothing()
	y.wantNothing()
}

func TestAcceptedThatNobodyTakesIsClosed(t *testing.T) {
	x, y := pair(t)
	mine, theirs := x.shake(y)
	transport.Accepted{Link: theirs}.Drop()
	a := x.bind(mine)
	a.link.Allow(transport.Unlimited)
	a.wantClosed("handshake") // an end without one
	y.wantNothing()
}

// TestClosedBeforeBind: the event waits for whoever binds the link.
func TestClosedBeforeBind(t *testing.T) {
	x, y := pair(t)
	mine, theirs := x.shake(y)
	theirs.Close(errBye)
	mine.Close(errBye)
	x.wantNothing()
	x.bind(mine).wantClosed("bye")
	y.bind(theirs).wantClosed("bye")
}

// TestStrangersAreTurnedAway: other protocols, silence, and hosts with too many
// connections.
func TestGuestsWithoutAHandshake(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Config{})
	y := newNode(t, w, Config{Env: transport.Env{HandshakeTimeout: 50 * time.Millisecond}}).listen("127.0.0.1:0")
	silent := x.dial(y.addr)
	x.bind(silent.Link).wantClosed("reset")

	rude := x.dial(y.addr)
	e := x.bind(rude.Link)
	e.send(wire.Message{ID: wire.Extended, Payload: []byte("GET / HTTP/1.1")})
	e.wantClosed("reset")
	y.wantNothing()
	if len(y.accepted) > 0 {
		t.Error("the session got a connection without a handshake")
	}
}

func TestTheLongestSilentMakeRoom(t *testing.T) {
	w := newWorld(t)
	x := newNode(t, w, Config{})
	y := newNode(t, w, Config{Env: transport.Env{MaxHalfOpen: 8}}).listen("127.0.0.1:0")
	var ends []*end
	for range 12 { // one host: 4 may be there
		d := x.dial(y.addr)
		if d.Err != nil {
			t.Fatal(d.Err)
		}
		ends = append(ends, x.bind(d.Link))
	}
	for _, e := range ends[:8] {
		e.wantClosed("reset")
	}
	sayHello(ends[11].link)
	waitFor(t, "the last one's connection", y.accepted).Drop()
	eventually(t, "three are left", func() bool {
		n := 0
		y.look(func(m *mux) { n = m.porch.n })
		return n == 3
	})
}
