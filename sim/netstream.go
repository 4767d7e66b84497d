package sim

import (
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxChunk is the most that moves at a time, bytes: a block with what small
	// messages precede it. Longer messages move in parts.
	maxChunk = quantum + 1024

	// The window is what may be on the way, bytes. It grows by what is acknowledged,
	// doubling in each round trip, while it is made use of and the receiver's
	// downlink takes chunks at once; the upper bound is the largest receive buffer
	// of systems in use.
	firstWindow = 2 * quantum
	maxWindow   = 4 << 20
	shortQueue  = 50 * time.Millisecond
	longQueue   = 150 * time.Millisecond

	// sayEvery is how often a sender is told what its uplink has taken, at most,
	// while more is queued: a writer's Flushed comes for many blocks, too.
	sayEvery = 20 * time.Millisecond
)

// stream is one direction of a connection. Its bytes are counted from its beginning:
// queued >= sent >= ready >= read, as they pass Send, uplink, downlink and receiver.
type stream struct {
	p        *pair
	from, to *link
	upFlow   flow
	downFlow flow

	cargo  ring[item]  // what the bytes between read and queued are
	lifted int         // items of cargo that have passed the uplink
	ends   ring[int64] // where batches end, of those not passed

	queued, sent, ready, read int64
	whole                     int64 // end of the last message that has been read

	chunks  ring[chunk] // between uplink and downlink's end
	arrived int         // of chunks: wait at the downlink
	arrival *wake
	last    clock.Time // when the last chunk arrives
	count   uint64     // chunks, for the jitter
	ended   bool       // its end has been sent

	window  int64
	acked   int64
	acks    ring[ack]      // on their way back
	blocked bool           // by the window, until an ack comes
	queue   clock.Duration // in which the last chunk waited for the downlink
	ackWake *wake

	said    transport.Flushed // passed the uplink and not yet told
	saidAt  clock.Time
	payload int64 // of the item that passes the uplink, passed
}

// item is a message on its way. Its payload is held as what a phantom block says of
// its content, or as a copy of its bytes: the sender's block is free once it has
// passed the uplink, as after a write to a socket.
type item struct {
	m    wire.Message
	end  int64 // of its bytes in the stream
	data int64 // bytes of payload at the end of it, of a Piece
	blk  *block.Block
	mark uint64
	rare *rare // what few items have, in the simulator
}

type rare struct {
	hello *wire.Handshake
	more  []*block.Block
	view  []byte // payload that the sender will not change
	kept  *[block.Size]byte
}

// hello is the handshake that the item is, if it is one.
func (it *item) hello() *wire.Handshake {
	if it.rare == nil {
		return nil
	}
	return it.rare.hello
}

// chunk is what moves at a time.
type chunk struct {
	at  clock.Time // of arrival
	n   int64
	end bool // the stream's
}

// ack says that the receiver has read so far.
type ack struct {
	at   clock.Time
	read int64
}

func (s *stream) init(p *pair, from, to *link) {
	s.p, s.from, s.to, s.window = p, from, to, firstWindow
	s.upFlow = flow{s: s}
	s.downFlow = flow{s: s, isDown: true}
	s.arrival = newWake(p.net.w, s.arrive)
	s.saidAt = -clock.Time(sayEvery)
}

// put queues a batch. It takes everything out of it and releases it.
func (s *stream) put(b *transport.Batch) {
	if b.Handshake != nil {
		s.queued += wire.HandshakeLen
		s.cargo.push(&s.p.net.mem.items, item{rare: &rare{hello: b.Handshake}, end: s.queued})
	}
	for i := range b.Frames {
		s.load(&b.Frames[i])
		b.Take(i)
		b.Frames[i].More = nil
	}
	s.ends.push(&s.p.net.mem.ends, s.queued)
	b.Release()
}

