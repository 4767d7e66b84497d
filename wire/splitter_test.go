package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// reader plays the pump: it feeds chunks and writes down what the splitter says,
// blocks put together again as a caller would.
type reader struct {
	t     testing.TB
	s     Splitter
	msgs  []Message
	shake []Handshake
	block []byte
	err   error
}

func (r *reader) feed(chunk []byte) {
	r.t.Helper()
	own := slices.Clone(chunk) // mangled afterwards: nobody may keep a view
	for rest := own; r.err == nil; {
		var ev Event
		ev, rest, r.err = r.s.Next(rest)
		if r.err != nil {
			break
		}
		if ev.Kind == NeedMore {
			if len(rest) != 0 {
				r.t.Fatalf("needs more with %d bytes left", len(rest))
			}
			break
		}
		r.take(ev)
	}
	for i := range own {
		own[i] = 0xCC
	}
}

func (r *reader) take(ev Event) {
	switch ev.Kind {
	case GotHandshake:
		h, err := ParseHandshake(ev.Msg.Payload)
		if err != nil {
			r.t.Fatal(err)
		}
		r.shake = append(r.shake, h)
	case Msg:
		ev.Msg.Payload = slices.Clone(ev.Msg.Payload)
		r.msgs = append(r.msgs, ev.Msg)
	case PieceStart:
		r.block = make([]byte, 0, ev.Msg.Length)
	case PieceData:
		if int(ev.Offset) != len(r.block) || len(ev.Msg.Payload) == 0 {
			r.t.Fatalf("%d bytes at %d, have %d", len(ev.Msg.Payload), ev.Offset, len(r.block))
		}
		r.block = append(r.block, ev.Msg.Payload...)
	case PieceEnd:
		if int(ev.Msg.Length) != len(r.block) {
			r.t.Fatalf("block of %d ends after %d", ev.Msg.Length, len(r.block))
		}
		ev.Msg.Payload = r.block
		r.msgs = append(r.msgs, ev.Msg)
	}
}

func (r *reader) want(what string, msgs ...Message) {
	r.t.Helper()
	if r.err != nil {
		r.t.Fatalf("%s: %v", what, r.err)
	}
	if len(r.msgs) != len(msgs) {
		r.t.Fatalf("%s: got %v, want %v", what, r.msgs, msgs)
	}
	for i, m := range msgs {
		if !same(r.msgs[i], m) {
			r.t.Fatalf("%s: message %d is %v, want %v", what, i, r.msgs[i], m)
		}
	}
	r.msgs = nil
}

func (r *reader) wantIdle(what string) {
	r.t.Helper()
	if r.feed(nil); !r.s.Idle() || r.s.Held() != 0 {
		r.t.Fatalf("%s: idle=%v, holds %d bytes", what, r.s.Idle(), r.s.Held())
	}
}

// everything is a stream of all messages known, and what it says.
func everything() (stream []byte, msgs []Message) {
	for _, c := range samples {
		stream, msgs = Append(stream, c.msg), append(msgs, c.msg)
	}
	big := Message{ID: Piece, Index: 3, Begin: 1 << 14, Payload: bytes.Repeat([]byte("block"), 3277)[:1<<14], Length: 1 << 14}
	ext := ExtendedMessage(3, bytes.Repeat([]byte("d"), 5000))
	none := Message{ID: Piece, Index: 1, Begin: 2}
	for _, m := range []Message{big, ext, none, {ID: Have, Index: 1}} {
		stream, msgs = Append(stream, m), append(msgs, m)
	}
	return stream, msgs
}

func TestSplitterAtEverySize(t *testing.T) {
	stream, msgs := everything()
	for _, size := range []int{1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 16, 17, 18, 64, 1000, 16384, len(stream)} {
		r := &reader{t: t}
		for chunk := range slices.Chunk(stream, size) {
			r.feed(chunk)
		}
		r.want(fmt.Sprintf("chunks of %d", size), msgs...)
		r.wantIdle("after the last message")
	}
}

