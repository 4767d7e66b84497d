//pump: around a torrent's files.

package storage

import (
	"errors"
	"io"
	"path/filepath"
	"sync"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
)

// store is what workers know of a torrent's files. Where files lie changes only
// behind a fence, when no other job of the torrent runs.
type store struct {
	disk  *Disk
	lay   *layout
	key   string
	opt   Options
	dir   string // of root
	root  Root   // of complete files
	inc   Root   // of incomplete ones; nil: root
	names map[int32]string
	final bits.Set // files that have their final name
	place bits.Set // files that lie under a name, not in the part store
	clean bool     // the state file says what the files looked like when they were closed

	begun   sync.Once
	opening sync.Mutex // held while a file is opened for writing

	mu      sync.Mutex
	made    bits.Set         // files that exist: they are never made anew
	sized   bits.Set         // files whose length has been seen to
	newDirs map[rootDir]bool // folders in which names were made since the last sync

	claims map[int32]uint64 // files that this torrent writes, by the hash of their path

	illMu sync.Mutex
	ill   map[int32]error // files of which closing has failed since they were synced last

	logMu   sync.Mutex // of all below
	seen    []seenFile // by file
	news    []int32    // files of which something new was seen
	copies  []copyLook // that are about to take the place of files
	logSize int64
	logNew  bool // the file's name is not durable yet
	logged  bool // something was recorded
	lock    io.Closer
}

// name is a file's final name below root.
func (s *store) name(i int32) string {
	if n, ok := s.names[i]; ok {
		return n
	}
	return s.lay.files[i].Path.String()
}

// where is a file's present name. Files without data have their final one at once.
func (s *store) where(i int32) (Root, string) {
	if s.final.Has(i) || !s.lay.hasData(i) {
		return s.root, s.name(i)
	}
	return s.incomplete(i)
}

// incomplete is a file's name until it is complete.
func (s *store) incomplete(i int32) (Root, string) {
	root := s.root
	if s.inc != nil {
		root = s.inc
	}
	return root, s.name(i) + s.opt.IncompleteSuffix
}

