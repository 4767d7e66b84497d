package kad

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// nodesEnv says how many nodes the networks of these tests have.
const nodesEnv = "SHOAL_SIM_KAD"

func nodes(t *testing.T) int {
	t.Helper()
	n := 250
	if raceEnabled {
		n = 80
	}
	if s := os.Getenv(nodesEnv); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 50 {
			t.Fatalf("%s=%q", nodesEnv, s)
		}
	}
	return n
}

// lookups is how many a measure is taken from: the more nodes, the more can be told.
func lookups(t *testing.T) int { return min(100+nodes(t)/5, 500) }

// repeated runs an experiment twice, at the same time, and compares the hashes of all
// that has happened. It returns what one of the runs has brought.
func repeated[R any](t *testing.T, cfg Config, run func(*Net) (R, error)) R {
	t.Helper()
	cfg.Nodes = nodes(t)
	type outcome struct {
		r    R
		hash uint64
		err  error
	}
	once := func() (o outcome) {
		n, err := New(cfg)
		if err != nil {
			return outcome{err: err}
		}
		if o.r, o.err = run(n); o.err == nil {
			o.err = n.Close()
		}
		o.hash = n.World.Hash()
		return o
	}
	if testing.Short() || raceEnabled {
		o := once()
		if o.err != nil {
			t.Fatal(o.err)
		}
		return o.r
	}
	both := make(chan outcome, 2)
	for range 2 {
		go func() { both <- once() }()
	}
	a, b := <-both, <-both
	switch {
	case a.err != nil || b.err != nil:
		t.Fatal(a.err, b.err)
	case a.hash != b.hash:
		t.Fatalf("two runs of seed %d differ: %x, %x", cfg.Seed, a.hash, b.hash)
	}
	return a.r
}

// settled is when all nodes are online and know their way.
const settled = Span + 2*time.Minute

// TestRoundsAreKademlias: lookups learn of the node closest to the target in as many
// rounds as theory says, with alpha 1 and 3. The figures are means over lookups in
// ideal tables, where the node's own table is round 0.
func TestRoundsAreKademlias(t *testing.T) {
	const oneWay = 50 * time.Millisecond
	theory := map[int]map[int]float64{1: {1000: 1.38, 10_000: 2.12}, 3: {1000: 1.24, 10_000: 1.84}}
	alphas := [2]int{1, 3}
	type measure struct {
		rounds, ideal [2]float64
		results       [2]Results
	}
	cfg := Config{Seed: 1, Flat: oneWay, Node: func(i int, c *dht.Config) { c.Limits.Alpha = alphas[i%2] }}
	m := repeated(t, cfg, func(n *Net) (m measure, err error) {
		if err := n.Run(settled); err != nil {
			return m, err
		}
		for k, alpha := range alphas {
			rs, err := n.Lookups(lookups(t), k, 2)
			if err != nil {
				return m, err
			}
			mean, never := rs.Rounds(2 * oneWay)
			if never > 0 {
				return m, fmt.Errorf("alpha %d: %d lookups never heard of the closest node", alpha, never)
			}
			sum := 0
			for range 4 {
				for _, r := range rs {
					sum += n.ideal.rounds(r.From.ID, r.Target, alpha)
				}
			}
			m.rounds[k], m.ideal[k], m.results[k] = mean, float64(sum)/float64(4*len(rs)), rs
		}
		return m, nil
	})
	for k, alpha := range alphas {
		t.Logf("alpha %d: %.2f rounds, %.2f ideally; %v", alpha, m.rounds[k], m.ideal[k], m.results[k])
		most := 1.2 * m.ideal[k] // chance has its part in a few lookups
		if w, known := theory[alpha][nodes(t)]; known {
			most = 1.1 * w
		}
		if m.rounds[k] > most {
			t.Errorf("alpha %d: %.2f rounds, want at most %.2f", alpha, m.rounds[k], most)
		}
		if done := m.results[k].Complete(dht.K); done < 0.99 {
			t.Errorf("alpha %d: %.1f %% of the lookups found the 8 closest", alpha, 100*done)
		}
	}
}

