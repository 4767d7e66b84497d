package storage_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

func TestPieceIsHashedWrittenAndReadBack(t *testing.T) {
	r := newRig(t, 1).start()
	tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "a/x", N: 100_000}, TestFile{Path: "y", N: 77_777})
	r.open(tt, Options{})
	r.blocks(tt, 1)
	if d := want[PieceDone](r, "the only piece"); d.Piece != 1 || !d.OK || d.Err != nil {
		t.Errorf("piece 1 is good: %+v", d)
	}
	r.wantRead(tt, 1)
	if _, err := r.read(0, 0, 100); !errors.Is(err, ErrNotHave) {
		t.Errorf("piece 0 is not there, but reading gives %v", err)
	}
	r.fetch(tt, 0, 2)
	r.wantFiles(tt)
	if f := want[FileDone](r, "first file"); f.Path == "" {
		t.Error("FileDone names the path")
	}
	r.quiet()
	if c := r.close(Close{}); c.Err != nil {
		t.Errorf("close: %v", c.Err)
	}
	r.stop()
}

func TestBadPieceComesBackWithFingerprints(t *testing.T) {
	r := newRig(t, 2).start()
	tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "x", N: 200_000})
	r.open(tt, Options{})
	e := tt.Entries(r.slab, 1)
	e[2].Data.Bytes()[5]++
	wrong := xxhash.Sum64(e[2].Data.Bytes())
	r.send(&Blocks{ID: 1, Entries: e})
	d := want[PieceDone](r, "a bad piece")
	if d.OK || d.Err != nil || len(d.Sums) != 4 || d.Sums[2] != wrong || d.Sums[1] != xxhash.Sum64(tt.Piece(1)[16384:32768]) {
		t.Errorf("the hash is wrong, and sums tell the blocks apart: %+v", d)
	}
	if r.slab.Used() != 0 {
		t.Errorf("%d slots of the bad piece are in use", r.slab.Used())
	}
	r.fetch(tt, 1)
	r.send(Sum{ID: 1, Piece: 1})
	if s := want[Sums](r, "sums of the good piece"); s.Err != nil || s.Sums[1] != d.Sums[1] || s.Sums[2] == wrong {
		t.Errorf("sums of the good piece: %+v", s)
	}
	r.quiet()
}

func TestBlocksNobodyNeedsAreDropped(t *testing.T) {
	r := newRig(t, 3).start()
	tt := MakeTorrent(t, 32<<10, 1, TestFile{Path: "x", N: 100_000})
	r.open(tt, Options{})
	r.fetch(tt, 0)
	r.blocks(tt, 0)    // had
	r.blocks(tt, 1, 0) // once
	r.blocks(tt, 1, 0) // and again
	short := tt.Block(r.slab, 2, 0)
	short.SetLen(7)
	r.send(&Blocks{ID: 1, Entries: []Entry{
		{Piece: 2, Block: 0, Data: short},
		{Piece: 77, Block: 0, Data: tt.Block(r.slab, 0, 0)},
		{Piece: -1, Block: 0, Data: tt.Block(r.slab, 0, 0)},
		{Piece: 2, Block: 99, Data: tt.Block(r.slab, 0, 0)},
	}})
	r.send(&Blocks{ID: 9, Entries: tt.Entries(r.slab, 0)}) // a torrent that is not open
	r.run(time.Second)
	if r.slab.Used() != 1 {
		t.Errorf("%d slots are in use, want the one of piece 1", r.slab.Used())
	}
	none[PieceDone](r, "nothing is complete")
	r.close(Close{})
	r.stop()
}

func TestReadsAreChecked(t *testing.T) {
	r := newRig(t, 4).start()
	tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "x", N: 100_000})
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	for _, c := range []struct {
		p        metainfo.PieceIndex
		begin, n int64
		ok       bool
	}{
		{0, 0, 65536, true}, {0, 16384, 20000, true}, {0, 5, 16384, true}, {1, 32768, 100_000 - 65536 - 32768, true},
		{0, 5, 16385, false}, {0, 0, 65537, false}, {0, -1, 10, false}, {0, 0, 0, false}, {2, 0, 1, false},
		{-1, 0, 1, false}, {1, 32768, 32768, false}, {0, 0, 1 << 40, false}, {0, 1 << 62, 1 << 62, false},
	} {
		b, err := r.read(c.p, c.begin, c.n)
		if (err == nil) != c.ok || c.ok && string(b) != string(tt.Piece(c.p)[c.begin:c.begin+c.n]) {
			t.Errorf("read %d of piece %d at %d: %d bytes, %v", c.n, c.p, c.begin, len(b), err)
		}
	}
	r.quiet()
}

