package metainfo

import (
	"fmt"
	"sort"
)

// alignment is where the files of a v2 torrent begin. BEP 52: "files are aligned
// to piece boundaries", that is, the last piece of each file is as short as the
// file ends, and nothing is between files.
type alignment struct {
	first  []PieceIndex // of each file that has bytes, its first piece
	offset []int64      // and its first byte in the payload
	blocks int64        // of all pieces
}

// NewAligned divides files of these sizes, in bytes, into pieces of at most
// pieceLen bytes, each file beginning a new piece. Empty files have no pieces.
// Offsets count the bytes of the files without padding. Errors are those of
// NewLengths.
func NewAligned(sizes []int64, pieceLen int64) (Lengths, error) {
	if pieceLen < 1 || pieceLen > MaxPieceLen {
		return Lengths{}, badPieceLen(pieceLen)
	}
	a := &alignment{}
	l := Lengths{pieceLen: pieceLen, perPiece: blocksIn(pieceLen), aligned: a}
	var pieces int64
	for _, size := range sizes {
		if size == 0 {
			continue
		}
		if size < 0 || size > maxTotal-l.total {
			return Lengths{}, &Error{InvalidLength, fmt.Sprintf("a file of %d bytes", size)}
		}
		n := (size-1)/pieceLen + 1
		if pieces+n > MaxPieces {
			return Lengths{}, tooManyPieces(pieces + n)
		}
		a.first = append(a.first, PieceIndex(pieces))
		a.offset = append(a.offset, l.total)
		l.last = size - (n-1)*pieceLen
		a.blocks += (n-1)*int64(l.perPiece) + int64(blocksIn(l.last))
		l.total += size
		pieces += n
	}
	l.pieces = int32(pieces)
	if pieces == 0 {
		return Lengths{}, &Error{InvalidLength, "total size 0 is not positive"}
	}
	return l, nil
}

// fileOf is the file, among those with bytes, that holds piece p.
func (a *alignment) fileOf(p PieceIndex) int {
	return sort.Search(len(a.first), func(i int) bool { return a.first[i] > p }) - 1
}

// alignedSize is PieceSize of a valid piece that is not the last.
func (l Lengths) alignedSize(p PieceIndex) int64 {
	return l.alignedOffset(p+1) - l.alignedOffset(p)
}

func (l Lengths) alignedOffset(p PieceIndex) int64 {
	if int32(p) >= l.pieces {
		return l.total
	}
	p = max(p, 0)
	f := l.aligned.fileOf(p)
	return l.aligned.offset[f] + int64(p-l.aligned.first[f])*l.pieceLen
}

// alignedLocate is Locate of an offset inside the payload.
func (l Lengths) alignedLocate(off int64) (PieceIndex, int64) {
	f := sort.Search(len(l.aligned.offset), func(i int) bool { return l.aligned.offset[i] > off }) - 1
	in := off - l.aligned.offset[f]
	return l.aligned.first[f] + PieceIndex(in/l.pieceLen), in % l.pieceLen
}
