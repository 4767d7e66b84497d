package picker

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/bits"
)

// Strategies that are to come, in their shortest form: they prove that the
// interface suffices for them, and each downloads a whole torrent below.

// window is rarest first within the next pieces of the play position, for
// streaming from a swarm that should stay healthy.
type window struct {
	Strategy // rarest
	size     int32
}

func (w *window) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	first := firstMissing(f, 0)
	in := func(i int32) bool { return i >= first && i < first+w.size }
	going := true
	w.Strategy.Order(f, p, func(i int32, h Hint) bool {
		going = !in(i) || offer(i, h)
		return going
	})
	if going {
		w.Strategy.Order(f, p, func(i int32, h Hint) bool { return in(i) || offer(i, h) })
	}
}

func firstMissing(f Facts, from int32) int32 {
	for from < f.Pieces() && f.Piece(from).Have {
		from++
	}
	return from
}

// playout knows the play-out rate and gives each piece its deadline by itself.
type playout struct {
	began    Time
	perPiece time.Duration
}

func (s *playout) Rebuild(f Facts)              { s.began = f.Now() }
func (s *playout) Changed(Facts, int32, Change) {}

func (s *playout) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	for i := range f.Pieces() {
		x := f.Piece(i)
		eta := time.Duration(p.RTT) + time.Duration(p.Queued+1)*BlockSize*time.Second/time.Duration(max(p.Rate, 1))
		deadline := s.began.Add(time.Duration(i) * s.perPiece)
		late := deadline.Before(f.Now().Add(eta))
		if !x.Wanted() || !p.has(i) || x.Missing == 0 && !late {
			continue
		}
		h := Hint(0)
		if late {
			h = Urgent
		}
		if !offer(i, h) {
			return
		}
	}
}

// superSeed shows each peer one piece at a time, and the next when another peer has
// got that one (BEP 16).
type superSeed struct {
	Strategy
	shown   []uint32         // per piece: times revealed
	pending map[uint32]int32 // per peer: the piece it has not passed on
	spread  []bool           // per piece: seen at a peer that we did not show it
}

func (s *superSeed) Rebuild(f Facts) {
	s.Strategy.Rebuild(f)
	s.shown, s.spread = make([]uint32, f.Pieces()), make([]bool, f.Pieces())
	s.pending = map[uint32]int32{}
}

func (s *superSeed) Reveal(f Facts, p *Peer, out []int32) []int32 {
	if i, waits := s.pending[p.ID]; waits && !s.spread[i] {
		return out
	}
	best := int32(-1)
	for i := range f.Pieces() {
		if f.Piece(i).Have && !p.has(i) && (best < 0 || s.shown[i] < s.shown[best]) {
			best = i
		}
	}
	if best < 0 {
		return out
	}
	s.shown[best]++
	s.spread[best] = false
	s.pending[p.ID] = best
	return append(out, best)
}

func (s *superSeed) Seen(piece int32, by uint32) {
	if i, waits := s.pending[by]; !waits || i != piece {
		s.spread[piece] = true
	}
}

// share takes only pieces that are in demand: leechers that lack it, per seed.
type share struct{ Strategy }

func (s *share) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	s.Strategy.Order(f, p, func(i int32, h Hint) bool {
		return f.Piece(i).Avail > 3*(f.Seeds()+1) || offer(i, h)
	})
}

// ranges serves web seeds: long runs of untouched pieces, whole.
type ranges struct{}

func (ranges) Rebuild(Facts)                {}
func (ranges) Changed(Facts, int32, Change) {}

func (ranges) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	type run struct{ first, n int32 }
	var runs []run
	for i := range f.Pieces() {
		x := f.Piece(i)
		if !x.Wanted() || x.Busy || x.Missing == 0 || !p.has(i) {
			continue
		}
		if k := len(runs) - 1; k >= 0 && runs[k].first+runs[k].n == i {
			runs[k].n++
		} else {
			runs = append(runs, run{i, 1})
		}
	}
	slices.SortStableFunc(runs, func(a, b run) int { return int(b.n - a.n) })
	for _, r := range runs {
		for i := range r.n {
			if !offer(r.first+i, Whole) {
				return
			}
		}
	}
}

// nearby asks with a probability that falls with the distance from the position.
type nearby struct{ Strategy }

func (s *nearby) Order(f Facts, p *Peer, offer func(int32, Hint) bool) {
	at := firstMissing(f, 0)
	s.Strategy.Order(f, p, func(i int32, h Hint) bool {
		return f.Rand(1+(i-at)/8) > 0 && f.Rand(50) > 0 || offer(i, h)
	})
}

func stubs(t *testing.T) map[string]Strategy {
	return map[string]Strategy{
		"window":     &window{mustNew(t, "rarest"), 20},
		"playout":    &playout{perPiece: time.Second},
		"super-seed": &superSeed{Strategy: mustNew(t, "rarest")},
		"share":      &share{mustNew(t, "rarest")},
		"ranges":     ranges{},
		"nearby":     &nearby{mustNew(t, "sequential")},
	}
}

func TestStrategiesToComeDownload(t *testing.T) {
	for name, s := range stubs(t) { //order: irrelevant
		t.Run(name, func(t *testing.T) {
			w := newSkewedSwarm(t, "rarest", 60, 8, 1)
			w.s, w.seeds = s, 10
			s.Rebuild(w)
			if _, choices := w.run(t); choices != 60 {
				t.Errorf("%d choices for 60 pieces", choices)
			}
		})
	}
}

// The window holds against rarity, and rarity within the window.
func TestWindowIsRarestWithin(t *testing.T) {
	tr := newTorrent(12, 1)
	for i := range tr.pieces {
		tr.pieces[i].Avail = int32(12 - i)
		tr.pieces[i].Have = i < 4
	}
	s := &window{mustNew(t, "rarest"), 3}
	s.Rebuild(tr)
	want := []int32{6, 5, 4, 11, 10, 9, 8, 7}
	for k, o := range order(s, tr, &Peer{}, 100) {
		if o.piece != want[k] {
			t.Fatalf("place %d: piece %d, want %d", k, o.piece, want[k])
		}
	}
}

// A super-seeding strategy is found by asking whether it is a Revealer.
func TestSuperSeedRevealsOneByOne(t *testing.T) {
	tr := newTorrent(3, 1)
	for i := range tr.pieces {
		tr.pieces[i].Have = true
	}
	var s Strategy = &superSeed{Strategy: mustNew(t, "rarest")}
	s.Rebuild(tr)
	r := s.(Revealer)
	none := &bits.Set{}
	a, b := &Peer{ID: 1, Has: none}, &Peer{ID: 2, Has: none}
	first := r.Reveal(tr, a, nil)
	if len(first) != 1 || len(r.Reveal(tr, a, nil)) != 0 {
		t.Fatal("one piece, and no other until it is passed on")
	}
	if other := r.Reveal(tr, b, nil); len(other) != 1 || other[0] == first[0] {
		t.Fatalf("the second peer gets %v", other)
	}
	r.Seen(first[0], 1) // the peer itself has got it: not enough
	if len(r.Reveal(tr, a, nil)) != 0 {
		t.Error("the next piece comes too early")
	}
	r.Seen(first[0], 2)
	if next := r.Reveal(tr, a, nil); len(next) != 1 || next[0] == first[0] {
		t.Errorf("then %v", next)
	}
}
