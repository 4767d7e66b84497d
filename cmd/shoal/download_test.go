package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

func TestDownload(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{tracker: true})
	out := t.TempDir()
	o := shoal("download", s.file, "-o", out, "--port", "0").want(t, 0)
	same(t, out, s.data)
	var all []string
	for name := range tree(t, s.data) {
		all = append(all, filepath.Join(out, filepath.FromSlash(name)))
	}
	slices.Sort(all)
	if got := o.paths(); !slices.Equal(got, all) {
		t.Errorf("stdout has\n%q, want each file once:\n%q", got, all)
	}
	if strings.Contains(o.err, "\x1b") || len(o.errors()) > 0 || !strings.Contains(o.err, "listening on ") {
		t.Errorf("stderr: %q", o.err)
	}
	// Again: nothing is fetched, nothing hashed, and the paths are told again.
	again := shoal("download", s.file, "-o", out, "--port", "0", "--json").want(t, 0)
	evs := events(t, again.out)
	sum := last(t, evs, "summary")
	if sum.num("bytes_down") != 0 || sum.num("bytes_rehashed") != 0 || sum.num("bytes_done") != s.meta.Size() {
		t.Errorf("the second run: %v", sum)
	}
	if n := len(of(evs, "file")); n != len(all) {
		t.Errorf("%d files told in the second run, want %d", n, len(all))
	}
}

func TestEventsOfADownload(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{tracker: true, pieceLen: 64 << 10, limits: engine.Limits{Up: 8 << 20}})
	o := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--json").want(t, 0)
	if o.err != "" {
		t.Errorf("stderr: %q", o.err)
	}
	evs := events(t, o.out)
	var order []string
	for _, e := range evs {
		if e["infohash"] != s.meta.Hash.String() {
			t.Errorf("an event of %v", e["infohash"])
		}
		if n := e.name(); n != "piece" && n != "tracker" && n != "progress" && n != "file" {
			order = append(order, n)
		}
	}
	if got := strings.Join(order, " "); got != "listening added metadata flushing complete summary" {
		t.Errorf("events in this order: %s", got)
	}
	addr, err := net.ResolveTCPAddr("tcp", of(evs, "listening")[0].text("addr"))
	if err != nil || addr.Port == 0 || int64(addr.Port) != of(evs, "listening")[0].num("port") {
		t.Errorf("listening: %v", of(evs, "listening")[0])
	}
	checkProgress(t, s, evs)
	if n := len(of(evs, "piece")); n != int(s.meta.Lengths.Pieces()) {
		t.Errorf("%d pieces told of %d", n, s.meta.Lengths.Pieces())
	}
	sum := last(t, evs, "summary")
	for _, k := range []string{"bytes_down", "bytes_up", "bytes_wasted", "bytes_rehashed", "seconds", "exit_code"} {
		if _, ok := sum[k].(float64); !ok {
			t.Errorf("summary lacks %s: %v", k, sum)
		}
	}
	if evs[len(evs)-1].name() != "summary" || sum.num("bytes_down") != s.meta.Size() {
		t.Errorf("the last event: %v", sum)
	}
}

// checkProgress looks at what every progress event has, and how it grows.
func checkProgress(t *testing.T, s *swarm, evs []event) {
	t.Helper()
	list := of(evs, "progress")
	var down, done int64
	for _, p := range list {
		for _, k := range []string{"bytes_done", "bytes_total", "bytes_down", "bytes_rehashed", "down_rate", "up_rate", "peers", "eta"} {
			v, ok := p[k]
			if _, num := v.(float64); !ok || !num && k != "eta" {
				t.Fatalf("progress lacks %s: %v", k, p)
			}
		}
		if p.num("bytes_down") < down || p.num("bytes_done") < done || p.num("bytes_total") != s.meta.Size() {
			t.Errorf("progress goes backwards: %v", p)
		}
		down, done = p.num("bytes_down"), p.num("bytes_done")
	}
	end := last(t, evs, "progress")
	if end.num("bytes_down") != last(t, evs, "summary").num("bytes_down") || end.num("eta") != 0 || end["eta"] == nil || done != s.meta.Size() {
		t.Errorf("the last progress: %v", end)
	}
	if len(list) < 4 {
		t.Errorf("only %d progress events", len(list))
	}
}