func TestVerifiedPieceIsReadFromMemoryBeforeItIsWritten(t *testing.T) {
	r := newRig(t, 5)
	r.start()
	tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "x", N: 100_000})
	r.open(tt, Options{})
	r.manual = true
	r.blocks(tt, 0)
	r.run(10 * time.Millisecond)
	for r.step("hash") {
	}
	b, err := r.read(0, 16384, 32768)
	if err != nil || string(b) != string(tt.Piece(0)[16384:49152]) {
		t.Errorf("read of a verified piece in memory: %v", err)
	}
	if len(r.jobs) != 1 || r.jobs[0].Kind() != "write" {
		t.Errorf("the write is still to come, but nothing else: %v", r.jobs)
	}
	r.manual = false
	r.step("write")
	r.quiet()
	r.close(Close{})
	r.stop()
}

// seq is the blocks from..to-1.
func seq(from, to int) (out []metainfo.BlockIndex) {
	for b := from; b < to; b++ {
		out = append(out, metainfo.BlockIndex(b))
	}
	return out
}

func TestTwoPiecesAreHashedTogether(t *testing.T) {
	r := newRig(t, 6)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 3 << 20})
	e := MakeTorrent(t, 1<<20, 2, TestFile{Path: "y", N: 3 << 20})
	r.open(tt, Options{})
	r.openAs(2, e, payloadDir, Options{})
	r.manual = true
	hash := func(why string, bytes int64) {
		t.Helper()
		if len(r.jobs) != 1 || r.jobs[0].Bytes() != bytes {
			t.Fatalf("%s: jobs %v, want one of %d bytes", why, r.jobs, bytes)
		}
		r.step("hash")
		for r.step("write") {
		}
	}
	r.blocks(tt, 0)
	r.settle()
	if len(r.jobs) != 0 {
		t.Error("a piece that is there alone waits for another")
	}
	r.blocks(tt, 1, seq(0, 20)...)
	r.settle()
	hash("as much of the first piece as there is of the second", 40<<14)
	r.blocks(tt, 1, seq(20, 24)...)
	r.settle()
	if len(r.jobs) != 0 {
		t.Error("too short a run is no mate")
	}
	r.blocks(tt, 1, seq(24, 64)...)
	r.settle()
	hash("the rest of both", 88<<14)
	r.blocks(tt, 2)
	b := NewBlocks(2)
	b.Entries = e.Entries(r.slab, 0)
	b.Entries[9].Data.Bytes()[5]++
	r.send(b)
	r.settle()
	hash("pieces of two torrents", 2<<20)
	for range 4 {
		if d := want[PieceDone](r, "four pieces"); d.OK != (d.ID == 1) {
			t.Errorf("only the second torrent's is bad: %+v", d)
		}
	}
	r.manual = false
	for r.step("") {
	}
	r.wantFiles(tt)
	r.quiet()
}

func TestPiecesAreHashedInOrderFromRuns(t *testing.T) {
	r := newRig(t, 6)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 1 << 20})
	r.open(tt, Options{})
	r.manual = true
	hashes := func(why string, bytes ...int64) {
		t.Helper()
		r.run(10 * time.Millisecond)
		for _, n := range bytes {
			if len(r.jobs) == 0 || r.jobs[0].Kind() != "hash" || r.jobs[0].Bytes() != n {
				t.Fatalf("%s: want a hash of %d bytes", why, n)
			}
			r.step("hash")
		}
		if len(r.jobs) > 0 && r.jobs[0].Kind() == "hash" {
			t.Fatalf("%s: another hash of %d bytes", why, r.jobs[0].Bytes())
		}
	}
	r.blocks(tt, 0, seq(0, 15)...)
	hashes("15 blocks are no run")
	r.blocks(tt, 0, seq(20, 64)...)
	hashes("what is not in order waits")
	r.blocks(tt, 0, seq(15, 17)...)
	hashes("17 blocks in order", 17<<14)
	r.blocks(tt, 0, seq(17, 20)...)
	hashes("the rest", 47<<14)
	r.step("write")
	if d := want[PieceDone](r, "done"); !d.OK {
		t.Errorf("%+v", d)
	}
	r.manual = false
	r.step("arrived")
	r.quiet()
}

