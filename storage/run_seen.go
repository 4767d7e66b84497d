//pump: around what files look like.

package storage

import "errors"

// ErrReplaced says that a name leads to another file than the one that is written.
var ErrReplaced = errors.New("another file has taken its place")

// errShort says that somebody has cut a file.
var errShort = errors.New("file is shorter than it was")

// seenFile is what a payload file looked like after our last write, or when it was
// opened: whatever differs from that was done by others.
type seenFile struct {
	known   bool
	writers int32 // writes under way
	news    bool  // not recorded yet
	busy    bool  // it is recorded that it is being written
	late    bool  // its time may change after a write
	size    int64
	mtime   int64
	id      FileID
}

// noteSeen takes over what a file looks like now. Several writers finish in any
// order, so sizes and times only grow. The caller holds logMu.
func (s *store) noteSeen(i int32, info Info) {
	f := &s.seen[i]
	if !f.known {
		f.id = info.ID
	}
	if !f.news {
		s.news = append(s.news, i)
	}
	f.known, f.news, f.late = true, true, info.Late
	f.size, f.mtime = max(f.size, info.Size), max(f.mtime, info.MTime)
}

// stat is what is recorded of it.
func (f *seenFile) stat(i int32) fileStat {
	return fileStat{file: i, size: f.size, mtime: f.mtime, id: f.id, busy: f.writers > 0 || f.late}
}

// announce records that files are being written, before they are: should we be killed
// then, their times may be later than those recorded. It is recorded before every write,
// also of files that others of our writers are at: so no time that we have left is much
// later than the state file's (see ownTime).
func (s *store) announce(sc *scratch, off, n int64) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	var files []int32
	_ = s.each(sc, off, n, func(i int32, _, _ int64) error {
		if i >= 0 && s.lay.hasData(i) {
			files = s.begins(files, i)
		}
		return nil
	})
	s.recordBusy(files)
}

// announceOne is announce of one file.
func (s *store) announceOne(i int32) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.recordBusy(s.begins(nil, i))
}

// begins appends a file, unless a server says when it was written: then the state file's
// time is no measure, and it is enough to have recorded it once.
func (s *store) begins(files []int32, i int32) []int32 {
	if s.disk.state == nil || s.seen[i].busy && s.seen[i].late {
		return files
	}
	s.seen[i].busy = true
	return append(files, i)
}

// recordBusy records what begins has found.
func (s *store) recordBusy(files []int32) {
	if len(files) > 0 && s.appendLocked(appendFiles(nil, recBusy, files)) != nil {
		for _, i := range files {
			s.seen[i].busy = false // then it will seem to have been changed by others: a check, no more
		}
	}
}