// One at a time is enough to be told: what matters does not hang on events.
func TestLostEventsLoseNothing(t *testing.T) {
	s := newSwarm(t, options{})
	defer func(n int) { eventBuffer = n }(eventBuffer)
	eventBuffer = 1
	out := t.TempDir()
	o := shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer).want(t, 0)
	same(t, out, s.data)
	if n := len(o.paths()); n != len(mixed) {
		t.Errorf("%d paths of %d: %q", n, len(mixed), o.out)
	}
}

func TestSelectionOfFiles(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{name: "show", pieceLen: 32 << 10, files: payload{"a.mkv": 100_000, "b.txt": 50_000, "extra/c.mkv": 70_000, "extra/d.nfo": 10}})
	for _, c := range []struct {
		flags string
		want  string
	}{
		{"--files 1", "[show/a.mkv]"},
		{"--files 2-3", "[show/b.txt show/extra/c.mkv]"},
		{"--files 1,4", "[show/a.mkv show/extra/d.nfo]"},
		{"--select *.mkv", "[show/a.mkv show/extra/c.mkv]"},
		{"--select extra/*", "[show/extra/c.mkv show/extra/d.nfo]"},
		{"--select show/b.txt", "[show/b.txt]"},
		{"--exclude *.mkv", "[show/b.txt show/extra/d.nfo]"},
		{"--select *.mkv --exclude extra/*", "[show/a.mkv]"},
	} {
		t.Run(c.flags, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			args := append([]string{"download", s.file, "-o", out, "--port", "0", "--peer", s.peer}, strings.Fields(c.flags)...)
			o := shoal(args...).want(t, 0)
			got := tree(t, out)
			if names(got) != c.want {
				t.Errorf("the folder holds %s, want %s", names(got), c.want)
			}
			for name, text := range got {
				if text != string(readFile(t, filepath.Join(s.data, name))) {
					t.Errorf("%s differs", name)
				}
				if !slices.Contains(o.paths(), filepath.Join(out, filepath.FromSlash(name))) {
					t.Errorf("%s is not told: %q", name, o.out)
				}
			}
			// The rest may be fetched later, and what is there is not fetched again.
			more := shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer, "--json").want(t, 0)
			same(t, out, s.data)
			if sum := last(t, events(t, more.out), "summary"); sum.num("bytes_down") >= s.meta.Size() || sum.num("bytes_rehashed") != 0 {
				t.Errorf("the rest: %v", sum)
			}
		})
	}
}

func TestPickers(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{pieceLen: 16 << 10, limits: engine.Limits{Up: 16 << 20}})
	inOrder := func(flags ...string) float64 {
		args := append([]string{"download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--json"}, flags...)
		pieces := of(events(t, shoal(args...).want(t, 0).out), "piece")
		up := 0
		for i := 1; i < len(pieces); i++ {
			if pieces[i].num("piece") > pieces[i-1].num("piece") {
				up++
			}
		}
		return float64(up) / float64(len(pieces)-1)
	}
	if v := inOrder("--sequential"); v < 0.95 {
		t.Errorf("--sequential: %.2f of the pieces come after the one before", v)
	}
	if v := inOrder("--picker", "sequential"); v < 0.95 {
		t.Errorf("--picker sequential: %.2f of the pieces come after the one before", v)
	}
	if v := inOrder("--picker", "random"); v > 0.75 {
		t.Errorf("--picker random: %.2f of the pieces come after the one before", v)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 1 << 20}})
	o := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--down-limit", "1MiB", "--json").want(t, 0)
	if secs := last(t, events(t, o.out), "summary")["seconds"].(float64); secs < 0.4 || secs > 5 {
		t.Errorf("1 MiB at 1 MiB/s took %.2f s", secs)
	}
}

func TestCheckHashesAgain(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{})
	out := t.TempDir()
	shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer).want(t, 0)
	// A byte changes behind our back, its file's time with it not.
	path := filepath.Join(out, "data", "big.bin")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	raw := readFile(t, path)
	raw[100_000] ^= 1
	writeFile(t, path, raw)
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	o := shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer, "--check", "--json").want(t, 0)
	sum := last(t, events(t, o.out), "summary")
	if n := s.meta.Lengths.PieceLen(); sum.num("bytes_rehashed") != s.meta.Size() || sum.num("bytes_down") != n {
		t.Errorf("one piece of %d bytes was bad: %v", n, sum)
	}
	same(t, out, s.data)
}

func TestStdinAndNamedPipes(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}})
	out := t.TempDir()
	shoalWith(string(s.meta.Encode()), "download", "-", "-o", out, "--port", "0", "--peer", s.peer).want(t, 0)
	same(t, out, s.data)
	shoalWith("", "download", "-", "-o", out).want(t, 4).complains(t, "standard input")
	shoalWith(string(s.meta.Encode()), "info", "-").want(t, 0)
}

