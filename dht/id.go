package dht

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/bits"
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// IDLen is the length of an ID in bytes; IDBits in bits.
const (
	IDLen  = 20
	IDBits = 8 * IDLen
)

// ID is a place in the key space: a node's id, an info-hash (of BitTorrent v2 its
// first 20 bytes, BEP 52) or an item's target. Distance is XOR (BEP 5, "Overview").
type ID [IDLen]byte

// Contact is a node and where it listens.
type Contact struct {
	ID   ID
	Addr netip.AddrPort // never an IPv4 address in IPv6 clothes
}

// ParseID reads 40 hex digits.
func ParseID(s string) (id ID, err error) {
	if len(s) != 2*IDLen {
		return id, fmt.Errorf("an id has %d hex digits, not %d", 2*IDLen, len(s))
	}
	_, err = hex.Decode(id[:], []byte(s))
	return id, err
}

// String is 40 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is all zeros, which no node has.
func (id ID) IsZero() bool { return id == ID{} }

// Compare says which of two ids is closer to target: negative if a is, positive if
// b is, 0 if they are the same.
func Compare(target, a, b ID) int {
	for i := 0; i < 16; i += 8 {
		t := binary.BigEndian.Uint64(target[i:])
		x, y := binary.BigEndian.Uint64(a[i:])^t, binary.BigEndian.Uint64(b[i:])^t
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	t := binary.BigEndian.Uint32(target[16:])
	return cmp.Compare(binary.BigEndian.Uint32(a[16:])^t, binary.BigEndian.Uint32(b[16:])^t)
}

// Closer reports whether a is closer to target than b is.
func Closer(target, a, b ID) bool { return Compare(target, a, b) < 0 }

// CommonPrefix is the number of leading bits that a and b share, 0 to IDBits.
func CommonPrefix(a, b ID) int {
	for i := 0; i < 16; i += 8 {
		if x := binary.BigEndian.Uint64(a[i:]) ^ binary.BigEndian.Uint64(b[i:]); x != 0 {
			return 8*i + bits.LeadingZeros64(x)
		}
	}
	return 128 + bits.LeadingZeros32(binary.BigEndian.Uint32(a[16:])^binary.BigEndian.Uint32(b[16:]))
}

// RandomID draws an id evenly from the whole space.
func RandomID(rnd *rand.Rand) (id ID) {
	binary.BigEndian.PutUint64(id[0:], rnd.Uint64())
	binary.BigEndian.PutUint64(id[8:], rnd.Uint64())
	binary.BigEndian.PutUint32(id[16:], rnd.Uint32())
	return id
}

// RandomIn draws an id that shares exactly prefix leading bits with own: a target in
// the range of a bucket. With prefix IDBits or more it is own.
func RandomIn(own ID, prefix int, rnd *rand.Rand) ID {
	if prefix >= IDBits {
		return own
	}
	id := RandomID(rnd)
	whole, bit := prefix/8, prefix%8
	copy(id[:whole], own[:whole])
	keep := ^(byte(0xff) >> bit) // bits of the byte that stay own's
	flip := byte(0x80) >> bit    // the first bit that differs
	id[whole] = own[whole]&keep | ^own[whole]&flip | id[whole]&^(keep|flip)
	return id
}

// castagnoli is CRC32C, "chosen as the hash function" of BEP 42.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SecureID draws an id that BEP 42 allows at an external address.
func SecureID(ip netip.Addr, rnd *rand.Rand) ID {
	id := RandomID(rnd)
	crc := secureCRC(ip, id[19]&7)
	// "The first (most significant) 21 bits of the node ID used in the DHT MUST match
	// the first 21 bits of the resulting hash."
	id[0], id[1] = byte(crc>>24), byte(crc>>16)
	id[2] = byte(crc>>8)&0xf8 | id[2]&7
	return id
}

// Secure reports whether BEP 42 allows id at an address. "Any peer on a local network
// address is exempt from this node ID verification."
func Secure(id ID, ip netip.Addr) bool {
	if ipclass.IsLocal(ip) {
		return true
	}
	crc := secureCRC(ip, id[19]&7)
	return (binary.BigEndian.Uint32(id[:])^crc)>>11 == 0
}

// secureCRC is the hash of BEP 42, "Node ID restriction": of the masked address, of
// IPv6 its first half, with the three random bits r on top.
func secureCRC(ip netip.Addr, r byte) uint32 {
	var b [8]byte
	n := 8
	mask := [8]byte{0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff}
	if ip = ip.Unmap(); ip.Is4() {
		a := ip.As4()
		copy(b[:], a[:])
		n, mask = 4, [8]byte{0x03, 0x0f, 0x3f, 0xff}
	} else {
		a := ip.As16()
		copy(b[:], a[:])
	}
	for i := range n {
		b[i] &= mask[i]
	}
	b[0] |= r << 5
	// As crc32.Checksum does it, which would move these few bytes to the heap.
	crc := ^uint32(0)
	for _, x := range b[:n] {
		crc = castagnoli[byte(crc)^x] ^ crc>>8
	}
	return ^crc
}

// compareBytes orders ids as plain numbers: the order of the stores' slices.
func compareBytes(a, b ID) int { return bytes.Compare(a[:], b[:]) }
