package metainfo

import (
	"crypto/sha1"
	"hash"
)

// PieceHasher hashes consecutive pieces as their bytes come. It is an io.Writer
// that never fails.
type PieceHasher struct {
	pieceLen int64
	in       int64 // bytes of the piece being hashed
	h        hash.Hash
	sums     []byte
}

// NewPieceHasher hashes pieces of pieceLen bytes; the last may be shorter.
func NewPieceHasher(pieceLen int64) *PieceHasher {
	return &PieceHasher{pieceLen: max(pieceLen, 1), h: sha1.New()}
}

// Write adds payload.
func (p *PieceHasher) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		part := b[:min(int64(len(b)), p.pieceLen-p.in)]
		p.h.Write(part)
		p.in += int64(len(part))
		b = b[len(part):]
		if p.in == p.pieceLen {
			p.finish()
		}
	}
	return n, nil
}

func (p *PieceHasher) finish() {
	p.sums = p.h.Sum(p.sums)
	p.h.Reset()
	p.in = 0
}

// Sum ends the last piece and answers 20 bytes for each piece. It may be called
// again, and more pieces may follow, if the last was whole.
func (p *PieceHasher) Sum() []byte {
	if p.in > 0 {
		p.finish()
	}
	return p.sums
}