func TestSmallPiecesAreMergedIntoOneWrite(t *testing.T) {
	r := newRig(t, 7)
	r.start()
	tt := MakeTorrent(t, 16<<10, 1, TestFile{Path: "x", N: 100 << 14})
	r.open(tt, Options{})
	var writes []int64
	r.fs.Fault = func(c memfs.Call) error {
		if c.Op == "write" && c.Path == payloadDir+"/x" {
			writes = append(writes, c.Size)
		}
		return nil
	}
	b := NewBlocks(1)
	for p := range metainfo.PieceIndex(100) {
		b.Entries = append(b.Entries, tt.Entries(r.slab, p)...)
	}
	r.send(b)
	for range 100 {
		want[PieceDone](r, "each piece is answered")
	}
	if len(writes) > 20 || slices.Max(writes) < 100<<10 {
		t.Errorf("100 pieces of 16 KiB took %d writes: %v", len(writes), writes)
	}
	r.wantFiles(tt)
	r.quiet()
}

func TestDiskFullKeepsPiecesAndGoesOn(t *testing.T) {
	r := newRig(t, 8)
	small := r.fs.Mount("/data/downloads", 150<<10)
	r.fs.NoAllocate = true
	r.start()
	tt := MakeTorrent(t, 64<<10, 1, TestFile{Path: "x", N: 300_000})
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	r.blocks(tt, 2)
	if tr := want[Trouble](r, "no space"); tr.Err == nil || !tr.Space || !errors.Is(tr.Err, syscall.ENOSPC) {
		t.Errorf("trouble is about space: %+v", tr)
	}
	if d := want[PieceDone](r, "kept"); d.OK || !d.Kept || d.Err == nil {
		t.Errorf("the piece is kept: %+v", d)
	}
	r.blocks(tt, 3)
	if d := want[PieceDone](r, "late blocks"); d.OK || !d.Kept {
		t.Errorf("what comes late is kept too: %+v", d)
	}
	r.wantRead(tt, 1) // goes on seeding
	r.wantRead(tt, 2) // from memory
	r.run(time.Minute)
	none[Trouble](r, "said once")
	none[PieceDone](r, "said once")
	small.Cap = 0
	before := r.world.Now()
	if tr := want[Trouble](r, "space"); tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	for range 2 {
		if d := want[PieceDone](r, "written at last"); !d.OK {
			t.Errorf("%+v", d)
		}
	}
	if took := r.world.Now().Sub(before); took > 30*time.Second {
		t.Errorf("going on took %v", took)
	}
	r.fetch(tt, 4)
	r.wantFiles(tt)
	r.quiet()
	r.close(Close{})
	r.stop()
}

func TestStalledTorrentsResumeBelowTheLowMark(t *testing.T) {
	r := newRig(t, 9)
	r.start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	r.send(Stall{ID: 1})
	want[Resume](r, "there is room")
	r.manual = true
	for p := range metainfo.PieceIndex(3) {
		r.blocks(tt, p) // 192 of 256 slots: the high mark
	}
	r.send(Stall{ID: 1})
	r.run(time.Second)
	none[Resume](r, "the slab is full")
	r.manual = false
	for len(r.jobs) > 0 {
		r.step("")
	}
	want[Resume](r, "pieces are written")
	r.quiet()
}

func TestColdPartialPiecesAreSpilledAndHashedLater(t *testing.T) {
	r := newRig(t, 10).start()
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	half := []metainfo.BlockIndex{}
	for b := range metainfo.BlockIndex(40) {
		half = append(half, b+3)
	}
	for p := range metainfo.PieceIndex(5) {
		r.blocks(tt, p, half...) // 200 of 256 slots
		r.run(time.Millisecond)
	}
	r.run(time.Second)
	if used := r.slab.Used(); used > 128 {
		t.Errorf("%d slots are in use, the low mark is 128", used)
	}
	none[PieceDone](r, "nothing is complete")
	r.close(Close{})
	r.stop()

	r.start()
	o := r.open(tt, Options{})
	if len(o.Partials) != 5 {
		t.Fatalf("5 partial pieces are stored: %+v", o.Partials)
	}
	for _, p := range o.Partials {
		var rest []metainfo.BlockIndex
		for b := p.Blocks.NextClear(0); b >= 0; b = p.Blocks.NextClear(b + 1) {
			rest = append(rest, metainfo.BlockIndex(b))
		}
		if len(rest) != 24 {
			t.Errorf("piece %d lacks %d blocks", p.Piece, len(rest))
		}
		r.blocks(tt, p.Piece, rest...)
		if d := want[PieceDone](r, "completed"); !d.OK {
			t.Errorf("%+v", d)
		}
	}
	r.quiet()
	r.wantRead(tt, 3)
	r.close(Close{})
	r.stop()
}
