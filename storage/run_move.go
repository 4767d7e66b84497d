//pump: around moving payload to another folder.

package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

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
	if k.err = s.seeCopies(c.to, append(c.files, c.late...), c.target); k.err != nil {
		return
	}
	rec := appendText(nil, recMoved, c.dir)
	if k.err = s.recordNow(rec); k.err != nil {
		return
	}
	old := s.root
	s.root, s.dir = c.to, c.dir
	s.takeCopies()
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
	err := s.seeCopies(c.to, c.files, c.target)
	if err == nil {
		err = s.moveFile(c.to, c.target(final), c.to, final)
	}
	if err == nil {
		err = c.to.SyncDir(path.Dir(final))
	}
	if err != nil {
		return &Error{"rename", s.path(c.to, final), err}
	}
	s.final.Set(c.only)
	s.claimAll()
	s.takeCopies()
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
