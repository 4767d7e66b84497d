package storage

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// fileState is how far each file is.
type fileState struct {
	links   []int32  // symbolic links that are still to be made
	missing []int32  // by file: pieces still to come; nil when nothing is missing at all
	told    bits.Set // files whose FileDone has been sent or is under way
	wanted  bits.Set

	finishing int     // complete files that are getting their final names, or are looked at
	arrived   []int32 // of those, what waits for a look
	syncs     []Sync  // that wait for those
	looks     []Look
}

// init counts what is missing.
func (f *fileState) init(t *torrent) {
	n := int32(len(t.lay.files))
	f.told, f.wanted = bits.New(n), bits.New(n)
	for i := range n {
		if isWanted(t.opt.Priority, i) {
			f.wanted.Set(i)
		}
		if l := &t.lay.files[i]; l.Symlink() && !l.BrokenLink() && !t.opt.ReadOnly {
			f.links = append(f.links, i)
		}
	}
	if !t.have.Full() {
		f.count(t)
	}
}

// count fills in missing.
func (f *fileState) count(t *torrent) {
	f.missing = make([]int32, len(t.lay.files))
	for i := range f.missing {
		if !t.lay.hasData(int32(i)) {
			continue
		}
		first, last := t.lay.piecesOf(int32(i))
		for p := t.have.NextClear(int32(first)); p >= 0 && p <= int32(last); p = t.have.NextClear(p + 1) {
			f.missing[i]++
		}
	}
}

func isWanted(priority []uint8, file int32) bool {
	return int(file) >= len(priority) || priority[file] > 0
}

// lost notes a piece that is not good any more.
func (f *fileState) lost(t *torrent, p metainfo.PieceIndex) {
	if f.missing == nil {
		f.count(t) // the piece is out of have already
		return
	}
	for i := range t.filesOf(p) {
		f.missing[i]++
		f.told.Clear(i)
	}
}

// filesOf yields the files with data that a piece touches.
func (t *torrent) filesOf(p metainfo.PieceIndex) func(func(int32) bool) {
	off := t.lay.PieceOffset(p)
	end := off + t.lay.PieceSize(p)
	return func(yield func(int32) bool) {
		for i := t.lay.firstAt(off); i < len(t.lay.files) && t.lay.files[i].Offset < end; i++ {
			if t.lay.hasData(int32(i)) && !yield(int32(i)) {
				return
			}
		}
	}
}

// countFiles notes a piece that has come, and files that are complete with it.
func (s *Storage) countFiles(t *torrent, p metainfo.PieceIndex) {
	if t.files.missing == nil {
		return
	}
	for i := range t.filesOf(p) {
		if t.files.missing[i]--; t.files.missing[i] == 0 {
			s.fileComplete(t, i)
		}
	}
}

// fileComplete gives a file whose last piece has come its final name, then tells.
func (s *Storage) fileComplete(t *torrent, i int32) {
	if !t.facts.placed.Has(i) || !t.files.wanted.Has(i) || !t.files.told.Set(i) || t.phase == closing && t.closing.drop {
		return
	}
	s.makeLinks(t)
	t.files.finishing++
	if !t.needsFinish(i) {
		s.lookArrived(t, i)
		return
	}
	s.operate(t, &op{fence: fenceAll, task: &finishTask{store: t.store, file: i}})
}

// lookArrived looks whether a complete file is where it should be, together with
// others that come meanwhile.
func (s *Storage) lookArrived(t *torrent, i int32) {
	if t.files.arrived = append(t.files.arrived, i); len(t.files.arrived) > 1 {
		return
	}
	k := &arrivedTask{store: t.store}
	s.operate(t, &op{task: k, ready: func() { k.files, t.files.arrived = t.files.arrived, nil }})
}

// haveArrived tells of complete files that are where they should be.
func (s *Storage) haveArrived(c *actor.Ctx[Message], t *torrent, k *arrivedTask) {
	for n, i := range k.files {
		if n < len(k.errs) && k.errs[n] != nil {
			s.notFinished(c, t, i, k.errs[n])
			continue
		}
		t.tell(FileDone{ID: t.id, File: metainfo.FileIndex(i), Path: t.pathOf(i)})
		s.finishedOne(t)
	}
}

