package engine

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/server"
)

// TestMain lets this binary be the download that TestResumeAfterKill kills.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := child(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const childEnv = "SHOAL_TEST_DOWNLOAD"

// child downloads a torrent file from a peer and says what happens, a line each.
func child(torrentFile, dir, state, peer string) error {
	raw, err := os.ReadFile(torrentFile)
	if err != nil {
		return err
	}
	meta, err := metainfo.Load(raw)
	if err != nil {
		return err
	}
	e, err := New(Config{NoListen: true, StateDir: state, NoDHT: true, NoLSD: true})
	if err != nil {
		return err
	}
	events, _ := e.Events(1 << 16)
	ctx := context.Background()
	tor, err := e.Add(ctx, AddOptions{Torrent: meta, Dir: dir, Peers: []netip.AddrPort{netip.MustParseAddrPort(peer)}})
	if err != nil {
		return err
	}
	for ev := range events {
		switch ev.Kind {
		case PieceVerified, Completed:
			s, err := tor.Stats(ctx)
			if err != nil {
				return err
			}
			fmt.Println(ev.Kind == Completed, s.Have, s.Down, s.Rehashed)
		case TorrentFailed, DiskTrouble:
			return ev.Err
		}
		if ev.Kind == Completed {
			break
		}
	}
	return e.Close(0)
}

// childRun is what one run of the child has said last.
type childRun struct {
	complete       bool
	have           int
	down, rehashed int64
}

// runChild downloads until n pieces are there, then is killed; n < 0: until the end.
func runChild(t *testing.T, n int, args ...string) (last childRun) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &last.complete, &last.have, &last.down, &last.rehashed); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		if n >= 0 && last.have >= n {
			_ = cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); n < 0 && err != nil {
		t.Errorf("the last run: %v", err)
	}
	return last
}

// kill -9 in the middle of a download: no verified piece is fetched or hashed again.
func TestResumeAfterKill(t *testing.T) {
	from, to, state := t.TempDir(), t.TempDir(), t.TempDir()
	data := payload(8<<20 + 777)
	meta := makeTorrent(t, "file.bin", data, 64<<10)
	check(t, os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644))
	torrentFile := filepath.Join(from, "x.torrent")
	check(t, os.WriteFile(torrentFile, meta.Encode(), 0o644))
	seed, tor, addr := seedOf(t, meta, from, Config{Limits: Limits{Up: 8 << 20}})
	args := []string{torrentFile, to, state, addr.String()}

	var down int64
	had := 0
	for i, n := range []int{15, 40, 70, 100} {
		r := runChild(t, n, args...)
		if r.rehashed != 0 || r.complete || r.have < n || i > 0 && r.have <= had {
			t.Errorf("run %d: %+v, after %d", i, r, had)
		}
		down, had = down+r.down, r.have
	}
	seed.SetLimits(Limits{})
	last := runChild(t, -1, args...)
	if !last.complete || last.rehashed != 0 {
		t.Errorf("the last run: %+v", last)
	}
	wantFile(t, data, to, "file.bin")
	// What was in memory when it was killed is lost; the child says what it had got
	// with each piece, so somewhat less than it really had.
	sent := statsOf(t, tor).Up
	const lost = 4 * (4 << 20) // at most, of four kills
	if down+last.down > int64(len(data))+lost || sent > int64(len(data))+lost {
		t.Errorf("%d bytes were fetched and %d sent of %d", down+last.down, sent, len(data))
	}
	t.Logf("fetched %d KiB and sent %d KiB of %d KiB", (down+last.down)>>10, sent>>10, len(data)>>10)
}

