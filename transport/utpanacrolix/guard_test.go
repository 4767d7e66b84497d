package utpanacrolix

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// packet writes a header of uTP.
func packet(kind utp.Type, id, seq, ack uint16, payload string) []byte {
	b := make([]byte, utp.HeaderSize, utp.HeaderSize+len(payload))
	b[0] = byte(kind)<<4 | 1
	binary.BigEndian.PutUint16(b[2:], id)
	binary.BigEndian.PutUint32(b[12:], 1<<20)
	binary.BigEndian.PutUint16(b[16:], seq)
	binary.BigEndian.PutUint16(b[18:], ack)
	return append(b, payload...)
}

var (
	alice = netip.MustParseAddrPort("192.0.2.1:1000")
	bob   = netip.MustParseAddrPort("192.0.2.2:1000")
)

// table is flows with a clock, in a dialogue.
type table struct {
	t *testing.T
	*flows
	now actor.Time
}

func newTable(t *testing.T, maxHalfOpen int) *table {
	f := newFlows(maxHalfOpen, 0)
	f.listens = true
	return &table{t, f, 0}
}

func (d *table) in(from netip.AddrPort, b []byte, want bool) {
	d.t.Helper()
	if got := d.arrive(from, b, d.now); got != want {
		d.t.Errorf("in, %v: passes %v, want %v", utp.Type(b[0]>>4), got, want)
	}
}

func (d *table) out(to netip.AddrPort, b []byte, want bool) {
	d.t.Helper()
	if got := d.depart(to, b, d.now); got != want {
		d.t.Errorf("out, %v: passes %v, want %v", utp.Type(b[0]>>4), got, want)
	}
}

// TestWhoComesInProvesItsAddress: before that it gets one answer for each SYN.
func TestWhoComesInProvesItsAddress(t *testing.T) {
	d := newTable(t, 10)
	d.in(alice, packet(utp.Data, 8, 2, 76, "too early"), false)
	d.in(alice, packet(utp.Syn, 7, 1, 0, ""), true)
	d.out(alice, packet(utp.State, 7, 77, 1, ""), true)
	d.out(alice, packet(utp.State, 7, 77, 1, ""), false)
	d.out(alice, packet(utp.Fin, 7, 77, 1, ""), false)
	d.out(alice, packet(utp.Reset, 7, 0, 1, ""), false)
	d.in(alice, packet(utp.Reset, 8, 2, 1, ""), false)
	d.in(alice, packet(utp.Syn, 7, 1, 0, ""), true) // our answer was lost
	d.in(alice, packet(utp.Syn, 7, 5, 0, ""), false)
	d.out(alice, packet(utp.State, 7, 77, 1, ""), true)
	d.in(alice, packet(utp.Data, 8, 2, 1234, "a guess"), false)
	d.in(bob, packet(utp.Data, 8, 2, 76, "somebody else"), false)
	d.in(alice, packet(utp.Data, 8, 2, 76, "hello"), true)
	if d.half != 0 || len(d.hosts) != 0 {
		t.Errorf("%d are half open, of %d hosts", d.half, len(d.hosts))
	}
	d.out(alice, packet(utp.Data, 7, 77, 2, "hello"), true)
	d.in(alice, packet(utp.Syn, 7, 1, 0, ""), false) // the library would take it for data
	d.in(alice, packet(utp.Reset, 8, 2, 1, ""), true)
}

// TestDialsAreKnown: what comes belongs to what was dialed, or not.
func TestDialsAreKnown(t *testing.T) {
	d := newTable(t, 10)
	d.out(bob, packet(utp.Syn, 7, 1, 0, ""), true)
	d.in(bob, packet(utp.State, 7, 50, 1, ""), true)
	d.in(alice, packet(utp.State, 7, 50, 1, ""), false)
	d.in(bob, packet(utp.State, 9, 50, 1, ""), false)
	d.in(bob, packet(utp.Syn, 6, 1, 0, ""), false) // would have the same id: the library complains
	d.out(bob, packet(utp.Data, 8, 2, 49, "x"), true)
	d.out(bob, packet(utp.Data, 19, 2, 49, "x"), false)
	d.in(bob, []byte("\x01junk"), false)
	d.in(bob, packet(utp.Data, 7, 51, 2, ""), false) // "always has a data payload"
}

// TestResetsAreTranslated: clients name a connection by the id that they have got.
func TestResetsAreTranslated(t *testing.T) {
	d := newTable(t, 10)
	d.out(bob, packet(utp.Syn, 7, 1, 0, ""), true)
	for _, id := range []uint16{7, 8} {
		b := packet(utp.Reset, id, 1, 1, "")
		d.in(bob, b, true)
		if got := binary.BigEndian.Uint16(b[2:]); got != 7 {
			t.Errorf("a reset of %d becomes one of %d", id, got)
		}
	}
	d.in(bob, packet(utp.Reset, 6, 1, 1, ""), false)
}

