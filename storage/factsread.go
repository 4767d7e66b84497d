package storage

import (
	"bytes"

	"github.com/shoal-bt/shoal/metainfo"
)

// factsReader reads the state file of one torrent.
type factsReader struct {
	*metainfo.Lengths
	files int32
	facts *facts // nil before the first snapshot
	bad   int    // sound records that make no sense
}

// stateHealth says how much of a state file could be read.
type stateHealth uint8

const (
	stateNone    stateHealth = iota // there is none
	stateSound                      // all of it
	stateTorn                       // all but what the last append left
	stateHoles                      // something is lost of what was not synced
	stateDamaged                    // something within it is lost
	stateNewer                      // written by a later version: not to be touched
)

// readState decodes a state file. The facts are nil if no snapshot is left.
func readState(b []byte, l *metainfo.Lengths, files int32) (*facts, stateHealth) {
	if len(b) == 0 {
		return nil, stateNone
	}
	name, version := stateHeader[:len(stateHeader)-1], stateHeader[len(stateHeader)-1]
	headless := !bytes.HasPrefix(b, []byte(name)) || len(b) < len(stateHeader)
	if !headless && b[len(name)] > version {
		return nil, stateNewer
	}
	if !headless {
		b = b[len(stateHeader):]
	}
	r := factsReader{Lengths: l, files: files}
	d := scanRecords(b, r.record)
	switch {
	case headless, d.old > 0, r.bad > 0, r.facts == nil:
		return r.facts, stateDamaged
	case d.fresh > 0:
		return r.facts, stateHoles
	case d.torn:
		return r.facts, stateTorn
	}
	return r.facts, stateSound
}

func (r *factsReader) record(kind recordKind, payload []byte) {
	d := decoder{b: payload}
	if kind == recSnapshot {
		if f := r.snapshot(&d); f != nil {
			r.facts = f
			return
		}
	} else if r.facts != nil {
		r.apply(kind, &d)
		if kind != recClosed {
			r.facts.clean = false
		}
	} else {
		d.fail()
	}
	if d.err != nil {
		r.bad++
	}
}

func (r *factsReader) snapshot(d *decoder) *facts {
	if d.uint() != uint64(r.PieceLen()) || d.uint() != uint64(r.Total()) {
		d.fail()
		return nil
	}
	f := &facts{dir: d.text(), from: d.text(), moving: d.text(), also: map[int32]fileStat{}}
	flags := d.uint()
	f.leftover, f.clean = flags&1 != 0, flags&2 != 0
	f.boot = d.text()
	f.durable, f.written, f.stale = d.set(r.Pieces()), d.set(r.Pieces()), d.set(r.Pieces())
	f.placed = d.set(r.files)
	for range d.uint() {
		p := metainfo.PieceIndex(d.index(r.Pieces()))
		blocks := d.set(r.Blocks(p))
		if d.err != nil {
			return nil
		}
		f.partials = append(f.partials, Partial{p, &blocks})
	}
	for range d.uint() {
		x := getRenaming(d, r.files)
		if d.err != nil {
			return nil
		}
		f.renamed = append(f.renamed, x)
	}
	f.saved = append([]byte(nil), d.bytes()...)
	f.stats = r.oldStats(d)
	if d.err != nil {
		return nil
	}
	return f
}

// oldStats reads sizes and times as earlier versions wrote them.
func (r *factsReader) oldStats(d *decoder) map[int32]fileStat {
	out := map[int32]fileStat{}
	for range d.uint() {
		s := fileStat{file: d.index(r.files), size: d.int(), mtime: d.int()}
		if d.err != nil {
			return nil
		}
		out[s.file] = s
	}
	return out
}

// stat reads what a file looks like.
func (r *factsReader) stat(d *decoder) fileStat {
	return fileStat{
		file: d.index(r.files), busy: d.uint()&1 != 0, size: d.int(), mtime: d.int(),
		id: FileID{Dev: d.uint(), Ino: d.uint(), Birth: d.int()},
	}
}

// apply changes the facts by a record that is no snapshot.
func (r *factsReader) apply(kind recordKind, d *decoder) {
	f := r.facts
	switch kind {
	case recWritten:
		f.setBoot(d.text())
		r.pieces(d, f.addWritten)
	case recDurable:
		r.pieces(d, f.addDurable)
	case recLost:
		r.pieces(d, f.lose)
	case recDoubt:
		r.pieces(d, f.doubt)
	case recPartial:
		f.setBoot(d.text())
		p := metainfo.PieceIndex(d.index(r.Pieces()))
		if blocks := d.set(r.Blocks(p)); d.err == nil {
			f.setPartial(p, blocks)
		}
	case recSaved:
		if v := d.bytes(); d.err == nil {
			f.saved = append(f.saved[:0], v...)
		}
	case recPlaced:
		for d.more() {
			if file := d.index(r.files); d.err == nil {
				f.placed.Set(file)
			}
		}
	case recRenamed:
		if x := getRenaming(d, r.files); d.err == nil {
			f.rename(x)
		}
	case recMoving:
		f.moving = d.text()
	case recMoved:
		f.from, f.dir, f.moving, f.leftover = f.dir, d.text(), "", true
	case recCleaned:
		f.moving, f.leftover = "", false
	case recBegun: // no longer clean, as after any record
	case recSettled:
		f.from = ""
	case recFiles:
		for d.more() {
			if x := r.stat(d); d.err == nil {
				f.stats[x.file] = x
				delete(f.also, x.file)
			}
		}
	case recCopies:
		for d.more() {
			if x := r.stat(d); d.err == nil {
				f.also[x.file] = x
			}
		}
	case recBusy:
		for d.more() {
			if x, ok := f.stats[d.index(r.files)]; ok && d.err == nil {
				x.busy = true
				f.stats[x.file] = x
			}
		}
	case recClosed:
		if old := r.oldStats(d); len(old) > 0 {
			f.stats = old
		}
		f.clean = d.err == nil
	default:
		d.fail()
	}
}

// pieces calls f for each piece named, but only once all of them make sense.
func (r *factsReader) pieces(d *decoder, f func(int32)) {
	check := *d
	for check.more() {
		check.index(r.Pieces())
	}
	if check.err != nil {
		d.fail()
		return
	}
	for d.more() {
		f(d.index(r.Pieces()))
	}
}
