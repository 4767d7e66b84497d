package memfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/shoal-bt/shoal/storage"
)

// FS is the machine's files. Its fields may be set before it is used, and changed
// between calls.
type FS struct {
	// Now tells the time of changes, in Unix nanoseconds; nil: a counter.
	Now func() int64
	// Fault, if set, sees each call before it is carried out: an error is the
	// call's result, and nothing is done.
	Fault func(c Call) error
	// NoAllocate makes Allocate unsupported.
	NoAllocate bool
	// AllDurable saves memory where nobody cuts the power: all is durable at once.
	AllDurable bool

	mu    sync.Mutex
	boot  int
	life  int // files opened in an earlier life don't work any more
	ticks int64
	files uint64
	calls int64
	off   int64 // from this call on nothing works; 0: never
	top   *node
	names nameLog
	locks map[string]*lock
	disks []*Disk
	past  int64 // bytes written past the cache
}

// WrittenPast returns how many bytes were written with File.WritePast.
func (f *FS) WrittenPast() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.past
}

// Disk is a device, mounted at a folder.
type Disk struct {
	Mount string
	Cap   int64 // bytes; 0: no bound
	Used  int64
}

// Call is one call of the file system.
type Call struct {
	N    int64  // numbers calls from 1
	Op   string // "open", "read", "write", "sync", "rename", ...
	Path string
	Off  int64
	Size int64
}

// ErrOff is the error of everything after the machine was switched off.
var ErrOff = errors.New("memfs: the machine is off")

// New makes an empty file system.
func New() *FS {
	f := &FS{boot: 1, life: 1, locks: map[string]*lock{}}
	f.top = newDir()
	f.names.base = newDir()
	return f
}

// Mount adds a device at a folder, which is made.
func (f *FS) Mount(dir string, limit int64) *Disk {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := &Disk{Mount: clean(dir), Cap: limit}
	f.disks = append(f.disks, d)
	_ = f.mkdirAll(d.Mount)
	f.names.settle(f)
	return d
}

// diskOf returns the device of a path; the nil Disk has no bound.
func (f *FS) diskOf(p string) (d *Disk) {
	for _, x := range f.disks {
		if (p == x.Mount || strings.HasPrefix(p, x.Mount+"/")) && (d == nil || len(x.Mount) > len(d.Mount)) {
			d = x
		}
	}
	return d
}

// node is a file, folder or symbolic link.
type node struct {
	kind    storage.FileKind
	entries map[string]*node
	target  string
	exec    bool
	mtime   int64
	links   int64
	disk    *Disk
	id      storage.FileID
	locked  *file // by whom
	content
}

// newFile makes a file that no other one is.
func (f *FS) newFile(p string) *node {
	f.files++
	now := f.tick()
	return &node{kind: storage.Regular, links: 1, disk: f.diskOf(p), mtime: now, id: storage.FileID{Dev: 1, Ino: f.files, Birth: now}}
}

func newDir() *node { return &node{kind: storage.Folder, entries: map[string]*node{}, links: 1} }

func clean(p string) string {
	p = filepath.ToSlash(p)
	return path.Clean("/" + strings.TrimPrefix(p, filepath.ToSlash(filepath.VolumeName(p))))
}

// BootID implements storage.FS.
func (f *FS) BootID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("boot-%d", f.boot)
}

// enter counts a call and reports whether it fails.
func (f *FS) enter(op, p string, off, size int64) error {
	f.calls++
	if f.off > 0 && f.calls >= f.off {
		return ErrOff
	}
	if f.Fault != nil {
		return f.Fault(Call{f.calls, op, p, off, size})
	}
	return nil
}

func (f *FS) tick() int64 {
	if f.Now != nil {
		return f.Now()
	}
	f.ticks += 1000
	return f.ticks
}

// find returns what is at a path, or nil.
func (f *FS) find(p string) *node {
	n := f.top
	for e := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if e == "" {
			continue
		}
		if n = n.entries[e]; n == nil {
			return nil
		}
	}
	return n
}

