package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker/server"
)

// asShoal makes the test binary the program, for what needs a process of its own.
const asShoal = "SHOAL_TEST_AS_PROGRAM"

// pollEvery says how often the program under test asks for updates.
const pollEvery = "SHOAL_TEST_POLL"

func TestMain(m *testing.M) {
	progressEvery = 20 * time.Millisecond
	if d, err := time.ParseDuration(os.Getenv(pollEvery)); err == nil {
		followEvery = d
	}
	if os.Getenv(asShoal) != "" {
		os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
	}
	state, err := os.MkdirTemp("", "shoal-test-state-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_STATE_HOME", state)
	stopAnnounce = 300 * time.Millisecond
	code := m.Run()
	os.RemoveAll(state)
	os.Exit(code)
}

// outcome is what a run of the program came to.
type outcome struct {
	code     int
	out, err string
}

// shoal runs the program in this process.
func shoal(args ...string) outcome { return shoalWith("", args...) }

// shoalWith runs it with a text on standard input.
func shoalWith(in string, args ...string) outcome {
	var out, err safeBuffer
	code := run(hermetic(args), streams{strings.NewReader(in), &out, &err})
	return outcome{code, out.String(), err.String()}
}

// hermetic keeps what a test does not ask for on this machine: without a node to begin
// with, there is no DHT, and nobody is looked for on the local network.
func hermetic(args []string) []string {
	if len(args) == 0 || !slices.Contains([]string{"download", "seed", "piece"}, args[0]) {
		return args
	}
	quiet := []string{"--no-lsd"}
	if !slices.Contains(args, "--dht-bootstrap") {
		quiet = append(quiet, "--no-dht")
	}
	return slices.Insert(slices.Clone(args), 1, quiet...)
}

// safeBuffer is a buffer for several writers.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// want checks the exit code.
func (o outcome) want(t *testing.T, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit %d, want %d\nout: %s\nerr: %s", o.code, code, clip(o.out), clip(o.err))
	}
	return o
}

func clip(s string) string {
	if len(s) > 3000 {
		return s[:1500] + "\n...\n" + s[len(s)-1500:]
	}
	return s
}

