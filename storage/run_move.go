//pump: around moving payload to another folder.

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"github.com/shoal-bt/shoal/metainfo"
)

// run moves all files that lie in the torrent's folder by renaming. If the new
// folder is on another device, nothing is renamed and a copier is made.
func (k *moveTask) run(d *Disk) {
	s := k.store
	if k.to, k.err = filepath.Abs(k.to); k.err != nil {
		return
	}
	to, err := d.openRoot(k.to, true)
	if err != nil {
		k.err = &Error{"move to", k.to, err}
		return
	}
	files := s.inRoot()
	if k.err = conflict(to, k.to, files); k.err == nil {
		k.err = k.log(appendText(nil, recMoving, k.to))
	}
	if k.err != nil {
		to.Close()
		return
	}
	err = k.renameAll(d, to, files)
	switch {
	case errors.Is(err, ErrCrossDevice):
		k.copier = &copier{s: s, to: to, dir: k.to, files: files, only: -1}
		return
	case err == nil:
		err = k.arrived(to)
	}
	if err != nil {
		k.err = err
		_ = k.log(appendMark(nil, recCleaned))
		to.Close()
	}
}

// log records a step of the move, durably.
func (k *moveTask) log(rec []byte) error {
	k.logged += int64(len(rec))
	return k.store.recordNow(rec)
}

// recordNow appends a record and makes it durable.
func (s *store) recordNow(rec []byte) error {
	if len(rec) == 0 {
		return nil
	}
	err := s.record(rec)
	if err == nil {
		err = s.syncState()
	}
	return err
}

// placeName is a file and its name.
type placeName struct {
	file int32
	name string
}

// inRoot lists what of the torrent lies in its folder. The part store lies there
// only if no state is kept.
func (s *store) inRoot() (out []placeName) {
	for i := range int32(len(s.lay.files)) {
		if s.lay.files[i].Pad() {
			continue
		}
		root, name := s.where(i)
		if root != s.root {
			continue
		}
		if _, err := root.Stat(name); err == nil {
			out = append(out, placeName{i, name})
		}
	}
	if root, name := s.parts(); root == s.root {
		if _, err := root.Stat(name); err == nil {
			out = append(out, placeName{partsFile, name})
		}
	}
	return out
}

// conflict refuses to replace files of others.
func conflict(to Root, dir string, files []placeName) error {
	for _, f := range files {
		if _, err := to.Stat(f.name); !absent(err) {
			if err == nil {
				err = fs.ErrExist
			}
			return &Error{"move to", filepath.Join(dir, f.name), err}
		}
	}
	return nil
}

// renameAll renames files; after a failure those that were renamed are renamed back.
func (k *moveTask) renameAll(d *Disk, to Root, files []placeName) error {
	s := k.store
	_ = d.pool.forget(s, func(i int32) bool { return i != stateFile })
	for n, f := range files {
		err := s.moveFile(s.root, f.name, to, f.name)
		if err == nil {
			continue
		}
		for _, g := range files[:n] {
			if back := s.moveFile(to, g.name, s.root, g.name); back != nil {
				return fmt.Errorf("move: %w; and back: %w", err, back)
			}
		}
		if !errors.Is(err, ErrCrossDevice) {
			err = &Error{"move", s.path(s.root, f.name), err}
		}
		return err
	}
	return nil
}

// arrived records the move and lets the torrent live in its new folder.
func (k *moveTask) arrived(to Root) error {
	s := k.store
	if err := s.syncDirs(); err != nil {
		return err
	}
	rec := appendMark(appendText(nil, recMoved, k.to), recCleaned)
	if err := k.log(rec); err != nil {
		return err
	}
	s.root.Close()
	s.root, s.dir = to, k.to
	s.claimAll()
	return nil
}

// copier copies files to another folder, a part at a time.
type copier struct {
	s     *store
	to    Root
	dir   string
	files []placeName
	only  int32       // the one file that is copied because it is complete; -1: a move
	again []stretch   // payload to be copied once more
	late  []placeName // files that were made since files were listed

	at  int   // in files
	off int64 // in that file
	out File
}

// copyOut makes a copier of one complete file.
func (s *store) copyOut(to Root, i int32) *copier {
	return &copier{s: s, to: to, files: []placeName{{i, s.name(i)}}, only: i}
}

