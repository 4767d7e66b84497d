package storage_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

// halfWay is a rig whose torrent has pieces 0..6 of twoFiles, killed a while later.
func halfWay(t *testing.T, seed uint64, after time.Duration) (*rig, *TestTorrent) {
	r := newRig(t, seed).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1, 2, 3, 4, 5, 6)
	r.run(after)
	r.kill()
	return r, tt
}

// whatever happens to the files after a kill, what is believed of them is right.
func TestAfterAKillFilesAreTrustedOnlyIfTheyAreOurs(t *testing.T) {
	whole := []int32{0, 1, 2, 3, 4, 5, 6}
	first, second := []int32{0, 1, 2, 3, 4}, []int32{5, 6}
	for _, c := range []struct {
		name          string
		do            func(r *rig, a string, data []byte)
		have, unknown []int32
	}{
		{"nothing", func(*rig, string, []byte) {}, whole, nil},
		{"another file of the same time", func(r *rig, a string, data []byte) {
			at := r.fs.Time(a)
			_ = r.fs.WriteFile(a, make([]byte, len(data)))
			r.fs.SetTime(a, at)
		}, second, first},
		{"another file that is older", func(r *rig, a string, data []byte) {
			_ = r.fs.WriteFile(a, make([]byte, len(data)))
			r.fs.SetTime(a, 1)
		}, second, first},
		{"the time set back", func(r *rig, a string, _ []byte) { r.fs.SetTime(a, r.fs.Time(a)-1) }, second, first},
		{"overwritten at once", func(r *rig, a string, _ []byte) { r.fs.Scribble(a, make([]byte, 70_000), 0) }, second, first},
		{"made longer", func(r *rig, a string, data []byte) { r.fs.Scribble(a, []byte{1}, int64(len(data))) }, second, first},
		{"a copy in its place", func(r *rig, a string, data []byte) {
			r.fs.Rename(a, a+".old")
			_ = r.fs.WriteFile(a, data)
		}, second, first},
		{"away and back again", func(r *rig, a string, data []byte) {
			r.fs.Rename(a, a+".old")
			r.fs.Rename(a+".old", a)
		}, whole, nil},
		{"the folder away and back again", func(r *rig, a string, data []byte) {
			r.fs.Rename(payloadDir, "/data/aside")
			r.fs.Rename("/data/aside", payloadDir)
		}, whole, nil},
	} {
		r, tt := halfWay(t, 20, 10*time.Second)
		a, _ := r.fs.ReadFile(pathOf(tt, 0))
		c.do(r, pathOf(tt, 0), a)
		for range 2 { // the second start knows what the first one has found
			r.start()
			o := r.open(tt, Options{})
			wantPieces(t, c.name+": have", o.Have, c.have...)
			wantPieces(t, c.name+": to be hashed", o.Unknown, c.unknown...)
			r.kill()
		}
		r.start()
		o := r.open(tt, Options{})
		r.check(o)
		r.run(10 * time.Second) // what is bad is recorded with the next sync
		r.kill()
		r.start()
		if o = r.open(tt, Options{}); o.Unknown != nil {
			t.Errorf("%s: hashed, and then not trusted: %d pieces", c.name, o.Unknown.Count())
		}
		for p := range o.Have.All() {
			r.wantRead(tt, PieceAt(p))
		}
	}
}

// A kill at any moment of a write leaves a file that is later than recorded: still ours.
func TestAKillWhileWritingCostsNothing(t *testing.T) {
	for calls := int64(1); ; calls++ {
		r := newRig(t, 21).start()
		tt := twoFiles(t)
		r.open(tt, Options{Allocation: Allocation(calls % 2)})
		r.fetch(tt, 0, 1, 5)
		r.run(10 * time.Second)
		r.fs.SwitchOff(calls)
		r.blocks(tt, 4)
		r.blocks(tt, 6)
		r.run(100 * time.Millisecond)
		over := !r.fs.Off()
		told := []int32{0, 1, 5}
		for _, d := range drain[PieceDone](r) {
			told = append(told, int32(d.Piece))
		}
		r.kill()
		r.start()
		o := r.open(tt, Options{})
		if o.Unknown != nil {
			t.Errorf("switched off at call %d: %d pieces are to be hashed", calls, o.Unknown.Count())
		}
		for _, p := range told {
			if !o.Have.Has(p) {
				t.Errorf("switched off at call %d: piece %d was written and is not known", calls, p)
			}
		}
		if over {
			return
		}
	}
}

