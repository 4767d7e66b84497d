package storage

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

// randomTorrent has files of all kinds in random order.
func randomTorrent(t testing.TB, seed uint64) *TestTorrent {
	rng := rand.New(rand.NewPCG(seed, 1))
	var files []TestFile
	for i := range 1 + rng.IntN(20) {
		f := TestFile{Path: fmt.Sprintf("d/%d", i), N: int64(rng.IntN(5000))}
		switch rng.IntN(5) {
		case 0:
			f.N = 0
		case 1:
			f.Attr, f.Path = "p", fmt.Sprintf(".pad/%d", i)
		}
		files = append(files, f)
	}
	files = append(files, TestFile{Path: "d/last", N: 1 + int64(rng.IntN(3000))})
	return MakeTorrent(t, int64(1+rng.IntN(4000)), seed, files...)
}

// TestSpansCoverThePayload compares with the files laid end to end.
func TestSpansCoverThePayload(t *testing.T) {
	for seed := range uint64(50) {
		tt := randomTorrent(t, seed)
		l := newLayout(tt.Torrent)
		rng := rand.New(rand.NewPCG(seed, 2))
		for range 50 {
			off := rng.Int64N(l.Total())
			n := 1 + rng.Int64N(l.Total()-off)
			at := off
			for _, sp := range l.spans(nil, off, n) {
				f := &tt.Files[sp.file]
				if f.Offset+sp.off != at || sp.n <= 0 || sp.off+sp.n > f.Length {
					t.Fatalf("seed %d: span %+v at %d", seed, sp, at)
				}
				at += sp.n
			}
			if at != off+n {
				t.Fatalf("seed %d: spans end at %d, not %d", seed, at, off+n)
			}
		}
	}
}

// TestPartOffsetsAreApart: no two pieces share a place in the part store, and those
// that several files touch lie in front.
func TestPartOffsetsAreApart(t *testing.T) {
	for seed := range uint64(50) {
		tt := randomTorrent(t, seed)
		l := newLayout(tt.Torrent)
		seen := map[int64]metainfo.PieceIndex{}
		for p := range metainfo.PieceIndex(l.Pieces()) {
			off := l.partOffset(l.PieceOffset(p))
			if q, ok := seen[off]; ok {
				t.Fatalf("seed %d: pieces %d and %d lie at %d", seed, p, q, off)
			}
			seen[off] = p
			if off%l.PieceLen() != 0 || l.PieceSize(p) > 1 && l.partOffset(l.PieceOffset(p)+1) != off+1 {
				t.Fatalf("seed %d: piece %d at %d", seed, p, off)
			}
			if files := len(l.pieceSpans(nil, p)); files > 1 && off >= int64(len(l.shared))*l.PieceLen() {
				t.Fatalf("seed %d: piece %d of %d files is not in front", seed, p, files)
			}
		}
	}
}

func TestPiecesOfFiles(t *testing.T) {
	tt := MakeTorrent(t, 100, 1, TestFile{Path: "a", N: 250}, TestFile{Path: "e"}, TestFile{Path: "b", N: 50}, TestFile{Path: "c", N: 100})
	l := newLayout(tt.Torrent)
	for i, want := range [][2]metainfo.PieceIndex{{0, 2}, {0, -1}, {2, 2}, {3, 3}} {
		if first, last := l.piecesOf(int32(i)); [2]metainfo.PieceIndex{first, last} != want {
			t.Errorf("file %d: pieces %d..%d, want %v", i, first, last, want)
		}
	}
	if !reflect.DeepEqual(l.shared, []metainfo.PieceIndex{2}) {
		t.Errorf("shared: %v", l.shared)
	}
}

func TestCutterHandsOutAllBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		var bufs [][]byte
		var all []byte
		for range 1 + rng.IntN(6) {
			b := make([]byte, 1+rng.IntN(10))
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			bufs, all = append(bufs, b), append(all, b...)
		}
		c := cutter{bufs: bufs}
		var got []byte
		for len(got) < len(all) {
			n := 1 + rng.IntN(len(all)-len(got))
			part := 0
			for _, b := range c.take(nil, int64(n)) {
				got = append(got, b...)
				part += len(b)
			}
			if part != n {
				t.Fatalf("asked for %d, got %d", n, part)
			}
		}
		if string(got) != string(all) {
			t.Fatal("bytes are lost or mixed up")
		}
	}
}

func TestQueueIsAFIFO(t *testing.T) {
	var q queue[int]
	var want []int
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range 5000 {
		switch {
		case rng.IntN(3) > 0:
			q.push(i)
			want = append(want, i)
		case len(want) > 0:
			if got := q.pop(); got != want[0] {
				t.Fatalf("got %d, want %d", got, want[0])
			}
			want = want[1:]
		}
		if i%997 == 0 {
			q.remove(func(v int) bool { return v%3 == 0 })
			kept := want[:0]
			for _, v := range want {
				if v%3 != 0 {
					kept = append(kept, v)
				}
			}
			want = kept
		}
		if q.len() != len(want) {
			t.Fatalf("length %d, want %d", q.len(), len(want))
		}
	}
}

func TestRotaLetsTorrentsTakeTurns(t *testing.T) {
	a, b := &torrent{id: 1}, &torrent{id: 2}
	r, other := rota{which: 1}, rota{which: 2}
	r.add(a)
	r.add(b)
	r.add(a) // is in it already
	other.add(a)
	var order []ID
	for x := r.next(); x != nil; x = r.next() {
		if order = append(order, x.id); len(order) < 5 {
			r.add(x)
		}
	}
	if !reflect.DeepEqual(order, []ID{1, 2, 1, 2, 1, 2}) || other.len() != 1 {
		t.Errorf("turns %v", order)
	}
}
