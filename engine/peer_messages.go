package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
)

// peerMsg is everything that can happen to a peer, which is one connection.
type peerMsg interface{ peerMsg() }

// begin is the peer's first message. It hands the peer its own door, which its
// link's events come in by and which no actor can make for itself. From: torrent,
// right after Spawn.
type begin struct {
	events    actor.Inlet[transport.Event] // see peerEvent
	transport transport.Transport          // outgoing: who dials; answered by dialed
	dial      transport.Dial               // outgoing: whom; Reply is the peer's
}

// From the transport.

// dialed answers the dial that an outgoing peer starts with.
type dialed struct{ transport.Dialed }

// linkIn: one drain of the socket. From: the link's reader pump, at most linkPump waiting.
type linkIn struct{ *transport.Batch }

// linkSent: the kernel has taken bytes. From: the link's writer pump, coalesced.
type linkSent struct{ transport.Flushed }

// linkDown: the connection is gone; the last event of the link.
type linkDown struct{ transport.Closed }

// From the torrent.

// assignment is work, and work taken back. It is pooled; the peer gives it back.
// It answers the standing need of the peer's last report (runs), or cancels
// requests whose blocks came from elsewhere (cancels). From: torrent.
type assignment struct {
	runs    []run
	cancels []blockRef
}

// tellPEX is a ut_pex message for the remote, ready to be sent. At most one a minute.
// From: torrent.
type tellPEX struct{ payload []byte }

// stance is a signal: how we stand towards the remote. The peer sends what
// changed. From: torrent.
type stance struct {
	interested bool
	unchoke    bool
	noRequests bool // pause: what is out may come, nothing more is asked
	uploadOnly bool // BEP 21: we want nothing, of nobody
}

// haves is a signal: the torrent's log of verified pieces, append-only and shared; ^i
// stands for a piece i that is lost again. The peer keeps a cursor. From: torrent, at most every havesEvery.
type haves struct{ log []metainfo.PieceIndex }

// rates is a signal: whether this peer must ask the governor for bytes. From: torrent.
type rates struct{ lim limited }

// limited says which directions are under a limit.
type limited struct{ down, up bool }

// known is a signal: the metadata has arrived. From: torrent, once.
type known struct {
	lengths metainfo.Lengths
	info    []byte // see peerConfig
}

// pexAllowed is a signal: whether ut_pex may be used from now on. From: torrent.
type pexAllowed struct{ on bool }

// askMetadata asks the remote for pieces of the info dictionary (BEP 9); each is
// answered in a report, if the connection lasts. From: torrent, at most maxMetaAsks
// unanswered.
type askMetadata struct{ pieces []int32 }

// dhtPort is a signal: where our node of the DHT listens now (BEP 5); 0: nothing more is
// to be said of it. From: torrent.
type dhtPort struct{ port uint16 }

// From storage and the governor.

// readDone: payload to upload, or why there is none. From: storage, answers *Read.
type readDone struct{ *storage.Read }

// bytesGranted answers wantBytes.
type bytesGranted struct {
	dir direction
	n   int64
}

// peerTick is the peer's one timer: the earliest of its deadlines.
type peerTick struct{}

func (begin) peerMsg()        {}
func (dialed) peerMsg()       {}
func (linkIn) peerMsg()       {}
func (linkSent) peerMsg()     {}
func (linkDown) peerMsg()     {}
func (*assignment) peerMsg()  {}
func (tellPEX) peerMsg()      {}
func (stance) peerMsg()       {}
func (haves) peerMsg()        {}
func (rates) peerMsg()        {}
func (readDone) peerMsg()     {}
func (bytesGranted) peerMsg() {}
func (peerTick) peerMsg()     {}
func (dhtPort) peerMsg()      {}
func (known) peerMsg()        {}
func (pexAllowed) peerMsg()   {}
func (askMetadata) peerMsg()  {}

// Kinds of signals that reach a peer.
const (
	signalStance uint8 = iota
	signalHaves
	signalRates
	signalKnown
	signalPEX
	signalDHTPort
)

// SignalKind implements actor.Signal.
func (stance) SignalKind() uint8 { return signalStance }
func (haves) SignalKind() uint8  { return signalHaves }
func (rates) SignalKind() uint8  { return signalRates }

// SignalKind implements actor.Signal.
func (dhtPort) SignalKind() uint8 { return signalDHTPort }

// SignalKind implements actor.Signal.
func (known) SignalKind() uint8      { return signalKnown }
func (pexAllowed) SignalKind() uint8 { return signalPEX }

// Drop implements actor.Dropper.
func (l linkIn) Drop() { l.Batch.Release() }

// Drop implements actor.Dropper.
func (r readDone) Drop() { r.Read.Drop() }

// Drop implements actor.Dropper.
func (d dialed) Drop() { d.Dialed.Drop() }
