package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// seedAndFetch seeds with some arguments, fetches from that, and compares.
func seedAndFetch(t *testing.T, want string, torrent func() string, args ...string) {
	t.Helper()
	p := start(t, append([]string{"seed", "--json", "--port", "0"}, args...)...)
	port := p.await(t, func(e event) bool { return e.name() == "listening" }).num("port")
	p.await(t, func(e event) bool { return e.name() == "complete" })
	out := t.TempDir()
	shoal("download", torrent(), "-o", out, "--port", "0", "--peer", hostPort(port)).want(t, 0)
	same(t, out, want)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	o := p.end(t).want(t, 130)
	if sum := last(t, events(t, o.out), "summary"); sum.num("bytes_up") == 0 || sum.num("exit_code") != 130 {
		t.Errorf("summary: %v", sum)
	}
}

func hostPort(port int64) string { return "127.0.0.1:" + strconv.FormatInt(port, 10) }

func TestSeedAFolder(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{idle: true})
	made := filepath.Join(t.TempDir(), "made.torrent")
	seedAndFetch(t, s.data, func() string { return made }, filepath.Join(s.data, "data"), "--torrent-out", made)
	// The torrent file is not written over.
	shoal("seed", filepath.Join(s.data, "data"), "--torrent-out", made).want(t, 12).complains(t, made)
}

func TestSeedAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePayload(t, dir, payload{"film.mkv": 300_000})
	made := filepath.Join(t.TempDir(), "made.torrent")
	seedAndFetch(t, dir, func() string { return made }, filepath.Join(dir, "film.mkv"), "--torrent-out", made)
}

func TestSeedATorrent(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{idle: true})
	for _, data := range []string{s.data, filepath.Join(s.data, "data")} {
		seedAndFetch(t, s.data, func() string { return s.file }, s.file, "--data", data)
	}
	// Other suffixes are torrents, too, where the data is said to be elsewhere.
	odd := filepath.Join(t.TempDir(), "odd")
	writeFile(t, odd, s.meta.Encode())
	seedAndFetch(t, s.data, func() string { return odd }, odd, "--data", s.data)
}

func TestSeedPrintsAMagnet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePayload(t, dir, payload{"x": 50_000})
	o := shoal("seed", filepath.Join(dir, "x"), "--port", "0", "--seed-time", "10ms", "--tracker", "http://127.0.0.1:1/announce").want(t, 0)
	m, err := metainfo.ParseMagnet(strings.TrimSpace(o.out))
	if err != nil || !m.Hash.HasV1 || m.Name != "x" || len(m.Trackers) != 1 {
		t.Errorf("stdout is no magnet link of it: %q, %v", o.out, err)
	}
}

// Data that is not all there is told, with what to do; nothing of it is changed.
func TestSeedOfIncompleteData(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{pieceLen: 16 << 10, idle: true})
	seed := func(args ...string) outcome {
		return shoal(append([]string{"seed", s.file, "--port", "0", "--seed-time", "10ms"}, args...)...)
	}
	empty := t.TempDir()
	seed("--data", empty).want(t, 3).complains(t, empty, "--data")
	seed("--data", filepath.Join(empty, "nosuch")).want(t, 3).complains(t, "nosuch")
	if len(tree(t, empty)) > 0 {
		t.Error("seed made files")
	}
	part := t.TempDir()
	if err := os.CopyFS(part, os.DirFS(s.data)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(part, "data", "sub", "a")); err != nil {
		t.Fatal(err)
	}
	raw := readFile(t, filepath.Join(part, "data", "big.bin"))
	raw[1_000_000] ^= 1
	writeFile(t, filepath.Join(part, "data", "big.bin"), raw)
	before := tree(t, part)
	seed("--data", part).want(t, 8).complains(t, "sub/a", "big.bin", "--partial")
	if o := seed("--data", part, "--partial").want(t, 0); !strings.Contains(o.err, "seeding the rest") {
		t.Errorf("stderr: %s", o.err)
	}
	seed("--data", part, "--select", "b ö").want(t, 0)
	after := tree(t, part)
	for name, text := range before {
		if after[name] != text {
			t.Errorf("seed changed %s", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("seed made files: %s", names(after))
	}
}

// While one process has a torrent's record, another may seed the same data.
func TestSeedTwice(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{idle: true})
	p := start(t, "seed", s.file, "--data", s.data, "--port", "0", "--json")
	p.await(t, func(e event) bool { return e.name() == "complete" })
	o := shoal("seed", s.file, "--data", s.data, "--port", "0", "--seed-time", "10ms", "--json").want(t, 0)
	if evs := events(t, o.out); len(of(evs, "listening")) != 1 || len(of(evs, "added")) != 1 {
		t.Errorf("events are told twice: %s", o.out)
	}
	p.kill(t)
}

// What was downloaded is seeded without being hashed again.
func TestSeedTrustsTheRecord(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{})
	out := t.TempDir()
	shoal("download", s.file, "-o", out, "--port", "0", "--peer", s.peer).want(t, 0)
	rehashed := func(args ...string) int64 {
		o := shoal(append([]string{"seed", s.file, "--data", out, "--port", "0", "--seed-time", "10ms", "--json"}, args...)...).want(t, 0)
		return last(t, events(t, o.out), "summary").num("bytes_rehashed")
	}
	if n := rehashed(); n != 0 {
		t.Errorf("%d bytes hashed", n)
	}
	if n := rehashed("--check"); n != s.meta.Size() {
		t.Errorf("--check hashed %d bytes of %d", n, s.meta.Size())
	}
}
