package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
)

// seedFlags are the flags that only seed has.
type seedFlags struct {
	transferFlags
	data       string
	torrentOut string
}

func newSeed(st streams) *cobra.Command {
	var o seedFlags
	c := &cobra.Command{
		Use:   "seed [flags] PATH-or-TORRENT",
		Short: "Seed data that is there",
		Long: `Seed existing data, which is never changed. A plain PATH is made a torrent first,
and printed as a magnet link; a torrent file (X.torrent, or with --data anything) is
seeded from the folder --data, where the torrent's file or folder is.

It goes on until it is interrupted, or until --seed-ratio, --seed-time or --timeout.`,
		Args: wants("PATH-or-TORRENT"),
		RunE: func(c *cobra.Command, args []string) error { return o.run(st, args[0]) },
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "`DIR` in which the torrent's file or folder is (default: --output)")
	f.StringVar(&o.torrentOut, "torrent-out", "", "write the new torrent to this `FILE`")
	f.BoolVar(&o.partial, "partial", false, "seed what is there, though some is missing or damaged")
	return c
}

// run carries out the command.
func (o *seedFlags) run(st streams, source string) error {
	o.seedOnly = true
	if err := o.validate(); err != nil {
		return err
	}
	t, bad := o.torrent(st, source)
	b, common, err := o.newBatch(st)
	if err != nil {
		return err
	}
	b.add(source, wanted{torrent: t}, common, bad)
	return b.run()
}

// torrent loads the torrent or makes it, and finds out in which folder its data is.
func (o *seedFlags) torrent(st streams, source string) (*metainfo.Torrent, error) {
	if o.data != "" || isTorrent(source) {
		return o.load(st, source)
	}
	return o.make(st, source)
}

func (o *seedFlags) load(st streams, source string) (*metainfo.Torrent, error) {
	if o.torrentOut != "" {
		return nil, fail(exitUsage, "--torrent-out is for a PATH that is made a torrent; %s is one", source)
	}
	t, err := loadSource(st, source)
	if err != nil {
		return nil, err
	}
	if o.data != "" {
		o.output = dataFolder(o.data, t)
	}
	return t, nil
}

// dataFolder is the folder in which a torrent's file or folder is, also if that
// itself was given.
func dataFolder(path string, t *metainfo.Torrent) string {
	clean, err := filepath.Abs(path)
	if err != nil || len(t.Files) == 0 {
		return path
	}
	top := t.Files[0].Path.Elements()[0]
	if exists(filepath.Join(clean, top)) || filepath.Base(clean) != top {
		return clean
	}
	return filepath.Dir(clean)
}

// make makes a torrent of a path, and tells what it is.
func (o *seedFlags) make(st streams, path string) (*metainfo.Torrent, error) {
	if o.torrentOut != "" && exists(o.torrentOut) {
		return nil, alreadyThere(o.torrentOut)
	}
	outer := metainfo.Outer{CreatedBy: "shoal/" + engine.Version, CreationDate: time.Now().Unix()}
	for _, u := range o.trackers {
		outer.Trackers = append(outer.Trackers, []string{u})
	}
	res, err := makeTorrent(path, create.Options{Outer: outer}, hashing(st, o.json))
	if err != nil {
		return nil, err
	}
	if o.torrentOut != "" {
		if err := writeNew(o.torrentOut, res.Torrent.Encode(), false); err != nil {
			return nil, err
		}
	}
	o.output = res.Dir
	o.trackers = nil // the torrent names them now
	link := res.Torrent.Magnet().String()
	if rep := newReporter(st, o.json); o.json {
		rep.event("created", res.Torrent.Hash, keys{"magnet": link, "name": res.Torrent.Name, "torrent": o.torrentOut})
	} else {
		fmt.Fprintln(st.out, link)
	}
	return res.Torrent, nil
}

// makeTorrent hashes a path until it is done or interrupted.
func makeTorrent(path string, opts create.Options, progress create.Progress) (*create.Result, error) {
	ctx, stop := interruptible()
	defer stop()
	res, err := create.FromPath(ctx, path, opts, progress)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return res, err
}

// isTorrent reports whether a path to seed is a torrent file rather than data.
func isTorrent(path string) bool {
	if path == "-" {
		return true
	}
	info, err := os.Stat(path)
	return filepath.Ext(path) == ".torrent" && (err != nil || !info.IsDir())
}
