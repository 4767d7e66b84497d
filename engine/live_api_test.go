package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker/server"
)

// files writes a folder of random files below dir and describes it.
func files(t testing.TB, dir string, pieceLen int64, sizes map[string]int) (*metainfo.Torrent, map[string][]byte) {
	t.Helper()
	data, at := map[string][]byte{}, 0
	all := payload(1 << 23)
	for name, n := range sizes { //order: irrelevant
		data[name] = all[at : at+n]
		at += n
		path := filepath.Join(dir, "album", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data[name], 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	res, err := create.FromPath(context.Background(), filepath.Join(dir, "album"), create.Options{PieceLength: pieceLen}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.Torrent, data
}

// fileIndex finds a file of a torrent by its name.
func fileIndex(t testing.TB, meta *metainfo.Torrent, name string) metainfo.FileIndex {
	t.Helper()
	i := slices.IndexFunc(meta.Files, func(f metainfo.File) bool { return f.Path.String() == "album/"+name })
	if i < 0 {
		t.Fatalf("no file %s", name)
	}
	return metainfo.FileIndex(i)
}

// wantFile compares a file on disk.
func wantFile(t testing.TB, want []byte, path ...string) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(path...)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d; %v", filepath.Join(path...), len(got), len(want), err)
	}
}

// seedOf starts an engine that has all of a torrent.
func seedOf(t testing.TB, meta *metainfo.Torrent, dir string, cfg Config) (*Engine, *Torrent, netip.AddrPort) {
	t.Helper()
	e, addr := startEngine(t, cfg)
	events, end := e.Events(1024)
	defer end()
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: dir, SeedOnly: true})
	await1(t, events, Completed)
	return e, tor, addr
}