// What others did to a file while we were there is not recorded as ours at the end.
func TestChangesByOthersAreNotTakenOverByClose(t *testing.T) {
	r := newRig(t, 22).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	r.run(10 * time.Second)
	r.fs.Scribble(pathOf(tt, 0), []byte("not ours"), 40_000)
	r.close(Close{})
	r.stop()
	r.start()
	o := r.open(tt, Options{})
	wantPieces(t, "have", o.Have, 5, 6, 7, 8, 9)
	wantPieces(t, "to be hashed", o.Unknown, 0, 1, 2, 3, 4)
	wantPieces(t, "good", r.check(o).Have, 0, 2, 3, 4, 5, 6, 7, 8, 9)
}

func TestAReadOnlyTorrentIsHashedOnce(t *testing.T) {
	for _, killed := range []bool{false, true} {
		r := newRig(t, 23)
		tt := twoFiles(t)
		_ = r.fs.WriteFile(pathOf(tt, 0), tt.FileData(0))
		_ = r.fs.WriteFile(pathOf(tt, 1), tt.FileData(1))
		r.start()
		r.check(r.open(tt, Options{ReadOnly: true}))
		for n := range 3 {
			if killed {
				r.kill()
			} else {
				r.close(Close{})
				r.stop()
			}
			if n == 2 {
				at := r.fs.Time(pathOf(tt, 1))
				_ = r.fs.WriteFile(pathOf(tt, 1), tt.FileData(1))
				r.fs.SetTime(pathOf(tt, 1), at)
			}
			r.start()
			o := r.open(tt, Options{ReadOnly: true})
			if n < 2 && (o.Unknown != nil || !o.Have.Full()) {
				t.Errorf("killed %v: it is hashed again", killed)
			}
			if n == 2 {
				wantPieces(t, "of the file that was replaced", o.Unknown, 4, 5, 6, 7, 8, 9)
			}
		}
	}
}

// ---- while it is open

// vanishings are what may happen to a file or its folder while we download.
var vanishings = []struct {
	name    string
	do      func(r *rig, file string)
	why     error
	heals   bool // by fetching again
	anyTime bool // it is noticed without a look
}{
	{"the folder is swapped", func(r *rig, _ string) {
		r.fs.Rename(payloadDir, "/data/old")
		_ = r.fs.WriteFile(payloadDir+"/other", nil)
	}, ErrMissing, false, false},
	{"the folder is gone", func(r *rig, _ string) { r.fs.Remove(payloadDir) }, ErrMissing, false, false},
	{"the file is gone", func(r *rig, f string) { r.fs.Remove(f) }, ErrMissing, false, false},
	{"the file is renamed", func(r *rig, f string) { r.fs.Rename(f, f+".old") }, ErrMissing, false, false},
	{"another file", func(r *rig, f string) { _ = r.fs.WriteFile(f, make([]byte, 5*32<<10+7000)) }, ErrReplaced, true, false},
	{"cut", func(r *rig, f string) { r.fs.Cut(f, 1000) }, ErrShort, true, false},
}

func TestNothingIsSaidToBeThereThatIsNot(t *testing.T) {
	for _, alloc := range []Allocation{Fallocate, Sparse} {
		for _, v := range vanishings {
			r := newRig(t, 24).start()
			tt := twoFiles(t)
			r.open(tt, Options{Allocation: alloc})
			r.fetch(tt, 0, 1, 2, 3, 4, 5, 6, 7, 8)
			v.do(r, pathOf(tt, 1))
			r.blocks(tt, 9)
			r.send(Look{ID: 1, Cookie: 7})
			if d := want[Done](r, v.name); !errors.Is(d.Err, v.why) {
				t.Errorf("%s: the look says %v", v.name, d.Err)
			}
			if tr := want[Trouble](r, v.name); !errors.Is(tr.Err, v.why) {
				t.Errorf("%s: trouble %v", v.name, tr.Err)
			}
			r.send(Sync{ID: 1, Cookie: 8})
			want[Done](r, "answered")
			for _, f := range drain[FileDone](r) {
				if f.File == 1 {
					t.Errorf("%s: it is said to be done", v.name)
				}
			}
			if v.heals {
				r.healed(tt, v.name)
			}
		}
	}
}

