package transport

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// harbour is an Opener whose sockets record what is done to them. It answers when it
// is told to.
type harbour struct {
	asked   []netip.AddrPort
	replies []actor.Ref[Opened]
	open    map[netip.AddrPort]*mooring
	next    uint16
}

type mooring struct {
	h      *harbour
	addr   netip.AddrPort
	routes [packetKinds]string // "to", "trains to"
	sent   int
	closed bool
}

func newHarbour() *harbour { return &harbour{open: map[netip.AddrPort]*mooring{}, next: 50_000} }

func (h *harbour) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[Opened]) {
	h.asked = append(h.asked, addr)
	h.replies = append(h.replies, reply)
}

// answers the oldest question, with an error or a socket.
func (h *harbour) answers(err error) *mooring {
	addr, reply := h.asked[0], h.replies[0]
	h.asked, h.replies = h.asked[1:], h.replies[1:]
	if err != nil {
		reply.Tell(Opened{Err: err})
		return nil
	}
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), h.next)
		h.next++
	}
	if h.open[addr] != nil {
		reply.Tell(Opened{Err: errInUse})
		return nil
	}
	m := &mooring{h: h, addr: addr}
	h.open[addr] = m
	reply.Tell(Opened{Socket: m})
	return m
}

func (m *mooring) Addr() netip.AddrPort { return m.addr }
func (m *mooring) Route(k PacketKind, to actor.Ref[*Packet]) {
	m.routes[k] = heardBy(to)
}
func (m *mooring) RouteTrains(k PacketKind, to actor.Ref[*Packet]) {
	m.routes[k] = "trains " + heardBy(to)
}
func (m *mooring) Send(netip.AddrPort, []byte) error { m.sent++; return nil }
func (m *mooring) SendTrain(_ netip.AddrPort, b []byte, _ int) (int, error) {
	m.sent++
	return len(b), nil
}
func (m *mooring) Close() {
	m.closed = true
	delete(m.h.open, m.addr)
}

// berth is a receiver that can be told from others: by what it says when it is offered
// something.
func berth(name string) actor.Ref[*Packet] {
	return actor.FuncRef(func(p *Packet) { said = name; p.Release() })
}

var said string

func heardBy(to actor.Ref[*Packet]) string {
	if to.IsZero() {
		return ""
	}
	to.Offer(NewPacket(netip.AddrPort{}, nil))
	return said
}

// asks returns what will hold the answer.
func asks(o Opener, addr string) *Opened {
	got := new(Opened)
	o.OpenDatagrams(netip.MustParseAddrPort(addr), actor.FuncRef(func(o Opened) { *got = o }))
	return got
}

func TestShareGivesTheSameSocket(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	dht := asks(s, "9.9.9.9:6881")
	utp := asks(s, "9.9.9.9:6881") // while it is being opened
	other := asks(s, "9.9.9.9:6882")
	if len(h.asked) != 2 {
		t.Fatalf("asked for %v", h.asked)
	}
	m, m2 := h.answers(nil), h.answers(nil)
	late := asks(s, "9.9.9.9:6881")
	if len(h.asked) != 0 || dht.Socket == nil || utp.Socket == nil || late.Socket == nil || other.Socket == nil {
		t.Fatalf("%v %v %v, asked for %v", dht, utp, late, h.asked)
	}
	if late.Socket == dht.Socket || late.Socket == utp.Socket {
		t.Error("two have one handle")
	}
	for _, o := range []*Opened{dht, utp, late} {
		if o.Socket.Addr() != m.addr {
			t.Errorf("at %v", o.Socket.Addr())
		}
		if err := o.Socket.Send(m2.addr, nil); err != nil {
			t.Error(err)
		}
		if n, err := o.Socket.SendTrain(m2.addr, []byte("abc"), 1); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if m.sent != 6 || m2.sent != 0 {
		t.Errorf("sent %d and %d", m.sent, m2.sent)
	}
}

func TestHandlesEndOneByOne(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	dht, utp := asks(s, "9.9.9.9:6881"), asks(s, "9.9.9.9:6881")
	m := h.answers(nil)
	dht.Socket.Route(PacketDHT, berth("dht"))
	utp.Socket.RouteTrains(PacketUTP, berth("utp"))
	want := func(dht, utp, other string) {
		t.Helper()
		if got := [packetKinds]string{dht, utp, other}; m.routes != got {
			t.Errorf("routes %q, want %q", m.routes, got)
		}
	}
	want("dht", "trains utp", "")
	dht.Socket.Close()
	dht.Socket.Close()
	want("", "trains utp", "")
	if err := dht.Socket.Send(m.addr, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("send after Close: %v", err)
	}
	if n, err := dht.Socket.SendTrain(m.addr, []byte("a"), 1); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("train after Close: %v", err)
	}
	dht.Socket.Route(PacketOther, berth("ghost"))
	want("", "trains utp", "")
	if err := utp.Socket.Send(m.addr, nil); err != nil || m.closed {
		t.Errorf("the other handle: %v, closed %v", err, m.closed)
	}
	utp.Socket.Close()
	if !m.closed {
		t.Error("the socket outlives its handles")
	}
	again := asks(s, "9.9.9.9:6881")
	m = h.answers(nil)
	again.Socket.Route(PacketDHT, berth("again"))
	utp.Socket.Close() // of the former socket
	want("again", "", "")
	if m.closed || again.Err != nil {
		t.Errorf("reopened: %+v, closed %v", again, m.closed)
	}
}

