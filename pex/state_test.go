package pex

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// testScope sorts what these tests use.
func testScope(a netip.Addr) Scope {
	switch {
	case a.IsMulticast() || a.IsUnspecified():
		return Nowhere
	case a.IsLoopback():
		return Loopback
	case a.IsPrivate():
		return Private
	}
	return Public
}

// teller is a torrent and one State of it. Tests are dialogues; peers are numbers.
type teller struct {
	t     *testing.T
	s     State
	k     Known
	to    Remote
	now   Time
	check rules
}

// rules is the receiver's side of the rules, kept to the letter.
type rules struct {
	sent   int
	last   Time
	here   map[netip.AddrPort]bool
	recent map[netip.AddrPort]bool
}

func newTeller(t *testing.T) *teller {
	r := rand.New(rand.NewPCG(1, 2))
	return &teller{t: t, k: Known{Scope: testScope, Rand: r.Int32N}, to: Remote{Addr: peer(9999).Addr}}
}

// peer n; from 10000 on it has an IPv6 address.
func peer(n int) Peer {
	if n >= 10000 {
		return Peer{Addr: netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x2a, 14: byte(n >> 8), 15: byte(n)}), 6881)}
	}
	return Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, 13, byte(n >> 8), byte(n)}), 6881)}
}

func number(a netip.AddrPort) int {
	b := a.Addr().AsSlice()
	n := int(b[len(b)-2])<<8 | int(b[len(b)-1])
	return n
}

// here connects to peers, gone disconnects from them.
func (l *teller) here(flags Flags, numbers ...int) {
	for _, n := range numbers {
		p := peer(n)
		p.Flags = flags
		l.k.Peers = append(l.k.Peers, p)
	}
}

func (l *teller) gone(numbers ...int) {
	for _, n := range numbers {
		l.k.Peers = slices.DeleteFunc(l.k.Peers, func(p Peer) bool { return p.Addr == peer(n).Addr })
	}
}

// parted disconnects from peers for a reason of ours.
func (l *teller) parted(numbers ...int) {
	for _, n := range numbers {
		l.k.Recent = append(l.k.Recent, Recent{peer(n), uint32(len(l.k.Recent) + 1)})
	}
	l.gone(numbers...)
}

func (l *teller) pass(d time.Duration) { l.now = l.now.Add(d) }

// want compares the next message: "+1 +2 -3", sorted; "" for none.
func (l *teller) want(why, want string) {
	l.t.Helper()
	m, ok := l.diff()
	var plus, minus []int
	for _, p := range m.Added {
		plus = append(plus, number(p.Addr))
	}
	for _, a := range m.Dropped {
		minus = append(minus, number(a))
	}
	slices.Sort(plus)
	slices.Sort(minus)
	var parts []string
	for _, n := range plus {
		parts = append(parts, fmt.Sprintf("+%d", n))
	}
	for _, n := range minus {
		parts = append(parts, fmt.Sprintf("-%d", n))
	}
	if got := strings.Join(parts, " "); got != want || ok != (want != "") {
		l.t.Fatalf("%s: got %q (%v), want %q", why, got, ok, want)
	}
}

// diff makes the next message and holds it to every rule of BEP 11.
func (l *teller) diff() (Message, bool) {
	l.t.Helper()
	m, ok := l.s.Diff(l.to, &l.k, l.now)
	if ok {
		l.check.take(l.t, l, m)
	}
	return m, ok
}

