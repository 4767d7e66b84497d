package storage

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
)

// phase is where a torrent is in its stay.
type phase uint8

const (
	opening phase = iota
	open
	closing
	closed
)

// torrent is all that the actor knows of one torrent.
type torrent struct {
	id    ID
	key   string // its info-hash, names its state file
	info  *metainfo.Torrent
	lay   *layout
	opt   Options
	reply actor.Ref[Answer]
	phase phase
	early []Message // came while it was opening
	store *store    // the workers'

	have     bits.Set
	facts    *facts
	lastRead clock.Time // when a block was last read to be sent; 0: never
	logged   int64      // bytes appended to the state file since its snapshot
	// compacting: a new snapshot is queued.
	compacting  bool
	compactNext clock.Time // not before

	pieces map[metainfo.PieceIndex]*piece
	last   *piece // the one looked up last
	queued uint8  // rotas that it is in

	hashq   queue[*piece]
	writeq  queue[*piece]
	readq   queue[*Read]
	sums    queue[*sumTask]
	ops     queue[*op]
	opBusy  bool       // the first of ops is under way
	later   queue[*op] // ops that wait for the end of a copy
	copies  int        // complete files that are being copied to their final place
	fence   fence
	hashing int    // pieces that are being hashed
	using   [2]int // jobs under way that read and that write its files

	dirt    dirtState
	verify  checkState
	trouble troubleState
	files   fileState
	closing closeState

	move moveState

	unfinished []int32 // complete files whose final name could not be given yet
}

// fence says which jobs must not touch a torrent's files now.
type fence uint8

const (
	fenceNone  fence = iota
	fenceWrite       // none that write or append to the state file
	fenceAll         // none at all
)

const (
	reading = 0
	writing = 1
)

// quiet reports whether the files are left alone as far as the fence says.
func (t *torrent) quiet() bool {
	return t.using[writing] == 0 && (t.fence < fenceAll || t.using[reading] == 0)
}

// mayRead and mayWrite report whether a job may be given out.
func (t *torrent) mayRead() bool  { return t.fence < fenceAll }
func (t *torrent) mayWrite() bool { return t.fence == fenceNone }

// tell answers the torrent.
func (t *torrent) tell(a Answer) { t.reply.Tell(a) }

// done answers one of the requests with a cookie.
func (t *torrent) done(cookie uint64, err error) { t.tell(Done{ID: t.id, Cookie: cookie, Err: err}) }

// piece returns a piece that has blocks here, or nil.
func (t *torrent) piece(p metainfo.PieceIndex) *piece {
	if t.last != nil && t.last.index == p {
		return t.last
	}
	if pc := t.pieces[p]; pc != nil {
		t.last = pc
		return pc
	}
	return nil
}

// forget ends a piece's stay in memory.
func (t *torrent) forget(pc *piece) {
	delete(t.pieces, pc.index)
	if t.last == pc {
		t.last = nil
	}
}

// check states the invariants at quiescence.
func (t *torrent) check() error {
	switch {
	case t.using != [2]int{}:
		return fmt.Errorf("storage: torrent %d: jobs %v are under way", t.id, t.using)
	case t.readq.len() > 0 || t.hashq.len() > 0:
		return fmt.Errorf("storage: torrent %d: %d reads and %d pieces to hash wait", t.id, t.readq.len(), t.hashq.len())
	case t.ops.len() > 0 || t.fence != fenceNone:
		return fmt.Errorf("storage: torrent %d: %d operations wait", t.id, t.ops.len())
	case t.writeq.len() > 0 && t.trouble.err == nil:
		return fmt.Errorf("storage: torrent %d: %d pieces wait to be written", t.id, t.writeq.len())
	}
	for _, pc := range t.pieces { //order: irrelevant, any fault will do
		if pc.state != filling && t.trouble.err == nil {
			return fmt.Errorf("storage: torrent %d: piece %d is neither partial nor done", t.id, pc.index)
		}
	}
	return nil
}

// troubleState is what is wrong with the torrent's disk.
type troubleState struct {
	err   error
	pause clock.Duration // before the next attempt
	timer actor.Timer
	probe bool // one write may be tried
	tried bool // it is under way
	kept  int  // slots of pieces that wait for the disk

	missing bool      // files are not where they were
	looking bool      // whether they are
	doubt   []int32   // pieces that a failed sync was to make durable
	lost    *bits.Set // of those, the bad ones
}
