package lsd

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	// interval between two announces of a torrent. BEP 14: "As long as a client is
	// participating in a swarm it should send a LSD announce every 5 minutes".
	interval = 5 * time.Minute
	// MinInterval: "To avoid causing multicast storms on large networks a client should
	// send no more than 1 announce per minute." It holds for each torrent, and for
	// datagrams as far as all torrents can be named every 5 minutes at that rate; burst
	// of them may come early, so that a new torrent need not wait.
	MinInterval = time.Minute
	burst       = 5
	// leastSpacing of datagrams, however many torrents there are: with more than 7,200
	// each is announced less often.
	leastSpacing = time.Second
	// answerWithin this time one who is new is answered: others answer too.
	answerWithin = time.Second
	// reopenAfter a socket could not be opened or has failed, at first; it doubles.
	reopenAfter = 30 * time.Second
	reopenMax   = 15 * time.Minute
)

// Config is what an Announcer needs.
type Config struct {
	Open   Opener
	Groups []netip.AddrPort // Group4, Group6
	Port   uint16           // where peers can connect; 0: nothing is announced
	// Local says which senders are neighbours; nil: all.
	Local                 func(netip.Addr) bool
	Interval, MinInterval time.Duration // 0: 5 minutes, 1 minute
}

// Limit is how many messages may wait at an Announcer: each of n torrents may be
// added and removed at once.
func Limit(n int) int { return 2*n + 64 }

// announcer owns what its package comment says.
type announcer struct {
	cfg     Config
	cookie  string
	sockets []slot // by group
	byHash  map[[20]byte]*entry
	order   []*entry // the same, in order of arrival
	guard   guard    // who may be heard: guard.go
	tokens  int      // datagrams that may be sent now
	refill  actor.Time
	timer   actor.Timer
	timerAt actor.Time
	stats   Stats
	buf     []byte
}

// slot is one group's socket.
type slot struct {
	group   netip.AddrPort
	socket  Socket // nil: not open
	opening bool
	fails   int
	err     error
}

// entry is one torrent.
type entry struct {
	hash  [20]byte
	reply actor.Ref[Found]
	last  actor.Time // announced; valid if sent
	next  actor.Time
	sent  bool
}

// New makes the actor that owns a session's part in local discovery.
func New(cfg Config) actor.Actor[Message] {
	if cfg.Interval <= 0 {
		cfg.Interval = interval
	}
	if cfg.MinInterval <= 0 {
		cfg.MinInterval = min(MinInterval, cfg.Interval)
	}
	return &announcer{cfg: cfg, byHash: map[[20]byte]*entry{}, tokens: burst}
}

// Start draws the cookie and opens the sockets.
func (a *announcer) Start(c *actor.Ctx[Message]) {
	// BEP 14: "opaque value, allowing the sending client to filter out its own
	// announces". libtorrent reads it as a hexadecimal number of 32 bits.
	a.cookie = fmt.Sprintf("%08x", c.Rand().Uint32())
	a.timerAt = actor.Never
	a.refill = c.Now()
	a.guard.init(c.Now())
	a.sockets = make([]slot, len(a.cfg.Groups))
	for i, g := range a.cfg.Groups {
		a.sockets[i].group = g
		a.open(c, i)
	}
}

// Handle implements actor.Actor. Handlers change state, Flush sends.
func (a *announcer) Handle(c *actor.Ctx[Message], m Message) {
	switch m := m.(type) {
	case Add:
		a.onAdd(c.Now(), m)
	case Remove:
		a.onRemove(m)
	case SetPort:
		a.onSetPort(c.Now(), m)
	case received:
		a.onReceived(c, m.Datagram)
	case opened:
		a.onOpened(c, m)
	case reopen:
		a.open(c, m.group)
	case AskStats:
		m.Reply.Tell(a.snapshot())
	case wake:
		a.timerAt = actor.Never
	default:
		panic(fmt.Sprintf("lsd: unknown message %T", m))
	}
}

