package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// The extended ids that we offer in m (BEP 10): whoever wants to send us a message of
// this name sends it under this id. They are fixed, and never change their meaning.
const (
	extHandshake  uint8 = iota
	extMetadata         // BEP 9
	extPEX              // BEP 11
	extDontHave         // BEP 54
	extUploadOnly       // BEP 21, as libtorrent sends it while the connection lives
	numExtensions
)

// extNames are the names of our ids.
var extNames = [numExtensions]string{
	extMetadata:   wire.ExtMetadata,
	extPEX:        wire.ExtPEX,
	extDontHave:   wire.ExtDontHave,
	extUploadOnly: wire.ExtUploadOnly,
}

// extensionIDs are the ids that the remote has chosen, by ours. BEP 10: "The extension
// IDs must be stored for every peer, because every peer may have different IDs for the
// same extension." 0: it does not take these messages, or no longer.
type extensionIDs [numExtensions]uint8

// apply takes another m: "the m dictionary is additive. It's enough that it contains
// the actual CHANGES to the extension list", and "the value 0 is used to turn off an
// extension".
func (e *extensionIDs) apply(m wire.Extensions) {
	for _, x := range m {
		for i, name := range extNames {
			if name == x.Name && i != int(extHandshake) {
				e[i] = x.ID
			}
		}
	}
}

// has says whether the remote takes messages of a kind.
func (e *extensionIDs) has(kind uint8) bool { return e[kind] != 0 }

// sendExtended sends an extended message of a kind, under the remote's own id for it,
// and reports whether the remote takes such messages.
func (p *peer) sendExtended(kind uint8, payload []byte) bool {
	id := p.remote.ids[kind]
	if id == 0 {
		return false
	}
	p.send(wire.ExtendedMessage(id, payload))
	return true
}

// extendedHandshake is our side of BEP 10's handshake.
func (p *peer) extendedHandshake() wire.ExtHandshake {
	h := wire.ExtHandshake{
		M:    p.offers(),
		V:    p.cfg.version,
		P:    p.cfg.port,
		Reqq: requestsIn,
	}
	if n := int64(len(p.cfg.info)); n <= maxMetadata {
		// BEP 9: "It also adds metadata_size to the handshake message", once known.
		h.MetadataSize = n
	}
	if p.told.uploadOnly || p.ours.set.full() {
		// BEP 21: we want nothing, whatever the bitfield says.
		h.UploadOnly = wire.Yes
	}
	if p.cfg.encrypts {
		h.E = wire.Yes
	}
	if ip := p.link.Info().Remote.Addr(); ip.IsValid() {
		h.YourIP = ip.Unmap().AsSlice()
	}
	return h
}

// offers is our m: what we take, under our ids. PEX is left out where it may not be
// used, as in private torrents (BEP 27).
func (p *peer) offers() wire.Extensions {
	m := make(wire.Extensions, 0, numExtensions)
	for id := extMetadata; id < numExtensions; id++ {
		if id == extPEX && !p.cfg.pex {
			continue
		}
		m = append(m, wire.Extension{Name: extNames[id], ID: id})
	}
	return m
}

// sayExtensions says our extension handshake again when something in it has changed, if
// it has been said before; change, which may be nil, adds to it. All of it is said again, although BEP 10 asks for changes only: libtorrent and transmission take what a
// later m does not name as turned off.
func (p *peer) sayExtensions(change func(*wire.ExtHandshake)) {
	if p.phase != peerLive || !p.remote.ext || !p.ours.greeted {
		return
	}
	h := p.extendedHandshake()
	if change != nil {
		change(&h)
	}
	p.send(wire.ExtHandshakeMessage(h))
}

// onExtended takes an extended message, by our ids. Others are nobody's and ignored.
func (p *peer) onExtended(now actor.Time, m *wire.Message) error {
	switch m.ExtendedID() {
	case extHandshake:
		return p.onExtHandshake(m.Payload)
	case extMetadata:
		return p.onMetadata(now, m.Payload)
	case extPEX:
		return p.onPEX(m.Payload)
	case extDontHave:
		return p.onDontHave(m.Payload)
	case extUploadOnly:
		p.onUploadOnly(m.Payload)
	}
	return nil
}

