package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
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
	trackers, webSeeds, exclude             []string
	private, noDate, force, json            bool
	v1, v2, hybrid                          bool
	symlinks                                string
}

// Piece lengths that other clients accept: powers of two in these bounds.
const (
	minPiece = 16 << 10
	maxPiece = 128 << 20
)

func newCreate(st streams) *cobra.Command {
	var o createFlags
	c := &cobra.Command{
		Use:   "create PATH -o X.torrent",
		Short: "Make a torrent of a file or folder",
		Args:  wants("PATH"),
		RunE:  func(_ *cobra.Command, args []string) error { return o.run(st, args[0]) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write (default: NAME.torrent here); - for standard output")
	f.StringArrayVarP(&o.trackers, "tracker", "t", nil, "announce `URL`; each is a tier of its own, commas join one tier (repeat)")
	f.StringVar(&o.pieceLength, "piece-length", "", "`SIZE` of pieces, such as 1MiB (default: by size)")
	f.BoolVar(&o.private, "private", false, "peers from the trackers only (BEP 27)")
	f.StringVar(&o.comment, "comment", "", "a `TEXT` for people")
	f.StringVar(&o.source, "source", "", "a `TAG` that makes the info-hash differ")
	f.StringVar(&o.name, "name", "", "`NAME` of the torrent (default: of PATH)")
	f.StringArrayVar(&o.webSeeds, "web-seed", nil, "`URL` of the data (BEP 19; repeat)")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out files that match `GLOB` (repeat)")
	f.StringVar(&o.symlinks, "symlinks", "follow", "what to do with symbolic links: `follow|keep|skip`")
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

func (o *createFlags) run(st streams, path string) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	if o.out != "" && o.out != "-" && !o.force && exists(o.out) {
		return alreadyThere(o.out) // known before an hour of hashing
	}
	res, err := makeTorrent(path, opts, hashing(st, o.json))
	if err != nil {
		return err
	}
	for _, s := range res.Skipped {
		fmt.Fprintf(st.err, "left out %s: %s\n", printable(s.Path), s.Reason)
	}
	if o.out == "-" {
		_, err := st.out.Write(res.Torrent.Encode())
		return err
	}
	out := o.out
	if out == "" {
		out = res.Torrent.Files[0].Path.Elements()[0] + ".torrent"
	}
	if err := writeNew(out, res.Torrent.Encode(), o.force); err != nil {
		return err
	}
	return o.report(st, out, res.Torrent)
}

// options makes the creator's options of the flags.
func (o *createFlags) options() (create.Options, error) {
	opts := create.Options{Name: o.name, Private: o.private, Source: o.source, Exclude: o.exclude}
	var err error
	switch {
	case o.v2:
		return opts, tooEarly("--v2")
	case o.hybrid:
		return opts, tooEarly("--hybrid")
	case !o.v1:
		return opts, fail(exitUsage, "--v1=false: v1 torrents are the only kind that this version makes")
	}
	if opts.PieceLength, err = parseSize("piece-length", o.pieceLength); err != nil {
		return opts, err
	}
	if n := opts.PieceLength; o.pieceLength != "" && (n < minPiece || n > maxPiece || n&(n-1) != 0) {
		return opts, fail(exitUsage, "--piece-length %s: want a power of two from %s to %s", o.pieceLength, size(minPiece), size(maxPiece))
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
		tier := strings.Split(t, ",")
		if err := checkTrackers("tracker", tier); err != nil {
			return opts, err
		}
		opts.Outer.Trackers = append(opts.Outer.Trackers, tier)
	}
	for _, u := range o.webSeeds {
		if v, err := url.Parse(u); err != nil || v.Host == "" || v.Scheme != "http" && v.Scheme != "https" && v.Scheme != "ftp" {
			return opts, fail(exitUsage, "--web-seed %s: want an http, https or ftp URL", u)
		}
	}
	if !o.noDate {
		opts.Outer.CreationDate = time.Now().Unix()
	}
	return opts, nil
}

// hashing shows how far the hashing is, on a terminal.
func hashing(st streams, quiet bool) create.Progress {
	tty := terminalOf(st.err)
	if quiet || !tty.inPlace {
		return nil
	}
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) > redrawEvery || done == total {
			last = now
			fmt.Fprint(st.err, "\r"+fit(fmt.Sprintf("hashing %s of %s", size(done), size(total)), tty.width()-1, true))
			if done == total {
				fmt.Fprintln(st.err)
			}
		}
	}
}

// writeNew writes a file that must not be there yet, unless force says so. A file
// that could not be written whole is removed.
func writeNew(path string, raw []byte, force bool) error {
	mode := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if force {
		mode = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return alreadyThere(path)
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitIO, "%w", err) // its folder is missing, no torrent
	case err != nil:
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

func alreadyThere(path string) error {
	return fail(exitExists, "%s is there already; give another name, or let create overwrite it with --force", path)
}

func (o *createFlags) report(st streams, out string, t *metainfo.Torrent) error {
	if o.json {
		m := describe(t)
		m["file"] = out
		return printJSON(st, m)
	}
	fmt.Fprintf(st.out, "%s\n%s\n", out, t.Magnet())
	return nil
}
