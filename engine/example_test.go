package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
	"github.com/shoal-bt/shoal/storage"
)

var ctx = context.Background()

func try(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	try(err)
	return v
}

// tempDir makes a folder for an example.
func tempDir() string { return must(os.MkdirTemp("", "shoal-example-*")) }

// album makes a folder of two files below dir, and a torrent of it.
func album(dir string) *metainfo.Torrent {
	try(os.MkdirAll(filepath.Join(dir, "album"), 0o755))
	for i, name := range []string{"one.txt", "two.txt"} {
		line := strings.Repeat(string(rune('a'+i)), 63) + "\n"
		try(os.WriteFile(filepath.Join(dir, "album", name), []byte(strings.Repeat(line, 1000)), 0o644))
	}
	res := must(create.FromPath(ctx, filepath.Join(dir, "album"), create.Options{PieceLength: 16 << 10}, nil))
	return res.Torrent
}

// newEngine starts an engine on a free port of the loopback interface.
func newEngine() *engine.Engine {
	return must(engine.New(engine.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")}))
}

// seeding makes an album, adds it, and waits until it has been checked.
func seeding(e *engine.Engine, dir string) *engine.Torrent { return add(e, album(dir), dir) }

// add adds a torrent whose files are there.
func add(e *engine.Engine, meta *metainfo.Torrent, dir string) *engine.Torrent {
	events, cancel := e.Events(1000)
	defer cancel()
	t := must(e.Add(ctx, engine.AddOptions{Torrent: meta, Dir: dir}))
	waitFor(events, engine.Completed)
	return t
}

// waitFor waits for an event.
func waitFor(events <-chan engine.Event, kind engine.EventKind) engine.Event {
	for ev := range events {
		if ev.Err != nil && ev.Kind == engine.TorrentFailed {
			log.Fatal(ev.Err)
		}
		if ev.Kind == kind {
			return ev
		}
	}
	log.Fatal("the engine has closed")
	return engine.Event{}
}

// One engine seeds, another one downloads.
func Example() {
	from, to := tempDir(), tempDir()
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	meta := album(from)

	seed := newEngine()
	defer seed.Close(time.Second)
	must(seed.Add(ctx, engine.AddOptions{Torrent: meta, Dir: from}))

	leech := newEngine()
	defer leech.Close(time.Second)
	events, _ := leech.Events(1000)
	must(leech.Add(ctx, engine.AddOptions{
		Torrent: meta,
		Dir:     to,
		Peers:   must(seed.Addrs(ctx)),
	}))
	waitFor(events, engine.Completed)

	got := must(os.ReadFile(filepath.Join(to, "album", "two.txt")))
	fmt.Printf("%d bytes, %s...\n", len(got), got[:5])
	// Output: 64000 bytes, bbbbb...
}

// A torrent may be added paused, with only some of its files, a picker of one's choice
// and limits of its own.
func ExampleEngine_Add() {
	dir, to := tempDir(), tempDir()
	defer os.RemoveAll(dir)
	defer os.RemoveAll(to)
	e := newEngine()
	defer e.Close(time.Second)
	t, err := e.Add(ctx, engine.AddOptions{
		Torrent:  album(dir),
		Dir:      to,
		Paused:   true,
		Picker:   "sequential",
		Limits:   engine.Limits{Down: 1 << 20},
		Storage:  storage.Options{Priority: []uint8{4, 0}},
		Trackers: [][]string{{"http://tracker.example/announce"}},
	})
	fmt.Println(t.Meta().Name, err)
	_, err = e.Add(ctx, engine.AddOptions{Torrent: album(dir)})
	fmt.Println("again:", errors.Is(err, engine.ErrExists))
	// Output:
	// album <nil>
	// again: true
}

func ExampleTorrent_Pause() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	try(t.Pause(ctx))
	fmt.Println(must(t.Stats(ctx)).State)
	try(t.Resume(ctx))
	fmt.Println(must(t.Stats(ctx)).State)
	// Output:
	// paused
	// seeding
}

// Remove forgets a torrent, and deletes its files if it is told to.
func ExampleTorrent_Remove() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	there := func() bool {
		_, err := os.Stat(filepath.Join(dir, "album", "one.txt"))
		return err == nil
	}
	try(seeding(e, dir).Remove(ctx, false, time.Second))
	fmt.Println("without data, the file is there:", there())
	try(seeding(e, dir).Remove(ctx, true, time.Second))
	fmt.Println("with data, the file is there:", there())
	// Output:
	// without data, the file is there: true
	// with data, the file is there: false
}