// errors are the lines of stderr that are the program's errors.
func (o outcome) errors() []string {
	var out []string
	for l := range strings.Lines(o.err) {
		if strings.HasPrefix(l, "shoal: ") {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

// complains checks that there is one error, and that it says something.
func (o outcome) complains(t *testing.T, about ...string) outcome {
	t.Helper()
	errs := o.errors()
	if len(errs) != 1 {
		t.Fatalf("%d errors on stderr, want one: %q", len(errs), o.err)
	}
	for _, a := range about {
		if !strings.Contains(errs[0], a) {
			t.Errorf("error does not say %q: %s", a, errs[0])
		}
	}
	return o
}

// event is one object of --json.
type event map[string]any

func (e event) name() string       { return e["event"].(string) }
func (e event) num(k string) int64 { n, _ := e[k].(float64); return int64(n) }
func (e event) text(k string) string {
	s, _ := e[k].(string)
	return s
}

// events reads NDJSON and checks what all events have.
func events(t *testing.T, out string) (list []event) {
	t.Helper()
	for l := range strings.Lines(out) {
		var e event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("not JSON: %q: %v", l, err)
		}
		if e.num("v") != 1 || e.name() == "" || e["t"].(float64) < 1e9 {
			t.Fatalf("an event without v, event or t: %s", l)
		}
		if _, ok := e["infohash"]; !ok {
			t.Fatalf("an event without infohash: %s", l)
		}
		list = append(list, e)
	}
	return list
}

// of keeps the events of some names.
func of(list []event, names ...string) []event {
	return slices.DeleteFunc(slices.Clone(list), func(e event) bool { return !slices.Contains(names, e.name()) })
}

// last is the last event of a name.
func last(t *testing.T, list []event, name string) event {
	t.Helper()
	found := of(list, name)
	if len(found) == 0 {
		t.Fatalf("no event %q among %d", name, len(list))
	}
	return found[len(found)-1]
}

// payload is files below a folder, by slashed path.
type payload map[string]int

// mixed is a torrent with what makes trouble: folders, an empty file, names with
// spaces and umlauts, files that end inside pieces.
var mixed = payload{"big.bin": 3<<20 + 123, "sub/a": 100_000, "sub/empty": 0, "ünï cödé/b ö": 5, "sub/deep/c.txt": 70_001}

// swarm is a torrent with a seed.
type swarm struct {
	data    string // the folder that holds the torrent's
	file    string // the torrent file
	meta    *metainfo.Torrent
	tracker string // URL
	peer    string // address of the seed
	eng     *engine.Engine
}

// options of a swarm.
type options struct {
	name     string // of the torrent's folder
	files    payload
	pieceLen int64
	tracker  bool // run one
	idle     bool // without a seed
	limits   engine.Limits
}

func newSwarm(t testing.TB, o options) *swarm {
	t.Helper()
	s := &swarm{data: t.TempDir()}
	if o.name == "" {
		o.name = "data"
	}
	if o.files == nil {
		o.files = mixed
	}
	writePayload(t, filepath.Join(s.data, o.name), o.files)
	var outer metainfo.Outer
	if o.tracker {
		s.tracker = "http://" + startTracker(t) + "/announce"
		outer.Trackers = [][]string{{s.tracker}}
	}
	res, err := create.FromPath(context.Background(), filepath.Join(s.data, o.name), create.Options{PieceLength: o.pieceLen, Outer: outer}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.meta = res.Torrent
	s.file = filepath.Join(t.TempDir(), o.name+".torrent")
	writeFile(t, s.file, s.meta.Encode())
	if !o.idle {
		s.seed(t, o.limits)
	}
	return s
}

// seed starts an engine that has the data.
func (s *swarm) seed(t testing.TB, l engine.Limits) {
	t.Helper()
	s.eng, s.peer = seedFrom(t, s.meta, s.data, l)
}

// seedFrom starts an engine that has a torrent's data, and waits until it serves it.
func seedFrom(t testing.TB, meta *metainfo.Torrent, dir string, l engine.Limits) (*engine.Engine, string) {
	t.Helper()
	eng, err := engine.New(engine.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Memory: 16 << 20, Limits: l,
		NoDHT: true, NoLSD: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eng.Close(0) })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	evs, end := eng.Events(64)
	defer end()
	if _, err := eng.Add(ctx, engine.AddOptions{Torrent: meta, Dir: dir, SeedOnly: true, Storage: storage.Options{ReadOnly: true}}); err != nil {
		t.Fatal(err)
	}
	if err := awaitEvent(ctx, evs, engine.Completed); err != nil {
		t.Fatal(err)
	}
	addrs, err := eng.Addrs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return eng, addrs[0].String()
}

// startTracker runs a tracker and returns its address.
func startTracker(t testing.TB) string {
	t.Helper()
	s, err := server.Listen(context.Background(), "127.0.0.1:0", server.Config{Interval: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr().String()
}

func writePayload(t testing.TB, dir string, files payload) {
	t.Helper()
	src := rand.NewChaCha8([32]byte{7})
	for _, name := range slices.Sorted(mapKeys(files)) {
		raw := make([]byte, files[name])
		_, _ = src.Read(raw)
		writeFile(t, filepath.Join(dir, filepath.FromSlash(name)), raw)
	}
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func writeFile(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tree lists the files below a folder, with their contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// same checks that a folder holds what another does, and nothing else.
func same(t testing.TB, got, want string) {
	t.Helper()
	a, b := tree(t, got), tree(t, want)
	if names(a) != names(b) {
		t.Fatalf("%s holds %s, want %s", got, names(a), names(b))
	}
	for name := range b {
		if a[name] != b[name] {
			t.Errorf("%s differs", name)
		}
	}
}

func names(m map[string]string) string { return fmt.Sprint(slices.Sorted(mapKeys(m))) }

// paths are the lines of stdout.
func (o outcome) paths() []string {
	list := strings.Split(strings.TrimSuffix(o.out, "\n"), "\n")
	slices.Sort(list)
	return list
}

// discard is for what nobody reads.
var discard = streams{strings.NewReader(""), io.Discard, io.Discard}
