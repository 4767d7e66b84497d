package swarm

import (
	"math"
	"testing"
	"time"
)

// pexIntervals are three: a peer is told of others once a minute (BEP 11).
const pexIntervals = 3 * time.Minute

// orphans is a swarm that is busy for longer than the test, of nodes that hear of 6
// peers from their tracker, which dies after two minutes.
func orphans(leechers int, maxPeers int32) Config {
	return Config{Seed: 1, Leechers: leechers, Size: 1 << 30, PieceLen: 1 << 20, Up: 50 << 10, Down: 200 << 10,
		Latency: 40 * time.Millisecond, Jitter: 5 * time.Millisecond, Join: 90 * time.Second,
		MaxPeers: maxPeers, TrackerPeers: 6, TrackerDies: 2 * time.Minute}
}

// abandon lets the tracker die, then every third node leave at once, and looks at what
// has become of the others after three intervals of PEX.
func abandon(t *testing.T, cfg Config) (before, after Graph) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	at := cfg.TrackerDies + 10*time.Second
	if err := s.RunTo(at); err != nil {
		t.Fatal(err)
	}
	before = s.Graph()
	for i, n := range s.Nodes {
		if i%3 == 1 {
			n.Leave()
		}
	}
	if err := s.RunTo(at + pexIntervals); err != nil {
		t.Fatal(err)
	}
	after = s.Graph()
	t.Logf("before: %+v", before)
	t.Logf("after:  %+v", after)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return before, after
}

// TestPEXHoldsASwarmTogether is what is left of a swarm when first its tracker dies,
// and then every third of its nodes goes: with PEX the others find each other, and do
// not flock together.
func TestPEXHoldsASwarmTogether(t *testing.T) {
	const want = 12 // peers of each
	leechers := 119
	if raceEnabled {
		leechers = 59
	}
	_, g := abandon(t, orphans(leechers, want))
	if g.Degree < 0.9*want || g.Largest < 1 {
		t.Errorf("degree %.1f of %d, %.0f %% in one piece", g.Degree, want, 100*g.Largest)
	}
	if g.Clustering > 0.2 && !raceEnabled { // 0.15 is by chance
		t.Errorf("clustering coefficient %.2f, want at most 0.2", g.Clustering)
	}
	alone := orphans(leechers, want)
	alone.NoPEX = true
	if _, g := abandon(t, alone); g.Degree > 0.75*want {
		t.Errorf("degree %.1f of %d without PEX: it is not PEX that this test shows", g.Degree, want)
	}
}

// TestPairsThatCanMeetDo: of nodes of which a share f is behind NATs, 1 - f^2 of all
// pairs can connect, without hole punching. With room for all, PEX brings together
// everyone who can meet.
func TestPairsThatCanMeetDo(t *testing.T) {
	for _, percent := range []int{50, 80} {
		cfg := orphans(44, 100)
		cfg.Unreachable = percent
		cfg.TrackerPeers = percent * percent / 250 // or some would hear of nobody whom they can dial
		_, g := abandon(t, cfg)
		if met := g.Degree / float64(g.Nodes-1); math.Abs(met-g.Dialable) > 0.02 {
			t.Errorf("%d %% behind NATs: %.1f %% of all pairs have met, %.1f %% can", percent, 100*met, 100*g.Dialable)
		}
		if f := float64(g.Behind) / float64(g.Nodes); math.Abs(g.Dialable-(1-f*f)) > 0.02 {
			t.Errorf("%d %% behind NATs: %.1f %% of the pairs can meet", percent, 100*g.Dialable)
		}
		if g.Largest < 1 {
			t.Errorf("%d %% behind NATs: %.1f %% in one piece", percent, 100*g.Largest)
		}
	}
}
