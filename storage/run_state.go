//pump: around syncs and the state file.

package storage

import (
	"crypto/sha1"
	"errors"
	"io"
	"slices"
)

// run syncs files and the folders that name them, and only then records that their
// pieces are durable.
func (k *syncTask) run(d *Disk) {
	s := k.store
	for _, i := range k.files {
		if k.err = s.syncFile(i); k.err != nil {
			return
		}
	}
	// What is synced is not worth much if the names lead elsewhere.
	look := slices.Values(k.files)
	if len(k.wait) > 0 {
		look = s.everyFile
	}
	if k.err = s.allInPlace(look); k.err != nil {
		return
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
	h, err := s.open(i, !s.opt.ReadOnly)
	if err != nil {
		return s.fault("sync", i, err)
	}
	defer s.disk.pool.put(h)
	if err := h.Sync(); err != nil && !s.opt.ReadOnly { // some systems sync only what may be written
		return s.fault("sync", i, err)
	}
	if err := s.illness(i); err != nil {
		return s.fault("close", i, err)
	}
	if info, err := h.Stat(); err == nil && info.Links == 0 {
		return s.fault("sync", i, ErrMissing) // somebody has removed it
	}
	return nil
}

// syncDirs makes new names durable.
func (s *store) syncDirs() error {
	s.mu.Lock()
	dirs := s.newDirs
	s.newDirs = nil
	s.mu.Unlock()
	for d := range dirs {
		if err := d.root.SyncDir(d.dir); err != nil && !absent(err) {
			return &Error{"sync", s.path(d.root, d.dir), err}
		}
	}
	return nil
}

func (k *stateTask) run(*Disk) { k.err = k.store.record(k.record) }

func (k *compactTask) run(*Disk) { k.err = k.store.replaceState(k.data, true) }

// run looks at each file.
func (k *arrivedTask) run(*Disk) {
	k.errs = make([]error, len(k.files))
	for n, i := range k.files {
		k.errs[n] = k.store.allInPlace(slices.Values([]int32{i}))
	}
}

// run looks for the torrent's folder and its files. If another folder has taken the
// place of the one that is open, as when a disk was mounted again, and has the
// files, it is used from now on.
func (k *lookTask) run(d *Disk) {
	s := k.store
	if !k.heal {
		k.err = s.allInPlace(s.everyFile)
		return
	}
	if s.root.Present() == nil {
		if k.err = k.lookIn(s.root); k.err == nil {
			k.accept(d)
		}
		return
	}
	root, err := d.openRoot(s.dir, false)
	if err != nil {
		k.err = &Error{"open", s.dir, ErrMissing}
		return
	}
	if k.err = k.lookIn(root); k.err != nil {
		root.Close()
		return
	}
	_ = d.pool.forget(s, func(i int32) bool { return i != stateFile })
	s.root.Close()
	s.root = root
	k.accept(d)
}

// lookIn looks for the files, with root in the place of the torrent's own. It notes
// those that are other ones now, or have been cut.
func (k *lookTask) lookIn(root Root) (err error) {
	s := k.store
	k.ill = k.ill[:0]
	for _, f := range k.files {
		in, name := s.where(f.file)
		if in == s.root {
			in = root
		}
		switch err := s.inPlaceAt(f.file, in, name); {
		case errors.Is(err, ErrReplaced), errors.Is(err, errShort):
			k.ill = append(k.ill, span{file: f.file})
		case err != nil:
			_ = s.disk.pool.forget(s, func(i int32) bool { return i == f.file })
			return &Error{"open", s.path(in, name), err}
		}
	}
	return nil
}

// accept goes on with files as they are now.
func (k *lookTask) accept(d *Disk) {
	s := k.store
	for n := range k.ill {
		i := k.ill[n].file
		_ = d.pool.forget(s, func(x int32) bool { return x == i })
		info, err := identityOf(s.where(i))
		if err != nil {
			info = Info{}
		}
		k.ill[n].n = info.Size
		s.mu.Lock()
		s.sized.Clear(i)
		s.mu.Unlock()
		s.logMu.Lock()
		s.seeAnew(i, info)
		s.logMu.Unlock()
	}
}

// run reads pieces and writes what is good of them again, so that the next sync
// finds it.
func (k *rewriteTask) run(d *Disk) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	for i := range k.pieces {
		p := &k.pieces[i]
		off, n := k.store.lay.PieceOffset(p.index), k.store.lay.PieceSize(p.index)
		buf := sc.buffer(n)
		err := k.store.readInto(sc, buf, off)
		if err == nil {
			p.ok = sha1.Sum(buf) == p.want
		}
		if p.ok {
			sc.one[0] = buf
			err = k.store.write(sc, sc.one[:], off, n, false)
		}
		if err != nil && !absent(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
			k.err, p.ok = err, false
			return
		}
		p.done = true
	}
}

// run makes links that are not there yet. Where links can't be made the payload is
// complete without them.
func (k *linkTask) run(*Disk) {
	s := k.store
	for _, i := range k.links {
		name := s.name(i)
		if _, err := s.root.Stat(name); !absent(err) {
			continue
		}
		s.mu.Lock()
		err := s.makeParent(s.root, name)
		s.mu.Unlock()
		if err == nil {
			err = s.root.Symlink(s.lay.files[i].LinkText(), name)
		}
		if err != nil && k.err == nil {
			k.err = &Error{"link", s.path(s.root, name), err}
		}
	}
}
