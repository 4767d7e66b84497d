package storage_test

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

const otherDir = "/other/place"

func movable(t *testing.T) *TestTorrent {
	return MakeTorrent(t, 64<<10, 1, TestFile{Path: "a/x", N: 1 << 20}, TestFile{Path: "a/empty"}, TestFile{Path: "b/y", N: 777_777})
}

// wantMoved looks for all files in the other folder, and for none in the old one.
func (r *rig) wantMoved(tt *TestTorrent, from, to string) {
	r.t.Helper()
	for i := range tt.Files {
		r.wantFile(tt, i, path.Join(to, tt.Files[i].Path.String()))
	}
	if left := r.fs.List(from); len(left) > 0 {
		r.t.Errorf("left in the old folder: %v", left)
	}
}

func TestMoveOnOneDeviceRenames(t *testing.T) {
	r := newRig(t, 1).start()
	tt := movable(t)
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	writes := 0
	r.fs.Fault = func(c memfs.Call) error {
		if c.Op == "write" && !strings.HasPrefix(c.Path, stateDir) {
			writes++
		}
		return nil
	}
	r.send(Move{ID: 1, Dir: "/data/new/deep", Cookie: 5})
	if d := want[Done](r, "moved"); d.Err != nil || d.Cookie != 5 {
		t.Fatalf("move: %+v", d)
	}
	if writes > 0 {
		t.Errorf("a move on one device wrote %d times", writes)
	}
	r.wantMoved(tt, payloadDir, "/data/new/deep")
	r.wantRead(tt, 3)
	r.quiet()
	r.close(Close{})
	r.stop()
	r.start()
	if o := r.openAs(1, tt, "/data/new/deep", Options{}); o.Err != nil || !o.Have.Full() || o.Unknown != nil {
		t.Errorf("all is known in the new folder: %+v", o)
	}
}

func TestMoveAcrossDevicesWhilePiecesComeIn(t *testing.T) {
	r := newRig(t, 2)
	r.fs.Mount("/other", 0)
	r.start()
	tt := movable(t)
	r.open(tt, Options{})
	pieces := all(tt)
	r.fetch(tt, pieces[:10]...)
	r.send(Move{ID: 1, Dir: otherDir, Cookie: 5})
	for _, p := range pieces[10:] {
		r.blocks(tt, p)
		r.run(300 * time.Microsecond)
		r.wantRead(tt, p%10)
	}
	for range pieces[10:] {
		if d := want[PieceDone](r, "written while it is moved"); !d.OK {
			t.Errorf("%+v", d)
		}
	}
	if d := want[Done](r, "moved"); d.Err != nil {
		t.Fatalf("move: %+v", d)
	}
	r.wantMoved(tt, payloadDir, otherDir)
	r.send(Verify{ID: 1})
	if d := want[CheckDone](r, "all is there"); !d.Have.Full() {
		t.Errorf("%d pieces are good after the move", d.Have.Count())
	}
	r.quiet()
	r.close(Close{})
	r.stop()
}

func TestMoveReplacesNothing(t *testing.T) {
	r := newRig(t, 3)
	r.fs.Mount("/other", 0)
	r.start()
	tt := movable(t)
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	for _, dir := range []string{"/data/else", otherDir} {
		theirs := path.Join(dir, "t/b/y")
		_ = r.fs.WriteFile(theirs, []byte("precious"))
		r.send(Move{ID: 1, Dir: dir})
		if d := want[Done](r, "refused"); !errors.Is(d.Err, fs.ErrExist) {
			t.Errorf("a file is in the way at %s: %v", dir, d.Err)
		}
		if b, _ := r.fs.ReadFile(theirs); string(b) != "precious" || len(r.fs.List(dir)) != 1 {
			t.Errorf("files of others were touched: %v", r.fs.List(dir))
		}
	}
	r.wantFiles(tt)
	r.wantRead(tt, 0)
	r.quiet()
}

func TestMoveToAFullDeviceLeavesAllWhereItWas(t *testing.T) {
	r := newRig(t, 4)
	r.fs.Mount("/other", 1<<20)
	r.start()
	tt := movable(t)
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	r.send(Move{ID: 1, Dir: otherDir})
	if d := want[Done](r, "no space"); !errors.Is(d.Err, syscall.ENOSPC) {
		t.Errorf("move: %v", d.Err)
	}
	if left := r.fs.List("/other"); len(left) > 0 {
		t.Errorf("copies are left: %v", left)
	}
	r.wantFiles(tt)
	r.wantRead(tt, 5)
	r.quiet()
	r.close(Close{})
	r.stop()
	r.start()
	if o := r.open(tt, Options{}); !o.Have.Full() {
		t.Errorf("%d pieces are known after the restart", o.Have.Count())
	}
}

