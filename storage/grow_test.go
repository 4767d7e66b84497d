package storage_test

import (
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// Two writers make a sparse file longer at the same time: neither takes the other's work
// for a cut.
func TestWritersGrowAFileTogether(t *testing.T) {
	l := newLive(t, "", 16<<20)
	tt := MakeTorrent(t, 16<<10, 1, TestFile{Path: "x", N: 8 << 20})
	l.send(Open{ID: 1, Info: tt.Torrent, Dir: t.TempDir(), Options: Options{Allocation: Sparse},
		Reply: actor.FuncRef(func(a Answer) { l.answers <- a })})
	if o := next[Opened](l); o.Err != nil {
		t.Fatal(o.Err)
	}
	const apart = 7 // pieces between those that are sent, so that none are merged
	for first := range metainfo.PieceIndex(apart) {
		n := 0
		for p := first; int32(p) < tt.Lengths.Pieces(); p += apart {
			b := NewBlocks(1)
			b.Entries = tt.Entries(l.slab, p)
			l.send(b)
			n++
		}
		for range n {
			if d := next[PieceDone](l); !d.OK {
				t.Fatalf("%+v", d)
			}
		}
	}
	l.send(Close{ID: 1})
	next[Closed](l)
	l.close()
}
