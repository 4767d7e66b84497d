package storage

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// Errors that torrents hear.
var (
	ErrClosed   = errors.New("storage: torrent is closed")
	ErrUnknown  = errors.New("storage: no such torrent is open")
	ErrNotHave  = errors.New("storage: piece is not there")
	ErrMissing  = errors.New("the files of this torrent are missing")
	ErrShared   = errors.New("another torrent writes this file")
	ErrReadOnly = errors.New("storage: torrent was opened for reading only")

	errBusy         = errors.New("storage: a check of this torrent is under way")
	errSavedTooLong = errors.New("storage: value of Save is too long")
)

// Storage is the actor that keeps the payload of all torrents of one device. It
// owns every torrent's pieces on their way to the disk, the queues and what is
// known of pieces; files belong to the workers.
type Storage struct {
	cfg   Config
	marks marks
	now   clock.Time // of the present batch

	boot     bootState
	torrents map[ID]*torrent
	keys     map[string]ID // by info-hash

	lanes  laneState
	pools  pools
	budget budgetState
	sync   syncState
	verify verifyState
	hashes hashState
}

// bootState: nothing is opened before the state folder is.
type bootState struct {
	done bool
	err  error
	id   string // of the machine's boot
	wait []Message
}

// laneState is who has work for which lane, and how many jobs are under way.
type laneState struct {
	busy  [Lanes]int
	hash  rota
	write rota
	read  rota
	slow  rota
}

// New makes the actor for one device.
func New(cfg Config) *Storage {
	cfg = cfg.withDefaults()
	return &Storage{
		cfg:      cfg,
		marks:    marksOf(cfg.Slab.Budget()),
		torrents: map[ID]*torrent{},
		keys:     map[string]ID{},
		lanes: laneState{
			hash: rota{which: 1}, write: rota{which: 2}, read: rota{which: 4}, slow: rota{which: 8},
		},
		sync: syncState{dirty: rota{which: 16}, due: rota{which: 32}},
	}
}

// Start opens the state folder.
func (s *Storage) Start(c *actor.Ctx[Message]) {
	s.submit(c, LaneSlow, nil, &bootTask{dir: s.cfg.StateDir, shared: s.cfg.Shared})
}

// Handle implements actor.Actor.
func (s *Storage) Handle(c *actor.Ctx[Message], m Message) {
	s.now = c.Now()
	if s.early(m) {
		return
	}
	switch m := m.(type) {
	case Open:
		s.onOpen(c, m)
	case *Blocks:
		s.onBlocks(c, m)
	case *Read:
		s.onRead(c, m)
	case Sum:
		s.with(m.ID, func(t *torrent) { s.onSum(c, t, m) })
	case Stall:
		s.with(m.ID, s.onStall)
	case Verify:
		s.with(m.ID, func(t *torrent) { s.onVerify(c, t, m) })
	case Select:
		s.with(m.ID, func(t *torrent) { s.onSelect(t, m) })
	case Move:
		s.with(m.ID, func(t *torrent) { s.onMove(t, m) })
	case Rename:
		s.with(m.ID, func(t *torrent) { s.onRename(t, m) })
	case Save:
		s.with(m.ID, func(t *torrent) { s.onSave(t, m) })
	case Sync:
		s.with(m.ID, func(t *torrent) { s.onSync(c, t, m) })
	case Look:
		s.with(m.ID, func(t *torrent) { s.onLook(t, m) })
	case Close:
		s.onClose(c, m)
	case *Job:
		s.onJob(c, m)
	case syncTick:
		s.onSyncTick(c)
	case mateTick:
		s.hashes.timer = false
	case roomTick:
		s.budget.roomTimer = false
	case retryTick:
		s.onRetryTick(c, m)
	default:
		panic(fmt.Sprintf("storage: unknown message %T", m))
	}
}

// Flush gives out jobs after each batch of messages.
func (s *Storage) Flush(c *actor.Ctx[Message]) {
	s.giveReads(c)
	s.giveHashes(c)
	s.giveWrites(c)
	s.giveSlow(c)
	s.giveSyncs(c)
	s.giveVerify(c)
	s.relieve(c)
	s.setTimers(c)
}

