package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/tracker"
)

// onEvent takes one event of the engine.
func (x *transfer) onEvent(ctx context.Context, ev engine.Event) error {
	if !ev.Hash.Same(x.hash) {
		return nil
	}
	x.record(ev)
	switch ev.Kind {
	case engine.StateChanged, engine.MetadataFetched:
		if err := x.snapshot(); err != nil {
			return err
		}
		return x.onState(ctx)
	case engine.PieceVerified:
		x.rep.event("piece", ev.Hash, keys{"piece": ev.Piece})
	case engine.PieceFailed:
		x.rep.event("piece_failed", ev.Hash, keys{"piece": ev.Piece})
	case engine.FileCompleted:
		x.tellFile(int(ev.File), ev.Path)
	case engine.PeerConnected:
		x.moves.peer = true
	case engine.PeerBanned:
		x.rep.event("banned", ev.Hash, keys{"peer": ev.Addr.String(), "piece": ev.Piece})
		x.rep.note("banned %v", ev.Err)
	case engine.TrackerReport:
		x.onTracker(ev)
	case engine.DiskTrouble:
		text := ""
		if ev.Err != nil {
			text = ev.Err.Error()
		}
		return x.onTrouble(text, ev.NoSpace)
	case engine.TorrentFailed:
		return ev.Err
	}
	return nil
}

// record logs an event.
func (x *transfer) record(ev engine.Event) {
	if x.log == nil {
		return
	}
	log := x.log.With("torrent", x.name)
	switch ev.Kind {
	case engine.StateChanged:
		log.Info("state", "state", ev.State.String(), "err", ev.Err)
	case engine.MetadataFetched:
		log.Info("metadata fetched")
	case engine.PeerConnected:
		log.Info("peer connected", "peer", ev.Addr)
	case engine.PeerGone:
		log.Info("peer gone", "peer", ev.Addr, "err", ev.Err)
	case engine.PeerBanned:
		log.Warn("peer banned", "peer", ev.Addr, "piece", ev.Piece, "err", ev.Err)
	case engine.TrackerReport:
		log.Info("tracker", "url", tracker.Redact(ev.URL), "state", ev.Report.State, "err", ev.Report.Err, "warning", ev.Report.Warning)
	case engine.DiskTrouble:
		log.Warn("disk", "full", ev.NoSpace, "err", ev.Err)
	case engine.PieceFailed:
		log.Warn("hash of a piece is wrong", "piece", ev.Piece)
	case engine.PieceVerified:
		log.Debug("piece", "piece", ev.Piece)
	case engine.FileCompleted:
		log.Info("file complete", "path", ev.Path)
	}
}

// failure finds the error of a torrent that has failed among the events, or makes
// one of its text if that event was lost.
func (x *transfer) failure() error {
	for {
		select {
		case ev, ok := <-x.events:
			if ok && (!ev.Hash.Same(x.hash) || ev.Kind != engine.TorrentFailed) {
				continue
			}
			if ok {
				return ev.Err
			}
		default:
		}
		return errors.New(x.stats.Err)
	}
}

func (x *transfer) onTracker(ev engine.Event) {
	r := &ev.Report
	said, news := x.voices.note(ev.URL, r)
	if !news {
		return
	}
	x.rep.event("tracker", ev.Hash, keys{"url": tracker.Redact(ev.URL), "state": r.State, "error": r.Err, "warning": r.Warning,
		"seeds": r.Seeds, "leechers": r.Leechers})
	if said != "" {
		x.rep.note("tracker %s: %s", tracker.Redact(ev.URL), said)
	}
}

// onTrouble: a download that ends when it is done ends when the disk does, too; one
// that was asked to stay waits for the disk to come back.
func (x *transfer) onTrouble(text string, full bool) error {
	if x.troubled == (text != "") {
		return nil
	}
	x.troubled = text != ""
	if !x.troubled {
		x.rep.note("%s: the disk is well again", x.name)
		return nil
	}
	if !x.opt.stays() {
		return x.diskError(diskTrouble(text, full))
	}
	x.rep.event("error", x.hash, keys{"error": oneLine(text), "disk_full": full, "fatal": false})
	x.rep.note("%s: %s; waiting for the disk", x.name, text)
	return nil
}

// diskTrouble is the engine's word of a disk that has failed, with its code.
func diskTrouble(text string, full bool) error {
	if full {
		return fail(exitDiskFull, "%s", text)
	}
	return fail(exitIO, "%s", text)
}

// diskError says what to do about a disk.
func (x *transfer) diskError(err error) error {
	if exitCode(err) == exitDiskFull {
		return fail(exitDiskFull, "%s: the disk of %s is full: %w; what is verified is kept: make room and run this again", x.name, x.add.Dir, err)
	}
	return fail(exitIO, "%s: the disk of %s failed: %w; what is verified is kept", x.name, x.add.Dir, err)
}

// tellFile tells of a finished file, once.
func (x *transfer) tellFile(i int, path string) {
	x.describe() // its event may have been lost
	if i >= len(x.told) || x.told[i] {
		return
	}
	x.told[i] = true
	if !x.opt.seedOnly {
		x.rep.file(x.hash, path)
	}
}

// tellFiles tells of all finished files that are wanted and have not been told:
// those that were there from the start, those without bytes, and those whose event
// was lost.
func (x *transfer) tellFiles(ctx context.Context) error {
	files, err := x.t.Files(ctx)
	if err != nil {
		return err
	}
	for i, f := range files {
		if f.Priority > 0 && f.Done == f.Length && !f.Pad && !x.t.Meta().Files[i].Symlink() {
			x.tellFile(i, x.pathOf(f.Path))
		}
	}
	return nil
}

// pathOf is where a file of the torrent is on this machine.
func (x *transfer) pathOf(path string) string {
	return filepath.Join(x.add.Dir, filepath.FromSlash(path))
}

// incomplete ends a seed whose data is not all there, unless it was told to seed the
// rest.
func (x *transfer) incomplete(ctx context.Context) error {
	files, err := x.t.Files(ctx)
	if err != nil {
		return err
	}
	var bad []string
	found := false
	for _, f := range files {
		if _, err := os.Stat(x.pathOf(f.Path)); err == nil && !f.Pad {
			found = true
		}
		if f.Priority > 0 && f.Done < f.Length && !f.Pad {
			bad = append(bad, f.Path)
		}
	}
	s := &x.stats
	switch {
	case !found:
		return fail(exitNotFound, "%s: none of its files is in %s; say with --data where they are", x.name, x.add.Dir)
	case !x.opt.partial:
		return fail(exitBadData, "%s: %s of %s is missing or damaged, in %s; shoal download --seed fetches it, --partial seeds the rest",
			x.name, size(s.Wanted-s.Done), size(s.Wanted), fewOf(bad))
	}
	x.rep.note("%s: %s of %s is missing or damaged, in %s; seeding the rest", x.name, size(s.Wanted-s.Done), size(s.Wanted), fewOf(bad))
	x.done, x.doneAt, x.moves.at = true, x.start, x.start
	x.report()
	return nil
}
