package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// peerEvent makes mail of a link's events: the door in begin is an Inlet adapted by it.
func peerEvent(e transport.Event) peerMsg {
	switch e := e.(type) {
	case *transport.Batch:
		return linkIn{e}
	case transport.Flushed:
		return linkSent{e}
	case transport.Closed:
		return linkDown{e}
	}
	return nil // the sum of events is sealed
}

// onBegin starts the connection's life. Outgoing: it asks for a dial, which is
// answered whatever happens. Incoming: the remote has spoken first, and gets its
// answer.
func (p *peer) onBegin(c *actor.Ctx[peerMsg], m begin) {
	if p.phase != peerWaiting {
		return
	}
	p.events = m.events
	if p.link == nil {
		p.phase = peerDialing
		if h := p.hello(); m.dial.Encrypt != 0 {
			m.dial.Hello = &h
		}
		m.dial.Reply = actor.Adapt(c.Self(), func(d transport.Dialed) peerMsg { return dialed{d} })
		m.transport.Dial(m.dial)
		return
	}
	p.connected(c.Now(), p.link)
	if err := p.shake(c, p.cfg.theirs); err != nil {
		p.fail(c, err)
	}
}

func (p *peer) onDialed(c *actor.Ctx[peerMsg], m dialed) {
	switch {
	case p.phase != peerDialing: // answered twice: not ours
		m.Drop()
	case m.Err != nil:
		p.fail(c, p.ended(faultDial, m.Err, ""))
	default:
		p.connected(c.Now(), m.Link)
	}
}

// connected takes the link and sends our handshake. BEP 3: the one who connects
// speaks first; the other answers, which is all that differs.
func (p *peer) connected(now actor.Time, l transport.Link) {
	p.link, p.phase = l, peerShaking
	p.clock.since, p.clock.heard, p.clock.sent = now, now, now
	l.Bind(p.events)
	p.events = actor.Inlet[transport.Event]{}
	p.openFlow()
	h := p.hello()
	p.batch().Handshake = &h
}

// hello is our handshake.
func (p *peer) hello() wire.Handshake {
	return wire.Handshake{Reserved: p.reserved(), InfoHash: p.cfg.infoHash, PeerID: p.cfg.ourID}
}

// shake takes the remote's handshake.
func (p *peer) shake(c *actor.Ctx[peerMsg], h *wire.Handshake) error {
	switch {
	case p.phase != peerShaking:
		return p.broke("second handshake")
	// BEP 3: "If both sides don't send the same value, they sever the connection."
	case h.InfoHash != p.cfg.infoHash:
		return p.ended(faultWrong, nil, "serves another torrent, %x", h.InfoHash)
	case h.PeerID == p.cfg.ourID:
		return p.ended(faultWrong, errSelf, "")
	}
	now := c.Now()
	p.phase = peerLive
	p.remote.fast = h.Reserved.Has(wire.FlagFast)
	p.remote.ext = h.Reserved.Has(wire.FlagExtension)
	p.remote.dht = h.Reserved.Has(wire.FlagDHT)
	s := &shook{id: h.PeerID, fast: p.remote.fast, incoming: p.cfg.theirs != nil, crypto: p.link.Info().Crypto}
	if !s.incoming {
		s.addr = p.cfg.addr
		p.down.sampleRTT(now.Sub(p.clock.since))
	}
	p.report().shook = s
	return nil
}

// peerHaves is what we have, as far as this peer has been told of it. Owner: the
// peer; the log is the torrent's and only grows.
type peerHaves struct {
	set     haveSet
	log     []metainfo.PieceIndex
	cursor  int // log[:cursor] is in set and has been said, or need not be
	greeted bool
	port    uint16 // of our node of the DHT
}

func (o *peerHaves) init(cfg peerConfig) {
	o.set = haveSet{some: cfg.have, pieces: cfg.lengths.Pieces()}
	o.set.tidy()
	o.log, o.cursor = cfg.log, len(cfg.log)
}

// greet sends what follows the handshake, once: the extension handshake, then what we
// have. BEP 6: "Exactly one of Have All, Have None, or Have Bitfield MUST appear and
// only immediately after the handshake." BEP 10's handshake "should be sent immediately
// after the standard bittorrent handshake" as well; clients accept either first.
func (p *peer) greet() {
	if p.ours.greeted {
		return
	}
	p.ours.greeted = true
	p.ours.catchUp()
	if p.remote.ext {
		p.send(wire.ExtHandshakeMessage(p.extendedHandshake()))
	}
	set := &p.ours.set
	switch {
	case p.remote.fast && set.full():
		p.send(wire.Message{ID: wire.HaveAll})
	case p.remote.fast && set.none():
		p.send(wire.Message{ID: wire.HaveNone})
	case !set.none():
		p.send(wire.Message{ID: wire.Bitfield, Payload: set.wire()})
	}
	// BEP 3: "Downloaders which don't have anything yet may skip the 'bitfield' message."
	p.sayPort()
}

// catchUp takes in what need not be said one by one.
func (o *peerHaves) catchUp() {
	if o.set.pieces == 0 {
		return // nothing can have been verified
	}
	for _, i := range o.log[o.cursor:] {
		if i < 0 {
			o.set.remove(int32(^i))
		} else {
			o.set.add(int32(i))
		}
	}
	o.cursor = len(o.log)
}

// sayHaves announces what was verified since the last time, and what was lost. A remote
// that does not read must wait: the log keeps.
func (p *peer) sayHaves() {
	o := &p.ours
	for o.cursor < len(o.log) && p.out.control < controlMark && p.knows() {
		i := o.log[o.cursor]
		o.cursor++
		switch {
		case i < 0:
			p.sayLost(^i)
		case o.set.add(int32(i)):
			p.send(wire.Message{ID: wire.Have, Index: uint32(i)})
		}
	}
}

// sayLost takes a piece back that we have announced. BEP 54: "it sends a DontHave
// message for that piece to every peer that has advertised support for the lt_donthave
// extension and to which it has previously advertised the piece"; "any outstanding
// requests for a chunk of the discarded piece are rejected using a Reject Request
// message", without Fast "silently dropped".
func (p *peer) sayLost(i metainfo.PieceIndex) {
	if !p.ours.set.remove(int32(i)) {
		return
	}
	p.sendExtended(extDontHave, wire.AppendDontHave(nil, uint32(i)))
	p.up.queue.takeIf(func(u uploadAsk) bool {
		if u.piece == i {
			p.reject(u)
		}
		return u.piece == i
	})
}
