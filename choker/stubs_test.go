package choker

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

// Strategies that are to come, in their shortest form: they prove that the
// interface suffices for them.

// tyrant (BitTyrant) looks for the least that each peer must be given to give back:
// best return first, until the upload rate is spent. It owns two estimates per peer.
type tyrant struct{ need, yield map[uint32]int64 }

func (s *tyrant) Decide(v *View, out []Grant) ([]Grant, Duration) {
	if s.need == nil {
		s.need, s.yield = map[uint32]int64{}, map[uint32]int64{}
	}
	var list []*Peer
	for i := range v.Peers {
		p := &v.Peers[i]
		if _, known := s.need[p.ID]; !known {
			s.need[p.ID], s.yield[p.ID] = 14<<10, 20<<10
		}
		switch {
		case p.UnchokesUs && p.Unchoked:
			s.yield[p.ID] = p.DownRate
			s.need[p.ID] = s.need[p.ID] * 9 / 10
		case p.Unchoked:
			s.need[p.ID] = s.need[p.ID] * 12 / 10
		}
		if p.wants() && p.Interesting {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(s.yield[b.ID]*s.need[a.ID], s.yield[a.ID]*s.need[b.ID]), cmp.Compare(a.ID, b.ID))
	})
	for left := v.UpCap; len(list) > 0 && len(out) < int(v.Slots) && left >= s.need[list[0].ID]; list = list[1:] {
		n := s.need[list[0].ID]
		left -= n
		out = append(out, Grant{ID: list[0].ID, Weight: uint16(max(1, min(n>>10, 1<<16-1))), Budget: n * int64(Round/time.Second)})
	}
	return out, Round
}

func (s *tyrant) Forget(id uint32) { delete(s.need, id); delete(s.yield, id) }

// share (PropShare) divides the upload among all that gave, in proportion, and
// keeps a fifth for strangers.
type share struct{}

func (share) Decide(v *View, out []Grant) ([]Grant, Duration) {
	var sum int64
	for i := range v.Peers {
		sum += v.Peers[i].RoundDown
	}
	for i := range v.Peers {
		p := &v.Peers[i]
		w := int64(200) / int64(len(v.Peers))
		if sum > 0 {
			w += 800 * p.RoundDown / sum
		}
		if p.wants() && w > 0 && len(out) < int(v.Slots) {
			out = append(out, Grant{ID: p.ID, Weight: uint16(w), Budget: v.UpCap * int64(Round/time.Second) * w / 1000})
		}
	}
	return out, Round
}

func (share) Forget(uint32) {}

// antiLeech (for seeds) prefers those that have almost nothing or almost all: they
// pass on most for what they get.
type antiLeech struct{}

func (antiLeech) Decide(v *View, out []Grant) ([]Grant, Duration) {
	score := func(p *Peer) int32 { d := 2*p.Pieces - v.Pieces; return max(d, -d) }
	var list []*Peer
	for i := range v.Peers {
		if v.Peers[i].wants() {
			list = append(list, &v.Peers[i])
		}
	}
	slices.SortFunc(list, func(a, b *Peer) int {
		return cmp.Or(cmp.Compare(score(b), score(a)), cmp.Compare(a.ID, b.ID))
	})
	for _, p := range list[:min(len(list), int(v.Slots))] {
		out = append(out, Grant{ID: p.ID, Weight: 1})
	}
	return out, Round
}

func (antiLeech) Forget(uint32) {}

// ledger serves whoever is furthest ahead of us over the whole connection, and
// nobody far behind: bytes for bytes, with a credit of a few pieces.
type ledger struct{ credit int64 }

func (l ledger) Decide(v *View, out []Grant) ([]Grant, Duration) {
	for i := range v.Peers {
		p := &v.Peers[i]
		left := p.DownTotal + l.credit*v.PieceLen - p.UpTotal
		if p.wants() && left > 0 && len(out) < int(v.Slots) {
			out = append(out, Grant{ID: p.ID, Weight: 1, Budget: left})
		}
	}
	return out, Round
}

func (ledger) Forget(uint32) {}

// growing opens a slot more as long as the upload is not full, and closes one when
// it is.
type growing struct {
	Strategy
	slots int32
}

func (g *growing) Decide(v *View, out []Grant) ([]Grant, Duration) {
	switch {
	case v.UpCap > 0 && v.UpRate < v.UpCap*9/10:
		g.slots++
	case v.UpCap > 0:
		g.slots--
	}
	g.slots = max(1, min(g.slots, v.Slots))
	w := *v
	w.Slots = g.slots
	return g.Strategy.Decide(&w, out)
}

func TestStrategiesToComeDecide(t *testing.T) {
	inner, _ := New("tit-for-tat")
	for name, s := range map[string]Strategy{ //order: irrelevant
		"tyrant": &tyrant{}, "share": share{}, "anti-leech": antiLeech{}, "ledger": ledger{4},
		"growing": &growing{Strategy: inner},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTorrent(t, "tit-for-tat", 5, 1)
			w.s, w.v.UpCap, w.free = s, 1<<20, true
			crowd(w, 20, 6)
			for _, c := range w.clients {
				c.Interesting, c.UnchokesUs = true, c.gives > 0
			}
			w.run(5 * time.Minute)
			served := 0
			for _, c := range w.clients {
				served += truth(c.served > 0)
			}
			if served == 0 {
				t.Error("nobody was served")
			}
			w.s.Forget(1)
		})
	}
}
