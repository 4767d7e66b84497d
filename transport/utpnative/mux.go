package utpnative

import (
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// mux is the actor of one transport. It owns the sockets and all connections.
type mux struct {
	cfg   Config
	pool  utp.Pool
	kinds [2]*utp.Config // of machines, by family

	links map[key]*link
	all   []*link // the same, in an order that the seed decides
	last  *link   // whose datagram came last

	dirty   []*link // to be settled at the end of the turn
	waiting []*link // could not do something: see again
	retries bool    // a retry is on its way
	wheel   wheel
	tick    actor.Timer
	tickAt  actor.Time

	socks  sockets
	porch  porch
	resets resets
	bufs   buffers
	closed bool // Close was called: it ends when no link is left
	hurry  bool // and does not wait for remotes any more

	c       *actor.Ctx[msg] // of the present turn
	cur     *link           // that is receiving, or speaking
	deliver func([]byte)    // x.take, made once
	lend    utp.Alloc       // x.borrow, made once
	due     func(*link)     // x.comeUp, made once
}

func newMux(cfg Config) *mux {
	cfg = cfg.withDefaults()
	x := &mux{cfg: cfg, links: map[key]*link{}, tickAt: actor.Never}
	x.kinds = [2]*utp.Config{cfg.machines(false, &x.pool), cfg.machines(true, &x.pool)}
	x.porch.init(cfg.Env.MaxHalfOpen)
	x.deliver, x.lend, x.due = x.take, x.borrow, x.comeUp
	return x
}

// Handle implements actor.Actor.
func (x *mux) Handle(c *actor.Ctx[msg], m msg) {
	x.c = c
	switch m := m.(type) {
	case arrived:
		x.arrive(m.Packet)
	case sendMsg:
		x.send(m.l, m.b)
	case allowMsg:
		x.allow(m.l, m.n)
	case bindMsg:
		x.bind(m.l, m.in)
	case endMsg:
		x.hangUp(m.l, m.reason)
	case tick:
		x.tickAt = actor.Never
	case retry:
		x.retries = false
		x.retry()
	case dialMsg:
		x.dial(m)
	case listenMsg:
		x.listen(m)
	case opened:
		x.onOpened(m)
	case closeMsg:
		x.close()
		c.After(lastWords, hurry{})
	case hurry:
		x.hurry = true
	}
}

// Flush implements actor.Flusher: links that were touched, or whose time has come,
// speak.
func (x *mux) Flush(c *actor.Ctx[msg]) {
	x.c = c
	x.wheel.advance(c.Now(), x.due)
	for i := 0; i < len(x.dirty); i++ { // more may become dirty on the way
		x.settle(x.dirty[i])
	}
	clear(x.dirty)
	x.dirty = x.dirty[:0]
	if !x.offer() {
		x.retryLater()
	}
	x.arm()
	if x.closed && x.done() {
		c.Quit(nil)
	}
}

// Stop implements actor.Stopper.
func (x *mux) Stop(c *actor.Ctx[msg], _ error) {
	x.c = c
	x.close()
	for len(x.all) > 0 {
		l := x.all[len(x.all)-1]
		x.end(l, l.broken(transport.NetworkFault, transport.ErrClosed))
		l.m.Abort()
		x.speak(l)
		x.bury(l)
	}
	x.socks.close()
}

// arm sets the timers for the next turn.
func (x *mux) arm() {
	if at := x.wheel.next(); at < x.tickAt {
		if x.tickAt != actor.Never {
			x.c.Cancel(x.tick)
		}
		x.tick, x.tickAt = x.c.After(at.Sub(x.c.Now()), tick{}), at
	}
	if len(x.waiting) > 0 || x.socks.full() {
		x.retryLater()
	}
}

// retryLater makes a retry come soon, if none is on its way.
func (x *mux) retryLater() {
	if !x.retries {
		x.retries = true
		x.c.After(again, retry{})
	}
}

// comeUp: a link's slot of the wheel has come up.
func (x *mux) comeUp(l *link) {
	if at := l.deadline(); at > x.c.Now() {
		x.wheel.set(l, at)
		return
	}
	x.touch(l)
}

// touch has a link settled at the end of the turn.
func (x *mux) touch(l *link) {
	if !l.dirty && l.m != nil {
		l.dirty = true
		x.dirty = append(x.dirty, l)
	}
}

// wait has the link try again soon.
func (x *mux) wait(l *link) {
	if !l.waits {
		l.waits = true
		x.waiting = append(x.waiting, l)
	}
}

// retry lets those go on who could not do something.
func (x *mux) retry() {
	x.socks.retry(x)
	list := x.waiting
	x.waiting = nil
	for _, l := range list {
		l.waits = false
		x.repost(l)
		x.touch(l)
	}
	if x.waiting == nil {
		clear(list)
		x.waiting = list[:0]
	}
}

// settle does what follows from all that has happened to a link.
func (x *mux) settle(l *link) {
	l.dirty = false
	if l.m == nil {
		return
	}
	x.examine(l)
	x.give(l)
	x.speak(l)
	x.account(l)
	if l.m.Phase() == utp.Closed {
		x.bury(l)
		return
	}
	x.wheel.set(l, l.deadline())
}

// examine looks at what has become of the connection.
func (x *mux) examine(l *link) {
	now := x.c.Now()
	switch {
	case l.fault != nil:
		x.end(l, l.fault)
		l.m.Abort()
	case l.dial != nil:
		x.onDialed(l, now)
	case l.guest != nil:
		x.onGuest(l, now)
	}
}

// add makes a connection known.
func (x *mux) add(l *link) {
	l.place = len(x.all)
	x.all = append(x.all, l)
	x.links[l.key] = l
	x.touch(l)
}

// bury forgets a connection whose machine has come to its end.
func (x *mux) bury(l *link) {
	if l.why == nil {
		x.end(l, l.ending(l.m.Err()))
	}
	x.account(l)
	l.out.drop(&x.bufs)
	l.m = nil
	delete(x.links, l.key)
	x.wheel.remove(l)
	if x.last == l {
		x.last = nil
	}
	end := len(x.all) - 1
	x.all[l.place] = x.all[end]
	x.all[l.place].place = l.place
	x.all[end] = nil
	x.all = x.all[:end]
}

// end closes a connection towards the peer: Closed is its last event. What was written
// is still delivered, if the remote takes it. The first reason counts.
func (x *mux) end(l *link, why error) {
	if l.why != nil {
		return
	}
	l.why = why
	l.in.framer.Drop()
	l.in.spill = nil
	l.sec = nil
	if l.dial != nil {
		l.dial.fail(l, why)
		l.dial = nil
	} else if l.guest != nil {
		x.porch.leave(l)
	} else {
		x.post(l, transport.Closed{Err: why})
	}
	if l.m != nil {
		l.m.Close(x.c.Now())
		x.touch(l)
	}
}

// done reports whether nothing is left that a closed transport has to wait for.
func (x *mux) done() bool {
	return len(x.waiting) == 0 && !slices.ContainsFunc(x.all, func(l *link) bool {
		return l.why == nil || !x.hurry && l.m.Phase() < utp.Lingering
	})
}