// onExtHandshake takes the remote's extension handshake. "It is valid to send the
// handshake message more than once during the lifetime of a connection": what it does
// not mention stays as it was.
func (p *peer) onExtHandshake(payload []byte) error {
	h, err := wire.ParseExtHandshake(payload)
	if err != nil {
		return p.ended(faultProtocol, err, "")
	}
	r := &p.remote
	r.ids.apply(h.M)
	if h.P != 0 {
		r.listen = h.P
	}
	if h.Reqq > 0 {
		r.reqq = min(h.Reqq, requestsOut)
	}
	if h.UploadOnly != wire.Unsaid {
		r.uploadOnly = h.UploadOnly == wire.Yes
	}
	if h.V != "" {
		r.client = h.V
	}
	if h.E != wire.Unsaid {
		r.encrypts = h.E == wire.Yes
	}
	for _, x := range h.M {
		if x.Name == wire.ExtHolepunch {
			r.holepunch = x.ID != 0
		}
	}
	if h.MetadataSize > 0 {
		r.metadataSize = h.MetadataSize
	}
	if len(h.M) == 0 && h.E == wire.Unsaid && h.MetadataSize == 0 && h.YourIP == nil && h.IPv4 == nil && h.IPv6 == nil {
		return nil // all that it says is in the state
	}
	p.report().extended = &extended{
		metadata: r.ids.has(extMetadata), pex: r.ids.has(extPEX), size: r.metadataSize,
		encrypts: r.encrypts, holepunch: r.holepunch,
		yourIP: addrOf(h.YourIP), ipv4: addrOf(h.IPv4), ipv6: addrOf(h.IPv6),
	}
	return nil
}

// addrOf is an address in its compact form of 4 or 16 bytes; invalid if it is none.
func addrOf(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// onDontHave takes back one piece that the remote has announced. BEP 54: "If the Fast
// extension has not been negotiated with the sending peer, then any outstanding requests
// for chunks of the discarded piece are silently cancelled, just like when receiving a
// Choke message. If the Fast extension has been negotiated, no requests are silently
// cancelled: the peer will explicitly reject any such requests".
func (p *peer) onDontHave(payload []byte) error {
	i, err := wire.ParseDontHave(payload)
	switch {
	case err != nil:
		return p.ended(faultProtocol, err, "")
	case !p.knows():
		p.early.lost(i)
		return nil
	case i >= uint32(p.cfg.lengths.Pieces()):
		return p.broke("%s of piece %d, there are %d", wire.ExtDontHave, i, p.cfg.lengths.Pieces())
	}
	piece := metainfo.PieceIndex(i)
	p.remote.pieces = max(p.remote.pieces-1, 0)
	r := p.report()
	r.haves = append(r.haves, ^piece)
	p.giveBackRuns(func(r run) bool { return r.piece == piece })
	if !p.remote.fast {
		p.giveBackOut(func(r *askedBlock) bool { return r.piece == piece })
	}
	return nil
}

// onUploadOnly takes libtorrent's message of one byte that says what BEP 21's key of the
// handshake says, and as often as it changes.
func (p *peer) onUploadOnly(payload []byte) {
	if len(payload) > 0 {
		p.remote.uploadOnly = payload[0] != 0
	}
}

// sayUploadOnly tells the remote when our wanting has changed. That we have everything
// it knows by itself. That we want nothing comes behind all that we have: libtorrent
// leaves at once who wants nothing and, as far as it knows, has nothing for it.
func (p *peer) sayUploadOnly() {
	on := p.cfg.stance.uploadOnly
	if on == p.told.uploadOnly || on && p.ours.cursor < len(p.ours.log) {
		return
	}
	p.told.uploadOnly = on
	if p.ours.set.full() || p.sendExtended(extUploadOnly, []byte{uint8(one(on))}) {
		return
	}
	p.sayExtensions(func(h *wire.ExtHandshake) {
		if !on {
			h.UploadOnly = wire.No
		}
	})
}
