package utp

import (
	"encoding/binary"
	"errors"
)

// Type is what a packet is for (BEP 29, "type").
type Type uint8

// The types of BEP 29.
const (
	Data  Type = 0 // carries payload, takes a sequence number
	Fin   Type = 1 // the last sequence number of its direction
	State Type = 2 // an acknowledgement, takes no sequence number
	Reset Type = 3 // the connection is not known, or given up
	Syn   Type = 4 // asks for a connection
)

// String names the type as BEP 29 does.
func (t Type) String() string {
	names := [...]string{"DATA", "FIN", "STATE", "RESET", "SYN"}
	if int(t) < len(names) {
		return names[t]
	}
	return "invalid"
}

const (
	version = 1

	// HeaderSize is the size of a header without extensions, in bytes.
	HeaderSize = 20

	extNone = 0
	extSACK = 1
	// extPadding is not assigned. "Unknown extensions can be skipped by simply
	// advancing len bytes" (BEP 29, "extension"), so it makes a packet longer.
	extPadding = 0xf5

	maxExtension = 255 // bytes of one extension: its length is a byte
)

// Errors of Parse. A datagram that fails is dropped; it is the remote's fault or not
// uTP at all.
var (
	ErrShort     = errors.New("utp: datagram shorter than a header")
	ErrVersion   = errors.New("utp: datagram is not uTP version 1")
	ErrType      = errors.New("utp: packet of unknown type")
	ErrExtension = errors.New("utp: extension header runs beyond the packet")
	ErrEmpty     = errors.New("utp: DATA without data")
)

// Header is the fixed part of a packet, in host order.
type Header struct {
	Type      Type
	ConnID    uint16
	Timestamp uint32 // microseconds of the sender's clock
	Diff      uint32 // microseconds: one-way delay that the sender saw last, with the offset of the clocks
	Window    uint32 // bytes that the sender can take
	Seq, Ack  uint16
}

// Packet is a parsed datagram. Its slices point into the datagram.
type Packet struct {
	Header
	SACK    []byte // bit i stands for Ack+2+i, least significant bit first; nil if none
	Payload []byte // of DATA; nil otherwise
	Size    int    // bytes of the datagram
}

// IsPacket reports, by the first bytes alone, whether a datagram may be uTP: what a
// socket shared with the DHT ('d' begins its messages) and UDP trackers needs.
func IsPacket(b []byte) bool {
	return len(b) >= HeaderSize && b[0]&0x0f == version && Type(b[0]>>4) <= Syn
}

// Parse reads a datagram. It keeps no reference but those in the packet.
func Parse(b []byte) (Packet, error) {
	p := Packet{Size: len(b)}
	if len(b) < HeaderSize {
		return p, ErrShort
	}
	if b[0]&0x0f != version {
		return p, ErrVersion
	}
	p.Type = Type(b[0] >> 4)
	if p.Type > Syn {
		return p, ErrType
	}
	p.ConnID = binary.BigEndian.Uint16(b[2:])
	p.Timestamp = binary.BigEndian.Uint32(b[4:])
	p.Diff = binary.BigEndian.Uint32(b[8:])
	p.Window = binary.BigEndian.Uint32(b[12:])
	p.Seq = binary.BigEndian.Uint16(b[16:])
	p.Ack = binary.BigEndian.Uint16(b[18:])
	rest, err := p.extensions(b[1], b[HeaderSize:])
	if err != nil || p.Type != Data {
		return p, err
	}
	if len(rest) == 0 {
		// "An ST_DATA packet always has a data payload."
		return p, ErrEmpty
	}
	p.Payload = rest
	return p, nil
}

// extensions walks the linked list of extension headers and returns what follows it.
func (p *Packet) extensions(kind byte, b []byte) ([]byte, error) {
	for kind != extNone {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return nil, ErrExtension
		}
		next, body := b[0], b[2:2+int(b[1])]
		if kind == extSACK && p.SACK == nil {
			p.SACK = body
		}
		kind, b = next, b[2+len(body):]
	}
	return b, nil
}

// put writes the header to b, which has at least HeaderSize bytes; ext is the type of
// the first extension.
func (h *Header) put(b []byte, ext byte) {
	b[0] = byte(h.Type)<<4 | version
	b[1] = ext
	binary.BigEndian.PutUint16(b[2:], h.ConnID)
	binary.BigEndian.PutUint32(b[4:], h.Timestamp)
	binary.BigEndian.PutUint32(b[8:], h.Diff)
	binary.BigEndian.PutUint32(b[12:], h.Window)
	binary.BigEndian.PutUint16(b[16:], h.Seq)
	binary.BigEndian.PutUint16(b[18:], h.Ack)
}

// putPadding fills b, which is 0 or at least 2 bytes long, with extension headers.
func putPadding(b []byte) {
	for len(b) > 0 {
		n := min(len(b)-2, maxExtension)
		if left := len(b) - 2 - n; left == 1 {
			n-- // leave room for the next one's header
		}
		b[0], b[1] = extPadding, byte(n)
		body := b[2 : 2+n]
		clear(body)
		if len(b) == 2+n {
			b[0] = extNone
		}
		b = b[2+n:]
	}
}

// PutReset writes to b the answer to a packet that belongs to no connection and
// returns its size. It is shorter than or as long as any packet, so it amplifies
// nothing. random makes its sequence number; never answer a RESET.
func PutReset(b []byte, p *Packet, random uint16, now Time) int {
	h := Header{Type: Reset, ConnID: p.ConnID, Timestamp: micros(now), Seq: random, Ack: p.Seq}
	h.put(b, extNone)
	return HeaderSize
}
