package engine

import (
	"time"

	"github.com/shoal-bt/shoal/internal/block"
)

// This file holds every request window and every cap between actors and towards
// the outside, so that the sum of what can wait anywhere can be read off one page.
//
//	from -> to            what                  bound               when reached
//	link pump -> peer     *Batch, Flushed       linkPump            the pump waits, TCP's window closes
//	dial -> peer          Dialed                1
//	peer -> torrent       *report               1 per drain         bounded by the pump above
//	torrent -> peer       *assignment           answers need        -
//	torrent -> peer       tellPEX               1 a minute          -
//	torrent -> peer       stance, haves         signals             newest wins
//	torrent -> peer       askMetadata           maxMetaAsks         no more is asked
//	remote -> peer        metadata requests     two copies a minute rejected
//	torrent -> resolver   names of a link       100                 once
//	peer -> storage       *Read                 uploadReads         requests wait in the peer, up to its reqq
//	torrent -> storage    *Blocks               the slab            assigning stops at the high mark
//	torrent -> storage    control               storageWindow       the command is refused as busy
//	Reader -> storage     *Read                 1 per call          the Reader waits
//	Reader -> torrent     leases, waiting       maxReaders, ~Waiters  no lease; refused as busy
//	peer -> governor      wantBytes             1 per direction     the peer waits for its grant
//	torrent -> governor   wantDials             1                   answered as slots come free
//	governor -> session   crowded               a signal            newest wins
//	torrent -> announcer  Start, Finish, ...    announcerWindow
//	torrent -> announcer  Update                offers              dropped, they come again
//	announcer -> torrent  Found, Report         announcerAnswers
//	session <-> torrent   commands, answers     commandWindow       the outsider waits
//	lsd, pex -> torrent   candidates            offers              dropped, they come again

const (
	// linkPump batches of a link may wait at its peer: the last, a writer's
	// Flushed and a Closed find room as well.
	linkPump = 8

	// uploadReads is how many reads of up to uploadRun bytes a peer has at
	// storage at once: enough to have one being read while one is being sent.
	uploadReads = 4
	uploadRun   = 256 << 10

	// unsentMark is how many bytes of payload a peer keeps between storage and
	// the kernel; it is raised with the upload rate up to unsentMax.
	unsentMark = 512 << 10
	unsentMax  = 4 << 20

	// requestsIn is how many requests of one remote may wait, which is what we
	// announce as reqq (BEP 10). Further ones are rejected.
	requestsIn = 2000

	// requestsOut bounds what we have asked of one remote: at 16 KiB each it is
	// 32 MiB, the product of 1 GiB/s and 30 ms.
	requestsOut = 2000

	// requestsDefault is the depth towards remotes that announce no reqq:
	// libtorrent's and transmission's own bound on what they queue.
	requestsDefault = 250

	// requestsMin keeps a slow remote busy over one round trip.
	requestsMin = 4

	// leaseTime ends a Reader's lease that is not renewed; maxReaders Readers have
	// one, and maxWaiters may wait for one piece.
	leaseTime  = 30 * time.Second
	maxReaders = 256
	maxWaiters = 256

	// newsEvery is how often an announcer hears the counters while something moves.
	newsEvery = 5 * time.Second

	// saveEvery is how often a torrent's own facts are saved while it lives.
	saveEvery = time.Minute

	// pauseAnnounce is how long a paused torrent waits for trackers to hear "stopped".
	pauseAnnounce = 5 * time.Second

	// peerLimit is what a torrent, storage and the governor may tell one peer:
	// assignments and cancels (endgame's), reads, grants.
	peerLimit = 256

	storageWindow    = 16
	announcerWindow  = 16
	announcerAnswers = 64
	commandWindow    = 64

	// maxCandidates addresses are remembered per torrent; the worst is forgotten.
	maxCandidates = 2000

	// maxBans per torrent; the oldest is forgotten.
	maxBans = 1000

	// dialWindow connections per torrent are being made at once.
	dialWindow = 16

	// handshakeTime is what a remote has to shake hands after the connection
	// stands, and dialTime for that.
	handshakeTime = 15 * time.Second
	dialTime      = 10 * time.Second

	// snubTime without any payload while requests are out makes a remote
	// snubbed: its blocks are asked of others. BEP 3: "over a minute"; waiting
	// that long stalls the last pieces, so the request is given back earlier and
	// late blocks are still welcome.
	snubTime = 20 * time.Second

	// keepAlive: BEP 3, "these are generally sent once every two minutes".
	keepAlive = 2 * time.Minute

	// silentTime without a byte ends a connection.
	silentTime = 3 * time.Minute

	// havesEvery bounds how often all peers are told of new pieces.
	havesEvery = 100 * time.Millisecond
)

// torrentLimit is the sum of the windows that end at a torrent: a few reports of
// each peer (one a turn, and a turn may overtake the torrent's), storage's and the
// announcer's answers, grants. Pieces that complete at once add their PieceDones.
func torrentLimit(c Caps) int {
	c = c.withDefaults()
	return int(c.TorrentPeers)*reportsAhead + storageWindow + announcerAnswers + piecesAhead + discoveryAnswers
}

// diskLimit is the sum of the windows that end at storage: reads of all peers,
// blocks of all drains, control of all torrents.
func diskLimit(c Caps) int {
	return int(c.withDefaults().Peers)*(uploadReads+reportsAhead) + 1024*storageWindow
}

const (
	// governorLimit: each peer's wantBytes and its torrent's words about it.
	governorLimit = 16384
	sessionLimit  = 4096

	// reportsAhead of one peer may wait: its pump allows linkPump batches at a
	// time, and each turn of the peer makes at most one report.
	reportsAhead = 4 * linkPump
	piecesAhead  = 4096
)

// marks of the slab, in slots: assigning stops above high and goes on below low.
func slabMarks(s *block.Slab) (low, high int) {
	return s.Budget() / 2, s.Budget() / 4 * 3
}
