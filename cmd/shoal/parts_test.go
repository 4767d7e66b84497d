package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"": 0, "0": 0, "1": 1, "500k": 500_000, "500K": 500_000, "10M": 10_000_000, "10MiB": 10 << 20, "10Mi": 10 << 20, "1.5GiB": 3 << 29,
		"1T": 1e12, "64KiB/s": 64 << 10, "10MB/s": 10_000_000, "12 MiB": 12 << 20, "7b": 7,
	} {
		if got, err := parseSize("x", s); err != nil || got != want {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"-1", "x", "1x", "nan", "inf", "1e3", "0x10", "1_000", "..", "10Mibi", "99999999999T", "k", "1.2.3M", "+5"} {
		if got, err := parseSize("x", s); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%q is taken for %d", s, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", math.MaxInt64: "8.0 EiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestSpans(t *testing.T) {
	for s, want := range map[string]time.Duration{"90s": 90 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "30": 30 * time.Second, "0": 0, "200ms": 200 * time.Millisecond} {
		var d span
		if err := d.Set(s); err != nil || d.Duration != want {
			t.Errorf("%q: %v, %v", s, d.Duration, err)
		}
	}
	for _, s := range []string{"", "x", "5x", "-1s", "-5", "1.5", "99999999999"} {
		var d span
		if err := d.Set(s); err == nil {
			t.Errorf("%q is taken for %v", s, d.Duration)
		}
	}
}

// Every code of the contract, by an error that has it.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	_, missing := os.Open(filepath.Join(dir, "nosuch"))
	_, bad := metainfo.Load([]byte("x"))
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("?"), 1},
		{fail(exitUsage, "x"), 2},
		{engine.ErrV2, 2},
		{engine.ErrSSL, 2},
		{missing, 3},
		{storage.ErrMissing, 3},
		{bad, 4},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, 5},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EROFS}, 5},
		{&storage.Error{Op: "write", Path: "x", Err: syscall.EIO}, 5},
		{syscall.EIO, 5},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 6},
		{&storage.Error{Op: "write", Path: "x", Err: syscall.ENOSPC}, 6},
		{syscall.EDQUOT, 6},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 7},
		{context.DeadlineExceeded, 7},
		{fail(exitBadData, "x"), 8},
		{fail(exitUnfinished, "x"), 9},
		{engine.ErrExists, 12},
		{fs.ErrExist, 12},
		{&storage.Error{Op: "lock", Path: "x", Err: storage.ErrLocked}, 12},
		{&exitError{130, &signalError{os.Interrupt}}, 130},
		{&exitError{143, &signalError{syscall.SIGTERM}}, 143},
	} {
		for _, err := range []error{c.err, wrap(c.err)} {
			if got := exitCode(err); got != c.want {
				t.Errorf("%v: %d, want %d", err, got, c.want)
			}
		}
	}
	if signalCode(syscall.SIGTERM) != 143 || signalCode(os.Interrupt) != 130 {
		t.Error("codes of signals")
	}
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("wrapped: %w", err)
}

// A panic is told in one line, as everything else.
func TestPanicIsOneLine(t *testing.T) {
	o := shoalWith("", "info", "-")
	o.want(t, 4)
	var out, errs safeBuffer
	code := run([]string{"info", "-"}, streams{panics{}, &out, &errs})
	if got := errs.String(); code != 1 || strings.Count(got, "\n") != 1 || !strings.Contains(got, "internal error") {
		t.Errorf("%d: %q", code, got)
	}
}

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("a bug\ngoroutine 1") }

func TestMoves(t *testing.T) {
	now := time.Unix(1000, 0)
	at := func(sec int) time.Time { return now.Add(time.Duration(sec) * time.Second) }
	m := moves{at: now}
	s := engine.TorrentStats{State: engine.Downloading}
	m.note(&s, false, at(1))
	if m.at != now || m.peer {
		t.Error("nothing has moved")
	}
	s.Peers = 1
	m.note(&s, false, at(2))
	if m.at != now || !m.peer {
		t.Error("a peer is no progress, but a peer")
	}
	s.Down = 16384
	m.note(&s, false, at(3))
	if m.at != at(3) {
		t.Error("a block is progress")
	}
	s.Up = 1
	m.note(&s, false, at(4))
	if m.at != at(3) {
		t.Error("uploading is no progress of a download")
	}
	m.note(&s, true, at(5))
	if m.at != at(5) {
		t.Error("uploading is what a seed is for")
	}
	s.State = engine.Checking
	m.note(&s, true, at(6))
	if m.at != at(6) {
		t.Error("checking takes its time")
	}
}

