package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// transfer is one SOURCE on its way: added to the engine, watched until it is done,
// has failed or is interrupted. It is owned by the goroutine of its run.
//
// Events make it quick, but they may be lost when many come at once; what matters is
// looked up in the snapshot of every tick as well.
type transfer struct {
	opt    *transferFlags
	rep    reporter
	log    *slog.Logger // nil: none
	id     int          // place among the SOURCEs
	source string
	name   string
	hash   metainfo.Hash
	add    engine.AddOptions
	claim  func(*transfer, *metainfo.Torrent, []uint8) error // of paths, see batch.claim
	opened func(context.Context)                             // told when the storage is open, once; may be nil
	start  time.Time
	err    error // why it ended; nil is success

	follows *metainfo.MutableKey // names the torrent to transfer, and later others; nil: it is known
	follow  follower
	next    update // what it names by now, when that ends the present one

	t        *engine.Torrent
	meta     *metainfo.Torrent // nil until it is known
	events   <-chan engine.Event
	stats    engine.TorrentStats // the last snapshot
	added    bool                // has been told
	troubled bool                // the disk is in trouble
	told     []bool              // by file: its path has been told
	flushed  chan error          // answers the flush that is under way; nil: none
	done     bool                // all that is wanted is verified and durable
	doneAt   time.Time
	moves    moves
	voices   voices
}

// stopAnnounce is how long trackers have to hear that we stop.
var stopAnnounce = 3 * time.Second

// eventBuffer is how many events may be unread before some are lost.
var eventBuffer = 8192

// run carries the transfer to its end and returns why it ended: nil is success.
func (x *transfer) run(ctx context.Context, eng *engine.Engine) error {
	x.start = time.Now()
	x.moves.from, x.moves.at = x.start, x.start
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if x.follows != nil {
		return x.runFollowing(ctx, eng)
	}
	return x.fetch(ctx, eng)
}

// fetch transfers the torrent that is known, or its link.
func (x *transfer) fetch(ctx context.Context, eng *engine.Engine) error {
	err := x.carry(ctx, eng)
	if errors.Is(err, storage.ErrMissing) && !x.opt.seedOnly {
		x.rep.note("%s was here before and is gone: starting over", x.name)
		x.add.Storage.Check = true
		err = x.carry(ctx, eng)
	}
	return err
}

// carry adds the torrent, watches it, and closes it.
func (x *transfer) carry(ctx context.Context, eng *engine.Engine) error {
	events, cancel := eng.Events(eventBuffer)
	defer cancel()
	x.events = events
	t, err := eng.Add(ctx, x.add)
	if err != nil {
		return ended(ctx, err)
	}
	x.t = t
	x.tellAdded()
	x.describe()
	err = ended(ctx, x.watch(ctx))
	_ = x.snapshot() // if it is gone, the last one will do
	if x.stats.State != engine.Failed {
		x.report() // with the last counters
	}
	limit := stopAnnounce
	if !x.voices.heard() {
		limit = 0 // no tracker knows us
	}
	if bad := t.Close(context.Background(), limit); bad != nil && err == nil {
		x.rep.note("%s: %v", x.name, bad) // the data is there all the same
	}
	return err
}

// ended gives the signal as the reason of what it has ended.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// tellAdded describes the torrent to a program.
func (x *transfer) tellAdded() {
	if x.added {
		return
	}
	x.added = true
	x.rep.event("added", x.hash, keys{"name": x.name, "source": x.source, "output": x.add.Dir})
	if x.quiet() && !x.opt.seedOnly {
		x.rep.note("%s: no tracker, no --peer, and neither DHT nor LSD, so this waits for peers that find us", x.name)
	}
}

// describe tells what the torrent is, once that is known.
func (x *transfer) describe() {
	m := x.t.Meta()
	if m == nil || x.meta != nil {
		return
	}
	x.meta, x.name = m, m.Name
	x.told = make([]bool, len(m.Files))
	took := time.Since(x.moves.from).Seconds()
	x.rep.event("metadata", x.hash, keys{"name": m.Name, "bytes_total": m.Size(), "size": m.Size(), "files": len(m.Files), "seconds": took,
		"pieces": m.Lengths.Pieces(), "piece_length": m.Lengths.PieceLen(), "private": m.Private})
	if x.add.Torrent == nil {
		x.rep.note("%s: %s in %s, known after %.1f s", x.name, size(m.Size()), count(len(m.Files), "file"), took)
	}
}

// chosen says which files of a torrent are wanted whose description has just come. It
// runs on the torrent's own turn.
func (x *transfer) chosen(m *metainfo.Torrent) ([]uint8, error) {
	prio, err := x.opt.priorities(m, x.add.Magnet)
	if err == nil {
		err = x.claim(x, m, prio)
	}
	if err != nil {
		return nil, fail(exitCode(err), "%s: %w", m.Name, err)
	}
	return prio, nil
}

// quiet reports whether there is nobody to ask for peers.
func (x *transfer) quiet() bool {
	asked := len(x.add.Peers)
	if !x.add.NoTrackers {
		asked += len(x.add.Trackers)
	}
	private := x.opt.private
	switch t, m := x.add.Torrent, x.add.Magnet; {
	case t != nil:
		private = private || t.Private
		if !x.add.NoTrackers {
			asked += len(t.Trackers)
		}
	default:
		asked += len(m.Peers)
		if !x.add.NoTrackers {
			asked += len(m.Trackers)
		}
	}
	return asked == 0 && (private || x.opt.noDHT && x.opt.noLSD)
}

