package engine

import (
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// governor is the actor that owns what all torrents share: the token buckets of the
// rate limits, connection and half-open slots, and the upload slots.
type governor struct {
	caps     Caps
	session  actor.Ref[sessionMsg]
	crowded  bool       // as last told
	buckets  [2]*bucket // the session's, by direction
	torrents map[uint64]*govTorrent
	order    []*govTorrent // the same, round robin
	turn     int           // of order: who is next to dial
	halfOpen int32
	conns    int32 // half-open ones included
	waiting  []wantBytes
	wake     actor.Timer
	wakeAt   actor.Time // of wake; Never if none is set
}

// govTorrent is what the governor keeps of one torrent.
type govTorrent struct {
	id      uint64
	to      actor.Ref[torrentMsg]
	buckets [2]*bucket
	peers   map[uint64]*[2]*bucket // only of peers with limits of their own
	limits  limitsChanged          // as last told
	dials   int32                  // wanted, standing
	half    int32
	conns   int32
	upRate  int64 // as last told, bytes a second
	slots   int32 // as last told
}

func newGovernor(caps Caps, limits Limits) *governor {
	g := &governor{caps: caps.withDefaults(), torrents: map[uint64]*govTorrent{}, wakeAt: actor.Never}
	g.buckets = [2]*bucket{newBucket(limits.Down), newBucket(limits.Up)}
	return g
}

// withDefaults fills in what is zero.
func (c Caps) withDefaults() Caps {
	def := func(v *int32, d int32) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.Peers, 500)
	def(&c.TorrentPeers, 200)
	def(&c.HalfOpen, 64)
	def(&c.UploadSlots, 8)
	return c
}

type govWake struct{}

func (govWake) governorMsg() {}

// Handle is the map of the governor.
func (g *governor) Handle(c *actor.Ctx[governorMsg], m governorMsg) {
	switch m := m.(type) {
	case serveSession:
		g.session = m.to
	case enter:
		g.onEnter(m)
	case wantDials:
		g.onWantDials(m)
	case dialOver:
		g.onDialOver(m)
	case tookPeer:
		g.count(m.torrent, 1)
	case lostPeer:
		g.count(m.torrent, -1)
	case demand:
		g.onDemand(m)
	case wantBytes:
		g.waiting = append(g.waiting, m)
	case peerLeft:
		g.onPeerLeft(m)
	case setLimits:
		g.onSetLimits(m)
	case govWake:
		g.wakeAt = actor.Never
	case leave:
		g.onLeave(m)
	default:
		panic(fmt.Sprintf("governor: unknown message %T", m))
	}
}

// Flush grants what can be granted now.
func (g *governor) Flush(c *actor.Ctx[governorMsg]) {
	g.grantDials()
	g.grantBytes(c)
	g.tellCrowd()
}

// tellCrowd lets the session know whether connections that come in must make room for
// themselves. It stays so until a sixteenth is free, lest every connection that ends
// is news.
func (g *governor) tellCrowd() {
	on := g.conns >= g.caps.Peers || g.crowded && g.conns > g.caps.Peers-max(g.caps.Peers/16, 1)
	if on != g.crowded {
		g.crowded = on
		g.session.Notify(crowded{on})
	}
}

func (g *governor) onEnter(m enter) {
	t := &govTorrent{id: m.torrent, to: m.to, peers: map[uint64]*[2]*bucket{}}
	t.buckets = [2]*bucket{newBucket(m.limits.Down), newBucket(m.limits.Up)}
	g.torrents[m.torrent] = t
	g.order = append(g.order, t)
	g.tellLimits(t)
	g.tellSlots(t)
}

func (g *governor) onLeave(m leave) {
	t := g.torrents[m.torrent]
	if t == nil {
		return
	}
	g.halfOpen -= t.half
	g.conns -= t.conns
	delete(g.torrents, m.torrent)
	for i, x := range g.order {
		if x == t {
			g.order = append(g.order[:i], g.order[i+1:]...)
			break
		}
	}
	g.forget(func(w *wantBytes) bool { return w.torrent == m.torrent })
}

func (g *governor) onPeerLeft(m peerLeft) {
	if t := g.torrents[m.torrent]; t != nil {
		delete(t.peers, m.peer)
	}
	g.forget(func(w *wantBytes) bool { return w.peer == m.peer })
}

// forget drops pending wants of those who are gone: their Exit was the answer.
func (g *governor) forget(gone func(*wantBytes) bool) {
	kept := g.waiting[:0]
	for i := range g.waiting {
		if !gone(&g.waiting[i]) {
			kept = append(kept, g.waiting[i])
		}
	}
	clear(g.waiting[len(kept):])
	g.waiting = kept
}

// count changes the number of a torrent's connections.
func (g *governor) count(torrent uint64, by int32) {
	if t := g.torrents[torrent]; t != nil {
		t.conns += by
		g.conns += by
	}
}

