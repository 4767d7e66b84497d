package storage_test

import (
	"bytes"
	"testing"
	"time"

	. "github.com/shoal-bt/shoal/storage"
)

func TestFilesAreWrittenPastTheCache(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		root := must[Root](t)(fsys.OpenRoot(dir))
		defer root.Close()
		f := must[File](t)(root.OpenFile("f", Create))
		defer f.Close()
		var vec [][]byte
		for i := range 150 {
			vec = append(vec, bytes.Repeat([]byte{byte(i)}, 3000))
		}
		for _, off := range []int64{1, 1 << 20} { // again, when it is known whether the system can
			if n, err := f.WritePast(vec, off); n != 450_000 || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
			got := make([]byte, 450_000)
			if _, err := f.ReadV([][]byte{got}, off); err != nil || !bytes.Equal(got, bytes.Join(vec, nil)) {
				t.Errorf("what was written at %d is not what is read, %v", off, err)
			}
		}
	})
}

func TestOnlyWhatNobodyReadsGoesPastTheCache(t *testing.T) {
	r := newRig(t, 1).start()
	r.fs.AllDurable = true
	tt := MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 80 << 20})
	r.open(tt, Options{})
	past := func(why string, want int64) {
		t.Helper()
		if got := r.fs.WrittenPast(); got != want {
			t.Errorf("%s: %d KiB in all were written past the cache, want %d", why, got>>10, want>>10)
		}
	}
	r.fetch(tt, 0)
	past("nobody fetches from us", 1<<20)
	r.wantRead(tt, 0)
	r.fetch(tt, 1)
	past("somebody does", 1<<20)
	r.world.After(11*time.Second, func() {})
	r.run(11 * time.Second)
	r.fetch(tt, 2)
	past("nobody does any more", 2<<20)
	r.close(Close{})
	r.stop()

	r = newRig(t, 1).start()
	tt = MakeTorrent(t, 16<<10, 1, TestFile{Path: "x", N: 80 << 20})
	r.open(tt, Options{})
	r.fetch(tt, 7)
	past("a short write is better gathered", 0)
	r.close(Close{})
	r.stop()

	r = newRig(t, 1).start()
	tt = MakeTorrent(t, 1<<20, 1, TestFile{Path: "x", N: 8 << 20})
	r.open(tt, Options{})
	r.fetch(tt, 7)
	past("a small torrent is no load on the cache", 0)
	r.close(Close{})
	r.stop()
}
