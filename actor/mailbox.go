package actor

import "context"

// mailbox holds what waits for one actor. Everything here is under the cell's mu.
type mailbox[M any] struct {
	limit, pumpMax, offerMax int

	in      []M // FIFO
	spare   []M // the other half, swapped in per batch
	told    int // of in: requests and replies
	pumped  int // of in: from pumps and outsiders
	offered int // of in: hints
	signals []M // newest of each kind
	room    chan struct{}
	over    bool // the limit has been passed and reported
}

func (b *mailbox[M]) any() bool { return len(b.in) > 0 || len(b.signals) > 0 }

// swap takes the waiting mail, or its first limit messages, and lets the pumps in again.
func (b *mailbox[M]) swap(limit int) (mail, signals []M) {
	signals, b.signals = b.signals, nil
	if limit > 0 && limit < len(b.in) {
		mail = append([]M(nil), b.in[:limit]...)
		n := copy(b.in, b.in[limit:])
		clear(b.in[n:])
		b.in = b.in[:n]
	} else {
		mail, b.in, b.spare = b.in, b.spare[:0], nil
	}
	b.told, b.pumped, b.offered = 0, 0, 0
	b.openRoom()
	return mail, signals
}

func (b *mailbox[M]) openRoom() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// keep decides whether a used batch is worth keeping: busy actors do not allocate,
// idle ones do not hold memory.
func (b *mailbox[M]) keep(used []M) {
	clear(used)
	if b.spare == nil && cap(used) <= 16+4*len(used) {
		b.spare = used[:0]
	}
}

func (b *mailbox[M]) signal(kind uint8, m M) (old M, replaced bool) {
	for i := range b.signals {
		if any(b.signals[i]).(Signal).SignalKind() == kind {
			old, b.signals[i] = b.signals[i], m
			return old, true
		}
	}
	b.signals = append(b.signals, m)
	return old, false
}

// drop gives back what an undelivered message carries.
func drop[M any](m M) {
	if d, ok := any(m).(Dropper); ok {
		d.Drop()
	}
}

// tell appends a request or a reply. It never waits.
func (p *proc[M]) tell(m M) { p.post(m, &p.box.told) }

// post appends m and counts it; beyond the limit the broken window is reported,
// far beyond it the actor is stopped.
func (p *proc[M]) post(m M, count *int) {
	p.mu.Lock()
	if p.stopping {
		p.mu.Unlock()
		drop(m)
		return
	}
	p.box.in = append(p.box.in, m)
	*count++
	n := p.box.told
	report := n > p.box.limit && !p.box.over
	p.box.over = p.box.over || report
	ready := p.readyLocked()
	p.mu.Unlock()
	if ready {
		p.world.Ready(&p.Cell)
	}
	if report {
		p.world.Overflow(&p.Cell, n, p.box.limit)
	}
	if n > floodFactor*p.box.limit {
		p.stop(ErrFlooded)
	}
}

// exited appends an Exit; its place was reserved when the child was made.
func (p *proc[M]) exited(m M) { var uncounted int; p.post(m, &uncounted) }

func (p *proc[M]) offer(m M) bool {
	p.mu.Lock()
	full := p.stopping || p.box.offered >= p.box.offerMax
	p.mu.Unlock()
	if full {
		drop(m)
		return false
	}
	p.post(m, &p.box.offered)
	return true
}

func (p *proc[M]) notify(m M) {
	kind := any(m).(Signal).SignalKind()
	p.mu.Lock()
	if p.stopping {
		p.mu.Unlock()
		drop(m)
		return
	}
	old, replaced := p.box.signal(kind, m)
	ready := p.readyLocked()
	p.mu.Unlock()
	if replaced {
		drop(old)
	}
	if ready {
		p.world.Ready(&p.Cell)
	}
}

// put appends a pump's message, and waits while too many of them wait already.
func (p *proc[M]) put(ctx context.Context, m M) error {
	for {
		p.mu.Lock()
		switch {
		case p.stopping:
			p.mu.Unlock()
			drop(m)
			return ErrStopped
		case p.box.pumped < p.box.pumpMax:
			p.box.in = append(p.box.in, m)
			p.box.pumped++
			ready := p.readyLocked()
			p.mu.Unlock()
			if ready {
				p.world.Ready(&p.Cell)
			}
			return nil
		}
		if p.box.room == nil {
			p.box.room = make(chan struct{})
		}
		room := p.box.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			drop(m)
			return ctx.Err()
		}
	}
}

func (p *proc[M]) tryPut(m M) bool {
	p.mu.Lock()
	full := !p.stopping && p.box.pumped >= p.box.pumpMax
	p.mu.Unlock()
	if !full {
		_ = p.put(context.Background(), m)
	}
	return !full
}
