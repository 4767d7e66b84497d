package actor

import "math/rand/v2"

// proc is a cell with its types: the actor, its mailbox and its timers. The actor,
// timers and flags below belong to whoever runs the turn, one at a time.
type proc[M any] struct {
	Cell
	box mailbox[M] // under Cell.mu

	a        Actor[M]
	flusher  Flusher[M]
	ctx      Ctx[M]
	timers   timers[M]
	rng      *rand.Rand
	observer Observer
	started  bool
	quit     bool
	why      error
	ending   bool // Stop has been called, children are still ending
}

func newProc[M any](w World, s Spec, a Actor[M]) *proc[M] {
	p := &proc[M]{a: a}
	p.world, p.name, p.body = w, s.Name, p
	p.box.limit = orDefault(s.Limit, 64)
	p.box.pumpMax = orDefault(s.Pump, 8)
	p.box.offerMax = orDefault(s.Offer, 64)
	p.armed.Store(int64(Never))
	p.flusher, _ = a.(Flusher[M])
	p.observer, _ = w.(Observer)
	p.ctx.p = p
	p.state = queued // its first turn is Start
	return p
}

func orDefault(n, d int) int {
	if n == 0 {
		return d
	}
	return n
}

func (p *proc[M]) actor() any { return p.a }

func (p *proc[M]) pendingLocked() bool {
	if p.stopping {
		return p.kids.n == 0
	}
	return p.box.any() || p.stopSet
}

// closeLocked empties the mailbox for good; the caller drops the mail without the lock.
func (p *proc[M]) closeLocked() func() {
	in, signals := p.box.in, p.box.signals
	p.box.in, p.box.signals, p.box.spare = nil, nil, nil
	p.box.openRoom()
	return func() {
		for _, m := range in {
			drop(m)
		}
		for _, m := range signals {
			drop(m)
		}
	}
}

// turn drains once: stop, first turn, signals, due timers, mail, Flush.
func (p *proc[M]) turn(limit int) {
	if p.ending {
		p.lastTurn()
		return
	}
	p.mu.Lock()
	stop, why := p.stopSet, p.stopWhy
	var mail, signals []M
	if !stop {
		mail, signals = p.box.swap(limit)
	}
	p.mu.Unlock()

	p.ctx.now = p.world.Now()
	if stop {
		p.quit, p.why = true, why
	} else {
		p.drain(mail, signals)
	}
	if p.quit {
		p.end()
		return
	}
	p.mu.Lock()
	p.box.keep(mail)
	p.mu.Unlock()
	p.rearm(p.timers.next())
}

// drain hands out one batch. A panic ends the actor; what it had not yet seen is dropped.
func (p *proc[M]) drain(mail, signals []M) {
	i, j := 0, 0
	defer func() {
		if v := recover(); v != nil {
			p.quit, p.why = true, p.crashed(v)
			p.started = false // no Stop: the state is not to be trusted
		}
		for ; p.quit && j < len(signals); j++ {
			drop(signals[j])
		}
		for ; p.quit && i < len(mail); i++ {
			drop(mail[i])
		}
	}()
	if !p.started {
		p.started = true
		if s, ok := p.a.(Starter[M]); ok {
			s.Start(&p.ctx)
		}
	}
	for j < len(signals) && !p.quit {
		j++
		p.handle(signals[j-1])
	}
	for !p.quit {
		m, ok := p.timers.due(p.ctx.now)
		if !ok {
			break
		}
		p.handle(m)
	}
	for i < len(mail) && !p.quit {
		i++
		p.handle(mail[i-1])
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

// end gives the actor its last turn and stops its children; the cell is finished
// when the last of them is gone.
func (p *proc[M]) end() {
	if p.started {
		p.sayStop()
	}
	p.ending = true
	p.timers = timers[M]{}
	if p.beginStop() {
		p.lastTurn()
	}
}

func (p *proc[M]) sayStop() {
	defer func() {
		if v := recover(); v != nil {
			p.why = p.crashed(v)
		}
	}()
	if s, ok := p.a.(Stopper[M]); ok {
		s.Stop(&p.ctx, p.why)
	}
}

func (p *proc[M]) lastTurn() {
	p.mu.Lock()
	childless := p.kids.n == 0 && p.state != dead
	p.mu.Unlock()
	if childless {
		p.finish(p.why)
	}
}
