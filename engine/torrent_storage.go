package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
)

// diskState is a torrent's side of its storage. Owner: the torrent.
type diskState struct {
	window  actor.Window // control requests unanswered
	out     *storage.Blocks
	open    bool
	opening bool
	loaded  bool  // the facts of an earlier run have been taken
	stalled bool  // waiting for Resume
	looking bool  // before Completed is told
	trouble error // while set, no blocks are asked for
	space   bool  // the trouble is the lack of space
	cookie  uint64
	waiting map[uint64]pendingDone // by cookie: what follows a Done
	checks  []actor.Ref[error]     // whom to tell of CheckDone
	check   checkRun
	order   pieceOrder // in which pieces are told verified
}

// pendingDone is a control request that storage has not answered.
type pendingDone struct {
	reply actor.Ref[error]
	then  func() // what changes when it has succeeded; may be nil
}

// checkRun is the check in progress, or the last one if that has failed.
type checkRun struct {
	running bool
	failed  bool
	which   *bits.Set // nil: all pieces
	total   int32
	done    int32
}

// takes reports whether storage takes blocks now.
func (d *diskState) takes() bool { return d.open && !d.check.running }

// storageReserve of storageWindow is for what can't be refused: the Close of a
// torrent, a check, its last Save, and the Look before it is complete.
const storageReserve = 4

func (t *torrent) openStorage() {
	t.disk.window.Take(1)
	t.disk.opening = true
	t.cfg.deps.Disk.Tell(storage.Open{
		ID: t.cfg.store, Info: t.cfg.meta, Dir: t.cfg.dir, Options: t.cfg.options,
		Reply: actor.Adapt(t.self, storedMsg),
	})
}

// add puts a delivered block into this turn's batch for storage.
func (d *diskState) add(id storage.ID, e storage.Entry) {
	if d.out == nil {
		d.out = storage.NewBlocks(id)
	}
	d.out.Entries = append(d.out.Entries, e)
}

// send hands the batch to storage.
func (d *diskState) send(disk actor.Ref[storage.Message]) {
	if d.out != nil {
		disk.Tell(d.out)
		d.out = nil
	}
}

func (d *diskState) drop() {
	if d.out != nil {
		d.out.Drop()
		d.out = nil
	}
}

func (d *diskState) failAll(why error) {
	for _, w := range d.waiting { //order: irrelevant
		w.reply.Tell(why)
	}
	d.waiting = nil
	d.failChecks(why)
}

func (d *diskState) failChecks(why error) {
	checks := d.checks
	d.checks = nil
	for _, r := range checks {
		r.Tell(why)
	}
}

// request sends a control request to storage; reply hears of its Done, after then has
// been called if all went well.
func (t *torrent) request(reply actor.Ref[error], then func(), make func(cookie uint64) storage.Message) {
	if !t.disk.open || t.life.closing || t.disk.window.Open() <= storageReserve {
		reply.Tell(ErrBusy)
		return
	}
	t.must(reply, then, make)
}

// must is request for what can't be refused.
func (t *torrent) must(reply actor.Ref[error], then func(), make func(cookie uint64) storage.Message) {
	t.disk.window.Take(1)
	t.disk.cookie++
	if t.disk.waiting == nil {
		t.disk.waiting = map[uint64]pendingDone{}
	}
	t.disk.waiting[t.disk.cookie] = pendingDone{reply, then}
	t.cfg.deps.Disk.Tell(make(t.disk.cookie))
}

func (t *torrent) onDone(c *actor.Ctx[torrentMsg], a storage.Done) {
	t.disk.window.Give(1)
	if a.Cookie == lookCookie {
		t.onLooked(c, a.Err)
		return
	}
	w := t.disk.waiting[a.Cookie]
	delete(t.disk.waiting, a.Cookie)
	if a.Err == nil && w.then != nil {
		w.then()
	}
	w.reply.Tell(a.Err)
}

// stall asks storage to be told when the slab has room again.
func (t *torrent) stall() {
	t.disk.stalled = true
	t.cfg.deps.Disk.Tell(storage.Stall{ID: t.cfg.store})
}

