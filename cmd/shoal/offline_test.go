package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

const corpus = "../../metainfo/testdata/torrents"

// Every torrent of the corpus gets its verdict from info, and what is bencode goes
// through JSON and back.
func TestCorpus(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(string(readFile(t, filepath.Join(corpus, "EXPECT.tsv")))) {
		cols := strings.Split(line, "\t")
		if strings.HasPrefix(line, "#") || len(cols) < 2 {
			continue
		}
		n++
		file := filepath.Join(corpus, cols[0])
		o := shoal("info", "--json", file)
		if cols[1] == "valid" {
			o.want(t, 0)
			var m map[string]any
			if err := json.Unmarshal([]byte(o.out), &m); err != nil || m["name"] == "" || m["infohash"] == "" || m["files"] == nil || o.err != "" {
				t.Errorf("%s: %v %s", cols[0], err, o.out)
			}
			shoal("info", file).want(t, 0)
			shoal("magnet", file).want(t, 0)
		} else {
			o.want(t, 4).complains(t, cols[0])
			if o.out != "" {
				t.Errorf("%s: %s", cols[0], o.out)
			}
		}
		raw := readFile(t, file)
		shown := shoal("bencode", "decode", file)
		if shown.code != 0 {
			shown.want(t, 4).complains(t)
			continue
		}
		back := shoalWith(shown.out, "bencode", "encode").want(t, 0)
		if !bytes.HasPrefix(raw, []byte(back.out)) && !sameValue(t, raw, back.out) {
			t.Errorf("%s: decode and encode differ", cols[0])
		}
	}
	if n != 54 {
		t.Errorf("%d torrents in the corpus, want 54", n)
	}
}

// sameValue compares what two texts decode to: keys out of order are put in order.
func sameValue(t *testing.T, raw []byte, back string) bool {
	t.Helper()
	a := shoalWith(string(raw), "bencode", "decode", "--compact", "-").want(t, 0).out
	b := shoalWith(back, "bencode", "decode", "--compact", "-").want(t, 0).out
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && jsonOf(t, x) == jsonOf(t, y)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBencode(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"i42e", "0:", "3:abc", "le", "de", "li1ei-2e3:xyze", "d1:ai1e1:bl1:cee", "d3:bin2:\xff\xfee", "i18446744073709551615e"} {
		shown := shoal("bencode", "decode", s).want(t, 0)
		if !json.Valid([]byte(shown.out)) {
			t.Errorf("%q: not JSON: %s", s, shown.out)
		}
		if got := shoalWith(shown.out, "bencode", "encode").want(t, 0).out; got != s {
			t.Errorf("%q came back as %q", s, got)
		}
		if got := shoal("bencode", "encode", shown.out).want(t, 0).out; got != s {
			t.Errorf("%q came back as %q from an argument", s, got)
		}
	}
	shoal("bencode", "decode", "i42").want(t, 4).complains(t, "i42")
	shoal("bencode", "decode", "nosuch.file").want(t, 3).complains(t, "nosuch.file")
	shoal("bencode", "decode", "--strict", "d1:bi1e1:ai1ee").want(t, 4)
	shoal("bencode", "encode", "{").want(t, 4).complains(t)
	shoal("bencode").want(t, 0)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePayload(t, filepath.Join(dir, "data"), mixed)
	out := filepath.Join(dir, "x.torrent")
	o := shoal("create", filepath.Join(dir, "data"), "-o", out, "-t", "http://a.example/announce", "-t", "udp://b.example:1,http://c.example/announce",
		"--piece-length", "64KiB", "--private", "--comment", "a remark", "--source", "S", "--web-seed", "http://w.example/").want(t, 0)
	if lines := o.paths(); len(lines) != 2 || !strings.Contains(o.out, out+"\n") || !strings.Contains(o.out, "magnet:?xt=urn:btih:") {
		t.Errorf("stdout: %q", o.out)
	}
	m, err := metainfo.Load(readFile(t, out))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "data" || m.Lengths.PieceLen() != 64<<10 || !m.Private || m.Comment != "a remark" || m.Source != "S" || len(m.Trackers) != 2 ||
		len(m.Trackers[1]) != 2 || len(m.WebSeeds) != 1 || len(m.Files) != len(mixed) || m.CreationDate == 0 {
		t.Errorf("the torrent: %+v", m)
	}
	info := shoal("info", out).want(t, 0).out
	for _, s := range []string{"a remark", "udp://b.example:1", "http://w.example/", "private", m.Hash.String(), "ünï cödé/b ö"} {
		if !strings.Contains(info, s) {
			t.Errorf("info does not show %q:\n%s", s, info)
		}
	}
	shoal("verify", out, "--data", dir).want(t, 0)
	// What is there stays.
	before := readFile(t, out)
	shoal("create", filepath.Join(dir, "data"), "-o", out).want(t, 12).complains(t, out)
	if !bytes.Equal(before, readFile(t, out)) {
		t.Error("the torrent was written over")
	}
	shoal("create", filepath.Join(dir, "data"), "-o", out, "--force").want(t, 0)
	// The same input gives the same output.
	a := shoal("create", filepath.Join(dir, "data"), "-o", "-", "--no-date").want(t, 0).out
	if b := shoal("create", filepath.Join(dir, "data"), "-o", "-", "--no-date").want(t, 0).out; a != b || a == "" {
		t.Error("two torrents of the same data differ")
	}
	var js map[string]any
	o = shoal("create", filepath.Join(dir, "data", "big.bin"), "-o", filepath.Join(dir, "big.torrent"), "--json").want(t, 0)
	if err := json.Unmarshal([]byte(o.out), &js); err != nil || js["file"] != filepath.Join(dir, "big.torrent") || js["name"] != "big.bin" {
		t.Errorf("--json: %v %s", err, o.out)
	}
}

func TestCreateOfWhatCanNotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writePayload(t, dir, payload{"x": 1000, "empty/nothing": 0})
	x := filepath.Join(dir, "x")
	shoal("create", filepath.Join(dir, "nosuch"), "-o", filepath.Join(dir, "t")).want(t, 3).complains(t, "nosuch")
	shoal("create", filepath.Join(dir, "empty"), "-o", filepath.Join(dir, "t")).complains(t, "nothing to share")
	shoal("create", x, "-o", filepath.Join(dir, "no", "such", "t")).want(t, 5).complains(t, "such")
	shoal("create", x, "-o", filepath.Join(x, "t")).want(t, 5).complains(t)
	if got := names(tree(t, dir)); got != "[empty/nothing x]" {
		t.Errorf("left behind: %s", got)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{pieceLen: 16 << 10, idle: true})
	good := shoal("verify", s.file, "--data", s.data).want(t, 0)
	if !strings.Contains(good.out, "all ") {
		t.Errorf("stdout: %q", good.out)
	}
	shoal("verify", s.file, "--data", filepath.Join(s.data, "data")).want(t, 0)
	shoal("verify", s.file, "--data", filepath.Join(s.data, "nosuch")).want(t, 3).complains(t, "nosuch")
	empty := t.TempDir()
	shoal("verify", s.file, "--data", empty).want(t, 8)
	if len(tree(t, empty)) > 0 {
		t.Error("verify made files")
	}
	for name, spoil := range map[string]func(path string) error{
		"data/sub/a: missing":                                os.Remove,
		"data/sub/a: 90000 of 100000 bytes, ":                func(p string) error { return os.Truncate(p, 90_000) },
		"data/sub/a: 7 bytes too long":                       func(p string) error { return os.Truncate(p, 100_007) },
		"data/sub/a: 83616 of 100000 bytes verified":         func(p string) error { return flip(p, 50_000) },
		"data/ünï cödé/b ö: missing":                         func(string) error { return os.Remove(filepath.Join(s.data, "data/ünï cödé/b ö")) },
		"data/sub/a: 100000 of 100000 bytes, 0 of them veri": nil,
	} {
		if spoil == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(s.data, "data", "sub", "a")
			raw, other := readFile(t, path), readFile(t, filepath.Join(s.data, "data/ünï cödé/b ö"))
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			before := tree(t, s.data)
			o := shoal("verify", s.file, "--data", s.data).want(t, 8).complains(t, "data in "+s.data)
			if !strings.Contains(o.out, name) {
				t.Errorf("stdout does not say %q: %q", name, o.out)
			}
			evs := events(t, shoal("verify", s.file, "--data", s.data, "--json").want(t, 8).out)
			if sum := last(t, evs, "summary"); sum.num("exit_code") != 8 || sum.num("files_bad") == 0 || len(of(evs, "file")) != int(sum.num("files_bad")) {
				t.Errorf("summary: %v", sum)
			}
			after := tree(t, s.data)
			for name := range before {
				if after[name] != before[name] {
					t.Errorf("verify changed %s", name)
				}
			}
			writeFile(t, path, raw)
			writeFile(t, filepath.Join(s.data, "data/ünï cödé/b ö"), other)
		})
	}
}

// flip changes one byte of a file.
func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 0xff
	_, err = f.WriteAt(b, at)
	return err
}

func TestDemo(t *testing.T) {
	t.Parallel()
	o := shoal("demo", "--size", "3MiB").want(t, 0)
	for i, s := range []string{"leecher 1: verified 3.0 MiB", "leecher 2: verified 3.0 MiB", "leecher 3: verified 3.0 MiB", "summary: "} {
		if strings.Count(o.out, s) != 1 {
			t.Errorf("%d: no %q in\n%s", i, s, o.out)
		}
	}
	if !strings.Contains(o.err, "#3 100.0%") {
		t.Errorf("no progress on stderr: %q", o.err)
	}
}

// An interrupted demo leaves nothing behind.
func TestInterruptedDemo(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	c := command(t, "demo", "--size", "4GiB")
	c.Env = append(c.Env, "TMPDIR="+tmp)
	p := startCommand(t, c)
	waitFor(t, func() bool {
		found, _ := filepath.Glob(filepath.Join(tmp, "*", "seed", "*"))
		return len(found) > 0
	})
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.end(t).want(t, 130).complains(t, "SIGINT")
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
