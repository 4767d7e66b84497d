package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/engine"
)

// transfer is one SOURCE on its way: added to the engine, watched until it is done,
// has failed or is interrupted.
type transfer struct {
	opt   *transferFlags
	rep   reporter
	eng   *engine.Engine
	add   engine.AddOptions
	start time.Time

	t       *engine.Torrent
	events  <-chan engine.Event
	stats   engine.TorrentStats // the last snapshot
	done    bool                // all that is wanted is verified on disk
	doneAt  time.Time
	moved   time.Time // when something last moved
	mark    int64     // bytes verified and uploaded then
	warned  bool      // the lack of peers has been explained
	trouble error
	urls    map[string]string // what each tracker said last
}

// Paces of a transfer.
const (
	progressEvery = 500 * time.Millisecond
	explainAfter  = 15 * time.Second // without any peer
	stopAnnounce  = 3 * time.Second  // for trackers to hear "stopped"
)

// run carries the transfer to its end and returns why it ended: nil is success.
func (x *transfer) run(ctx context.Context) error {
	x.start, x.moved = time.Now(), time.Now()
	x.urls = map[string]string{}
	events, cancel := x.eng.Events(8192)
	defer cancel()
	x.events = events
	t, err := x.eng.Add(ctx, x.add)
	if err != nil {
		x.rep.event("error", x.add.Torrent.Hash, map[string]any{"error": err.Error()})
		return err
	}
	x.t = t
	x.rep.event("added", t.Hash(), map[string]any{"name": t.Meta().Name, "bytes_total": t.Meta().Size(), "output": x.add.Dir})
	err = x.watch(ctx)
	x.snapshot()
	x.rep.progress(x.stats, x.stats.ETA)
	if err != nil && !errors.Is(err, context.Canceled) {
		x.rep.event("error", t.Hash(), map[string]any{"error": err.Error(), "exit_code": exitCode(err)})
	}
	return err
}

// watch waits for the end.
func (x *transfer) watch(ctx context.Context) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case ev, ok := <-x.events:
			if !ok {
				return engine.ErrClosed
			}
			if err := x.onEvent(ctx, ev); err != nil {
				return err
			}
		case <-tick.C:
			x.snapshot()
			x.rep.progress(x.stats, x.stats.ETA)
			if err := x.overdue(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if x.finished() {
			return nil
		}
	}
}

func (x *transfer) snapshot() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s, err := x.t.Stats(ctx); err == nil {
		x.stats = s
	}
}

// onEvent takes one event of the engine.
func (x *transfer) onEvent(ctx context.Context, ev engine.Event) error {
	if ev.Hash != x.t.Hash() {
		return nil
	}
	switch ev.Kind {
	case engine.PieceVerified:
		x.rep.event("piece", ev.Hash, map[string]any{"piece": ev.Piece})
	case engine.PieceFailed:
		x.rep.event("piece_failed", ev.Hash, map[string]any{"piece": ev.Piece})
	case engine.PeerBanned:
		x.rep.event("banned", ev.Hash, map[string]any{"peer": ev.Addr.String(), "piece": ev.Piece})
		x.rep.note("banned %v", ev.Err)
	case engine.FileCompleted:
		x.rep.event("file", ev.Hash, map[string]any{"path": ev.Path})
		x.rep.file(ev.Path)
	case engine.TrackerReport:
		x.onTracker(ev)
	case engine.DiskTrouble:
		return x.onTrouble(ev)
	case engine.TorrentFailed:
		return ev.Err
	case engine.Completed:
		return x.onComplete(ctx)
	}
	return nil
}

func (x *transfer) onTracker(ev engine.Event) {
	said := ev.Report.Err
	if x.urls[ev.URL] != said {
		x.urls[ev.URL] = said
		if said != "" {
			x.rep.note("tracker %s: %s", ev.URL, said)
		}
	}
}

