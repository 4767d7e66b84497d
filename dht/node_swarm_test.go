package dht_test

import (
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
