package wire

import "encoding/binary"

// EventKind says what a Splitter has found.
type EventKind uint8

// What Next returns.
const (
	NeedMore     EventKind = iota // the chunk is used up
	GotHandshake                  // Msg.Payload: the 68 bytes, for ParseHandshake
	Msg                           // Msg: any message but piece
	PieceStart                    // Msg: Index, Begin, Length of the block that follows
	PieceData                     // Msg as at PieceStart; Msg.Payload: the next bytes of the block, at Offset
	PieceEnd                      // Msg as at PieceStart: the block is complete
)

// Event is one finding. Msg.Payload is a view that holds until the next call of
// Next and only as long as the chunk does.
type Event struct {
	Kind   EventKind
	Offset uint32 // PieceData: where in the block Payload begins
	Msg    Message
}

// headLen is the longest message that is gathered in place: a request with its
// length prefix.
const headLen = 17

// Splitter cuts what a socket delivers into messages, whatever the boundaries of
// the chunks. The data of blocks is passed on as it comes, never held. Between calls
// a Splitter holds at most the beginning of a message: up to 17 bytes in itself, a
// longer control message in a buffer that grows as bytes arrive and is let go with
// its message. The zero value is ready, with the caps of the package. A Splitter is
// owned by the reader of one connection.
type Splitter struct {
	// Limits may be changed between calls, as when a magnet's metadata arrives.
	Limits Limits

	err  error
	buf  []byte  // a handshake or long message that straddles chunks
	msg  Message // the message at hand, for inPiece and inBody
	left uint32  // its bytes that are still to come
	off  uint32  // inPiece: data passed on so far
	in   state
	fill uint8 // bytes in head
	head [headLen]byte
}

type state uint8

const (
	inHead state = iota
	inBody
	inPiece
	inSkip
	inHandshake
)

// ExpectHandshake makes the next 68 bytes a handshake. It is to be called before
// the first bytes.
func (s *Splitter) ExpectHandshake() {
	s.in, s.left = inHandshake, HandshakeLen
}

// Idle reports whether the Splitter stands between two messages.
func (s *Splitter) Idle() bool { return s.in == inHead && s.fill == 0 }

// Held returns the bytes that the Splitter keeps outside itself, for accounting.
func (s *Splitter) Held() int { return cap(s.buf) }

// Next returns the first event of chunk and what is behind it. Call it with rest
// until it says NeedMore; the chunk's memory may then be used again. An error is
// final: the remote broke the protocol.
func (s *Splitter) Next(chunk []byte) (ev Event, rest []byte, err error) {
	if s.err != nil {
		return Event{}, nil, s.err
	}
	if s.in == inHead {
		s.buf = nil // what the last event showed
	}
	for {
		switch s.in {
		case inPiece:
			return s.piece(chunk)
		case inBody, inHandshake:
			return s.body(chunk)
		case inSkip:
			if chunk = s.skip(chunk); s.in == inSkip {
				return Event{}, nil, nil
			}
		case inHead:
			ev, chunk, err = s.header(chunk)
			if s.in != inHead && ev.Kind == NeedMore && err == nil {
				continue
			}
			return ev, chunk, s.keep(err)
		}
	}
}

func (s *Splitter) keep(err error) error {
	s.err = err
	return err
}

// header gathers the bytes that decide what a message is, from the chunk if they
// are all there. It returns NeedMore with a new state when the body decides.
func (s *Splitter) header(chunk []byte) (Event, []byte, error) {
	need := 4
	if s.fill == 0 && len(chunk) >= 5 {
		need = 5 // saves a round; a keep-alive goes back to 4
	}
	for {
		var h []byte
		if s.fill == 0 && len(chunk) >= need {
			h = chunk[:need]
		} else if chunk = s.gather(chunk, need); int(s.fill) < need {
			return Event{}, nil, nil
		} else {
			h = s.head[:need]
		}
		more, err := s.Limits.headNeeds(h)
		if err != nil {
			return Event{}, nil, err
		}
		if more == need {
			if s.fill == 0 {
				chunk = chunk[need:]
			}
			s.fill = 0
			return s.open(h), chunk, nil
		}
		need = more
	}
}

// gather moves bytes from chunk to head until head holds need of them.
func (s *Splitter) gather(chunk []byte, need int) []byte {
	if int(s.fill) >= need {
		return chunk
	}
	n := copy(s.head[s.fill:need], chunk)
	s.fill += uint8(n)
	return chunk[n:]
}

// headNeeds returns how many bytes of a message must be seen together, given its
// first len(h): at least len(h), and that when nothing is missing.
func (l Limits) headNeeds(h []byte) (int, error) {
	length := binary.BigEndian.Uint32(h)
	if length == 0 {
		return 4, nil
	}
	if len(h) < 5 {
		return 5, nil
	}
	id := ID(h[4])
	if err := l.check(id, length); err != nil {
		return 0, err
	}
	switch id.shape() {
	case block:
		return PieceHeaderLen, nil
	case blob, unknown:
		return 5, nil
	case tagged:
		return 6, nil
	}
	return 4 + int(length), nil
}

// open begins the message whose head is complete and checked.
func (s *Splitter) open(h []byte) Event {
	if len(h) == 4 {
		return Event{Kind: Msg, Msg: Message{ID: KeepAlive}}
	}
	id := ID(h[4])
	s.left = binary.BigEndian.Uint32(h) - uint32(len(h)-4)
	switch id.shape() {
	case unknown:
		s.in = inSkip
		return Event{}
	case blob, tagged:
		s.in, s.msg = inBody, parse(id, h[5:])
		s.msg.Payload = nil
		return Event{}
	case block:
		s.in, s.off, s.msg = inPiece, 0, parse(id, h[5:])
		s.msg.Payload, s.msg.Length = nil, s.left
		return Event{Kind: PieceStart, Msg: s.msg}
	}
	return Event{Kind: Msg, Msg: parse(id, h[5:])}
}

// piece passes on the data of a block.
func (s *Splitter) piece(chunk []byte) (Event, []byte, error) {
	if s.left == 0 {
		s.in = inHead
		return Event{Kind: PieceEnd, Msg: s.msg}, chunk, nil
	}
	n := min(uint64(s.left), uint64(len(chunk)))
	if n == 0 {
		return Event{}, nil, nil
	}
	ev := Event{Kind: PieceData, Offset: s.off, Msg: s.msg}
	ev.Msg.Payload = chunk[:n:n]
	s.left -= uint32(n)
	s.off += uint32(n)
	return ev, chunk[n:], nil
}

// body shows a long message in the chunk if it lies there whole, else in buf.
func (s *Splitter) body(chunk []byte) (Event, []byte, error) {
	n := min(uint64(s.left), uint64(len(chunk)))
	got := chunk[:n:n]
	if s.left -= uint32(n); s.left > 0 || len(s.buf) > 0 {
		s.buf = append(s.buf, got...)
		got = s.buf
	}
	kind := Msg
	if s.in == inHandshake {
		if err := checkHandshakeHead(got); err != nil {
			return Event{}, nil, s.keep(err)
		}
		kind, s.msg = GotHandshake, Message{}
	}
	if s.left > 0 {
		return Event{}, nil, nil
	}
	s.in, s.msg.Payload = inHead, got
	ev := Event{Kind: kind, Msg: s.msg}
	s.msg = Message{}
	return ev, chunk[n:], nil
}

// skip drops the body of an unknown message.
func (s *Splitter) skip(chunk []byte) []byte {
	n := min(uint64(s.left), uint64(len(chunk)))
	if s.left -= uint32(n); s.left == 0 {
		s.in = inHead
	}
	return chunk[n:]
}
