package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
)

func newSeed(io streams) *cobra.Command {
	var o transferFlags
	var data, torrentOut string
	c := &cobra.Command{
		Use:   "seed [flags] PATH-or-TORRENT",
		Short: "Seed data that is there",
		Long: `Seed existing data. A plain PATH is made a torrent first, and printed as a magnet
link; a torrent file is seeded from --data, or from --output.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.portGiven = c.Flags().Changed("port")
			if data == "" {
				data = o.output
			}
			return o.seedCommand(io, args[0], data, torrentOut)
		},
	}
	o.register(c)
	c.Flags().StringVar(&data, "data", "", "`DIR` in which the torrent's data is")
	c.Flags().StringVar(&torrentOut, "torrent-out", "", "write the new torrent to this `FILE`")
	return c
}

// seedCommand carries out the command.
func (o *transferFlags) seedCommand(io streams, source, data, torrentOut string) error {
	if err := o.validate(); err != nil {
		return err
	}
	t, dir, err := o.torrentToSeed(io, source, data, torrentOut)
	if err != nil {
		return err
	}
	o.output = dir
	add, err := o.addOptions(t)
	if err != nil {
		return err
	}
	add.SeedOnly = true
	add.Storage.ReadOnly = true
	if o.seedRatio == 0 && o.seedTime == 0 {
		o.seed = true
	}
	return o.transferAll(io, []engine.AddOptions{add})
}

// torrentToSeed loads the torrent, or makes one of a path, and says where its data is.
func (o *transferFlags) torrentToSeed(io streams, source, data, torrentOut string) (*metainfo.Torrent, string, error) {
	if isTorrent(source) {
		t, err := loadSource(io, source)
		return t, data, err
	}
	ctx, stop := interruptible()
	defer stop()
	res, err := create.FromPath(ctx, source, create.Options{Outer: metainfo.Outer{CreatedBy: "shoal/" + engine.Version, Trackers: o.tiers()}}, nil)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, "", err
	}
	if torrentOut != "" {
		if err := os.WriteFile(torrentOut, res.Torrent.Encode(), 0o666); err != nil {
			return nil, "", err
		}
	}
	rep := o.reporter(io)
	rep.event("created", res.Torrent.Hash, map[string]any{"magnet": res.Torrent.Magnet().String(), "name": res.Torrent.Name})
	if !o.json {
		rep.file(res.Torrent.Magnet().String())
	}
	o.trackers = nil // the torrent names them now
	return res.Torrent, res.Dir, nil
}

func (o *transferFlags) tiers() [][]string {
	var out [][]string
	for _, u := range o.trackers {
		out = append(out, []string{u})
	}
	return out
}

// isTorrent reports whether a path to seed is a torrent file rather than data.
func isTorrent(path string) bool {
	if path == "-" || filepath.Ext(path) != ".torrent" {
		return path == "-"
	}
	info, err := os.Stat(path)
	return err != nil || !info.IsDir()
}
