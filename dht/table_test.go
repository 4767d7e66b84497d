package dht

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/shoal-bt/shoal/internal/clock"
)

// crowd are nodes some of which share subnets, addresses and ids.
func crowd(rnd *rand.Rand, n int, own ID) []Contact {
	out := make([]Contact, 0, n)
	for range n {
		id := RandomIn(own, min(rnd.IntN(20), rnd.IntN(20)), rnd)
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, byte(rnd.IntN(3)), byte(rnd.Uint32()), byte(rnd.IntN(4))}), uint16(1+rnd.IntN(3)))
		switch rnd.IntN(10) {
		case 0:
			a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(rnd.IntN(2)), byte(rnd.Uint32())}), 1)
		case 1:
			id = SecureID(a.Addr(), rnd)
		case 2:
			if len(out) > 0 {
				id = out[rnd.IntN(len(out))].ID
			}
		}
		out = append(out, Contact{id, a})
	}
	return out
}

// TestTableKeepsItsRules plays random events and checks after each what must hold.
func TestTableKeepsItsRules(t *testing.T) {
	for seed := range uint64(12) {
		rnd := random(seed)
		now := clock.Time(0)
		tab := NewTable(RandomID(rnd), TableOptions{Wide: seed%2 == 1, Enforce: seed%4 == 3, Spares: 1 + int(seed%8)}, now)
		nodes := crowd(rnd, 600, tab.Own())
		for step := range 3000 {
			now = now.Add(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			step1(tab, nodes, rnd, now)
			if step%50 == 0 {
				checkTable(t, tab)
				checkClosest(t, tab, rnd, now)
			}
		}
		if c := tab.Count(now); c.Good+c.Questionable < 20 {
			t.Errorf("seed %d: the table ended with %+v: the test plays too little", seed, c)
		}
	}
}

func step1(tab *Table, nodes []Contact, rnd *rand.Rand, now clock.Time) {
	c := nodes[rnd.IntN(len(nodes))]
	switch rnd.IntN(12) {
	case 0, 1, 2, 3, 4:
		tab.Replied(c, time.Duration(rnd.IntN(300))*time.Millisecond, now)
	case 5, 6:
		tab.Queried(c, now)
	case 7:
		tab.Heard(c, now)
	case 8:
		tab.Failed(c, now)
	case 9:
		if p, ok := tab.NextPing(now); ok && rnd.IntN(2) == 0 {
			tab.Replied(p, time.Millisecond, now)
		} else if ok {
			tab.Failed(p, now)
		}
	case 10:
		tab.NextRefresh(rnd, now)
	case 11:
		switch rnd.IntN(100) {
		case 0:
			tab.SetOwn(RandomIn(tab.Own(), rnd.IntN(5), rnd), now)
		case 1:
			tab.Filter(func(a netip.AddrPort) bool { return a != c.Addr }, now)
		}
	}
}

func checkTable(t *testing.T, tab *Table) {
	t.Helper()
	ids, places := map[ID]bool{}, map[place]bool{}
	nets := map[netip.Prefix]bool{}
	for i := range tab.buckets {
		b := &tab.buckets[i]
		if len(b.nodes) > tab.limit(i) || len(b.spares) > tab.o.Spares {
			t.Fatalf("bucket %d holds %d nodes and %d spares", i, len(b.nodes), len(b.spares))
		}
		for k, e := range slices.Concat(b.nodes, b.spares) {
			node := k < len(b.nodes)
			if tab.index(e.id) != i || e.id == tab.own || ids[e.id] || places[e.at] {
				t.Fatalf("%v at %v is in the wrong bucket, ourselves, or here twice", e.id, e.at.addrPort())
			}
			ids[e.id], places[e.at] = true, true
			if node && nets[Subnet(e.at.addrPort().Addr())] {
				t.Fatalf("a second node in %v", Subnet(e.at.addrPort().Addr()))
			}
			if node {
				nets[Subnet(e.at.addrPort().Addr())] = true
			}
			if node && (e.replied == 0 || e.flags&suspect != 0) || !node && e.fails > 0 {
				t.Fatalf("%+v has no business here (node: %v)", e, node)
			}
			if tab.o.Enforce && !Secure(e.id, e.at.addrPort().Addr()) {
				t.Fatalf("%v is not allowed at %v", e.id, e.at.addrPort())
			}
		}
	}
}

func checkClosest(t *testing.T, tab *Table, rnd *rand.Rand, now clock.Time) {
	t.Helper()
	target := RandomIn(tab.Own(), rnd.IntN(12), rnd)
	least := State(rnd.IntN(3))
	var want []Contact
	for i := range tab.buckets {
		for _, e := range tab.buckets[i].nodes {
			if e.state(now) >= least {
				want = append(want, e.contact())
			}
		}
	}
	slices.SortFunc(want, func(a, b Contact) int { return Compare(target, a.ID, b.ID) })
	n := rnd.IntN(20)
	if got := tab.Closest(nil, target, n, least, now); !slices.Equal(got, want[:min(n, len(want))]) {
		t.Fatalf("closest %d to %v:\n got %v\nwant %v", n, target, got, want)
	}
}

// fullTable knows of n nodes, all good.
func fullTable(rnd *rand.Rand, n int, o TableOptions) *Table {
	t := NewTable(RandomID(rnd), o, 0)
	for range n {
		t.Replied(Contact{RandomID(rnd), randomAddr(rnd)}, 50*time.Millisecond, 0)
	}
	return t
}

// memory is what a table takes, in bytes.
func memory(t *Table) int {
	n := int(unsafe.Sizeof(*t)) + cap(t.buckets)*int(unsafe.Sizeof(bucket{}))
	for i := range t.buckets {
		n += (cap(t.buckets[i].nodes) + cap(t.buckets[i].spares)) * int(unsafe.Sizeof(entry{}))
	}
	return n
}

func TestTableIsSmall(t *testing.T) {
	for _, c := range []struct {
		o    TableOptions
		most int // bytes
	}{
		{TableOptions{Spares: 2}, 8 << 10},
		{TableOptions{}, 12 << 10},
		{TableOptions{Wide: true}, 32 << 10},
	} {
		tab := fullTable(random(1), 10_000, c.o)
		n := tab.Count(0)
		t.Logf("%+v: %d bytes for %+v", c.o, memory(tab), n)
		if memory(tab) > c.most || unsafe.Sizeof(entry{}) != 52 {
			t.Errorf("%+v: %d bytes, an entry takes %d", c.o, memory(tab), unsafe.Sizeof(entry{}))
		}
		if n.Good < 10*K || n.Good != len(tab.Contacts(nil, 0)) {
			t.Errorf("%+v: %+v", c.o, n)
		}
	}
}

func TestTableOfWholeNetworkKnowsItsNeighbours(t *testing.T) {
	rnd := random(2)
	own := RandomID(rnd)
	tab := NewTable(own, TableOptions{}, 0)
	var all []Contact
	for range 10_000 {
		all = append(all, Contact{RandomID(rnd), randomAddr(rnd)})
		tab.Replied(all[len(all)-1], time.Millisecond, 0)
	}
	slices.SortFunc(all, func(a, b Contact) int { return Compare(own, a.ID, b.ID) })
	if got := tab.Closest(nil, own, K, Good, 0); !slices.Equal(got, all[:K]) {
		t.Errorf("closest to us are\n%v\nnot\n%v", all[:K], got)
	}
}

func TestTableViewShowsWhatIsThere(t *testing.T) {
	tab := NewTable(ID{}, TableOptions{}, 0)
	good, bad := Contact{ID{0x80}, ap("45.1.1.1:1")}, Contact{SecureID(ap("45.2.2.2:2").Addr(), random(1)), ap("45.2.2.2:2")}
	tab.Replied(good, 70*time.Millisecond, 0)
	tab.Replied(bad, 30*time.Millisecond, 0)
	tab.Failed(bad, 0)
	tab.Failed(bad, 0)
	v := tab.View(0)
	want := []NodeView{{good, 70 * time.Millisecond, 0, true, false}, {bad, 30 * time.Millisecond, 2, false, true}}
	if len(v.Buckets) != 1 || !slices.Equal(v.Buckets[0].Nodes, want) || v.Self != tab.Own() {
		t.Errorf("%+v", v)
	}
	if s, ok := tab.State(bad, 0); !ok || s != Bad || s.String() != "bad" {
		t.Errorf("%v is %v", bad, s)
	}
	if _, ok := tab.State(Contact{ID{1}, good.Addr}, 0); ok {
		t.Error("a stranger is known")
	}
}

func TestLastBucketIsRefreshedOnBothSides(t *testing.T) {
	rnd := random(3)
	tab := fullTable(rnd, 500, TableOptions{})
	last := len(tab.buckets) - 1
	near := map[bool]int{}
	for now := clock.Time(0); len(near) < 2 && now < clock.Time(1000*time.Hour); now = now.Add(GoodFor) {
		for {
			id, ok := tab.NextRefresh(rnd, now)
			if !ok {
				break
			}
			if p := CommonPrefix(tab.Own(), id); p >= last {
				near[p > last]++
			}
		}
	}
	if len(near) < 2 {
		t.Errorf("targets beyond the last split: %v", near)
	}
}

func TestSavedTableComesBack(t *testing.T) {
	rnd := random(4)
	tab := fullTable(rnd, 2000, TableOptions{Wide: true})
	cs := tab.Contacts(nil, 0)
	cs = append(cs, Contact{RandomID(rnd), ap("[2001:db8::5]:99")})
	b := AppendSaved([]byte("head"), tab.Own(), cs)
	own, got, err := ParseSaved(b[4:])
	if err != nil || own != tab.Own() || !slices.Equal(got, cs) {
		t.Errorf("%d contacts came back as %d of %v: %v", len(cs), len(got), own, err)
	}
	if _, got, err := ParseSaved(AppendSaved(nil, own, make([]Contact, 3000))); err != nil || len(got) != 0 {
		t.Errorf("contacts without addresses: %d, %v", len(got), err)
	}
	for _, bad := range []string{"", "de", "d2:id3:abce", "i1e", string(b[4 : len(b)-1])} {
		if _, _, err := ParseSaved([]byte(bad)); err == nil {
			t.Errorf("%.20q is a table", bad)
		}
	}
}