// early keeps what comes before the state folder or its torrent is open.
func (s *Storage) early(m Message) bool {
	if _, job := m.(*Job); job {
		return false
	}
	if !s.boot.done {
		s.boot.wait = append(s.boot.wait, m)
		return true
	}
	if _, another := m.(Open); another {
		return false
	}
	id, ok := torrentOf(m)
	if t := s.torrents[id]; ok && t != nil && t.phase == opening {
		t.early = append(t.early, m)
		return true
	}
	return false
}

// torrentOf names the torrent that a message is about.
func torrentOf(m Message) (id ID, ok bool) {
	switch m := m.(type) {
	case Open:
		return m.ID, true
	case *Blocks:
		return m.ID, true
	case *Read:
		return m.ID, true
	case Sum:
		return m.ID, true
	case Stall:
		return m.ID, true
	case Verify:
		return m.ID, true
	case Select:
		return m.ID, true
	case Move:
		return m.ID, true
	case Rename:
		return m.ID, true
	case Save:
		return m.ID, true
	case Sync:
		return m.ID, true
	case Look:
		return m.ID, true
	case Close:
		return m.ID, true
	}
	return 0, false
}

// again handles what has come early. What is still early waits again.
func (s *Storage) again(c *actor.Ctx[Message], early []Message) {
	for _, m := range early {
		s.Handle(c, m)
	}
}

// with calls f with an open torrent.
func (s *Storage) with(id ID, f func(t *torrent)) {
	if t := s.torrents[id]; t != nil && t.phase == open {
		f(t)
	}
}

// submit hands a job to the workers.
func (s *Storage) submit(c *actor.Ctx[Message], lane Lane, t *torrent, k task) {
	s.start(c, &Job{}, lane, t, k)
}

// start is submit with a job that is reused.
func (s *Storage) start(c *actor.Ctx[Message], j *Job, lane Lane, t *torrent, k task) {
	*j = Job{lane: lane, t: t, task: k, reply: c.Self()}
	s.lanes.busy[lane]++
	s.cfg.Workers.Do(j)
}

// room reports whether a lane takes another job.
func (s *Storage) room(lane Lane) bool { return s.lanes.busy[lane] < s.cfg.Lanes[lane] }

// onJob takes a job back.
func (s *Storage) onJob(c *actor.Ctx[Message], j *Job) {
	s.lanes.busy[j.lane]--
	switch k := j.task.(type) {
	case *hashTask:
		s.hashed(c, k)
	case *writeTask:
		s.written(c, k)
	case *readTask:
		s.wasRead(k)
	case *verifyTask:
		s.verified(c, j.t, k)
	case *sumTask:
		s.summed(j.t, k)
	case *syncTask:
		s.synced(c, j.t, k)
	case *bootTask:
		s.booted(c, k)
	case *openTask:
		s.opened(c, j.t, k)
	default:
		s.opDone(c, j.t, k)
	}
}

// Check implements actor.Checker.
func (s *Storage) Check() error {
	for lane, n := range s.lanes.busy {
		if n != 0 {
			return fmt.Errorf("storage: %d jobs of lane %d are under way", n, lane)
		}
	}
	if n := s.lanes.hash.len() + s.lanes.write.len() + s.lanes.read.len() + s.lanes.slow.len(); n != 0 {
		return fmt.Errorf("storage: %d torrents wait for workers", n)
	}
	for _, t := range s.torrents { //order: irrelevant, any fault will do
		if err := t.check(); err != nil {
			return err
		}
	}
	return nil
}

// Stop implements actor.Stopper: whoever waits is answered, slots are given back.
// What is on the disk stays as after a crash: all that was recorded counts.
func (s *Storage) Stop(_ *actor.Ctx[Message], _ error) {
	s.dropEarly(s.boot.wait)
	for _, t := range s.torrents { //order: irrelevant, each torrent has its own receiver
		s.dropEarly(t.early)
		s.abandon(t, ErrClosed)
	}
}

// dropEarly gives back what early messages carry.
func (s *Storage) dropEarly(early []Message) {
	for _, m := range early {
		switch m := m.(type) {
		case *Read:
			s.refuse(m, ErrClosed)
		case *Blocks:
			m.Drop()
		}
	}
}
