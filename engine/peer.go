package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// peerConfig is what a torrent gives a new peer.
type peerConfig struct {
	id           peerID
	torrent      actor.Ref[torrentMsg]
	torrentActor uint64 // the torrent's number, for the governor
	disk         actor.Ref[storage.Message]
	store        storage.ID
	governor     actor.Ref[governorMsg]

	lengths  metainfo.Lengths
	infoHash [20]byte
	ourID    [20]byte
	version  string // BEP 10's v
	port     uint16 // BEP 10's p: where we listen; 0: nowhere

	dhtPort uint16 // BEP 5: where our node of the DHT listens; 0: nothing is said of it

	addr   netip.AddrPort
	link   transport.Link  // incoming; now the peer's. nil: begin says how to dial
	theirs *wire.Handshake // incoming: it has been read already

	have *bits.Set             // what we have now; the peer's own copy
	log  []metainfo.PieceIndex // our log of haves up to now: have has all of it

	lim    limited
	stance stance
	info   []byte // the info dictionary, which is served (BEP 9); nil: not known, or too long
	pex    bool   // ut_pex may be used (BEP 11)

	encrypts bool // we prefer encrypted connections
}

// peerPhase is where a connection stands in its life.
type peerPhase uint8

const (
	peerWaiting peerPhase = iota // for begin
	peerDialing                  // for dialed
	peerShaking                  // our handshake is out, theirs is not here
	peerLive
	peerClosing // Quit has been called: nothing counts any more
)

// A peer is one connection to one remote. It owns the link, what was asked of the
// remote and when, what the remote has asked of us, and the bytes granted in both
// directions. It asks the torrent for work and is given runs of blocks; what the
// remote has lives in the torrent.
//
// Handlers change state; Flush sends at most one batch to the link and one report
// to the torrent.
type peer struct {
	cfg    peerConfig
	phase  peerPhase
	events actor.Inlet[transport.Event]
	link   transport.Link

	remote peerRemote   // what the remote has told of itself
	ours   peerHaves    // what we have and have said of it
	told   stance       // what the remote knows of our stance
	down   peerDownload // what we have asked for
	up     peerUpload   // what the remote has asked for
	flow   peerFlow     // the bytes that may pass
	out    peerOutbox   // of this turn
	clock  peerClock    // when what happened, and the one timer

	early earlyHaves    // what the remote has, while we do not know how many pieces there are
	meta  *peerMetadata // what is asked with ut_metadata; nil: nothing
	guard *pex.Guard    // what the remote has told of others; nil: nothing
}

func newPeer(cfg peerConfig) *peer {
	p := &peer{cfg: cfg, link: cfg.link}
	p.remote.choking = true // BEP 3: "Connections start out choked and not interested."
	p.ours.init(cfg)
	p.told.uploadOnly = cfg.stance.uploadOnly // the extension handshake says it
	p.down.depth.target = requestsMin
	p.up.reads.Max = uploadReads
	p.flow.lim = cfg.lim
	p.flow.down.window.Max, p.flow.up.window.Max = 1, 1
	p.clock.timerAt = actor.Never
	return p
}

// Handle is all that can happen to a connection, in the order of its life.
func (p *peer) Handle(c *actor.Ctx[peerMsg], m peerMsg) {
	switch m := m.(type) {
	case begin:
		p.onBegin(c, m)
	case dialed:
		p.onDialed(c, m)
	case linkIn:
		p.onLinkIn(c, m.Batch)
	case linkSent:
		p.onLinkSent(c.Now(), m.Flushed)
	case *assignment:
		p.onAssignment(m)
	case tellPEX:
		p.sendPEX(m.payload)
	case stance:
		p.cfg.stance = m
	case haves:
		p.ours.log = m.log
	case rates:
		p.onRates(m.lim)
	case dhtPort:
		p.cfg.dhtPort = m.port
		p.sayPort()
	case known:
		p.onKnown(c, m)
	case pexAllowed:
		p.onPEXAllowed(m)
	case askMetadata:
		p.onAskMetadata(m)
	case readDone:
		p.onReadDone(c, m.Read)
	case bytesGranted:
		p.onGranted(c.Now(), m)
	case peerTick:
		p.onTick(c)
	case linkDown:
		p.onLinkDown(c, m.Err)
	}
}

// Flush decides what goes out after a batch of messages.
func (p *peer) Flush(c *actor.Ctx[peerMsg]) {
	now := c.Now()
	if p.phase == peerLive {
		p.greet()
		p.sayStance()
		p.sayHaves()
		p.sayUploadOnly()
		p.sendRequests(now)
		p.serveMetadata()
		p.serveUploads(c)
	}
	p.askGovernor(c)
	p.sendBatch(c)
	if p.phase == peerClosing {
		return // Stop reports
	}
	p.sendReport(now)
	p.arm(c)
}

// Stop closes the connection and lets go of all payload. What was delivered goes to
// the torrent first; leases end by the Exit that follows.
func (p *peer) Stop(c *actor.Ctx[peerMsg], why error) {
	if p.link != nil {
		if why == nil {
			why = actor.ErrStopped
		}
		p.link.Close(why)
	}
	if p.out.batch != nil {
		p.out.batch.Release()
		p.out.batch = nil
	}
	p.phase = peerClosing
	p.up.drop()
	p.lastReport(c.Now())
}

// fail ends the connection after the message at hand.
func (p *peer) fail(c *actor.Ctx[peerMsg], err error) {
	p.phase = peerClosing
	c.Quit(err)
}
