package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
)

// atOnce transfers run at a time.
const atOnce = 3

// batch is all transfers of one command. It owns their engine and the order in
// which they come.
type batch struct {
	opt *transferFlags
	st  streams
	cfg engine.Config
	rep reporter
	all []*transfer
	eng *engine.Engine

	mu    sync.Mutex
	paths map[string]*transfer // whose files are written where, below the output
}

// refuseClashes refuses a torrent that another SOURCE has named before it, and one
// whose files would be written over those of another.
func (b *batch) refuseClashes() {
	for i, x := range b.all {
		if x.err != nil {
			continue
		}
		if first := b.sameBefore(i); first != nil {
			x.err = fail(exitExists, "%s: the same torrent as %s", x.source, first.source)
			x.hash = metainfo.Hash{} // what is told of that one is not of this
			continue
		}
		x.claim = b.claim
		if x.add.Torrent != nil {
			x.err = b.claim(x, x.add.Torrent, x.add.Storage.Priority)
		}
	}
}

// sameBefore is the transfer before the ith that is of the same torrent.
func (b *batch) sameBefore(i int) *transfer {
	for _, y := range b.all[:i] {
		if y.err == nil && (y.hash.Same(b.all[i].hash) || y.follows != nil && b.all[i].follows != nil && *y.follows == *b.all[i].follows) {
			return y
		}
	}
	return nil
}

// claim makes a transfer the owner of its wanted files' paths. Those of a link become
// known on its way, on another goroutine.
func (b *batch) claim(x *transfer, t *metainfo.Torrent, prio []uint8) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paths == nil {
		b.paths = map[string]*transfer{}
	}
	for i := range t.Files {
		f := &t.Files[i]
		if prio[i] == 0 || f.Pad() {
			continue
		}
		path := f.Path.String()
		if other := b.paths[path]; other != nil && other != x {
			return fail(exitExists, "%s: its %s would be written over that of %s; give them different --output", x.source, path, other.source)
		}
		b.paths[path] = x
	}
	return nil
}

// allPrivate reports whether nothing may be looked for but by trackers (BEP 27): then
// no node of the DHT has to run.
func (b *batch) allPrivate() bool {
	for _, x := range b.all {
		if x.err == nil && (x.add.Torrent == nil || !x.add.Torrent.Private) {
			return false
		}
	}
	return true
}

// run runs all transfers and returns the error of the first that failed, in the
// order of the SOURCEs. Everything but its code has been told by then.
func (b *batch) run() error {
	start := time.Now()
	signal.Ignore(syscall.SIGPIPE) // whoever reads our output may go; the transfers stay
	ctx, stop := interruptible()
	defer stop()
	defer b.rep.close()
	var ready []*transfer
	for _, x := range b.all {
		if x.start = start; x.err != nil {
			x.conclude(x.err)
		} else {
			ready = append(ready, x)
		}
	}
	if len(ready) > 0 {
		b.transferAll(ctx, ready)
	}
	return b.conclude(start)
}

// transferAll runs what could be loaded.
func (b *batch) transferAll(ctx context.Context, ready []*transfer) {
	log, closeLog, err := b.opt.logger(b.rep.log())
	if err == nil {
		defer closeLog()
		b.cfg.Logger = log
		for _, x := range ready {
			x.log = log
		}
		err = b.makeFolders()
	}
	if err == nil {
		err = b.attempt(ctx, ready)
	}
	if errors.Is(err, storage.ErrLocked) {
		// The data is being downloaded or seeded by another process, which has its
		// record. It can be seeded twice all the same.
		b.cfg.StateDir = ""
		err = b.attempt(ctx, ready)
	}
	if err != nil {
		for _, x := range ready {
			x.conclude(err)
		}
	}
}