func addTo(t testing.TB, e *Engine, opt AddOptions) *Torrent {
	t.Helper()
	tor, err := e.Add(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

func statsOf(t testing.TB, tor *Torrent) TorrentStats {
	t.Helper()
	s, err := tor.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check fails the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMoveAndRenameWhileRunning(t *testing.T) {
	ctx := context.Background()
	from, to, other := t.TempDir(), t.TempDir(), t.TempDir()
	meta, data := files(t, from, 64<<10, map[string]int{"a": 700 << 10, "sub/b": 500 << 10})
	_, _, addr := seedOf(t, meta, from, Config{})
	leech, leechAddr := startEngine(t, Config{Limits: Limits{Down: 256 << 10}})
	events, _ := leech.Events(4096)
	tor := addTo(t, leech, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	await1(t, events, PieceVerified)
	check(t, tor.Move(ctx, other)) // in the middle of the download
	check(t, tor.Rename(ctx, fileIndex(t, meta, "a"), "album/renamed/c"))
	if s := statsOf(t, tor); s.State != Downloading || s.Dir != other {
		t.Errorf("%v in %s", s.State, s.Dir)
	}
	leech.SetLimits(Limits{})
	await1(t, events, Completed)
	wantFile(t, data["a"], other, "album", "renamed", "c")
	wantFile(t, data["sub/b"], other, "album", "sub", "b")
	if left, _ := filepath.Glob(filepath.Join(to, "album", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if f, err := tor.Files(ctx); err != nil || f[fileIndex(t, meta, "a")].Path != "album/renamed/c" {
		t.Errorf("files %+v, %v", f, err)
	}
	third, _ := startEngine(t, Config{})
	got, _ := third.Events(4096)
	last := t.TempDir()
	addTo(t, third, AddOptions{Torrent: meta, Dir: last, Peers: []netip.AddrPort{leechAddr}})
	await1(t, got, Completed)
	wantFile(t, data["a"], last, "album", "a")
}

func TestRemoveWithAndWithoutData(t *testing.T) {
	ctx := context.Background()
	for _, data := range []bool{false, true} {
		dir := t.TempDir()
		meta, want := files(t, dir, 16<<10, map[string]int{"a": 50000, "b/c": 70000})
		stranger := filepath.Join(dir, "album", "stranger")
		check(t, os.WriteFile(stranger, []byte("mine"), 0o644))
		e, _ := startEngine(t, Config{StateDir: t.TempDir()})
		events, _ := e.Events(1024)
		tor := addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
		await1(t, events, Completed)
		check(t, tor.Remove(ctx, data, time.Second))
		await1(t, events, TorrentRemoved)
		if _, err := os.Stat(filepath.Join(dir, "album", "b", "c")); os.IsNotExist(err) != data {
			t.Errorf("removed with data %v: %v", data, err)
		}
		if !data {
			wantFile(t, want["a"], dir, "album", "a")
		}
		wantFile(t, []byte("mine"), stranger)
		if l, err := e.Torrents(ctx); err != nil || len(l) != 0 {
			t.Errorf("%v, %v are left", l, err)
		}
		if err := tor.Remove(ctx, data, 0); !errors.Is(err, ErrUnknown) {
			t.Errorf("again: %v", err)
		}
	}
}

func TestPauseResumeLive(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, data := files(t, from, 64<<10, map[string]int{"a": 1 << 20})
	_, _, addr := seedOf(t, meta, from, Config{})
	e, _ := startEngine(t, Config{Limits: Limits{Down: 256 << 10}})
	events, _ := e.Events(4096)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	await1(t, events, PieceVerified)
	check(t, tor.Pause(ctx))
	if s := statsOf(t, tor); s.State != Paused || s.Peers != 0 || s.Have == 0 || s.Have == s.Pieces {
		t.Errorf("%v, %d peers, %d of %d pieces", s.State, s.Peers, s.Have, s.Pieces)
	}
	e.SetLimits(Limits{})
	check(t, tor.AddPeers(ctx, addr))
	check(t, tor.Resume(ctx))
	await1(t, events, Completed)
	wantFile(t, data["a"], to, "album", "a")
	if s := statsOf(t, tor); s.Wasted > 64<<10 {
		t.Errorf("%d bytes were fetched in vain", s.Wasted)
	}
}

func TestPrioritiesWhileRunning(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, data := files(t, from, 32<<10, map[string]int{"a": 300 << 10, "b": 300 << 10, "c": 300 << 10})
	_, _, addr := seedOf(t, meta, from, Config{})
	e, _ := startEngine(t, Config{})
	events, _ := e.Events(4096)
	prio := make([]uint8, len(meta.Files))
	prio[fileIndex(t, meta, "b")] = 4
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr},
		Storage: storage.Options{Priority: slices.Clone(prio)}})
	await1(t, events, Completed)
	wantFile(t, data["b"], to, "album", "b")
	if _, err := os.Stat(filepath.Join(to, "album", "a")); !os.IsNotExist(err) {
		t.Errorf("a file that nobody wants is there: %v", err)
	}
	prio[fileIndex(t, meta, "a")], prio[fileIndex(t, meta, "c")] = 1, 7
	check(t, tor.AddPeers(ctx, addr)) // seeds have parted
	check(t, tor.SetPriorities(ctx, prio))
	await1(t, events, Completed)
	for _, name := range []string{"a", "b", "c"} {
		wantFile(t, data[name], to, "album", name)
	}
	f, err := tor.Files(ctx)
	check(t, err)
	for i := range f {
		if f[i].Done != f[i].Length || f[i].Priority != prio[i] {
			t.Errorf("%+v", f[i])
		}
	}
	if err := tor.SetPriorities(ctx, prio[:1]); err == nil {
		t.Error("one priority for three files")
	}
}

func TestRecheckFindsWhatWasChanged(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, data := files(t, from, 32<<10, map[string]int{"a": 300 << 10})
	_, _, addr := seedOf(t, meta, from, Config{})
	e, _ := startEngine(t, Config{})
	events, _ := e.Events(4096)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	await1(t, events, Completed)
	f, err := os.OpenFile(filepath.Join(to, "album", "a"), os.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt([]byte("not what it was"), 100<<10)
	check(t, errors.Join(err, f.Close()))
	check(t, tor.AddPeers(ctx, addr))
	check(t, tor.Recheck(ctx))
	if s := statsOf(t, tor); s.Have >= s.Pieces && s.State == Seeding {
		s = statsOf(t, tor) // it may have been fetched again already
	}
	for { // the piece is fetched again, and only that
		if ev := await1(t, events, PieceVerified); ev.Piece == 3 {
			break
		}
	}
	await1(t, events, Completed)
	wantFile(t, data["a"], to, "album", "a")
	if s := statsOf(t, tor); s.Down > 300<<10+64<<10 || s.Rehashed < 300<<10 {
		t.Errorf("down %d, hashed %d", s.Down, s.Rehashed)
	}
}

func TestMissingFilesAreNotMadeAnew(t *testing.T) {
	ctx := context.Background()
	dir, state := t.TempDir(), t.TempDir()
	meta, data := files(t, dir, 32<<10, map[string]int{"a": 100 << 10, "b": 100 << 10})
	e, _ := startEngine(t, Config{StateDir: state})
	events, _ := e.Events(1024)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
	await1(t, events, Completed)
	check(t, tor.Close(ctx, 0))
	check(t, os.Rename(filepath.Join(dir, "album"), filepath.Join(dir, "unmounted")))
	tor = addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
	for ev := range events {
		if ev.Kind == TorrentFailed {
			if !errors.Is(ev.Err, storage.ErrMissing) {
				t.Errorf("failed with %v", ev.Err)
			}
			break
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "album")); !os.IsNotExist(err) {
		t.Error("the folder was made anew")
	}
	check(t, os.Rename(filepath.Join(dir, "unmounted"), filepath.Join(dir, "album")))
	check(t, tor.Resume(ctx)) // it would look by itself after missingEvery
	await1(t, events, Completed)
	if s := statsOf(t, tor); s.State != Seeding || s.Rehashed != 0 {
		t.Errorf("%v, %d bytes were hashed", s.State, s.Rehashed)
	}
	wantFile(t, data["a"], dir, "album", "a")
}

func TestSnapshots(t *testing.T) {
	ctx := context.Background()
	tr, err := server.Listen(ctx, "127.0.0.1:0", server.Config{})
	check(t, err)
	t.Cleanup(func() { tr.Close() }) // after the engines, which say good-bye
	from, to := t.TempDir(), t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 900 << 10})
	url := "http://" + tr.Addr().String() + "/announce"
	seed, seedAddr := startEngine(t, Config{})
	seedEvents, _ := seed.Events(1024)
	addTo(t, seed, AddOptions{Torrent: meta, Dir: from, Trackers: [][]string{{url}}})
	for ev := await1(t, seedEvents, TrackerReport); ev.Report.State != "working"; {
		ev = await1(t, seedEvents, TrackerReport)
	}
	e, _ := startEngine(t, Config{Limits: Limits{Down: 200 << 10}})
	events, _ := e.Events(4096)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to})
	check(t, tor.AddTrackers(ctx, url))
	if ev := await1(t, events, PeerConnected); ev.Addr != seedAddr {
		t.Errorf("connected to %v", ev.Addr)
	}
	await1(t, events, PieceVerified)
	peers, err := tor.Peers(ctx)
	check(t, err)
	if len(peers) != 1 || peers[0].Addr != seedAddr || !peers[0].Seed || peers[0].Down == 0 || peers[0].Transport != "tcp" ||
		!strings.HasPrefix(peers[0].Client, "shoal/") || peers[0].Source != SourceLocalTracker {
		t.Errorf("peers %+v", peers)
	}
	trackers, err := tor.Trackers(ctx)
	check(t, err)
	if len(trackers) != 1 || trackers[0].URL != url || trackers[0].State != "working" || trackers[0].Seeds != 1 || trackers[0].Next <= 0 {
		t.Errorf("trackers %+v", trackers)
	}
	s := statsOf(t, tor)
	if s.Name != "album" || s.Peers != 1 || s.Seeds != 1 || s.Availability != 1 || len(s.Field) != 4 || s.Total != 900<<10 {
		t.Errorf("stats %+v", s)
	}
	check(t, tor.SetPeerLimits(ctx, seedAddr, Limits{Down: 1 << 20}))
	if err := tor.SetPeerLimits(ctx, ap("1.2.3.4:5"), Limits{}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("limit of a stranger: %v", err)
	}
	check(t, tor.Reannounce(ctx))
	e.SetLimits(Limits{})
	tor.SetLimits(Limits{})
	await1(t, events, Completed)
	check(t, tor.Sync(ctx))
	check(t, tor.SetStrategy(ctx, "random", "fastest"))
	if s := tor.String(); !strings.Contains(s, "album") || tor.Meta() != meta {
		t.Error(s)
	}
}

