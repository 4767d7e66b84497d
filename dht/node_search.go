package dht

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// One lookup, from request to answer:
//
//	asker                      node                          other nodes
//	GetPeers ----------------> admit: is there room, do we
//	                           know anybody? else wait
//	                           begin: known contacts ------> get_peers, Alpha at once
//	PeersFound <-------------- heard <---------------------- values, nodes, token
//	                           drive: closer nodes --------> get_peers
//	                           conclude: the 8 closest ----> announce_peer with token
//	LookupDone <-------------- end <------------------------ replies

// search is one lookup of ours. Owner: the node.
type search struct {
	job   job
	id    uint64 // of the request
	reply actor.Ref[Answer]
	own   bool // for the table's sake; nobody has asked
	again bool // nobody has answered it; it waits for the node to find the network
	l     lookup
	asked clock.Time // when the request came
	until clock.Time // while it waits: when it gives up
	over  bool
	// stirred: it has had replies that goOn is to see to.
	stirred bool

	storing int // queries to the closest that are out
	stored  int
	refusal error // the last one
	lied    int
}

// job is what a lookup is for.
type job interface {
	// query fills in what each node on the way is asked.
	query(q *Msg)
	// heard takes what a reply brings beside contacts and tokens. It reports true
	// when the lookup has found all that it is for.
	heard(n *Node, s *search, c *candidate, m *Msg) bool
	// store fills in what one of the closest nodes is to store; false for nothing.
	store(c *candidate, q *Msg) bool
	// answer makes the final answer.
	answer(s *search, e Effort, err error) Answer
}

// recent is the result of a lookup, where the next ones can start.
type recent struct {
	at      clock.Time
	target  ID
	closest []Contact
}

// enqueue takes a new lookup.
func (n *Node) enqueue(c *Ctx, s *search, target ID) {
	s.asked, s.until = c.Now(), c.Now().Add(patience)
	s.l = lookup{target: target, self: n.id, alpha: n.cfg.Limits.Alpha, anyID: n.cfg.AnyID, allow: n.cfg.allows, size: n.size(c.Now())}
	if len(n.waiting) >= n.cfg.Limits.Waiting {
		n.end(c, s, ErrBusy)
		return
	}
	n.waiting = append(n.waiting, s)
}

// size is the logarithm to base 2 of how many nodes there seem to be: 8 of them lie
// between us and the farthest of the 8 closest that we know.
func (n *Node) size(now clock.Time) int {
	var room [K]Contact
	near := n.table.Closest(room[:0], n.id, K, Questionable, now)
	if len(near) < K || !n.boot.done {
		return 0
	}
	return CommonPrefix(n.id, near[K-1].ID) + 3
}

// admit begins lookups that wait, as far as there is room and somebody to ask.
func (n *Node) admit(c *Ctx) {
	kept := n.waiting[:0]
	waiting := n.waiting
	for _, s := range waiting {
		switch {
		case s.over:
		case n.busy() < n.cfg.Limits.Lookups && n.begin(c, s):
		case c.Now() >= s.until && n.busy() < n.cfg.Limits.Lookups:
			n.end(c, s, ErrNoNodes)
		default:
			kept = append(kept, s)
		}
	}
	clear(waiting[len(kept):])
	n.waiting = kept
	if len(kept) == 0 {
		n.waiting = nil
	}
}

// busy counts the lookups of others that run.
func (n *Node) busy() int {
	own := 0
	for _, s := range n.running {
		if s.own {
			own++
		}
	}
	return len(n.running) - own
}

// begin starts a lookup where we know somebody, or reports false.
func (n *Node) begin(c *Ctx, s *search) bool {
	if s.again && !n.boot.done {
		return false
	}
	s.l.self = n.id
	known := n.table.Closest(nil, s.l.target, 2*K, Questionable, c.Now())
	known, far := known[:min(len(known), K)], known[min(len(known), K):]
	if !s.own {
		s.l.reserve = slices.Clone(far)
	}
	if !s.own {
		known = n.recall(known, s.l.target, c.Now())
	}
	s.l.start(known)
	if len(known) < K {
		s.l.start(n.boot.contacts)
		s.l.startAt(n.boot.addrs)
	}
	if len(s.l.nodes) == 0 {
		s.l.start(n.table.Closest(nil, s.l.target, K, Bad, c.Now()))
	}
	if len(s.l.nodes) == 0 {
		return false
	}
	n.running = append(n.running, s)
	n.drive(c, s, proceed{})
	return true
}

// recall adds the closest results of recent lookups.
func (n *Node) recall(known []Contact, target ID, now clock.Time) []Contact {
	n.recent = slices.DeleteFunc(n.recent, func(r recent) bool { return now.Sub(r.at) > recentLife })
	var old []Contact
	for _, r := range n.recent {
		old = append(old, r.closest...)
	}
	slices.SortFunc(old, func(a, b Contact) int {
		return cmp.Or(Compare(target, a.ID, b.ID), a.Addr.Compare(b.Addr))
	})
	old = slices.Compact(old)
	return append(known, old[:min(len(old), K)]...)
}

// remember keeps a lookup's result.
func (n *Node) remember(s *search, now clock.Time) {
	closest := s.closest()
	if s.own || len(closest) == 0 {
		return
	}
	n.recent = slices.DeleteFunc(n.recent, func(r recent) bool { return r.target == s.l.target })
	if len(n.recent) >= maxRecent {
		n.recent = slices.Delete(n.recent, 0, 1)
	}
	n.recent = append(n.recent, recent{now, s.l.target, closest})
}

