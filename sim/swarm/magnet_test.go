package swarm

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/sim"
)

// Leechers that begin with a link complete, by its tracker or by its peers alone, also
// when they are many, know only each other's way to the seed, and connections break; the
// same seed gives the same run.
func TestMagnetSwarms(t *testing.T) {
	seedOnly := func(int) []int { return []int{0} }
	chain := func(n int) []int { return []int{max(n-1, 0)} }
	for name, cfg := range map[string]Config{
		"tracker only":    {Leechers: 1, Size: 4 << 20},
		"one peer":        {Leechers: 1, Size: 4 << 20, Known: seedOnly},
		"one short piece": {Leechers: 2, Size: 1000},
		"many":            {Leechers: 12, Size: 8 << 20, PieceLen: 16 << 10, Order: sim.Shuffle},
		"over time":       {Leechers: 6, Size: 8 << 20, PieceLen: 16 << 10, Join: time.Minute},
		"chain":           {Leechers: 5, Size: 4 << 20, PieceLen: 16 << 10, Known: chain},
		"long metadata":   {Leechers: 2, Size: 5 << 20, PieceLen: 500, Up: 20 << 20, SeedUp: 20 << 20},
		"far apart":       {Leechers: 4, Size: 8 << 20, PieceLen: 16 << 10, Latency: 300 * time.Millisecond},
		"cut connections": {Leechers: 5, Size: 8 << 20, PieceLen: 16 << 10, Lifetime: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Seed, cfg.Magnet = 11, true
			if raceEnabled {
				cfg.Size, cfg.Leechers = min(cfg.Size, 1<<20), min(cfg.Leechers, 4)
			}
			var hashes [2]uint64
			for i := range hashes {
				s, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Run(time.Hour); err != nil {
					t.Fatal(err)
				}
				for _, n := range s.Nodes {
					if got := n.Events[engine.MetadataFetched]; !n.Seed && got != 1 || n.Seed && got != 0 {
						t.Fatalf("node %d has fetched the metadata %d times", n.Number, got)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				hashes[i] = s.Hash()
			}
			if hashes[0] != hashes[1] {
				t.Fatalf("two runs of one seed differ: %x", hashes)
			}
		})
	}
}