func (f *FS) mkdirAll(p string) error {
	at := ""
	for e := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if e == "" {
			continue
		}
		at += "/" + e
		switch n := f.find(at); {
		case n == nil:
			f.names.link(f, at, newDir())
		case n.kind != storage.Folder:
			return pathErr("mkdir", at, syscall.ENOTDIR)
		}
	}
	return nil
}

func pathErr(op, p string, err error) error { return &fs.PathError{Op: op, Path: p, Err: err} }

// OpenRoot implements storage.FS.
func (f *FS) OpenRoot(dir string) (storage.Root, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := clean(dir)
	if err := f.enter("openroot", p, 0, 0); err != nil {
		return nil, err
	}
	n := f.find(p)
	switch {
	case n == nil:
		return nil, pathErr("open", p, fs.ErrNotExist)
	case n.kind != storage.Folder:
		return nil, pathErr("open", p, syscall.ENOTDIR)
	}
	return &root{f, p, n, f.life}, nil
}

// MakeRoot implements storage.FS.
func (f *FS) MakeRoot(dir string) (storage.Root, error) {
	f.mu.Lock()
	p := clean(dir)
	err := f.enter("mkdir", p, 0, 0)
	if err == nil && f.find(p) == nil {
		err = f.mkdirAll(p)
		for d := p; d != "/"; d = path.Dir(d) {
			f.names.sync(f, path.Dir(d))
		}
	}
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.OpenRoot(dir)
}

// ---- for tests

// ReadFile returns a file's content.
func (f *FS) ReadFile(p string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.find(clean(p))
	if n == nil || n.kind != storage.Regular {
		return nil, pathErr("read", p, fs.ErrNotExist)
	}
	return slices.Clone(n.data), nil
}

// WriteFile makes a file, durable at once, as somebody else would.
func (f *FS) WriteFile(p string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	p = clean(p)
	if err := f.mkdirAll(path.Dir(p)); err != nil {
		return err
	}
	n := f.newFile(p)
	n.data = slices.Clone(data)
	n.settle()
	f.names.link(f, p, n)
	f.names.settle(f)
	return nil
}

// Remove removes what is at a path, with all that is in it.
func (f *FS) Remove(p string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names.unlink(f, clean(p))
	f.names.settle(f)
}

// List returns the paths of all files and links at or below a folder, sorted.
func (f *FS) List(p string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	var walk func(p string, n *node)
	walk = func(p string, n *node) {
		if n.kind != storage.Folder {
			out = append(out, p)
			return
		}
		for _, e := range slices.Sorted(maps.Keys(n.entries)) {
			walk(path.Join(p, e), n.entries[e])
		}
	}
	if n := f.find(clean(p)); n != nil {
		walk(clean(p), n)
	}
	return out
}

// Exists reports whether there is anything at a path.
func (f *FS) Exists(p string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.find(clean(p)) != nil
}

// Exec reports whether a file may be executed.
func (f *FS) Exec(p string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.find(clean(p))
	return n != nil && n.exec
}

// Target returns what a symbolic link says, "" if p is none.
func (f *FS) Target(p string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		return n.target
	}
	return ""
}

// Calls returns how many calls there have been.
func (f *FS) Calls() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// SetTime gives a file another time of its last change, in Unix nanoseconds, as cp -p
// and touch -d do.
func (f *FS) SetTime(p string, mtime int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		n.mtime = mtime
	}
}

// Time returns when a file was changed last.
func (f *FS) Time(p string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		return n.mtime
	}
	return 0
}

// Scribble writes into a file, as another program does.
func (f *FS) Scribble(p string, data []byte, off int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		n.put(data, off)
		n.settle()
		n.mtime = f.tick()
	}
}

// Rename gives a file or folder another name, as another program does.
func (f *FS) Rename(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names.rename(f, clean(from), clean(to))
	f.names.settle(f)
}

// Cut changes a file's length, as another program does.
func (f *FS) Cut(p string, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		n.truncate(size)
		n.settle()
		n.mtime = f.tick()
	}
}

// Overwrite changes a file's content in place, as a failing disk or another program
// does.
func (f *FS) Overwrite(p string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.find(clean(p)); n != nil {
		n.data = slices.Clone(data)
		n.settle()
	}
}
