//pump: around the operating system's files.

package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// OS is the machine's own file system. Payload and state are reached through
// os.Root only, so no name and no symbolic link leads out of a torrent's folder.
type OS struct{}

// BootID implements FS.
func (OS) BootID() string { return bootID() }

// OpenRoot implements FS.
func (OS) OpenRoot(dir string) (Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &osRoot{r, abs}, nil
}

// MakeRoot implements FS. New folders are durable: nothing else would make them so,
// since they lie outside of the root.
func (o OS) MakeRoot(dir string) (Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var made []string
	for d := abs; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); err == nil || d == filepath.Dir(d) {
			break
		}
		made = append(made, filepath.Dir(d))
	}
	if err := os.MkdirAll(abs, 0o777); err != nil {
		return nil, err
	}
	for _, d := range made {
		if f, err := os.Open(d); err == nil {
			_ = syncDir(f) // the payload's own syncs tell when a disk is ill
			f.Close()
		}
	}
	return o.OpenRoot(abs)
}

type osRoot struct {
	*os.Root
	dir string
}

func (r *osRoot) OpenFile(name string, how How) (File, error) {
	flag := [...]int{
		ReadOnly:  os.O_RDONLY,
		ReadWrite: os.O_RDWR,
		Create:    os.O_RDWR | os.O_CREATE,
		Replace:   os.O_RDWR | os.O_CREATE | os.O_TRUNC,
		Append:    os.O_RDWR | os.O_CREATE | os.O_APPEND,
	}[how]
	if how != ReadOnly {
		// What is written must not go through a link into some other file of the
		// folder. Reading may: people seed from farms of links.
		if st, err := r.Root.Lstat(name); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is a symbolic link, and nothing is written through one")}
		}
	}
	f, err := r.Root.OpenFile(name, flag, 0o666)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &osFile{f: f, fd: int(f.Fd())}, nil
}

func (r *osRoot) Stat(name string) (Info, error) {
	st, err := r.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(st), nil
}

func infoOf(st fs.FileInfo) Info {
	i := Info{Size: st.Size(), MTime: st.ModTime().UnixNano(), Kind: Special, Links: links(st)}
	switch m := st.Mode(); {
	case m.IsRegular():
		i.Kind = Regular
	case m.IsDir():
		i.Kind = Folder
	case m&fs.ModeSymlink != 0:
		i.Kind = Symlink
	}
	return i
}

func (r *osRoot) MkdirAll(name string) error { return r.Root.MkdirAll(name, 0o777) }

func (r *osRoot) MoveTo(name string, to Root, toName string) error {
	dst, ok := to.(*osRoot)
	if !ok {
		return ErrCrossDevice
	}
	if dst == r || dst.dir == r.dir {
		return r.Rename(name, toName)
	}
	return moveBetween(r, name, dst, toName)
}

func (r *osRoot) SetExec(name string) error {
	st, err := r.Lstat(name)
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	m := st.Mode().Perm()
	return r.Chmod(name, m|m&0o444>>2)
}

func (r *osRoot) SyncDir(name string) error {
	d, err := r.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return syncDir(d)
}

func (r *osRoot) Lock(name string, exclusive bool) (io.Closer, error) {
	for {
		f, err := r.Root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f, exclusive); err != nil {
			f.Close()
			return nil, err
		}
		// Whoever held the lock before may have removed the file: then this lock
		// is of a file that nobody else will ever see.
		mine, err1 := f.Stat()
		there, err2 := r.Root.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			return f, nil
		}
		f.Close()
	}
}

func (r *osRoot) Present() error {
	there, err := os.Stat(r.dir)
	if err != nil {
		return err
	}
	mine, err := r.Root.Stat(".")
	if err == nil && !os.SameFile(mine, there) {
		err = &fs.PathError{Op: "open", Path: r.dir, Err: errors.New("has been replaced by another folder")}
	}
	return err
}

// parentOf splits a slash-separated name.
func parentOf(name string) (dir, base string) { return path.Dir(name), path.Base(name) }

type osFile struct {
	f      *os.File
	fd     int
	cached atomic.Bool // its file system knows no way past the page cache
	mu     sync.Mutex  // appends

	named sync.Once
	id    FileID
	kind  fsKind
}

func (f *osFile) ReadV(bufs [][]byte, off int64) (int, error)  { return readV(f, bufs, off) }
func (f *osFile) WriteV(bufs [][]byte, off int64) (int, error) { return writeV(f, bufs, off) }

func (f *osFile) WritePast(bufs [][]byte, off int64) (int, error) { return writePast(f, bufs, off) }

func (f *osFile) Append(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.f.Write(b)
	return err
}

func (f *osFile) Stat() (Info, error) {
	st, err := f.f.Stat()
	if err != nil {
		return Info{}, err
	}
	i := infoOf(st)
	i.ID, i.Late = f.identity(), f.kind.late
	return i, nil
}

// identity looks once: an open file stays the same.
func (f *osFile) identity() FileID {
	f.named.Do(func() {
		f.id, f.kind = identify(f)
		if f.kind.renumbers {
			f.id = FileID{}
		}
	})
	return f.id
}

// Lock implements File.
func (f *osFile) Lock() error {
	if f.identity(); f.kind.noLock {
		return nil
	}
	return lockPayload(f.f)
}

// fsKind is what has to be known of the kind of file system.
type fsKind struct {
	noReserve bool // reserved space is written elsewhere later, so that reserving only costs, or goes over a network
	renumbers bool // a file's number may be another one the next time
	late      bool // a file's time may change after it was written
	noLock    bool // a lock keeps readers out
}

func (f *osFile) Truncate(size int64) error         { return f.f.Truncate(size) }
func (f *osFile) Allocate(size int64) error         { return allocate(f, size) }
func (f *osFile) NextData(off int64) (int64, error) { return nextData(f, off) }
func (f *osFile) Sync() error                       { return syncData(f) }
func (f *osFile) Close() error                      { return f.f.Close() }
