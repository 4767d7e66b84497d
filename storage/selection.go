package storage

import (
	"fmt"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// onSelect changes which files are wanted. Files that were not wanted before come
// out of the part store; those that are not wanted any more stay where they are.
func (s *Storage) onSelect(t *torrent, m Select) {
	t.opt.Priority = m.Priority
	for i := range int32(len(t.lay.files)) {
		if isWanted(m.Priority, i) {
			t.files.wanted.Set(i)
		} else {
			t.files.wanted.Clear(i)
		}
	}
	files := t.unplaced()
	if len(files) == 0 || t.opt.ReadOnly {
		t.done(m.Cookie, nil)
		s.tellComplete(t)
		return
	}
	s.place(t, files, m.Cookie, true)
}

// unplaced are the wanted files that lie in the part store.
func (t *torrent) unplaced() (files []int32) {
	for i := range t.files.wanted.All() {
		f := &t.lay.files[i]
		if !t.facts.placed.Has(i) && !f.Pad() && !f.Symlink() {
			files = append(files, i)
		}
	}
	return files
}

// place queues the move of files out of the part store.
func (s *Storage) place(t *torrent, files []int32, cookie uint64, answer bool) {
	k := &selectTask{store: t.store, files: files, cookie: cookie, answer: answer}
	s.operate(t, &op{fence: fenceAll, task: k, ready: func() {
		for _, i := range files {
			k.copies = append(k.copies, t.partsOf(i)...)
		}
		k.record = appendFiles(nil, recPlaced, files)
		k.clear = t.placedWith(files)
	}})
}

// partsOf is what the part store has of a file: verified pieces and stored blocks.
func (t *torrent) partsOf(i int32) (out []span) {
	if !t.lay.hasData(i) {
		return nil
	}
	f := &t.lay.files[i]
	add := func(from, to int64) {
		from, to = max(from, f.Offset), min(to, f.Offset+f.Length)
		if from < to {
			out = append(out, span{i, from - f.Offset, to - from})
		}
	}
	first, last := t.lay.piecesOf(i)
	for p := t.have.NextSet(int32(first)); p >= 0 && p <= int32(last); p = t.have.NextSet(p + 1) {
		off := t.lay.PieceOffset(metainfo.PieceIndex(p))
		add(off, off+t.lay.PieceSize(metainfo.PieceIndex(p)))
	}
	for _, part := range t.facts.partials {
		if part.Piece < first || part.Piece > last {
			continue
		}
		for b := range part.Blocks.All() {
			off := t.lay.PieceOffset(part.Piece) + int64(b)*metainfo.BlockSize
			add(off, off+int64(t.lay.BlockLen(part.Piece, metainfo.BlockIndex(b))))
		}
	}
	return out
}

// placedWith reports whether nothing is left for the part store once files are placed.
func (t *torrent) placedWith(files []int32) bool {
	placed := t.facts.placed.Clone()
	for _, i := range files {
		placed.Set(i)
	}
	for i := range int32(len(t.lay.files)) {
		if t.lay.hasData(i) && !placed.Has(i) {
			return false
		}
	}
	return true
}

// selected answers Select.
func (s *Storage) selected(t *torrent, k *selectTask) {
	if k.err == nil {
		for _, i := range k.files {
			t.facts.placed.Set(i)
			t.soilFile(i)
		}
		t.dirt.parts = t.dirt.parts && !k.clear // else it would be made anew to be synced
		s.recorded(t, int64(len(k.record)), k.recordErr)
		s.sync.dirty.add(t)
		t.tellFiles(k.made)
		s.tellComplete(t)
	}
	if k.answer {
		t.done(k.cookie, k.err)
	}
}

// soilFile notes that a file has to be synced.
func (t *torrent) soilFile(i int32) {
	if t.dirt.files.Len() == 0 {
		t.dirt.files = bits.New(int32(len(t.lay.files)))
	}
	t.dirt.files.Set(i)
	t.dirt.bytes++
}

// tellComplete tells of files that turn out to be complete now that they are wanted.
func (s *Storage) tellComplete(t *torrent) {
	if t.files.missing == nil {
		return // complete from the beginning, and told by Have
	}
	for i := range t.files.wanted.All() {
		if t.lay.hasData(i) && t.files.missing[i] == 0 {
			s.fileComplete(t, i)
		}
	}
}

// onRename gives a file another path.
func (s *Storage) onRename(t *torrent, m Rename) {
	path, err := metainfo.ParsePath(m.Path)
	i := int32(m.File)
	switch {
	case i < 0 || int(i) >= len(t.lay.files) || t.lay.files[i].Pad() || t.lay.files[i].Symlink():
		err = fmt.Errorf("storage: file %d can't be renamed", m.File)
	case t.opt.ReadOnly:
		err = ErrReadOnly
	}
	if err != nil {
		t.done(m.Cookie, err)
		return
	}
	k := &renameTask{store: t.store, file: i, to: renaming{file: i, path: path.String()}, cookie: m.Cookie}
	s.operate(t, &op{fence: fenceAll, task: k})
}

// renamed answers Rename.
func (s *Storage) renamed(t *torrent, k *renameTask) {
	if k.err == nil {
		t.facts.rename(k.to)
	}
	t.done(k.cookie, k.err)
}
