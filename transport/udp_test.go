package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// socket is a live socket and what has come in on each of its routes.
type socket struct {
	*udp
	heard [packetKinds]chan *Packet
}

func openSocket(t testing.TB, n *Net, addr string) *socket {
	t.Helper()
	s, err := tryOpen(n, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for k := range s.heard {
		c := make(chan *Packet, 64)
		s.heard[k] = c
		s.Route(PacketKind(k), actor.FuncRef(func(p *Packet) { c <- p }))
	}
	return s
}

func tryOpen(n *Net, addr string) (*socket, error) {
	answer := make(chan Opened, 1)
	var at netip.AddrPort
	if addr != "" {
		at = netip.MustParseAddrPort(addr)
	}
	n.OpenDatagrams(at, actor.FuncRef(func(o Opened) { answer <- o }))
	o := <-answer
	if o.Err != nil {
		return nil, o.Err
	}
	return &socket{udp: o.Socket.(*udp)}, nil
}

// hears waits for a datagram of a kind, and gives it back.
func (s *socket) hears(t testing.TB, k PacketKind, want []byte, from *socket) {
	t.Helper()
	select {
	case p := <-s.heard[k]:
		if !bytes.Equal(p.Data, want) {
			t.Errorf("heard %d bytes %.20q, want %d bytes %.20q", len(p.Data), p.Data, len(want), want)
		}
		if from != nil && p.From != from.Addr() {
			t.Errorf("heard it from %v, want %v", p.From, from.Addr())
		}
		p.Release()
	case <-time.After(patience):
		t.Fatalf("no datagram of kind %d came", k)
	}
}

func (s *socket) says(t testing.TB, to *socket, b []byte) {
	t.Helper()
	if err := s.Send(to.Addr(), b); err != nil {
		t.Errorf("send %d bytes: %v", len(b), err)
	}
}

var utpSyn = append([]byte{0x41}, make([]byte, 19)...)

func TestDatagramsAreToldApart(t *testing.T) {
	n := NewNet(NetConfig{})
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := openSocket(t, n, at), openSocket(t, n, at)
		a.says(t, b, []byte("d1:q4:pinge"))
		b.hears(t, PacketDHT, []byte("d1:q4:pinge"), a)
		b.says(t, a, utpSyn)
		a.hears(t, PacketUTP, utpSyn, b)
		a.says(t, b, []byte{0, 0, 0, 1, 9, 9, 9, 9})
		b.hears(t, PacketOther, []byte{0, 0, 0, 1, 9, 9, 9, 9}, a)
	}
}

func TestKindOfDatagram(t *testing.T) {
	long := strings.Repeat("\x00", 19)
	for b, want := range map[string]PacketKind{
		"": PacketOther, "d": PacketDHT, "de": PacketDHT, "le": PacketOther,
		"\x01" + long: PacketUTP, "\x41" + long: PacketUTP,
		"\x51" + long: PacketOther, // no such type
		"\x42" + long: PacketOther, // no such version
		"\x41":        PacketOther, // no header
		"\x00" + long: PacketOther, "\x00\x00\x00\x01": PacketOther,
	} {
		if got := Kind([]byte(b)); got != want {
			t.Errorf("Kind(%q) = %d, want %d", b, got, want)
		}
	}
}

func TestHostileSizes(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	sender, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	for _, size := range []int{0, 1, MaxDatagram, MaxDatagram + 1, 65507} {
		if _, err := sender.Write(bytes.Repeat([]byte("d"), size)); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
	b.hears(t, PacketOther, nil, nil)
	b.hears(t, PacketDHT, []byte("d"), nil)
	b.hears(t, PacketDHT, bytes.Repeat([]byte("d"), MaxDatagram), nil)
	a.says(t, b, []byte("delivered after the oversized"))
	b.hears(t, PacketDHT, []byte("delivered after the oversized"), a)
	if s := b.Stats(); s.Oversize != 2 || s.In != 4 || s.BytesIn != 1+MaxDatagram+29 {
		t.Errorf("counted %+v", s)
	}
	if err := a.Send(b.Addr(), make([]byte, 65508)); err == nil {
		t.Error("65,508 bytes were sent, which no datagram can hold")
	}
}

func TestPortsWhereNobodyListensEndNothing(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b, gone := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	gone.Close()
	for range 100 { // ICMP answers each of them
		_ = a.Send(gone.Addr(), []byte("d"))
	}
	b.says(t, a, []byte("de"))
	a.hears(t, PacketDHT, []byte("de"), b)
}

func TestSendRefusesTheOtherFamily(t *testing.T) {
	n := NewNet(NetConfig{})
	v4, v6 := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "[::1]:0")
	for _, to := range []netip.AddrPort{{}, v6.Addr()} {
		if err := v4.Send(to, []byte("d")); !errors.Is(err, ErrFamily) {
			t.Errorf("IPv4 to %v: %v", to, err)
		}
	}
	mapped := netip.AddrPortFrom(netip.AddrFrom16(v4.Addr().Addr().As16()), v4.Addr().Port())
	if err := v6.Send(mapped, []byte("d")); !errors.Is(err, ErrFamily) {
		t.Errorf("IPv6 to %v: %v", mapped, err)
	}
	if err := v4.Send(mapped, []byte("de")); err != nil {
		t.Errorf("IPv4 to %v: %v", mapped, err)
	}
	v4.hears(t, PacketDHT, []byte("de"), v4)
}

