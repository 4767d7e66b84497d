package metainfo

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func mustLengths(t testing.TB, total, pieceLen int64) Lengths {
	t.Helper()
	l, err := NewLengths(total, pieceLen)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLengths: a torrent whose last piece ends inside a block.
func TestLengths(t *testing.T) {
	l := mustLengths(t, 2*40000+100, 40000) // blocks of a piece: 16384 16384 7232
	if l.Total() != 80100 || l.PieceLen() != 40000 || l.Pieces() != 3 || l.TotalBlocks() != 7 {
		t.Fatalf("got %+v", l)
	}
	for _, c := range []struct {
		piece        PieceIndex
		size, offset int64
		blocks       int32
	}{{-1, 0, 0, 0}, {0, 40000, 0, 3}, {1, 40000, 40000, 3}, {2, 100, 80000, 1}, {3, 0, 80100, 0}, {math.MaxInt32, 0, 80100, 0}} {
		if l.PieceSize(c.piece) != c.size || l.PieceOffset(c.piece) != c.offset || l.Blocks(c.piece) != c.blocks ||
			l.Valid(c.piece) != (c.size > 0) {
			t.Errorf("piece %d: size %d offset %d blocks %d", c.piece, l.PieceSize(c.piece), l.PieceOffset(c.piece), l.Blocks(c.piece))
		}
	}
	for _, c := range []struct {
		piece PieceIndex
		block BlockIndex
		want  int32
	}{{0, 0, BlockSize}, {0, 1, BlockSize}, {0, 2, 7232}, {0, 3, 0}, {0, -1, 0}, {2, 0, 100}, {2, 1, 0}, {3, 0, 0}, {0, math.MaxInt32, 0}} {
		if got := l.BlockLen(c.piece, c.block); got != c.want {
			t.Errorf("block %d of piece %d has %d bytes, want %d", c.block, c.piece, got, c.want)
		}
	}
}

// TestLengthsCaps: every bound has its own error.
func TestLengthsCaps(t *testing.T) {
	for _, c := range []struct {
		total, pieceLen int64
		want            Code
	}{
		{1, 1, 0}, {1, MaxPieceLen, 0}, {MaxPieces, 1, 0}, {MaxPieces * MaxPieceLen, MaxPieceLen, 0},
		{0, 16384, InvalidLength}, {-1, 16384, InvalidLength}, {math.MinInt64, 16384, InvalidLength},
		{1, 0, InvalidPieceLength}, {1, -16384, InvalidPieceLength}, {1, MaxPieceLen + 1, InvalidPieceLength}, {1, math.MaxInt64, InvalidPieceLength},
		{MaxPieces + 1, 1, TooManyPieces}, {math.MaxInt64, 16384, TooManyPieces}, {math.MaxInt64, MaxPieceLen, TooManyPieces},
	} {
		_, err := NewLengths(c.total, c.pieceLen)
		if got := codeOf(err); got != c.want {
			t.Errorf("%d bytes in pieces of %d: got %v, want %v", c.total, c.pieceLen, err, c.want)
		}
	}
}

func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// TestBlock: only whole blocks are blocks.
func TestBlock(t *testing.T) {
	l := mustLengths(t, 40100, 40000)
	for _, c := range []struct {
		piece, begin, length uint32
		ok                   bool
	}{
		{0, 0, 16384, true}, {0, 16384, 16384, true}, {0, 32768, 7232, true}, {1, 0, 100, true},
		{0, 0, 16383, false}, {0, 1, 16384, false}, {0, 32768, 16384, false}, {0, 49152, 1, false}, {0, 49152, 0, false},
		{1, 0, 16384, false}, {2, 0, 100, false}, {math.MaxUint32, 0, 100, false}, {0, math.MaxUint32 &^ 16383, 16384, false},
	} {
		if _, _, ok := l.Block(c.piece, c.begin, c.length); ok != c.ok {
			t.Errorf("%d:%d+%d: got %v", c.piece, c.begin, c.length, ok)
		}
	}
	if p, b, _ := l.Block(0, 32768, 7232); p != 0 || b != 2 {
		t.Errorf("got piece %d block %d", p, b)
	}
}

// TestValidRequest: what begin+length in 32 bits would let through is refused.
func TestValidRequest(t *testing.T) {
	l := mustLengths(t, 3<<20, 1<<20)
	for _, c := range []struct {
		piece, begin, length uint32
		ok                   bool
	}{
		{0, 0, 1, true}, {0, 5, 16384, true}, {0, 0, MaxRequest, true}, {2, 1<<20 - 1, 1, true},
		{0, 0, 0, false}, {0, 0, MaxRequest + 1, false}, {3, 0, 1, false}, {2, 1 << 20, 1, false}, {2, 1<<20 - 1, 2, false},
		{0, math.MaxUint32, 1, false}, {0, math.MaxUint32 - 9, 16384, false}, {math.MaxUint32, 0, 1, false},
	} {
		if got := l.ValidRequest(c.piece, c.begin, c.length); got != c.ok {
			t.Errorf("%d:%d+%d: got %v", c.piece, c.begin, c.length, got)
		}
	}
}

func TestLocate(t *testing.T) {
	l := mustLengths(t, 250, 100)
	for _, c := range []struct {
		off   int64
		piece PieceIndex
		in    int64
	}{{0, 0, 0}, {99, 0, 99}, {100, 1, 0}, {249, 2, 49}, {250, -1, 0}, {-1, -1, 0}} {
		if p, in := l.Locate(c.off); p != c.piece || in != c.in {
			t.Errorf("byte %d is %d:%d", c.off, p, in)
		}
	}
	for _, c := range []struct {
		off, n      int64
		first, last PieceIndex
	}{
		{0, 1, 0, 0}, {0, 100, 0, 0}, {0, 101, 0, 1}, {99, 2, 0, 1}, {100, 150, 1, 2}, {0, math.MaxInt64, 0, 2},
		{249, math.MaxInt64, 2, 2}, {-50, 60, 0, 0}, {0, 0, 0, -1}, {0, -1, 0, -1}, {250, 1, 0, -1}, {-50, 50, 0, -1}, {math.MinInt64, 5, 0, -1},
	} {
		if first, last := l.PiecesOf(c.off, c.n); first != c.first || last != c.last {
			t.Errorf("%d bytes at %d are pieces %d..%d, want %d..%d", c.n, c.off, first, last, c.first, c.last)
		}
	}
}

// TestZeroLengths: no pieces, and nothing to panic about.
func TestZeroLengths(t *testing.T) {
	var l Lengths
	_, _, isBlock := l.Block(0, 0, 0)
	p, _ := l.Locate(0)
	first, last := l.PiecesOf(0, 10)
	if l.Pieces() != 0 || l.TotalBlocks() != 0 || l.PieceSize(0) != 0 || l.Blocks(0) != 0 || l.PieceOffset(5) != 0 ||
		isBlock || l.ValidRequest(0, 0, 1) || p != -1 || last >= first {
		t.Errorf("the zero Lengths has something in it")
	}
}

// TestLengthsAddUp: whatever the lengths, pieces and blocks tile the payload.
func TestLengthsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		pieceLen := 1 + r.Int64N(100_000)
		l := mustLengths(t, 1+r.Int64N(50*pieceLen), pieceLen)
		var off, blocks int64
		for p := range PieceIndex(l.Pieces()) {
			off, blocks = checkPiece(t, l, p, off, blocks)
		}
		if off != l.Total() || blocks != l.TotalBlocks() {
			t.Fatalf("%+v: pieces hold %d bytes in %d blocks", l, off, blocks)
		}
	}
}

func checkPiece(t *testing.T, l Lengths, p PieceIndex, off, blocks int64) (int64, int64) {
	t.Helper()
	if l.PieceOffset(p) != off || l.PieceSize(p) < 1 {
		t.Fatalf("%+v: piece %d is %d bytes at %d, want it at %d", l, p, l.PieceSize(p), l.PieceOffset(p), off)
	}
	if at, in := l.Locate(off); at != p || in != 0 {
		t.Fatalf("%+v: byte %d is %d:%d, want the start of piece %d", l, off, at, in, p)
	}
	var size int64
	for b := range BlockIndex(l.Blocks(p)) {
		n := l.BlockLen(p, b)
		if gp, gb, ok := l.Block(uint32(p), uint32(b)*BlockSize, uint32(n)); !ok || gp != p || gb != b {
			t.Fatalf("%+v: block %d of piece %d is %d %d %v", l, b, p, gp, gb, ok)
		}
		size += int64(n)
	}
	if size != l.PieceSize(p) {
		t.Fatalf("%+v: blocks of piece %d hold %d bytes of %d", l, p, size, l.PieceSize(p))
	}
	return off + size, blocks + int64(l.Blocks(p))
}
