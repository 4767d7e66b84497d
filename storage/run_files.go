//pump: around files that are made, renamed and copied.

package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/shoal-bt/shoal/metainfo"
)

// run makes files and fills in what the part store has of them; only then they
// count as placed. After a failure the part store still has everything.
func (k *selectTask) run(d *Disk) {
	s := k.store
	if k.err = k.fill(d, s); k.err != nil {
		return
	}
	for _, i := range k.files {
		s.place.Set(i)
	}
	s.seeNew(k.files)
	s.claimAll()
	k.recordErr = s.recordNow(k.record)
	if k.clear && k.recordErr == nil {
		_ = d.pool.forget(s, func(i int32) bool { return i == partsFile })
		root, name := s.parts()
		_ = root.Remove(name)
	}
}

func (k *selectTask) fill(d *Disk, s *store) error {
	for _, i := range k.files {
		if s.lay.files[i].Length == 0 {
			made, err := s.makeEmptyFile(i)
			if err != nil {
				return err
			}
			if made {
				k.made = append(k.made, i)
			}
		}
	}
	sc := d.getScratch()
	defer d.putScratch(sc)
	for _, c := range k.copies {
		if err := s.fromParts(sc, c); err != nil {
			return err
		}
	}
	for _, i := range k.files { // it is the copy that counts now
		if s.made.Has(i) && len(k.copies) > 0 {
			if err := s.syncFile(i); err != nil {
				return err
			}
		}
	}
	return s.syncDirs()
}

// fromParts copies a stretch of a file out of the part store.
func (s *store) fromParts(sc *scratch, c span) error {
	from := s.lay.files[c.file].Offset + c.off
	for c.n > 0 {
		p, at := s.lay.Locate(from)
		n := min(c.n, s.lay.PieceSize(p)-at, scratchBytes)
		buf := sc.buffer(n)
		if err := s.readAt(partsFile, buf, s.lay.partOffset(from)); err != nil {
			return err
		}
		if err := s.writeAt(c.file, buf, c.off); err != nil {
			return err
		}
		from, c.off, c.n = from+n, c.off+n, c.n-n
	}
	return nil
}

func (s *store) readAt(i int32, b []byte, off int64) error {
	h, err := s.open(i, false)
	if err == nil {
		_, err = h.ReadV([][]byte{b}, off)
		s.disk.pool.put(h)
	}
	return s.fault("read", i, err)
}

func (s *store) writeAt(i int32, b []byte, off int64) error {
	if err := s.begin(); err != nil {
		return err
	}
	s.announceOne(i)
	h, err := s.open(i, true)
	if err == nil {
		err = s.writeInto(h, i, [][]byte{b}, off, false)
		s.disk.pool.put(h)
	}
	return s.fault("write", i, err)
}

// run gives a complete file its permissions and its final name.
func (k *finishTask) run(d *Disk) {
	s := k.store
	from, name := s.where(k.file)
	if s.lay.files[k.file].Attr&metainfo.AttrExecutable != 0 {
		if err := from.SetExec(name); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			k.err = &Error{"chmod", s.path(from, name), err}
			return
		}
	}
	if s.final.Has(k.file) {
		return
	}
	_ = d.pool.forget(s, func(i int32) bool { return i == k.file })
	err := s.moveFile(from, name, s.root, s.name(k.file))
	if errors.Is(err, ErrCrossDevice) {
		k.copier = s.copyOut(s.root, k.file)
		return
	}
	if err != nil {
		k.err = &Error{"rename", s.path(from, name), err}
		return
	}
	s.final.Set(k.file)
	s.claimAll()
}

// moveFile renames a file, makes the folders it needs and removes those that are
// empty then. It never replaces another file.
func (s *store) moveFile(from Root, name string, to Root, toName string) error {
	if from == to && name == toName {
		return nil
	}
	if _, err := to.Stat(toName); err == nil {
		return fmt.Errorf("%s: %w", toName, fs.ErrExist)
	}
	s.mu.Lock()
	err := s.makeParent(to, toName)
	s.mu.Unlock()
	if err == nil {
		err = from.MoveTo(name, to, toName)
	}
	if err != nil {
		return err
	}
	removeEmpty(from, name)
	return nil
}

// removeEmpty removes the folders above a name that are empty now.
func removeEmpty(root Root, name string) {
	for dir, _ := parentOf(name); dir != "."; dir, _ = parentOf(dir) {
		if root.Remove(dir) != nil {
			return
		}
	}
}

// syncNames makes durable that names are gone: it syncs the folders above them that
// are still there.
func syncNames(root Root, names func(yield func(string))) {
	done := map[string]bool{}
	names(func(name string) {
		for dir, _ := parentOf(name); !done[dir]; dir, _ = parentOf(dir) {
			done[dir] = true
			_ = root.SyncDir(dir) // if it fails, they are removed again after a crash
		}
	})
}

// run gives a file another name. That is recorded before, so that after a crash in
// between the file is found.
func (k *renameTask) run(d *Disk) {
	s := k.store
	_ = d.pool.forget(s, func(i int32) bool { return i == k.file })
	root, from := s.where(k.file)
	old, had := s.names[k.file]
	k.to.old = s.name(k.file)
	s.names[k.file] = k.to.path
	_, to := s.where(k.file)
	k.err = s.renameFile(k, root, from, to)
	if k.err == nil {
		return
	}
	k.err = &Error{"rename", s.path(root, from), k.err}
	if s.names[k.file] = old; !had {
		delete(s.names, k.file)
	}
	back := renaming{k.file, k.to.old, k.to.path}
	_ = s.record(appendRenamed(nil, back))
}

func (s *store) renameFile(k *renameTask, root Root, from, to string) error {
	_, err := root.Stat(from)
	if absent(err) && !s.made.Has(k.file) { // it has not been made yet
		return s.recordNow(appendRenamed(nil, k.to))
	}
	if err != nil {
		return err
	}
	if _, err := root.Stat(to); err == nil {
		return fs.ErrExist
	}
	// The name that is recorded as the old one has to be durable first.
	if err := s.syncDirs(); err != nil {
		return err
	}
	if err := s.recordNow(appendRenamed(nil, k.to)); err != nil {
		return err
	}
	if err := s.moveFile(root, from, root, to); err != nil {
		return err
	}
	s.claimAll()
	return s.syncDirs()
}