// makeLinks makes symbolic links once all that is wanted is there: so that nothing is ever written through one.
func (s *Storage) makeLinks(t *torrent) {
	if len(t.files.links) == 0 {
		return
	}
	for i := range t.files.wanted.All() {
		if t.files.missing != nil && t.files.missing[i] > 0 {
			return
		}
	}
	k := &linkTask{store: t.store}
	rest := t.files.links[:0]
	for _, i := range t.files.links {
		if t.files.wanted.Has(i) {
			k.links = append(k.links, i)
		} else {
			rest = append(rest, i)
		}
	}
	if t.files.links = rest; len(k.links) > 0 {
		s.operate(t, &op{fence: fenceWrite, task: k})
	}
}

// needsFinish reports whether a complete file has to be renamed or changed.
func (t *torrent) needsFinish(i int32) bool {
	return t.opt.IncompleteDir != "" || t.opt.IncompleteSuffix != "" || t.lay.files[i].Attr&metainfo.AttrExecutable != 0
}

// finished tells that a file has its final name.
func (s *Storage) finished(c *actor.Ctx[Message], t *torrent, k *finishTask) {
	switch {
	case k.err != nil:
		s.notFinished(c, t, k.file, k.err)
	case k.copier != nil:
		t.copies++
		s.operate(t, &op{copying: true, task: &copyTask{store: t.store, copier: k.copier}})
	default:
		t.tell(FileDone{ID: t.id, File: metainfo.FileIndex(k.file), Path: t.pathOf(k.file)})
		s.finishedOne(t)
	}
}

// finishedOne lets a Sync go on that has waited for files to get their names.
func (s *Storage) finishedOne(t *torrent) {
	if t.files.finishing--; t.files.finishing > 0 {
		return
	}
	if len(t.files.syncs) > 0 {
		t.dirt.wait = append(t.dirt.wait, t.files.syncs...)
		t.files.syncs = nil
		s.sync.due.add(t)
	}
	looks := t.files.looks
	t.files.looks = nil
	for _, m := range looks {
		s.onLook(t, m)
	}
}

// notFinished notes a complete file that could not be given its final name; that
// is tried again when the disk is well.
func (s *Storage) notFinished(c *actor.Ctx[Message], t *torrent, i int32, err error) {
	t.files.told.Clear(i)
	t.unfinished = append(t.unfinished, i)
	if t.phase == open {
		s.inTrouble(c, t, err)
	}
	s.finishedOne(t)
}

// finishAgain tries again what could not be finished.
func (s *Storage) finishAgain(t *torrent) {
	files := t.unfinished
	t.unfinished = nil
	for _, i := range files {
		s.fileComplete(t, i)
	}
}

// tellFiles tells of files that are complete, under their final names.
func (t *torrent) tellFiles(files []int32) {
	for _, i := range files {
		t.tell(FileDone{ID: t.id, File: metainfo.FileIndex(i), Path: t.pathOf(i)})
	}
}

// pathOf is a file's final path on the machine.
func (t *torrent) pathOf(i int32) string {
	return filepath.Join(t.facts.dir, filepath.FromSlash(t.nameOf(i)))
}

// nameOf is a file's final name below the torrent's folder.
func (t *torrent) nameOf(i int32) string {
	for _, r := range t.facts.renamed {
		if r.file == i {
			return r.path
		}
	}
	return t.lay.files[i].Path.String()
}

func sortedPieces(m map[metainfo.PieceIndex]*piece) []metainfo.PieceIndex {
	return slices.Sorted(maps.Keys(m))
}

// finishComplete gives files that were complete before their final name, which a
// crash may have prevented.
func (s *Storage) finishComplete(t *torrent, k *openTask) {
	for _, i := range k.unfinished {
		if t.files.missing == nil || t.files.missing[i] == 0 {
			s.fileComplete(t, i)
		}
	}
}