// Flush sends what is due and sets the timer.
func (a *announcer) Flush(c *actor.Ctx[Message]) {
	now := c.Now()
	a.earn(now)
	for a.tokens > 0 && a.ready() {
		batch := a.due(now)
		if len(batch) == 0 {
			break
		}
		a.announce(c, batch)
	}
	a.rearm(c)
}

// Stop closes the sockets.
func (a *announcer) Stop(*actor.Ctx[Message], error) {
	for i := range a.sockets {
		if s := a.sockets[i].socket; s != nil {
			s.Close()
		}
	}
}

func (a *announcer) open(c *actor.Ctx[Message], i int) {
	s := &a.sockets[i]
	if s.socket != nil || s.opening {
		return
	}
	s.opening = true
	a.cfg.Open.OpenMulticast(s.group,
		actor.Adapt(c.Self(), func(d Datagram) Message { return received{d} }),
		actor.Adapt(c.Self(), func(o Opened) Message { return opened{i, o} }))
}

func (a *announcer) onOpened(c *actor.Ctx[Message], m opened) {
	s := &a.sockets[m.group]
	s.opening = false
	if m.Err != nil {
		a.failed(c, m.group, m.Err)
		return
	}
	s.socket, s.err, s.fails = m.Socket, nil, 0
}

// failed does without a socket for a while.
func (a *announcer) failed(c *actor.Ctx[Message], i int, err error) {
	s := &a.sockets[i]
	s.socket, s.err = nil, err
	c.After(min(reopenAfter<<min(s.fails, 10), reopenMax), reopen{i})
	s.fails++
}

func (a *announcer) onAdd(now actor.Time, m Add) {
	if e := a.byHash[m.Hash]; e != nil {
		e.reply = m.Reply
		e.next = min(e.next, e.atLeast(now, a.cfg.MinInterval))
		return
	}
	e := &entry{hash: m.Hash, reply: m.Reply, next: now}
	a.byHash[m.Hash] = e
	a.order = append(a.order, e)
}

func (a *announcer) onRemove(m Remove) {
	if e := a.byHash[m.Hash]; e != nil {
		delete(a.byHash, m.Hash)
		a.order = slices.DeleteFunc(a.order, func(x *entry) bool { return x == e })
	}
}

// onSetPort announces everything anew if the port is another one.
func (a *announcer) onSetPort(now actor.Time, m SetPort) {
	if m.Port == a.cfg.Port {
		return
	}
	a.cfg.Port = m.Port
	for _, e := range a.order {
		e.next = e.atLeast(now, a.cfg.MinInterval)
	}
}

// atLeast returns when a torrent may be announced again, now at the earliest.
func (e *entry) atLeast(now actor.Time, gap time.Duration) actor.Time {
	if !e.sent {
		return now
	}
	return max(now, e.last.Add(gap))
}

// onReceived reads what somebody has sent to the group.
func (a *announcer) onReceived(c *actor.Ctx[Message], d Datagram) {
	from := netip.AddrPortFrom(d.From.Addr().Unmap(), d.From.Port())
	if a.cfg.Local != nil && !a.cfg.Local(from.Addr()) || !a.guard.allow(from.Addr(), c.Now()) {
		a.stats.Ignored++
		return
	}
	m, err := Parse(d.Data)
	switch {
	case err != nil:
		a.stats.Ignored++
	case m.Cookie == a.cookie: // our own, looped back
	default:
		a.stats.Heard++
		for _, h := range m.Hashes {
			if e := a.byHash[h]; e != nil {
				a.heard(c, e, netip.AddrPortFrom(from.Addr(), m.Port))
			}
		}
	}
}

// heard tells a torrent of a neighbour, and lets it be answered if it is new.
func (a *announcer) heard(c *actor.Ctx[Message], e *entry, addr netip.AddrPort) {
	e.reply.Offer(Found{e.hash, addr})
	if !a.guard.isNew(e.hash, addr, c.Now()) {
		return
	}
	soon := c.Now().Add(time.Duration(c.Rand().Int64N(int64(answerWithin))))
	e.next = min(e.next, e.atLeast(soon, a.cfg.MinInterval))
}

