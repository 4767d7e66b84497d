package sim

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

var (
	errReset = errors.New("connection reset by peer")
	errCut   = errors.New("connection timed out")
)

// again is when a link tries once more what it could not do: its peer had too much
// unread mail, or the slab no slot. Nobody says when that changes.
const (
	mailAgain = 50 * time.Microsecond
	slotAgain = time.Millisecond
)

// pair is a connection: two links and the streams between them.
type pair struct {
	net     *Network
	id      uint64
	latency clock.Duration
	ends    [2]link
	streams [2]stream // from ends[i] to the other
	over    bool
}

// connect makes a connection that a dialed.
func (n *Network) connect(a, b *Host, from, to netip.AddrPort, name string) *pair {
	n.made++
	p := &pair{net: n, id: n.made, latency: n.Latency(a, b)}
	p.ends[0].init(p, 0, a, transport.Info{Transport: name, Local: from, Remote: to})
	p.ends[1].init(p, 1, b, transport.Info{Transport: name, Local: to, Remote: from, Incoming: true})
	p.streams[0].init(p, &p.ends[0], &p.ends[1])
	p.streams[1].init(p, &p.ends[1], &p.ends[0])
	n.conns = append(n.conns, p)
	if life := n.cfg.Lifetime; life > 0 {
		n.w.After(n.draw(p.id, 1<<63, 2*life), p.cut)
	}
	return p
}

// cut breaks the connection on both sides.
func (p *pair) cut() {
	for i := range p.ends {
		l := &p.ends[i]
		l.fail(fault(l.info.Remote, transport.NetworkFault, errCut))
	}
}

// link is one end of a connection: the transport.Link of a simulated peer, with what
// the pumps of a live one do.
type link struct {
	p    *pair
	side int
	host *Host
	info transport.Info
	slab *block.Slab

	in       actor.Inlet[transport.Event]
	bound    bool
	silent   *listener // its handshake has not come, and nobody knows of it
	standing bool
	grant    int64
	credit   int32 // Pieces that may come, as in transport's links
	why      error // closed
	eof      bool  // the remote's end has come

	mail  ring[transport.Event] // that the peer has no room for
	retry *wake
}

// maxCredit is that of transport's links.
const maxCredit = 2048 + 512

func (l *link) init(p *pair, side int, h *Host, info transport.Info) {
	l.p, l.side, l.host, l.info = p, side, h, info
}

func (l *link) out() *stream  { return &l.p.streams[l.side] }
func (l *link) from() *stream { return &l.p.streams[1-l.side] }

// Info implements transport.Link.
func (l *link) Info() transport.Info { return l.info }

// Bind implements transport.Link.
func (l *link) Bind(in actor.Inlet[transport.Event]) {
	if l.bound {
		panic("sim: link bound twice")
	}
	l.in, l.bound = in, true
	if l.why != nil {
		l.post(transport.Closed{Err: l.why})
		return
	}
	l.out().offer()
	l.read()
}

// Send implements transport.Link.
func (l *link) Send(b *transport.Batch) {
	if l.why != nil {
		b.Release()
		return
	}
	for i := range b.Frames {
		if b.Frames[i].ID == wire.Request {
			l.credit = min(l.credit+1, maxCredit)
		}
	}
	l.out().put(b)
	l.out().offer()
}

// Allow implements transport.Link.
func (l *link) Allow(n int64) {
	switch {
	case n >= transport.Unlimited:
		l.standing = true
	case n <= 0 && l.standing:
		l.standing, l.grant = false, 0
	case n > 0 && !l.standing:
		l.grant = min(l.grant, math.MaxInt64-n) + n
	}
	if l.bound {
		l.wakeReader(0)
	}
}

// Close implements transport.Link.
func (l *link) Close(reason error) {
	if reason == nil {
		reason = errors.New("no reason given")
	}
	l.fail(fault(l.info.Remote, transport.LocalFault, reason))
}

// fail closes the link. What has passed the uplink still arrives, and then the end.
func (l *link) fail(why error) {
	if l.why != nil {
		return
	}
	l.why = why
	l.unlist()
	out := l.out()
	out.unsend()
	if l.host.up.serving != &out.upFlow {
		out.endSent()
	}
	l.post(transport.Closed{Err: why})
	if l.p.ends[1-l.side].why != nil {
		l.p.over = true
		l.p.net.forget()
	}
}

// post tells the peer. Events wait in order while its mailbox is full.
func (l *link) post(e transport.Event) {
	if !l.bound {
		if b, ok := e.(*transport.Batch); ok {
			b.Release()
		}
		return
	}
	if l.mail.len() > 0 || !l.in.TryPut(e) {
		l.mail.push(&l.p.net.mem.events, e)
		l.wakeReader(mailAgain)
	}
}