func TestOneSeedThreeLeechers(t *testing.T) {
	ctx := context.Background()
	tr, err := server.Listen(ctx, "127.0.0.1:0", server.Config{})
	check(t, err)
	t.Cleanup(func() { tr.Close() }) // after the engines, which say good-bye
	from := t.TempDir()
	meta, data := files(t, from, 64<<10, map[string]int{"a": 3 << 20, "sub/ünï/b": 2<<20 + 5, "empty": 0, "c": 70000})
	tiers := [][]string{{"udp://" + tr.Addr().String() + "/announce"}}
	seed, _ := startEngine(t, Config{Limits: Limits{Up: 8 << 20}})
	seedEvents, _ := seed.Events(4096)
	first := addTo(t, seed, AddOptions{Torrent: meta, Dir: from, Trackers: tiers})
	for ev := await1(t, seedEvents, TrackerReport); ev.Report.State != "working"; {
		ev = await1(t, seedEvents, TrackerReport)
	}
	type leecher struct {
		tor    *Torrent
		events <-chan Event
		dir    string
	}
	var leechers []leecher
	for range 3 {
		e, _ := startEngine(t, Config{})
		events, _ := e.Events(1 << 14)
		dir := t.TempDir()
		leechers = append(leechers, leecher{addTo(t, e, AddOptions{Torrent: meta, Dir: dir, Trackers: tiers}), events, dir})
	}
	var up int64
	for _, l := range leechers {
		await1(t, l.events, Completed)
		for name, want := range data { //order: irrelevant
			wantFile(t, want, l.dir, "album", filepath.FromSlash(name))
		}
		s := statsOf(t, l.tor)
		up += s.Up
		if s.Banned != 0 || s.HashFails != 0 || s.Wasted > s.Total/4 {
			t.Errorf("banned %d, failures %d, wasted %d", s.Banned, s.HashFails, s.Wasted)
		}
	}
	total := statsOf(t, first).Total
	if sent := statsOf(t, first).Up; sent >= 3*total || up == 0 {
		t.Errorf("the seed has sent %d of %d, the others %d", sent, 3*total, up)
	}
}

// pieceOrderOf downloads with a picker and returns the pieces as they were told.
func pieceOrderOf(t *testing.T, picker string) (order []metainfo.PieceIndex) {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 4 << 20})
	_, _, addr := seedOf(t, meta, from, Config{})
	e, _ := startEngine(t, Config{})
	events, _ := e.Events(1 << 14)
	addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}, Picker: picker})
	limit := time.After(30 * time.Second)
	for {
		select {
		case ev := <-events:
			if ev.Kind == PieceVerified {
				order = append(order, ev.Piece)
			}
			if ev.Kind == Completed {
				return order
			}
		case <-limit:
			t.Fatal("not complete in time")
		}
	}
}

func TestPickersOfARealDownload(t *testing.T) {
	inOrder := pieceOrderOf(t, "sequential")
	if len(inOrder) != 128 || !slices.IsSorted(inOrder) {
		t.Errorf("sequential: %v", inOrder)
	}
	for _, name := range []string{"random", "rarest"} {
		order := pieceOrderOf(t, name)
		if len(order) != 128 || slices.IsSorted(order) {
			t.Errorf("%s: %v", name, order)
		}
		slices.Sort(order)
		if !slices.Equal(order, inOrder) {
			t.Errorf("%s: each piece comes once", name)
		}
	}
}

// Two who have half each make each other whole.
func TestTwoHalves(t *testing.T) {
	from := t.TempDir()
	meta, data := files(t, from, 32<<10, map[string]int{"a": 1 << 20, "b": 1 << 20})
	var tors []*Torrent
	var events []<-chan Event
	var addrs []netip.AddrPort
	dirs := []string{t.TempDir(), t.TempDir()}
	for i, name := range []string{"a", "b"} {
		check(t, os.MkdirAll(filepath.Join(dirs[i], "album"), 0o755))
		check(t, os.WriteFile(filepath.Join(dirs[i], "album", name), data[name], 0o644))
		e, addr := startEngine(t, Config{})
		ev, _ := e.Events(4096)
		tors = append(tors, addTo(t, e, AddOptions{Torrent: meta, Dir: dirs[i]}))
		events, addrs = append(events, ev), append(addrs, addr)
	}
	check(t, tors[0].AddPeers(context.Background(), addrs[1]))
	for i := range tors {
		await1(t, events[i], Completed)
		wantFile(t, data["a"], dirs[i], "album", "a")
		wantFile(t, data["b"], dirs[i], "album", "b")
	}
}