func TestEventsComeInOrder(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 300 << 10, "b": 100 << 10})
	_, _, addr := seedOf(t, meta, from, Config{})
	for range 20 {
		e, _ := startEngine(t, Config{})
		events, end := e.Events(4096)
		tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
		var got []Event
		for len(got) == 0 || got[len(got)-1].Kind != TorrentRemoved {
			ev := <-events
			if got = append(got, ev); ev.Kind == Completed {
				check(t, tor.Pause(ctx))
				check(t, tor.Resume(ctx))
				check(t, tor.Recheck(ctx))
				go tor.Remove(ctx, true, 0)
			}
		}
		wantOrder(t, got)
		end()
		if _, open := <-events; open {
			t.Error("the channel is not closed")
		}
	}
}

// wantOrder checks one torrent's events from its beginning to its end.
func wantOrder(t *testing.T, got []Event) {
	t.Helper()
	n := map[EventKind]int{}
	for i, ev := range got {
		n[ev.Kind]++
		if ev.Time.IsZero() || i > 0 && ev.Time.Before(got[i-1].Time) {
			t.Errorf("event %d at %v", i, ev.Time)
		}
		if ev.Kind == Completed && (n[PieceVerified] != 13 || n[FileCompleted] > 2) {
			t.Errorf("completed after %d pieces", n[PieceVerified])
		}
	}
	if got[0].Kind != TorrentAdded || n[TorrentAdded] != 1 || n[Completed] != 1 || n[FileCompleted] != 2 || n[TorrentRemoved] != 1 {
		t.Errorf("first %v; counts %v", got[0].Kind, n)
	}
}

