package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// HandshakeLen is the length of a handshake in bytes.
const HandshakeLen = 68

// handshakeHead is what every handshake begins with: "character nineteen (decimal)
// followed by the string 'BitTorrent protocol'" (BEP 3).
const handshakeHead = "\x13BitTorrent protocol"

// ErrNotBitTorrent says that the remote's first bytes are no BitTorrent handshake.
// It may speak another protocol, or an encrypted one.
var ErrNotBitTorrent = errors.New("not a BitTorrent handshake")

// Reserved are the eight reserved bytes of the handshake as one big-endian number:
// what the sender can do.
type Reserved uint64

// The bits in use.
const (
	FlagDHT       Reserved = 1 << 0  // BEP 5: "the last bit of the 8-byte reserved flags"
	FlagFast      Reserved = 1 << 2  // BEP 6: "reserved[7] |= 0x04"
	FlagV2        Reserved = 1 << 4  // BEP 52: "the 4th most significant bit in the last byte of the reserved bitfield"
	FlagExtension Reserved = 1 << 20 // BEP 10: "reserved_byte[5] & 0x10"
)

var flagNames = []struct {
	flag Reserved
	name string
}{{FlagDHT, "dht"}, {FlagFast, "fast"}, {FlagV2, "v2"}, {FlagExtension, "extension"}}

// Has reports whether all bits of f are set.
func (r Reserved) Has(f Reserved) bool { return r&f == f }

// String lists the flags in use, "dht fast extension", then other bits in hex.
func (r Reserved) String() string {
	var out []string
	for _, n := range flagNames {
		if r.Has(n.flag) {
			out = append(out, n.name)
			r &^= n.flag
		}
	}
	if r != 0 {
		out = append(out, fmt.Sprintf("%#x", uint64(r)))
	}
	return strings.Join(out, " ")
}

// Handshake opens a connection in each direction. InfoHash is the v1 info-hash, or
// the v2 info-hash cut to 20 bytes (BEP 52).
type Handshake struct {
	Reserved Reserved
	InfoHash [20]byte
	PeerID   [20]byte
}

// AppendHandshake appends the 68 bytes of h.
func AppendHandshake(dst []byte, h Handshake) []byte {
	dst = append(dst, handshakeHead...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Reserved))
	dst = append(dst, h.InfoHash[:]...)
	return append(dst, h.PeerID[:]...)
}

// ParseHandshake reads the first 68 bytes of b and keeps nothing of them. It fails
// with ErrNotBitTorrent, also when b is shorter.
func ParseHandshake(b []byte) (Handshake, error) {
	if err := checkHandshakeHead(b); err != nil {
		return Handshake{}, err
	}
	if len(b) < HandshakeLen {
		return Handshake{}, fmt.Errorf("%w: ends after %d bytes", ErrNotBitTorrent, len(b))
	}
	return Handshake{
		Reserved: Reserved(binary.BigEndian.Uint64(b[20:])),
		InfoHash: [20]byte(b[28:48]),
		PeerID:   [20]byte(b[48:68]),
	}, nil
}

// LooksLikeHandshake reports whether b, however short, can be the beginning of a
// plain handshake.
func LooksLikeHandshake(b []byte) bool {
	n := min(len(b), len(handshakeHead))
	return string(b[:n]) == handshakeHead[:n]
}

func checkHandshakeHead(b []byte) error {
	if LooksLikeHandshake(b) {
		return nil
	}
	return fmt.Errorf("%w: begins with %q", ErrNotBitTorrent, b[:min(len(b), 8)])
}
