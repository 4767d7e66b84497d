package storage_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

// each runs a test on the machine's files and on those in memory: the model must
// behave like what it stands for.
func eachFS(t *testing.T, f func(t *testing.T, fs FS, dir string)) {
	t.Run("os", func(t *testing.T) { f(t, OS{}, t.TempDir()) })
	t.Run("memory", func(t *testing.T) {
		m := memfs.New()
		m.Mount("/tmp", 0)
		f(t, m, "/tmp")
	})
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestFilesReadAndWriteVectors(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		root := must[Root](t)(fsys.OpenRoot(dir))
		defer root.Close()
		f := must[File](t)(root.OpenFile("f", Create))
		defer f.Close()
		var vec [][]byte
		var whole []byte
		for i := range 150 { // more than one call takes
			b := bytes.Repeat([]byte{byte(i)}, i%7*100)
			vec = append(vec, b)
			whole = append(whole, b...)
		}
		if n, err := f.WriteV(vec, 10); n != len(whole) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
		got := make([]byte, len(whole))
		if n, err := f.ReadV([][]byte{got[:100], got[100:100], got[100:]}, 10); n != len(got) || err != nil || !bytes.Equal(got, whole) {
			t.Errorf("read %d, %v", n, err)
		}
		n, err := f.ReadV([][]byte{make([]byte, 8), make([]byte, 20)}, int64(len(whole)))
		if n != 10 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("at the end %d bytes, %v", n, err)
		}
		if info := must[Info](t)(f.Stat()); info.Size != int64(10+len(whole)) || info.Kind != Regular {
			t.Errorf("%+v", info)
		}
	})
}

func TestFilesAreOpenedAsAsked(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		root := must[Root](t)(fsys.OpenRoot(dir))
		defer root.Close()
		for _, how := range []How{ReadOnly, ReadWrite} {
			if _, err := root.OpenFile("f", how); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v: %v", how, err)
			}
		}
		f := must[File](t)(root.OpenFile("f", Append))
		_ = f.Append([]byte("one"))
		_ = f.Append([]byte("two"))
		f.Close()
		f = must[File](t)(root.OpenFile("f", Append))
		_ = f.Append([]byte("three"))
		got := make([]byte, 11)
		if _, err := f.ReadV([][]byte{got}, 0); err != nil || string(got) != "onetwothree" {
			t.Errorf("%q, %v", got, err)
		}
		if err := f.Truncate(3); err != nil || must[Info](t)(f.Stat()).Size != 3 {
			t.Errorf("truncate: %v", err)
		}
		f.Close()
		f = must[File](t)(root.OpenFile("f", Replace))
		if must[Info](t)(f.Stat()).Size != 0 {
			t.Error("replaced is empty")
		}
		if err := f.Allocate(5000); err == nil && must[Info](t)(f.Stat()).Size != 5000 {
			t.Error("allocated has its length")
		}
		if f.Sync() != nil || root.SyncDir(".") != nil {
			t.Error("sync")
		}
		f.Close()
		if err := root.MkdirAll("a/b"); err != nil {
			t.Fatal(err)
		}
		if _, err := root.OpenFile("a", Create); err == nil {
			t.Error("a folder is no file")
		}
		if _, err := root.OpenFile("no/f", Create); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file in no folder: %v", err)
		}
		if _, err := root.OpenFile("../x", Create); err == nil {
			t.Error("names don't lead out")
		}
	})
}

func TestFilesAreRenamedAndRemoved(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		root := must[Root](t)(fsys.OpenRoot(dir))
		defer root.Close()
		other := must[Root](t)(fsys.MakeRoot(filepath.ToSlash(dir) + "/o/p"))
		defer other.Close()
		f := must[File](t)(root.OpenFile("f", Create))
		_, _ = f.WriteV([][]byte{[]byte("x")}, 0)
		f.Close()
		if err := root.MoveTo("f", other, "g"); err != nil {
			t.Fatal(err)
		}
		if _, err := root.Stat("f"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the old name: %v", err)
		}
		if must[Info](t)(other.Stat("g")).Size != 1 {
			t.Error("the new name")
		}
		if err := root.Remove("o/p"); err == nil {
			t.Error("a folder with files is not removed")
		}
		if err := other.Remove("g"); err != nil {
			t.Error(err)
		}
		if err := other.Remove("g"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removed twice: %v", err)
		}
		if err := other.Present(); err != nil {
			t.Error(err)
		}
		if err := root.Remove("o/p"); err != nil {
			t.Error(err)
		}
		if other.Present() == nil && runtime.GOOS != "windows" {
			t.Error("the folder is gone")
		}
		if _, err := fsys.OpenRoot(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no folder: %v", err)
		}
	})
}

func TestLocks(t *testing.T) {
	eachFS(t, func(t *testing.T, fsys FS, dir string) {
		root := must[Root](t)(fsys.OpenRoot(dir))
		defer root.Close()
		again := must[Root](t)(fsys.OpenRoot(dir))
		defer again.Close()
		a := must[io.Closer](t)(root.Lock("l", false))
		b := must[io.Closer](t)(again.Lock("l", false))
		if _, err := again.Lock("l", true); !errors.Is(err, ErrLocked) {
			t.Errorf("exclusive beside shared: %v", err)
		}
		a.Close()
		b.Close()
		c := must[io.Closer](t)(root.Lock("l", true))
		if _, err := again.Lock("l", false); !errors.Is(err, ErrLocked) {
			t.Errorf("shared beside exclusive: %v", err)
		}
		c.Close()
		must[io.Closer](t)(again.Lock("l", true)).Close()
	})
}

func TestSymbolicLinksDoNotLeadOut(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // links need a privilege there
	}
	outside, dir := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"file": victim, "folder": outside} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root := must[Root](t)(OS{}.OpenRoot(dir))
	defer root.Close()
	for _, name := range []string{"file", "folder/victim", "folder/new"} {
		for _, how := range []How{ReadOnly, ReadWrite, Create, Replace, Append} {
			if f, err := root.OpenFile(name, how); err == nil {
				f.Close()
				t.Errorf("%s was opened (%d) through a link that leads out", name, how)
			}
		}
		_ = root.Remove(name)
		_ = root.MkdirAll(name)
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the file outside: %q, %v", b, err)
	}
}

func TestPermissionBits(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // there are none
	}
	dir := t.TempDir()
	root := must[Root](t)(OS{}.OpenRoot(dir))
	defer root.Close()
	must[File](t)(root.OpenFile("f", Create)).Close()
	before := must[os.FileInfo](t)(os.Stat(dir + "/f")).Mode()
	if err := root.SetExec("f"); err != nil {
		t.Fatal(err)
	}
	after := must[os.FileInfo](t)(os.Stat(dir + "/f")).Mode()
	if before&0o111 != 0 || after&0o111 != before&0o444>>2 {
		t.Errorf("%v became %v", before, after)
	}
}