func (g *rules) take(t *testing.T, l *teller, m Message) {
	t.Helper()
	if g.here == nil {
		g.here, g.recent = map[netip.AddrPort]bool{}, map[netip.AddrPort]bool{}
	}
	switch {
	case g.sent > 0 && l.now.Sub(g.last) < time.Minute:
		t.Fatalf("two messages within %v", l.now.Sub(g.last))
	case len(m.Added) > 50 && (g.sent > 0 || len(m.Added) > 100), len(m.Dropped) > 50:
		t.Fatalf("message %d has %d added, %d dropped", g.sent, len(m.Added), len(m.Dropped))
	case len(m.Added)+len(m.Dropped) == 0:
		t.Fatal("an empty message")
	}
	g.sent, g.last = g.sent+1, l.now
	in := map[netip.AddrPort]bool{}
	for _, a := range m.Dropped {
		if !g.here[a] || in[a] {
			t.Fatalf("%v dropped twice, or never added", a)
		}
		in[a] = true
		delete(g.here, a)
		delete(g.recent, a)
	}
	for _, p := range l.k.Peers {
		delete(g.recent, p.Addr) // it is back
	}
	if len(g.recent) > 0 && len(m.Dropped) < MaxEntries {
		t.Fatalf("recent ones were not dropped by the next message: %v", g.recent)
	}
	for _, p := range m.Added {
		if g.here[p.Addr] || in[p.Addr] || p.Addr == l.to.Addr || !p.Addr.IsValid() {
			t.Fatalf("%v added twice, or added and dropped, or itself", p.Addr)
		}
		in[p.Addr], g.here[p.Addr] = true, true
		if !connected(&l.k, p.Addr) {
			g.recent[p.Addr] = true
			if !slices.ContainsFunc(l.k.Recent, func(r Recent) bool { return r.Addr == p.Addr }) {
				t.Fatalf("%v added, to which we are not connected", p.Addr)
			}
		}
	}
}

func TestDiffTellsWhatHasChanged(t *testing.T) {
	l := newTeller(t)
	l.want("nobody there", "")
	l.here(0, 1, 2, 3)
	l.want("the first message says all", "+1 +2 +3")
	l.gone(2)
	l.here(0, 4)
	l.pass(Interval - 1)
	l.want("not before a minute", "")
	if !l.s.Behind || l.s.Next() != l.now.Add(1) {
		t.Errorf("behind %v, next at %v", l.s.Behind, l.s.Next())
	}
	l.pass(1)
	l.want("then what is different", "+4 -2")
	if l.s.Behind || l.s.Told() != 3 {
		t.Errorf("behind %v, told %d", l.s.Behind, l.s.Told())
	}
	l.pass(Interval)
	l.want("no news", "")
	l.here(0, 5)
	l.want("the minute was over, and it is told at once", "+5")
}

func TestDiffElidesWhoCameAndWent(t *testing.T) {
	l := newTeller(t)
	l.here(0, 1)
	l.want("", "+1")
	l.here(0, 2)
	l.gone(2)
	l.gone(1)
	l.here(0, 1) // connected anew
	l.pass(Interval)
	l.want("neither is of interest", "")
}

func TestDiffIsBounded(t *testing.T) {
	l := newTeller(t)
	for n := range 130 {
		l.here(0, n)
		l.here(0, 10000+n)
	}
	for i, want := range []int{100, 50, 50, 0} {
		m, _ := l.diff()
		if len(m.Added) != want || len(m.Dropped) != 0 {
			t.Fatalf("message %d: %d added, %d dropped", i, len(m.Added), len(m.Dropped))
		}
		if l.s.Behind != (i < 2) {
			t.Errorf("after message %d: behind %v", i, l.s.Behind)
		}
		l.pass(Interval)
	}
	if l.s.Told() != MaxTold {
		t.Fatalf("told %d", l.s.Told())
	}
	l.k.Peers = l.k.Peers[:0]
	for i, want := range []int{50, 50, 50, 50, 0} {
		if m, _ := l.diff(); len(m.Dropped) != want || l.s.Behind != (i < 3) {
			t.Fatalf("%d dropped, behind %v", len(m.Dropped), l.s.Behind)
		}
		l.pass(Interval)
	}
}

func TestDiffPrefersTheReachable(t *testing.T) {
	l := newTeller(t)
	for n := range 150 {
		l.here(Flags(n%2)*Reachable, n)
	}
	m, _ := l.diff()
	reachable := 0
	for _, p := range m.Added {
		if p.Flags&Reachable != 0 {
			reachable++
		}
	}
	if reachable != 75 {
		t.Errorf("%d of 75 reachable ones are in the first 100", reachable)
	}
}

// Two connections of one torrent are told of different peers.
func TestDiffChoosesAtRandom(t *testing.T) {
	l := newTeller(t)
	for n := range 200 {
		l.here(Reachable, n)
	}
	first, _ := l.diff()
	l.s, l.check = State{}, rules{}
	second, _ := l.diff()
	same := 0
	for _, p := range second.Added {
		if slices.Contains(first.Added, p) {
			same++
		}
	}
	if same < 20 || same > 80 {
		t.Errorf("%d of 100 are the same, 50 would be expected", same)
	}
}

