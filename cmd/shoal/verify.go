package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

func newVerify(st streams) *cobra.Command {
	var data string
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify X.torrent --data DIR",
		Short: "Hash data and compare it with a torrent",
		Long: `Hash data and compare it with a torrent. Nothing is changed. Files that are not
whole are listed on standard output, and make the exit code 8.`,
		Args: wants("X.torrent"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadSource(st, args[0])
			if err != nil {
				return err
			}
			v := &verifier{st: st, t: t, rep: newReporter(st, asJSON), json: asJSON}
			defer v.rep.close()
			if v.dir = dataFolder(data, t); !exists(v.dir) {
				return fail(exitNotFound, "%s: no such folder; say with --data where %s is", data, t.Name)
			}
			return v.run()
		},
	}
	c.Flags().StringVar(&data, "data", ".", "`DIR` in which the torrent's file or folder is")
	c.Flags().BoolVar(&asJSON, "json", false, "NDJSON events on stdout")
	return c
}

// verifier checks the data of one torrent.
type verifier struct {
	st   streams
	t    *metainfo.Torrent
	rep  reporter
	json bool
	dir  string
}

// run checks all data without changing any of it.
func (v *verifier) run() error {
	ctx, stop := interruptible()
	defer stop()
	eng, err := engine.New(engine.Config{NoListen: true, NoDHT: true, NoPEX: true, NoLSD: true})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close(0) }() // what was wanted of it is known
	start := time.Now()
	tor, err := eng.Add(ctx, engine.AddOptions{Torrent: v.t, Dir: v.dir, NoTrackers: true, Paused: true, SeedOnly: true,
		Storage: storage.Options{Check: true, ReadOnly: true}})
	if err != nil {
		return ended(ctx, err)
	}
	s, err := v.await(ctx, tor)
	if err != nil {
		return ended(ctx, err)
	}
	files, err := tor.Files(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	v.rep.ended(0)
	return v.judge(s, files, time.Since(start))
}

// lookEvery is the pace at which the end of a check is looked for.
const lookEvery = 20 * time.Millisecond

// await waits until the check has ended.
func (v *verifier) await(ctx context.Context, tor *engine.Torrent) (engine.TorrentStats, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var told time.Time
	for {
		s, err := tor.Stats(ctx)
		switch {
		case err != nil:
			return s, err
		case s.State == engine.Failed:
			return s, fail(exitIO, "%s: %s", v.t.Name, s.Err)
		case s.State == engine.Paused:
			return s, nil
		case time.Since(told) >= v.rep.pace():
			told = time.Now()
			v.rep.progress(progress{TorrentStats: s, phase: s.State.String(), eta: -1})
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}

// judge says what is right and what is not. A file counts as wrong also if it is
// longer than it should be.
func (v *verifier) judge(s engine.TorrentStats, files []engine.FileStats, took time.Duration) error {
	bad := 0
	for _, f := range files {
		if f.Pad {
			continue
		}
		if why := v.wrong(&f); why != "" {
			bad++
			v.rep.event("file", s.InfoHash, keys{"path": f.Path, "bytes_done": f.Done, "bytes_total": f.Length, "ok": false, "error": why})
			if !v.json {
				fmt.Fprintf(v.st.out, "%s: %s\n", printable(f.Path), why)
			}
		}
	}
	var err error
	if s.Have < s.Pieces || bad > 0 {
		err = fail(exitBadData, "%s in %s: %d of %d pieces are wrong or missing, in %d of %d files", s.Name, v.dir, s.Pieces-s.Have, s.Pieces, bad, len(files))
	}
	v.rep.event("summary", s.InfoHash, keys{"pieces": s.Pieces, "pieces_ok": s.Have, "bytes_rehashed": s.Rehashed,
		"files_bad": bad, "seconds": took.Seconds(), "exit_code": exitCode(err)})
	if !v.json && err == nil {
		fmt.Fprintf(v.st.out, "%s: all %d pieces are right (%s)\n", printable(s.Name), s.Pieces, size(s.Total))
	}
	return err
}

// wrong says what is wrong with a file, "" for nothing.
func (v *verifier) wrong(f *engine.FileStats) string {
	info, err := os.Lstat(filepath.Join(v.dir, filepath.FromSlash(f.Path)))
	link := err == nil && info.Mode()&os.ModeSymlink != 0
	if link {
		info, err = os.Stat(filepath.Join(v.dir, filepath.FromSlash(f.Path)))
	}
	switch {
	case f.Length == 0 && (err == nil || link):
		return ""
	case os.IsNotExist(err):
		return "missing"
	case err != nil:
		return strings.TrimPrefix(err.Error(), "stat ")
	case f.Done < f.Length && info.Size() < f.Length:
		return fmt.Sprintf("%d of %d bytes, %d of them verified", info.Size(), f.Length, f.Done)
	case f.Done < f.Length:
		return fmt.Sprintf("%d of %d bytes verified", f.Done, f.Length)
	case info.Size() > f.Length:
		return fmt.Sprintf("%d bytes too long", info.Size()-f.Length)
	}
	return ""
}