// healed fetches what is lost until all is there.
func (r *rig) healed(tt *TestTorrent, name string) {
	r.t.Helper()
	r.run(time.Minute)
	var lost []int32
	well := false
	for _, tr := range drain[Trouble](r) {
		if well = tr.Err == nil; tr.Lost != nil {
			lost = append(lost, slices.Collect(tr.Lost.All())...)
		}
	}
	if !well || len(lost) == 0 {
		r.t.Errorf("%s: well again %v, lost %v", name, well, lost)
	}
	drain[PieceDone](r)
	for _, p := range lost {
		r.fetch(tt, PieceAt(p))
	}
	r.send(Sync{ID: 1})
	if d := want[Done](r, name); d.Err != nil {
		r.t.Errorf("%s: at the end: %v", name, d.Err)
	}
	r.wantFiles(tt)
	if c := r.close(Close{}); c.Err != nil {
		r.t.Errorf("%s: close: %v", name, c.Err)
	}
	r.stop()
	r.start()
	if o := r.open(tt, Options{}); !o.Have.Full() {
		r.t.Errorf("%s: after a restart %d pieces", name, o.Have.Count())
	}
	r.close(Close{})
	r.stop()
}

// The folder comes back, and all goes on by itself.
func TestAFolderThatComesBack(t *testing.T) {
	r := newRig(t, 25).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1, 2, 3, 4, 5)
	r.fs.Rename(payloadDir, "/data/aside")
	r.send(Look{ID: 1})
	if d := want[Done](r, "away"); !errors.Is(d.Err, ErrMissing) {
		t.Errorf("away: %v", d.Err)
	}
	if tr := want[Trouble](r, "away"); !tr.Missing {
		t.Errorf("away: %+v", tr)
	}
	r.run(time.Minute)
	none[Trouble](r, "still away")
	r.fs.Rename("/data/aside", payloadDir)
	if tr := want[Trouble](r, "back"); tr.Err != nil || tr.Lost != nil {
		t.Errorf("back: %+v", tr)
	}
	r.fetch(tt, 6, 7, 8, 9)
	r.wantFiles(tt)
}

// ---- two of us

// other is a second session on the same files, with a state folder of its own.
func (r *rig) other() *rig {
	o := newRig(r.t, r.seed+1)
	o.fs = r.fs
	o.shape = func(cfg *Config) { cfg.StateDir = "/state/other" }
	return o.start()
}

func TestAFileHasOneWriter(t *testing.T) {
	r := newRig(t, 26).start()
	one := MakeTorrent(t, 32<<10, 1, TestFile{Path: "same", N: 100_000})
	two := MakeTorrent(t, 32<<10, 2, TestFile{Path: "same", N: 100_000})
	r.open(one, Options{})
	r.fetch(one, 0, 1)
	o := r.other()
	o.check(o.open(two, Options{}))
	o.blocks(two, 2)
	if tr := want[Trouble](o, "not ours"); !errors.Is(tr.Err, ErrLocked) {
		t.Errorf("trouble: %v", tr.Err)
	}
	r.fetch(one, 2, 3)
	r.wantFiles(one)

	// It may be read: seeded by another process, also while it is being written.
	reader := r.other2()
	if d := reader.check(reader.open(one, Options{ReadOnly: true})); !d.Have.Full() {
		t.Errorf("the reader finds %d pieces", d.Have.Count())
	}
	reader.wantRead(one, 1)

	// And when the writer has ended, the other one may go on.
	r.close(Close{})
	if tr := want[Trouble](o, "ours now"); tr.Err != nil {
		t.Errorf("trouble: %v", tr.Err)
	}
}

func (r *rig) other2() *rig {
	o := newRig(r.t, r.seed+2)
	o.fs = r.fs
	o.shape = func(cfg *Config) { cfg.StateDir = "/state/third" }
	return o.start()
}

// ---- closing

