package relay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

type side struct {
	*net.UDPConn
	t *testing.T
}

func newSide(t *testing.T) side {
	t.Helper()
	c, err := listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return side{c, t}
}

func (s side) at() netip.AddrPort { return s.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s side) say(to netip.AddrPort, text string) {
	s.t.Helper()
	if _, err := s.WriteToUDPAddrPort([]byte(text), to); err != nil {
		s.t.Fatal(err)
	}
}

func (s side) hears(want string) netip.AddrPort {
	s.t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, from, err := s.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != want {
		s.t.Fatalf("heard %q, %v, want %q", b[:n], err, want)
	}
	return from
}

func newRelay(t *testing.T, to netip.AddrPort, p Profile) *Relay {
	t.Helper()
	r, err := Listen(loopback, to, p, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// Each who dials is somebody to the target, and gets what is meant for him, after the
// delays.
func TestBothWays(t *testing.T) {
	server, a, b := newSide(t), newSide(t), newSide(t)
	r := newRelay(t, server.at(), both("", 4*time.Millisecond, netpath.Config{}))
	began := time.Now()
	a.say(r.Addr(), "a asks")
	asA := server.hears("a asks")
	b.say(r.Addr(), "b asks")
	asB := server.hears("b asks")
	if asA == asB || asA == r.Addr() {
		t.Errorf("a is %v, b %v", asA, asB)
	}
	server.say(asB, "for b")
	server.say(asA, "for a")
	if from := a.hears("for a"); from != r.Addr() {
		t.Errorf("answer from %v", from)
	}
	b.hears("for b")
	if took := time.Since(began); took < 6*time.Millisecond {
		t.Errorf("three ways in %v", took)
	}
	// A stranger's datagrams to a flow's address go nowhere.
	a.say(asB, "intruder")
	server.say(asB, "again")
	b.hears("again")
	if there, back := r.Stats(); there.Delivered != 2 || back.Delivered != 3 {
		t.Errorf("%+v, %+v", there, back)
	}
}

// Many datagrams: the loss is that of the profile, what is not late keeps its order,
// the copies come.
func TestProfileIsKept(t *testing.T) {
	server, a := newSide(t), newSide(t)
	cfg := netpath.Config{Delay: 2 * time.Millisecond, Loss: 50_000, Duplicate: 100_000, Reorder: 100_000, MTU: 1280}
	r := newRelay(t, server.at(), Profile{There: cfg})
	const sent = 2000
	b := make([]byte, 1000)
	for i := range sent {
		binary.BigEndian.PutUint32(b, uint32(i))
		a.say(r.Addr(), string(b))
		if i%50 == 0 {
			a.say(r.Addr(), string(make([]byte, 1253)))
			time.Sleep(time.Millisecond) // lest a small socket buffer loses some
		}
	}
	if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	heard := map[uint32]int{}
	for total := int64(0); ; total++ {
		if s, _ := r.Stats(); s.Delivered+s.Lost == sent && total == s.Delivered+s.Duplicated {
			break
		}
		n, _, err := server.ReadFromUDPAddrPort(b)
		if err != nil || n != len(b) {
			t.Fatalf("after %d: %d bytes, %v", total, n, err)
		}
		heard[binary.BigEndian.Uint32(b)]++
	}
	s, _ := r.Stats()
	if s.Swallowed != sent/50 || int64(len(heard)) != s.Delivered || s.Lost < sent/40 || s.Duplicated < sent/20 || s.Reordered < sent/20 {
		t.Errorf("%+v, heard %d", s, len(heard))
	}
}

func TestRefusals(t *testing.T) {
	if _, err := Listen(loopback, netip.MustParseAddrPort("[::1]:1"), Profile{}, 1); err == nil {
		t.Error("two families")
	}
	if _, ok := Named("none"); ok {
		t.Error("a profile without a name")
	}
	for _, p := range Profiles() {
		if q, ok := Named(p.Name); !ok || q != p {
			t.Errorf("%s is not found", p.Name)
		}
	}
}

// The heap gives back what it got, in order.
func TestHeap(t *testing.T) {
	var h heap
	for i := range 1000 {
		h.push(item{at: clock.Time(i * 37 % 500), n: uint64(i)})
		h.push(item{at: 3, n: uint64(i) * 7 % 1000})
	}
	var last item
	for len(h) > 0 {
		x := h.pop()
		if x.at < last.at || x.at == last.at && x.n < last.n {
			t.Fatalf("%v after %v", x, last)
		}
		last = x
	}
}
