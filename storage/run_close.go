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
			k.err = s.recordNow(appendClosed(nil, s.stats()))
		}
	}
	if k.forget {
		s.removeState()
	}
	s.closeFiles()
}

// stats are the sizes and times of the files.
func (s *store) stats() []fileStat {
	_ = s.disk.pool.forget(s, func(i int32) bool { return i >= 0 })
	var out []fileStat
	for i := range int32(len(s.lay.files)) {
		if !s.lay.hasData(i) || !s.place.Has(i) {
			continue
		}
		root, name := s.where(i)
		if info, err := root.Stat(name); err == nil {
			out = append(out, fileStat{i, info.Size, info.MTime})
		}
	}
	return out
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
