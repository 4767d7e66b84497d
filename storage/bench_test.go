//go:build unix

package storage_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// nullWorkers answer at once and do nothing.
type nullWorkers struct{}

func (nullWorkers) Do(j *Job) {
	j.RunPhantom(false)
	j.Done()
}

// BenchmarkBlockThroughActor is the cost of one block for the actor alone: its
// share of hash runs, writes and answers included, files and hashing excluded.
func BenchmarkBlockThroughActor(b *testing.B) {
	const perBatch = 16
	w := actor.NewLive(actor.LiveConfig{Workers: 1})
	slab := block.NewPhantomSlab(64 << 20)
	s := New(Config{Workers: nullWorkers{}, Slab: slab})
	done := make(chan struct{}, 1)
	ended := make(chan actor.Exit, 1)
	c := actor.Root(w, actor.Spec{Limit: 1 << 20}, s, func(e actor.Exit) { ended <- e })
	tt := phantomTorrent(b, 1<<20, 1<<40)
	pieces := 0
	c.Ref.Tell(Open{ID: 1, Info: tt, Dir: "/", Reply: actor.FuncRef(func(a Answer) {
		switch a.(type) {
		case Opened:
			done <- struct{}{}
		case PieceDone:
			pieces++
			done <- struct{}{}
		}
	})})
	<-done
	b.ReportAllocs()
	b.ResetTimer()
	p, blk := metainfo.PieceIndex(0), metainfo.BlockIndex(0)
	for n := 0; n < b.N; n += perBatch {
		m := NewBlocks(1)
		for range perBatch {
			m.Entries = append(m.Entries, Entry{Piece: p, Block: blk, Data: slab.LeaseWait(nil)})
			blk++
		}
		c.Ref.Tell(m)
		if blk == 64 {
			p, blk = (p+1)%(1<<20), 0
			<-done
		}
	}
	b.StopTimer()
	c.Stop(nil)
	<-ended
	w.Close()
}

// phantomTorrent is a torrent without payload.
func phantomTorrent(t testing.TB, pieceLen, size int64) *metainfo.Torrent {
	n := (size + pieceLen - 1) / pieceLen
	return PhantomTorrent(t, pieceLen, size, make([]byte, 20*n))
}

// BenchmarkDownload writes payload to real files: blocks in memory to verified
// pieces on disk. SHOAL_BENCH_DIR says where (default: a temporary folder),
// SHOAL_BENCH_MIB how much (default 256), SHOAL_BENCH_PREALLOC that the file and its
// pages are there already. CPU-s/GiB is user and system time of the process, the
// copy of the payload into the slots included.
func BenchmarkDownload(b *testing.B) {
	size := int64(256 << 20)
	if n, err := strconv.ParseInt(os.Getenv("SHOAL_BENCH_MIB"), 10, 64); err == nil {
		size = n << 20
	}
	for _, c := range []struct {
		name  string
		piece int64
	}{{"piece=16KiB", 16 << 10}, {"piece=1MiB", 1 << 20}, {"piece=4MiB", 4 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			tt := MakeTorrent(b, c.piece, 1, TestFile{Path: "payload", N: size})
			b.SetBytes(size)
			cpu := time.Duration(0)
			for b.Loop() {
				cpu += downloadOnce(b, tt)
			}
			b.ReportMetric(cpu.Seconds()/float64(b.N)*(1<<30)/float64(size), "CPU-s/GiB")
		})
	}
}

func downloadOnce(b *testing.B, tt *TestTorrent) time.Duration {
	b.StopTimer()
	base := os.Getenv("SHOAL_BENCH_DIR")
	dir, err := os.MkdirTemp(base, "shoal-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if os.Getenv("SHOAL_BENCH_PREALLOC") != "" {
		if err := os.WriteFile(filepath.Join(dir, "payload"), tt.Data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	l := newLive(b, filepath.Join(dir, "state"), 64<<20)
	if o := l.open(tt, dir, Options{}); o.Err != nil {
		b.Fatal(o.Err)
	}
	// What the network would cost is left out: slots are filled before.
	runtime.GC()
	start := cpuTime()
	b.StartTimer()
	pending := int32(0)
	for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
		l.send(&Blocks{ID: 1, Entries: tt.Entries(l.slab, p)})
		for pending++; pending > 32; pending -= l.pieces(b) {
		}
	}
	for pending > 0 {
		pending -= l.pieces(b)
	}
	b.StopTimer()
	used := cpuTime() - start
	l.send(Close{ID: 1})
	next[Closed](l)
	l.close()
	b.StartTimer()
	return used
}

// BenchmarkVerify hashes files that are in the page cache, and a hole.
func BenchmarkVerify(b *testing.B) {
	const size = 256 << 20
	tt := MakeTorrent(b, 1<<20, 1, TestFile{Path: "payload", N: size})
	for _, name := range []string{"data", "hole"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			file := filepath.Join(dir, "payload")
			if name == "data" {
				if err := os.WriteFile(file, tt.Data, 0o600); err != nil {
					b.Fatal(err)
				}
			} else if err := os.WriteFile(file, nil, 0o600); err != nil || os.Truncate(file, size) != nil {
				b.Fatal(err)
			}
			l := newLive(b, "", 4<<20)
			l.open(tt, dir, Options{})
			b.SetBytes(size)
			cpu := cpuTime()
			for b.Loop() {
				l.send(Verify{ID: 1})
				if d := next[CheckDone](l); d.Have.Full() != (name == "data") {
					b.Fatalf("%+v", d)
				}
			}
			b.ReportMetric((cpuTime()-cpu).Seconds()/float64(b.N)*(1<<30)/size, "CPU-s/GiB")
			l.send(Close{ID: 1})
			next[Closed](l)
			l.close()
		})
	}
}

// pieces waits for at least one piece and returns how many have come.
func (l *live) pieces(b *testing.B) (n int32) {
	for n == 0 || len(l.answers) > 0 {
		if d, ok := (<-l.answers).(PieceDone); ok {
			if !d.OK {
				b.Fatalf("%+v", d)
			}
			n++
		}
	}
	return n
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
