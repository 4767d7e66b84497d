//pump: around syncs and the state file.

package storage

// run syncs files and the folders that name them, and only then records that their
// pieces are durable.
func (k *syncTask) run(d *Disk) {
	s := k.store
	for _, i := range k.files {
		if k.err = s.syncFile(i); k.err != nil {
			return
		}
	}
	if k.parts {
		if k.err = s.syncFile(partsFile); k.err != nil {
			return
		}
	}
	if k.err = s.syncDirs(); k.err != nil {
		return
	}
	if k.recordErr = s.record(k.record); k.recordErr == nil && len(k.record) > 0 {
		k.recordErr = s.syncState()
	}
}

func (s *store) syncFile(i int32) error {
	h, err := s.open(i, true)
	if err != nil {
		return s.fault("sync", i, err)
	}
	defer s.disk.pool.put(h)
	return s.fault("sync", i, h.Sync())
}

// syncDirs makes new names durable.
func (s *store) syncDirs() error {
	s.mu.Lock()
	dirs := s.newDirs
	s.newDirs = nil
	s.mu.Unlock()
	for d := range dirs {
		if err := d.root.SyncDir(d.dir); err != nil && !absent(err) {
			return &Error{"sync", d.dir, err}
		}
	}
	return nil
}

func (k *stateTask) run(*Disk) { k.err = k.store.record(k.record) }

func (k *compactTask) run(*Disk) { k.err = k.store.replaceState(k.data, true) }
