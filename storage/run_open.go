//pump: around the files that opening and closing a torrent touches.

package storage

import (
	"errors"
	"io"
	"path/filepath"

	"github.com/shoal-bt/shoal/internal/bits"
)

// run locks the torrent, reads what is recorded, and compares that with its files.
func (k *openTask) run(d *Disk) {
	s := &store{disk: d, lay: k.lay, key: k.key, opt: k.opt, names: map[int32]string{}}
	if k.err = k.openAll(d, s); k.err != nil {
		s.closeFiles()
		return
	}
	k.store = s
}

func (k *openTask) openAll(d *Disk, s *store) error {
	dir, err := filepath.Abs(k.dir)
	if err != nil {
		return err
	}
	k.dir = dir
	if err := s.takeLock(); err != nil {
		return err
	}
	data, stamp, vague, err := s.loadState()
	if err != nil {
		return err
	}
	health := k.readFacts(data)
	if health == stateNewer {
		return &Error{"read", "state of " + k.key, errors.New("written by a later version of shoal")}
	}
	k.logged = int64(len(data))
	if err := k.openRoots(d, s); err != nil {
		return err
	}
	if health.known() && !k.opt.ReadOnly {
		if err := k.repair(d, s); err != nil {
			return err
		}
	}
	r := reconcile{
		lay: k.lay, facts: k.facts, health: health, boot: d.fs.BootID(), check: k.opt.Check,
		there: k.look(s, health), limit: stamp, vague: vague,
	}
	if r.judge() {
		return &Error{"open", filepath.Join(k.facts.dir, k.lay.files[0].Path.String()), ErrMissing}
	}
	k.trust(s, r.there)
	s.place, s.clean = k.facts.placed.Clone(), k.facts.clean
	s.claimAll()
	k.facts.clean = false
	if !k.opt.ReadOnly {
		if err := k.makeEmpty(s); err != nil {
			return err
		}
	}
	if health == stateSound && !r.differs {
		return nil
	}
	k.logged = 0
	data = k.facts.appendSnapshot([]byte(stateHeader), &k.lay.Lengths)
	return s.replaceState(data, health != stateNone) // what is new has nothing to lose
}

// trust takes what files look like for granted from here on: what differed from the
// records will be hashed. What is recorded stays until a snapshot is written.
func (k *openTask) trust(s *store, there []fileLook) {
	s.seen = make([]seenFile, len(there))
	for i, l := range there {
		if !l.found {
			continue
		}
		f := int32(i)
		s.noteSeen(f, Info{Size: l.size, MTime: l.mtime, ID: l.id, Late: l.late})
		if st, ok := k.facts.stats[f]; ok && st == s.seen[f].stat(f) {
			s.seen[f].news = false
		}
	}
}

// known reports whether the facts tell of the torrent's files.
func (h stateHealth) known() bool { return h == stateSound || h == stateTorn || h == stateHoles }

// readFacts decodes the state file, and begins anew where it tells of another folder.
func (k *openTask) readFacts(data []byte) stateHealth {
	f, health := readState(data, &k.lay.Lengths, int32(len(k.lay.files)))
	if health == stateNewer {
		return health
	}
	if f != nil && f.dir != k.dir && (f.from != k.dir || f.from == "") {
		saved := f.saved
		f = newFacts(k.lay.Pieces(), int32(len(k.lay.files)), k.dir)
		f.saved, health = saved, stateNone
	}
	if f == nil {
		f = newFacts(k.lay.Pieces(), int32(len(k.lay.files)), k.dir)
	}
	k.facts = f
	return health
}

func (s *store) takeLock() (err error) {
	if s.disk.state == nil || !s.disk.share {
		return nil
	}
	s.lock, err = s.disk.state.Lock(s.key+".lock", true)
	return s.fault("lock", stateFile, err)
}

