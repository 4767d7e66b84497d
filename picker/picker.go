package picker

import (
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/clock"
)

// Time is a moment on the torrent's clock, in nanoseconds.
type Time = clock.Time

// Bits is a set of pieces.
type Bits = *bits.Set

// BlockSize is the bytes of a block, the unit of Missing and Queued.
const BlockSize = 16 << 10

// Priorities of a piece. Those between may be used too.
const (
	Unwanted uint8 = 0
	Lowest   uint8 = 1
	Normal   uint8 = 4
	Highest  uint8 = 7
)

// Piece is what the torrent knows of one piece.
type Piece struct {
	Avail    int32 // peers that have it, seeds not counted
	Prio     uint8 // 0 = not wanted, 1 (lowest) .. 7 (highest), 4 normal
	Deadline Time  // when a reader needs it; 0 = none
	Have     bool  // verified
	Missing  int32 // blocks not yet requested from anybody
	Busy     bool  // some block is requested or present
}

// Due reports whether a reader waits for the piece. A deadline makes a piece wanted
// even when its priority is 0: streaming a file does not select it.
func (p Piece) Due() bool { return p.Deadline != 0 && p.Deadline != clock.Never }

// Wanted reports whether the piece is still to be downloaded.
func (p Piece) Wanted() bool { return !p.Have && (p.Prio > 0 || p.Due()) }

// Facts is the torrent as a strategy sees it: read only, and the same answer until
// the strategy is told of a change.
type Facts interface {
	Pieces() int32       // in the torrent
	Seeds() int32        // peers that have every piece; not counted in Avail
	Owned() int32        // pieces with Have
	Piece(i int32) Piece // of 0..Pieces()-1
	Now() Time
	Rand(n int32) int32 // uniform in 0..n-1, from the torrent's stream; n > 0
}

// Peer is who is to be asked.
type Peer struct {
	ID        uint32
	Has       Bits    // what it has; nil: everything
	Rate      int64   // bytes per second that we get from it; 0 while unknown
	RTT       int64   // nanoseconds; 0 while unknown
	Queued    int32   // blocks that we have requested from it
	Snubbed   bool    // it owes us blocks for too long
	Parole    bool    // suspected of bad data: whole pieces, alone
	Suggested []int32 // BEP 6 suggestions, newest last
}

func (p *Peer) has(i int32) bool { return p.Has == nil || p.Has.Has(i) }

// Hint tells the engine how to take an offered piece.
type Hint uint8

// The hints; they may be combined.
const (
	// Whole: request all blocks from this peer, and none from others. The engine
	// then counts them all as requested, so the piece is offered to nobody else.
	Whole Hint = 1 << iota
	// Urgent: the deadline is near; blocks that are requested elsewhere may be
	// requested again. Only such pieces are offered with Missing 0.
	Urgent
)

// Change says what about a piece is no longer as it was.
type Change uint8

// The kinds of change.
const (
	AvailChanged    Change = iota // Avail, by one or more
	PrioChanged                   // Prio
	HaveChanged                   // Have, both ways
	BusyChanged                   // Busy; or Missing has become 0, or is no longer 0
	DeadlineChanged               // Deadline
)

// Strategy puts pieces in an order. Its methods are called by one torrent, one at a
// time. Offer must not call back into the strategy: the engine reports what it did
// after Order has returned.
type Strategy interface {
	// Rebuild forgets everything and begins anew from the facts: at the start, when
	// metadata arrives, and when changes are too many to report one by one.
	Rebuild(f Facts)
	// Changed is called after a fact of a piece has changed. O(1): it runs for
	// every have message.
	Changed(f Facts, piece int32, c Change)
	// Order offers the pieces that p should be asked for, best first, each at most
	// once, until offer says false. Offered pieces are ones that p has, that are
	// wanted and that have blocks missing.
	Order(f Facts, p *Peer, offer func(piece int32, h Hint) bool)
}

// Revealer is what a strategy for super-seeding adds (BEP 16): it decides which of
// our pieces each peer may see.
type Revealer interface {
	// Reveal appends to out the pieces that p shall be told of next; none is an
	// answer too.
	Reveal(f Facts, p *Peer, out []int32) []int32
	// Seen is called when peer by announces a piece.
	Seen(piece int32, by uint32)
}
