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
	for _, x := range []struct {
		block metainfo.BlockIndex
		who   peerID
		ok    bool
	}{{1, 7, true}, {1, 7, false}, {0, 8, false}} {
		if _, ok := p.giveBack(a, x.block, x.who); ok != x.ok {
			t.Fatalf("a lease is given back once, by who holds it: block %d by %d: %v", x.block, x.who, ok)
		}
	}
	got = nil
	p.ask(a, 8, 10, func(r run) { got = append(got, r) })
	if len(got) != 2 || got[0] != (run{1, 1, 1}) || got[1] != (run{1, 3, 1}) {
		t.Fatalf("what is free is asked for, in runs: %v", got)
	}
	if who := a.holder(1); who != 8 || !p.arrive(a, 1, 7) {
		t.Fatalf("a late block is welcome; %d was asked instead", who)
	}
	if p.arrive(a, 1, 8) {
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
	who := peerID(1 + rng.IntN(3))
	b := metainfo.BlockIndex(rng.Int32N(p.l.Blocks(i)))
	switch op := rng.IntN(9); {
	case op == 0:
		p.unlend(i)
		p.prio[i] = uint8(rng.IntN(2) * 4)
		p.recount()
	case op == 1:
		p.lend(i)
		p.recount()
	case a == nil:
		if !p.have.Has(int32(i)) {
			p.begin(i)
		}
	case op <= 3:
		p.ask(a, who, rng.Int32N(4), func(run) {})
	case op == 4:
		p.giveBack(a, b, who)
	case op == 5:
		if h := a.holder(b); h != 0 && h != who && a.doubled(b) == 0 {
			p.double(a, b, who)
		} else {
			p.single(a, b)
		}
	case op <= 7:
		p.single(a, b)
		p.arrive(a, b, who)
	default:
		p.end(a, a.hashing())
	}
}

func checkCounters(t *testing.T, seed uint64, p *pieces) {
	t.Helper()
	kept := [4]int32{p.missing, p.unopened, p.freeBlocks, p.lonely}
	p.recount()
	if counted := [4]int32{p.missing, p.unopened, p.freeBlocks, p.lonely}; kept != counted {
		t.Fatalf("seed %d: kept %v, counted %v", seed, kept, counted)
	}
}