// loadState reads the state file, and when it was changed last; vague says that it is a
// server that says so.
func (s *store) loadState() (data []byte, stamp int64, vague bool, err error) {
	if s.disk.state == nil {
		return nil, 0, false, nil
	}
	f, err := s.disk.state.OpenFile(s.stateName(), ReadOnly)
	if absent(err) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, s.fault("read", stateFile, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		data = make([]byte, info.Size)
		_, err = f.ReadV([][]byte{data}, 0)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	s.logSize = info.Size
	return data, info.MTime, info.Late, s.fault("read", stateFile, err)
}

// openRoots opens the folders. They are made only where nothing is recorded yet.
func (k *openTask) openRoots(d *Disk, s *store) (err error) {
	f := k.facts
	for file, path := range k.opt.Renamed {
		if !hasRenaming(f, int32(file)) && int(file) < len(k.lay.files) {
			f.rename(renaming{file: int32(file), path: path})
		}
	}
	for _, r := range f.renamed {
		s.names[r.file] = r.path
	}
	have := f.have()
	fresh := have.None() && f.stale.None() && len(f.partials) == 0 || k.opt.Check
	s.dir = f.dir
	s.root, err = openRoot(d, f.dir, fresh && !k.opt.ReadOnly)
	if err != nil {
		return err
	}
	if k.opt.IncompleteDir != "" && !k.opt.ReadOnly {
		s.inc, err = openRoot(d, k.opt.IncompleteDir, true)
	}
	return err
}

func hasRenaming(f *facts, file int32) bool {
	for _, r := range f.renamed {
		if r.file == file {
			return true
		}
	}
	return false
}

func openRoot(d *Disk, dir string, fresh bool) (Root, error) {
	root, err := d.openRoot(dir, fresh)
	if absent(err) {
		err = ErrMissing
	}
	if err != nil {
		return nil, &Error{"open", dir, err}
	}
	return root, nil
}

// look finds the files, under their final or their incomplete name.
func (k *openTask) look(s *store, health stateHealth) []fileLook {
	n := int32(len(k.lay.files))
	s.final, s.made, s.sized = bits.New(n), bits.New(n), bits.New(n)
	known := health.known()
	there := make([]fileLook, n)
	plain := k.opt.IncompleteSuffix == "" && s.inc == nil
	have := k.facts.have()
	for i := range n {
		if !k.lay.hasData(i) || known && !k.facts.placed.Has(i) {
			continue
		}
		there[i] = s.find(i, plain || complete(k.lay, &have, i))
		if there[i].found {
			s.made.Set(i)
			if !k.facts.clean { // its name may not be durable
				s.noteDirs(s.where(i))
				k.unsynced = append(k.unsynced, i)
			}
		}
		if !known && (there[i].found || isWanted(k.opt.Priority, i)) {
			k.facts.placed.Set(i)
		}
		if there[i].found && !s.final.Has(i) && !plain {
			k.unfinished = append(k.unfinished, i)
		}
	}
	return there
}

func complete(l *layout, have *bits.Set, i int32) bool {
	first, last := l.piecesOf(i)
	missing := have.NextClear(int32(first))
	return missing < 0 || missing > int32(last)
}

// find looks for a file, first where it is more likely to be.
func (s *store) find(i int32, finalFirst bool) fileLook {
	for try := range 2 {
		final := finalFirst == (try == 0)
		root, name := s.incomplete(i)
		if final {
			root, name = s.root, s.name(i)
		}
		if info, err := identityOf(root, name); err == nil && info.Kind == Regular {
			if final {
				s.final.Set(i)
			}
			return fileLook{true, info.Size, info.MTime, info.ID, info.Late}
		}
	}
	return fileLook{}
}

// makeEmpty makes wanted files that have no bytes.
func (k *openTask) makeEmpty(s *store) error {
	for i := range int32(len(k.lay.files)) {
		f := &k.lay.files[i]
		if f.Length > 0 || f.Pad() || f.Symlink() || !isWanted(k.opt.Priority, i) {
			continue
		}
		made, err := s.makeEmptyFile(i)
		if err != nil {
			return err
		}
		if made {
			k.made = append(k.made, i)
		}
		k.facts.placed.Set(i)
	}
	return nil
}

// makeEmptyFile makes a file without bytes, unless it is there.
func (s *store) makeEmptyFile(i int32) (made bool, err error) {
	name := s.name(i)
	if _, err := s.root.Stat(name); err == nil {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.makeParent(s.root, name)
	if err == nil {
		var f File
		if f, err = s.root.OpenFile(name, Create); err == nil {
			f.Close()
		}
	}
	return err == nil, s.fault("write", i, err)
}

// closeFiles closes all that a torrent has open, and gives up its lock.
func (s *store) closeFiles() {
	_ = s.disk.pool.forget(s, func(int32) bool { return true })
	for _, r := range []Root{s.root, s.inc} {
		if r != nil {
			r.Close()
		}
	}
	if s.lock != nil {
		s.lock.Close()
	}
	s.disk.mu.Lock()
	s.unclaimLocked()
	s.disk.mu.Unlock()
}