func (s *stream) load(f *transport.Frame) {
	it := item{m: f.Message, blk: f.Block}
	n := int64(0)
	switch {
	case f.Block != nil:
		it.data = int64(f.Block.Len())
		for _, b := range f.More {
			it.data += int64(b.Len())
		}
		if len(f.More) > 0 {
			it.rare = &rare{more: f.More}
		}
		n = wire.PieceHeaderLen + it.data
		it.m.Length = uint32(it.data)
	default:
		n = int64(f.WireLen())
		if f.ID == wire.Piece {
			it.data, it.rare, it.m.Payload = int64(len(f.Payload)), &rare{view: f.Payload}, nil
			it.m.Length = uint32(it.data)
		}
	}
	s.queued += n
	it.end = s.queued
	s.cargo.push(&s.p.net.mem.items, it)
}

// offer lets the uplink know that there may be something to send.
func (s *stream) offer() {
	if s.from.bound && s.queued > s.sent {
		s.from.host.up.offer(&s.upFlow)
	}
}

// upSize is what the uplink may take now.
func (s *stream) upSize() int64 {
	if s.queued == s.sent || s.from.why != nil {
		return 0
	}
	s.hearAcks()
	if s.blocked {
		s.awaitAck()
		s.say()
		return 0
	}
	n := int64(0)
	for i := s.lifted; i < s.cargo.len(); i++ {
		m := s.cargo.at(i).end - s.sent
		if m > maxChunk {
			break
		}
		n = m
	}
	if n == 0 {
		n = quantum // a part of a long message
	}
	return n
}

// hearAcks takes in what has come back from the receiver.
func (s *stream) hearAcks() {
	for s.acks.len() > 0 && s.acks.at(0).at <= s.p.net.w.now {
		n := s.acks.at(0).read - s.acked
		switch {
		case s.queue > longQueue:
			s.window = max(s.window-n/2, firstWindow)
		case s.queue < shortQueue && s.window < 2*(s.sent-s.acked):
			s.window = min(s.window+n, maxWindow)
		}
		s.acked += n
		s.acks.pop(&s.p.net.mem.acks)
	}
	s.blocked = s.sent-s.acked >= s.window
}

// awaitAck wakes the stream when the next ack comes; if none is on its way, acked
// will.
func (s *stream) awaitAck() {
	if s.acks.len() == 0 {
		return
	}
	if s.ackWake == nil {
		s.ackWake = newWake(s.p.net.w, s.offer)
	}
	s.ackWake.set(s.acks.at(0).at)
}

// consumed sends the news that the receiver has read back to the sender.
func (s *stream) consumed() {
	if s.ready > s.read { // a receiver that reads slowly gets no larger window
		s.queue = max(s.queue, shortQueue)
	}
	at := s.p.net.w.now.Add(s.p.latency)
	if n := s.acks.len(); n > 0 && s.acks.at(n-1).at == at {
		s.acks.at(n - 1).read = s.read
		return
	}
	s.acks.push(&s.p.net.mem.acks, ack{at, s.read})
	if s.blocked && s.acks.len() == 1 {
		s.awaitAck()
	}
}

// passedUp: n bytes have left the sender's uplink.
func (s *stream) passedUp(n int64) {
	if s.from.why != nil {
		s.endSent()
		return // its queue has gone with it
	}
	s.sent += n
	s.lift()
	s.said.Wire += n
	for s.ends.len() > 0 && *s.ends.at(0) <= s.sent {
		s.ends.pop(&s.p.net.mem.ends)
		s.said.Batches++
	}
	s.travel(chunk{n: n})
	if s.sent == s.queued || s.p.net.w.now.Sub(s.saidAt) >= sayEvery {
		s.say()
	}
}

// say tells the sender what has passed.
func (s *stream) say() {
	if s.said != (transport.Flushed{}) {
		s.saidAt = s.p.net.w.now
		s.from.post(s.said)
		s.said = transport.Flushed{}
	}
}

// lift frees the sender's blocks that have passed, and keeps what they say.
func (s *stream) lift() {
	for s.lifted < s.cargo.len() {
		it := s.cargo.at(s.lifted)
		passed := it.data - max(it.end-s.sent, 0)
		s.said.Payload += max(passed-s.payload, 0)
		s.payload = max(passed, 0)
		if it.end > s.sent {
			return
		}
		s.p.net.lift(it)
		s.lifted++
		s.payload = 0
	}
}

