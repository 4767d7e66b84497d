package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// withTorrent runs an engine in a temporary folder, in which a torrent is there of
// which nothing is wanted but what do asks for; what it is is known by then. limit
// bounds it all.
func (o *finderFlags) withTorrent(st streams, w wanted, limit time.Duration, do func(context.Context, *engine.Torrent) error) error {
	if !w.hash().HasV1 {
		if w.hash().IsZero() {
			return fail(exitUsage, "%s: the link names a torrent that changes; shoal dht get tells what it is now", w.name())
		}
		return fail(exitUsage, "%s: %w", w.name(), engine.ErrV2)
	}
	cfg := engine.Config{}
	if err := o.apply(&cfg); err != nil {
		return err
	}
	cfg.Listen = netip.AddrPortFrom(cfg.Bind, 0)
	if w.torrent != nil && w.torrent.Private {
		cfg.NoDHT, cfg.NoPEX, cfg.NoLSD = true, true, true
	}
	add := engine.AddOptions{Torrent: w.torrent, Magnet: w.link, Storage: storage.Options{Allocation: storage.Sparse},
		Choose: func(t *metainfo.Torrent) ([]uint8, error) { return make([]uint8, len(t.Files)), nil }}
	if w.torrent != nil {
		add.Storage.Priority = make([]uint8, len(w.torrent.Files))
	}
	if err := o.applyTo(&add); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shoal-probe-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	add.Dir = dir
	ctx, stop := interruptible()
	defer stop()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	eng, err := engine.New(cfg)
	if err != nil {
		return deaf(o.bind, cfg.Listen, err)
	}
	defer func() { _ = eng.Close(stopAnnounce) }() // what was wanted of it is known
	tor, err := eng.Add(limited, add)
	if err != nil {
		return ended(ctx, err)
	}
	why := time.AfterFunc(explainAfter, func() {
		if x := (&transfer{t: tor}); x.snapshot() == nil && (x.stats.Peers == 0 || tor.Meta() == nil) {
			fmt.Fprintln(st.err, oneLine(w.name()+": "+x.explain()))
		}
	})
	defer why.Stop()
	if _, err := tor.Metadata(limited); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return fail(exitNoPeers, "%s: no metadata within %v: %s", w.name(), limit, tried(tor))
		}
		return ended(ctx, err)
	}
	return ended(ctx, do(limited, tor))
}

// tried says what was tried to find a torrent's peers.
func tried(tor *engine.Torrent) string {
	x := &transfer{t: tor}
	_ = x.snapshot() // if it is gone, what else there is to say is said
	return x.explain()
}

// resolveFlags are the flags of magnet --resolve.
type resolveFlags struct {
	finderFlags
	out     string
	timeout span
	force   bool
	json    bool
}

// resolve fetches the torrent file of a link.
func (o *resolveFlags) resolve(st streams, source string) error {
	w, err := wantedSource(st, source)
	switch {
	case err != nil:
		return err
	case w.torrent != nil:
		return fail(exitUsage, "%s is a torrent file already; --resolve wants a link", short(source, 80))
	case o.out == "":
		return fail(exitUsage, "say with -o X.torrent where the torrent file goes")
	case o.out != "-" && exists(o.out) && !o.force:
		return fail(exitExists, "%s is there already; give another name, or let --force overwrite it", o.out)
	}
	if err := o.finderFlags.validate(); err != nil {
		return err
	}
	start := time.Now()
	var t *metainfo.Torrent
	err = o.withTorrent(st, w, o.timeout.Duration, func(_ context.Context, tor *engine.Torrent) error {
		t = tor.Meta()
		return nil
	})
	if err != nil {
		return err
	}
	t = t.With(metainfo.Outer{Trackers: w.link.Trackers, WebSeeds: w.link.WebSeeds, Nodes: w.link.Nodes, CreatedBy: "shoal/" + engine.Version})
	if o.out == "-" {
		_, err := st.out.Write(t.Encode())
		return err
	}
	if err := writeNew(o.out, t.Encode(), o.force); err != nil {
		return err
	}
	if o.json {
		m := describe(t)
		m["file"], m["seconds"] = o.out, time.Since(start).Seconds()
		return printJSON(st, m)
	}
	fmt.Fprintf(st.err, "%s: %s in %s, known after %.1f s\n", printable(t.Name), size(t.Size()), count(len(t.Files), "file"), time.Since(start).Seconds())
	_, err = fmt.Fprintln(st.out, o.out)
	return err
}