func TestSplitterCutInTwoAnywhere(t *testing.T) {
	stream, msgs := everything()
	for cut := 0; cut < len(stream); cut += 1 + cut/len(smallStream())*97 { // coarser in the long ones at the end
		r := &reader{t: t}
		r.feed(stream[:cut])
		r.feed(stream[cut:])
		r.want(fmt.Sprintf("cut at %d", cut), msgs...)
	}
}

func TestSplitterShowsMessagesInTheChunk(t *testing.T) {
	var s Splitter
	chunk := Append(nil, Message{ID: Bitfield, Payload: make([]byte, 4000)})
	ev, rest, err := s.Next(chunk)
	if err != nil || ev.Kind != Msg || len(rest) != 0 || &ev.Msg.Payload[0] != &chunk[5] {
		t.Fatalf("a whole message is copied: %v, %v", ev.Kind, err)
	}
	if cap(ev.Msg.Payload) != 4000 {
		t.Error("the view reaches beyond the message")
	}
}

func TestSplitterHandsBlocksOnAsTheyCome(t *testing.T) {
	var s Splitter
	chunk := Append(nil, Message{ID: Piece, Index: 9, Begin: 32768, Payload: make([]byte, 16384)})
	ev, rest, _ := s.Next(chunk[:1000])
	if ev.Kind != PieceStart || ev.Msg.Index != 9 || ev.Msg.Begin != 32768 || ev.Msg.Length != 16384 {
		t.Fatalf("announces %+v", ev)
	}
	ev, rest, _ = s.Next(rest)
	if ev.Kind != PieceData || ev.Offset != 0 || &ev.Msg.Payload[0] != &chunk[13] || len(ev.Msg.Payload) != 987 {
		t.Fatalf("first part: %d bytes at %d", len(ev.Msg.Payload), ev.Offset)
	}
	if ev, _, _ = s.Next(rest); ev.Kind != NeedMore || s.Held() != 0 {
		t.Fatalf("then %v, holding %d", ev.Kind, s.Held())
	}
	ev, rest, _ = s.Next(chunk[1000:])
	if ev.Kind != PieceData || ev.Offset != 987 || ev.Msg.Index != 9 || len(ev.Msg.Payload) != 16384-987 {
		t.Fatalf("second part: %d bytes at %d", len(ev.Msg.Payload), ev.Offset)
	}
	if ev, _, _ = s.Next(rest); ev.Kind != PieceEnd || ev.Msg.Length != 16384 || !s.Idle() {
		t.Fatalf("ends with %+v", ev)
	}
}

func TestSplitterGrowsOnlyAsBytesArrive(t *testing.T) {
	r := &reader{t: t}
	whole := Append(nil, ExtendedMessage(1, make([]byte, MaxExtended)))
	r.feed(whole[:100])
	if r.s.Held() > 4096 {
		t.Fatalf("the announcement of a long message takes %d bytes", r.s.Held())
	}
	r.feed(whole[100:])
	r.want("a megabyte", ExtendedMessage(1, make([]byte, MaxExtended)))
	r.wantIdle("after it")
}

func TestSplitterSkipsUnknownIDs(t *testing.T) {
	stream := []byte{0, 0, 0, 1, 99}                                     // no body
	stream = append(stream, 0, 0, 0x4e, 0x21, 98)                        // 20001: body of 20000
	stream = append(stream, bytes.Repeat([]byte{0, 0, 0, 1}, 5000)...)   // it looks like messages
	stream = append(stream, bytes.Repeat([]byte{0, 0, 0, 1, 77}, 30)...) // many in a row
	stream = Append(stream, Message{ID: Have, Index: 4})
	for _, size := range []int{1, 7, len(stream)} {
		r := &reader{t: t}
		for chunk := range slices.Chunk(stream, size) {
			r.feed(chunk)
			if r.s.Held() != 0 {
				t.Fatal("an unknown message is held")
			}
		}
		r.want("what follows", Message{ID: Have, Index: 4})
	}
}

