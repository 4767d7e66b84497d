package picker

import (
	"testing"

	"github.com/shoal-bt/shoal/internal/bits"
)

const benchPieces = 100_000

// counted is a torrent that knows how many pieces it owns, as a real one does.
type counted struct {
	*torrent
	owned int32
}

func (c *counted) Owned() int32 { return c.owned }

// benchTorrent is a torrent of 100,000 pieces with availabilities around 50.
func benchTorrent(b *testing.B, name string) (*counted, Strategy) {
	tr, s := &counted{newTorrent(benchPieces, 1), 10}, mustNew(b, name)
	for i := range tr.pieces {
		tr.pieces[i].Avail = 30 + tr.rng.Int32N(40)
	}
	for i := range 10 {
		tr.pieces[i].Have = true
	}
	s.Rebuild(tr)
	return tr, s
}

// have tells of a piece that a peer has got, or lost.
func have(tr *counted, s Strategy, i, by int32) {
	tr.pieces[i].Avail += by
	s.Changed(tr, i, AvailChanged)
}

func BenchmarkHave(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			tr, s := benchTorrent(b, name)
			by := int32(1)
			b.ReportAllocs()
			for i := int32(0); b.Loop(); i += 7919 {
				if i >= benchPieces {
					i, by = i-benchPieces, -by
				}
				have(tr, s, i, by)
			}
		})
	}
}

// A piece is begun, and completed.
func BenchmarkBegin(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			tr, s := benchTorrent(b, name)
			b.ReportAllocs()
			for i := int32(10); b.Loop(); i = 10 + (i+7919)%(benchPieces-10) {
				tr.pieces[i].Busy = !tr.pieces[i].Busy
				s.Changed(tr, i, BusyChanged)
			}
		})
	}
}

// A refill takes the first 32 pieces.
func BenchmarkOrder(b *testing.B) {
	for _, name := range Names() {
		for _, c := range []struct {
			name string
			peer *Peer
		}{
			{"seed", &Peer{}},
			{"half", &Peer{Has: every(2)}},
			{"three", &Peer{Has: last(3)}},
			{"snubbed", &Peer{Has: every(2), Snubbed: true}},
		} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				tr, s := benchTorrent(b, name)
				b.ReportAllocs()
				for b.Loop() {
					left := 32
					s.Order(tr, c.peer, func(int32, Hint) bool { left--; return left > 0 })
				}
			})
		}
	}
}

func every(n int32) Bits {
	s := bits.New(benchPieces)
	for i := int32(0); i < benchPieces; i += n {
		s.Set(i)
	}
	return &s
}

func last(n int32) Bits {
	s := bits.New(benchPieces)
	s.SetRange(benchPieces-n, benchPieces)
	return &s
}

func BenchmarkRebuild(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			tr, s := benchTorrent(b, name)
			b.ReportAllocs()
			for b.Loop() {
				s.Rebuild(tr)
			}
		})
	}
}

// A have and an Order allocate nothing once the index has its size.
func TestNoAllocation(t *testing.T) {
	for _, name := range Names() {
		tr, s := &counted{newTorrent(1000, 1), 10}, mustNew(t, name)
		for i := range tr.pieces {
			tr.pieces[i].Avail = 10 + int32(i%5)
		}
		s.Rebuild(tr)
		few := bits.New(1000)
		few.SetRange(5, 12)
		peers := []*Peer{{}, {Has: &few}, {Has: &few, Snubbed: true}, {Parole: true}}
		left := 0
		take := func(int32, Hint) bool { left--; return left > 0 }
		work := func() {
			have(tr, s, 5, 1)
			have(tr, s, 5, -1)
			for _, p := range peers {
				left = 100
				s.Order(tr, p, take)
			}
		}
		work()
		if n := testing.AllocsPerRun(20, work); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
