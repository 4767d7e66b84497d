package dht_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// TestHundreds lets some hundred nodes find each other, and looks things up.
func TestHundreds(t *testing.T) {
	n := newNetwork(t, 1)
	n.realistic()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	all := n.nodes(300, 200*time.Millisecond)
	n.run(time.Minute)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d bytes a node; %d datagrams", (after.HeapAlloc-before.HeapAlloc)/uint64(len(all)), n.sent)
	var took []time.Duration
	perfect, lookups, queried := 0, 100, 0
	for i := range lookups {
		x := all[n.rnd.IntN(len(all))]
		target := dht.RandomID(n.rnd)
		done := x.lookup(target)
		if done.Err != nil {
			t.Fatal(i, done.Err)
		}
		if missing(closest(all, target, dht.K, x), done.Nodes) == 0 {
			perfect++
		}
		queried += done.Effort.Queried
		took = append(took, done.Effort.Took)
	}
	t.Logf("%d of %d lookups perfect, median %v, %d queries each", perfect, lookups, median(took), queried/lookups)
	if perfect < lookups*90/100 {
		t.Errorf("only %d of %d lookups found the 8 closest nodes", perfect, lookups)
	}
}

// TestAnnounce is a torrent's life: one announces, another finds.
func TestAnnounce(t *testing.T) {
	n := newNetwork(t, 2)
	all := n.nodes(50, 200*time.Millisecond)
	n.run(30 * time.Second)
	seed, leech := all[3], all[40]
	_, done := seed.getPeers(hash("a torrent"), func(m *dht.GetPeers) { m.Announce, m.Port, m.Seed = true, 7777, true })
	if done.Err != nil || done.Stored != dht.K {
		t.Fatalf("announce: %+v", done)
	}
	a, done := leech.getPeers(hash("a torrent"), func(m *dht.GetPeers) { m.Scrape = true })
	if done.Err != nil || done.Peers != 1 || done.Seeds != 1 || done.Leechers != 0 {
		t.Fatalf("lookup: %+v", done)
	}
	if got := a.peers(); len(got) != 1 || got[0].Addr() != seed.addr.Addr() || got[0].Port() != 7777 {
		t.Fatalf("found %v", got)
	}
}

// TestDeadContacts: three in ten nodes vanish at once; lookups are still quick.
func TestDeadContacts(t *testing.T) {
	n := newNetwork(t, 3)
	n.realistic()
	all := n.nodes(200, 100*time.Millisecond)
	n.run(time.Minute)
	var live []*node
	for _, x := range all {
		if n.rnd.IntN(10) < 3 {
			delete(n.at, x.addr)
			x.child.Stop(nil)
		} else {
			live = append(live, x)
		}
	}
	n.run(time.Second)
	var took []time.Duration
	reached := 0
	for _, x := range live[:60] {
		target := dht.RandomID(n.rnd)
		done := x.lookup(target)
		took = append(took, done.Effort.Took)
		if missing(closest(live, target, dht.K, x), done.Nodes) <= 2 {
			reached++
		}
	}
	t.Logf("median %v, 6 of 8 in %d of %d", median(took), reached, len(took))
	if median(took) > time.Second || reached < 55 {
		t.Errorf("median %v, 6 of 8 found in %d of %d", median(took), reached, len(took))
	}
}

// TestLiars: every other node answers with contacts that are not there, under ids next
// to the target.
func TestLiars(t *testing.T) {
	n := newNetwork(t, 4)
	n.realistic()
	all := n.nodes(200, 100*time.Millisecond)
	n.run(time.Minute)
	var honest []*node
	for i, x := range all {
		if i%2 == 0 {
			honest = append(honest, x)
			continue
		}
		x.child.Stop(nil)
		r := n.player(x.addr)
		r.id = x.id
		r.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
			a := r.honest(from, q)
			for range 8 {
				ip := n.publicIP()
				id := dht.SecureID(ip.Addr(), n.rnd)
				if q.Has&dht.HasTarget != 0 {
					for tries := 0; dht.CommonPrefix(id, q.Target) < 8 && tries < 500; tries++ {
						ip = n.publicIP()
						id = dht.SecureID(ip.Addr(), n.rnd)
					}
				}
				a.Nodes = append(a.Nodes, dht.Contact{ID: id, Addr: ip})
			}
			return a
		}
	}
	n.run(time.Second)
	var took []time.Duration
	reached := 0
	for _, x := range honest[:40] {
		target := dht.RandomID(n.rnd)
		done := x.lookup(target)
		took = append(took, done.Effort.Took)
		if done.Effort.Took > 10*time.Second {
			t.Logf("%+v", done.Effort)
		}
		if missing(closest(honest, target, dht.K, x), done.Nodes) <= 2 {
			reached++
		}
	}
	t.Logf("median %v, 6 of 8 in %d of %d", median(took), reached, len(took))
	if reached < 34 {
		t.Errorf("6 of 8 found in %d of %d only", reached, len(took))
	}
}

// TestSameSeed: the same seed gives the same run, bit for bit.
func TestSameSeed(t *testing.T) {
	run := func(seed uint64) (uint64, int) {
		n := newNetwork(t, seed)
		n.realistic()
		all := n.nodes(30, 100*time.Millisecond)
		all[3].lookup(hash("x"))
		n.run(time.Minute)
		return n.w.Hash(), n.bytes
	}
	h1, b1 := run(5)
	h2, b2 := run(5)
	h3, _ := run(6)
	if h1 != h2 || b1 != b2 || h1 == h3 {
		t.Errorf("hashes %x %x %x, bytes %d %d", h1, h2, h3, b1, b2)
	}
}
