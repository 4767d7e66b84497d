//pump: around what ends a torrent's stay on the disk.

package storage

import "errors"

// run makes the last record, or removes what is to be removed.
func (k *closeTask) run(d *Disk) {
	s := k.store
	switch {
	case k.remove:
		k.err = s.removePayload()
	case !k.forget && k.clean && (s.logged || !s.clean):
		if k.err = s.syncDirs(); k.err == nil {
			k.err = s.closePayload()
		}
		if k.err == nil {
			s.lastLook()
			k.err = s.recordClosed()
		}
	}
	if k.forget {
		s.removeState()
	}
	s.closeFiles()
}

// closePayload closes the payload's files, the first time that some systems tell of
// writes that have failed.
func (s *store) closePayload() error {
	if err := s.disk.pool.forget(s, func(i int32) bool { return i >= 0 }); err != nil {
		return &Error{"close", s.dir, err}
	}
	return nil
}

// recordClosed makes the last record: all is durable, and what files look like. If
// somebody else has changed them since our last write, the next start will see that.
func (s *store) recordClosed() error {
	s.logMu.Lock()
	if s.disk.state == nil {
		s.logMu.Unlock()
		return nil
	}
	err := s.appendLocked(appendClosed(s.recordAll(nil)))
	s.logMu.Unlock()
	if err == nil {
		err = s.syncState()
	}
	return err
}

// removeState removes what is kept of the torrent, its lock last.
func (s *store) removeState() {
	root, name := s.parts()
	_ = s.disk.pool.forget(s, func(int32) bool { return true })
	_ = root.Remove(name)
	if s.disk.state != nil {
		_ = s.disk.state.Remove(s.stateName())
		_ = s.disk.state.Remove(s.key + ".lock")
	}
}

// removePayload removes the torrent's files, and the folders that are empty then.
func (s *store) removePayload() error {
	_ = s.disk.pool.forget(s, func(int32) bool { return true })
	var errs []error
	for i := range int32(len(s.lay.files)) {
		if s.lay.files[i].Pad() || s.shared(i) {
			continue
		}
		root, name := s.where(i)
		if err := root.Remove(name); err != nil && !absent(err) {
			errs = append(errs, &Error{"remove", s.path(root, name), err})
			continue
		}
		for dir, _ := parentOf(name); dir != "."; dir, _ = parentOf(dir) {
			if root.Remove(dir) != nil {
				break
			}
		}
	}
	return errors.Join(errs...)
}