func TestCloseEndsAMove(t *testing.T) {
	r := newRig(t, 5)
	r.fs.Mount("/other", 0)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 20 << 20})
	r.open(tt, Options{})
	r.fetch(tt, 0)
	r.fs.Overwrite(payloadDir+"/x", tt.Data)
	r.send(Move{ID: 1, Dir: otherDir})
	r.run(2 * time.Millisecond)
	if c := r.close(Close{}); c.Err != nil {
		t.Errorf("close: %v", c.Err)
	}
	if d := drain[Done](r); len(d) != 1 {
		t.Errorf("the move is answered once: %+v", d)
	}
}

func TestRenameAFile(t *testing.T) {
	r := newRig(t, 6).start()
	tt := movable(t)
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	r.send(Rename{ID: 1, File: 0, Path: "t/new/name", Cookie: 1})
	if d := want[Done](r, "renamed"); d.Err != nil {
		t.Errorf("rename: %v", d.Err)
	}
	r.wantFile(tt, 0, payloadDir+"/t/new/name")
	for _, bad := range []string{"../x", "/x", "", "a//b", "t/b/y"} {
		r.send(Rename{ID: 1, File: 0, Path: bad})
		if d := want[Done](r, "refused"); d.Err == nil {
			t.Errorf("rename to %q must be refused", bad)
		}
	}
	r.wantRead(tt, 0)
	r.kill()
	r.start()
	if o := r.open(tt, Options{}); !o.Have.Full() {
		t.Errorf("%d pieces are known under the new name", o.Have.Count())
	}
	r.wantRead(tt, 0)
}

func TestFilesGetTheirNamesWhenTheyAreComplete(t *testing.T) {
	for _, inc := range []string{"", "/data/incomplete", "/other/incomplete"} {
		r := newRig(t, 7)
		r.fs.Mount("/other", 0)
		r.start()
		tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "a/x", N: 100_000, Attr: "x"}, TestFile{Path: "y", N: 200_000})
		opt := Options{IncompleteDir: inc, IncompleteSuffix: ".part"}
		r.open(tt, opt)
		r.fetch(tt, 0)
		at := inc
		if at == "" {
			at = payloadDir
		}
		if got := strings.Join(r.fs.List("/data"), " ") + strings.Join(r.fs.List("/other"), " "); got != at+"/t/a/x.part" {
			t.Errorf("one piece is there: %q", got)
		}
		r.fetch(tt, 1)
		if d := want[FileDone](r, "x is complete"); d.File != 0 || d.Path != payloadDir+"/t/a/x" {
			t.Errorf("%+v", d)
		}
		r.wantFile(tt, 0, payloadDir+"/t/a/x")
		if !r.fs.Exec(payloadDir + "/t/a/x") {
			t.Error("x may be executed")
		}
		r.kill()
		r.start()
		if o := r.open(tt, opt); o.Have.Count() != 2 {
			t.Errorf("2 pieces are known after the restart: %d", o.Have.Count())
		}
		r.fetch(tt, 2, 3, 4)
		want[FileDone](r, "y is complete")
		r.wantFiles(tt)
		if inc != "" && len(r.fs.List(inc)) > 0 {
			t.Errorf("left: %v", r.fs.List(inc))
		}
		r.quiet()
		r.close(Close{})
		r.stop()
	}
}

func TestDeleteRemovesOnlyOurFiles(t *testing.T) {
	r := newRig(t, 8).start()
	tt := movable(t)
	r.open(tt, Options{Priority: []uint8{1, 1, 0}})
	r.fetch(tt, all(tt)...)
	_ = r.fs.WriteFile(payloadDir+"/t/a/theirs", []byte("x"))
	if c := r.close(Close{Delete: true}); c.Err != nil {
		t.Errorf("delete: %v", c.Err)
	}
	if left := r.fs.List("/data"); len(left) != 1 || left[0] != payloadDir+"/t/a/theirs" {
		t.Errorf("only what is not ours is left: %v", left)
	}
	if left := r.fs.List(stateDir); len(left) != 1 {
		t.Errorf("state is left: %v", left)
	}
	r.stop()
}