// copySuffix is on the name of a copy until all of it is there. A move needs none:
// the state file says that it is under way.
const copySuffix = ".shoal-copy"

// target is the name under which a file is copied.
func (c *copier) target(name string) string {
	if c.only >= 0 {
		return name + copySuffix
	}
	return name
}

func (k *copyTask) run(d *Disk) {
	if k.err = k.store.begin(); k.err != nil {
		return
	}
	k.done, k.err = k.copier.step(d, copyBytes)
	if k.err != nil {
		k.err = &Error{"copy to", k.copier.dir, k.err}
	}
}

// step copies about n bytes and reports whether all is copied.
func (c *copier) step(d *Disk, n int64) (done bool, err error) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	for n > 0 {
		switch {
		case c.at < len(c.files):
			m, err := c.copySome(sc)
			if err != nil {
				return false, err
			}
			n -= m
		case len(c.again) > 0:
			if err := c.copyAgain(sc, c.again[0]); err != nil {
				return false, err
			}
			n -= c.again[0].n
			c.again = c.again[1:]
		default:
			return true, nil
		}
	}
	return false, nil
}

// copySome copies the next part of the present file and returns its length.
func (c *copier) copySome(sc *scratch) (int64, error) {
	f := c.files[c.at]
	if f.file >= 0 && c.s.lay.files[f.file].Symlink() {
		c.at++
		return 1, c.copyLink(f)
	}
	h, err := c.source(f)
	if err != nil {
		return 0, err
	}
	defer c.s.disk.pool.put(h)
	info, err := h.Stat()
	if err != nil {
		return 0, err
	}
	if c.out == nil {
		if c.out, err = c.create(c.target(f.name), info.Size); err != nil {
			return 0, err
		}
	}
	from, err := h.NextData(c.off)
	if err != nil || from < c.off {
		from = c.off
	}
	c.off = min(from, info.Size)
	buf := sc.buffer(min(info.Size-c.off, scratchBytes))
	if len(buf) > 0 {
		err = copyPart(h, c.out, buf, c.off)
		c.off += int64(len(buf))
	}
	if err == nil && c.off >= info.Size {
		err = c.finishFile()
	}
	return int64(len(buf)) + 1, err
}

func (c *copier) source(f placeName) (*handle, error) {
	if f.file >= 0 && !c.s.lay.hasData(f.file) {
		return c.s.disk.pool.get(handleKey{c.s, f.file, false}, func() (File, error) {
			return c.s.root.OpenFile(f.name, ReadOnly)
		})
	}
	return c.s.open(f.file, false)
}

func copyPart(from, to File, buf []byte, off int64) error {
	if _, err := from.ReadV([][]byte{buf}, off); err != nil {
		return err
	}
	_, err := to.WriteV([][]byte{buf}, off)
	return err
}

func (c *copier) create(name string, size int64) (File, error) {
	c.s.mu.Lock()
	err := c.s.makeParent(c.to, name)
	c.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f, err := c.to.OpenFile(name, Replace)
	if err == nil {
		if err = f.Truncate(size); err != nil {
			f.Close()
		}
	}
	return f, err
}

// finishFile makes the copy of a file durable and goes on to the next one.
func (c *copier) finishFile() error {
	err := c.out.Sync()
	if err2 := c.out.Close(); err == nil {
		err = err2
	}
	c.out = nil
	c.at, c.off = c.at+1, 0
	return err
}

func (c *copier) copyLink(f placeName) error {
	c.s.mu.Lock()
	err := c.s.makeParent(c.to, f.name)
	c.s.mu.Unlock()
	if err == nil {
		err = c.to.Symlink(c.s.lay.files[f.file].LinkText(), f.name)
	}
	return err
}

// copyAgain copies a stretch that was written after it may have been copied.
func (c *copier) copyAgain(sc *scratch, st stretch) error {
	type part struct {
		file  int32
		at, n int64
	}
	var parts []part // each reuses sc.spans, which reading does not
	err := c.s.each(sc, st.off, st.n, func(file int32, at, n int64) error {
		parts = append(parts, part{file, at, n})
		return nil
	})
	for _, p := range parts {
		if err == nil && c.copies(p.file) {
			err = c.copyRange(sc, p.file, p.at, p.n)
		}
	}
	return err
}