// Whatever has been removed is fetched anew: a person who deletes a file wants it gone.
func TestRemovedOutputIsFetchedAgain(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{})
	out := filepath.Join(t.TempDir(), "made", "on", "the way")
	for range 2 {
		shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer).want(t, 0)
		same(t, out, s.data)
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
}

// One machine, one home: the same torrent may come to two folders and be seeded from
// a third.
func TestOneTorrentInSeveralFolders(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{tracker: true, limits: engine.Limits{Up: 4 << 20}})
	a, b := t.TempDir(), t.TempDir()
	done := make(chan outcome, 2)
	for _, out := range []string{a, b} {
		go func() { done <- shoal("download", s.file, "-o", out, "--port", "0") }()
	}
	for range 2 {
		(<-done).want(t, 0)
	}
	same(t, a, s.data)
	same(t, b, s.data)
}

// Two at work in one folder would spoil each other's records.
func TestOneFolderForOne(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{limits: engine.Limits{Up: 256 << 10}})
	out := t.TempDir()
	p := start(t, "download", s.file, "-o", out, "--port", "0", "--peer", s.peer, "--json")
	p.await(t, func(e event) bool { return e.name() == "progress" && e.num("bytes_down") > 0 })
	shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer).want(t, 12).complains(t, "another shoal", out)
	p.kill(t)
}

func TestPortsAndBinding(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	shoal("download", s.file, "-o", t.TempDir(), "--bind", "127.0.0.1", "--port", taken).want(t, 5).complains(t, "can't listen on 127.0.0.1:"+taken, "--port")
	shoal("download", s.file, "-o", t.TempDir(), "--bind", "192.0.2.1").want(t, 5).complains(t, "--bind 192.0.2.1: not an address of this machine")
	for _, bind := range []string{"127.0.0.1", loopback(t)} {
		o := shoal("download", s.file, "-o", t.TempDir(), "--bind", bind, "--port", "0", "--peer", s.peer, "--json").want(t, 0)
		if addr := last(t, events(t, o.out), "listening").text("addr"); !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Errorf("--bind %s: listening on %s", bind, addr)
		}
	}
}

// loopback is the name of an interface.
func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Fatal("no loopback interface")
	return ""
}

func TestOutputsThatCanNotBe(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}, idle: true})
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, []byte("mine"))
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		shoal("download", s.file, "-o", dir).want(t, 5).complains(t, dir, "--output")
		o := shoal("download", s.file, "-o", dir, "--json").want(t, 5).complains(t, dir)
		if sum := last(t, events(t, o.out), "summary"); sum.num("exit_code") != 5 {
			t.Errorf("summary: %v", sum)
		}
		shoal("download", s.file, "-o", t.TempDir(), "--state-dir", dir).want(t, 5).complains(t, dir, "--state-dir")
	}
	if string(readFile(t, file)) != "mine" {
		t.Error("the file was written over")
	}
	shoal("download", s.file, "-o", t.TempDir(), "--log-file", filepath.Join(file, "log")).want(t, 5).complains(t, "--log-file")
}

func TestLogGoesWhereItShould(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}})
	log := filepath.Join(t.TempDir(), "log")
	o := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--log-file", log, "--log-level", "debug").want(t, 0)
	text := string(readFile(t, log))
	for _, want := range []string{"peer connected", "state=seeding", "level=DEBUG msg=piece", "file complete"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	if o := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "-v").want(t, 0); !strings.Contains(o.err, "msg=\"peer connected\"") {
		t.Errorf("-v shows nothing: %s", o.err)
	}
	if strings.Contains(o.err, "level=") {
		t.Errorf("the log is on stderr, too: %s", o.err)
	}
}

func TestJSONKeepsItsKeysInOrder(t *testing.T) {
	var b safeBuffer
	r := &jsonReporter{st: streams{nil, &b, &b}}
	r.event("x", metainfo.Hash{}, keys{"a": "<&>", "z": 1})
	if got := b.String(); !strings.HasPrefix(got, `{"v":1,"event":"x","t":`) || !strings.HasSuffix(got, `"infohash":null,"a":"\u003c\u0026\u003e","z":1}`+"\n") {
		t.Errorf("%s", got)
	}
	if !json.Valid([]byte(b.String())) {
		t.Error("not JSON")
	}
}