// drive does what the lookup says until it has to wait.
func (n *Node) drive(c *Ctx, s *search, e lookupEvent) {
	for !s.over {
		switch st := s.l.advance(e).(type) {
		case askNode:
			e = proceed{}
			if !n.ask(c, st.c.Contact, !st.c.unnamed, &leg{s, st.c}, s.job.query) {
				e = gaveUp(st)
			}
		case waiting:
			return
		case finished:
			n.conclude(c, s)
			return
		}
	}
}

// leg is one query of a lookup on its way.
type leg struct {
	s *search
	c *candidate
}

func (g *leg) onReply(n *Node, c *Ctx, _ *flight, m *Msg) {
	if g.s.over || g.s.l.over {
		return
	}
	var token []byte
	if len(m.Token) > 0 {
		token = append(token, m.Token...)
	}
	enough := g.s.job.heard(n, g.s, g.c, m)
	e := replied{g.c, m.ID, n.nodesOf(m), token}
	if enough {
		g.s.l.finish(e)
	} else {
		g.s.l.onReply(e)
	}
	if !g.s.stirred {
		g.s.stirred = true
		n.stirred = append(n.stirred, g.s)
	}
}

// goOn drives the lookups that have had replies: whom to ask next is decided when all
// that have come together are known.
func (n *Node) goOn(c *Ctx) {
	for i, s := range n.stirred {
		s.stirred = false
		n.stirred[i] = nil
		n.drive(c, s, proceed{})
	}
	n.stirred = n.stirred[:0]
}

func (g *leg) onLate(n *Node, c *Ctx, f *flight) {
	if f.late == isSlow {
		n.drive(c, g.s, gotSlow{g.c})
	} else {
		n.drive(c, g.s, gotOverdue{g.c})
	}
}

func (g *leg) onGone(n *Node, c *Ctx, _ *flight, err error) {
	if errors.Is(err, errOtherID) {
		g.s.lied++
	}
	n.drive(c, g.s, gaveUp{g.c})
}

// retry lets a lookup that nobody has answered wait until the node has found its way
// into the network, if there is time.
func (n *Node) retry(c *Ctx, s *search) bool {
	if s.l.replies > 0 || s.own || s.again || n.boot.done || c.Now() >= s.until {
		return false
	}
	s.again = true
	s.l.reset()
	n.running = slices.DeleteFunc(n.running, func(r *search) bool { return r == s })
	n.waiting = append(n.waiting, s)
	return true
}

// end answers a lookup, once.
func (n *Node) end(c *Ctx, s *search, err error) {
	if s.over {
		return
	}
	s.over = true
	if err == nil && s.l.replies == 0 {
		err = ErrNoNodes
	}
	n.running = slices.DeleteFunc(n.running, func(r *search) bool { return r == s })
	n.stats.LookupsDone++
	n.remember(s, c.Now())
	e := s.effort(c.Now())
	if a := s.job.answer(s, e, err); a != nil {
		s.reply.Tell(a)
	}
	if s.own {
		n.ownDone(c, s, err)
	}
}

func (s *search) effort(now clock.Time) Effort {
	e := Effort{Queried: s.l.queried, Replied: s.l.replies, Lied: s.lied, Took: now.Sub(s.asked)}
	for _, c := range s.l.nodes {
		if c.state == answered && c.lies() {
			e.Lied++
		}
	}
	if near := s.l.closest(); len(near) > 0 {
		e.Hops = int(near[0].hops)
	}
	return e
}

func (s *search) closest() []Contact {
	var out []Contact
	for _, c := range s.l.closest() {
		out = append(out, c.Contact)
	}
	return out
}

// onCancel ends what has this id.
func (n *Node) onCancel(c *Ctx, m Cancel) {
	mine := func(id uint64, to actor.Ref[Answer]) bool { return id == m.ID && (m.Reply.IsZero() || to == m.Reply) }
	for _, s := range n.searches() {
		if !s.own && mine(s.id, s.reply) {
			n.end(c, s, ErrCancelled)
		}
	}
	for _, s := range slices.Clone(n.singles) {
		if mine(s.id, s.reply) {
			s.end(n, ErrCancelled, nil)
		}
	}
}

// searches returns all that run or wait.
func (n *Node) searches() []*search { return append(slices.Clone(n.running), n.waiting...) }

// onForget silences an info-hash: BEP 27, "when a client obtains the metadata of a
// private torrent, it MUST ONLY announce itself to the private tracker".
func (n *Node) onForget(c *Ctx, m Forget) {
	if n.forgotten == nil {
		n.forgotten = map[ID]struct{}{}
	}
	n.forgotten[m.Hash] = struct{}{}
	n.peers.Forget(m.Hash)
	n.recent = slices.DeleteFunc(n.recent, func(r recent) bool { return r.target == m.Hash })
	for _, s := range n.searches() {
		if s.l.target == m.Hash {
			n.end(c, s, ErrForgotten)
		}
	}
}

// isForgotten reports whether nothing may be asked about a target.
func (n *Node) isForgotten(target ID) bool {
	_, ok := n.forgotten[target]
	return ok
}

// localNode reports whether a node may name private addresses.
func localNode(a netip.AddrPort) bool { return ipclass.IsLocal(a.Addr()) }