// fault says what failed with which file.
func (s *store) fault(op string, i int32, err error) error {
	if err == nil {
		return nil
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	switch i {
	case partsFile:
		return &Error{op, "part store of " + s.key, err}
	case stateFile:
		return &Error{op, "state of " + s.key, err}
	}
	return &Error{op, s.path(s.where(i)), err}
}

// path is where a name is on the machine.
func (s *store) path(root Root, name string) string {
	dir := s.dir
	if root == s.inc && s.inc != nil {
		dir = s.opt.IncompleteDir
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// open returns a file of the payload, or the part store.
func (s *store) open(i int32, write bool) (*handle, error) {
	key := handleKey{s, i, write}
	if write && i >= 0 {
		// One at a time: of two that open it at once, one would find it locked.
		if h := s.disk.pool.find(key); h != nil {
			return h, nil
		}
		s.opening.Lock()
		defer s.opening.Unlock()
	}
	return s.disk.pool.get(key, func() (File, error) {
		switch {
		case i == partsFile:
			return s.openParts(write)
		case write:
			return s.openForWrite(i)
		}
		root, name := s.where(i)
		return root.OpenFile(name, ReadOnly)
	})
}

// parts is where the part store lies: beside the state, or hidden beside the
// payload if no state is kept.
func (s *store) parts() (Root, string) {
	if s.disk.state != nil {
		return s.disk.state, s.key + ".parts"
	}
	return s.root, ".shoal-parts-" + s.key
}

func (s *store) openParts(write bool) (File, error) {
	root, name := s.parts()
	if write {
		s.mu.Lock()
		s.noteDirs(root, name)
		s.mu.Unlock()
		return root.OpenFile(name, Create)
	}
	return root.OpenFile(name, ReadOnly)
}

// openForWrite opens a file and, the first time, makes it and reserves its space.
// A file that was there and is gone is not made again.
func (s *store) openForWrite(i int32) (File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	root, name := s.where(i)
	if !s.claim(i) {
		return nil, ErrShared
	}
	if s.made.Has(i) {
		f, err := root.OpenFile(name, ReadWrite)
		return s.prepare(f, i, err)
	}
	if err := s.makeParent(root, name); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, Create)
	if err == nil {
		s.made.Set(i)
	}
	return s.prepare(f, i, err)
}

// prepare makes sure that nobody else writes a file, before anything is done to it.
func (s *store) prepare(f File, i int32, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	if err := f.Lock(); err != nil {
		f.Close()
		return nil, err
	}
	return s.setSize(f, i)
}

// makeParent makes the folder of a file and notes that it has to be synced.
func (s *store) makeParent(root Root, name string) error {
	dir, _ := parentOf(name)
	if dir != "." {
		if err := root.MkdirAll(dir); err != nil {
			return err
		}
	}
	s.noteDirs(root, name)
	return nil
}

// noteDirs notes that the folders above a name have to be synced.
func (s *store) noteDirs(root Root, name string) {
	if s.newDirs == nil {
		s.newDirs = map[rootDir]bool{}
	}
	for dir, _ := parentOf(name); !s.newDirs[rootDir{root, dir}]; dir, _ = parentOf(dir) {
		s.newDirs[rootDir{root, dir}] = true
	}
}

// rootDir is a folder below a root.
type rootDir struct {
	root Root
	dir  string
}

// setSize cuts a file that is too long and reserves space for one that is not as
// long as it will be. Where space can't be reserved the file grows as it is written.
func (s *store) setSize(f File, i int32) (File, error) {
	if s.sized.Has(i) {
		return f, nil
	}
	info, err := f.Stat()
	length := s.lay.files[i].Length
	switch {
	case err != nil:
	case info.Size > length:
		s.announceOne(i)
		if err = f.Truncate(length); err == nil {
			err = s.resized(f, i)
		}
	case info.Size < length && s.opt.Allocation == Fallocate:
		s.announceOne(i)
		if err = f.Allocate(length); err == nil {
			err = s.resized(f, i)
		}
		if errors.Is(err, errors.ErrUnsupported) {
			err = nil
		} else if err != nil && noSpace(err) {
			// What fits is written all the same; give back what was reserved in vain.
			err = f.Truncate(info.Size)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	s.sized.Set(i)
	return f, nil
}

// ail notes that closing a file that was written has failed.
func (s *store) ail(i int32, err error) {
	s.illMu.Lock()
	defer s.illMu.Unlock()
	if s.ill == nil {
		s.ill = map[int32]error{}
	}
	s.ill[i] = err
}

// illness returns the error of an earlier closing, once.
func (s *store) illness(i int32) error {
	s.illMu.Lock()
	defer s.illMu.Unlock()
	err := s.ill[i]
	delete(s.ill, i)
	return err
}

// resized notes a length that we have given a file.
func (s *store) resized(f File, i int32) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if s.seen[i].known {
		s.seen[i].size = info.Size
	}
	s.noteSeen(i, info)
	return nil
}

// cutter hands out consecutive bytes of buffers.
type cutter struct {
	bufs [][]byte
	skip int // of the first
}

// take appends slices with the next n bytes.
func (c *cutter) take(dst [][]byte, n int64) [][]byte {
	for n > 0 {
		b := c.bufs[0][c.skip:]
		if int64(len(b)) > n {
			c.skip += int(n)
			return append(dst, b[:n])
		}
		dst = append(dst, b)
		n -= int64(len(b))
		c.bufs, c.skip = c.bufs[1:], 0
	}
	return dst
}

// each calls f for each stretch of a file or of the part store that holds n payload
// bytes at off. Part store stretches lie in one piece each.
func (s *store) each(sc *scratch, off, n int64, f func(file int32, at, n int64) error) error {
	sc.spans = s.lay.spans(sc.spans[:0], off, n)
	for _, sp := range sc.spans {
		if !s.lay.hasData(sp.file) || s.place.Has(sp.file) {
			if err := f(sp.file, sp.off, sp.n); err != nil {
				return err
			}
			continue
		}
		for from := s.lay.files[sp.file].Offset + sp.off; sp.n > 0; {
			p, at := s.lay.Locate(from)
			m := min(sp.n, s.lay.PieceSize(p)-at)
			if err := f(partsFile, s.lay.partOffset(from), m); err != nil {
				return err
			}
			from, sp.n = from+m, sp.n-m
		}
	}
	return nil
}

// begin says durably that payload is being written, before the first write: sizes
// and times of when the torrent was closed are not those of its files any more.
func (s *store) begin() (err error) {
	s.begun.Do(func() {
		if s.clean {
			err = s.recordNow(appendMark(nil, recBegun))
		}
	})
	return err
}

// write writes bufs at a payload offset; past says that they are not soon read again.
func (s *store) write(sc *scratch, bufs [][]byte, off, n int64, past bool) error {
	if err := s.begin(); err != nil {
		return err
	}
	s.announce(sc, off, n)
	c := cutter{bufs: bufs}
	return s.each(sc, off, n, func(file int32, at, n int64) error {
		sc.vec = c.take(sc.vec[:0], n)
		if file >= 0 && !s.lay.hasData(file) {
			return nil // padding is never stored
		}
		h, err := s.open(file, true)
		if err == nil {
			err = s.writeInto(h, file, sc.vec, at, past)
			s.disk.pool.put(h)
		}
		return s.fault("write", file, err)
	})
}

// read fills bufs from a payload offset on.
func (s *store) read(sc *scratch, bufs [][]byte, off, n int64) error {
	c := cutter{bufs: bufs}
	return s.each(sc, off, n, func(file int32, at, n int64) error {
		sc.vec = c.take(sc.vec[:0], n)
		if file >= 0 && !s.lay.hasData(file) {
			for _, b := range sc.vec {
				clear(b)
			}
			return nil
		}
		h, err := s.open(file, false)
		if err == nil {
			_, err = h.ReadV(sc.vec, at)
			s.disk.pool.put(h)
		}
		return s.fault("read", file, err)
	})
}

// readInto is read with one buffer.
func (s *store) readInto(sc *scratch, b []byte, off int64) error {
	sc.one[0] = b
	return s.read(sc, sc.one[:], off, int64(len(b)))
}

// blocksVec appends the contents of blocks.
func blocksVec(dst [][]byte, blocks []*block.Block) [][]byte {
	for _, b := range blocks {
		dst = append(dst, b.Bytes())
	}
	return dst
}