// attempt runs transfers on a new engine. An error is one of all; those of single
// transfers are told and kept by them. It is ErrLocked only for a seed.
func (b *batch) attempt(ctx context.Context, ready []*transfer) error {
	if b.allPrivate() {
		b.cfg.NoDHT, b.cfg.NoLSD, b.cfg.NoPEX = true, true, true
	}
	eng, err := engine.New(b.cfg)
	if err != nil {
		return deaf(b.opt.bind, b.cfg.Listen, err)
	}
	b.eng = eng
	defer func() {
		if err := eng.Close(stopAnnounce); err != nil {
			b.rep.note("%v", err) // the transfers have ended by then
		}
	}()
	if b.opt.seedOnly {
		ready[0].opened = b.tellAddrs
		if err := ready[0].run(ctx, eng); errors.Is(err, storage.ErrLocked) && b.cfg.StateDir != "" {
			return err
		} else {
			ready[0].conclude(err)
		}
		return nil
	}
	b.tellAddrs(ctx)
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, x := range ready {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			x.conclude(x.run(ctx, eng))
		})
	}
	wg.Wait()
	return nil
}

// deaf says why an engine can't listen; bind is what --bind says.
func deaf(bind string, addr netip.AddrPort, err error) error {
	if errors.Is(err, transport.ErrNotOurs) {
		return fail(exitIO, "--bind %s: %w; give an address or interface of this machine", bind, err)
	}
	if addr.Port() == 0 {
		return fail(exitIO, "can't listen: %w", err)
	}
	return fail(exitIO, "can't listen on %v: %w; choose another --port, or 0 for any free one", addr, err)
}

// tellAddrs tells where the engine listens.
func (b *batch) tellAddrs(ctx context.Context) {
	addrs, err := b.eng.Addrs(ctx)
	if err != nil {
		return // it ends
	}
	var hash metainfo.Hash
	if len(b.all) == 1 {
		hash = b.all[0].hash
	}
	for _, a := range addrs {
		b.rep.event("listening", hash, keys{"addr": a.String(), "port": a.Port()})
	}
}

// conclude tells the sums of all transfers and chooses the exit code.
func (b *batch) conclude(start time.Time) error {
	var first error
	var down, up, wasted, rehashed int64
	for _, x := range b.all {
		if x.err != nil && (first == nil || isSignal(x.err)) {
			first = x.err // but a signal ended them all
		}
		down, up = down+x.stats.Down, up+x.stats.Up
		wasted, rehashed = wasted+x.stats.Wasted, rehashed+x.stats.Rehashed
	}
	if n := len(b.all); n > 1 {
		secs := time.Since(start).Seconds()
		b.rep.event("summary", metainfo.Hash{}, keys{"sources": n, "bytes_down": down, "bytes_up": up, "bytes_wasted": wasted,
			"bytes_rehashed": rehashed, "seconds": secs, "exit_code": exitCode(first)})
		b.rep.note("%d torrents: down %s in %.1f s, up %s", n, size(down), secs, size(up))
	}
	switch {
	case first == nil:
		return nil
	case isSignal(first):
		return first
	}
	return silent(exitCode(first))
}

// makeFolders makes sure that the output and the records can be written. A seed
// writes neither.
func (b *batch) makeFolders() error {
	if b.opt.seedOnly {
		if err := makeFolder(b.cfg.StateDir); err != nil && b.opt.stateDir == "" {
			b.cfg.StateDir = ""
			return nil
		}
	} else if err := makeFolder(b.opt.output); err != nil {
		return unwritable("output", b.opt.output, "--output", err)
	}
	if err := makeFolder(b.cfg.StateDir); err != nil {
		return unwritable("folder for records", b.cfg.StateDir, "--state-dir", err)
	}
	return nil
}

// makeFolder makes a folder, and a file in it to see whether that is allowed.
func makeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return syscall.ENOTDIR
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf(".shoal-%d", os.Getpid()))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(name)
}

// unwritable says clearly what is wrong with a folder.
func unwritable(what, dir, flag string, err error) error {
	switch {
	case isFull(err):
		return fail(exitDiskFull, "the %s %s has no room: %w; make room, or give another %s", what, dir, err, flag)
	case errors.Is(err, syscall.ENOTDIR):
		return fail(exitIO, "the %s %s is not a folder; give another %s", what, dir, flag)
	}
	return fail(exitIO, "the %s %s can't be written: %w; give another %s", what, dir, err, flag)
}