// onStored takes storage's answers.
func (t *torrent) onStored(c *actor.Ctx[torrentMsg], a storage.Answer) {
	switch a := a.(type) {
	case storage.Opened:
		t.onOpened(c, a)
	case storage.Checked:
		t.onChecked(a)
	case storage.CheckDone:
		t.onCheckDone(c, a)
	case storage.PieceDone:
		t.onPieceDone(c, a)
	case storage.Sums:
		t.onSums(a)
	case storage.Resume:
		t.disk.stalled = false
		t.feedAll()
	case storage.Trouble:
		t.onTrouble(c, a)
	case storage.FileDone:
		t.cfg.emit.Tell(Event{Kind: FileCompleted, Hash: t.cfg.hash, File: a.File, Path: a.Path})
	case storage.Done:
		t.onDone(c, a)
	case storage.Closed:
		t.onStorageClosed(c, a)
	default:
		panic(fmt.Sprintf("torrent: unknown answer of storage %T", a))
	}
}

// onOpened takes what is there already; what can't be trusted is hashed first.
func (t *torrent) onOpened(c *actor.Ctx[torrentMsg], a storage.Opened) {
	t.disk.window.Give(1)
	t.disk.opening = false
	switch {
	case a.Err != nil && t.life.finishing:
		t.maybeEnd(c)
		return
	case a.Err != nil:
		t.fail(c, a.Err)
		return
	}
	t.disk.open = true
	t.life.err = nil
	t.cfg.options.Check = false // once is enough, should it be opened again
	if a.Dir != "" {
		t.cfg.dir = a.Dir
	}
	given := t.cfg.options.Priority != nil && !t.cfg.selected
	t.load(a.Saved, c.Now())
	t.applyPriorities()
	t.setHave(a.Have)
	if !given && t.cfg.options.Priority != nil {
		t.tellSelection(actor.Ref[error]{})
	}
	for _, p := range a.Partials {
		t.addPartial(p)
	}
	t.begin(c, a.Unknown)
}

// begin goes on after storage was opened: unknown pieces are to be hashed first.
func (t *torrent) begin(c *actor.Ctx[torrentMsg], unknown *bits.Set) {
	switch {
	case t.life.finishing:
		t.proceedFinish(c)
	case unknown != nil && !unknown.None():
		t.startCheck(c, unknown, actor.Ref[error]{})
	default:
		t.disk.failChecks(nil) // nothing is there that could be checked
		t.ready(c)
	}
}

// setHave replaces what we have, when storage has just said so.
func (t *torrent) setHave(have *bits.Set) {
	if have != nil {
		t.pieces.have.CopyFrom(have)
	}
	for i := len(t.pieces.open) - 1; i >= 0; i-- {
		if a := t.pieces.open[i]; t.pieces.have.Has(int32(a.piece)) {
			t.withdraw(a)
			t.disk.order.lost(a.piece, t.tellPiece)
			t.pieces.end(a, false) // a check has found it whole
		}
	}
	t.recount()
	for piece := range t.blame.suspects { //order: irrelevant
		if t.pieces.have.Has(int32(piece)) {
			delete(t.blame.suspects, piece)
		}
	}
	t.reviewParole()
}

// addPartial takes over blocks of an unfinished piece that lie on disk.
func (t *torrent) addPartial(p storage.Partial) {
	if !t.pieces.l.Valid(p.Piece) || t.pieces.have.Has(int32(p.Piece)) || t.pieces.partial(p.Piece) != nil {
		return
	}
	a := t.pieces.begin(p.Piece)
	for b := range p.Blocks.All() {
		t.pieces.arrive(a, blockIndex(b), 0)
	}
}

func blockIndex(b int32) metainfo.BlockIndex { return metainfo.BlockIndex(b) }

// startCheck hashes pieces on disk; nothing is transferred meanwhile.
func (t *torrent) startCheck(c *actor.Ctx[torrentMsg], which *bits.Set, reply actor.Ref[error]) {
	t.disk.window.Take(1)
	total := t.pieces.l.Pieces()
	if which != nil {
		total = which.Count()
	}
	t.disk.check = checkRun{running: true, which: which, total: total}
	if !reply.IsZero() {
		t.disk.checks = append(t.disk.checks, reply)
	}
	t.setState(Checking)
	t.cfg.deps.Disk.Tell(storage.Verify{ID: t.cfg.store, Pieces: which})
}