func TestSlowSubscribersHoldNobodyUp(t *testing.T) {
	from := t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 300 << 10})
	e, _ := startEngine(t, Config{})
	lazy, end := e.Events(1)
	events, _ := e.Events(100)
	addTo(t, e, AddOptions{Torrent: meta, Dir: from})
	await1(t, events, Completed)
	if ev := <-lazy; ev.Kind != TorrentAdded {
		t.Errorf("the oldest is kept: %v", ev.Kind)
	}
	end()
	end() // again: harmless
}

func TestReaderWaitsForWhatItReads(t *testing.T) {
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, data := files(t, from, 32<<10, map[string]int{"a": 700 << 10, "b": 600<<10 + 123})
	_, _, addr := seedOf(t, meta, from, Config{})
	e, _ := startEngine(t, Config{})
	prio := make([]uint8, 2)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Storage: storage.Options{Priority: prio}}) // nothing is selected
	b := fileIndex(t, meta, "b")
	r, err := tor.NewReader(ctx, b)
	check(t, err)
	defer r.Close()
	if r.Size() != int64(len(data["b"])) {
		t.Errorf("size %d", r.Size())
	}
	var wg sync.WaitGroup
	for i := range 4 { // several places at once, before there is anybody to get them from
		wg.Go(func() {
			p := make([]byte, 50000)
			off := int64(i) * 150000
			if n, err := r.ReadAt(p, off); err != nil || !bytes.Equal(p, data["b"][off:off+50000]) {
				t.Errorf("at %d: %d bytes, %v", off, n, err)
			}
		})
	}
	check(t, tor.AddPeers(ctx, addr))
	wg.Wait()
	if _, err := r.Seek(-1000, io.SeekEnd); err != nil {
		t.Error(err)
	}
	if tail, err := io.ReadAll(r); err != nil || !bytes.Equal(tail, data["b"][len(data["b"])-1000:]) {
		t.Errorf("the tail: %d bytes, %v", len(tail), err)
	}
	if off, err := r.Seek(10, io.SeekStart); off != 10 || err != nil {
		t.Error(off, err)
	}
	if off, err := r.Seek(-5, io.SeekCurrent); off != 5 || err != nil {
		t.Error(off, err)
	}
	whole, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(whole, data["b"][5:]) {
		t.Errorf("from 5 on: %d bytes, %v", len(whole), err)
	}
	for _, bad := range []struct {
		off    int64
		whence int
	}{{-1, io.SeekStart}, {0, 7}} {
		if _, err := r.Seek(bad.off, bad.whence); err == nil {
			t.Errorf("seek %v", bad)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read before the beginning")
	}
	if n, err := r.ReadAt(make([]byte, 10), r.Size()-3); n != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("read past the end: %d, %v", n, err)
	}
	if s := statsOf(t, tor); s.Have == s.Pieces {
		t.Error("what nobody read was fetched, too")
	}
	piece, err := tor.ReadPiece(ctx, 0)
	if err != nil || len(piece) != 32<<10 {
		t.Errorf("piece 0: %d bytes, %v", len(piece), err)
	}
	if _, err := tor.ReadPiece(ctx, 999); err == nil {
		t.Error("there is no piece 999")
	}
	if _, err := tor.NewReader(ctx, 9); err == nil {
		t.Error("there is no file 9")
	}
}

