package wire

import (
	"encoding/binary"
	"fmt"
)

// Message is any message but the handshake. Which fields count depends on ID:
//
//	have, suggest, allowed fast      Index
//	request, cancel, reject          Index, Begin, Length
//	piece                            Index, Begin, Payload; Length is len(Payload)
//	bitfield, hash messages          Payload
//	port                             Index holds the port; see PortMessage
//	extended                         Index holds the extended id; see ExtendedMessage
//
// Indexes are as the remote wrote them, not yet compared with any torrent.
type Message struct {
	ID                   ID
	Index, Begin, Length uint32
	Payload              []byte // a view: its owner says how long it holds
}

// PieceHeaderLen is the length of what precedes the data of a piece message:
// length 4, id 1, index 4, begin 4.
const PieceHeaderLen = 13

// PortMessage says where the sender's DHT node listens (BEP 5).
func PortMessage(port uint16) Message { return Message{ID: Port, Index: uint32(port)} }

// ExtendedMessage wraps a payload (BEP 10); id 0 is the extension handshake, others
// are those that the receiver chose in its own.
func ExtendedMessage(id uint8, payload []byte) Message {
	return Message{ID: Extended, Index: uint32(id), Payload: payload}
}

// Port returns the port of a port message.
func (m Message) Port() uint16 { return uint16(m.Index) }

// ExtendedID returns the extended id of an extended message.
func (m Message) ExtendedID() uint8 { return uint8(m.Index) }

// WireLen returns the bytes that Append will write.
func (m Message) WireLen() int { return 4 + int(m.length()) }

// length is the value of the length prefix.
func (m Message) length() uint32 {
	if m.ID == KeepAlive {
		return 0
	}
	fixed, _ := Limits{}.Range(m.ID)
	switch m.ID.shape() {
	case block, tagged:
		return fixed + uint32(len(m.Payload))
	case blob, unknown:
		return 1 + uint32(len(m.Payload))
	}
	return fixed
}

// Append appends m as it goes on the wire. Payload is copied; senders of blocks use
// AppendPieceHeader and hand the data to the socket as it lies.
func Append(dst []byte, m Message) []byte {
	dst = binary.BigEndian.AppendUint32(dst, m.length())
	if m.ID == KeepAlive {
		return dst
	}
	dst = append(dst, byte(m.ID))
	switch m.ID.shape() {
	case index:
		return binary.BigEndian.AppendUint32(dst, m.Index)
	case span:
		return appendThree(dst, m.Index, m.Begin, m.Length)
	case port:
		return binary.BigEndian.AppendUint16(dst, m.Port())
	case block:
		dst = binary.BigEndian.AppendUint32(dst, m.Index)
		dst = binary.BigEndian.AppendUint32(dst, m.Begin)
	case tagged:
		dst = append(dst, m.ExtendedID())
	case empty:
		return dst
	}
	return append(dst, m.Payload...)
}

// AppendPieceHeader appends the 13 bytes that precede the n bytes of a block.
func AppendPieceHeader(dst []byte, index, begin, n uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 9+n)
	dst = append(dst, byte(Piece))
	dst = binary.BigEndian.AppendUint32(dst, index)
	return binary.BigEndian.AppendUint32(dst, begin)
}

func appendThree(dst []byte, a, b, c uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, a)
	dst = binary.BigEndian.AppendUint32(dst, b)
	return binary.BigEndian.AppendUint32(dst, c)
}

// Parse reads one message without its length prefix, within the limits. An empty b
// is a keep-alive. Payload is a view of b. A message of unknown id has its body as
// Payload; receivers ignore those.
func Parse(b []byte, l Limits) (Message, error) {
	if len(b) == 0 {
		return Message{ID: KeepAlive}, nil
	}
	id := ID(b[0])
	if uint64(len(b)) > 1<<32-1 {
		return Message{}, fmt.Errorf("%w: %v", ErrLength, id)
	}
	if err := l.check(id, uint32(len(b))); err != nil {
		return Message{}, err
	}
	return parse(id, b[1:]), nil
}

// parse reads a body whose length has been checked.
func parse(id ID, b []byte) Message {
	m := Message{ID: id}
	switch id.shape() {
	case empty:
	case index:
		m.Index = binary.BigEndian.Uint32(b)
	case span:
		m.Index, m.Begin, m.Length = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	case port:
		m.Index = uint32(binary.BigEndian.Uint16(b))
	case block:
		m.Index, m.Begin = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
		m.Payload = b[8:]
		m.Length = uint32(len(m.Payload))
	case tagged:
		m.Index, m.Payload = uint32(b[0]), b[1:]
	default: // blob, unknown
		m.Payload = b
	}
	return m
}

// String prints m for logs and tests, "request 5 16384+16384".
func (m Message) String() string {
	switch m.ID.shape() {
	case empty:
		return m.ID.String()
	case index:
		return fmt.Sprintf("%v %d", m.ID, m.Index)
	case span:
		return fmt.Sprintf("%v %d %d+%d", m.ID, m.Index, m.Begin, m.Length)
	case port:
		return fmt.Sprintf("%v %d", m.ID, m.Port())
	case block:
		return fmt.Sprintf("%v %d %d+%d", m.ID, m.Index, m.Begin, len(m.Payload))
	case tagged:
		return fmt.Sprintf("%v %d, %d bytes", m.ID, m.ExtendedID(), len(m.Payload))
	}
	if m.ID == KeepAlive {
		return m.ID.String()
	}
	return fmt.Sprintf("%v, %d bytes", m.ID, len(m.Payload))
}
