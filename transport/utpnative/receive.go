package utpnative

import (
	"errors"
	"io"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// arrive takes in a datagram or a train.
func (x *mux) arrive(p *transport.Packet) {
	for b := range p.Datagrams() {
		x.datagram(p.From, b)
	}
	p.Release()
}

func (x *mux) datagram(from netip.AddrPort, b []byte) {
	p, err := utp.Parse(b)
	if err != nil {
		return
	}
	l := x.find(from, &p)
	if l == nil {
		x.stranger(from, &p)
		return
	}
	if p.Type == utp.Data && len(l.in.spill) >= maxSpill {
		p.Type, p.Payload = utp.State, nil // as if the data had been lost on its way
	}
	x.cur = l
	l.m.Receive(&p, x.c.Now(), x.deliver)
	x.touch(l)
}

// find returns whose packet it is, nil if it is nobody's.
func (x *mux) find(from netip.AddrPort, p *utp.Packet) *link {
	k := key{from, p.ConnID}
	if p.Type == utp.Syn {
		k.id++ // a repetition is for the connection that the first has made
	}
	if x.last != nil && x.last.key == k {
		return x.last
	}
	l := x.links[k]
	if l == nil && p.Type == utp.Reset {
		return x.findSender(k)
	}
	if l != nil {
		x.last = l
	}
	return l
}

// findSender finds a connection by the id of what we send: a RESET may bear it.
func (x *mux) findSender(k key) *link {
	for _, d := range [...]uint16{1, 0xffff} {
		if l := x.links[key{k.from, k.id + d}]; l != nil && l.m.SendID() == k.id {
			return l
		}
	}
	return nil
}

// take is told the bytes of the current link's stream, in order.
func (x *mux) take(b []byte) {
	l := x.cur
	l.in.heardAt, l.heard = x.c.Now(), true
	switch {
	case l.why != nil || l.fault != nil:
	case l.sec != nil:
		x.converse(l, b)
	default:
		x.hear(l, b)
	}
}

// hear takes what comes when no encrypted handshake is under way.
func (x *mux) hear(l *link, b []byte) {
	if l.guest != nil {
		b = x.greet(l, b)
	}
	l.in.spend(len(b))
	if len(l.in.spill) > 0 {
		l.in.spill = append(l.in.spill, b...)
		return
	}
	if rest := x.frame(l, b); len(rest) > 0 {
		l.in.spill = append(l.in.spill, rest...)
	}
}

// unspill takes what was spilt. What there is still no slot for stays where it is: it may
// be much, and is tried every millisecond.
func (x *mux) unspill(l *link) {
	b := l.in.spill
	l.in.spill = nil
	if rest := x.frame(l, b); len(rest) > 0 {
		l.in.spill = rest
	}
}

// frame cuts bytes into messages. It returns those that the slab has no slot for.
func (x *mux) frame(l *link, b []byte) (rest []byte) {
	for len(b) > 0 {
		rest, need, err := l.in.framer.Push(b)
		if err != nil {
			x.handOver(l)
			l.fault = l.broken(transport.RemoteFault, err)
			x.touch(l)
			return nil
		}
		switch need {
		case transport.NeedTake:
			x.handOver(l)
		case transport.NeedSlot:
			x.handOver(l)
			x.wait(l)
			return rest
		}
		b = rest
	}
	return nil
}

// handOver gives the peer what has come.
func (x *mux) handOver(l *link) {
	if b := l.in.framer.Take(); b != nil {
		x.post(l, b)
	}
}

// post gives the peer an event, behind those that it had no room for.
func (x *mux) post(l *link, e transport.Event) {
	in := &l.in
	if in.bound && len(in.mail) == 0 && in.inlet.TryPut(e) {
		return
	}
	in.mail = append(in.mail, e)
	if in.bound {
		x.wait(l)
	}
}

// repost brings the peer its mail, as far as it has room. Before Bind there is nobody to
// bring it to.
func (x *mux) repost(l *link) {
	in := &l.in
	if !in.bound {
		return
	}
	n := 0
	for n < len(in.mail) && in.inlet.TryPut(in.mail[n]) {
		n++
	}
	if n < len(in.mail) {
		in.mail = append(in.mail[:0], in.mail[n:]...)
		x.wait(l)
		return
	}
	in.mail = nil
}

// give hands the peer what has come with this turn, sees whether the stream has ended,
// and has the window follow.
func (x *mux) give(l *link) {
	in := &l.in
	if l.why != nil || l.guest != nil {
		return
	}
	if len(in.spill) > 0 && in.bound {
		if x.unspill(l); l.fault != nil {
			return
		}
	}
	if in.bound && in.framer.Due(!in.standing) {
		x.handOver(l)
	}
	if l.heard {
		l.heard = false
	} else if in.framer.Holds() && x.c.Now() >= in.heardAt.Add(slowBlock) {
		in.framer.PutAside()
		in.heardAt = x.c.Now()
	}
	if l.m.EOF() && in.bound && len(in.spill) == 0 {
		x.eof(l)
		return
	}
	if in.bound && in.inlet.Ended() {
		x.end(l, l.broken(transport.LocalFault, actor.ErrStopped))
		return
	}
	if in.held != in.blocked() {
		l.window()
	}
}

// eof: the remote has ended its stream.
func (x *mux) eof(l *link) {
	x.handOver(l)
	err := l.in.framer.End()
	if !errors.Is(err, io.EOF) {
		x.end(l, l.broken(transport.RemoteFault, err))
		return
	}
	x.end(l, io.EOF)
}

// bind is Link.Bind.
func (x *mux) bind(l *link, in actor.Inlet[transport.Event]) {
	l.in.inlet, l.in.bound = in, true
	l.window()
	x.repost(l)
	x.touch(l)
}

// allow is Link.Allow.
func (x *mux) allow(l *link, n int64) {
	l.in.allow(n)
	l.window()
	x.touch(l)
}

// hangUp is Link.Close. What the peer has not read it does not want any more.
func (x *mux) hangUp(l *link, reason error) {
	if l.why != nil {
		return
	}
	for _, e := range l.in.mail {
		if b, ok := e.(*transport.Batch); ok {
			b.Release()
		}
	}
	l.in.mail = nil
	x.end(l, l.broken(transport.LocalFault, reason))
}