// deliver hands over what waits. It reports whether all could be.
func (l *link) deliver() bool {
	for l.mail.len() > 0 {
		if !l.in.TryPut(*l.mail.at(0)) {
			l.wakeReader(mailAgain)
			return false
		}
		l.mail.pop(&l.p.net.mem.events)
	}
	return true
}

func (l *link) wakeReader(after clock.Duration) {
	if l.retry == nil {
		l.retry = newWake(l.p.net.w, l.read)
	}
	l.retry.set(l.p.net.w.now.Add(after))
}

// allowance is how much may be read now.
func (l *link) allowance() int64 {
	if l.standing {
		return transport.Unlimited
	}
	return l.grant
}

// read brings the peer what has come, as far as it may be read.
func (l *link) read() {
	if l.why != nil {
		l.deliver()
		return
	}
	if l.silent != nil {
		l.greet()
		return
	}
	if !l.bound || !l.deliver() {
		return
	}
	if l.in.Ended() {
		l.fail(fault(l.info.Remote, transport.LocalFault, actor.ErrStopped))
		return
	}
	s := l.from()
	n := min(s.ready-s.read, l.allowance())
	if n > 0 {
		l.take(s, n)
	}
	if l.why == nil && l.eof && s.ready == s.read && l.allowance() > 0 {
		l.fail(l.ending(s))
	}
}

// take makes a batch of the next n bytes, or of fewer if there are no slots for them.
func (l *link) take(s *stream, n int64) {
	b := transport.NewBatch()
	before := s.read
	for s.read < before+n {
		if !l.takeItem(s, b, before+n) {
			l.wakeReader(slotAgain)
			break
		}
	}
	b.Wire = s.read - before
	if b.Wire == 0 {
		b.Release()
		return
	}
	if !l.standing {
		l.grant -= b.Wire
	}
	s.consumed()
	l.mark(b)
	l.post(b)
}

// takeItem reads the message at hand up to a point in the stream. It returns false if
// that needs a slot and there is none.
func (l *link) takeItem(s *stream, b *transport.Batch, upTo int64) bool {
	if s.cargo.len() == 0 { // the beginning of a message whose sender has closed
		s.read = upTo
		return true
	}
	it := s.cargo.at(0)
	upTo = min(upTo, it.end)
	f := transport.Frame{Message: it.m}
	if upTo == it.end && l.wantsSlot(it) {
		if f.Block = l.slab.Lease(); f.Block == nil {
			return false
		}
		it.unload(f.Block)
	}
	b.Payload += max(upTo-max(s.read, it.end-it.data), 0)
	s.read = upTo
	if upTo < it.end {
		return true
	}
	if hello := it.hello(); hello != nil {
		b.Handshake = hello
	} else {
		l.spend(it.m.ID)
		b.Frames = append(b.Frames, f)
	}
	s.unload(it)
	return true
}

// wantsSlot reports whether a message is a Piece that was asked for.
func (l *link) wantsSlot(it *item) bool {
	return it.m.ID == wire.Piece && it.data > 0 && it.data <= block.Size && l.credit > 0
}

// spend counts an answer to a Request.
func (l *link) spend(id wire.ID) {
	if (id == wire.Piece || id == wire.Reject) && l.credit > 0 {
		l.credit--
	}
}

// unload fills the receiver's block.
func (it *item) unload(b *block.Block) {
	b.SetLen(int(it.data))
	b.Mark = it.mark
	switch {
	case b.Phantom() || it.rare == nil:
	case it.rare.kept != nil:
		copy(b.Bytes(), it.rare.kept[:])
	default:
		copy(b.Bytes(), it.rare.view)
	}
}

// ending says what the end of the stream means.
func (l *link) ending(s *stream) error {
	within := "within a message"
	switch {
	case s.whole == 0:
		within = "without a handshake"
	case s.read == s.whole:
		return io.EOF
	}
	return fault(l.info.Remote, transport.RemoteFault, fmt.Errorf("closed %s: %w", within, io.ErrUnexpectedEOF))
}

// mark enters what has been read in the event hash.
func (l *link) mark(b *transport.Batch) {
	v := uint64(b.Wire)<<20 ^ uint64(b.Payload)
	for i := range b.Frames {
		m := &b.Frames[i].Message
		v = v*fnvPrime ^ uint64(m.ID)<<56 ^ uint64(m.Index)<<24 ^ uint64(m.Begin)
	}
	l.p.net.w.Mark(netMark|l.p.id<<1|uint64(l.side), v)
}

// netMark sets the network's marks apart from those of other models.
const netMark = 1 << 62
