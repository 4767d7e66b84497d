package engine

import (
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// earlyHaves is what a remote has told of its pieces before we know how many there are.
// It is kept raw, at most wire.MaxPieces bits of it, and judged when the metadata is
// there. Owner: the peer.
type earlyHaves struct {
	said  bool   // it has said something
	all   bool   // BEP 6 have all
	field []byte // BEP 3 order, as long as the highest bit needs
	whole int    // length of its bitfield in bytes; 0: there was none
	top   int64  // one more than the highest piece that it has named
	fast  []metainfo.PieceIndex
}

// bitfield takes a bitfield, have-all or have-none: all that was before is over.
func (e *earlyHaves) bitfield(m *wire.Message) {
	fast := e.fast
	*e = earlyHaves{said: true, all: m.ID == wire.HaveAll, fast: fast}
	if m.ID == wire.Bitfield {
		e.field, e.whole = slices.Clone(m.Payload), len(m.Payload)
	}
}

// have takes one piece; false if there can't be so many.
func (e *earlyHaves) have(i uint32) bool {
	if i >= wire.MaxPieces {
		return false
	}
	e.said = true
	e.top = max(e.top, int64(i)+1)
	for len(e.field) <= int(i/8) {
		e.field = append(e.field, make([]byte, int(i/8)+1-len(e.field))...)
	}
	e.field[i/8] |= 0x80 >> (i % 8)
	return true
}

// lost takes one piece back. Of a remote that has everything it is not followed: the
// request will be rejected, and it says so again.
func (e *earlyHaves) lost(i uint32) {
	if int(i/8) < len(e.field) {
		e.field[i/8] &^= 0x80 >> (i % 8)
	}
}

// judge returns what the remote has, now that the number of pieces is known, or that it
// has lied about it.
func (e *earlyHaves) judge(p *peer) (*bits.Set, error) {
	pieces := p.cfg.lengths.Pieces()
	if e.all {
		set := bits.New(pieces)
		set.SetAll()
		return &set, nil
	}
	want := bits.WireLen(pieces)
	switch {
	case e.whole != 0 && e.whole != want:
		return nil, p.broke("a bitfield of %d bytes, want %d", e.whole, want)
	case e.top > int64(pieces):
		return nil, p.broke("have of piece %d, there are %d", e.top-1, pieces)
	}
	field := e.field
	if len(field) < want {
		field = append(field, make([]byte, want-len(field))...)
	}
	set, err := bits.ParseWire(field, pieces)
	if err != nil {
		return nil, p.ended(faultProtocol, err, "")
	}
	return &set, nil
}

// knows says whether the metadata is there, and with it how many pieces there are.
func (p *peer) knows() bool { return p.cfg.lengths.Pieces() > 0 }

// onEarly takes a message about pieces while we do not know them. The remote may say
// what it has; of us it can want nothing yet, since we have said that we have nothing.
func (p *peer) onEarly(m *wire.Message) error {
	switch m.ID {
	case wire.Bitfield, wire.HaveAll, wire.HaveNone:
		p.early.bitfield(m)
	case wire.Have:
		if !p.early.have(m.Index) {
			return p.broke("%v of piece %d", m.ID, m.Index)
		}
	case wire.AllowedFast:
		if e := &p.early; len(e.fast) < maxAllowedFast && m.Index < wire.MaxPieces {
			e.fast = append(e.fast, metainfo.PieceIndex(m.Index))
		}
	case wire.Request:
		if p.remote.fast {
			p.send(wire.Message{ID: wire.Reject, Index: m.Index, Begin: m.Begin, Length: m.Length})
		}
	case wire.Piece, wire.Reject:
		return p.strike(m)
	}
	return nil // suggestions and cancels
}

// aboutPieces: the messages that can't be judged without the metadata.
func aboutPieces(id wire.ID) bool {
	switch id {
	case wire.Have, wire.Bitfield, wire.HaveAll, wire.HaveNone, wire.Request, wire.Cancel,
		wire.Piece, wire.Reject, wire.Suggest, wire.AllowedFast:
		return true
	}
	return false
}

// onKnown takes the metadata: what the remote has said so far is judged, and the remote
// hears that we can serve the metadata from now on.
func (p *peer) onKnown(c *actor.Ctx[peerMsg], m known) {
	if p.knows() || p.phase == peerClosing {
		return
	}
	p.cfg.lengths, p.cfg.info = m.lengths, m.info
	p.ours.set.pieces = m.lengths.Pieces()
	p.meta = nil // what was asked is of no use any more
	early := p.early
	p.early = earlyHaves{}
	if early.said {
		set, err := early.judge(p)
		if err != nil {
			p.fail(c, err)
			return
		}
		p.onWhole(set)
	}
	for _, i := range early.fast {
		if p.cfg.lengths.Valid(i) {
			p.onAllowedFast(&wire.Message{ID: wire.AllowedFast, Index: uint32(i)})
		}
	}
	if len(m.info) > 0 {
		p.sayExtensions(nil)
	}
}

// onPEXAllowed switches the offer of ut_pex, as when the torrent turns out private:
// "Setting an extension number to zero means that the extension is not
// supported/disabled" (BEP 10).
func (p *peer) onPEXAllowed(m pexAllowed) {
	if p.cfg.pex == m.on {
		return
	}
	p.cfg.pex = m.on
	p.sayExtensions(func(h *wire.ExtHandshake) {
		if !m.on {
			h.M = append(h.M, wire.Extension{Name: wire.ExtPEX})
		}
	})
}
