package storage_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// phantomRig runs all jobs without bytes, as large simulations do.
func phantomRig(t *testing.T, seed uint64, whole bool) *rig {
	r := newRig(t, seed)
	r.slab = block.NewPhantomSlab(4 << 20)
	r.shape = func(c *Config) { c.Uploads = block.NewPhantomSlab(1 << 20) }
	r.carry = func(j *Job) { j.RunPhantom(whole) }
	return r.start()
}

func (r *rig) phantomPiece(tt *metainfo.Torrent, p metainfo.PieceIndex, bad int) {
	m := NewBlocks(1)
	for b := range metainfo.BlockIndex(tt.Lengths.Blocks(p)) {
		slot := r.slab.Lease()
		slot.SetLen(int(tt.Lengths.BlockLen(p, b)))
		if int(b) == bad {
			slot.Mark = 77
		}
		m.Entries = append(m.Entries, Entry{Piece: p, Block: b, Data: slot})
	}
	r.send(m)
}

func TestPhantomPayload(t *testing.T) {
	r := phantomRig(t, 1, false)
	tt := PhantomTorrent(t, 256<<10, 1<<20+5, make([]byte, 5*20))
	r.send(Open{ID: 1, Info: tt, Dir: "/d", Reply: r.reply()})
	if o := want[Opened](r, "open"); o.Err != nil || !o.Have.None() {
		t.Fatalf("%+v", o)
	}
	r.phantomPiece(tt, 2, 5)
	if d := want[PieceDone](r, "bad"); d.OK || d.Err != nil || len(d.Sums) != 16 || d.Sums[5] != 77 || d.Sums[4] != 0 {
		t.Errorf("%+v", d)
	}
	for p := range metainfo.PieceIndex(5) {
		r.phantomPiece(tt, p, -1)
		if d := want[PieceDone](r, "good"); !d.OK {
			t.Errorf("%+v", d)
		}
	}
	want[FileDone](r, "the file is complete")
	if b, err := r.read(2, 16384, 100_000); err != nil || b != nil {
		t.Errorf("reads give blocks without bytes: %v, %v", b, err)
	}
	r.send(Verify{ID: 1})
	if d := want[CheckDone](r, "verify"); !d.Have.Full() {
		t.Errorf("%d pieces are good", d.Have.Count())
	}
	r.send(Sum{ID: 1, Piece: 2})
	if s := want[Sums](r, "sums"); len(s.Sums) != 16 || s.Sums[5] != 0 {
		t.Errorf("%+v", s)
	}
	r.send(Select{ID: 1, Priority: []uint8{0}})
	r.send(Move{ID: 1, Dir: "/e"})
	r.send(Save{ID: 1, Value: []byte("x")})
	r.send(Sync{ID: 1})
	for range 4 {
		if d := want[Done](r, "control"); d.Err != nil {
			t.Errorf("%+v", d)
		}
	}
	r.quiet()
	if c := r.close(Close{}); c.Err != nil {
		t.Error(c.Err)
	}
	if r.slab.Used() != 0 {
		t.Errorf("%d slots are in use", r.slab.Used())
	}
}

func TestPhantomSeedHasAll(t *testing.T) {
	r := phantomRig(t, 2, true)
	tt := PhantomTorrent(t, 256<<10, 1<<20, make([]byte, 4*20))
	r.send(Open{ID: 1, Info: tt, Dir: "/d", Reply: r.reply()})
	if o := want[Opened](r, "open"); o.Err != nil || !o.Have.Full() || o.Unknown != nil {
		t.Fatalf("%+v", o)
	}
	if _, err := r.read(3, 0, 16384); err != nil {
		t.Error(err)
	}
	r.quiet()
}

func TestPhantomSpill(t *testing.T) {
	r := phantomRig(t, 3, false)
	tt := PhantomTorrent(t, 1<<20, 16<<20, make([]byte, 16*20))
	r.send(Open{ID: 1, Info: tt, Dir: "/d", Reply: r.reply()})
	want[Opened](r, "open")
	for p := range metainfo.PieceIndex(4) {
		m := NewBlocks(1)
		for b := range metainfo.BlockIndex(60) {
			m.Entries = append(m.Entries, Entry{Piece: p, Block: b, Data: r.slab.Lease()})
		}
		r.send(m)
		r.run(time.Millisecond)
	}
	r.run(time.Second)
	if r.slab.Used() > 128 {
		t.Errorf("%d slots are in use", r.slab.Used())
	}
	for p := range metainfo.PieceIndex(4) {
		m := NewBlocks(1)
		for b := metainfo.BlockIndex(60); b < 64; b++ {
			m.Entries = append(m.Entries, Entry{Piece: p, Block: b, Data: r.slab.Lease()})
		}
		r.send(m)
		if d := want[PieceDone](r, "complete"); !d.OK {
			t.Errorf("%+v", d)
		}
	}
	r.quiet()
}

// TestTheSameSeedGivesTheSameRun is what every simulation relies on.
func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	run := func(seed uint64) (uint64, []string) {
		r := newRig(t, seed).start()
		tt := twoFiles(t)
		r.open(tt, Options{IncompleteSuffix: ".part"})
		for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
			r.blocks(tt, p)
		}
		r.send(Save{ID: 1, Value: []byte("v")})
		r.send(Move{ID: 1, Dir: "/data/other"})
		r.run(time.Minute)
		var seen []string
		for _, a := range r.answers {
			seen = append(seen, fmt.Sprintf("%T", a))
		}
		r.close(Close{})
		return r.world.Hash(), seen
	}
	for seed := range uint64(5) {
		h1, s1 := run(seed)
		h2, s2 := run(seed)
		if h1 != h2 || !slices.Equal(s1, s2) {
			t.Errorf("seed %d: %x %v, then %x %v", seed, h1, s1, h2, s2)
		}
	}
}
