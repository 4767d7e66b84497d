package engine

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
)

// diskState is a torrent's side of its storage. Owner: the torrent.
type diskState struct {
	window  actor.Window // control requests unanswered
	out     *storage.Blocks
	open    bool
	opening bool
	stalled bool  // waiting for Resume
	trouble error // while set, no blocks are asked for
	space   bool  // the trouble is the lack of space
	cookie  uint64
	waiting map[uint64]actor.Ref[error] // whom to tell of a Done
	checks  []actor.Ref[error]          // whom to tell of CheckDone
	check   checkRun
}

// checkRun is the check in progress.
type checkRun struct {
	running bool
	total   int32
	done    int32
}

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
	for _, r := range d.waiting { //order: irrelevant
		r.Tell(why)
	}
	d.waiting = nil
	for _, r := range d.checks {
		r.Tell(why)
	}
	d.checks = nil
}

// request sends a control request to storage; reply hears of its Done.
func (t *torrent) request(reply actor.Ref[error], make func(cookie uint64) storage.Message) {
	if !t.disk.open || t.disk.window.Open() == 0 {
		reply.Tell(ErrBusy)
		return
	}
	t.disk.window.Take(1)
	t.disk.cookie++
	if t.disk.waiting == nil {
		t.disk.waiting = map[uint64]actor.Ref[error]{}
	}
	t.disk.waiting[t.disk.cookie] = reply
	t.cfg.deps.Disk.Tell(make(t.disk.cookie))
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
		t.onSums(c, a)
	case storage.Resume:
		t.disk.stalled = false
		t.feedAll()
	case storage.Trouble:
		t.onTrouble(a)
	case storage.FileDone:
		t.cfg.emit.Tell(Event{Kind: FileCompleted, Hash: t.cfg.meta.Hash, File: a.File, Path: a.Path})
	case storage.Done:
		t.disk.window.Give(1)
		reply := t.disk.waiting[a.Cookie]
		delete(t.disk.waiting, a.Cookie)
		reply.Tell(a.Err)
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
	if a.Err != nil {
		t.fail(c, a.Err)
		return
	}
	t.disk.open = true
	given := t.cfg.options.Priority != nil
	t.load(a.Saved)
	t.applyPriorities()
	t.setHave(a.Have)
	if !given && t.cfg.options.Priority != nil {
		t.request(actor.Ref[error]{}, func(k uint64) storage.Message {
			return storage.Select{ID: t.cfg.store, Priority: t.cfg.options.Priority, Cookie: k}
		})
	}
	for _, p := range a.Partials {
		t.addPartial(p)
	}
	switch {
	case t.life.finishing:
		t.proceedFinish(c)
	case a.Unknown != nil && !a.Unknown.None():
		t.startCheck(c, a.Unknown, actor.Ref[error]{})
	default:
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
			t.unown(a)
			t.pieces.end(a, false) // a check has found it whole
		}
	}
	t.pieces.recount()
	t.recountWants()
	t.pick.rebuild = true
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
	t.disk.check = checkRun{running: true, total: total}
	if !reply.IsZero() {
		t.disk.checks = append(t.disk.checks, reply)
	}
	t.setState(c, Checking)
	t.cfg.deps.Disk.Tell(storage.Verify{ID: t.cfg.store, Pieces: which})
}

func (t *torrent) onChecked(a storage.Checked) {
	t.disk.check.done++
	t.count.rehashed += t.pieces.l.PieceSize(a.Piece)
}

func (t *torrent) onCheckDone(c *actor.Ctx[torrentMsg], a storage.CheckDone) {
	t.disk.window.Give(1)
	t.disk.check = checkRun{}
	t.count.rehashed = max(t.count.rehashed, a.Hashed)
	replies := t.disk.checks
	t.disk.checks = nil
	for _, r := range replies {
		r.Tell(a.Err)
	}
	if a.Err != nil {
		t.fail(c, a.Err)
		return
	}
	t.setHave(a.Have)
	if t.life.finishing {
		t.proceedFinish(c)
		return
	}
	t.ready(c)
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
	wanted := t.pieces.wants(piece)
	t.unown(part)
	t.clearDups(piece)
	t.pieces.end(part, true)
	t.changed(piece, picker.HaveChanged)
	t.count.verified += t.pieces.l.PieceSize(piece)
	if wanted {
		t.count.done += t.pieces.l.PieceSize(piece)
		for _, p := range t.swarm.list {
			if p.has != nil && p.has.Has(int32(piece)) {
				p.wants--
			}
		}
	}
	t.reader.arrived(piece)
	t.cfg.emit.Tell(Event{Kind: PieceVerified, Hash: t.cfg.meta.Hash, Piece: piece})
	if t.pieces.missing == 0 && t.life.state == Downloading {
		t.completed(c)
	}
	if t.pieces.endgame() || t.pick.idle > 0 {
		t.feedAll() // memory or endgame may have come free
	}
}

// clearDups forgets second leases on a piece that is over.
func (t *torrent) clearDups(piece metainfo.PieceIndex) {
	for i := 0; i < len(t.pick.dups); {
		if t.pick.dups[i].ref.piece != piece {
			i++
			continue
		}
		t.cancel(t.pick.dups[i].who, t.pick.dups[i].ref)
		t.undouble(t.pick.dups[i].ref)
	}
}

// unown takes a piece out of its owner's list, without opening it to others.
func (t *torrent) unown(a *partial) {
	if p := t.swarm.byID[a.owner]; a.owner != 0 && p != nil {
		p.forget(a)
	}
}

// refetch throws a piece's blocks away: all of them are asked for again.
func (t *torrent) refetch(part *partial) {
	piece := part.piece
	t.unown(part)
	t.clearDups(piece)
	t.pieces.end(part, false)
	t.changed(piece, picker.BusyChanged)
	t.feedAll()
}

// onTrouble: while the disk is in trouble nothing is asked for, and seeding goes on.
func (t *torrent) onTrouble(a storage.Trouble) {
	t.disk.trouble, t.disk.space = a.Err, a.Space
	t.cfg.emit.Tell(Event{Kind: DiskTrouble, Hash: t.cfg.meta.Hash, Err: a.Err, NoSpace: a.Space})
	if a.Err == nil {
		t.feedAll()
		for _, p := range t.swarm.list {
			t.feed(p)
		}
	}
}

// ErrBusy answers a command for which there is no room now.
var ErrBusy = errors.New("torrent busy: try again")
