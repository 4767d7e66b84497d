package actor

import "math/rand/v2"

// proc is a cell with its types: the actor, its mailbox and its timers.
type proc[M any] struct {
	Cell
	box mailbox[M] // under Cell.mu

	// All below belongs to whoever runs the turn, one at a time.
	a        Actor[M]
	flusher  Flusher[M]
	observer Observer
	ctx      Ctx[M]
	batch    batch[M]
	timers   timers[M]
	rng      *rand.Rand
	why      error // of quit
	started  bool
	quit     bool
	panicked bool
}

func newProc[M any](w World, s Spec, a Actor[M]) *proc[M] {
	p := &proc[M]{a: a}
	p.world, p.name, p.body = w, s.Name, p
	p.pos = -1
	p.box.limit = orDefault(s.Limit, 64)
	p.box.pumpMax = orDefault(s.Pump, 8)
	p.box.offerMax = orDefault(s.Offer, 64)
	p.armed.Store(int64(Never))
	p.flusher, _ = a.(Flusher[M])
	p.observer, _ = w.(Observer)
	p.ctx.p = p
	p.kid.cell = &p.Cell
	p.state = queued // its first turn is Start
	return p
}

func orDefault(n int, d int32) int32 {
	if n <= 0 {
		return d
	}
	return int32(min(n, 1<<28))
}

func (p *proc[M]) actor() any { return p.a }

// takeLocked begins a turn: a stop goes ahead of the mail, which stays and is dropped.
func (p *proc[M]) takeLocked(limit int) {
	switch {
	case p.ending:
	case p.stopSet:
		p.quit, p.why = true, p.stopWhy
	default:
		p.batch.take(&p.box, limit)
	}
}

func (p *proc[M]) settleLocked() (more bool) {
	if p.ending {
		return p.kids.n == 0
	}
	if len(p.batch.mail) > 0 || p.box.any() || p.stopSet {
		return true
	}
	p.batch.shrink(&p.box)
	return false
}

// closeLocked empties the mailbox for good; the caller drops the mail without the lock.
func (p *proc[M]) closeLocked() func() {
	in, signals := p.box.in, p.box.signals
	p.box.in, p.box.signals = nil, nil
	p.closed = true
	p.box.openRoom()
	return func() {
		dropAll(&p.Cell, signals)
		dropAll(&p.Cell, in)
	}
}

// turn drains once: first turn, stop, signals, due timers, mail, Flush.
func (p *proc[M]) turn() {
	if p.ending {
		p.lastTurn()
		return
	}
	p.ctx.now = p.world.Now()
	p.drain()
	if p.quit {
		p.end()
		return
	}
	p.batch.used()
	p.rearm(p.timers.next())
}

// drain hands out one batch. A panic ends the actor.
func (p *proc[M]) drain() {
	defer p.catch()
	if !p.started {
		p.started = true
		if s, ok := p.a.(Starter[M]); ok {
			s.Start(&p.ctx)
		}
	}
	for i := 0; i < len(p.batch.signals) && !p.quit; i++ {
		m := p.batch.signals[i]
		p.batch.seen = i + 1
		p.handle(m)
	}
	for newest := p.timers.seq; !p.quit; {
		m, ok := p.timers.due(p.ctx.now, newest)
		if !ok {
			break
		}
		p.handle(m)
	}
	for p.batch.next < p.batch.end && !p.quit {
		m := p.batch.mail[p.batch.next]
		p.batch.next++
		p.handle(m)
	}
	if p.flusher != nil && !p.quit {
		p.flusher.Flush(&p.ctx)
	}
}

func (p *proc[M]) handle(m M) {
	if p.observer != nil {
		p.observer.Handled(&p.Cell, m)
	}
	p.a.Handle(&p.ctx, m)
}

// catch is deferred around the actor's own code.
func (p *proc[M]) catch() {
	if v := recover(); v != nil {
		p.quit, p.panicked, p.why = true, true, p.crash(v)
	}
}

// end gives the actor its last turn, drops what it has not seen, and stops its
// children; the cell is finished when the last of them is gone.
func (p *proc[M]) end() {
	if !p.panicked { // else the state is not to be trusted
		p.sayStop()
	}
	signals, mail := p.batch.rest()
	dropAll(&p.Cell, signals)
	dropAll(&p.Cell, p.timers.rest())
	dropAll(&p.Cell, mail)
	if p.beginEnd() {
		p.finish(p.why)
	}
}

func (p *proc[M]) sayStop() {
	defer p.catch()
	if s, ok := p.a.(Stopper[M]); ok {
		s.Stop(&p.ctx, p.why)
	}
}

// lastTurn comes when a child of an ending actor has gone.
func (p *proc[M]) lastTurn() {
	p.mu.Lock()
	childless := p.kids.n == 0
	p.mu.Unlock()
	if childless {
		p.finish(p.why)
	}
}