func TestReaderEndsWithItsContextAndItsTorrent(t *testing.T) {
	dir := t.TempDir()
	meta, _ := files(t, t.TempDir(), 32<<10, map[string]int{"a": 100 << 10})
	e, _ := startEngine(t, Config{})
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := tor.NewReader(ctx, 0)
	check(t, err)
	done := make(chan error, 2)
	read := func(r *Reader) {
		_, err := r.ReadAt(make([]byte, 1), 0)
		done <- err
	}
	go read(r)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("read ended with %v", err)
	}
	check(t, r.Close())
	other, err := tor.NewReader(context.Background(), 0)
	check(t, err)
	go read(other)
	go func() {
		_, err := tor.ReadPiece(context.Background(), 1)
		done <- err
	}()
	check(t, tor.Remove(context.Background(), true, 0))
	for range 2 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("the torrent is gone, read ended with %v", err)
		}
	}
	check(t, other.Close())
}

// goroutines counts those that are busy with this module's code.
func goroutines() (n int, stacks string) {
	buf := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "shoal/") && !strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testing.(*T)") {
			n++
			stacks += g + "\n\n"
		}
	}
	return n, stacks
}

func TestCloseGivesEverythingBack(t *testing.T) {
	before, _ := goroutines()
	ctx := context.Background()
	from, to := t.TempDir(), t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 2 << 20})
	start := func(cfg Config) (*Engine, netip.AddrPort) {
		cfg.Listen = netip.MustParseAddrPort("127.0.0.1:0")
		e, err := New(cfg)
		check(t, err)
		addrs, err := e.Addrs(ctx)
		check(t, err)
		return e, addrs[0]
	}
	seed, addr := start(Config{})
	addTo(t, seed, AddOptions{Torrent: meta, Dir: from})
	e, _ := start(Config{Limits: Limits{Down: 200 << 10}})
	events, _ := e.Events(1000)
	silent, err := New(Config{NoListen: true, NoDHT: true, NoLSD: true})
	check(t, err)
	// In the middle of a download, with a Reader, a dial to nowhere and a dead tracker.
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr, ap("127.0.0.1:1")},
		Trackers: [][]string{{"http://127.0.0.1:1/announce"}, {"udp://127.0.0.1:1"}}})
	await1(t, events, PieceVerified)
	r, err := tor.NewReader(ctx, 0)
	check(t, err)
	go r.ReadAt(make([]byte, 1), 1<<20)

	begun := time.Now()
	var wg sync.WaitGroup
	for range 3 { // also at the same time
		wg.Go(func() { check(t, e.Close(200*time.Millisecond)) })
	}
	wg.Wait()
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("closing took %v", d)
	}
	check(t, e.Close(0))
	check(t, errors.Join(seed.Close(0), silent.Close(0)))
	for range events { // closed
	}
	if ch, _ := e.Events(1); ch != nil {
		if _, open := <-ch; open {
			t.Error("events of an engine that is closed")
		}
	}
	wantClosed(t, e, tor, meta)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		after, stacks := goroutines()
		if after <= before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines more than before:\n%s", after-before, stacks)
		}
	}
}

