package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
)

// createFlags are the flags of create.
type createFlags struct {
	out, comment, source, name, pieceLength string
	trackers, tiers, webSeeds, exclude      []string
	private, noDate, force, json            bool
	v1, v2, hybrid                          bool
	symlinks                                string
}

func newCreate(io streams) *cobra.Command {
	var o createFlags
	c := &cobra.Command{
		Use:   "create PATH -o X.torrent",
		Short: "Make a torrent of a file or folder",
		Args:  cobra.ExactArgs(1),
		RunE:  func(_ *cobra.Command, args []string) error { return o.run(io, args[0]) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write (default: NAME.torrent here); - for standard output")
	f.StringArrayVarP(&o.trackers, "tracker", "t", nil, "announce `URL`; each is a tier of its own, commas join one tier (repeat)")
	f.StringVar(&o.pieceLength, "piece-length", "", "`SIZE` of pieces, such as 1MiB (default: by size)")
	f.BoolVar(&o.private, "private", false, "peers from the trackers only (BEP 27)")
	f.StringVar(&o.comment, "comment", "", "a remark for people")
	f.StringVar(&o.source, "source", "", "a tag that makes the info-hash differ")
	f.StringVar(&o.name, "name", "", "name of the torrent (default: of PATH)")
	f.StringArrayVar(&o.webSeeds, "web-seed", nil, "`URL` of the data (BEP 19; repeat)")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out files that match `GLOB` (repeat)")
	f.StringVar(&o.symlinks, "symlinks", "follow", "symbolic links: follow, keep or skip")
	f.BoolVar(&o.noDate, "no-date", false, "leave out the creation date, so that the same input gives the same file")
	f.BoolVar(&o.force, "force", false, "overwrite the output")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	f.BoolVar(&o.v1, "v1", true, "make a v1 torrent")
	f.BoolVar(&o.v2, "v2", false, "make a v2 torrent")
	f.BoolVar(&o.hybrid, "hybrid", false, "make a hybrid torrent")
	_ = f.MarkHidden("v2")
	_ = f.MarkHidden("hybrid")
	return c
}

func (o *createFlags) run(io streams, path string) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	res, err := create.FromPath(ctx, path, opts, o.progress(io))
	if err != nil {
		return err
	}
	for _, s := range res.Skipped {
		fmt.Fprintf(io.err, "left out %s: %s\n", printable(s.Path), s.Reason)
	}
	out := o.out
	if out == "" {
		out = filepath.Base(res.Torrent.Name) + ".torrent"
	}
	if err := o.write(io, out, res.Torrent.Encode()); err != nil {
		return err
	}
	return o.report(io, out, res.Torrent)
}

// options makes the creator's options of the flags.
func (o *createFlags) options() (create.Options, error) {
	opts := create.Options{Name: o.name, Private: o.private, Source: o.source, Exclude: o.exclude}
	if o.v2 || o.hybrid || !o.v1 {
		return opts, fail(exitUsage, "this version makes v1 torrents; v2 and hybrid ones come later")
	}
	var err error
	if opts.PieceLength, err = parseSize("piece-length", o.pieceLength); err != nil {
		return opts, err
	}
	switch o.symlinks {
	case "follow":
	case "keep":
		opts.Symlinks = create.Keep
	case "skip":
		opts.Symlinks = create.Skip
	default:
		return opts, fail(exitUsage, "--symlinks %s: say follow, keep or skip", o.symlinks)
	}
	if err := checkGlobs("exclude", o.exclude); err != nil {
		return opts, err
	}
	opts.Outer = metainfo.Outer{Comment: o.comment, CreatedBy: "shoal/" + engine.Version, WebSeeds: o.webSeeds}
	for _, t := range o.trackers {
		opts.Outer.Trackers = append(opts.Outer.Trackers, strings.Split(t, ","))
	}
	if !o.noDate {
		opts.Outer.CreationDate = time.Now().Unix()
	}
	return opts, nil
}

// progress shows how far the hashing is, a line a second, on a terminal.
func (o *createFlags) progress(io streams) create.Progress {
	if o.json || !isTerminal(io.err) {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond || done == total {
			last = now
			fmt.Fprintf(io.err, "\r\x1b[Khashing %s of %s", size(done), size(total))
			if done == total {
				fmt.Fprintln(io.err)
			}
		}
	}
}

func (o *createFlags) write(io streams, out string, raw []byte) error {
	if out == "-" {
		_, err := io.out.Write(raw)
		return err
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if o.force {
		mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(out, mode, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(raw); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (o *createFlags) report(io streams, out string, t *metainfo.Torrent) error {
	if out == "-" {
		return nil
	}
	if o.json {
		m := describe(t)
		m["file"] = out
		return printJSON(io, m)
	}
	fmt.Fprintf(io.out, "%s\n%s\n", out, t.Magnet())
	return nil
}