// watch waits for the end.
func (x *transfer) watch(ctx context.Context) error {
	tick := time.NewTicker(x.rep.pace())
	defer tick.Stop()
	for {
		var err error
		select {
		case ev, ok := <-x.events:
			if !ok {
				return engine.ErrClosed
			}
			err = x.onEvent(ctx, ev)
		case u := <-x.follow.updates:
			err = x.onUpdate(u)
		case bad := <-x.flushed:
			err = x.onFlushed(ctx, bad)
		case <-tick.C:
			err = x.onTick(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err != nil || x.finished() {
			return err
		}
	}
}

// askTime bounds a question to the engine.
const askTime = 2 * time.Second

// snapshot asks for the state. An engine that is too busy to answer is asked again at
// the next tick; one that has lost the torrent is an error.
func (x *transfer) snapshot() error {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	s, err := x.t.Stats(ctx)
	switch {
	case err == nil:
		x.stats = s
	case errors.Is(err, engine.ErrClosed):
		return fmt.Errorf("%s: its %w unexpectedly", x.name, err)
	}
	return nil
}

// onTick looks at everything anew.
func (x *transfer) onTick(ctx context.Context) error {
	if err := x.snapshot(); err != nil {
		return err
	}
	x.report()
	if err := x.onState(ctx); err != nil {
		return err
	}
	return x.overdue(time.Now())
}

// onState acts upon the last snapshot.
func (x *transfer) onState(ctx context.Context) error {
	s := &x.stats
	x.describe()
	if s.State != engine.Starting && s.State != engine.Failed && x.opened != nil {
		x.opened(ctx)
		x.opened = nil
	}
	switch {
	case s.State == engine.Failed:
		return x.failure()
	case s.State == engine.Seeding && s.Done < s.Wanted && x.opt.seedOnly && !x.done:
		return x.incomplete(ctx)
	case s.State == engine.Seeding && s.Done == s.Wanted:
		x.flush(ctx)
	}
	return x.onTrouble(s.Err, s.NoSpace)
}

// flush begins to make the data durable.
func (x *transfer) flush(ctx context.Context) {
	if x.done || x.flushed != nil {
		return
	}
	if !x.opt.seedOnly {
		x.rep.event("flushing", x.hash, nil)
	}
	answer := make(chan error, 1)
	x.flushed = answer
	go func() { answer <- x.t.Sync(ctx) }()
}

// onFlushed tells the files and the completion.
func (x *transfer) onFlushed(ctx context.Context, err error) error {
	x.flushed = nil
	switch {
	case errors.Is(err, engine.ErrBusy):
		return nil // the next tick tries again
	case err != nil && ctx.Err() == nil:
		return x.diskError(err)
	case err != nil:
		return err
	}
	if err := x.snapshot(); err != nil {
		return err
	}
	x.done, x.doneAt = true, time.Now()
	x.moves.at = x.doneAt
	if err := x.tellFiles(ctx); err != nil {
		return err
	}
	x.report()
	x.rep.event("complete", x.hash, keys{"bytes_total": x.stats.Wanted, "seconds": time.Since(x.start).Seconds()})
	if x.opt.stays() {
		x.rep.note("%s: complete, seeding", x.name)
	}
	return nil
}

// report tells how far it is.
func (x *transfer) report() {
	p := progress{TorrentStats: x.stats, id: x.id, phase: x.stats.State.String(), eta: x.stats.ETA, said: x.voices.text()}
	p.InfoHash, p.Name = x.hash, x.name
	switch {
	case x.flushed != nil && !x.opt.seedOnly:
		p.phase, p.eta = "flushing", 0
	case x.done:
		p.eta = 0
	}
	x.rep.progress(p)
}

// conclude tells why the transfer has ended, and its sums.
func (x *transfer) conclude(err error) {
	x.rep.ended(x.id)
	x.err = err
	s := &x.stats
	secs := time.Since(x.start).Seconds()
	if s.Done+s.Down > 0 {
		x.rep.note("%s: %s, down %s in %.1f s (%s/s), up %s, wasted %s", x.name, amountOf(s),
			size(s.Down), secs, size(int64(float64(s.Down)/max(secs, 0.001))), size(s.Up), size(s.Wasted))
	}
	if err != nil {
		x.rep.fault(x.hash, x.explained(err))
	}
	x.rep.event("summary", x.hash, keys{
		"source": x.source, "name": x.name,
		"bytes_down": s.Down, "bytes_up": s.Up, "bytes_wasted": s.Wasted, "bytes_rehashed": s.Rehashed,
		"bytes_done": s.Done, "bytes_total": s.Wanted, "banned": s.Banned, "hash_fails": s.HashFails,
		"seconds": secs, "exit_code": exitCode(err),
	})
}

// amountOf is how much there is, for the last line about a torrent.
func amountOf(s *engine.TorrentStats) string {
	if s.Done == s.Wanted {
		return size(s.Wanted) + " complete"
	}
	return size(s.Done) + " of " + size(s.Wanted)
}
