package storage

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

// syncState is which torrents have something to make durable, and when.
type syncState struct {
	dirty rota // something was written since the last sync
	due   rota // to be synced as soon as there is a worker
	timer bool
}

// syncTick comes a second after the first write that is not durable.
type syncTick struct{}

func (syncTick) storageMsg() {}

// dirtState is what of a torrent is not durable.
type dirtState struct {
	files  bits.Set // written since the last sync
	parts  bool     // the part store was written
	pieces []int32  // verified and written since the last sync
	lost   []int32  // not to be trusted any more, not recorded yet
	bytes  int64
	busy   bool   // a sync is under way
	wait   []Sync // to be answered by a sync that has not begun yet
}

// soil notes that a verified or partial piece was written and has to be synced.
func (s *Storage) soil(t *torrent, p metainfo.PieceIndex) {
	d := &t.dirt
	if d.files.Len() == 0 {
		d.files = bits.New(int32(len(t.lay.files)))
	}
	off := t.lay.PieceOffset(p)
	end := off + t.lay.PieceSize(p)
	for i := t.lay.firstAt(off); i < len(t.lay.files) && t.lay.files[i].Offset < end; i++ {
		switch {
		case !t.lay.hasData(int32(i)):
		case t.facts.placed.Has(int32(i)):
			d.files.Set(int32(i))
		default:
			d.parts = true
		}
	}
	if t.have.Has(int32(p)) {
		d.pieces = append(d.pieces, int32(p))
	}
	d.bytes += end - off
	s.sync.dirty.add(t)
	if d.bytes >= syncBytes {
		s.sync.due.add(t)
	}
}

// onSync makes all durable that is written now, complete files under their final
// names.
func (s *Storage) onSync(_ *actor.Ctx[Message], t *torrent, m Sync) {
	if t.files.finishing > 0 {
		t.files.syncs = append(t.files.syncs, m)
		return
	}
	t.dirt.wait = append(t.dirt.wait, m)
	s.sync.due.add(t)
}

// onSyncTick lets every dirty torrent be synced.
func (s *Storage) onSyncTick(*actor.Ctx[Message]) {
	s.sync.timer = false
	for t := s.sync.dirty.next(); t != nil; t = s.sync.dirty.next() {
		s.sync.due.add(t)
	}
}

// giveSyncs hands out syncs, torrents in turn.
func (s *Storage) giveSyncs(c *actor.Ctx[Message]) {
	for range s.sync.due.len() {
		if !s.room(LaneSync) {
			return
		}
		t := s.sync.due.next()
		if t.mayWrite() && !t.dirt.busy && t.syncable() {
			s.startSync(c, t)
		}
	}
}

// syncable reports whether the torrent has files that a sync may touch.
func (t *torrent) syncable() bool {
	return t.phase == open || t.phase == closing && !t.closing.last && !t.closing.drop
}

// startSync takes all that is dirty.
func (s *Storage) startSync(c *actor.Ctx[Message], t *torrent) {
	d := &t.dirt
	k := &syncTask{store: t.store, parts: d.parts, lost: d.lost, bytesDirty: d.bytes, wait: d.wait}
	for _, p := range d.pieces {
		if t.have.Has(p) { // not lost since
			k.pieces = append(k.pieces, p)
		}
	}
	for f := range d.files.All() {
		k.files = append(k.files, f)
	}
	if len(k.lost) > 0 {
		k.record = appendPieces(k.record, recLost, "", k.lost)
	}
	if len(k.pieces) > 0 {
		k.record = appendPieces(k.record, recDurable, "", k.pieces)
	}
	d.files.Reset()
	*d = dirtState{files: d.files, busy: true}
	t.using[writing]++
	s.submit(c, LaneSync, t, k)
}

// synced notes what is durable now.
func (s *Storage) synced(c *actor.Ctx[Message], t *torrent, k *syncTask) {
	t.using[writing]--
	d := &t.dirt
	d.busy = false
	s.recorded(t, int64(len(k.record)), k.recordErr)
	if k.err != nil {
		s.notSynced(c, t, k)
	} else {
		for _, p := range k.pieces {
			if t.have.Has(p) {
				t.facts.addDurable(p)
			}
		}
	}
	for _, m := range k.wait {
		t.done(m.Cookie, k.err)
	}
	switch {
	case len(d.wait) > 0 || d.bytes >= syncBytes:
		s.sync.due.add(t)
	case d.bytes > 0 || len(d.lost) > 0:
		s.sync.dirty.add(t)
	}
	s.advanceClose(c, t)
}

// notSynced puts everything back that a failed sync was to make durable. Of its
// pieces it is not known any more whether they will ever reach the disk: that is
// recorded, and they are looked after before all is said to be well.
func (s *Storage) notSynced(c *actor.Ctx[Message], t *torrent, k *syncTask) {
	d := &t.dirt
	for _, f := range k.files {
		d.files.Set(f)
	}
	d.parts = d.parts || k.parts
	d.lost = append(k.lost, d.lost...)
	d.bytes += k.bytesDirty
	s.doubt(t, k.pieces)
	s.inTrouble(c, t, k.err)
}

// recorded notes the growth of the state file, and that it needs a new snapshot
// when it has grown long or a record could not be appended.
func (s *Storage) recorded(t *torrent, n int64, err error) {
	t.logged += n
	if (err != nil || t.logged > compactBytes+4*t.snapshotSize()) && s.now >= t.compactNext {
		s.compact(t)
	}
}

// snapshotSize is about how long a snapshot of the torrent is.
func (t *torrent) snapshotSize() int64 {
	return int64(t.lay.Pieces())/2 + int64(len(t.facts.saved))
}