// onTrouble: a one-shot download ends when the disk does; one that was asked to stay
// waits for the disk to come back.
func (x *transfer) onTrouble(ev engine.Event) error {
	x.trouble = ev.Err
	if ev.Err == nil {
		x.rep.note("the disk is well again")
		x.moved = time.Now()
		return nil
	}
	x.rep.event("error", ev.Hash, map[string]any{"error": ev.Err.Error(), "disk_full": ev.NoSpace})
	x.rep.note("%v", ev.Err)
	switch {
	case x.opt.stays():
		return nil
	case ev.NoSpace:
		return &exitError{exitDiskFull, ev.Err}
	}
	return &exitError{exitIO, ev.Err}
}

// onComplete makes the data durable and says so.
func (x *transfer) onComplete(ctx context.Context) error {
	if x.done {
		return nil
	}
	x.snapshot()
	x.rep.progress(x.stats, 0)
	x.rep.event("flushing", x.t.Hash(), nil)
	if err := x.t.Sync(ctx); err != nil {
		return &exitError{exitIO, err}
	}
	x.done, x.doneAt = true, time.Now()
	x.rep.event("complete", x.t.Hash(), map[string]any{"bytes_total": x.stats.Wanted, "seconds": time.Since(x.start).Seconds()})
	return nil
}

// finished reports whether there is nothing left to stay for.
func (x *transfer) finished() bool {
	if !x.done {
		return false
	}
	o := x.opt
	switch {
	case o.seedTime > 0 && time.Since(x.doneAt) >= o.seedTime:
		return true
	case o.seedRatio > 0 && float64(x.stats.UpEver) >= o.seedRatio*float64(max(x.stats.DownEver, x.stats.Total)):
		return true
	}
	return !o.stays()
}

// overdue ends a transfer that has not moved for --timeout, and explains in time why
// there is no peer.
func (x *transfer) overdue() error {
	now := time.Now()
	if moved := x.stats.Done + x.stats.Up + x.stats.Rehashed; moved != x.mark || x.stats.State == engine.Checking {
		x.mark, x.moved = moved, now
	}
	if x.done {
		return nil
	}
	if !x.warned && x.stats.Peers == 0 && x.stats.Down == 0 && now.Sub(x.start) >= explainAfter {
		x.warned = true
		x.rep.note("%s", x.explain())
	}
	if x.opt.timeout <= 0 || now.Sub(x.moved) < x.opt.timeout {
		return nil
	}
	if x.stats.Down == 0 || x.stats.Done == 0 {
		return fail(exitNoPeers, "%s", x.explain())
	}
	return fail(exitUnfinished, "%s: no progress for %v: %s", x.t.Meta().Name, x.opt.timeout, x.explain())
}

// explain says what was tried and why there is no peer.
func (x *transfer) explain() string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var said []string
	trackers, _ := x.t.Trackers(ctx)
	for _, tr := range trackers {
		what := tr.State
		if tr.Err != "" {
			what = tr.Err
		} else if tr.State == "working" {
			what = fmt.Sprintf("%d seeds, %d leechers", tr.Seeds, tr.Leechers)
		}
		said = append(said, fmt.Sprintf("tracker %s: %s", tr.URL, what))
	}
	if len(trackers) == 0 {
		said = append(said, "no trackers")
	}
	said = append(said, fmt.Sprintf("%d addresses known", x.stats.Known))
	if n := len(x.stats.Failures); n > 0 {
		said = append(said, "last tried "+x.stats.Failures[n-1])
	}
	head := "no peer yet"
	if x.stats.Peers > 0 {
		head = fmt.Sprintf("%d peers connected, none with what is missing", x.stats.Peers)
	}
	return head + ": " + strings.Join(said, "; ")
}

// summary reports the sums of a transfer that has ended.
func (x *transfer) summary(code int) {
	s := x.stats
	secs := time.Since(x.start).Seconds()
	x.rep.event("summary", x.add.Torrent.Hash, map[string]any{
		"bytes_down": s.Down, "bytes_up": s.Up, "bytes_wasted": s.Wasted, "bytes_rehashed": s.Rehashed,
		"bytes_done": s.Done, "bytes_total": s.Wanted, "banned": s.Banned, "hash_fails": s.HashFails,
		"seconds": secs, "exit_code": code,
	})
	x.rep.note("%s: %s of %s, down %s in %.1f s, up %s", x.add.Torrent.Name, size(s.Done), size(s.Wanted), size(s.Down), secs, size(s.Up))
}
