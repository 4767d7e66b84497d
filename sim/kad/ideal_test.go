package kad

import (
	"math/rand/v2"
	"testing"

	"github.com/shoal-bt/shoal/dht"
)

// TestIdealRounds holds the measure itself against what is known of it: a hop brings
// the lookup closer by H_8 nats of distance, and so a decade of nodes costs 0.85
// rounds at most.
func TestIdealRounds(t *testing.T) {
	for _, c := range []struct {
		nodes, alpha int
		want         float64
	}{
		{1000, 1, 1.38}, {10_000, 1, 2.12},
		{1000, 3, 1.24}, {10_000, 3, 1.84},
	} {
		rnd := rand.New(rand.NewPCG(1, uint64(c.nodes)))
		ids := make([]dht.ID, c.nodes)
		for i := range ids {
			ids[i] = dht.RandomID(rnd)
		}
		m := newIdeal(ids, rnd)
		const lookups = 1000
		sum := 0
		for range lookups {
			r := m.rounds(ids[rnd.IntN(len(ids))], dht.RandomID(rnd), c.alpha)
			if r < 0 {
				t.Fatal("a lookup failed")
			}
			sum += r
		}
		mean := float64(sum) / lookups
		t.Logf("%d nodes, alpha %d: %.2f rounds", c.nodes, c.alpha, mean)
		if mean < c.want*0.93 || mean > c.want*1.07 {
			t.Errorf("%d nodes, alpha %d: %.2f rounds, want %.2f", c.nodes, c.alpha, mean, c.want)
		}
	}
}
