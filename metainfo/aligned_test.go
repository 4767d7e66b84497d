package metainfo

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestAligned: files of 150, 0, 100 and 1 bytes in pieces of 100.
func TestAligned(t *testing.T) {
	l, err := NewAligned([]int64{150, 0, 100, 1}, 100)
	if err != nil || l.Pieces() != 4 || l.Total() != 251 || l.TotalBlocks() != 4 {
		t.Fatalf("%+v %v", l, err)
	}
	for _, c := range []struct {
		piece        PieceIndex
		size, offset int64
	}{{-1, 0, 0}, {0, 100, 0}, {1, 50, 100}, {2, 100, 150}, {3, 1, 250}, {4, 0, 251}} {
		if l.PieceSize(c.piece) != c.size || l.PieceOffset(c.piece) != c.offset {
			t.Errorf("piece %d is %d bytes at %d", c.piece, l.PieceSize(c.piece), l.PieceOffset(c.piece))
		}
	}
	for _, c := range []struct {
		off   int64
		piece PieceIndex
		in    int64
	}{{0, 0, 0}, {99, 0, 99}, {149, 1, 49}, {150, 2, 0}, {249, 2, 99}, {250, 3, 0}, {251, -1, 0}} {
		if p, in := l.Locate(c.off); p != c.piece || in != c.in {
			t.Errorf("byte %d is %d:%d", c.off, p, in)
		}
	}
	if first, last := l.PiecesOf(140, 20); first != 1 || last != 2 {
		t.Errorf("140..159 are pieces %d..%d", first, last)
	}
	if _, _, ok := l.Block(1, 0, 50); !ok {
		t.Error("the short piece in the middle has no block")
	}
	if l.ValidRequest(1, 0, 51) || !l.ValidRequest(1, 0, 50) {
		t.Error("requests end where the file does")
	}
}

func TestAlignedCaps(t *testing.T) {
	for _, c := range []struct {
		sizes    []int64
		pieceLen int64
		want     Code
	}{
		{[]int64{1}, 16384, 0}, {nil, 16384, InvalidLength}, {[]int64{0, 0}, 16384, InvalidLength}, {[]int64{-1}, 16384, InvalidLength},
		{[]int64{math.MaxInt64}, 16384, InvalidLength}, {[]int64{1 << 40}, 16384, TooManyPieces}, {[]int64{1}, 0, InvalidPieceLength},
		{make2M(), 16384, TooManyPieces},
	} {
		if _, err := NewAligned(c.sizes, c.pieceLen); CodeOf(err) != c.want {
			t.Errorf("%d files in pieces of %d: got %v, want %v", len(c.sizes), c.pieceLen, err, c.want)
		}
	}
}

// make2M are more files of one byte than there may be pieces.
func make2M() []int64 {
	s := make([]int64, MaxPieces+1)
	for i := range s {
		s[i] = 1
	}
	return s
}

// TestAlignedAddUp: pieces and blocks tile the files, whatever their sizes.
func TestAlignedAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		pieceLen := int64(BlockSize) << r.IntN(4)
		sizes := []int64{1 + r.Int64N(pieceLen)}
		for range r.IntN(10) {
			sizes = append(sizes, r.Int64N(5*pieceLen)*r.Int64N(2))
		}
		l, err := NewAligned(sizes, pieceLen)
		if err != nil {
			t.Fatal(err)
		}
		var off, blocks int64
		for p := range PieceIndex(l.Pieces()) {
			off, blocks = checkPiece(t, l, p, off, blocks)
		}
		if off != l.Total() || blocks != l.TotalBlocks() {
			t.Fatalf("%v: pieces hold %d bytes in %d blocks", sizes, off, blocks)
		}
	}
}
