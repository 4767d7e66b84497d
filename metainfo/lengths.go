package metainfo

import "fmt"

// PieceIndex numbers the pieces of a torrent from 0.
type PieceIndex int32

// BlockIndex numbers the blocks of one piece from 0.
type BlockIndex int32

// FileIndex numbers the files of a torrent from 0, pad files included.
type FileIndex int32

const (
	// BlockSize is what one request asks for, in bytes. BEP 3: "All current
	// implementations use 2^14 (16 kiB)".
	BlockSize = 16384

	// MaxPieceLen is the longest piece in bytes: 32767 blocks, so that a block
	// index fits 15 bits. It is the bound that libtorrent sets as well.
	MaxPieceLen = 32767 * BlockSize

	// MaxPieces bounds the number of pieces, and with it every bitfield, table
	// of availability and list of hashes (40 MiB of SHA-1 at most).
	MaxPieces = 1 << 21

	// MaxRequest is the most that a remote may ask for in one request, in bytes.
	// BEP 3 peers of old asked for up to 128 KiB; nobody asks for more.
	MaxRequest = 128 << 10
)

// Lengths knows how a torrent's bytes divide into pieces and pieces into
// blocks. It is the only place of such arithmetic: nobody outside this file
// multiplies an index by a length, because in a v2 torrent (BEP 52) every file
// begins a new piece and pieces are not contiguous.
//
// It is a small value, safe to copy. The zero Lengths has no pieces. No method
// panics: sizes of pieces that do not exist are 0.
type Lengths struct {
	total    int64 // bytes of payload
	pieceLen int64 // bytes of every piece but the last
	last     int64 // bytes of the last piece, 1..pieceLen
	pieces   int32
	perPiece int32 // blocks of a full piece

	aligned *alignment // where files begin pieces; nil if pieces are contiguous
}

// NewLengths divides total bytes into contiguous pieces of pieceLen bytes, which
// need not be a multiple of BlockSize. The error is an *Error of code InvalidLength,
// InvalidPieceLength or TooManyPieces.
func NewLengths(total, pieceLen int64) (Lengths, error) {
	if pieceLen < 1 || pieceLen > MaxPieceLen {
		return Lengths{}, badPieceLen(pieceLen)
	}
	if total < 1 {
		return Lengths{}, &Error{InvalidLength, fmt.Sprintf("total size %d is not positive", total)}
	}
	n := (total-1)/pieceLen + 1
	if n > MaxPieces {
		return Lengths{}, tooManyPieces(n)
	}
	return Lengths{
		total:    total,
		pieceLen: pieceLen,
		last:     total - (n-1)*pieceLen,
		pieces:   int32(n),
		perPiece: blocksIn(pieceLen),
	}, nil
}

func badPieceLen(n int64) error {
	return &Error{InvalidPieceLength, fmt.Sprintf("piece length %d is not in 1..%d", n, MaxPieceLen)}
}

func tooManyPieces(n int64) error {
	return &Error{TooManyPieces, fmt.Sprintf("%d, the limit is %d", n, MaxPieces)}
}

// blocksIn is how many blocks hold n bytes of one piece.
func blocksIn(n int64) int32 { return int32((n + BlockSize - 1) / BlockSize) }

// Total is the size of the whole payload in bytes.
func (l Lengths) Total() int64 { return l.total }

// PieceLen is the nominal piece length in bytes, also when the only piece is
// shorter.
func (l Lengths) PieceLen() int64 { return l.pieceLen }

// Pieces is the number of pieces.
func (l Lengths) Pieces() int32 { return l.pieces }

// Valid says whether piece p exists.
func (l Lengths) Valid(p PieceIndex) bool { return uint32(p) < uint32(l.pieces) }

// PieceSize is the size of piece p in bytes, 0 when there is no such piece.
func (l Lengths) PieceSize(p PieceIndex) int64 {
	switch {
	case !l.Valid(p):
		return 0
	case int32(p) == l.pieces-1:
		return l.last
	case l.aligned != nil:
		return l.alignedSize(p)
	}
	return l.pieceLen
}

// PieceOffset is where piece p begins in the payload, in bytes. The piece after
// the last begins at Total.
func (l Lengths) PieceOffset(p PieceIndex) int64 {
	if l.aligned != nil {
		return l.alignedOffset(p)
	}
	return min(max(int64(p), 0)*l.pieceLen, l.total)
}

// Blocks is the number of blocks of piece p, 0 when there is no such piece.
func (l Lengths) Blocks(p PieceIndex) int32 {
	if l.aligned == nil && int32(p) < l.pieces-1 && p >= 0 {
		return l.perPiece
	}
	return blocksIn(l.PieceSize(p))
}

// BlockLen is the size of block b of piece p in bytes: BlockSize, or less at
// the end of a piece; 0 when there is no such block.
func (l Lengths) BlockLen(p PieceIndex, b BlockIndex) int32 {
	if b < 0 {
		return 0
	}
	return int32(max(min(l.PieceSize(p)-int64(b)*BlockSize, BlockSize), 0))
}

// TotalBlocks is the number of blocks of all pieces.
func (l Lengths) TotalBlocks() int64 {
	if l.pieces == 0 {
		return 0
	}
	if l.aligned != nil {
		return l.aligned.blocks
	}
	return int64(l.pieces-1)*int64(l.perPiece) + int64(l.Blocks(PieceIndex(l.pieces-1)))
}

// Block names the block at these wire coordinates, if it is exactly a block as
// we request it: begin on a block boundary, the whole block.
func (l Lengths) Block(piece, begin, length uint32) (PieceIndex, BlockIndex, bool) {
	if piece >= uint32(l.pieces) || begin%BlockSize != 0 {
		return 0, 0, false
	}
	p, b := PieceIndex(piece), BlockIndex(begin/BlockSize)
	want := l.BlockLen(p, b)
	if want == 0 || uint32(want) != length {
		return 0, 0, false
	}
	return p, b, true
}

// ValidRequest says whether a remote may ask us for these bytes: at least one
// and at most MaxRequest, all inside one existing piece.
func (l Lengths) ValidRequest(piece, begin, length uint32) bool {
	if piece >= uint32(l.pieces) || length == 0 || length > MaxRequest {
		return false
	}
	return int64(begin)+int64(length) <= l.PieceSize(PieceIndex(piece))
}

// Locate finds the piece that holds payload byte off and the byte's place in
// it. Outside the payload it answers (-1, 0).
func (l Lengths) Locate(off int64) (PieceIndex, int64) {
	if off < 0 || off >= l.total {
		return -1, 0
	}
	if l.aligned != nil {
		return l.alignedLocate(off)
	}
	return PieceIndex(off / l.pieceLen), off % l.pieceLen
}

// PiecesOf is the range of pieces, both ends included, that hold any of the n
// payload bytes at off; what lies outside the payload is ignored. An empty
// range has last < first.
func (l Lengths) PiecesOf(off, n int64) (first, last PieceIndex) {
	if off < 0 {
		off, n = 0, n+off
	}
	if n <= 0 || off >= l.total {
		return 0, -1
	}
	n = min(n, l.total-off)
	first, _ = l.Locate(off)
	last, _ = l.Locate(off + n - 1)
	return first, last
}