func TestWhoIsNotTold(t *testing.T) {
	l := newTeller(t)
	l.to = Remote{Addr: peer(1).Addr, Seed: true}
	l.here(0, 1, 2, 2)
	l.here(Seed, 3)
	l.k.Peers = append(l.k.Peers, Peer{}, Peer{Addr: at("45.13.9.9:0")}, Peer{Addr: at("192.168.0.5:1")}, Peer{Addr: at("127.0.0.1:1")})
	l.want("not of itself, nor twice, nor seeds to seeds, nor what can't be reached", "+2")
	l.pass(Interval)
	l.to.Seed = false
	l.to.Scope = Private
	l.want("a neighbour knows the network, not our machine", "+3 +5")
	l.pass(Interval)
	l.to.Scope = Loopback
	l.want("a program here knows all", "+1")
	l.pass(Interval)
	l.to.Seed, l.to.Scope = true, Public
	l.want("what was told once stays true", "")
}

// BEP 11: "Since recently seen contacts do not represent live connections they must be
// dropped with the next PEX message."
func TestFewConnectionsAreFilledUp(t *testing.T) {
	l := newTeller(t)
	l.here(0, 1, 2)
	l.parted(2)
	l.want("one that has just gone is of use all the same", "+1 +2")
	if !l.s.Behind {
		t.Fatal("it has to be dropped")
	}
	l.pass(Interval)
	l.want("and is dropped, once", "-2")
	l.pass(Interval)
	l.want("and not told again", "")
	l.here(0, 3)
	l.want("", "+3")
	l.parted(3)
	l.pass(Interval)
	l.want("never added and dropped at once", "-3")
	l.parted(4)
	l.pass(Interval)
	l.want("it has left since", "+4")
	l.here(0, 4)
	l.pass(Interval)
	l.want("and is back", "")
	for n := range FewPeers {
		l.here(0, 100+n)
	}
	l.parted(5, 10006)
	l.pass(Interval)
	if m, _ := l.diff(); len(m.Added) != FewPeers+1 || m.Added[FewPeers].Addr != peer(10006).Addr {
		t.Errorf("with enough of IPv4 only IPv6 is filled up: %v", m.Added)
	}
}

// A thousand turns of chance keep every rule, and the remote ends up knowing who is there.
func TestDiffKeepsTheRules(t *testing.T) {
	for seed := range uint64(20) {
		l := newTeller(t)
		r := rand.New(rand.NewPCG(seed, 7))
		l.k.Rand = r.Int32N
		const maxHere = 120
		for range 1000 {
			switch n := r.IntN(300) + r.IntN(2)*10000; {
			case connected(&l.k, peer(n).Addr) && r.IntN(2) == 0:
				l.parted(n)
				l.k.Recent = l.k.Recent[max(0, len(l.k.Recent)-FewPeers):]
				for i := range l.k.Recent {
					l.k.Recent[i].Seq = uint32(l.now)*uint32(FewPeers+1) + uint32(i) + 1
				}
			case connected(&l.k, peer(n).Addr):
				l.gone(n)
			case len(l.k.Peers) < maxHere:
				l.here(Flags(r.IntN(32)), n)
			}
			l.now++
			if r.IntN(4) == 0 {
				l.pass(time.Duration(r.IntN(70)) * time.Second)
				l.diff()
			}
		}
		l.k.Recent = nil
		for range 10 {
			l.pass(Interval)
			l.diff()
		}
		for _, p := range l.k.Peers {
			if !l.check.here[p.Addr] {
				t.Fatalf("seed %d: %v is not told", seed, p.Addr)
			}
		}
		if len(l.check.here) != len(l.k.Peers) || l.s.Told() != len(l.k.Peers) || l.s.Behind {
			t.Fatalf("seed %d: %d are told, %d there", seed, len(l.check.here), len(l.k.Peers))
		}
	}
}

func BenchmarkDiff(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	k := Known{Scope: testScope, Rand: r.Int32N}
	for n := range 200 {
		k.Peers = append(k.Peers, peer(n))
	}
	to := Remote{Addr: peer(9999).Addr}
	for b.Loop() {
		var s State
		s.Diff(to, &k, 1)
		s.Diff(to, &k, Time(time.Hour))
	}
}
