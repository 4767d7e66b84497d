package storage_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

// half are 40 of the 64 blocks of a 1 MiB piece.
func half() (out []metainfo.BlockIndex) {
	for b := range metainfo.BlockIndex(40) {
		out = append(out, b)
	}
	return out
}

func TestColdestPiecesAreSpilledFirst(t *testing.T) {
	r := newRig(t, 1).start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	for p := range metainfo.PieceIndex(5) {
		r.blocks(tt, p, half()...)
		r.run(time.Millisecond)
	}
	r.run(time.Second)
	r.kill()
	r.start()
	o := r.open(tt, Options{})
	for _, p := range o.Partials {
		if p.Piece > 2 {
			t.Errorf("piece %d was spilled before colder ones", p.Piece)
		}
	}
	if len(o.Partials) == 0 {
		t.Error("nothing was spilled")
	}
}

func TestBlocksThatComeDuringASpill(t *testing.T) {
	r := newRig(t, 2)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	r.manual = true
	for p := range metainfo.PieceIndex(6) {
		r.blocks(tt, p, half()[3:]...)
		r.run(time.Millisecond)
	}
	r.settle()
	spills := 0
	for _, j := range r.jobs {
		if j.Kind() == "spill" {
			spills++
		}
	}
	if spills == 0 {
		t.Fatal("nothing is being spilled")
	}
	var rest []metainfo.BlockIndex
	for b := metainfo.BlockIndex(40); b < 64; b++ {
		rest = append(rest, b)
	}
	r.blocks(tt, 0, append(rest, 0, 1, 2)...) // piece 0 is complete, while it is spilled
	r.settle()
	r.manual = false
	for len(r.jobs) > 0 {
		r.step("")
	}
	if d := want[PieceDone](r, "complete"); d.Piece != 0 || !d.OK {
		t.Errorf("%+v", d)
	}
	r.wantRead(tt, 0)
	r.quiet()
}

func TestABadPieceWithSpilledBlocks(t *testing.T) {
	r := newRig(t, 3).start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	e := tt.Entries(r.slab, 0)
	e[7].Data.Bytes()[0]++
	bad := xxhash.Sum64(e[7].Data.Bytes())
	for _, rest := range e[40:] {
		rest.Data.Release()
	}
	r.send(&Blocks{ID: 1, Entries: e[:40]})
	for p := range metainfo.PieceIndex(4) {
		r.run(time.Millisecond)
		r.blocks(tt, p+1, half()...)
	}
	r.run(time.Second) // spilled
	for b := metainfo.BlockIndex(40); b < 64; b++ {
		r.blocks(tt, 0, b)
	}
	d := want[PieceDone](r, "bad")
	if d.OK || d.Err != nil || len(d.Sums) != 64 || d.Sums[7] != bad || d.Sums[8] != xxhash.Sum64(tt.Piece(0)[8<<14:9<<14]) {
		t.Errorf("the liar's block is told apart, also from the disk: %+v", d.OK)
	}
	r.fetch(tt, 0)
	r.wantRead(tt, 0)
	r.quiet()
}

func TestSpilledBlocksThatCannotBeReadBack(t *testing.T) {
	r := newRig(t, 4).start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	for p := range metainfo.PieceIndex(5) {
		r.blocks(tt, p, half()[1:]...)
		r.run(time.Millisecond)
	}
	r.run(time.Second)
	r.fs.Fault = func(c memfs.Call) error {
		if payload(c, "read") {
			return syscall.EIO
		}
		return nil
	}
	r.blocks(tt, 0, 0)
	for b := metainfo.BlockIndex(40); b < 64; b++ {
		r.blocks(tt, 0, b)
	}
	if d := want[PieceDone](r, "unreadable"); d.OK || !errors.Is(d.Err, syscall.EIO) || d.Kept {
		t.Errorf("%+v", d)
	}
	want[Trouble](r, "the disk's fault")
	r.fs.Fault = nil
	if tr := want[Trouble](r, "well"); tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	r.fetch(tt, 0)
	r.wantRead(tt, 0)
	r.quiet()
}

func TestATroubledTorrentMakesRoomForOthers(t *testing.T) {
	r := newRig(t, 5)
	r.fs.Mount("/full", 4096)
	r.start()
	bad, good := MakeTorrent(t, 1<<20, 1, TestFile{Path: "bad", N: 8 << 20}), MakeTorrent(t, 64<<10, 2, TestFile{Path: "good", N: 1 << 20})
	r.open(good, Options{})
	if o := r.openAs(2, bad, "/full", Options{}); o.Err != nil {
		t.Fatal(o.Err)
	}
	e := bad.Entries(r.slab, 0)
	r.send(&Blocks{ID: 2, Entries: e})
	want[Trouble](r, "full")
	for p := metainfo.PieceIndex(1); p < 4; p++ {
		e := bad.Entries(r.slab, p)
		for _, x := range e[40:] {
			x.Data.Release()
		}
		r.send(&Blocks{ID: 2, Entries: e[:40]})
	}
	r.run(10 * time.Millisecond)
	drain[PieceDone](r)
	r.send(Stall{ID: 1}) // the other one waits for room
	want[Resume](r, "room was made")
	gone := 0
	for _, d := range drain[PieceDone](r) {
		if d.ID == 2 && d.Err != nil && !d.Kept {
			gone++
		}
	}
	if gone == 0 {
		t.Error("what was given up is told")
	}
	r.fetch(good, all(good)...)
	r.wantFiles(good)
}

func TestClosedTorrentsDoNotWaitForRoom(t *testing.T) {
	r := newRig(t, 6)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	r.manual = true
	for p := range metainfo.PieceIndex(3) {
		r.blocks(tt, p)
	}
	r.send(Stall{ID: 1})
	r.send(Close{ID: 1})
	r.settle()
	r.manual = false
	for len(r.jobs) > 0 {
		r.step("")
	}
	want[Closed](r, "closed")
	none[Resume](r, "nobody is there to go on")
	if d := drain[PieceDone](r); len(d) != 3 {
		t.Errorf("complete pieces are written before the end: %+v", d)
	}
	r.quiet()
	r.stop()
}

func TestForgetKeepsThePayload(t *testing.T) {
	r, tt := downloaded(t, 7)
	r.start()
	r.open(tt, Options{})
	if c := r.close(Close{Forget: true}); c.Err != nil {
		t.Error(c.Err)
	}
	r.wantFiles(tt)
	if left := r.fs.List(stateDir); len(left) != 1 {
		t.Errorf("state is left: %v", left)
	}
	o := r.open(tt, Options{})
	if !o.Have.None() || o.Unknown == nil || !o.Unknown.Full() {
		t.Errorf("it is data from elsewhere now: %+v", o)
	}
}

func TestDeleteWhileBusy(t *testing.T) {
	r := newRig(t, 8)
	r.start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	r.manual = true
	r.blocks(tt, 2)
	r.blocks(tt, 3, 0)
	r.blocks(tt, 5)
	r.send(Sync{ID: 1, Cookie: 9})
	r.settle()
	r.send(Close{ID: 1, Delete: true})
	r.settle()
	r.manual = false
	for len(r.jobs) > 0 {
		r.step("")
	}
	want[Closed](r, "closed")
	if d := drain[Done](r); len(d) != 1 || d[0].Cookie != 9 {
		t.Errorf("Sync is answered: %+v", d)
	}
	if left := r.fs.List("/data"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	r.quiet()
	r.stop()
}
