//pump: waits in Accept of the listeners, and for the first bytes of who has come in.

package transport

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// A listener that can accept nothing, for want of descriptors above all, waits a
// little longer each time: the end of a connection may help, dying does not.
const (
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

func (t *tcp) accept(l net.Listener, to actor.Inlet[Accepted]) {
	pause := acceptPause
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = acceptPause
			go t.porch.Greet(t.ctx, c, infoOf(c, true), to)
		case t.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			select {
			case <-time.After(pause):
			case <-t.ctx.Done():
			}
			pause = min(2*pause, acceptPauseMax)
		}
	}
}

// Porch holds the connections of a transport that have come in and are not yet the
// session's: at most Env.MaxHalfOpen. When it is full, who has kept silent for longest
// makes room: an honest peer's handshake follows its SYN at once.
type Porch struct {
	env Env
	max int

	mu     sync.Mutex
	n      int       // on the porch
	silent list.List // of *seat: those without a handshake, oldest first
	closed bool
}

type seat struct {
	c   net.Conn
	e   *list.Element // in silent
	out bool          // turned out
}

// NewPorch makes a porch for connections of a net.Listener, or of something like it.
func NewPorch(env Env) *Porch { return &Porch{env: env, max: env.maxHalfOpen()} }

// Greet brings a connection to the session once it has shaken hands, see [Greet]. It
// waits, also while the session has enough of them unread; no longer than ctx. It owns
// c from now on. For pumps.
func (p *Porch) Greet(ctx context.Context, c net.Conn, info Info, to actor.Inlet[Accepted]) {
	seat := p.enter(c)
	if seat == nil {
		c.Close()
		return
	}
	defer p.leave(seat)
	a, err := Greet(c, info, p.env)
	if err != nil {
		return
	}
	p.greeted(seat)
	_ = to.Put(ctx, a) // if nobody takes it, Drop closes it
}

// enter returns nil when there is no room and nobody to turn out.
func (p *Porch) enter(c net.Conn) *seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.n >= p.max && p.silent.Len() == 0 {
		return nil
	}
	if p.n >= p.max {
		p.turnOutLocked(p.silent.Front())
	}
	p.n++
	s := &seat{c: c}
	s.e = p.silent.PushBack(s)
	return s
}

func (p *Porch) turnOutLocked(e *list.Element) {
	s := p.silent.Remove(e).(*seat)
	s.out = true
	s.c.Close()
	p.n--
}

// greeted: the connection has shaken hands and is not turned out any more.
func (p *Porch) greeted(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent.Remove(s.e)
}

func (p *Porch) leave(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.out {
		p.silent.Remove(s.e) // does nothing to one that has greeted
		p.n--
	}
}

// Close turns out who is silent, and lets nobody in.
func (p *Porch) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for e := p.silent.Front(); e != nil; e = p.silent.Front() {
		p.turnOutLocked(e)
	}
}