// copies reports whether a file is one of those that are copied.
func (c *copier) copies(i int32) bool {
	if i == partsFile {
		root, _ := c.s.parts()
		return root == c.s.root
	}
	root, _ := c.s.where(i)
	return c.s.lay.hasData(i) && root == c.s.root
}

func (c *copier) copyRange(sc *scratch, i int32, at, n int64) error {
	h, err := c.s.open(i, false)
	if err != nil {
		return err
	}
	defer c.s.disk.pool.put(h)
	_, name := c.s.parts()
	if i >= 0 {
		_, name = c.s.where(i)
	}
	c.s.mu.Lock()
	err = c.s.makeParent(c.to, name)
	c.s.mu.Unlock()
	if err != nil {
		return err
	}
	if f := (placeName{i, name}); !slices.Contains(c.files, f) && !slices.Contains(c.late, f) {
		c.late = append(c.late, f)
	}
	out, err := c.to.OpenFile(name, Create)
	if err != nil {
		return err
	}
	for n > 0 && err == nil {
		buf := sc.buffer(min(n, scratchBytes))
		err = copyPart(h, out, buf, at)
		at, n = at+int64(len(buf)), n-int64(len(buf))
	}
	if err == nil {
		err = out.Sync()
	}
	if err2 := out.Close(); err == nil {
		err = err2
	}
	return err
}

// run finishes the copy while nothing else touches the files, records the new
// folder, and then removes the originals.
func (k *switchTask) run(d *Disk) {
	c, s := k.copier, k.store
	for done := false; !done && k.err == nil; {
		done, k.err = c.step(d, copyBytes)
	}
	if k.err == nil {
		k.err = s.syncDirs()
	}
	if k.err == nil {
		k.err = c.keepExec()
	}
	if k.err != nil {
		k.err = &Error{"copy to", c.dir, k.err}
		return
	}
	_ = d.pool.forget(s, func(i int32) bool { return i != stateFile })
	if c.only >= 0 {
		k.err = c.replaceOne()
		return
	}
	rec := appendText(nil, recMoved, c.dir)
	if k.err = s.recordNow(rec); k.err != nil {
		return
	}
	old := s.root
	s.root, s.dir = c.to, c.dir
	s.claimAll()
	c.removeFrom(old)
	old.Close()
	k.logged = 2 * int64(len(rec))
	_ = s.record(appendMark(nil, recCleaned)) // else the next start cleans up
}

// replaceOne puts the copy of one file in its place and removes the original.
func (c *copier) replaceOne() error {
	s := c.s
	root, name := s.where(c.only)
	final := s.name(c.only)
	err := s.moveFile(c.to, c.target(final), c.to, final)
	if err == nil {
		err = c.to.SyncDir(path.Dir(final))
	}
	if err != nil {
		return &Error{"rename", s.path(c.to, final), err}
	}
	s.final.Set(c.only)
	s.claimAll()
	_ = root.Remove(name)
	removeEmpty(root, name)
	return nil
}

// keepExec gives the copies the permissions of the originals.
func (c *copier) keepExec() error {
	for _, f := range c.files {
		if f.file >= 0 && c.s.lay.files[f.file].Attr&metainfo.AttrExecutable != 0 && (c.only >= 0 || c.s.final.Has(f.file)) {
			if err := c.to.SetExec(c.target(f.name)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
				return err
			}
		}
	}
	return nil
}

// removeFrom removes the torrent's files in a folder, and the folders that are
// empty then.
func (c *copier) removeFrom(root Root) {
	files := append(c.files, c.late...)
	for _, f := range files {
		_ = root.Remove(f.name)
		removeEmpty(root, f.name)
	}
	syncNames(root, func(yield func(string)) {
		for _, f := range files {
			yield(f.name)
		}
	})
}

// run removes copies.
func (k *undoTask) run(*Disk) {
	c := k.copier
	if c.out != nil {
		c.out.Close()
	}
	if c.only >= 0 {
		_ = c.to.Remove(c.target(c.files[0].name))
		removeEmpty(c.to, c.files[0].name)
	} else {
		c.removeFrom(c.to)
		c.to.Close()
		_ = c.s.record(appendMark(nil, recCleaned))
	}
}