// TestTheLatestRouteCounts until it ends: then the one before does.
func TestTheLatestRouteCounts(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	a, b := asks(s, "9.9.9.9:6881"), asks(s, "9.9.9.9:6881")
	m := h.answers(nil)
	want := func(route string) {
		t.Helper()
		if m.routes[PacketOther] != route {
			t.Errorf("routed to %q, want %q", m.routes[PacketOther], route)
		}
	}
	a.Socket.Route(PacketOther, berth("a"))
	b.Socket.RouteTrains(PacketOther, berth("b"))
	want("trains b")
	a.Socket.Route(PacketOther, berth("a again"))
	want("a again")
	a.Socket.Route(PacketOther, actor.Ref[*Packet]{})
	want("trains b")
	a.Socket.Route(PacketOther, berth("a"))
	b.Socket.Close()
	want("a")
	a.Socket.Route(PacketOther, actor.Ref[*Packet]{})
	want("")
}

func TestShareOfPortZero(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	a, b := asks(s, "9.9.9.9:0"), asks(s, "9.9.9.9:0")
	ma, mb := h.answers(nil), h.answers(nil)
	if ma == nil || mb == nil || ma.addr == mb.addr {
		t.Fatalf("%+v and %+v", a, b)
	}
	c := asks(s, ma.addr.String())
	if c.Socket == nil || c.Socket.Addr() != ma.addr {
		t.Fatalf("%+v at the port of the first", c)
	}
	a.Socket.Close()
	if ma.closed {
		t.Error("closed under the second's feet")
	}
	c.Socket.Close()
	if !ma.closed || mb.closed {
		t.Errorf("closed: %v, %v", ma.closed, mb.closed)
	}
}

func TestShareOfWhatCannotBeOpened(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	a, b := asks(s, "9.9.9.9:6881"), asks(s, "9.9.9.9:6881")
	h.answers(errInUse)
	if a.Socket != nil || b.Socket != nil || !errors.Is(a.Err, errInUse) || !errors.Is(b.Err, errInUse) {
		t.Errorf("%+v, %+v", a, b)
	}
	c := asks(s, "9.9.9.9:6881")
	h.answers(nil)
	if c.Socket == nil {
		t.Errorf("a second attempt: %+v", c)
	}
}

// TestNobodyTakesAHandle: the last of those who asked has gone meanwhile.
func TestNobodyTakesAHandle(t *testing.T) {
	h := newHarbour()
	s := Share(h)
	drops := actor.FuncRef(func(o Opened) { o.Drop() })
	at := netip.MustParseAddrPort("9.9.9.9:6881")
	s.OpenDatagrams(at, drops)
	b := asks(s, at.String())
	m := h.answers(nil)
	if m.closed || b.Socket == nil {
		t.Fatalf("closed %v, the other has %+v", m.closed, b)
	}
	b.Socket.Close()
	s.OpenDatagrams(at, drops)
	if m = h.answers(nil); !m.closed {
		t.Error("a socket that nobody has is open")
	}
}

// TestShareLive: names of one address, families, and a real socket's end.
func TestShareLive(t *testing.T) {
	s := Share(NewNet(NetConfig{Bind: netip.MustParseAddr("127.0.0.1")}))
	first := opens(t, s, netip.AddrPort{})
	port := first.Addr().Port()
	for _, name := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::ffff:127.0.0.1")} {
		again := opens(t, s, netip.AddrPortFrom(name, port))
		if again.Addr() != first.Addr() {
			t.Errorf("%v: %v, want %v", name, again.Addr(), first.Addr())
		}
		again.Close()
	}
	heard := make(chan *Packet, 1)
	second := opens(t, s, first.Addr())
	second.Route(PacketDHT, actor.FuncRef(func(p *Packet) { heard <- p }))
	first.Close()
	if err := second.Send(second.Addr(), []byte("de")); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-heard:
		p.Release()
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	if st := second.(*handle).Stats(); st.Out != 1 || st.In != 1 {
		t.Errorf("counted %+v", st)
	}
	for range 50 { // the port is free at once
		second.Close()
		second = opens(t, s, netip.AddrPortFrom(netip.Addr{}, port))
	}
	second.Close()

	both := Share(NewNet(NetConfig{}))
	if four, six := opens(t, both, netip.MustParseAddrPort("0.0.0.0:0")), opens(t, both, netip.MustParseAddrPort("[::]:0")); four.Addr().Addr().Is6() || six.Addr().Addr().Is4() {
		t.Errorf("%v and %v", four.Addr(), six.Addr())
	}
}

func opens(t *testing.T, o Opener, addr netip.AddrPort) Datagrams {
	t.Helper()
	answer := make(chan Opened, 1)
	o.OpenDatagrams(addr, actor.FuncRef(func(o Opened) { answer <- o }))
	got := <-answer
	if got.Err != nil {
		t.Fatal(got.Err)
	}
	t.Cleanup(got.Socket.Close)
	return got.Socket
}

// TestShareBearsCrowds: many open, use and close one port at once; each has a socket
// that works, and at the end none is open.
func TestShareBearsCrowds(t *testing.T) {
	n := NewNet(NetConfig{})
	s := Share(n)
	at := opens(t, s, netip.MustParseAddrPort("127.0.0.1:0")).(*handle)
	port := at.Addr()
	at.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				answer := make(chan Opened, 1)
				s.OpenDatagrams(port, actor.FuncRef(func(o Opened) { answer <- o }))
				o := <-answer
				if o.Err != nil {
					t.Error(o.Err)
					return
				}
				o.Socket.Route(PacketDHT, actor.FuncRef((*Packet).Release))
				if err := o.Socket.Send(port, []byte("de")); err != nil {
					t.Error(err)
				}
				o.Socket.Close()
			}
		})
	}
	wg.Wait()
	if left := s.(*sharer).all; len(left) != 0 {
		t.Errorf("%d sockets are left", len(left))
	}
	last, err := tryOpen(n, port.String())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	last.Close()
}