// writeInto writes to an open file. One that somebody has cut meanwhile is not
// written, lest its hole be hidden by what comes after.
func (s *store) writeInto(h *handle, i int32, bufs [][]byte, at int64, past bool) error {
	write := h.WriteV
	if past {
		write = h.WritePast
	}
	if i < 0 {
		_, err := write(bufs, at)
		return err
	}
	info, err := h.Stat()
	if err != nil {
		return err
	}
	s.logMu.Lock()
	f := &s.seen[i]
	if f.known && info.Size < f.size {
		// Another writer may have made it longer since we looked. What is known now was
		// seen before now.
		if info, err = h.Stat(); err == nil && info.Size < f.size {
			err = errShort
		}
		if err != nil {
			s.logMu.Unlock()
			return err
		}
	}
	if !f.known {
		s.noteSeen(i, info)
	}
	f.writers++
	s.logMu.Unlock()
	_, err = write(bufs, at)
	if !info.Late { // a server would have to write all out to tell
		if now, bad := h.Stat(); bad == nil {
			info = now
		}
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	f.writers--
	s.noteSeen(i, info)
	return err
}

// recordSeen appends what is new of files to a record. The caller holds logMu.
func (s *store) recordSeen(dst []byte) []byte {
	if len(s.news) == 0 {
		return dst
	}
	stats := make([]fileStat, 0, len(s.news))
	for _, i := range s.news {
		f := &s.seen[i]
		if f.news && f.known {
			st := f.stat(i)
			f.news, f.busy = false, st.busy
			stats = append(stats, st)
		}
	}
	s.news = s.news[:0]
	return appendStats(dst, recFiles, stats)
}

// recordAll is recordSeen of all files.
func (s *store) recordAll(dst []byte) []byte {
	s.news = s.news[:0]
	for i := range s.seen {
		if f := &s.seen[i]; f.known {
			f.news = true
			s.news = append(s.news, int32(i))
		}
	}
	return s.recordSeen(dst)
}

// seeCopies records what copies of files look like, which are about to take the place
// of the files: after a crash either may be found.
func (s *store) seeCopies(root Root, files []placeName, name func(string) string) error {
	var looks []Info
	var stats []fileStat
	for _, f := range files {
		if f.file < 0 || !s.lay.hasData(f.file) {
			continue
		}
		info, err := identityOf(root, name(f.name))
		if err != nil {
			return err
		}
		looks = append(looks, info)
		stats = append(stats, fileStat{file: f.file, size: info.Size, mtime: info.MTime, id: info.ID, busy: info.Late})
	}
	if err := s.recordNow(appendStats(nil, recCopies, stats)); err != nil {
		return err
	}
	s.logMu.Lock()
	defer s.logMu.Unlock()
	s.copies = nil
	for n, st := range stats {
		s.copies = append(s.copies, copyLook{st.file, looks[n]})
	}
	return nil
}

// copyLook is what a copy of a file looks like.
type copyLook struct {
	file int32
	info Info
}

// takeCopies says that the copies are the files now.
func (s *store) takeCopies() {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	for _, c := range s.copies {
		s.seeAnew(c.file, c.info)
	}
	s.copies = nil
}

// seeAnew takes a file as it is now. The caller holds logMu.
func (s *store) seeAnew(i int32, info Info) {
	f := &s.seen[i]
	*f = seenFile{writers: f.writers, busy: f.busy, news: f.news}
	s.noteSeen(i, info)
}

// seeNew looks at files that count from now on, and may have been there before.
func (s *store) seeNew(files []int32) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	for _, i := range files {
		if s.seen[i].known || !s.lay.hasData(i) {
			continue
		}
		if info, err := identityOf(s.where(i)); err == nil && info.Kind == Regular {
			s.noteSeen(i, info)
		}
	}
}

// lastLook says what files look like when they are closed for good. Where their times
// are settled only then, they are looked at again.
func (s *store) lastLook() {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	for i := range s.seen {
		if f := &s.seen[i]; f.known && f.late {
			if info, err := identityOf(s.where(int32(i))); err == nil && f.id.same(info.ID, false) {
				s.noteSeen(int32(i), info)
			}
			f.late = false
		}
	}
}

// identityOf describes the file that a name leads to, its ID included.
func identityOf(root Root, name string) (Info, error) {
	info, err := root.Stat(name)
	if err != nil || info.Kind != Regular {
		return info, err
	}
	f, err := root.OpenFile(name, ReadOnly)
	if err != nil {
		return info, err
	}
	defer f.Close()
	return f.Stat()
}

// inPlace reports, as nil, that a file's name still leads to the file that we know, and
// that nobody has cut it.
func (s *store) inPlace(i int32) error {
	root, name := s.where(i)
	return s.fault("look at", i, s.inPlaceAt(i, root, name))
}

func (s *store) inPlaceAt(i int32, root Root, name string) error {
	s.logMu.Lock()
	f := s.seen[i]
	s.logMu.Unlock()
	if !f.known {
		return nil
	}
	info, err := identityOf(root, name)
	switch {
	case absent(err) || err == nil && info.Kind != Regular:
		return ErrMissing
	case err != nil:
		return err
	case !f.id.same(info.ID, true):
		return ErrReplaced
	case info.Size < f.size:
		return errShort
	}
	return nil
}

// allInPlace looks at some files, or all, and at the folders that they lie in.
func (s *store) allInPlace(files func(yield func(int32) bool)) error {
	for _, root := range []Root{s.root, s.inc} {
		if root == nil {
			continue
		}
		if err := root.Present(); err != nil {
			return &Error{"open", s.path(root, "."), ErrMissing}
		}
	}
	for i := range files {
		if !s.lay.hasData(i) || !s.place.Has(i) {
			continue
		}
		if err := s.inPlace(i); err != nil {
			return err
		}
	}
	return nil
}

// everyFile yields all files.
func (s *store) everyFile(yield func(int32) bool) {
	for i := range int32(len(s.lay.files)) {
		if !yield(i) {
			return
		}
	}
}
