//pump: around a torrent's state file.

package storage

func (s *store) stateName() string { return s.key + ".state" }

// record appends records to the state file. What a failed append has left is cut
// off, so that the next one is found.
func (s *store) record(b []byte) error {
	if s.disk.state == nil || len(b) == 0 {
		return nil
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	return s.appendLocked(append(s.recordSeen(nil), b...))
}

// appendLocked is record with logMu held.
func (s *store) appendLocked(b []byte) error {
	h, err := s.openState()
	if err != nil {
		return s.fault("write", stateFile, err)
	}
	defer s.disk.pool.put(h)
	if err := h.Append(b); err != nil {
		_ = h.Truncate(s.logSize) // if that fails too, reading resynchronises
		return s.fault("write", stateFile, err)
	}
	s.logSize += int64(len(b))
	s.logged = true
	return nil
}

func (s *store) openState() (*handle, error) {
	return s.disk.pool.get(handleKey{s, stateFile, true}, func() (File, error) {
		return s.disk.state.OpenFile(s.stateName(), Append)
	})
}

// syncState makes the state file durable.
func (s *store) syncState() error {
	if s.disk.state == nil {
		return nil
	}
	h, err := s.openState()
	if err != nil {
		return s.fault("sync", stateFile, err)
	}
	defer s.disk.pool.put(h)
	if err := h.Sync(); err != nil {
		return s.fault("sync", stateFile, err)
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	if s.logNew {
		if err := s.disk.state.SyncDir("."); err != nil {
			return s.fault("sync", stateFile, err)
		}
		s.logNew = false
	}
	return nil
}

// replaceState puts a new state file in the place of the old one, as a whole: a
// snapshot, behind which it says what files look like.
func (s *store) replaceState(data []byte, durable bool) error {
	root := s.disk.state
	if root == nil {
		return nil
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	data = s.recordAll(data)
	tmp := s.stateName() + ".tmp"
	err := writeFile(root, tmp, data, durable)
	if err == nil {
		_ = s.disk.pool.forget(s, func(i int32) bool { return i == stateFile })
		err = root.MoveTo(tmp, root, s.stateName())
	}
	if err != nil {
		_ = root.Remove(tmp)
		return s.fault("write", stateFile, err)
	}
	s.logSize, s.logNew = int64(len(data)), !durable
	if durable {
		return s.fault("sync", stateFile, root.SyncDir("."))
	}
	return nil
}

func writeFile(root Root, name string, data []byte, durable bool) error {
	f, err := root.OpenFile(name, Replace)
	if err != nil {
		return err
	}
	_, err = f.WriteV([][]byte{data}, 0)
	if err == nil && durable {
		err = f.Sync()
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	return err
}
