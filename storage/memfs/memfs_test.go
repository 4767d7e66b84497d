package memfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/shoal-bt/shoal/storage"
)

func openRoot(t *testing.T, f *FS, dir string) storage.Root {
	t.Helper()
	r, err := f.MakeRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func write(t *testing.T, r storage.Root, name, data string, off int64) storage.File {
	t.Helper()
	f, err := r.OpenFile(name, storage.Create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteV([][]byte{[]byte(data)}, off); err != nil {
		t.Fatal(err)
	}
	return f
}

func dataOf(f *FS, p string) string {
	b, err := f.ReadFile(p)
	if err != nil {
		return "-"
	}
	return string(b)
}

func TestKillKeepsWhatWasWritten(t *testing.T) {
	f := New()
	r := openRoot(t, f, "/d")
	file := write(t, r, "x", "abc", 0)
	f.Kill()
	if _, err := file.WriteV([][]byte{[]byte("z")}, 0); !errors.Is(err, ErrOff) {
		t.Errorf("files of the killed process: %v", err)
	}
	if _, err := r.Stat("x"); !errors.Is(err, ErrOff) {
		t.Errorf("folders of the killed process: %v", err)
	}
	if dataOf(f, "/d/x") != "abc" || f.BootID() != "boot-1" {
		t.Errorf("%q, %s", dataOf(f, "/d/x"), f.BootID())
	}
}

// TestPowerCut looks at what is possible after a power cut: what was synced is there,
// the rest may be, in any subset of writes.
func TestPowerCut(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		f := New()
		r := openRoot(t, f, "/d")
		file := write(t, r, "x", "aa", 0)
		_ = file.Sync()
		_ = r.SyncDir(".")
		write(t, r, "x", "b", 0)
		write(t, r, "x", "c", 1)
		write(t, r, "y", "new", 0)
		f.PowerCut(rand.New(rand.NewPCG(seed, 1)))
		got := dataOf(f, "/d/x")
		if len(got) != 2 || !slices.Contains([]string{"aa", "ba", "ac", "bc"}, got) {
			t.Fatalf("x is %q", got)
		}
		seen["x "+got] = true
		seen["y "+dataOf(f, "/d/y")] = true
		if f.BootID() != "boot-2" {
			t.Fatal("a power cut is another boot")
		}
	}
	for _, want := range []string{"x aa", "x ba", "x ac", "x bc", "y -", "y new", "y "} {
		if !seen[want] {
			t.Errorf("%q never happened", want)
		}
	}
}

func TestPowerCutKeepsTheOrderOfNames(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		f := New()
		r := openRoot(t, f, "/d")
		_ = write(t, r, "a", "1", 0).Sync()
		_ = r.SyncDir(".")
		_ = r.MkdirAll("sub")
		_ = r.MoveTo("a", r, "sub/b")
		_ = r.MoveTo("sub/b", r, "c")
		f.PowerCut(rand.New(rand.NewPCG(seed, 1)))
		got := f.List("/d")
		if len(got) != 1 || dataOf(f, got[0]) != "1" {
			t.Fatalf("the file is at %v", got)
		}
		seen[got[0]] = true
	}
	if len(seen) != 3 {
		t.Errorf("seen %v, want three places", seen)
	}
}

func TestSyncedNamesStay(t *testing.T) {
	for seed := range uint64(50) {
		f := New()
		r := openRoot(t, f, "/d")
		_ = r.MkdirAll("sub")
		_ = write(t, r, "sub/b", "1", 0).Sync()
		_ = r.SyncDir("sub")
		write(t, r, "late", "2", 0)
		f.PowerCut(rand.New(rand.NewPCG(seed, 1)))
		if dataOf(f, "/d/sub/b") != "1" {
			t.Fatalf("a synced name is gone: %v", f.List("/"))
		}
	}
}

func TestDiskHasRoomForPages(t *testing.T) {
	f := New()
	d := f.Mount("/d", 3*pageSize)
	r := openRoot(t, f, "/d")
	file := write(t, r, "x", "a", 10*pageSize) // one page, behind a hole
	if d.Used != pageSize {
		t.Errorf("a hole takes room: %d", d.Used)
	}
	n, err := file.WriteV([][]byte{make([]byte, 5*pageSize)}, 0)
	if n != 2*pageSize || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := file.Allocate(20 * pageSize); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("allocate: %v", err)
	}
	_ = file.Truncate(0)
	if d.Used != 0 {
		t.Errorf("%d bytes are in use after truncation", d.Used)
	}
	if err := file.Allocate(3 * pageSize); err != nil || d.Used != 3*pageSize {
		t.Errorf("allocate: %v, %d", err, d.Used)
	}
	_ = r.Remove("x")
	if d.Used != 0 {
		t.Errorf("%d bytes are in use after removal", d.Used)
	}
}

func TestDevicesAreApart(t *testing.T) {
	f := New()
	f.Mount("/a", 0)
	f.Mount("/b", 0)
	a, b := openRoot(t, f, "/a"), openRoot(t, f, "/b")
	write(t, a, "x", "1", 0)
	if err := a.MoveTo("x", b, "x"); !errors.Is(err, storage.ErrCrossDevice) {
		t.Errorf("rename to another device: %v", err)
	}
}

func TestFaultsAndSwitchingOff(t *testing.T) {
	f := New()
	r := openRoot(t, f, "/d")
	f.Fault = func(c Call) error {
		if c.Op == "stat" {
			return syscall.EIO
		}
		return nil
	}
	if _, err := r.Stat("x"); !errors.Is(err, syscall.EIO) {
		t.Errorf("stat: %v", err)
	}
	f.SwitchOff(2)
	if _, err := r.OpenFile("x", storage.ReadOnly); !errors.Is(err, fs.ErrNotExist) || f.Off() {
		t.Errorf("one call still works: %v", err)
	}
	if _, err := r.OpenFile("x", storage.Create); !errors.Is(err, ErrOff) || !f.Off() {
		t.Errorf("then none does: %v", err)
	}
}
