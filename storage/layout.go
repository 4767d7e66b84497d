package storage

import (
	"slices"
	"sort"

	"github.com/shoal-bt/shoal/metainfo"
)

// layout maps the payload's bytes to files. It is immutable.
type layout struct {
	metainfo.Lengths
	files  []metainfo.File
	shared []metainfo.PieceIndex // pieces in which a file begins, not at the piece's own begin
}

// span is a stretch of one file.
type span struct {
	file int32
	off  int64 // in the file
	n    int64
}

func newLayout(t *metainfo.Torrent) *layout {
	l := &layout{Lengths: t.Lengths, files: t.Files}
	for i := range l.files {
		p, at := l.Locate(l.files[i].Offset)
		if at > 0 && (len(l.shared) == 0 || l.shared[len(l.shared)-1] != p) {
			l.shared = append(l.shared, p)
		}
	}
	return l
}

// hasData reports whether the file has bytes that are stored somewhere.
func (l *layout) hasData(file int32) bool {
	f := &l.files[file]
	return !f.Pad() && !f.Symlink() && f.Length > 0
}

func (l *layout) end(i int) int64 { return l.files[i].Offset + l.files[i].Length }

// firstAt returns the first file that ends behind payload offset off.
func (l *layout) firstAt(off int64) int {
	return sort.Search(len(l.files), func(i int) bool { return l.end(i) > off })
}

// spans appends the stretches of files that hold n payload bytes at off, in order.
func (l *layout) spans(dst []span, off, n int64) []span {
	for i := l.firstAt(off); i < len(l.files) && l.files[i].Offset < off+n; i++ {
		from := max(off, l.files[i].Offset)
		if m := min(off+n, l.end(i)) - from; m > 0 {
			dst = append(dst, span{int32(i), from - l.files[i].Offset, m})
		}
	}
	return dst
}

// pieceSpans appends the stretches of a piece.
func (l *layout) pieceSpans(dst []span, p metainfo.PieceIndex) []span {
	return l.spans(dst, l.PieceOffset(p), l.PieceSize(p))
}

// piecesOf returns the range of pieces, both ends included, that hold bytes of a
// file; last < first if it has none.
func (l *layout) piecesOf(file int32) (first, last metainfo.PieceIndex) {
	return l.PiecesOf(l.files[file].Offset, l.files[file].Length)
}

// partOffset is where a payload offset lies in the part store, which holds what
// belongs to files that are not wanted. Pieces in which a file begins come first,
// since as a rule only they are stored there; so the store stays small even where
// holes take space.
func (l *layout) partOffset(off int64) int64 {
	p, at := l.Locate(off)
	slot, shared := slices.BinarySearch(l.shared, p)
	if !shared {
		slot = len(l.shared) + int(p)
	}
	return int64(slot)*l.PieceLen() + at
}