// wantClosed: whatever is asked of what has ended is answered so, at once.
func wantClosed(t *testing.T, e *Engine, tor *Torrent, meta *metainfo.Torrent) {
	t.Helper()
	ctx := context.Background()
	_, addErr := e.Add(ctx, AddOptions{Torrent: meta})
	_, listErr := e.Torrents(ctx)
	_, addrErr := e.Addrs(ctx)
	_, statErr := tor.Stats(ctx)
	_, peerErr := tor.Peers(ctx)
	_, pieceErr := tor.ReadPiece(ctx, 0)
	for i, err := range []error{addErr, listErr, addrErr, statErr, peerErr, pieceErr, tor.Pause(ctx), tor.Resume(ctx), tor.Recheck(ctx),
		tor.Move(ctx, "/x"), tor.Rename(ctx, 0, "x"), tor.AddPeers(ctx, ap("1.2.3.4:5")), tor.AddTrackers(ctx, "http://x/"),
		tor.SetPriorities(ctx, nil), tor.SetStrategy(ctx, "", ""), tor.Reannounce(ctx), tor.Sync(ctx), tor.Remove(ctx, false, 0)} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: %v, want %v", i, err, ErrClosed)
		}
	}
	e.SetLimits(Limits{})
	tor.SetLimits(Limits{})
}

func TestAddWhileClosing(t *testing.T) {
	meta := make([]*metainfo.Torrent, 50)
	for i := range meta {
		meta[i] = small(t, fmt.Sprint("t", i))
	}
	for range 5 {
		e, err := New(Config{NoListen: true, NoDHT: true, NoLSD: true})
		check(t, err)
		var wg sync.WaitGroup
		for _, m := range meta {
			wg.Go(func() {
				tor, err := e.Add(context.Background(), AddOptions{Torrent: m, Dir: t.TempDir()})
				if (tor == nil) != (err != nil) || err != nil && !errors.Is(err, ErrClosed) {
					t.Errorf("%v, %v", tor, err)
				}
			})
		}
		wg.Go(func() { check(t, e.Close(0)) })
		wg.Wait()
	}
}

// A bug in one torrent ends that one alone, and it can be added again.
func TestTorrentThatCrashesIsRemoved(t *testing.T) {
	dir := t.TempDir()
	meta, _ := files(t, dir, 32<<10, map[string]int{"a": 100 << 10})
	e, _ := startEngine(t, Config{})
	events, _ := e.Events(1000)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
	other := addTo(t, e, AddOptions{Torrent: small(t, "other"), Dir: t.TempDir()})
	await1(t, events, Completed)
	check(t, tor.in.Put(context.Background(), nil)) // a bug
	for {
		ev := <-events
		if ev.Kind == TorrentRemoved {
			if ev.Hash != meta.Hash || ev.Err == nil {
				t.Errorf("removed %v: %v", ev.Hash, ev.Err)
			}
			break
		}
	}
	if _, err := tor.Stats(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	statsOf(t, other)                                                                  // lives
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // storage closes what it has left behind
		again := addTo(t, e, AddOptions{Torrent: meta, Dir: dir})
		ev := <-events
		for ev.Hash != meta.Hash || ev.Kind != Completed && ev.Kind != TorrentFailed {
			ev = <-events
		}
		if ev.Kind == Completed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(ev.Err)
		}
		check(t, again.Remove(context.Background(), false, 0))
	}
}

func TestPortThatIsTakenIsAnError(t *testing.T) {
	_, addr := startEngine(t, Config{})
	e, err := New(Config{Listen: addr})
	if err == nil {
		e.Close(0)
		t.Fatal("two engines at one port")
	}
	next, err := New(Config{Listen: addr, NextPorts: 100})
	check(t, err)
	defer next.Close(0)
	if got, err := next.Addrs(context.Background()); err != nil || got[0].Port() <= addr.Port() {
		t.Errorf("listening at %v, %v", got, err)
	}
}
