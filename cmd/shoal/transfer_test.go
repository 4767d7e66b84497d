package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// run1 runs one transfer on an engine of its own, and meanwhile f on that.
func run1(t *testing.T, s *swarm, f func(*engine.Torrent)) error {
	t.Helper()
	eng, err := engine.New(engine.Config{NoDHT: true, NoLSD: true})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close(0)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	x := &transfer{opt: &transferFlags{}, rep: newReporter(discard, false), name: s.meta.Name, hash: s.meta.Hash,
		add: engine.AddOptions{Torrent: s.meta, Dir: t.TempDir()}}
	done := make(chan error, 1)
	go func() { done <- x.run(ctx, eng) }()
	for {
		all, err := eng.Torrents(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			f(all[0])
			break
		}
		time.Sleep(time.Millisecond)
	}
	return <-done
}

// A torrent that the engine has lost ends its transfer rather than hang it, also when
// no event tells.
func TestLostTorrent(t *testing.T) {
	s := newSwarm(t, options{files: payload{"x": 100_000}, idle: true})
	for _, buffer := range []int{8192, 1} {
		func() {
			defer func(n int) { eventBuffer = n }(eventBuffer)
			eventBuffer = buffer
			err := run1(t, s, func(tor *engine.Torrent) {
				if err := tor.Remove(context.Background(), false, 0); err != nil {
					t.Error(err)
				}
			})
			if err == nil || exitCode(err) != exitGeneral || !strings.Contains(err.Error(), "closed") {
				t.Errorf("buffer %d: %v", buffer, err)
			}
		}()
	}
}

// What failed is known by its kind, even if the event was lost its text is told.
func TestFailureIsFound(t *testing.T) {
	mine, other := metainfo.HashV1([20]byte{1}), metainfo.HashV1([20]byte{2})
	ch := make(chan engine.Event, 8)
	x := &transfer{hash: mine, events: ch, stats: engine.TorrentStats{Err: "by text"}}
	ch <- engine.Event{Kind: engine.PieceVerified, Hash: mine}
	ch <- engine.Event{Kind: engine.TorrentFailed, Hash: other, Err: engine.ErrExists}
	ch <- engine.Event{Kind: engine.TorrentFailed, Hash: mine, Err: engine.ErrV2}
	if err := x.failure(); !errors.Is(err, engine.ErrV2) {
		t.Errorf("%v", err)
	}
	if err := x.failure(); err == nil || err.Error() != "by text" {
		t.Errorf("%v", err)
	}
	close(ch)
	if err := x.failure(); err == nil || err.Error() != "by text" {
		t.Errorf("%v", err)
	}
}

// The code of several: that of the first that failed in their order, but a signal
// ended them all.
func TestCodeOfSeveral(t *testing.T) {
	signal := &exitError{130, &signalError{}}
	for _, c := range []struct {
		errs []error
		want int
	}{
		{[]error{nil, nil}, 0},
		{[]error{nil, fail(7, "a"), fail(3, "b")}, 7},
		{[]error{fail(3, "b"), nil, fail(7, "a")}, 3},
		{[]error{fail(3, "b"), signal, signal}, 130},
	} {
		b := &batch{rep: newReporter(discard, true)}
		for _, err := range c.errs {
			b.all = append(b.all, &transfer{err: err})
		}
		if got := exitCode(b.conclude(time.Now())); got != c.want {
			t.Errorf("%v: %d, want %d", c.errs, got, c.want)
		}
	}
}

// Why there is no peer is told to a person once when there is still time, and by the
// error that ends it; to a program once.
func TestWhyNobodyComes(t *testing.T) {
	for _, c := range []struct {
		limit, after time.Duration
		json         bool
		told, fails  int
	}{
		{time.Minute, explainAfter - 1, false, 0, 0},
		{time.Minute, explainAfter, false, 1, 0},
		{0, time.Hour, false, 1, 0},
		{time.Second, time.Second, false, 0, 1},
		{explainAfter, time.Hour, false, 1, 1},
		{time.Second, time.Second, true, 1, 1},
		{time.Minute, time.Hour, true, 1, 1},
	} {
		var out, errs bytes.Buffer
		x := &transfer{opt: &transferFlags{timeout: span{c.limit}}, rep: newReporter(streams{out: &out, err: &errs}, c.json), name: "x"}
		x.moves.from, x.moves.at = time.Unix(1, 0), time.Unix(1, 0)
		x.stats.State = engine.Downloading
		x.moves.mark[3] = -1 // as after the first look
		x.moves.note(&x.stats, false, x.moves.from)
		fails := 0
		for range 2 {
			if err := x.overdue(x.moves.from.Add(c.after)); err != nil {
				fails = 1
				if exitCode(err) != exitNoPeers || !strings.Contains(err.Error(), "no peer, no address known") {
					t.Errorf("%+v: %v", c, err)
				}
			}
		}
		if told := strings.Count(out.String()+errs.String(), "no tracker to ask"); told != c.told || fails != c.fails {
			t.Errorf("%+v: told %d times, failed %d times: %s%s", c, told, fails, &out, &errs)
		}
	}
}