func (n *Network) lift(it *item) {
	if it.blk == nil {
		return
	}
	it.mark = it.blk.Mark
	if !it.blk.Phantom() && it.rare == nil {
		it.rare = n.copies.Get().(*rare)
		copy(it.rare.kept[:], it.blk.Bytes())
	}
	it.free()
}

// unload removes the first message, which has been read.
func (s *stream) unload(it *item) {
	if it.rare != nil && it.rare.kept != nil {
		s.p.net.copies.Put(it.rare)
	}
	s.cargo.pop(&s.p.net.mem.items)
	s.lifted--
	s.whole = s.read
}

// free gives the sender's blocks back.
func (it *item) free() {
	if it.blk != nil {
		it.blk.Release()
		it.blk = nil
	}
	if it.rare != nil {
		for _, b := range it.rare.more {
			b.Release()
		}
		it.rare.more = nil
	}
}

// travel sends a chunk on its way.
func (s *stream) travel(c chunk) {
	n := s.p.net
	s.count++
	delay := s.p.latency + n.draw(s.p.id<<1|uint64(s.from.side), s.count, n.cfg.Jitter)
	c.at = max(n.w.now.Add(delay), s.last) // a stream: order is kept
	s.last = c.at
	s.chunks.push(&s.p.net.mem.chunks, c)
	if s.chunks.len()-s.arrived == 1 {
		s.arrival.set(c.at)
	}
}

// endSent sends the stream's end, behind all that has passed the uplink.
func (s *stream) endSent() {
	if !s.ended {
		s.ended = true
		s.travel(chunk{end: true})
	}
}

// arrive: chunks have come to the receiver's downlink.
func (s *stream) arrive() {
	now := s.p.net.w.now
	for s.arrived < s.chunks.len() {
		c := s.chunks.at(s.arrived)
		if c.at > now {
			s.arrival.set(c.at)
			break
		}
		s.arrived++
	}
	if s.to.why != nil {
		s.refuse()
		return
	}
	s.to.host.down.offer(&s.downFlow)
}

// refuse: the receiver has closed. Whoever still sends to it learns that.
func (s *stream) refuse() {
	data := false
	for ; s.arrived > 0; s.arrived-- {
		data = data || s.chunks.at(0).n > 0
		s.chunks.pop(&s.p.net.mem.chunks)
	}
	if data {
		s.reset()
	}
}

// reset tells the sender, as the host of a closed socket does.
func (s *stream) reset() {
	s.p.net.w.After(s.p.latency, func() {
		s.from.fail(fault(s.from.info.Remote, transport.NetworkFault, errReset))
	})
}

// downSize is what the downlink may take now.
func (s *stream) downSize() int64 {
	for s.arrived > 0 {
		c := s.chunks.at(0)
		if !c.end {
			s.queue = s.p.net.w.now.Sub(c.at)
			return c.n
		}
		s.chunks.pop(&s.p.net.mem.chunks)
		s.arrived--
		s.to.eof = true
		s.to.read()
	}
	return 0
}

// passedDown: n bytes have passed the receiver's downlink.
func (s *stream) passedDown(n int64) {
	if s.to.why != nil {
		if s.arrived > 0 { // refuse may have thrown it away while it was passing
			s.chunks.pop(&s.p.net.mem.chunks)
			s.arrived--
		}
		s.reset()
		return
	}
	s.chunks.pop(&s.p.net.mem.chunks)
	s.arrived--
	s.ready += n
	s.to.read()
}

// unsend takes back what has not passed the uplink.
func (s *stream) unsend() {
	for s.cargo.len() > s.lifted {
		s.cargo.at(s.cargo.len() - 1).free()
		s.cargo.popBack(&s.p.net.mem.items)
	}
	s.queued = s.sent
	s.ends.clear(&s.p.net.mem.ends)
}