// Close ends one torrent and keeps its record: added again, it goes on where it was.
func ExampleTorrent_Close() {
	dir, state := tempDir(), tempDir()
	defer os.RemoveAll(dir)
	defer os.RemoveAll(state)
	e := must(engine.New(engine.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0"), StateDir: state}))
	defer e.Close(time.Second)
	t := seeding(e, dir)
	fmt.Println("hashed:", must(t.Stats(ctx)).Rehashed)
	try(t.Close(ctx, time.Second))
	t = add(e, t.Meta(), dir)
	fmt.Println("hashed:", must(t.Stats(ctx)).Rehashed)
	// Output:
	// hashed: 128000
	// hashed: 0
}

// Files are moved while the torrent is at work.
func ExampleTorrent_Move() {
	dir, elsewhere := tempDir(), tempDir()
	defer os.RemoveAll(dir)
	defer os.RemoveAll(elsewhere)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	try(t.Move(ctx, elsewhere))
	_, err := os.Stat(filepath.Join(elsewhere, "album", "one.txt"))
	fmt.Println(err, must(t.Stats(ctx)).Dir == elsewhere)
	// Output: <nil> true
}

func ExampleTorrent_Rename() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	try(t.Rename(ctx, 0, "album/first/uno.txt"))
	for _, f := range must(t.Files(ctx)) {
		fmt.Println(f.Path, f.Done)
	}
	// Output:
	// album/first/uno.txt 64000
	// album/two.txt 64000
}

// What is not wanted is not fetched; this can be changed at any time.
func ExampleTorrent_SetPriorities() {
	from, to := tempDir(), tempDir()
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	seed, leech := newEngine(), newEngine()
	defer seed.Close(time.Second)
	defer leech.Close(time.Second)
	meta := seeding(seed, from).Meta()
	events, _ := leech.Events(1000)
	t := must(leech.Add(ctx, engine.AddOptions{Torrent: meta, Dir: to, Storage: storage.Options{Priority: []uint8{0, 0}}}))
	waitFor(events, engine.Completed) // nothing was wanted
	try(t.SetPriorities(ctx, []uint8{0, 7}))
	try(t.AddPeers(ctx, must(seed.Addrs(ctx))...))
	waitFor(events, engine.Completed)
	for _, f := range must(t.Files(ctx)) {
		fmt.Println(f.Path, f.Done == f.Length)
	}
	// Output:
	// album/one.txt false
	// album/two.txt true
}

// Limits of the session, of a torrent and of one connection hold together, and can be
// changed at any time.
func ExampleTorrent_SetLimits() {
	from, to := tempDir(), tempDir()
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	seed, leech := newEngine(), newEngine()
	defer seed.Close(time.Second)
	defer leech.Close(time.Second)
	meta := seeding(seed, from).Meta()
	leech.SetLimits(engine.Limits{Down: 1 << 20, Up: 1 << 20})
	events, _ := leech.Events(1000)
	addrs := must(seed.Addrs(ctx))
	t := must(leech.Add(ctx, engine.AddOptions{Torrent: meta, Dir: to, Peers: addrs, Limits: engine.Limits{Down: 20 << 10}}))
	waitFor(events, engine.PeerConnected)
	try(t.SetPeerLimits(ctx, addrs[0], engine.Limits{Down: 10 << 10}))
	try(t.SetPeerLimits(ctx, addrs[0], engine.Limits{})) // none again
	t.SetLimits(engine.Limits{Down: 10 << 20})
	waitFor(events, engine.Completed)
	fmt.Println(must(t.Stats(ctx)).Down)
	// Output: 128000
}

func ExampleTorrent_AddPeers() {
	from, to := tempDir(), tempDir()
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	seed, leech := newEngine(), newEngine()
	defer seed.Close(time.Second)
	defer leech.Close(time.Second)
	meta := seeding(seed, from).Meta()
	events, _ := leech.Events(1000)
	t := must(leech.Add(ctx, engine.AddOptions{Torrent: meta, Dir: to}))
	try(t.AddPeers(ctx, must(seed.Addrs(ctx))...))
	ev := waitFor(events, engine.PeerConnected)
	fmt.Println(ev.Addr == must(seed.Addrs(ctx))[0])
	// Output: true
}

// Trackers that a person adds are asked besides those of the torrent, which is told
// by TrackerReport events and by Trackers.
func ExampleTorrent_AddTrackers() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(0)
	events, _ := e.Events(1000)
	t := seeding(e, dir)
	try(t.AddTrackers(ctx, "http://127.0.0.1:1/announce"))
	for ev := waitFor(events, engine.TrackerReport); ev.Report.State != "failing"; {
		ev = waitFor(events, engine.TrackerReport)
	}
	try(t.Reannounce(ctx)) // at once, as soon as the tracker allows it
	for _, tr := range must(t.Trackers(ctx)) {
		fmt.Println(tr.URL, tr.Err != "")
	}
	// Output: http://127.0.0.1:1/announce true
}