// A diagnosis names every source, and what came of it, in one line and in an event.
func TestDiagnosis(t *testing.T) {
	d := diagnosis{known: 1, failures: []string{"a", "1.2.3.4:5: refused"}, trackers: []engine.TrackerStats{
		{URL: "http://t.example/secretpasskey/announce", State: "failing", Err: "host not found"},
		{URL: "udp://u.example:1", State: "working", Seeds: 1, Leechers: -1},
		{URL: "udp://v.example:1", State: "asking"},
	}, sources: []engine.SourceStats{
		{Name: "tracker", State: "1 of 3 works"}, {Name: "dht", State: "no answer from 4 bootstrap nodes"},
		{Name: "pex", State: "no peer yet"}, {Name: "lsd", State: "off: private"}, {Name: "user", Peers: 1}, {Name: "incoming"},
	}}
	want := "no peer, 1 address known; tracker http://t.example/…/announce: host not found; tracker udp://u.example:1: knows 1 seed, 0 leechers; " +
		"tracker udp://v.example:1: no answer yet; DHT: no answer from 4 bootstrap nodes; PEX: no peer yet; LSD: off: private; last tried 1.2.3.4:5: refused"
	if got := d.text(); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
	raw, err := json.Marshal(map[string]any{"trackers": d.trackersJSON(), "sources": d.sourcesJSON(), "failures": nonNilTexts(nil)})
	for _, has := range []string{`"url":"http://t.example/…/announce"`, `"error":"host not found"`, `{"addresses":1,"name":"user","on":false,"state":""}`, `"failures":[]`} {
		if err != nil || !strings.Contains(string(raw), has) {
			t.Errorf("no %s in %s, %v", has, raw, err)
		}
	}
	d = diagnosis{peers: 2, nameless: true}
	if got := d.text(); got != "2 peers connected, none has sent all of the metadata; no tracker to ask; give a tracker with --tracker, or a peer with --peer" {
		t.Error(got)
	}
}

func TestVoices(t *testing.T) {
	var v voices
	for i, c := range []struct {
		state, err, warning string
		said                string
		news                bool
	}{
		{"asking", "", "", "", false},
		{"failing", "no", "", "no", true},
		{"asking", "no", "", "", false},
		{"failing", "no", "", "no", false},
		{"working", "", "careful", "careful", true},
		{"working", "", "careful", "careful", false},
		{"working", "", "", "", true},
		{"failing", "no", "", "no", true},
	} {
		said, news := v.note("u", &engine.TrackerStats{State: c.state, Err: c.err, Warning: c.warning})
		if said != c.said || news != c.news {
			t.Errorf("%d: %q %v", i, said, news)
		}
	}
	if got := v.text(); got != "trackers 0/1 ok" {
		t.Error(got)
	}
}

func TestInterfaceAddresses(t *testing.T) {
	addr := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return &net.IPNet{IP: ip, Mask: n.Mask}
	}
	for _, c := range []struct {
		addrs []net.Addr
		want  string
	}{
		{nil, "invalid IP"},
		{[]net.Addr{addr("fe80::1/64")}, "invalid IP"},
		{[]net.Addr{addr("fe80::1/64"), addr("2001:db8::1/64")}, "2001:db8::1"},
		{[]net.Addr{addr("2001:db8::1/64"), addr("192.0.2.7/24"), addr("192.0.2.8/24")}, "192.0.2.7"},
	} {
		if got := bestAddr(c.addrs).String(); got != c.want {
			t.Errorf("%v: %s", c.addrs, got)
		}
	}
}

// Records are found again by another name of the same folder, and before it exists.
func TestStateFolderFollowsLinks(t *testing.T) {
	dir := realPath(t.TempDir())
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	folder := func(out string) string {
		o := &transferFlags{output: out, stateDir: dir}
		f, err := o.stateFolder()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := folder(filepath.Join(dir, "link", "not", "yet")), folder(filepath.Join(dir, "real", "not", "yet"))
	if a != b || a == folder(filepath.Join(dir, "real")) {
		t.Errorf("%s, %s", a, b)
	}
	if err := os.MkdirAll(filepath.Join(dir, "real", "not", "yet"), 0o777); err != nil {
		t.Fatal(err)
	}
	if c := folder(filepath.Join(dir, "link", "not", "yet")); c != a {
		t.Errorf("made, it has records elsewhere: %s, %s", a, c)
	}
}
