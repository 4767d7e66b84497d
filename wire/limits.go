package wire

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/internal/bits"
)

// Caps on what a remote may send, in bytes unless said otherwise.
const (
	// MaxPieces bounds a bitfield while the number of pieces is unknown, as long as
	// a magnet's metadata has not arrived: 2^21 pieces, a bitfield of 256 KiB.
	MaxPieces = 1 << 21
	// MaxBlock bounds the data of a piece message. We ask for 16 KiB; others may be
	// asked for more, and no client in use serves more than 128 KiB.
	MaxBlock = 128 << 10
	// MaxExtended bounds the payload of an extended message: metadata comes in
	// pieces of 16 KiB, peer lists are shorter. The largest clients stop at 1 MiB.
	MaxExtended = 1 << 20
	// MaxHashes bounds a hashes message: 512 hashes asked for at most, and proofs.
	MaxHashes = hashHead + (512+64)*32
	// MaxUnknown bounds the body of a message whose id we do not know. It is
	// skipped as it comes and never held.
	MaxUnknown = 1 << 20

	hashHead = 48 // root 32, base layer 4, index 4, length 4, proof layers 4 (BEP 52)
)

// ErrLength says that a message is longer or shorter than its kind may be.
var ErrLength = errors.New("message has a wrong length")

// Limits bounds what a Splitter accepts. The zero value stands for the caps above.
type Limits struct {
	Pieces   int32  // of the torrent; 0 while unknown
	Block    uint32 // bytes of data in a piece message; 0: MaxBlock
	Extended uint32 // bytes of payload in an extended message; 0: MaxExtended
}

// Range returns the least and the greatest length that a message may announce in
// its length prefix (the id byte counts).
func (l Limits) Range(id ID) (lo, hi uint32) {
	switch id.shape() {
	case empty:
		return 1, 1
	case index:
		return 5, 5
	case span:
		return 13, 13
	case port:
		return 3, 3
	case block:
		return 9, 9 + or(l.Block, MaxBlock)
	case tagged:
		return 2, 2 + or(l.Extended, MaxExtended)
	case blob:
		return l.blobRange(id)
	}
	return 1, 1 + MaxUnknown
}

func (l Limits) blobRange(id ID) (lo, hi uint32) {
	switch id {
	case Bitfield:
		return 1, 1 + uint32(bits.WireLen(int32(or(uint32(max(l.Pieces, 0)), MaxPieces))))
	case Hashes:
		return 1 + hashHead, 1 + MaxHashes
	default: // hash request, hash reject
		return 1 + hashHead, 1 + hashHead
	}
}

func or(v, standard uint32) uint32 {
	if v == 0 {
		return standard
	}
	return v
}

// check tells whether a message of this id may announce this length.
func (l Limits) check(id ID, length uint32) error {
	if lo, hi := l.Range(id); length < lo || length > hi {
		return fmt.Errorf("%w: %v of %d bytes, want %d to %d", ErrLength, id, length, lo, hi)
	}
	return nil
}