// TestLookupsAtRealisticDistances: lookups end with the 8 closest nodes, soon, also
// when every third contact is dead.
func TestLookupsAtRealisticDistances(t *testing.T) {
	type measure struct {
		alive, dead Results
		health      Health
		neighbours  float64
	}
	cfg := Config{Seed: 2}
	m := repeated(t, cfg, func(n *Net) (m measure, err error) {
		if err := n.Run(settled); err != nil {
			return m, err
		}
		m.health, m.neighbours = n.Health(), n.Neighbours()
		if m.alive, err = n.Lookups(lookups(t), 0, 1); err != nil {
			return m, err
		}
		n.Kill(30)
		m.dead, err = n.Lookups(lookups(t), 0, 1)
		return m, err
	})
	t.Logf("%.1f good nodes known, %.1f %% of the neighbours, %.0f bytes sent", m.health.Good, 100*m.neighbours, m.health.BytesOut)
	t.Logf("all alive:  %v", m.alive)
	t.Logf("30 %% dead: %v", m.dead)
	if m.health.Bootstrapped < nodes(t) {
		t.Errorf("%d of %d nodes have found their way in", m.health.Bootstrapped, nodes(t))
	}
	if done := m.alive.Complete(dht.K); done < 0.99 {
		t.Errorf("%.1f %% of the lookups found the 8 closest", 100*done)
	}
	if done := m.dead.Complete(6); done < 0.9 {
		t.Errorf("30 %% dead: %.1f %% of the lookups found 6 of the 8 closest", 100*done)
	}
	if took := m.dead.Quantile(0.5, Took); took >= time.Second {
		t.Errorf("30 %% dead: the median lookup took %v", took)
	}
}

// TestNodesThatJoin: nodes that have never been online find each other through a few
// that are well known.
func TestNodesThatJoin(t *testing.T) {
	m := repeated(t, Config{Seed: 3, Join: true}, func(n *Net) (Results, error) {
		if err := n.Run(settled); err != nil {
			return nil, err
		}
		return n.Lookups(lookups(t), 0, 1)
	})
	t.Log(m)
	// The tables of nodes that have come one after the other are not drawn evenly: the
	// last of the 8 may stand in one of them only.
	if done := m.Complete(dht.K); done < 0.97 || m.Complete(dht.K-1) < 0.99 {
		t.Errorf("%.1f %% of the lookups found the 8 closest", 100*done)
	}
}

// TestHalfOfTheNodesLie: whatever way they lie in, lookups find most of the honest
// nodes that are closest. Liars who name each other by their true ids, and where they
// are, can't be told from nodes with poor tables: they have the places that are theirs,
// and the measure is whether the honest have theirs.
func TestHalfOfTheNodesLie(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  Lie
	}{{"sybils", Sybils}, {"fakes", Fakes}, {"collusion", Collusion}, {"mixed", Mixed}} {
		if c.lie != Mixed && (nodes(t) > 1000 || raceEnabled) {
			continue // each takes as long as the one that has them all
		}
		t.Run(c.name, func(t *testing.T) {
			m := repeated(t, Config{Seed: 4, Liars: 50, Lie: c.lie}, func(n *Net) (Results, error) {
				if err := n.Run(settled); err != nil {
					return nil, err
				}
				return n.Lookups(lookups(t), 0, 1)
			})
			t.Logf("%v; %.0f %% of the honest have their places", m, 100*m.Placed())
			if c.lie != Collusion && m.Found() < 6 {
				t.Errorf("%.2f of the 8 closest honest nodes are found on average", m.Found())
			}
			if done := m.Complete(6); done < 0.95 {
				t.Errorf("%.1f %% of the lookups found 6 of the 8 closest honest nodes", 100*done)
			}
			if m.Placed() < 0.75 {
				t.Errorf("%.0f %% of the honest nodes among the 8 closest are found", 100*m.Placed())
			}
		})
	}
}

// TestMemoryOfANode is what a node in a full network takes, with its actor, socket and
// host.
func TestMemoryOfANode(t *testing.T) {
	if raceEnabled {
		return // the detector's own memory counts
	}
	const most = 25_000
	before := Heap()
	n, err := New(Config{Seed: 5, Nodes: nodes(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(settled); err != nil {
		t.Fatal(err)
	}
	each := (Heap() - before) / int64(nodes(t))
	t.Logf("%d bytes a node", each)
	if each > most || each < 3000 {
		t.Errorf("%d bytes a node, want at most %d", each, most)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLookup is one lookup in a network of production nodes, all of them
// included: queries, answers, tables, network.
func BenchmarkLookup(b *testing.B) {
	n, err := New(Config{Seed: 1, Nodes: 300})
	if err != nil {
		b.Fatal(err)
	}
	if err := n.Run(settled); err != nil {
		b.Fatal(err)
	}
	before := n.Packets.Packets().Sent
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Lookups(1, 0, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n.Packets.Packets().Sent-before)/b.Elapsed().Seconds(), "datagrams/s")
}