// ready reports whether somebody could hear us: all sockets that may come are there,
// one at least, and there is a port to name.
func (a *announcer) ready() bool {
	open := 0
	for i := range a.sockets {
		if a.sockets[i].opening && a.sockets[i].fails == 0 {
			return false
		}
		if a.sockets[i].socket != nil {
			open++
		}
	}
	return open > 0 && a.cfg.Port != 0
}

// earn counts the datagrams that may be sent.
func (a *announcer) earn(now actor.Time) {
	if a.tokens >= burst {
		a.refill = now
		return
	}
	gap := a.spacing()
	n := int(now.Sub(a.refill) / gap)
	if n <= 0 {
		return
	}
	a.refill = a.refill.Add(time.Duration(n) * gap)
	a.tokens = min(a.tokens+n, burst)
}

// spacing is what lies between two datagrams in the long run.
func (a *announcer) spacing() time.Duration {
	datagrams := (len(a.order) + PerDatagram - 1) / PerDatagram
	return min(max(a.cfg.Interval/time.Duration(max(datagrams, 1)), leastSpacing), a.cfg.MinInterval)
}

// due returns the torrents to name in the next datagram: one that is due, and others
// that will be soon, so that they share datagrams from then on.
func (a *announcer) due(now actor.Time) []*entry {
	if !slices.ContainsFunc(a.order, func(e *entry) bool { return e.next <= now }) {
		return nil
	}
	var batch []*entry
	for _, ahead := range [2]time.Duration{0, a.cfg.MinInterval} {
		for _, e := range a.order {
			soon := e.next <= now.Add(ahead) && e.atLeast(now, a.cfg.MinInterval) <= now
			if soon && len(batch) < PerDatagram && !slices.Contains(batch, e) {
				batch = append(batch, e)
			}
		}
	}
	return batch
}

// announce sends one datagram to each group.
func (a *announcer) announce(c *actor.Ctx[Message], batch []*entry) {
	a.tokens--
	m := Announce{Port: a.cfg.Port, Cookie: a.cookie}
	for _, e := range batch {
		m.Hashes = append(m.Hashes, e.hash)
		e.last, e.sent = c.Now(), true
		e.next = c.Now().Add(a.cfg.Interval)
	}
	if !a.send(c, &m) {
		for _, e := range batch {
			e.next = c.Now().Add(a.cfg.MinInterval)
		}
	}
	// Who has not been announced yet goes first next time.
	slices.SortStableFunc(a.order, func(x, y *entry) int { return int(min(max(x.next-y.next, -1), 1)) })
}

// send reports whether any socket has taken a datagram.
func (a *announcer) send(c *actor.Ctx[Message], m *Announce) (sent bool) {
	for i := range a.sockets {
		s := &a.sockets[i]
		if s.socket == nil {
			continue
		}
		a.buf = m.Append(a.buf[:0], s.group)
		if err := s.socket.Send(a.buf); err != nil {
			s.socket.Close()
			a.failed(c, i, err)
			continue
		}
		a.stats.Sent++
		sent = true
	}
	return sent
}

// rearm sets the timer to when the next datagram is due and may be sent.
func (a *announcer) rearm(c *actor.Ctx[Message]) {
	at := actor.Never
	if a.ready() {
		for _, e := range a.order {
			at = min(at, e.next)
		}
		if at != actor.Never && a.tokens == 0 {
			at = max(at, a.refill.Add(a.spacing()))
		}
	}
	if at == a.timerAt {
		return
	}
	c.Cancel(a.timer)
	a.timer, a.timerAt = actor.Timer{}, at
	if at != actor.Never {
		a.timer = c.After(at.Sub(c.Now()), wake{})
	}
}

func (a *announcer) snapshot() Stats {
	s := a.stats
	s.Torrents = len(a.order)
	s.Errs = nil
	for i := range a.sockets {
		switch {
		case a.sockets[i].socket != nil:
			s.Sockets++
		case a.sockets[i].err != nil:
			s.Errs = append(s.Errs, a.sockets[i].err.Error())
		}
	}
	return s
}
