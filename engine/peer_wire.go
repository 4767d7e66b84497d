package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// peerRemote is what the remote has told of itself. Owner: the peer.
type peerRemote struct {
	fast, ext  bool // BEP 6, BEP 10: both sides can
	opened     bool // it has said something after which no bitfield should come
	choking    bool
	interested bool
	uploadOnly bool
	dht        bool   // BEP 5
	port       uint16 // of its node, as last said
	ports      int    // times that it has said another one
	listen     uint16
	reqq       int32        // 0: it has not said
	pieces     int32        // how many it has, those said twice counted twice
	encrypts   bool         // BEP 10's e: it prefers encrypted connections
	holepunch  bool         // BEP 55: it takes ut_holepunch
	ids        extensionIDs // BEP 10: which extended messages it takes, and under which ids

	metadataSize int64 // BEP 9, as it says; 0: it has not said
	client       string
}

// starting says whether the remote has hardly anything to trade. BEP 6: "Our current
// implementation rejects requests for Allowed Fast messages whenever the requesting
// peer has more than k pieces."
func (r *peerRemote) starting() bool { return r.pieces <= wire.AllowedFastCount }

// onLinkIn takes one drain of the socket.
func (p *peer) onLinkIn(c *actor.Ctx[peerMsg], b *transport.Batch) {
	defer b.Release()
	now := c.Now()
	p.clock.heard = now
	p.received(b)
	if b.Handshake != nil {
		if err := p.shake(c, b.Handshake); err != nil {
			p.fail(c, err)
			return
		}
	}
	var in drainCount
	for i := range b.Frames {
		if err := p.onFrame(now, b, i, &in); err != nil {
			p.fail(c, err)
			break
		}
	}
	p.drained(now, in)
}

// onLinkDown is the end of the link.
func (p *peer) onLinkDown(c *actor.Ctx[peerMsg], err error) { p.fail(c, p.linkError(err)) }

// onFrame takes one message of the remote.
func (p *peer) onFrame(now actor.Time, b *transport.Batch, i int, in *drainCount) error {
	m := &b.Frames[i].Message
	if err := p.allowed(m); err != nil {
		return err
	}
	if !p.knows() && aboutPieces(m.ID) {
		return p.onEarly(m)
	}
	switch m.ID {
	case wire.Choke:
		p.onChoke(now)
	case wire.Unchoke:
		p.onUnchoke(now)
	case wire.Interested:
		p.remote.interested = true
	case wire.NotInterested:
		p.remote.interested = false
	case wire.Have:
		p.onHave(m)
	case wire.Bitfield:
		return p.onBitfield(m)
	case wire.HaveAll, wire.HaveNone:
		p.onHaveAllOrNone(m)
	case wire.Request:
		return p.onRequest(m)
	case wire.Cancel:
		p.onCancel(m)
	case wire.Piece:
		return p.onPiece(now, b, i, in)
	case wire.Reject:
		return p.onReject(now, m)
	case wire.Suggest:
		p.onSuggest(m)
	case wire.AllowedFast:
		p.onAllowedFast(m)
	case wire.Port:
		p.onPort(m)
	case wire.Extended:
		if p.remote.ext {
			return p.onExtended(now, m)
		}
	}
	return nil // keep-alives, and what we do not know
}

// allowed says which rule a message breaks as things stand, before it is looked at.
func (p *peer) allowed(m *wire.Message) error {
	if p.phase != peerLive {
		return p.broke("%v before its handshake", m.ID)
	}
	switch m.ID {
	case wire.KeepAlive, wire.Extended, wire.Port:
		return nil // clients send these before their bitfield too
	}
	if m.ID.Known() {
		p.remote.opened = true
	}
	switch m.ID {
	case wire.Suggest, wire.HaveAll, wire.HaveNone, wire.Reject, wire.AllowedFast:
		// BEP 6, of each: "When the fast extension is disabled, if a peer receives
		// [one] then the peer MUST close the connection."
		if !p.remote.fast {
			return p.broke("%v without the fast extension", m.ID)
		}
	}
	switch m.ID {
	case wire.Have, wire.Suggest, wire.AllowedFast, wire.Request, wire.Cancel, wire.Piece, wire.Reject:
		if p.knows() && m.Index >= uint32(p.cfg.lengths.Pieces()) {
			return p.broke("%v of piece %d, there are %d", m.ID, m.Index, p.cfg.lengths.Pieces())
		}
	}
	return nil
}

// onHave passes on what the remote has got; whether it is new the torrent knows.
func (p *peer) onHave(m *wire.Message) {
	p.remote.pieces++
	r := p.report()
	r.haves = append(r.haves, metainfo.PieceIndex(m.Index))
}

// onBitfield takes all that the remote has. BEP 3: "'bitfield' is only ever sent as the
// first message." Deliberately not held to the letter: aria2 1.36 sends one whenever it
// is shorter than the haves that are due. The torrent ends those that serve no purpose.
func (p *peer) onBitfield(m *wire.Message) error {
	set, err := bits.ParseWire(m.Payload, p.cfg.lengths.Pieces())
	if err != nil {
		return p.ended(faultProtocol, err, "")
	}
	p.onWhole(&set)
	return nil
}

func (p *peer) onHaveAllOrNone(m *wire.Message) {
	set := bits.New(p.cfg.lengths.Pieces())
	if m.ID == wire.HaveAll {
		set.SetAll()
	}
	p.onWhole(&set)
}

func (p *peer) onWhole(set *bits.Set) {
	p.remote.pieces = set.Count()
	p.report().has = set
}

// maxSuggestions of one turn are passed on; they are hints.
const maxSuggestions = 16

func (p *peer) onSuggest(m *wire.Message) {
	if r := p.report(); len(r.suggested) < maxSuggestions {
		r.suggested = append(r.suggested, metainfo.PieceIndex(m.Index))
	}
}
