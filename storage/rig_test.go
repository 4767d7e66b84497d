package storage_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

const (
	payloadDir = "/data/downloads"
	stateDir   = "/state"
)

// rig is a storage in a seeded world on files in memory. The test plays all
// torrents and peers: it sends, lets time pass, and looks at the answers.
type rig struct {
	t     *testing.T
	seed  uint64
	fs    *memfs.FS
	world *sim.World
	slab  *block.Slab
	up    *block.Slab
	disk  *Disk
	store actor.Child[Message]
	shape func(*Config)

	manual bool   // jobs wait for the test
	jobs   []*Job // that wait
	delay  func() clock.Duration
	carry  func(*Job) // instead of running on files

	answers []Answer // not looked at yet
	ended   bool
}

func newRig(t *testing.T, seed uint64) *rig {
	r := &rig{t: t, seed: seed, fs: memfs.New()}
	r.fs.Mount("/state", 0)
	r.fs.Mount("/data", 0)
	rng := rand.New(rand.NewPCG(seed, 99))
	r.delay = func() clock.Duration { return time.Duration(rng.IntN(2000)) * time.Microsecond }
	return r
}

// start begins a session on the files as they are.
func (r *rig) start() *rig {
	r.t.Helper()
	r.world = sim.NewWorld(sim.Config{Seed: r.seed, Order: sim.Shuffle})
	if r.slab == nil {
		r.slab = block.NewSlab(4 << 20)
	}
	r.disk = NewDisk(r.fs, 0)
	cfg := Config{Workers: r, Slab: r.slab, Uploads: block.NewSlab(1 << 20), StateDir: stateDir}
	if r.shape != nil {
		r.shape(&cfg)
	}
	r.up = cfg.Uploads
	r.ended, r.answers, r.jobs = false, nil, nil
	r.store = actor.Root(r.world, actor.Spec{Name: "storage", Limit: 1 << 20}, New(cfg), func(e actor.Exit) {
		r.ended = true
		if e.Err != nil {
			r.t.Errorf("storage ended with %v", e.Err)
		}
	})
	return r
}

// Do implements Workers.
func (r *rig) Do(j *Job) {
	if r.manual {
		r.jobs = append(r.jobs, j)
		return
	}
	r.world.After(r.delay(), func() { r.finish(j) })
}

func (r *rig) finish(j *Job) {
	if r.carry != nil {
		r.carry(j)
	} else {
		j.Run(r.disk)
	}
	if !r.fs.Off() { // else nobody is there to hear it
		j.Done()
	}
}

// step runs the oldest job that waits, of a kind if one is given.
func (r *rig) step(kind string) bool {
	for i, j := range r.jobs {
		if kind == "" || j.Kind() == kind {
			r.jobs = append(r.jobs[:i], r.jobs[i+1:]...)
			r.finish(j)
			r.settle()
			return true
		}
	}
	return false
}

// settle lets everything happen that needs no time; run lets d pass.
func (r *rig) settle() { r.run(0) }

