package picker

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

var rules = []struct {
	name string
	rule rule
}{{"rarest", rarestRule}, {"random", randomRule}, {"sequential", sequentialRule}}

func mustNew(t testing.TB, name string) Strategy {
	t.Helper()
	s, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// After any changes, what is offered to any peer is what the naive rule says.
func TestOrderIsTheNaiveRule(t *testing.T) {
	for _, c := range rules {
		for seed := range uint64(30) {
			t.Run(fmt.Sprintf("%s/%d", c.name, seed), func(t *testing.T) {
				tr, s := newTorrent(1+int(seed*11), seed), mustNew(t, c.name)
				s.Rebuild(tr)
				for range 60 {
					for range tr.rng.IntN(50) {
						i := tr.rng.Int32N(tr.Pieces())
						tr.set(s, i, tr.randomPiece(tr.pieces[i]))
					}
					tr.now += Time(tr.rng.Int64N(int64(time.Second)))
					if tr.rng.IntN(20) == 0 {
						s.Rebuild(tr)
					}
					checkOrder(t, s, tr, tr.randomPeer(), c.rule)
				}
			})
		}
	}
}

// What an engine does wrong by reporting from within offer is taken up afterwards.
func TestChangesFromWithinOfferWait(t *testing.T) {
	for _, c := range rules {
		tr, s := newTorrent(50, 1), mustNew(t, c.name)
		s.Rebuild(tr)
		seen := map[int32]bool{}
		s.Order(tr, &Peer{}, func(i int32, _ Hint) bool {
			if seen[i] {
				t.Fatalf("%s: piece %d twice", c.name, i)
			}
			seen[i] = true
			p := tr.pieces[i]
			p.Missing, p.Busy = p.Missing-int32(len(seen)%2)*4, true
			tr.set(s, i, p)
			return true
		})
		if len(seen) != 50 {
			t.Errorf("%s: %d of 50 offered", c.name, len(seen))
		}
		checkOrder(t, s, tr, &Peer{}, c.rule)
	}
}

func TestOutsideAndEmptyTorrents(t *testing.T) {
	for _, name := range Names() {
		tr, s := newTorrent(0, 1), mustNew(t, name)
		s.Rebuild(tr)
		s.Changed(tr, 0, AvailChanged)
		s.Changed(tr, -1, HaveChanged)
		if got := order(s, tr, &Peer{}, 10); got != nil {
			t.Errorf("%s: %v of nothing", name, got)
		}
		*tr = *newTorrent(3, 1)
		s.Rebuild(tr) // the metadata has arrived
		if got := order(s, tr, &Peer{}, 10); len(got) != 3 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Ties are random: over many torrents each of 8 equal pieces comes first about
// equally often, whether the index was built at once or by changes.
func TestTiesAreRandom(t *testing.T) {
	const rounds = 4000
	for _, name := range []string{"rarest", "random"} {
		for _, built := range []string{"rebuilt", "changed"} {
			var first [8]int
			for seed := range uint64(rounds) {
				tr, s := newTorrent(12, seed), mustNew(t, name)
				for i := 8; i < 12; i++ {
					tr.pieces[i].Have = true // past the random start
				}
				if built == "rebuilt" {
					avail(tr, nil)
				}
				s.Rebuild(tr)
				if built == "changed" {
					avail(tr, s)
				}
				first[order(s, tr, &Peer{}, 1)[0].piece]++
			}
			for i, n := range first {
				if n < rounds/8*7/10 || n > rounds/8*13/10 {
					t.Errorf("%s, %s: piece %d came first %d times of %d: %v", name, built, i, n, rounds, first)
				}
			}
		}
	}
}

// avail brings pieces 0-7 to three peers each, in order of index.
func avail(tr *torrent, s Strategy) {
	for range 3 {
		for i := range int32(8) {
			p := tr.pieces[i]
			p.Avail++
			if s == nil {
				tr.pieces[i] = p
			} else {
				tr.set(s, i, p)
			}
		}
	}
}

// The scattered walk visits each piece once, whatever the length.
func TestScatteredVisitsEachOnce(t *testing.T) {
	tr := newTorrent(200, 4)
	for n := range 200 {
		list := make([]int32, n)
		for i := range list {
			list[i] = int32(i)
		}
		var got []int32
		v := newVisit(tr, &Peer{}, func(i int32, _ Hint) bool { got = append(got, i); return true })
		v.scattered(list, nil)
		if slices.Sort(got); !slices.Equal(got, list) {
			t.Fatalf("of %d: %v", n, got)
		}
	}
}

// The random start lasts until four pieces are owned.
func TestTheFirstPiecesAreRandom(t *testing.T) {
	first := map[int32]int{}
	for seed := range uint64(400) {
		tr, s := newTorrent(40, seed), mustNew(t, "rarest")
		for i := range tr.pieces {
			tr.pieces[i].Avail = int32(i)
		}
		for i := range 3 {
			tr.pieces[39-i].Have = true
		}
		s.Rebuild(tr)
		first[order(s, tr, &Peer{}, 1)[0].piece]++
		p := tr.pieces[36]
		p.Have = true
		tr.set(s, 36, p)
		if got := order(s, tr, &Peer{}, 1)[0].piece; got != 0 {
			t.Fatalf("with four pieces the rarest is 0, not %d", got)
		}
	}
	if len(first) < 30 {
		t.Errorf("only %d of 37 pieces ever came first: %v", len(first), first)
	}
}

func TestRegistry(t *testing.T) {
	if got := Names(); !slices.IsSorted(got) || !slices.Contains(got, Default) {
		t.Errorf("names %v", got)
	}
	if _, err := New("fastest-piece"); err == nil || err.Error() == "" {
		t.Error("an unknown name gives a strategy")
	}
	a, b := mustNew(t, "rarest"), mustNew(t, "rarest")
	if a == b {
		t.Error("two torrents share a strategy")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name is taken twice")
		}
	}()
	Register("rarest", func() Strategy { return new(rarest) })
}
