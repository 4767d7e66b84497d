package interop

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// pieceLengths of the torrents that go between shoal and each client.
var pieceLengths = []int64{16 << 10, 256 << 10, 4 << 20}

// slowest remembers the slowest transfer of the full payload between two clients.
var slowest struct {
	sync.Mutex
	time.Duration
	what string
}

func noteTransfer(what string, d time.Duration) {
	slowest.Lock()
	defer slowest.Unlock()
	if d > slowest.Duration {
		slowest.Duration, slowest.what = d, what
	}
}

// TestPairs sends the full payload from every client to shoal and from shoal to every
// client, with each piece length, and compares every byte.
func TestPairs(t *testing.T) {
	if shoal.Bin == "" {
		t.Fatal("no shoal binary")
	}
	for _, c := range foreign {
		for _, n := range pieceLengths {
			for _, p := range [][2]clients.Client{{c, shoal}, {shoal, c}} {
				name := fmt.Sprintf("%s to %s, %d KiB", p[0].Name(), p[1].Name(), n>>10)
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s := newStage(t, 2*time.Minute)
					f := mustFixture(t, full)
					noteTransfer(name, s.transfer(f, s.torrent(f, n), p[0], p[1]))
				})
			}
		}
	}
}

// TestSelf sends the full payload from shoal to shoal.
func TestSelf(t *testing.T) {
	s := newStage(t, time.Minute)
	f := mustFixture(t, full)
	noteTransfer("shoal to shoal", s.transfer(f, s.torrent(f, 256<<10), shoal, shoal))
}
