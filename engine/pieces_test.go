package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func lengthsOf(t *testing.T, total, piece int64) metainfo.Lengths {
	t.Helper()
	l, err := metainfo.NewLengths(total, piece)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPartialLeasesRuns(t *testing.T) {
	p := newPieces(lengthsOf(t, 3*65536, 65536))
	a := p.begin(1)
	var got []run
	p.ask(a, 7, 3, func(r run) { got = append(got, r) })
	if len(got) != 1 || got[0] != (run{1, 0, 3}) || p.freeBlocks != 1 || p.unopened != 2 {
		t.Fatalf("asked %v, %d free, %d unopened", got, p.freeBlocks, p.unopened)
	}
	if !p.giveBack(blockRef{1, 1}, 7) || p.giveBack(blockRef{1, 1}, 7) || p.giveBack(blockRef{1, 0}, 8) {
		t.Fatal("a lease is given back once, by who holds it")
	}
	got = nil
	p.ask(a, 8, 10, func(r run) { got = append(got, r) })
	if len(got) != 2 || got[0] != (run{1, 1, 1}) || got[1] != (run{1, 3, 1}) {
		t.Fatalf("what is free is asked for, in runs: %v", got)
	}
	if other, wanted := p.arrive(a, 1, 7); !wanted || other != 8 {
		t.Fatalf("a late block is welcome; whoever was asked instead is %d", other)
	}
	if _, wanted := p.arrive(a, 1, 8); wanted {
		t.Fatal("the second copy is not")
	}
}

func TestPiecesCountersHoldUnderRandomWork(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := newPieces(lengthsOf(t, 20*5*16384-100, 5*16384))
		for range 400 {
			randomStep(rng, p)
			checkCounters(t, seed, p)
		}
	}
}

func randomStep(rng *rand.Rand, p *pieces) {
	i := metainfo.PieceIndex(rng.Int32N(p.l.Pieces()))
	a := p.partial(i)
	switch op := rng.IntN(7); {
	case op == 0:
		p.prio[i] = uint8(rng.IntN(2) * 4)
		p.recount()
	case a == nil:
		if !p.have.Has(int32(i)) {
			p.begin(i)
		} else if op == 1 {
			p.lost(i)
		}
	case op == 1 || op == 2:
		p.ask(a, peerID(1+rng.IntN(3)), rng.Int32N(4), func(run) {})
	case op == 3:
		p.giveBack(blockRef{i, metainfo.BlockIndex(rng.IntN(len(a.state)))}, peerID(1+rng.IntN(3)))
	case op == 4 || op == 5:
		p.arrive(a, metainfo.BlockIndex(rng.IntN(len(a.state))), peerID(1+rng.IntN(3)))
	default:
		p.end(a, a.hashing())
	}
}

func checkCounters(t *testing.T, seed uint64, p *pieces) {
	t.Helper()
	missing, unopened, free := p.missing, p.unopened, p.freeBlocks
	p.recount()
	if p.missing != missing || p.unopened != unopened || p.freeBlocks != free {
		t.Fatalf("seed %d: kept %d %d %d, counted %d %d %d", seed, missing, unopened, free, p.missing, p.unopened, p.freeBlocks)
	}
}
