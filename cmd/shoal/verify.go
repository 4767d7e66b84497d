package main

import (
	"context"
	"fmt"
	"path/filepath"
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
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadSource(st, args[0])
			if err != nil {
				return err
			}
			return verify(st, t, data, asJSON)
		},
	}
	c.Flags().StringVar(&data, "data", ".", "`DIR` in which the torrent's file or folder is")
	c.Flags().BoolVar(&asJSON, "json", false, "NDJSON events on stdout")
	return c
}

// verify checks all data of a torrent without changing any of it.
func verify(st streams, t *metainfo.Torrent, data string, asJSON bool) error {
	o := &transferFlags{json: asJSON}
	rep := o.reporter(st)
	defer rep.close()
	ctx, stop := interruptible()
	defer stop()
	dir, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	eng, err := engine.New(engine.Config{NoListen: true})
	if err != nil {
		return err
	}
	defer eng.Close(0)
	events, cancel := eng.Events(65536)
	defer cancel()
	start := time.Now()
	tor, err := eng.Add(ctx, engine.AddOptions{Torrent: t, Dir: dir, NoTrackers: true, Paused: true, SeedOnly: true,
		Storage: storage.Options{Check: true, ReadOnly: true}})
	if err != nil {
		return err
	}
	s, err := awaitCheck(ctx, rep, tor, events)
	if err != nil {
		return err
	}
	return reportCheck(ctx, st, rep, tor, s, time.Since(start), asJSON)
}

// awaitCheck waits until the check has ended.
func awaitCheck(ctx context.Context, rep reporter, tor *engine.Torrent, events <-chan engine.Event) (engine.TorrentStats, error) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case ev := <-events:
			if ev.Kind == engine.TorrentFailed {
				return engine.TorrentStats{}, ev.Err
			}
			if ev.Kind == engine.StateChanged && ev.State == engine.Paused {
				return tor.Stats(ctx)
			}
		case <-tick.C:
			if s, err := tor.Stats(ctx); err == nil {
				rep.progress(s, -1)
			}
		case <-ctx.Done():
			return engine.TorrentStats{}, context.Cause(ctx)
		}
	}
}

// reportCheck says what is right, what is missing, and lists the files that are not whole.
func reportCheck(ctx context.Context, st streams, rep reporter, tor *engine.Torrent, s engine.TorrentStats, took time.Duration, asJSON bool) error {
	files, err := tor.Files(ctx)
	if err != nil {
		return err
	}
	bad := 0
	for _, f := range files {
		if f.Done < f.Length && !f.Pad {
			bad++
			rep.event("file", s.InfoHash, map[string]any{"path": f.Path, "bytes_done": f.Done, "bytes_total": f.Length, "ok": false})
			rep.note("%s: %s of %s", printable(f.Path), size(f.Done), size(f.Length))
		}
	}
	ok := s.Have == s.Pieces
	code := exitOK
	if !ok {
		code = exitBadData
	}
	rep.event("summary", s.InfoHash, map[string]any{"pieces": s.Pieces, "pieces_ok": s.Have, "bytes_rehashed": s.Rehashed,
		"files_bad": bad, "seconds": took.Seconds(), "exit_code": code})
	if !asJSON {
		fmt.Fprintf(st.out, "%d of %d pieces are right\n", s.Have, s.Pieces)
	}
	if !ok {
		return fail(exitBadData, "%s: %d of %d pieces are wrong or missing, in %d files", s.Name, s.Pieces-s.Have, s.Pieces, bad)
	}
	return nil
}