func (r *rig) run(d clock.Duration) {
	r.t.Helper()
	r.world.Run(r.world.Now().Add(d))
	if err := r.world.Err(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) send(m Message) { r.store.Ref.Tell(m) }

// stop ends the session in order.
func (r *rig) stop() {
	r.t.Helper()
	r.store.Stop(nil)
	r.run(time.Minute)
	if !r.ended {
		r.t.Fatal("storage did not end")
	}
	_ = r.disk.Close()
	r.noLeaks()
}

// kill ends the session as kill -9 does; cut as a loss of power does.
func (r *rig) kill()              { r.fs.Kill(); r.abandonSlots() }
func (r *rig) cut(rng *rand.Rand) { r.fs.PowerCut(rng); r.abandonSlots() }
func (r *rig) abandonSlots()      { r.slab = block.NewSlab(int64(r.slab.Budget()) * block.Size) }
func (r *rig) noLeaks() {
	r.t.Helper()
	if n := r.slab.Used() + r.up.Used(); n != 0 {
		r.t.Errorf("%d slots are still in use", n)
	}
}

// quiet lets all happen that is to happen and asks for the invariants.
func (r *rig) quiet() {
	r.t.Helper()
	r.run(time.Hour)
	if err := r.world.Check(); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) reply() actor.Ref[Answer] {
	return actor.FuncRef(func(a Answer) { r.answers = append(r.answers, a) })
}

// want lets time pass until an answer of type A comes; others stay.
func want[A Answer](r *rig, why string) A {
	r.t.Helper()
	for range 10_000 {
		for i, a := range r.answers {
			if a, ok := a.(A); ok {
				r.answers = append(r.answers[:i], r.answers[i+1:]...)
				return a
			}
		}
		r.run(10 * time.Millisecond)
	}
	var a A
	r.t.Fatalf("%s: no %T came; there were %T", why, a, r.answers)
	return a
}

// none looks for an answer that must not have come.
func none[A Answer](r *rig, why string) {
	r.t.Helper()
	for _, a := range r.answers {
		if a, ok := a.(A); ok {
			r.t.Errorf("%s: %+v", why, a)
		}
	}
}

// drain takes all answers of type A that have come.
func drain[A Answer](r *rig) (out []A) {
	rest := r.answers[:0]
	for _, a := range r.answers {
		if wanted, ok := a.(A); ok {
			out = append(out, wanted)
		} else {
			rest = append(rest, a)
		}
	}
	r.answers = rest
	return out
}

func (r *rig) openAs(id ID, tt *TestTorrent, dir string, opt Options) Opened {
	r.t.Helper()
	r.send(Open{ID: id, Info: tt.Torrent, Dir: dir, Options: opt, Reply: r.reply()})
	return want[Opened](r, "open")
}

// open opens a torrent that must open.
func (r *rig) open(tt *TestTorrent, opt Options) Opened {
	r.t.Helper()
	o := r.openAs(1, tt, payloadDir, opt)
	if o.Err != nil {
		r.t.Fatalf("open: %v", o.Err)
	}
	return o
}

func (r *rig) close(m Close) Closed {
	r.t.Helper()
	m.ID = 1
	r.send(m)
	return want[Closed](r, "close")
}

// blocks sends blocks of a piece: all, or those given.
func (r *rig) blocks(tt *TestTorrent, p metainfo.PieceIndex, which ...metainfo.BlockIndex) {
	b := NewBlocks(1)
	if which == nil {
		b.Entries = tt.Entries(r.slab, p)
	}
	for _, i := range which {
		b.Entries = append(b.Entries, Entry{Piece: p, Block: i, Data: tt.Block(r.slab, p, i)})
	}
	r.send(b)
}

// fetch sends pieces and wants all of them written.
func (r *rig) fetch(tt *TestTorrent, pieces ...metainfo.PieceIndex) {
	r.t.Helper()
	for _, p := range pieces {
		r.blocks(tt, p)
	}
	for range pieces {
		if d := want[PieceDone](r, "written"); !d.OK {
			r.t.Fatalf("piece %d: %+v", d.Piece, d)
		}
	}
}

func all(tt *TestTorrent) (out []metainfo.PieceIndex) {
	for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
		out = append(out, p)
	}
	return out
}

// read reads like a peer.
func (r *rig) read(p metainfo.PieceIndex, begin, n int64) ([]byte, error) {
	r.t.Helper()
	var got *Read
	r.send(&Read{ID: 1, Piece: p, Begin: begin, Length: n, Reply: actor.FuncRef(func(x *Read) { got = x })})
	for range 1000 {
		if r.run(10 * time.Millisecond); got != nil {
			break
		}
	}
	if got == nil {
		r.t.Fatal("a read was not answered")
	}
	var b []byte
	for _, blk := range got.Blocks {
		b = append(b, blk.Bytes()...)
	}
	got.Drop()
	return b, got.Err
}

// wantRead reads a whole piece and compares.
func (r *rig) wantRead(tt *TestTorrent, p metainfo.PieceIndex) {
	r.t.Helper()
	size := tt.Lengths.PieceSize(p)
	for off := int64(0); off < size; off += 256 << 10 {
		n := min(size-off, 256<<10)
		b, err := r.read(p, off, n)
		if err != nil || !bytes.Equal(b, tt.Piece(p)[off:off+n]) {
			r.t.Errorf("piece %d at %d: %d bytes, %v", p, off, len(b), err)
		}
	}
}

// wantFile compares a file with the payload.
func (r *rig) wantFile(tt *TestTorrent, i int, p string) {
	r.t.Helper()
	got, err := r.fs.ReadFile(p)
	if err != nil || !bytes.Equal(got, tt.FileData(i)) {
		r.t.Errorf("file %d at %s: %d bytes, %v; want %d bytes", i, p, len(got), err, tt.Files[i].Length)
	}
}

// pathOf is where a file of the payload has to be.
func pathOf(tt *TestTorrent, i int) string { return path.Join(payloadDir, tt.Files[i].Path.String()) }

// wantFiles compares all files with the payload.
func (r *rig) wantFiles(tt *TestTorrent) {
	r.t.Helper()
	for i := range tt.Files {
		if f := &tt.Files[i]; !f.Pad() && !f.Symlink() {
			r.wantFile(tt, i, pathOf(tt, i))
		}
	}
}

// wantPieces compares a set with the pieces given.
func wantPieces(t *testing.T, what string, s *bits.Set, pieces ...int32) {
	t.Helper()
	got := []int32{}
	if s != nil {
		for p := range s.All() {
			got = append(got, p)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(append([]int32{}, pieces...)) {
		t.Errorf("%s: pieces %v, want %v", what, got, pieces)
	}
}