func (g *governor) onWantDials(m wantDials) {
	if t := g.torrents[m.torrent]; t != nil {
		t.dials = m.n
	}
}

func (g *governor) onDialOver(m dialOver) {
	t := g.torrents[m.torrent]
	if t == nil {
		return
	}
	t.half--
	g.halfOpen--
	if !m.connected {
		t.conns--
		g.conns--
	}
}

// grantDials hands out half-open slots, round robin among the torrents that want some.
func (g *governor) grantDials() {
	for range g.order {
		free := min(g.caps.HalfOpen-g.halfOpen, g.caps.Peers-g.conns)
		if free <= 0 {
			return
		}
		g.turn = (g.turn + 1) % len(g.order)
		t := g.order[g.turn]
		if t.dials <= 0 {
			continue
		}
		n := min(t.dials, free)
		t.dials = 0
		t.half += n
		t.conns += n
		g.halfOpen += n
		g.conns += n
		t.to.Tell(dialsGranted{n})
	}
}

// onDemand apportions upload slots. Each torrent has as many as the cap says, and
// more where it uploads fast: a slot that carries much is worth another.
func (g *governor) onDemand(m demand) {
	if t := g.torrents[m.torrent]; t != nil {
		t.upRate = m.upRate
		g.tellSlots(t)
	}
}

// slotRate is the upload rate that earns one more slot, in bytes a second, and
// maxSlots the most that a torrent gets.
const (
	slotRate = 512 << 10
	maxSlots = 64
)

func (g *governor) tellSlots(t *govTorrent) {
	n := max(g.caps.UploadSlots, min(int32(t.upRate/slotRate), maxSlots))
	if n != t.slots {
		t.slots = n
		t.to.Notify(slots{n})
	}
}

// onSetLimits changes a limit at once; who is under one is told to ask for bytes.
func (g *governor) onSetLimits(m setLimits) {
	fresh := [2]*bucket{newBucket(m.limits.Down), newBucket(m.limits.Up)}
	t := g.torrents[m.torrent]
	switch {
	case m.torrent == 0:
		g.buckets = fresh
	case t == nil:
		return
	case m.peer == 0:
		t.buckets = fresh
	default:
		t.peers[m.peer] = &fresh
	}
	for _, t := range g.order {
		g.tellLimits(t)
	}
}

func (g *governor) tellLimits(t *govTorrent) {
	lim := limited{
		down: g.buckets[down] != nil || t.buckets[down] != nil,
		up:   g.buckets[up] != nil || t.buckets[up] != nil,
	}
	for _, p := range t.peers { //order: irrelevant
		lim.down = lim.down || p[down] != nil
		lim.up = lim.up || p[up] != nil
	}
	if m := (limitsChanged{lim, lower(g.buckets[up], t.buckets[up])}); m != t.limits {
		t.limits = m
		t.to.Notify(m)
	}
}

// lower returns the lower of two limits in bytes a second, 0 if there is none.
func lower(a, b *bucket) int64 {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return b.rate
	case b == nil:
		return a.rate
	}
	return min(a.rate, b.rate)
}

// pathOf lists the buckets that a want's bytes must pass.
func (g *governor) pathOf(w *wantBytes) path {
	p := path{g.buckets[w.dir]}
	if t := g.torrents[w.torrent]; t != nil {
		p[1] = t.buckets[w.dir]
		if own := t.peers[w.peer]; own != nil {
			p[2] = own[w.dir]
		}
	}
	return p
}

// wakeMin bounds how often the governor looks after its buckets.
const wakeMin = 5 * time.Millisecond

// grantBytes answers wants in the order in which they came: each peer has one a
// direction, so this is round robin. One that must wait for its torrent's bucket
// does not hold up the others.
func (g *governor) grantBytes(c *actor.Ctx[governorMsg]) {
	if len(g.waiting) == 0 {
		return
	}
	now := c.Now()
	next := time.Hour
	kept := g.waiting[:0]
	for _, w := range g.waiting {
		p := g.pathOf(&w)
		least := min(w.n, quantum)
		if n := min(w.n, p.has(now)); n >= least {
			p.take(now, n)
			w.reply.Tell(bytesGranted{w.dir, n})
			continue
		}
		next = min(next, p.wait(now, least))
		kept = append(kept, w)
	}
	clear(g.waiting[len(kept):])
	g.waiting = kept
	if when := now.Add(max(next, wakeMin)); len(kept) > 0 && when < g.wakeAt {
		c.Cancel(g.wake)
		g.wake, g.wakeAt = c.After(max(next, wakeMin), govWake{}), when
	}
}

// Check implements actor.Checker.
func (g *governor) Check() error {
	var half, conns int32
	for _, t := range g.order {
		half += t.half
		conns += t.conns
	}
	if half != g.halfOpen || conns != g.conns || half < 0 || conns < half {
		return fmt.Errorf("governor: %d half-open of %d connections counted, torrents have %d of %d", g.halfOpen, g.conns, half, conns)
	}
	return nil
}
