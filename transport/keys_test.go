package transport

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport/mse"
)

func numbered(i int) (sum [20]byte) {
	binary.BigEndian.PutUint64(sum[:], uint64(i))
	return sum
}

// Ten thousand torrents come and go while connections look for them.
func TestKeys(t *testing.T) {
	var k Keys
	const n = 10_000
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < n; i += 4 {
				k.Add(metainfo.HashV1(numbered(i)))
				if got, ok := k.Find(mse.Req2(numbered(i))); !ok || got != numbered(i) {
					t.Errorf("torrent %d is not found", i)
				}
				if i%2 == 0 {
					k.Remove(metainfo.HashV1(numbered(i)))
				}
			}
		})
	}
	wg.Wait()
	for i := range n {
		if got, ok := k.Find(mse.Req2(numbered(i))); ok != (i%2 == 1) || ok && got != numbered(i) {
			t.Fatalf("torrent %d: %v", i, ok)
		}
	}
}

// A hybrid is found by both of its hashes, and added twice it is there once.
func TestKeysOfHybrids(t *testing.T) {
	var k Keys
	h := metainfo.Hash{V1: [20]byte{1}, V2: [32]byte{2}, HasV1: true, HasV2: true}
	k.Add(h)
	k.Add(h)
	for _, key := range [][20]byte{{1}, {2}} {
		if got, ok := k.Find(mse.Req2(key)); !ok || got != key {
			t.Errorf("%x is not found", key)
		}
	}
	k.Remove(h)
	for _, key := range [][20]byte{{1}, {2}} {
		if _, ok := k.Find(mse.Req2(key)); ok {
			t.Errorf("%x is still there", key)
		}
	}
}

func BenchmarkKeysFind(b *testing.B) {
	var k Keys
	for i := range 10_000 {
		k.Add(metainfo.HashV1(numbered(i)))
	}
	req2 := mse.Req2(numbered(777))
	for b.Loop() {
		if _, ok := k.Find(req2); !ok {
			b.Fatal("not found")
		}
	}
}

// Actors' time and that of sockets may lie far apart: neither makes the other's
// allowance smaller.
func TestAdmitHasTwoClocks(t *testing.T) {
	var k Keys
	a := netip.MustParseAddr("192.0.2.1")
	for range 50 {
		if !k.Admit(a, actor.Time(100*time.Hour)) {
			t.Fatal("an actor is refused")
		}
	}
	for range 50 {
		if !k.admitNow(a) {
			t.Fatal("a pump is refused")
		}
	}
	n := 50
	for k.Admit(a, actor.Time(100*time.Hour)) {
		n++
	}
	if n != 128 {
		t.Errorf("%d at once, want 128", n)
	}
}