// TestFamiliesShareAPort: IPv6 sockets take no IPv4, or the second would fail.
func TestFamiliesShareAPort(t *testing.T) {
	n := NewNet(NetConfig{})
	for range 16 {
		v4 := openSocket(t, n, "0.0.0.0:0")
		v6, err := tryOpen(n, netip.AddrPortFrom(netip.IPv6Unspecified(), v4.Addr().Port()).String())
		if err == nil {
			v6.Close()
			return
		}
		if !errors.Is(err, errInUse) {
			t.Fatal(err)
		}
	}
	t.Error("no port was free in both families: they exclude each other")
}

func TestDatagramsLeaveFromTheBoundAddress(t *testing.T) {
	n := NewNet(NetConfig{Bind: netip.MustParseAddr("127.0.0.1")})
	for _, at := range []string{"", "0.0.0.0:0"} {
		if s := openSocket(t, n, at); s.Addr().Addr() != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("%q: bound to %v", at, s.Addr())
		}
	}
	if s, err := tryOpen(n, "[::]:0"); !errors.Is(err, ErrFamily) {
		t.Errorf("a socket beside the bound address: %v, %v", s, err)
	}
	six := NewNet(NetConfig{Bind: netip.MustParseAddr("::1")})
	if s := openSocket(t, six, ""); s.Addr().Addr() != netip.MustParseAddr("::1") {
		t.Errorf("bound to %v", s.Addr())
	}
}

func TestPortInUse(t *testing.T) {
	n := NewNet(NetConfig{})
	a := openSocket(t, n, "127.0.0.1:0")
	if s, err := tryOpen(n, a.Addr().String()); !errors.Is(err, errInUse) {
		t.Errorf("a second socket at one port: %v, %v", s, err)
	}
	if s, err := tryOpen(n, "8.8.8.8:0"); !errors.Is(err, ErrNotOurs) {
		t.Errorf("not our address: %v, %v", s, err)
	}
}

func TestRoutesComeAndGo(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	b.Route(PacketDHT, actor.Ref[*Packet]{})
	a.says(t, b, []byte("d1:q"))
	a.says(t, b, []byte("later"))
	b.hears(t, PacketOther, []byte("later"), a) // and so the first has been read
	if s := b.Stats(); s.Unrouted != 1 || s.In != 1 {
		t.Errorf("counted %+v", s)
	}
	other := make(chan *Packet, 1)
	b.Route(PacketDHT, actor.FuncRef(func(p *Packet) { other <- p }))
	a.says(t, b, []byte("de"))
	(<-other).Release()
}

// TestFullMailboxesLoseDatagrams: hints beyond what an actor wants are given back.
func TestFullMailboxesLoseDatagrams(t *testing.T) {
	n, w := NewNet(NetConfig{}), newWorld(t)
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	slow, heard := listenTo[*Packet](t, w, 0)
	b.Route(PacketDHT, slow.Ref)
	const sent = 300 // the ear waits with one, 64 more are kept
	for range sent {
		a.says(t, b, []byte("de"))
	}
	a.says(t, b, []byte("end"))
	b.hears(t, PacketOther, []byte("end"), a)
	s := b.Stats()
	if s.Unrouted == 0 || s.In+s.Unrouted != sent+1 {
		t.Errorf("counted %+v", s)
	}
	for range s.In - 1 {
		(<-heard).Release()
	}
}

func TestCloseEndsThePump(t *testing.T) {
	n := NewNet(NetConfig{})
	before := runtime.NumGoroutine()
	for range 8 {
		s := openSocket(t, n, "127.0.0.1:0")
		s.Close()
		s.Close()
		if err := s.Send(s.Addr(), []byte("d")); !errors.Is(err, ErrClosed) {
			t.Errorf("send after Close: %v", err)
		}
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, were %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOpenedThatNobodyTakesIsClosed(t *testing.T) {
	n := NewNet(NetConfig{})
	s, err := tryOpen(n, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Opened{Socket: s.udp}.Drop()
	if err := s.Send(s.Addr(), []byte("d")); !errors.Is(err, ErrClosed) {
		t.Errorf("send: %v", err)
	}
	Opened{Err: err}.Drop()
}

func TestPacketsAreCopies(t *testing.T) {
	b := []byte("de")
	p, q := NewPacket(netip.AddrPort{}, b), NewPacket(netip.AddrPort{}, bytes.Repeat([]byte("x"), 4000))
	b[0] = 'x'
	if string(p.Data) != "de" || len(q.Data) != MaxDatagram {
		t.Errorf("%q, %d bytes", p.Data, len(q.Data))
	}
	p.Drop()
	q.Release()
	defer func() {
		if recover() == nil {
			t.Error("a packet was released twice")
		}
	}()
	p = &Packet{}
	p.Release()
}

// BenchmarkDatagram is one datagram over loopback: sent, read, delivered.
func BenchmarkDatagram(b *testing.B) {
	n := NewNet(NetConfig{})
	x, y := openSocket(b, n, "127.0.0.1:0"), openSocket(b, n, "127.0.0.1:0")
	msg := bytes.Repeat([]byte("d"), 100)
	b.ReportAllocs()
	for b.Loop() {
		if err := x.Send(y.Addr(), msg); err != nil {
			b.Fatal(err)
		}
		(<-y.heard[PacketDHT]).Release()
	}
}
