package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/engine"
)

// three are torrents that one seed each has, one more than run at a time with bad.
func three(t *testing.T) (files []string, want string) {
	t.Helper()
	want = t.TempDir()
	url := "http://" + startTracker(t) + "/announce"
	for _, name := range []string{"one", "two", "three", "four"} {
		path := filepath.Join(t.TempDir(), name)
		writePayload(t, path, payload{"a": 300_000, name: 10_000})
		writePayload(t, filepath.Join(want, name), payload{"a": 300_000, name: 10_000})
		file := filepath.Join(t.TempDir(), name+".torrent")
		shoal("create", path, "-o", file, "-t", url).want(t, 0)
		meta, err := loadSource(discard, file)
		if err != nil {
			t.Fatal(err)
		}
		seedFrom(t, meta, filepath.Dir(path), engine.Limits{})
		files = append(files, file)
	}
	return files, want
}

func TestSeveralTorrents(t *testing.T) {
	t.Parallel()
	files, want := three(t)
	out := t.TempDir()
	o := shoal(append([]string{"download", "--json", "-o", out, "--port", "0"}, files...)...).want(t, 0)
	same(t, out, want)
	evs := events(t, o.out)
	sums := of(evs, "summary")
	if len(sums) != len(files)+1 {
		t.Fatalf("%d summaries of %d torrents and one total", len(sums), len(files))
	}
	var down int64
	for _, s := range sums[:len(files)] {
		if s["infohash"] == nil || s.num("bytes_down") != 310_000 || s.num("exit_code") != 0 {
			t.Errorf("summary: %v", s)
		}
		down += s.num("bytes_down")
	}
	total := sums[len(files)]
	if total["infohash"] != nil || total.num("bytes_down") != down || total.num("sources") != 4 || evs[len(evs)-1].name() != "summary" {
		t.Errorf("total: %v", total)
	}
}

// No more than three run at a time, and one that is done seeds no more.
func TestAtMostThreeAtOnce(t *testing.T) {
	t.Parallel()
	files, _ := three(t)
	o := shoal(append([]string{"download", "--json", "-o", t.TempDir(), "--port", "0"}, files...)...).want(t, 0)
	running, most := 0, 0
	for _, e := range events(t, o.out) {
		switch {
		case e.name() == "added":
			running++
			most = max(most, running)
		case e.name() == "summary":
			running--
		}
	}
	if most > atOnce {
		t.Errorf("%d ran at once", most)
	}
}

// Good ones are fetched whatever becomes of the others, and the exit code is that of
// the first that failed in the order of the arguments.
func TestBadOnesAmongGoodOnes(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{tracker: true})
	bad := filepath.Join(t.TempDir(), "bad.torrent")
	writeFile(t, bad, []byte("garbage"))
	idle := newSwarm(t, options{name: "idle", files: payload{"x": 100_000}, idle: true})
	twin := filepath.Join(t.TempDir(), "twin.torrent")
	writeFile(t, twin, s.meta.Encode())
	for _, c := range []struct {
		sources []string
		code    int
		says    []string
	}{
		{[]string{s.file, bad}, 4, []string{bad}},
		{[]string{"nosuch.torrent", s.file, bad}, 3, []string{"nosuch.torrent", bad}},
		{[]string{bad, s.file, "nosuch.torrent"}, 4, []string{bad, "nosuch.torrent"}},
		{[]string{s.file, twin}, 12, []string{"twin.torrent: the same torrent as"}},
		{[]string{idle.file, s.file, bad}, 7, []string{bad, "idle: nothing for"}}, // the first fails last
		{[]string{s.file, "magnet:?xt=urn:btmh:1220" + someKey}, 2, []string{"v2-only"}},
	} {
		t.Run(strings.Join(c.says, ","), func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			args := append([]string{"download", "-o", out, "--port", "0", "--timeout", "300ms"}, c.sources...)
			o := shoal(args...).want(t, c.code)
			same(t, filepath.Join(out, "data"), filepath.Join(s.data, "data"))
			errs := o.errors()
			if len(errs) != len(c.says) {
				t.Errorf("%d errors, want %d: %q", len(errs), len(c.says), errs)
			}
			for i, say := range c.says {
				if i < len(errs) && !strings.Contains(errs[i], say) {
					t.Errorf("error %d does not say %q: %s", i, say, errs[i])
				}
			}
			if strings.Count(o.err, "torrents: down") != 1 {
				t.Errorf("want one total: %s", o.err)
			}
			sums := of(events(t, shoal(append(args, "--json")...).want(t, c.code).out), "summary")
			if len(sums) != len(c.sources)+1 || int(sums[len(c.sources)].num("exit_code")) != c.code {
				t.Errorf("summaries: %v", sums)
			}
		})
	}
}

func TestTorrentsThatWouldOverwriteEachOther(t *testing.T) {
	t.Parallel()
	a := newSwarm(t, options{files: payload{"x": 50_000, "own": 10}})
	b := newSwarm(t, options{files: payload{"x": 60_000}})
	out := t.TempDir()
	o := shoal("download", a.file, b.file, "-o", out, "--port", "0", "--peer", a.peer, "--peer", b.peer).want(t, 12)
	o.complains(t, "data/x", a.file, b.file)
	same(t, out, a.data)
	// What is not selected does no harm.
	shoal("download", a.file, b.file, "-o", t.TempDir(), "--port", "0", "--peer", a.peer, "--peer", b.peer, "--exclude", "x").want(t, 2)
}

func TestStateIsKeptByOutput(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	s := newSwarm(t, options{files: payload{"x": 50_000}})
	for _, out := range []string{t.TempDir(), t.TempDir()} {
		shoal("download", s.file, "-o", out, "--state-dir", state, "--port", "0", "--peer", s.peer).want(t, 0)
	}
	dirs, err := os.ReadDir(filepath.Join(state, "transfers"))
	if err != nil || len(dirs) != 2 {
		t.Errorf("%d folders of records, %v", len(dirs), err)
	}
}
