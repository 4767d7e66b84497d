package picker

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/bits"
)

// torrent is the facts, kept as plainly as possible.
type torrent struct {
	pieces []Piece
	seeds  int32
	now    Time
	rng    *rand.Rand
}

func newTorrent(n int, seed uint64) *torrent {
	tr := &torrent{pieces: make([]Piece, n), rng: rand.New(rand.NewPCG(seed, 3)), now: Time(time.Hour)}
	for i := range tr.pieces {
		tr.pieces[i] = Piece{Prio: Normal, Missing: 4}
	}
	return tr
}

func (t *torrent) Pieces() int32       { return int32(len(t.pieces)) }
func (t *torrent) Seeds() int32        { return t.seeds }
func (t *torrent) Piece(i int32) Piece { return t.pieces[i] }
func (t *torrent) Now() Time           { return t.now }
func (t *torrent) Rand(n int32) int32  { return t.rng.Int32N(n) }

func (t *torrent) Owned() (n int32) {
	for _, p := range t.pieces {
		if p.Have {
			n++
		}
	}
	return n
}

// set changes a piece and tells the strategy what has changed.
func (t *torrent) set(s Strategy, i int32, p Piece) {
	was := t.pieces[i]
	t.pieces[i] = p
	for _, c := range []struct {
		changed bool
		kind    Change
	}{
		{was.Avail != p.Avail, AvailChanged},
		{was.Prio != p.Prio, PrioChanged},
		{was.Have != p.Have, HaveChanged},
		{was.Busy != p.Busy || (was.Missing == 0) != (p.Missing == 0), BusyChanged},
		{was.Deadline != p.Deadline, DeadlineChanged},
	} {
		if c.changed {
			s.Changed(t, i, c.kind)
		}
	}
}

// starting reports whether pieces are still picked at random: fewer than four are
// owned or begun.
func (t *torrent) starting() bool {
	n := 0
	for _, p := range t.pieces {
		if p.Have || p.Busy {
			n++
		}
	}
	return n < 4
}

type offered struct {
	piece int32
	hint  Hint
}

// order collects up to limit offers.
func order(s Strategy, f Facts, p *Peer, limit int) (out []offered) {
	s.Order(f, p, func(i int32, h Hint) bool {
		out = append(out, offered{i, h})
		return len(out) < limit
	})
	return out
}

// rule is the naive rule of a strategy: the rank of a piece for a peer, compared
// entry by entry, smaller first. Pieces of equal rank may come in any order.
type rule func(t *torrent, p *Peer, i int32) []int64

func flagRank(b bool) int64 {
	if b {
		return 0
	}
	return 1
}

// rarestRule: deadlines, priority, begun, suggested, availability; a snubbed peer
// from the other end, one on parole without regard to deadlines.
func rarestRule(t *torrent, p *Peer, i int32) []int64 {
	x := t.pieces[i]
	prio, avail := -int64(x.Prio), int64(x.Avail)
	late := p.Snubbed || p.Parole
	switch {
	case x.Due() && late:
		return []int64{1, int64(x.Deadline), int64(i)}
	case x.Due():
		return []int64{-1, int64(x.Deadline), int64(i)}
	case p.Parole && t.starting():
		return []int64{0, prio}
	case p.Parole:
		return []int64{0, prio, avail}
	case p.Snubbed:
		return []int64{0, prio, 1 - flagRank(x.Busy), -avail}
	case x.Busy:
		return []int64{0, prio, 0, avail}
	case slices.Contains(p.Suggested, i):
		return []int64{0, prio, 1}
	case t.starting():
		return []int64{0, prio, 2}
	}
	return []int64{0, prio, 2, avail}
}

func randomRule(t *torrent, p *Peer, i int32) []int64 {
	x := t.pieces[i]
	switch {
	case x.Due() && (p.Snubbed || p.Parole):
		return []int64{1, int64(x.Deadline), int64(i)}
	case x.Due():
		return []int64{-1, int64(x.Deadline), int64(i)}
	case p.Snubbed:
		return []int64{0, -int64(x.Prio), 1 - flagRank(x.Busy)}
	}
	return []int64{0, -int64(x.Prio), flagRank(x.Busy)}
}

func sequentialRule(t *torrent, p *Peer, i int32) []int64 {
	x := t.pieces[i]
	switch {
	case x.Due() && (p.Snubbed || p.Parole):
		return []int64{1, int64(x.Deadline), int64(i)}
	case x.Due():
		return []int64{-1, int64(x.Deadline), int64(i)}
	case p.Snubbed:
		return []int64{0, -int64(x.Prio), -int64(i)}
	}
	return []int64{0, -int64(x.Prio), int64(i)}
}

// eligible lists what may be offered to p, with the hint.
func eligible(t *torrent, p *Peer) (out []offered) {
	for i, x := range t.pieces {
		h := Hint(0)
		if p.Parole {
			h = Whole
		} else if x.Due() && x.Deadline.Sub(t.now) <= urgentWithin {
			h = Urgent
		}
		if x.Have || x.Prio == 0 && !x.Due() || !p.has(int32(i)) ||
			x.Missing == 0 && h&Urgent == 0 || p.Parole && x.Busy {
			continue
		}
		out = append(out, offered{int32(i), h})
	}
	return out
}

// checkOrder compares what a strategy offers with its rule.
func checkOrder(t *testing.T, s Strategy, tr *torrent, p *Peer, r rule) {
	t.Helper()
	got := order(s, tr, p, 1<<30)
	for k := 1; k < len(got); k++ {
		a, b := got[k-1].piece, got[k].piece
		if slices.Compare(r(tr, p, a), r(tr, p, b)) > 0 {
			t.Fatalf("%+v: piece %d (%+v) before %d (%+v)", *p, a, tr.pieces[a], b, tr.pieces[b])
		}
	}
	want := eligible(tr, p)
	slices.SortFunc(got, func(a, b offered) int { return cmp.Compare(a.piece, b.piece) })
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: offered %v, want %v", *p, got, want)
	}
}

// randomPiece changes one thing about a piece.
func (t *torrent) randomPiece(p Piece) Piece {
	switch t.rng.IntN(12) {
	case 0:
		p.Prio = uint8(t.rng.IntN(8))
	case 1:
		p.Have = !p.Have
	case 2, 3:
		p.Busy = !p.Busy
	case 4:
		p.Missing = t.rng.Int32N(3)
	case 5:
		p.Deadline = t.now + Time(t.rng.Int64N(int64(20*time.Second)))*Time(t.rng.Int64N(2))
		if p.Deadline == t.now {
			p.Deadline = 0
		}
	case 6:
		p.Avail = t.rng.Int32N(40)
	case 7, 8:
		p.Avail = max(0, p.Avail-1)
	default:
		p.Avail++
	}
	return p
}

func (t *torrent) randomPeer() *Peer {
	n := t.Pieces()
	p := &Peer{ID: 1, Snubbed: t.rng.IntN(4) == 0, Parole: t.rng.IntN(5) == 0}
	if t.rng.IntN(4) > 0 {
		has := bits.New(n)
		for range t.rng.Int32N(n/(1+t.rng.Int32N(30)) + 1) {
			has.Set(t.rng.Int32N(n))
		}
		p.Has = &has
	}
	for range t.rng.IntN(4) {
		p.Suggested = append(p.Suggested, t.rng.Int32N(n))
	}
	return p
}
