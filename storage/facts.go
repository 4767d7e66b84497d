package storage

import (
	"slices"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// facts are what a state file says about one torrent. The actor keeps its own up
// to date and writes a snapshot of them when the file has grown.
type facts struct {
	dir    string // where the payload is
	from   string // where it was before it was moved to dir
	moving string // a move to this folder has begun and not ended
	// leftover: what the move left in from has not been removed yet.
	leftover bool

	boot    string   // under which written and partials were written
	durable bits.Set // pieces that have been synced
	written bits.Set // pieces that have not
	stale   bits.Set // pieces written under an earlier boot and never synced

	partials []Partial
	placed   bits.Set // files that lie under a name, not in the part store
	renamed  []renaming
	saved    []byte

	// clean: nothing came after the torrent was closed.
	clean bool
	stats map[int32]fileStat // by file
	also  map[int32]fileStat // files of which a copy was about to take the place
}

// renaming is a file's path given by the user, relative to the folder.
type renaming struct {
	file int32
	path string
	old  string // before; a crash may have left the file there
}

// fileStat is what a file looked like.
type fileStat struct {
	file        int32
	size, mtime int64
	id          FileID
	busy        bool // it was being written, so it may have become longer and its time later
}

func newFacts(pieces, files int32, dir string) *facts {
	return &facts{
		dir:     dir,
		durable: bits.New(pieces),
		written: bits.New(pieces),
		stale:   bits.New(pieces),
		placed:  bits.New(files),
		stats:   map[int32]fileStat{},
		also:    map[int32]fileStat{},
	}
}

// have returns the pieces that are known to be good and written.
func (f *facts) have() bits.Set {
	s := f.durable.Clone()
	s.Or(&f.written)
	return s
}

// setBoot says under which boot id what follows was written: what was written
// under another one and never synced is stale now.
func (f *facts) setBoot(boot string) {
	if f.boot == boot {
		return
	}
	f.stale.Or(&f.written)
	f.written.Reset()
	f.partials = f.partials[:0]
	f.boot = boot
}

// addWritten notes a verified piece that has been written under the boot id.
func (f *facts) addWritten(p int32) {
	f.written.Set(p)
	f.stale.Clear(p)
	f.dropPartial(metainfo.PieceIndex(p))
}

// addDurable notes a piece that has been synced.
func (f *facts) addDurable(p int32) {
	f.durable.Set(p)
	f.written.Clear(p)
	f.stale.Clear(p)
	f.dropPartial(metainfo.PieceIndex(p))
}

// lose ends the trust in a piece.
func (f *facts) lose(p int32) {
	f.durable.Clear(p)
	f.written.Clear(p)
	f.stale.Clear(p)
	f.dropPartial(metainfo.PieceIndex(p))
}

// doubt says that a piece has to be hashed before it is trusted again.
func (f *facts) doubt(p int32) {
	f.durable.Clear(p)
	f.written.Clear(p)
	f.stale.Set(p)
}

func (f *facts) dropPartial(p metainfo.PieceIndex) {
	if i := f.partialAt(p); i >= 0 {
		f.partials = slices.Delete(f.partials, i, i+1)
	}
}

func (f *facts) partialAt(p metainfo.PieceIndex) int {
	return slices.IndexFunc(f.partials, func(x Partial) bool { return x.Piece == p })
}

func (f *facts) setPartial(p metainfo.PieceIndex, blocks bits.Set) {
	f.dropPartial(p)
	f.partials = append(f.partials, Partial{Piece: p, Blocks: &blocks})
}

func (f *facts) rename(r renaming) {
	f.renamed = slices.DeleteFunc(f.renamed, func(x renaming) bool { return x.file == r.file })
	f.renamed = append(f.renamed, r)
}

// ---- records

func appendPieces(dst []byte, kind recordKind, boot string, pieces []int32) []byte {
	return appendRecord(dst, kind, func(e *encoder) {
		if kind == recWritten {
			e.text(boot)
		}
		for _, p := range pieces {
			e.uint(uint64(p))
		}
	})
}

func appendPartial(dst []byte, boot string, p metainfo.PieceIndex, blocks *bits.Set) []byte {
	return appendRecord(dst, recPartial, func(e *encoder) {
		e.text(boot)
		e.uint(uint64(p))
		e.set(blocks)
	})
}

func appendText(dst []byte, kind recordKind, s string) []byte {
	return appendRecord(dst, kind, func(e *encoder) { e.text(s) })
}

func appendSaved(dst, value []byte) []byte {
	return appendRecord(dst, recSaved, func(e *encoder) { e.bytes(value) })
}

func appendFiles(dst []byte, kind recordKind, files []int32) []byte {
	return appendRecord(dst, kind, func(e *encoder) {
		for _, f := range files {
			e.uint(uint64(f))
		}
	})
}

func appendRenamed(dst []byte, r renaming) []byte {
	return appendRecord(dst, recRenamed, r.put)
}

func (r renaming) put(e *encoder) {
	e.uint(uint64(r.file))
	e.text(r.path)
	e.text(r.old)
}

func getRenaming(d *decoder, files int32) renaming {
	return renaming{file: d.index(files), path: d.text(), old: d.text()}
}

// appendMark appends a record that says all by its kind.
func appendMark(dst []byte, kind recordKind) []byte {
	return appendRecord(dst, kind, func(*encoder) {})
}

// appendClosed says that all is durable. Earlier versions said here what files looked
// like.
func appendClosed(dst []byte) []byte {
	return appendRecord(dst, recClosed, func(e *encoder) { e.uint(0) })
}

// appendStats says what files look like.
func appendStats(dst []byte, kind recordKind, stats []fileStat) []byte {
	return appendRecord(dst, kind, func(e *encoder) {
		for _, s := range stats {
			e.uint(uint64(s.file))
			e.uint(flag(s.busy))
			e.int(s.size)
			e.int(s.mtime)
			e.uint(s.id.Dev)
			e.uint(s.id.Ino)
			e.int(s.id.Birth)
		}
	})
}

// appendSnapshot appends everything that f says but for what files look like.
func (f *facts) appendSnapshot(dst []byte, l *metainfo.Lengths) []byte {
	return appendRecord(dst, recSnapshot, func(e *encoder) {
		e.uint(uint64(l.PieceLen()))
		e.uint(uint64(l.Total()))
		e.text(f.dir)
		e.text(f.from)
		e.text(f.moving)
		e.uint(flag(f.leftover) | flag(f.clean)<<1)
		e.text(f.boot)
		e.set(&f.durable)
		e.set(&f.written)
		e.set(&f.stale)
		e.set(&f.placed)
		e.uint(uint64(len(f.partials)))
		for _, p := range f.partials {
			e.uint(uint64(p.Piece))
			e.set(p.Blocks)
		}
		e.uint(uint64(len(f.renamed)))
		for _, r := range f.renamed {
			r.put(e)
		}
		e.bytes(f.saved)
		e.uint(0) // files, by earlier versions
	})
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