func (t *torrent) onChecked(a storage.Checked) {
	t.disk.check.done++
	t.count.rehashed += t.pieces.l.PieceSize(a.Piece)
}

func (t *torrent) onCheckDone(c *actor.Ctx[torrentMsg], a storage.CheckDone) {
	t.disk.window.Give(1)
	which := t.disk.check.which
	t.disk.check = checkRun{failed: a.Err != nil, which: which}
	t.count.rehashed = max(t.count.rehashed, a.Hashed)
	t.setHave(a.Have)
	t.disk.failChecks(a.Err)
	switch {
	case t.life.finishing:
		t.proceedFinish(c)
	case a.Err != nil:
		t.fail(c, a.Err)
	default:
		t.ready(c)
	}
}

// onPieceDone hears what became of a piece.
func (t *torrent) onPieceDone(c *actor.Ctx[torrentMsg], a storage.PieceDone) {
	part := t.pieces.partial(a.Piece)
	if part == nil {
		return // let go of meanwhile
	}
	switch {
	case a.OK:
		t.pieceVerified(c, part)
	case a.Err != nil && a.Kept:
		// Storage has it, verified, and will write it when it can.
		t.disk.order.lost(a.Piece, t.tellPiece)
	case a.Err != nil:
		t.refetch(part)
	default:
		t.pieceBad(c, part, a.Sums)
	}
}

// pieceVerified: the piece is ours.
func (t *torrent) pieceVerified(c *actor.Ctx[torrentMsg], part *partial) {
	piece := part.piece
	if t.blame.pending(piece) {
		t.cfg.deps.Disk.Tell(storage.Sum{ID: t.cfg.store, Piece: piece})
	}
	wanted, lent := t.pieces.wants(piece), t.pieces.isLent(piece)
	t.prove(part)
	t.unown(part)
	t.pieces.end(part, true)
	t.changed(piece, picker.HaveChanged)
	if wanted {
		for _, p := range t.swarm.list {
			if p.has != nil && p.has.Has(int32(piece)) {
				p.wants--
			}
		}
	}
	if wanted && !lent {
		t.count.done += t.pieces.l.PieceSize(piece)
	}
	t.reader.arrived(piece)
	t.disk.order.verified(piece, t.tellPiece)
	if t.pieces.have.Full() {
		t.tellAnnouncer(tracker.Complete{Facts: t.facts()})
	}
	if t.mayConnect() && (t.pieces.complete() != t.life.complete || t.pieces.missing == 0) {
		t.settle(c)
	}
	t.feedAll() // memory or endgame may have come free
}

// tellPiece says that a piece is verified and written.
func (t *torrent) tellPiece(p metainfo.PieceIndex) {
	t.cfg.emit.Tell(Event{Kind: PieceVerified, Hash: t.cfg.hash, Piece: p})
}

// refetch throws a piece's blocks away: all of them are asked for again.
func (t *torrent) refetch(part *partial) {
	piece := part.piece
	t.disk.order.lost(piece, t.tellPiece)
	t.unown(part)
	t.pieces.end(part, false)
	t.changed(piece, picker.BusyChanged)
	t.feedAll()
}

// onDiskDown: storage itself has ended, by a bug. Nothing that was asked of it will
// be answered.
func (t *torrent) onDiskDown(c *actor.Ctx[torrentMsg], e actor.Exit) {
	err := fmt.Errorf("storage has ended: %w", errors.Join(e.Err, ErrClosed))
	t.disk.window.Used = 0
	t.disk.open, t.disk.opening, t.disk.stalled, t.disk.trouble = false, false, false, nil
	t.disk.looking = false
	t.disk.check = checkRun{}
	t.disk.failAll(err)
	if t.life.finishing {
		t.maybeEnd(c)
		return
	}
	t.fail(c, err)
}

// ErrBusy answers a command for which there is no room now.
var ErrBusy = errors.New("torrent busy: try again")

// missingEvery is how often a torrent whose files have disappeared looks for them.
const missingEvery = 10 * time.Second

// lookAgain opens the storage of a torrent whose files had disappeared, as with an
// unmounted disk: nothing is made anew in their place, and all goes on by itself when
// they are back.
func (t *torrent) lookAgain() {
	if t.life.state == Failed && !t.disk.open && !t.disk.opening && !t.life.finishing {
		t.openStorage()
	}
}
