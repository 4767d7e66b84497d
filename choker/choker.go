package choker

import (
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

type (
	// Time is a moment on the torrent's clock, in nanoseconds.
	Time = clock.Time
	// Duration is a span, in nanoseconds.
	Duration = clock.Duration
	// Rand is the torrent's own stream of random numbers.
	Rand = rand.Rand
)

// Times of the choking algorithm.
const (
	// Round: "only changing who's choked once every ten seconds" (BEP 3).
	Round = 10 * time.Second
	// Rotation: "Which peer is optimistically unchoked rotates every 30 seconds."
	Rotation = 30 * time.Second
	// NewFor is how long a connection counts as new for the optimistic unchoke.
	NewFor = 60 * time.Second
)

// Peer is a connection as the torrent sees it. Bytes are of block data.
type Peer struct {
	ID          uint32
	Interested  bool // it wants something from us
	Interesting bool // we want something from it
	Unchoked    bool // by us, at present
	UnchokesUs  bool
	Snubbed     bool // it owes us blocks for too long
	Seed        bool // it has everything
	Since       Time // connected
	Changed     Time // when Unchoked last changed; Since if it never did

	// Bytes from it and to it since the last Decide that was due: one whose time
	// had come by the previous one's again. The engine sets both to 0 after that.
	RoundDown, RoundUp int64
	DownRate, UpRate   int64 // bytes per second, smoothed, from it and to it
	DownTotal, UpTotal int64 // bytes since the connection was made
	Pieces             int32 // that it has
	Class              uint8 // priority: higher is better, 0 normal
}

// View is a torrent at the moment of a decision. A strategy must not keep it.
type View struct {
	Now      Time
	Seeding  bool  // we download nothing
	Slots    int32 // how many peers may be unchoked
	Pieces   int32 // in the torrent
	UpCap    int64 // bytes per second allowed, 0 = unlimited
	UpRate   int64 // bytes per second at present
	PieceLen int64 // bytes of a piece
	Peers    []Peer
	Rand     *Rand
}

// Grant is a slot.
type Grant struct {
	ID     uint32
	Weight uint16 // share of the upload rate relative to other grants; 1 is normal
	Budget int64  // bytes after which Decide is to be run again; 0 = unbounded
}

// Strategy hands out upload slots. One torrent calls it, one call at a time.
type Strategy interface {
	// Decide appends a Grant to out for each peer that is to be unchoked from now
	// on, best first; who is absent is choked. It is run when again has passed
	// since the last call, and sooner when a peer becomes interested or ceases to
	// be, leaves, has used up its budget, or when Slots or Seeding change. An again
	// of 0 means: not before something changes.
	Decide(v *View, out []Grant) (grants []Grant, again Duration)
	// Forget drops what is remembered of a peer that has left.
	Forget(id uint32)
}

// wants reports whether a peer can be given a slot at all.
func (p *Peer) wants() bool { return p.Interested && !p.Seed }
