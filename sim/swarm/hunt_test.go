package swarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/sim"
)

// randomConfig draws a swarm that nobody has thought of.
func randomConfig(seed uint64) Config {
	r := rand.New(rand.NewPCG(seed, 77))
	cfg := Config{
		Seed: seed, Order: sim.Order(r.IntN(2)), Seeds: 1 + r.IntN(3), Leechers: 1 + r.IntN(12),
		Size: 1 + r.Int64N(12<<20), PieceLen: 16384 * (1 + r.Int64N(40)), Memory: 1<<20 + r.Int64N(8<<20),
		Up: 100_000 + r.Int64N(4<<20), Down: 200_000 + r.Int64N(20<<20),
		Latency: time.Duration(r.Int64N(int64(400 * time.Millisecond))), Jitter: time.Duration(r.Int64N(int64(50 * time.Millisecond))),
		Join:   time.Duration(r.Int64N(int64(40 * time.Second))),
		Picker: []string{"", "rarest", "sequential", "random"}[r.IntN(4)],
		Choker: []string{"", "tit-for-tat", "seed-round-robin", "fastest"}[r.IntN(4)],
	}
	if r.IntN(3) == 0 {
		cfg.Lifetime = time.Duration(int64(5*time.Second) + r.Int64N(int64(60*time.Second)))
	}
	if r.IntN(4) == 0 {
		cfg.PieceLen = 1 + r.Int64N(100_000) // real torrents have odd ones
		cfg.Size = 1 + r.Int64N(3<<20)
	}
	return cfg
}

// Swarms of random shape complete and leave nothing behind. A seed that fails here
// belongs into TestSmallSwarmsInManyShapes with a name.
func TestRandomSwarms(t *testing.T) {
	for seed := range uint64(seeds(t, 10)) {
		if _, err := runOnce(randomConfig(seed)); err != nil {
			t.Errorf("%+v: %v", randomConfig(seed), err)
		}
	}
}
