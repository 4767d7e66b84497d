package actor

import "context"

// The ways into a mailbox. They lock it for an append, and run the Drop of what they
// refuse, and the world's Ready, without the lock.

// Tell appends a request or a reply. It never waits. Beyond the limit the broken
// window is reported, far beyond it the actor is stopped.
func (p *proc[M]) Tell(m M) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		drop(m)
		return
	}
	p.box.append(m)
	p.box.told++
	n := p.box.told
	if n > p.box.limit {
		p.overflow(n)
		return
	}
	p.unlockReady()
}

// overflow finishes a Tell that went over the limit, and unlocks.
func (p *proc[M]) overflow(n int32) {
	report := !p.box.over
	p.box.over = true
	lost := func() {}
	if n > floodFactor*p.box.limit {
		lost = p.closeLocked()
		p.stopSet, p.stopWhy = true, ErrFlooded
	}
	p.unlockReady()
	lost()
	if report {
		p.world.Overflow(&p.Cell, int(n), int(p.box.limit))
	}
}

// unlockReady unlocks after something has come in, and makes the cell runnable.
func (p *proc[M]) unlockReady() {
	ready := p.readyLocked()
	p.mu.Unlock()
	if ready {
		p.world.Ready(&p.Cell)
	}
}

// exited appends an Exit; its place was reserved when the child was made or the
// watch was set.
func (p *proc[M]) exited(m M) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		drop(m)
		return
	}
	p.box.append(m)
	p.unlockReady()
}

func (p *proc[M]) Offer(m M) bool {
	p.mu.Lock()
	if p.closed || p.box.offered >= p.box.offerMax {
		p.mu.Unlock()
		drop(m)
		return false
	}
	p.box.append(m)
	p.box.offered++
	p.unlockReady()
	return true
}

func (p *proc[M]) Notify(m M) {
	kind := any(m).(Signal).SignalKind()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		drop(m)
		return
	}
	old, replaced := p.box.signal(kind, m)
	p.unlockReady()
	if replaced {
		drop(old)
	}
}

// Put appends a pump's message, and waits while too many of them wait already.
func (p *proc[M]) Put(ctx context.Context, m M) error {
	for {
		room, err := p.admit(m)
		switch {
		case err != nil:
			drop(m)
			return err
		case room == nil:
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			drop(m)
			return ctx.Err()
		}
	}
}

func (p *proc[M]) TryPut(m M) bool {
	room, err := p.admit(m)
	if err != nil {
		drop(m)
	}
	return room == nil
}

// admit appends a pump's message, or returns what to wait for.
func (p *proc[M]) admit(m M) (room <-chan struct{}, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrStopped
	}
	if p.box.pumped < p.box.pumpMax {
		p.box.append(m)
		p.box.pumped++
		p.unlockReady()
		return nil, nil
	}
	defer p.mu.Unlock()
	if p.box.room == nil {
		p.box.room = make(chan struct{})
	}
	return p.box.room, nil
}
