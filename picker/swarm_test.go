package picker

import (
	"testing"

	"github.com/shoal-bt/shoal/internal/bits"
)

// swarm is a torrent and the peers it downloads from, with an engine as simple as
// can be: a piece asked for is out at once, and comes some picks later.
type swarm struct {
	*torrent
	s     Strategy
	peers []*Peer
	out   []int32 // begun, oldest first
}

// newSkewedSwarm gives piece i to about 1/sqrt(i+1) of the peers, and to one at
// least: many have the first pieces, few the last.
func newSkewedSwarm(t testing.TB, name string, pieces, peers int, seed uint64) *swarm {
	w := &swarm{torrent: newTorrent(pieces, seed), s: mustNew(t, name)}
	for id := range peers {
		has := bits.New(int32(pieces))
		w.peers = append(w.peers, &Peer{ID: uint32(id), Has: &has})
	}
	for i := range w.pieces {
		for _, p := range w.peers {
			if k := w.rng.IntN(i + 1); k*k <= i+1 && p.Has.Set(int32(i)) {
				w.pieces[i].Avail++
			}
		}
		if p := w.peers[w.rng.IntN(peers)]; w.pieces[i].Avail == 0 && p.Has.Set(int32(i)) {
			w.pieces[i].Avail++
		}
	}
	w.s.Rebuild(w)
	return w
}

// pick lets p begin one piece, and reports how rare it is: how many of the pieces
// that p could have begun are rarer.
func (w *swarm) pick(p *Peer) (rarer int, ok bool) {
	i := int32(-1)
	w.s.Order(w, p, func(piece int32, _ Hint) bool {
		if w.pieces[piece].Missing > 0 { // this engine asks for nothing twice
			i = piece
		}
		return i < 0
	})
	if i < 0 {
		return 0, false
	}
	for _, e := range eligible(w.torrent, p) {
		if w.pieces[e.piece].Avail < w.pieces[i].Avail {
			rarer++
		}
	}
	x := w.pieces[i]
	x.Busy, x.Missing = true, 0
	w.set(w.s, i, x)
	w.out = append(w.out, i)
	return rarer, true
}

// arrive completes the oldest piece that is out.
func (w *swarm) arrive() {
	i := w.out[0]
	w.out = w.out[1:]
	x := w.pieces[i]
	x.Busy, x.Have = false, true
	w.set(w.s, i, x)
}

// gain lets a peer announce a piece that it lacked.
func (w *swarm) gain() {
	p, i := w.peers[w.rng.IntN(len(w.peers))], w.rng.Int32N(w.Pieces())
	if p.Has.Set(i) {
		x := w.pieces[i]
		x.Avail++
		w.set(w.s, i, x)
	}
}

// run downloads everything and returns how many of the choices were for one of the
// rarest pieces at hand.
func (w *swarm) run(t *testing.T) (rarest, choices int) {
	for w.Owned() < w.Pieces() {
		idle := true
		for range 8 {
			rarer, ok := w.pick(w.peers[w.rng.IntN(len(w.peers))])
			if ok {
				idle = false
				choices++
			}
			if ok && rarer == 0 {
				rarest++
			}
		}
		w.gain()
		if len(w.out) > 12 || idle && len(w.out) > 0 {
			w.arrive()
		}
	}
	return rarest, choices
}

// In a swarm of skewed availability rarest asks for the rarest pieces first in at
// least 95 % of choices, the others do not.
func TestRarestIsRarestFirst(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int // per cent
	}{{"rarest", 95, 100}, {"random", 0, 40}, {"sequential", 0, 40}} {
		for seed := range uint64(3) {
			w := newSkewedSwarm(t, c.name, 400, 30, seed)
			rarest, choices := w.run(t)
			if choices != 400 {
				t.Errorf("%s: %d choices for 400 pieces", c.name, choices)
			}
			if share := rarest * 100 / choices; share < c.from || share > c.to {
				t.Errorf("%s: %d %% of choices were rarest, want %d to %d", c.name, share, c.from, c.to)
			}
		}
	}
}

// The same seed gives the same choices.
func TestChoicesDependOnTheSeedOnly(t *testing.T) {
	for _, name := range Names() {
		var logs [2][]int32
		for run := range logs {
			w := newSkewedSwarm(t, name, 100, 10, 5)
			for range 200 {
				w.pick(w.peers[w.rng.IntN(len(w.peers))])
				w.gain()
			}
			logs[run] = w.out
		}
		for k := range logs[0] {
			if logs[0][k] != logs[1][k] {
				t.Fatalf("%s: choice %d is %d, then %d", name, k, logs[0][k], logs[1][k])
			}
		}
	}
}
