package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// torrentMsg is everything that can happen to a torrent.
type torrentMsg interface{ torrentMsg() }

// peerID names a peer within its torrent; never used twice.
type peerID uint32

// blockRef names one block of the torrent.
type blockRef struct {
	piece metainfo.PieceIndex
	block metainfo.BlockIndex
}

// run is n consecutive blocks of one piece.
type run struct {
	piece metainfo.PieceIndex
	first metainfo.BlockIndex
	n     int32
}

// From the session.

// arrived: a connection came in and asked for this torrent. From: session. A hint:
// the torrent closes the link if it doesn't want it.
type arrived struct {
	transport.Accepted
	crowded bool // the session has all the connections it may have
}

// found: addresses of peers. From: session (user, resume, LSD, DHT). A hint.
type found struct {
	addrs  []netip.AddrPort
	source Source
}

// pause and resume stop and start all transfer. From: session; reply gets nil or why not.
type pause struct{ reply actor.Ref[error] }
type resume struct{ reply actor.Ref[error] }

// finish ends the torrent in good order: "stopped" is announced within limit,
// partial pieces and counters are saved, then the torrent quits. With remove its
// records go, with data its payload too. From: session. Ended by the torrent's
// Exit, whose Err is nil when all went well.
type finish struct {
	limit  time.Duration
	remove bool
	data   bool
}

// alsoSelect wants more files, if they are not wanted yet: a link to a torrent that is
// there already names them (BEP 53). From: session. A hint.
type alsoSelect struct{ ranges []metainfo.FileRange }

// Commands of a person or program. From: session, at most commandWindow in all;
// each is answered at its reply.
type setPriorities struct {
	file  []uint8 // by file: 0 not wanted, 1..7, 4 normal
	reply actor.Ref[error]
}
type setStrategy struct {
	picker, choker string // "" leaves it
	reply          actor.Ref[error]
}
type recheck struct{ reply actor.Ref[error] } // answered when the check is done
type reannounce struct{ reply actor.Ref[error] }
type addTrackers struct {
	urls  []string
	reply actor.Ref[error]
}
type move struct {
	dir   string
	reply actor.Ref[error]
}
type rename struct {
	file  metainfo.FileIndex
	path  string
	reply actor.Ref[error]
}

// limitPeer limits one connection, by the address of its remote end.
type limitPeer struct {
	addr   netip.AddrPort
	limits Limits
	reply  actor.Ref[error]
}

// syncAll makes what is written durable. Answered when it is.
type syncAll struct{ reply actor.Ref[error] }

// askStats, askPeers, askTrackers: snapshots for whoever shows them.
type askStats struct{ reply actor.Ref[TorrentStats] }
type askPeers struct{ reply actor.Ref[[]PeerStats] }
type askTrackers struct{ reply actor.Ref[[]TrackerStats] }
type askFiles struct{ reply actor.Ref[[]FileStats] }

// urgent: a Reader wants these pieces soon, the first one first. It is a lease that
// ends after leaseTime unless renewed. From: Readers.
type urgent struct {
	reader      uint64
	first, last metainfo.PieceIndex
	end         bool // of the lease
}

// await: tell reply when the piece is verified and on disk, or that it will not be
// before the torrent ends. From: Readers.
type await struct {
	reader uint64 // the end of whose lease ends the waiting, too
	piece  metainfo.PieceIndex
	reply  actor.Ref[error]
}

// From peers.

// report is what one drain of a peer's socket, or one of its timers, has changed:
// at most one a turn of the peer. It is pooled; the torrent gives it back. The
// state in it replaces the last one. A standing need is answered by an assignment
// as soon as there is work. From: peer.
type report struct {
	peer  peerID
	state peerState

	shook     *shook                // once, first: the handshake is complete
	has       *bits.Set             // the remote's bitfield, now the torrent's
	haves     []metainfo.PieceIndex // ^i: it has lost piece i (BEP 54)
	suggested []metainfo.PieceIndex // BEP 6
	fast      []metainfo.PieceIndex // BEP 6 allowed fast: may be asked for while choked; see needFast
	pex       []pex.Peer            // BEP 11: whom the remote is connected to, as far as that may be believed
	blocks    []storage.Entry       // delivered; the slots are now the torrent's
	back      []blockRef            // leases that ended without a block: reject, choke, timeout
	wasted    int64                 // bytes of payload that nobody had asked for (any more)
	dhtPort   uint16                // BEP 5's PORT: where the remote's node of the DHT listens
	extended  *extended             // an extension handshake has come (BEP 10)
	metadata  []metadataAnswer      // BEP 9
}

// extended is what an extension handshake told besides the state, or has told before.
type extended struct {
	metadata   bool       // it takes ut_metadata
	pex        bool       // it takes ut_pex
	encrypts   bool       // it prefers encrypted connections
	holepunch  bool       // it takes ut_holepunch
	size       int64      // of the info dictionary, as it says; 0: it has not said
	yourIP     netip.Addr // ours as it sees it; invalid: it does not say
	ipv4, ipv6 netip.Addr // its own, as it says
}