// Recheck hashes everything again: what somebody has changed is fetched anew.
func ExampleTorrent_Recheck() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	try(os.WriteFile(filepath.Join(dir, "album", "two.txt"), make([]byte, 64000), 0o644))
	try(t.Recheck(ctx))
	s := must(t.Stats(ctx))
	fmt.Printf("%v, %d of %d pieces\n", s.State, s.Have, s.Pieces)
	// Output: downloading, 3 of 8 pieces
}

// The pieces of what happens come as events, in order.
func ExampleEngine_Events() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	events, cancel := e.Events(1000)
	defer cancel()
	t := must(e.Add(ctx, engine.AddOptions{Torrent: album(dir), Dir: dir}))
	for ev := range events {
		switch ev.Kind {
		case engine.TorrentAdded:
			fmt.Println("added")
		case engine.StateChanged:
			fmt.Println("now", ev.State)
		case engine.Completed:
			fmt.Println("complete")
			go t.Remove(ctx, false, 0)
		case engine.TorrentRemoved:
			fmt.Println("removed")
			return
		}
	}
	// Output:
	// added
	// now checking
	// now seeding
	// complete
	// now stopping
	// removed
}

// A Reader is an io.ReadSeekCloser and io.ReaderAt: it waits for what is not there
// yet, and has it fetched before everything else.
func ExampleTorrent_NewReader() {
	from, to := tempDir(), tempDir()
	defer os.RemoveAll(from)
	defer os.RemoveAll(to)
	seed, leech := newEngine(), newEngine()
	defer seed.Close(time.Second)
	defer leech.Close(time.Second)
	meta := seeding(seed, from).Meta()
	t := must(leech.Add(ctx, engine.AddOptions{Torrent: meta, Dir: to, Peers: must(seed.Addrs(ctx))}))

	r := must(t.NewReader(ctx, 1)) // the second file
	defer r.Close()
	must(r.Seek(-4, io.SeekEnd))
	fmt.Printf("%q\n", must(io.ReadAll(r)))
	first := make([]byte, 3)
	must(r.ReadAt(first, 0))
	fmt.Printf("%q\n", first)
	piece := must(t.ReadPiece(ctx, 0))
	fmt.Println(len(piece))
	// Output:
	// "bbb\n"
	// "bbb"
	// 16384
}

// The picker and the choker can be switched while a torrent is at work.
func ExampleTorrent_SetStrategy() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	fmt.Println(t.SetStrategy(ctx, "sequential", "fastest"))
	fmt.Println(t.SetStrategy(ctx, "nonsense", "") != nil)
	// Output:
	// <nil>
	// true
}

// Snapshots tell everything about a torrent at one moment.
func ExampleTorrent_Stats() {
	dir := tempDir()
	defer os.RemoveAll(dir)
	e := newEngine()
	defer e.Close(time.Second)
	t := seeding(e, dir)
	s := must(t.Stats(ctx))
	fmt.Println(s.Name, s.State, s.Done, s.Total, s.Have, s.Pieces)
	fmt.Println(len(must(t.Peers(ctx))), "peers")
	for _, f := range must(t.Files(ctx)) {
		fmt.Println(f.Path, f.Done, f.Length)
	}
	// Output:
	// album seeding 128000 128000 8 8
	// 0 peers
	// album/one.txt 64000 64000
	// album/two.txt 64000 64000
}
