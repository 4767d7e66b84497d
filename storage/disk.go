//pump: around files: what workers share. Nothing here decides what is done.

package storage

import (
	"crypto/sha1"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/shoal-bt/shoal/internal/sha1x2"
)

// Disk is what workers need to run jobs: the files, those that are open, the state
// folder. It is safe for concurrent use. Close it when all jobs are done.
type Disk struct {
	fs   FS
	pool handles

	mu    sync.Mutex
	state Root // nil: nothing is kept
	lock  io.Closer
	share bool
	zeros map[int64][20]byte // hashes of nothing but zeros, by length

	claims map[uint64]*claim      // by the hash of a file's path
	roots  map[string]*sharedRoot // by their path

	scratch sync.Pool
}

// DefaultMaxFiles is how many files a Disk keeps open.
const DefaultMaxFiles = 256

// NewDisk makes a Disk that keeps at most maxFiles files open; 0 is the default.
func NewDisk(fs FS, maxFiles int) *Disk {
	if maxFiles <= 0 {
		maxFiles = DefaultMaxFiles
	}
	d := &Disk{fs: fs, pool: newHandles(maxFiles), zeros: map[int64][20]byte{}, claims: map[uint64]*claim{}, roots: map[string]*sharedRoot{}}
	d.scratch.New = func() any { return &scratch{sums: [2]*sha1x2.Digest{sha1x2.New(), sha1x2.New()}} }
	return d
}

// Close closes all files and gives up the lock on the state folder.
func (d *Disk) Close() error {
	err := d.pool.closeAll()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock != nil {
		d.lock.Close()
	}
	if d.state != nil {
		d.state.Close()
	}
	d.lock, d.state = nil, nil
	return errors.Join(err, d.closeRoots())
}

// scratchBytes is how much is read at a time where data are not kept.
const scratchBytes = 512 << 10

// scratch is a worker's memory.
type scratch struct {
	buf   []byte
	one   [1][]byte
	vec   [][]byte
	spans []span
	held  []byte
	sums  [2]*sha1x2.Digest
}

func (d *Disk) getScratch() *scratch  { return d.scratch.Get().(*scratch) }
func (d *Disk) putScratch(s *scratch) { clear(s.vec); s.one[0] = nil; d.scratch.Put(s) }

// buffer returns n bytes of the scratch.
func (s *scratch) buffer(n int64) []byte {
	if int64(len(s.buf)) < n {
		s.buf = make([]byte, max(n, scratchBytes))
	}
	return s.buf[:n]
}

// hold returns n bytes that stay as they are while the buffer is used.
func (s *scratch) hold(n int64) []byte {
	if int64(len(s.held)) < n {
		s.held = make([]byte, n)
	}
	return s.held[:n]
}

// zeroSum is the SHA-1 of n zeros.
func (d *Disk) zeroSum(n int64) [20]byte {
	d.mu.Lock()
	sum, ok := d.zeros[n]
	d.mu.Unlock()
	if ok {
		return sum
	}
	sum = sha1.Sum(make([]byte, n))
	d.mu.Lock()
	if len(d.zeros) < 64 {
		d.zeros[n] = sum
	}
	d.mu.Unlock()
	return sum
}

// absent reports whether an error says that there is no such file.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// run opens the state folder and locks it.
func (k *bootTask) run(d *Disk) {
	k.boot = d.fs.BootID()
	if k.dir == "" {
		return
	}
	root, err := d.fs.MakeRoot(k.dir)
	if err != nil {
		k.err = &Error{"state folder", k.dir, err}
		return
	}
	lock, err := root.Lock("lock", !k.shared)
	if err != nil {
		root.Close()
		k.err = &Error{"state folder", k.dir, err}
		return
	}
	d.mu.Lock()
	d.state, d.lock, d.share = root, lock, k.shared
	d.mu.Unlock()
}

// Error is a failure of the disk, or of who looks after it. It says what was tried
// and with which file.
type Error struct {
	Op   string // "write", "read", "state folder", ...
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Op + " " + e.Path + ": " + cause(e.Err).Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Space reports whether there is no room on the disk, or a quota is used up.
func (e *Error) Space() bool { return noSpace(e.Err) }

// cause leaves out paths that an error of package os repeats.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