// shook is what a handshake told.
type shook struct {
	id       [20]byte
	fast     bool
	incoming bool
	addr     netip.AddrPort // where it can be dialed; zero if unknown
	crypto   mse.Method
}

// peerState is the peer's own state as the torrent needs it.
type peerState struct {
	interested bool // the remote wants something of us
	chokesUs   bool
	snubbed    bool
	need       int32  // room for this many more requests; a standing offer
	needFast   int32  // while chokesUs: room for requests of allowed-fast pieces alone
	assigned   uint32 // assignments with runs that it has had: need is stale while others are on their way
	queued     int32  // requests out at the remote
	down, up   int64  // payload bytes, whole life
	rate       int64  // of download, bytes a second
	rtt        actor.Duration
	uploadOnly bool   // BEP 21
	listen     uint16 // BEP 10's p: the remote's listening port
	client     string // BEP 10's v, untrusted
}

// peerDown: a peer has ended. Its leases are over. Reserved by Spawn.
type peerDown struct {
	peer peerID
	exit actor.Exit
}

// From below.

// stored: storage answers.
type stored struct{ storage.Answer }

// announced: the announcer answers or reports.
type announced struct{ tracker.Answer }

// announcerDown: the announcer has ended.
type announcerDown struct{ exit actor.Exit }

// diskDown: storage has ended.
type diskDown struct{ exit actor.Exit }

// dialsGranted: the governor lets n connections be made. Answers wantDials.
type dialsGranted struct{ n int32 }

// slots is a signal of the governor: how many peers this torrent may unchoke.
type slots struct{ n int32 }

// limitsChanged is a signal of the governor: whether peers must ask for bytes, and how
// many a second the torrent may send in all (0: unlimited).
type limitsChanged struct {
	lim   limited
	upCap int64
}

// tick is the torrent's own timer; there is at most one of each kind.
type tick struct{ kind tickKind }

type tickKind uint8

const (
	tickChoke    tickKind = iota // the choker asked to be called again
	tickHaves                    // the sweep of new haves is due
	tickDial                     // a candidate may be tried again
	tickSecond                   // rates and needs, only while something moves
	tickSave                     // counters and peers are due to be saved
	tickLease                    // a Reader's lease ends
	tickHungry                   // somebody may have what it was refused
	tickOpen                     // files that have disappeared may be back
	tickMetadata                 // a request for metadata is late, or somebody may be asked again
	tickFarewell                 // trackers have had their time to hear "stopped"
	tickPEX                      // some peer may be told of others
	tickDiscover                 // it may be time to look for peers
	numTicks
)

func (arrived) torrentMsg()       {}
func (found) torrentMsg()         {}
func (pause) torrentMsg()         {}
func (resume) torrentMsg()        {}
func (finish) torrentMsg()        {}
func (setPriorities) torrentMsg() {}
func (alsoSelect) torrentMsg()    {}
func (setStrategy) torrentMsg()   {}
func (recheck) torrentMsg()       {}
func (reannounce) torrentMsg()    {}
func (addTrackers) torrentMsg()   {}
func (move) torrentMsg()          {}
func (rename) torrentMsg()        {}
func (syncAll) torrentMsg()       {}
func (limitPeer) torrentMsg()     {}
func (askStats) torrentMsg()      {}
func (askPeers) torrentMsg()      {}
func (askTrackers) torrentMsg()   {}
func (askFiles) torrentMsg()      {}
func (urgent) torrentMsg()        {}
func (await) torrentMsg()         {}
func (*report) torrentMsg()       {}
func (peerDown) torrentMsg()      {}
func (stored) torrentMsg()        {}
func (announced) torrentMsg()     {}
func (announcerDown) torrentMsg() {}
func (diskDown) torrentMsg()      {}
func (dialsGranted) torrentMsg()  {}
func (slots) torrentMsg()         {}
func (limitsChanged) torrentMsg() {}
func (tick) torrentMsg()          {}

// Kinds of signals that reach a torrent.
const (
	signalSlots uint8 = iota
	signalLimits
	signalSources
)

// SignalKind implements actor.Signal.
func (slots) SignalKind() uint8         { return signalSlots }
func (limitsChanged) SignalKind() uint8 { return signalLimits }

// Drop gives back the slots of a report that nobody will read.
func (r *report) Drop() {
	for i := range r.blocks {
		r.blocks[i].Data.Release()
	}
	r.blocks = r.blocks[:0]
}

// Drop closes the connection that nobody will take.
func (a arrived) Drop() { a.Accepted.Drop() }

// Drop releases what an answer carries.
func (s stored) Drop() {
	if d, ok := s.Answer.(actor.Dropper); ok {
		d.Drop()
	}
}
