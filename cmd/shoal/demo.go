package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
	"github.com/shoal-bt/shoal/tracker/server"
)

// demoLeechers fetch from one seed.
const demoLeechers = 3

func newDemo(st streams) *cobra.Command {
	var bytes string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a real swarm on loopback: a tracker, a seed and three leechers",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			n, err := parseSize("size", bytes)
			if err != nil {
				return err
			}
			if n < 1 {
				return fail(exitUsage, "--size %s: at least one byte", bytes)
			}
			dir, err := os.MkdirTemp("", "shoal-demo-*")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			ctx, stop := interruptible()
			defer stop()
			d := &demo{st: st, dir: dir, size: n}
			defer d.close()
			return ended(ctx, d.run(ctx))
		},
	}
	c.Flags().StringVar(&bytes, "size", "256MiB", "`SIZE` of the data that is made")
	return c
}

// demo is a swarm in one process.
type demo struct {
	st      streams
	dir     string
	size    int64
	sum     [32]byte
	tracker *server.Server
	seed    *engine.Engine
	from    *engine.Torrent
	leech   [demoLeechers]*engine.Engine
	to      [demoLeechers]*engine.Torrent
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.st.out, format+"\n", args...) }

func (d *demo) run(ctx context.Context) error {
	start := time.Now()
	t, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	d.say("made %s in %.1f s: %d pieces of %s", size(d.size), time.Since(start).Seconds(), t.Lengths.Pieces(), size(t.Lengths.PieceLen()))
	if err := d.startSwarm(ctx, t); err != nil {
		return err
	}
	began := time.Now()
	if err := d.watch(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	return d.conclude(ctx, took)
}

// prepare makes data that nobody has seen before, and a torrent of it.
func (d *demo) prepare(ctx context.Context) (*metainfo.Torrent, error) {
	s, err := server.Listen(context.Background(), "127.0.0.1:0", server.Config{Interval: 5 * time.Second})
	if err != nil {
		return nil, fail(exitIO, "tracker: %w", err)
	}
	d.tracker = s
	data := filepath.Join(d.dir, "seed")
	if err := os.Mkdir(data, 0o777); err != nil {
		return nil, err
	}
	path := filepath.Join(data, "shoal-demo.bin")
	if err := d.makeData(ctx, path); err != nil {
		return nil, err
	}
	res, err := create.FromPath(ctx, path, create.Options{Outer: metainfo.Outer{
		Trackers: [][]string{{fmt.Sprintf("http://%v/announce", s.Addr())}}}}, nil)
	if err != nil {
		return nil, err
	}
	return res.Torrent, nil
}

func (d *demo) makeData(ctx context.Context, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var seed [32]byte
	copy(seed[:], time.Now().String())
	h := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, h), until{ctx, rand.NewChaCha8(seed)}, d.size); err != nil {
		return err
	}
	d.sum = [32]byte(h.Sum(nil))
	return f.Close()
}

// until reads until a context ends.
type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(b)
}

// startSwarm starts the seed, waits until it has checked its data, and then starts
// the leechers, which know nobody but the tracker.
func (d *demo) startSwarm(ctx context.Context, t *metainfo.Torrent) error {
	var err error
	cfg := engine.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Memory: 32 << 20, NoDHT: true, NoPEX: true, NoLSD: true}
	if d.seed, err = engine.New(cfg); err != nil {
		return err
	}
	events, cancel := d.seed.Events(4096)
	defer cancel()
	if d.from, err = d.seed.Add(ctx, engine.AddOptions{Torrent: t, Dir: filepath.Join(d.dir, "seed"), SeedOnly: true}); err != nil {
		return err
	}
	if err := awaitEvent(ctx, events, engine.Completed); err != nil {
		return err
	}
	addrs, _ := d.seed.Addrs(ctx)
	d.say("tracker http://%v/announce, seed %v", d.tracker.Addr(), addrs)
	for i := range d.leech {
		if d.leech[i], err = engine.New(cfg); err != nil {
			return err
		}
		dir := filepath.Join(d.dir, fmt.Sprintf("leech%d", i+1))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		if d.to[i], err = d.leech[i].Add(ctx, engine.AddOptions{Torrent: t, Dir: dir}); err != nil {
			return err
		}
	}
	return nil
}

func awaitEvent(ctx context.Context, events <-chan engine.Event, kind engine.EventKind) error {
	for {
		select {
		case ev := <-events:
			if ev.Kind == kind {
				return nil
			}
			if ev.Kind == engine.TorrentFailed {
				return ev.Err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watch shows progress until all leechers have everything.
func (d *demo) watch(ctx context.Context) error {
	tty := terminalOf(d.st.err)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	var shown time.Time
	for {
		done, line, err := d.look(ctx)
		if err != nil {
			return err
		}
		switch {
		case tty.inPlace:
			fmt.Fprint(d.st.err, "\r"+fit(line, tty.width()-1, true))
		case time.Since(shown) >= time.Second || done == demoLeechers:
			shown = time.Now()
			fmt.Fprintln(d.st.err, line)
		}
		if done == demoLeechers {
			if tty.inPlace {
				fmt.Fprintln(d.st.err)
			}
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// look says how many leechers have everything, and how far each is.
func (d *demo) look(ctx context.Context) (done int, line string, err error) {
	line = "leechers:"
	for i, t := range d.to {
		s, err := t.Stats(ctx)
		switch {
		case err != nil:
			return 0, "", err
		case s.Err != "":
			return 0, "", fmt.Errorf("leecher %d: %w", i+1, diskTrouble(s.Err, s.NoSpace))
		case s.Done == s.Wanted && s.State == engine.Seeding:
			done++
		}
		line += fmt.Sprintf("  #%d %5.1f%% %s/s", i+1, floor1(float64(s.Done)*100/float64(s.Wanted)), size(s.DownRate))
	}
	return done, line, nil
}

// conclude compares every byte and prints the summary.
func (d *demo) conclude(ctx context.Context, took time.Duration) error {
	for i, t := range d.to {
		if err := t.Sync(ctx); err != nil {
			return err
		}
		if err := d.compare(filepath.Join(d.dir, fmt.Sprintf("leech%d", i+1), "shoal-demo.bin")); err != nil {
			return err
		}
		s, err := t.Stats(ctx)
		if err != nil {
			return err
		}
		d.say("leecher %d: verified %s, down %s, up %s", i+1, size(s.Done), size(s.Down), size(s.Up))
	}
	s, err := d.from.Stats(ctx)
	if err != nil {
		return err
	}
	total := float64(d.size) * demoLeechers / took.Seconds()
	d.say("seed: up %s", size(s.Up))
	d.say("summary: %s verified at %d leechers in %.1f s, %s/s together", size(d.size), demoLeechers, took.Seconds(), size(int64(total)))
	return nil
}

func (d *demo) compare(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != d.sum {
		return fail(exitBadData, "%s differs from what was seeded", path)
	}
	return nil
}

func (d *demo) close() {
	var errs []error
	for _, e := range append(d.leech[:], d.seed) {
		if e != nil {
			errs = append(errs, e.Close(time.Second))
		}
	}
	if d.tracker != nil {
		errs = append(errs, d.tracker.Close())
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(d.st.err, "shoal: "+oneLine(err.Error()))
	}
}