// TestResetsEnd: the library answers every packet of a connection that it has forgotten
// with three of its own.
func TestResetsEnd(t *testing.T) {
	d := newTable(t, 10)
	d.out(bob, packet(utp.Syn, 7, 1, 0, ""), true)
	for _, id := range []uint16{7, 6, 8} {
		d.out(bob, packet(utp.Reset, id, 0, 1, ""), true)
	}
	d.out(bob, packet(utp.Reset, 7, 0, 1, ""), false)
	d.in(bob, packet(utp.State, 7, 1, 1, ""), false)
	d.out(alice, packet(utp.Reset, 7, 0, 1, ""), false)
}

func TestSynsAreLimited(t *testing.T) {
	d := newTable(t, 2) // 8 half open, 4 of one host
	for i := range 6 {
		d.in(alice, packet(utp.Syn, uint16(10*i), 1, 0, ""), i < 4)
	}
	for i := range 8 {
		d.in(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 9), packet(utp.Syn, 1, 1, 0, ""), i < 4)
	}
	d.in(bob, slices.Concat(packet(utp.Syn, 1, 1, 0, ""), make([]byte, maxSyn)), false)
	d.now = d.now.Add(halfOpenAge + sweepEvery)
	d.in(bob, packet(utp.Syn, 1, 1, 0, ""), true)
	if d.half != 1 || len(d.list) != 1 || len(d.hosts) != 1 {
		t.Errorf("left: %d half open of %d, %d hosts", d.half, len(d.list), len(d.hosts))
	}
	d.listens = false
	d.in(alice, packet(utp.Syn, 1, 1, 0, ""), false)
}

// TestFlowsOfOneNetworkCountTogether: in IPv6 a host has many addresses.
func TestFlowsOfOneNetworkCountTogether(t *testing.T) {
	d := newTable(t, 1) // 2 of one host
	for i, ip := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"} {
		d.in(netip.AddrPortFrom(netip.MustParseAddr(ip), 9), packet(utp.Syn, 1, 1, 0, ""), i < 2)
	}
}

func TestFlowsAreForgotten(t *testing.T) {
	d := newTable(t, 10)
	d.out(bob, packet(utp.Syn, 7, 1, 0, ""), true)
	for range 5 {
		d.now = d.now.Add(time.Minute)
		d.in(bob, packet(utp.State, 7, 50, 1, ""), true)
	}
	d.now = d.now.Add(flowAge)
	d.in(bob, packet(utp.State, 7, 50, 1, ""), false)
	if len(d.list) != 0 {
		t.Errorf("%d are left", len(d.list))
	}
}

// TestJunk: whatever comes, from strangers and from who is connected, the transport
// still works, and answers no stranger but with one packet for each SYN.
func TestJunk(t *testing.T) {
	x, y := pair(t, transport.Env{})
	a, b := x.shake(y)
	s := stranger(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	to := net.UDPAddrFromAddrPort(y.addr)
	syns := 0
	for range 5000 {
		p := make([]byte, 20+rnd.IntN(60))
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		kind := utp.Type(rnd.IntN(5))
		p[0], p[1] = byte(kind)<<4|1, byte(rnd.IntN(3))
		if kind == utp.Syn {
			syns++
		}
		if _, err := s.WriteToUDP(p, to); err != nil {
			t.Fatal(err)
		}
	}
	c, d := x.shake(y)
	for _, e := range []*end{a, c} {
		e.link.Close(errBye)
		e.closed()
	}
	b.closed()
	d.closed()
	answers := 0
	_ = s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	for buf := make([]byte, 2000); ; answers++ {
		if _, _, err := s.ReadFromUDP(buf); err != nil {
			break
		}
	}
	if answers > syns || answers > 128*halfOpenFor/2 {
		t.Errorf("%d answers to %d SYNs", answers, syns)
	}
}

// FuzzFlows: no packet makes the guard let through what the library panics at, or lose
// count.
func FuzzFlows(f *testing.F) {
	f.Add(slices.Concat([]byte{20}, packet(utp.Syn, 7, 1, 0, ""), []byte{25}, packet(utp.Data, 8, 2, 0, "hello")))
	f.Add(slices.Concat([]byte{20 | 128}, packet(utp.Syn, 7, 1, 0, ""), []byte{20}, packet(utp.Reset, 8, 1, 1, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newFlows(2, 0)
		d.listens = true
		for now := actor.Time(0); len(b) > 1; now = now.Add(time.Second) {
			n := min(int(b[0]&127), len(b)-1)
			p, out := b[1:1+n], b[0] > 127
			b = b[1+n:]
			if out {
				d.depart(alice, p, now)
				continue
			}
			if !d.arrive(alice, slices.Clone(p), now) {
				continue
			}
			if _, err := utp.Parse(p); err != nil {
				t.Fatalf("let through %x: %v", p, err)
			}
		}
		half := 0
		for _, c := range d.list {
			if c.half {
				half++
			}
		}
		if half != d.half || half > d.max || (half == 0) != (len(d.hosts) == 0) {
			t.Fatalf("%d are half open, counted %d of %d hosts", half, d.half, len(d.hosts))
		}
	})
}
