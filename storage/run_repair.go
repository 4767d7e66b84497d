//pump: around what a crash has left half done.

package storage

import "errors"

// repair ends what a crash has interrupted: a move that had not come to its end is
// undone, one that had is cleaned up after, a renaming is completed.
func (k *openTask) repair(d *Disk, s *store) error {
	f := k.facts
	var rec []byte
	if f.moving != "" {
		if err := s.undoMove(d, f.moving); err != nil {
			return err
		}
	}
	if f.leftover && f.from != "" {
		s.cleanUp(d, f.from)
	}
	if f.moving != "" || f.leftover {
		rec = appendMark(rec, recCleaned)
		f.moving, f.leftover = "", false
	}
	if f.from != "" && k.dir == f.dir {
		rec = appendMark(rec, recSettled)
		f.from = ""
	}
	for _, r := range f.renamed {
		s.endRenaming(r)
	}
	s.endCopies(f)
	if err := s.syncDirs(); err != nil {
		return err
	}
	return s.recordNow(rec)
}

// names yields each file's present names below the torrent's folder.
func (s *store) allNames(f func(root Root, name string) error) error {
	for i := range int32(len(s.lay.files)) {
		if s.lay.files[i].Pad() {
			continue
		}
		if err := f(s.root, s.name(i)); err != nil {
			return err
		}
		if root, name := s.incomplete(i); root == s.root && name != s.name(i) {
			if err := f(root, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// undoMove brings back what an interrupted move has renamed and removes what it
// has copied. Before the move there was nothing of these names there.
func (s *store) undoMove(d *Disk, dir string) error {
	to, err := d.openRoot(dir, false)
	if err != nil {
		return nil // not even begun, or on a device that is not there
	}
	defer to.Close()
	defer s.syncAll(to)
	return s.allNames(func(root Root, name string) error {
		if _, err := to.Stat(name); err != nil {
			return nil
		}
		if _, err := root.Stat(name); err == nil {
			_ = to.Remove(name)
			removeEmpty(to, name)
			return nil
		}
		err := s.moveFile(to, name, root, name)
		if errors.Is(err, ErrCrossDevice) {
			// A copy: across devices originals are not removed before the move is
			// recorded. This one's has got another name since.
			_ = to.Remove(name)
			removeEmpty(to, name)
			err = nil
		}
		return err
	})
}

// cleanUp removes what a complete move has left where the payload was before.
func (s *store) cleanUp(d *Disk, dir string) {
	old, err := d.openRoot(dir, false)
	if err != nil {
		return
	}
	defer old.Close()
	_ = s.allNames(func(root Root, name string) error {
		was, err1 := old.Stat(name)
		is, err2 := root.Stat(name)
		if err1 == nil && err2 == nil && was.Kind == is.Kind && was.Size <= is.Size {
			_ = old.Remove(name)
			removeEmpty(old, name)
		}
		return nil
	})
	s.syncAll(old)
}

// syncAll makes durable that the torrent's names are gone from a folder.
func (s *store) syncAll(root Root) {
	syncNames(root, func(yield func(string)) {
		_ = s.allNames(func(_ Root, name string) error { yield(name); return nil })
	})
}

// endCopies removes what was left when complete files were being copied to their
// final place: copies that are not whole, or originals of those that are.
func (s *store) endCopies(f *facts) {
	if s.inc == nil {
		return
	}
	have := f.have()
	for i := range int32(len(s.lay.files)) {
		name := s.name(i)
		if !s.lay.hasData(i) {
			continue
		}
		if s.root.Remove(name+copySuffix) == nil {
			removeEmpty(s.root, name)
		}
		if !complete(s.lay, &have, i) {
			continue
		}
		root, inc := s.incomplete(i)
		if _, err := s.root.Stat(name); err == nil && root.Remove(inc) == nil {
			removeEmpty(root, inc)
		}
	}
}

// endRenaming gives a file the name that it was to have.
func (s *store) endRenaming(r renaming) {
	root, name := s.incomplete(r.file)
	for _, c := range [...]struct {
		root     Root
		from, to string
	}{{s.root, r.old, r.path}, {root, r.old + s.opt.IncompleteSuffix, name}} {
		_, err1 := c.root.Stat(c.from)
		if _, err2 := c.root.Stat(c.to); err1 == nil && absent(err2) {
			_ = s.moveFile(c.root, c.from, c.root, c.to)
		}
	}
}
