package storage

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// budgetState is who waits for slots.
type budgetState struct {
	stalled   queue[*torrent] // wait for Resume
	starved   bool            // a read found no slot
	roomTimer bool
	spilling  int        // writes of partial pieces under way
	nextSpill clock.Time // when to look for cold pieces again
}

// roomTick is the time to look whether slots have been released.
type roomTick struct{}

func (roomTick) storageMsg() {}

// tight reports whether the slab is used above its high mark.
func (s *Storage) tight() bool { return s.cfg.Slab.Used() >= s.marks.high }

// onStall answers when there is room again.
func (s *Storage) onStall(t *torrent) {
	if s.cfg.Slab.Used() <= s.marks.low {
		t.tell(Resume{ID: t.id})
		return
	}
	s.budget.stalled.push(t)
}

// relieve resumes torrents that wait for room and, if only partial pieces hold
// it, makes room.
func (s *Storage) relieve(c *actor.Ctx[Message]) {
	used := s.cfg.Slab.Used()
	if used <= s.marks.low {
		for s.budget.stalled.len() > 0 {
			t := s.budget.stalled.pop()
			t.tell(Resume{ID: t.id})
		}
		return
	}
	if s.budget.spilling > 0 || c.Now() < s.budget.nextSpill {
		return
	}
	stuck := s.budget.stalled.len() > 0 && s.idle()
	if stuck || used >= s.marks.high && s.idle() || used >= s.marks.full {
		s.budget.nextSpill = c.Now().Add(spillEvery)
		s.spillCold(c, used-s.marks.low)
		if stuck && s.budget.spilling == 0 {
			s.dropTroubled()
		}
	}
}

// idle reports whether nothing under way will release slots.
func (s *Storage) idle() bool {
	return s.lanes.busy[LaneHash]+s.lanes.busy[LaneWrite] == 0
}

// spillCold writes the partial pieces that have waited longest, until n slots are
// free. Pieces whose blocks come in right now are left alone if possible.
func (s *Storage) spillCold(c *actor.Ctx[Message], n int) {
	var cold []*piece
	for _, t := range s.torrents { //order: irrelevant, sorted below
		if t.phase != open || t.trouble.err != nil || !t.mayWrite() {
			continue
		}
		for _, pc := range t.pieces { //order: irrelevant, sorted below
			if pc.state == filling && !pc.hashing && !pc.full() && pc.memory > 0 {
				cold = append(cold, pc)
			}
		}
	}
	slices.SortFunc(cold, func(a, b *piece) int {
		return cmp.Or(cmp.Compare(a.touched, b.touched), cmp.Compare(a.t.id, b.t.id), cmp.Compare(a.index, b.index))
	})
	for _, pc := range cold {
		if n <= 0 || s.budget.spilling >= maxSpills {
			return
		}
		n -= int(pc.memory)
		s.spill(c, pc)
	}
}

// dropTroubled gives up partial pieces that a disk in trouble does not take, while
// other torrents wait for the room.
func (s *Storage) dropTroubled() {
	for _, id := range slices.Sorted(maps.Keys(s.torrents)) {
		t := s.torrents[id]
		if t.trouble.err == nil {
			continue
		}
		for _, p := range sortedPieces(t.pieces) {
			if pc := t.pieces[p]; pc.state == filling && !pc.hashing && !pc.spill && pc.memory > 0 {
				t.tell(PieceDone{ID: t.id, Piece: p, Err: t.trouble.err})
				s.discard(pc)
			}
		}
	}
}

// spillEvery bounds how often cold pieces are looked for.
const spillEvery = 50 * time.Millisecond

// maxSpills bounds the writes of partial pieces under way.
const maxSpills = 16

// spill writes the blocks of a partial piece as they are.
func (s *Storage) spill(c *actor.Ctx[Message], pc *piece) {
	t := pc.t
	k := take(&s.pools.write)
	k.store, k.spill = t.store, true
	k.pieces = append(k.pieces, pc)
	k.addBlocks(t.lay, pc)
	blocks := pc.stored.Clone()
	for b, slot := range pc.slots {
		if slot != nil {
			blocks.Set(int32(b))
		}
	}
	k.record = appendPartial(k.record[:0], s.boot.id, pc.index, &blocks)
	pc.spill = true
	s.budget.spilling++
	t.using[writing]++
	s.start(c, &k.job, LaneWrite, t, k)
}

// spilled takes a partial piece back. Blocks that came meanwhile are still in memory.
func (s *Storage) spilled(c *actor.Ctx[Message], t *torrent, k *writeTask) {
	pc := k.pieces[0]
	pc.spill = false
	s.budget.spilling--
	if k.err != nil {
		s.inTrouble(c, t, k.err)
		s.enqueueHash(pc)
		return
	}
	s.recorded(t, int64(len(k.record)), k.recordErr)
	for i, b := range pc.slots {
		if b != nil && k.wrote(b) {
			b.Release()
			pc.slots[i] = nil
			pc.memory--
			pc.stored.Set(int32(i))
		}
	}
	t.facts.setBoot(s.boot.id)
	t.facts.setPartial(pc.index, pc.stored.Clone())
	t.move.changed(pc.index)
	s.soil(t, pc.index)
	s.enqueueHash(pc)
}

// setTimers arms what has to be looked at later.
func (s *Storage) setTimers(c *actor.Ctx[Message]) {
	if !s.budget.roomTimer && (s.budget.starved || s.budget.stalled.len() > 0) {
		s.budget.roomTimer = true
		c.After(roomEvery, roomTick{})
	}
	if !s.sync.timer && s.sync.dirty.len() > 0 {
		s.sync.timer = true
		c.After(syncEvery, syncTick{})
	}
}