func TestSplitterHandshakeFirst(t *testing.T) {
	stream := AppendHandshake(nil, sampleHandshake())
	stream = Append(stream, Message{ID: HaveNone})
	for _, size := range []int{1, 20, 67, 68, 69, len(stream)} {
		r := &reader{t: t}
		r.s.ExpectHandshake()
		for chunk := range slices.Chunk(stream, size) {
			r.feed(chunk)
		}
		r.want("after the handshake", Message{ID: HaveNone})
		if len(r.shake) != 1 || r.shake[0] != sampleHandshake() {
			t.Fatalf("handshake %v", r.shake)
		}
		r.wantIdle("then")
	}
}

func TestSplitterEndsAtTheFirstWrongByte(t *testing.T) {
	r := &reader{t: t}
	r.s.ExpectHandshake()
	r.feed([]byte("\x13Bit"))
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r.feed([]byte("Coin")); !errors.Is(r.err, ErrNotBitTorrent) {
		t.Fatalf("%v", r.err)
	}
}

func TestSplitterErrorsAreFinal(t *testing.T) {
	for _, c := range []struct{ name, hex string }{
		{"choke with a body", "00000002 00 00"},
		{"have too short", "00000004 04"},
		{"piece too short", "00000008 07"},
		{"piece too long", "0002000a 07"},
		{"bitfield too long", "00000004 05"},
		{"extended too long", "00100003 14"},
		{"extended empty", "00000001 14"},
		{"unknown too long", "00100002 63"},
		{"4 GiB", "ffffffff 07"},
		{"text", "48545450 2f"},
	} {
		for _, size := range []int{1, 100} {
			r := &reader{t: t, s: Splitter{Limits: Limits{Pieces: 16}}}
			for chunk := range slices.Chunk(unhex(t, c.hex), size) {
				r.feed(chunk)
			}
			if !errors.Is(r.err, ErrLength) {
				t.Fatalf("%s: %v", c.name, r.err)
			}
			if _, _, err := r.s.Next([]byte{0, 0, 0, 0}); !errors.Is(err, r.err) {
				t.Fatalf("%s: then %v", c.name, err)
			}
			if r.s.Held() != 0 {
				t.Fatalf("%s: %d bytes held", c.name, r.s.Held())
			}
		}
	}
}

func TestSplitterLimitsMayChange(t *testing.T) {
	r := &reader{t: t}
	field := Message{ID: Bitfield, Payload: make([]byte, 1000)}
	r.feed(Append(nil, field))
	r.want("a bitfield before the metadata", field)
	r.s.Limits.Pieces = 8
	if r.feed(Append(nil, field)); !errors.Is(r.err, ErrLength) {
		t.Fatalf("then %v", r.err)
	}
}

// cuts yields the stream in chunks whose sizes come from the seed.
func cuts(stream []byte, seed uint64, each func([]byte)) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for len(stream) > 0 {
		n := 1 + rng.IntN(min(len(stream), 1<<rng.IntN(18)))
		each(stream[:n])
		stream = stream[n:]
	}
}

// The same bytes say the same, and end the same, at whatever boundaries they come,
// and they say what Parse says of each message on its own.
func FuzzSplitter(f *testing.F) {
	f.Add(smallStream(), uint64(1), false)
	f.Add(append(AppendHandshake(nil, sampleHandshake()), smallStream()...), uint64(7), true)
	f.Add([]byte{0, 0, 0, 1, 99, 0, 0, 0, 9, 7}, uint64(3), false)
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, shake bool) {
		whole, parts := &reader{t: t}, &reader{t: t}
		for _, r := range []*reader{whole, parts} {
			r.s.Limits.Pieces = int32(seed % 5000)
			if shake {
				r.s.ExpectHandshake()
			}
		}
		whole.feed(stream)
		cuts(stream, seed, parts.feed)
		if fmt.Sprint(whole.err) != fmt.Sprint(parts.err) && !errors.Is(parts.err, ErrNotBitTorrent) {
			t.Fatalf("whole: %v, in parts: %v", whole.err, parts.err)
		}
		if errors.Is(whole.err, ErrNotBitTorrent) {
			return
		}
		if shake {
			stream = stream[min(HandshakeLen, len(stream)):]
		}
		want := oneByOne(stream, whole.s.Limits)
		whole.err, parts.err = nil, nil
		whole.want("whole", want...)
		parts.want("in parts", want...)
	})
}

