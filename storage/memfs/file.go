package memfs

import (
	"errors"
	"io"
	"slices"
	"syscall"

	"github.com/shoal-bt/shoal/storage"
)

// content is a file's bytes as everybody sees them, and what of them is durable.
type content struct {
	data    []byte
	durable []byte   // as of the last sync
	pending []change // since then
	pages   []bool   // that take room on the device
}

// change is a write, or a new length when data is nil.
type change struct {
	off  int64
	data []byte
}

// settle makes all durable.
func (c *content) settle() {
	c.durable = slices.Clone(c.data)
	c.pending = nil
}

func (c *content) truncate(size int64) {
	c.data = resize(c.data, size)
	c.pending = append(c.pending, change{off: size})
}

// forget drops what a power cut would need to know.
func (f *FS) forget(c *content) {
	if f.AllDurable {
		c.pending = nil
	}
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (c *content) write(b []byte, off int64) {
	c.put(b, off)
	c.pending = append(c.pending, change{off, slices.Clone(b)})
}

func (c *content) put(b []byte, off int64) {
	if end := off + int64(len(b)); end > int64(len(c.data)) {
		c.data = resize(c.data, end)
	}
	copy(c.data[off:], b)
}

// file is an open file.
type file struct {
	fs       *FS
	node     *node
	path     string
	life     int
	writable bool
	closed   bool
}

// enter locks the file system for a call; the caller unlocks it.
func (f *file) enter(op string, off, size int64) error {
	f.fs.mu.Lock()
	switch {
	case f.closed:
		return pathErr(op, f.path, errors.New("file is closed"))
	case f.life != f.fs.life:
		return ErrOff
	}
	return f.fs.enter(op, f.path, off, size)
}

func total(bufs [][]byte) (n int64) {
	for _, b := range bufs {
		n += int64(len(b))
	}
	return n
}

func (f *file) ReadV(bufs [][]byte, off int64) (int, error) {
	err := f.enter("read", off, total(bufs))
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, b := range bufs {
		m := 0
		if off < int64(len(f.node.data)) {
			m = copy(b, f.node.data[off:])
		}
		n, off = n+m, off+int64(m)
		if m < len(b) {
			return n, io.ErrUnexpectedEOF
		}
	}
	return n, nil
}

// WritePast is WriteV and counted: there is no cache to spare.
func (f *file) WritePast(bufs [][]byte, off int64) (int, error) {
	n, err := f.WriteV(bufs, off)
	f.fs.mu.Lock()
	f.fs.past += int64(n)
	f.fs.mu.Unlock()
	return n, err
}

func (f *file) WriteV(bufs [][]byte, off int64) (n int, err error) {
	err = f.enter("write", off, total(bufs))
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	for _, b := range bufs {
		m, err := f.write(b, off)
		n, off = n+m, off+int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// write writes what fits on the device.
func (f *file) write(b []byte, off int64) (int, error) {
	if !f.writable {
		return 0, pathErr("write", f.path, syscall.EBADF)
	}
	fit := f.fit(off, int64(len(b)))
	f.node.write(b[:fit], off)
	f.fs.forget(&f.node.content)
	f.node.mtime = f.fs.tick()
	if fit < int64(len(b)) {
		return int(fit), pathErr("write", f.path, syscall.ENOSPC)
	}
	return len(b), nil
}

// pageSize is what a device gives room in.
const pageSize = 4096

// fit takes room for a write from the device and returns how many bytes of it fit.
func (f *file) fit(off, n int64) int64 {
	return f.node.take(off, n)
}

// take takes pages for n bytes at off; it returns how many bytes got one.
func (n *node) take(off, size int64) int64 {
	d := n.disk
	if d == nil {
		return size
	}
	for p := off / pageSize; p*pageSize < off+size; p++ {
		for int64(len(n.pages)) <= p {
			n.pages = append(n.pages, false)
		}
		if n.pages[p] {
			continue
		}
		if d.Cap > 0 && d.Used+pageSize > d.Cap {
			return max(p*pageSize-off, 0)
		}
		n.pages[p] = true
		d.Used += pageSize
	}
	return size
}

// free gives back the pages behind the first size bytes.
func (n *node) free(size int64) {
	if n.disk == nil {
		return
	}
	for p := (size + pageSize - 1) / pageSize; p < int64(len(n.pages)); p++ {
		if n.pages[p] {
			n.pages[p] = false
			n.disk.Used -= pageSize
		}
	}
}

func (f *file) Append(b []byte) error {
	err := f.enter("append", 0, int64(len(b)))
	defer f.fs.mu.Unlock()
	if err == nil {
		_, err = f.write(b, int64(len(f.node.data)))
	}
	return err
}

func (f *file) Stat() (storage.Info, error) {
	err := f.enter("stat", 0, 0)
	defer f.fs.mu.Unlock()
	i := f.node.info()
	i.ID = f.node.id
	return i, err
}

// Lock implements storage.File.
func (f *file) Lock() error {
	err := f.enter("flock", 0, 0)
	defer f.fs.mu.Unlock()
	by := f.node.locked
	switch {
	case err != nil:
		return err
	case by != nil && by != f && !by.closed && by.life == f.fs.life:
		return storage.ErrLocked
	}
	f.node.locked = f
	return nil
}

func (f *file) Truncate(size int64) error {
	err := f.enter("truncate", size, 0)
	defer f.fs.mu.Unlock()
	if err != nil {
		return err
	}
	f.node.free(size)
	f.node.truncate(size)
	f.node.mtime = f.fs.tick()
	return nil
}

func (f *file) Allocate(size int64) error {
	err := f.enter("allocate", 0, size)
	defer f.fs.mu.Unlock()
	if err != nil {
		return err
	}
	if f.fs.NoAllocate {
		return errors.ErrUnsupported
	}
	if size <= int64(len(f.node.data)) {
		return nil
	}
	if f.node.take(0, size) < size { // what it got stays, as on some real ones
		return pathErr("allocate", f.path, syscall.ENOSPC)
	}
	f.node.truncate(size)
	return nil
}

// NextData takes every byte for data.
func (f *file) NextData(off int64) (int64, error) { return off, nil }

func (f *file) Sync() error {
	err := f.enter("sync", 0, 0)
	defer f.fs.mu.Unlock()
	if err == nil && !f.fs.AllDurable {
		f.node.settle()
	}
	return err
}

func (f *file) Close() error {
	if !f.writable {
		f.fs.mu.Lock()
		defer f.fs.mu.Unlock()
		f.closed = true
		return nil
	}
	err := f.enter("close", 0, 0) // which can tell of writes that have failed
	defer f.fs.mu.Unlock()
	f.closed = true
	if errors.Is(err, ErrOff) {
		return nil // the process is gone
	}
	return err
}
