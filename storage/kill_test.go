//go:build unix

package storage_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

const killDir = "SHOAL_TEST_KILL_DIR"

func killTorrent(t testing.TB) *TestTorrent {
	return MakeTorrent(t, 64<<10, 1, TestFile{Path: "a/x", N: 9 << 20}, TestFile{Path: "y", N: 3_000_001}, TestFile{Path: "z", N: 77})
}

// TestKillChild is not a test: it is the process that TestKillNine kills. It says
// which pieces it has been told are written, and which are known from before.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	tt := killTorrent(t)
	l := newLive(t, filepath.Join(dir, "state"), 8<<20)
	o := l.open(tt, filepath.Join(dir, "data"), Options{IncompleteSuffix: ".part"})
	if o.Err != nil || o.Unknown != nil {
		fmt.Printf("\nopen %v %v\n", o.Err, o.Unknown)
		os.Exit(1)
	}
	for p := range o.Have.All() {
		fmt.Printf("\nhave %d\n", p)
	}
	fmt.Printf("\nopened\n")
	order := rand.Perm(int(tt.Lengths.Pieces()))
	left := 0
	for _, p := range order {
		if !o.Have.Has(int32(p)) {
			l.send(&Blocks{ID: 1, Entries: tt.Entries(l.slab, metainfo.PieceIndex(p))})
			left++
		}
		for ; left > 16; left-- {
			fmt.Printf("\ndone %d\n", next[PieceDone](l).Piece)
		}
	}
	for ; left > 0; left-- {
		fmt.Printf("\ndone %d\n", next[PieceDone](l).Piece)
	}
	fmt.Printf("\ncomplete\n")
	os.Exit(0)
}

// TestKillNine kills a download again and again, as kill -9 does: every piece that
// it was told is written is known to the next one, none is to be hashed, and in the
// end the files are right.
func TestKillNine(t *testing.T) {
	dir := t.TempDir()
	told := map[string]bool{}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 0; ; n++ {
		after := time.Duration(rng.IntN(30)) * time.Millisecond
		if n >= 12/raceFactor+2 {
			after = time.Minute
		}
		if killed(t, dir, after, told) || t.Failed() {
			break
		}
	}
	tt := killTorrent(t)
	l := newLive(t, filepath.Join(dir, "state"), 8<<20)
	defer l.close()
	if o := l.open(tt, filepath.Join(dir, "data"), Options{IncompleteSuffix: ".part"}); o.Err != nil || !o.Have.Full() {
		t.Errorf("at the end: %+v", o)
	}
	l.send(Sync{ID: 1}) // waits until complete files have their names
	next[Done](l)
	for i := range tt.Files {
		got, err := os.ReadFile(filepath.Join(dir, "data", tt.Files[i].Path.String()))
		if err != nil || !bytes.Equal(got, tt.FileData(i)) {
			t.Errorf("file %d: %d bytes, %v", i, len(got), err)
		}
	}
	l.send(Verify{ID: 1})
	if d := next[CheckDone](l); !d.Have.Full() {
		t.Errorf("only %d pieces are good", d.Have.Count())
	}
}

// killed runs one child, kills it after a while from its Opened on, and compares
// what it knew with what earlier ones were told. It reports whether it came to its end.
func killed(t *testing.T, dir string, after time.Duration, told map[string]bool) (complete bool) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	c.Env = append(os.Environ(), killDir+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		switch word, arg, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case "have":
			have[arg] = true
		case "opened":
			for p := range told {
				if !have[p] {
					t.Errorf("piece %s was written and is not known", p)
				}
			}
			timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
			defer timer.Stop()
		case "done":
			told[arg] = true
		case "complete":
			complete = true
		case "open":
			t.Errorf("child: %s", line)
		}
	}
	_, _ = io.Copy(io.Discard, out)
	_ = c.Wait()
	return complete
}

// TestDiskFullIsTold fills a real file system, if one of a fixed size is given by
// SHOAL_SMALL_DISK: what fits is written and kept.
func TestDiskFullIsTold(t *testing.T) {
	small := os.Getenv("SHOAL_SMALL_DISK")
	if small == "" {
		return
	}
	for _, alloc := range []Allocation{Fallocate, Sparse} {
		dir, err := os.MkdirTemp(small, "full")
		if err != nil {
			t.Fatal(err)
		}
		tt := MakeTorrent(t, 256<<10, 1, TestFile{Path: "x", N: 64 << 20})
		l := newLive(t, t.TempDir(), 16<<20)
		l.open(tt, dir, Options{Allocation: alloc})
		ok := 0
		for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
			l.send(&Blocks{ID: 1, Entries: tt.Entries(l.slab, p)})
			if d := next[PieceDone](l); !d.OK {
				t.Logf("allocation %d: after %d MiB: %v", alloc, ok>>2, d.Err)
				break
			}
			ok++
		}
		l.send(Close{ID: 1})
		next[Closed](l)
		l.close()
		_ = os.RemoveAll(dir)
		if ok < 10 {
			t.Errorf("only %d pieces were written", ok)
		}
	}
}