func smallStream() (stream []byte) {
	for _, c := range samples {
		stream = Append(stream, c.msg)
	}
	return stream
}

// oneByOne reads the messages that lie in stream whole, up to the first wrong one.
func oneByOne(stream []byte, l Limits) (msgs []Message) {
	for len(stream) >= 4 {
		n := uint64(binary.BigEndian.Uint32(stream))
		if uint64(len(stream)) < 4+n {
			break
		}
		m, err := Parse(stream[4:4+n], l)
		if err != nil {
			break
		}
		if m.ID.Known() {
			msgs = append(msgs, m)
		}
		stream = stream[4+n:]
	}
	return msgs
}

// hotStream is a drain of a fast connection: blocks, and a little control.
func hotStream(blocks int) []byte {
	var stream []byte
	for i := range blocks {
		stream = Append(stream, Message{ID: Piece, Index: uint32(i >> 6), Begin: uint32(i&63) << 14, Payload: make([]byte, 1<<14)})
		if i%4 == 0 {
			stream = Append(stream, Message{ID: Have, Index: uint32(i)})
			stream = Append(stream, Message{ID: Request, Index: 1, Length: 1 << 14})
		}
	}
	return stream
}

// drain splits a stream in chunks of n and copies the blocks to slot.
func drain(s *Splitter, stream []byte, n int, slot []byte) (events int, err error) {
	for len(stream) > 0 {
		rest := stream[:min(n, len(stream))]
		stream = stream[len(rest):]
		for {
			var ev Event
			if ev, rest, err = s.Next(rest); err != nil {
				return events, err
			}
			if ev.Kind == NeedMore {
				break
			}
			if ev.Kind == PieceData {
				copy(slot[ev.Offset:], ev.Msg.Payload)
			}
			events++
		}
	}
	return events, nil
}

func TestSplitterAllocatesNothingPerBlock(t *testing.T) {
	stream, slot := hotStream(64), make([]byte, 1<<14)
	for _, size := range []int{128 << 10, 1000, 7} {
		var s Splitter
		if n := testing.AllocsPerRun(5, func() {
			if _, err := drain(&s, stream, size, slot); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("chunks of %d: %v allocations", size, n)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		dst = Append(dst[:0], Message{ID: Request, Index: 1, Begin: 2, Length: 3})
		dst = AppendPieceHeader(dst[:0], 1, 2, 3)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestErrorsNameTheMessage(t *testing.T) {
	var s Splitter
	_, _, err := s.Next([]byte{0, 0, 0, 4, 4, 0, 0, 0})
	if err == nil || !strings.Contains(err.Error(), "have of 4 bytes") {
		t.Fatalf("%v", err)
	}
	if errors.Is(err, io.EOF) {
		t.Error("not the end of a stream")
	}
}

func BenchmarkSplitter(b *testing.B) {
	for _, size := range []int{128 << 10, 16 << 10, 1448} {
		b.Run(fmt.Sprintf("chunk=%d", size), func(b *testing.B) {
			stream, slot := hotStream(64), make([]byte, 1<<14)
			var s Splitter
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := drain(&s, stream, size, slot); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Control messages only, as a seed sees them: what one request costs.
func BenchmarkSplitterRequests(b *testing.B) {
	var stream []byte
	for i := range 1000 {
		stream = Append(stream, Message{ID: Request, Index: uint32(i), Length: 1 << 14})
	}
	var s Splitter
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if n, err := drain(&s, stream, len(stream), nil); n != 1000 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	dst := make([]byte, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		dst = Append(dst[:0], Message{ID: Request, Index: 1, Begin: 2, Length: 3})
	}
}