func TestAnErrorOfCloseIsToldByTheNextSync(t *testing.T) {
	r := newRig(t, 27)
	r.start()
	tt := MakeTorrent(t, 32<<10, 1, TestFile{Path: "t/a", N: 64 << 10}, TestFile{Path: "t/b", N: 64 << 10})
	r.disk = NewDisk(r.fs, 1) // the file written last stays open, the others are closed
	broken := true
	r.fs.Fault = func(c memfs.Call) error {
		if c.Op == "close" && broken && path.Base(c.Path) == "a" {
			broken = false
			return &fs.PathError{Op: "close", Path: c.Path, Err: errors.New("lost on the way to the server")}
		}
		return nil
	}
	r.open(tt, Options{})
	r.fetch(tt, 0, 1, 2, 3)
	if broken {
		t.Fatal("the test is wrong: nothing was closed")
	}
	r.send(Sync{ID: 1})
	if d := want[Done](r, "sync"); d.Err == nil {
		t.Error("the sync is said to have gone well")
	}
	want[Trouble](r, "told")
	if tr := want[Trouble](r, "written again"); tr.Err != nil || tr.Lost != nil {
		t.Errorf("what is good is written again: %+v", tr)
	}
	r.wantFiles(tt)
}

// What stands where a record should be is said, whatever it is.
func TestAFolderInThePlaceOfARecord(t *testing.T) {
	for _, name := range []string{".state", ".lock"} {
		tt := twoFiles(t)
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "state", tt.Hash.String()+name), 0o755); err != nil {
			t.Fatal(err)
		}
		l := newLiveWith(t, Config{StateDir: filepath.Join(dir, "state"), Shared: true}, 8<<20)
		o := l.open(tt, filepath.Join(dir, "data"), Options{})
		if o.Err == nil || !strings.Contains(o.Err.Error(), "state") || !strings.Contains(o.Err.Error(), tt.Hash.String()) {
			t.Errorf("%s: %v", name, o.Err)
		}
		l.close()
	}
}

// On real files: what a file is swapped with is not trusted, whatever its time is, and
// neither is one that has been given back the number of the one before.
func TestSwappedRealFilesAreHashed(t *testing.T) {
	dir := t.TempDir()
	data, state := filepath.Join(dir, "data"), filepath.Join(dir, "state")
	tt := twoFiles(t)
	l := newLive(t, state, 8<<20)
	l.open(tt, data, Options{})
	for p := range tt.Lengths.Pieces() {
		l.send(&Blocks{ID: 1, Entries: tt.Entries(l.slab, PieceAt(p))})
	}
	for range tt.Lengths.Pieces() {
		next[PieceDone](l)
	}
	l.close() // as a kill: nothing is said at the end
	file := filepath.Join(data, tt.Files[0].Path.String())
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	reopen := func() Opened {
		l := newLive(t, state, 8<<20)
		defer l.close()
		return l.open(tt, data, Options{})
	}
	if o := reopen(); o.Unknown != nil || !o.Have.Full() {
		t.Errorf("untouched: %+v", o)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, info.Size()), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	wantPieces(t, "of the file that was swapped", reopen().Unknown, 0, 1, 2, 3, 4)
}

// Two torrents with the same file, by two of its names.
func TestARealFileHasOneWriter(t *testing.T) {
	dir := t.TempDir()
	one := MakeTorrent(t, 32<<10, 1, TestFile{Path: "one", N: 64 << 10})
	two := MakeTorrent(t, 32<<10, 2, TestFile{Path: "two", N: 64 << 10})
	if err := os.WriteFile(filepath.Join(dir, "one"), make([]byte, 64<<10), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "two")); err != nil {
		t.Logf("no links here: %v", err)
		return
	}
	a, b := newLive(t, t.TempDir(), 8<<20), newLive(t, t.TempDir(), 8<<20)
	defer b.close()
	a.open(one, dir, Options{})
	b.open(two, dir, Options{})
	a.send(&Blocks{ID: 1, Entries: one.Entries(a.slab, 0)})
	next[PieceDone](a)
	b.send(&Blocks{ID: 1, Entries: two.Entries(b.slab, 0)})
	if tr := next[Trouble](b); runtime.GOOS == "linux" && !errors.Is(tr.Err, ErrLocked) {
		t.Errorf("%v", tr.Err)
	}
	a.close()
}
