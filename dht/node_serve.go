package dht

import "net/netip"

// maxServed is how many peers are in one reply at most, before the room decides.
const maxServed = 50

// pingShare is what a ping of ours counts for in the size of the query that has caused
// it: with a version it is 67 bytes long, and three times as much may be answered.
const pingShare = 23

// request is a query of somebody else, while it is being answered.
type request struct {
	from     netip.AddrPort
	size     int // bytes of the query
	verified bool
	pinged   bool // a ping of ours will follow the reply
	s        *scratch
}

// onQuery answers a query. "When a DHT node enters the read-only state ... it no longer
// responds to 'query' messages that it receives" (BEP 43).
func (n *Node) onQuery(c *Ctx, from netip.AddrPort, size int, s *scratch, refusal *Refusal) {
	n.stats.QueriesIn++
	if n.cfg.ReadOnly {
		return
	}
	q := &s.in
	pinged := false
	if who := (Contact{q.ID, from}); !q.ReadOnly {
		waits := n.table.Unproven(who)
		n.table.Queried(who, c.Now())
		pinged = !waits && n.table.Unproven(who)
	}
	r := request{pinged: pinged, from: from, size: size, s: s, verified: n.table.Verified(from)}
	if refusal == nil {
		refusal = n.serve(c, &r)
	}
	if refusal != nil {
		s.out.Refuse(q.TID, refusal)
		n.stats.ErrorsOut++
	}
	n.answer(c, &r)
}

// serve writes the reply into r.s.out, or says why not.
func (n *Node) serve(c *Ctx, r *request) *Refusal {
	q, a := &r.s.in, &r.s.out
	a.Reset()
	a.Kind, a.TID, a.ID, a.Has = KindReply, q.TID, n.id, HasID
	switch q.Method {
	case MethodPing:
	case MethodFindNode:
		n.giveNodes(c, q, a)
	case MethodGetPeers:
		n.serveGetPeers(c, r)
	case MethodAnnounce:
		return n.serveAnnounce(c, r)
	case MethodGet:
		n.serveGet(c, r)
	case MethodPut:
		return n.servePut(c, r)
	case MethodSample:
		a.Samples, a.Interval, a.Num = n.peers.Samples(c.Rand(), c.Now())
		a.Has |= HasSamples
		n.giveNodes(c, q, a)
	default:
		return n.serveUnknown(c, r)
	}
	return nil
}

// serveUnknown answers a method of the future as find_node, so that lookups by it find
// their way through us.
func (n *Node) serveUnknown(c *Ctx, r *request) *Refusal {
	if r.s.in.Has&HasTarget == 0 {
		return &Refusal{CodeUnknownMethod, "method unknown"}
	}
	n.giveNodes(c, &r.s.in, &r.s.out)
	return nil
}

// giveNodes adds "the K (8) closest good nodes". Those of the other family are the
// other node's to give.
func (n *Node) giveNodes(c *Ctx, q, a *Msg) {
	to, has := &a.Nodes, HasNodes
	if n.cfg.Family == IPv6 {
		to, has = &a.Nodes6, HasNodes6
	}
	*to = n.table.Closest((*to)[:0], q.Target, K, Good, c.Now())
	a.Has |= has
}

func (n *Node) serveGetPeers(c *Ctx, r *request) {
	q, a := &r.s.in, &r.s.out
	n.giveNodes(c, q, a)
	if _, private := n.forgotten[q.Target]; private {
		return
	}
	if n.peers.Accepts(q.Target, r.from.Addr()) {
		n.giveToken(c, r)
	}
	a.Values = n.peers.Peers(a.Values[:0], q.Target, maxServed, q.NoSeed, c.Rand(), c.Now())
	if q.Scrape && n.peers.Scrape(q.Target, &r.s.seeds, &r.s.peers, c.Now()) {
		a.Seeds, a.Peers = &r.s.seeds, &r.s.peers
	}
}

func (n *Node) giveToken(c *Ctx, r *request) {
	n.tokens.Rotate(c.Rand(), c.Now())
	t := n.tokens.Make(r.from.Addr(), r.s.in.Target)
	r.s.out.Token = append(make([]byte, 0, TokenLen), t[:]...)
}

// badToken: "The queried node must verify that the token was previously sent to the
// same IP address as the querying node" (BEP 5).
var badToken = &Refusal{CodeProtocol, "bad token"}

// takeToken checks a write token. Who has a valid one receives what we send to its
// address.
func (n *Node) takeToken(c *Ctx, r *request, key ID) bool {
	n.tokens.Rotate(c.Rand(), c.Now())
	ok := n.tokens.Check(r.s.in.Token, r.from.Addr(), key)
	r.verified = r.verified || ok
	return ok
}

func (n *Node) serveAnnounce(c *Ctx, r *request) *Refusal {
	q := &r.s.in
	if !n.takeToken(c, r, q.Target) {
		return badToken
	}
	port := q.Port
	if q.ImpliedPort {
		port = r.from.Port()
	}
	if _, private := n.forgotten[q.Target]; private {
		return nil
	}
	if !n.peers.Announce(q.Target, netip.AddrPortFrom(r.from.Addr(), port), q.Seed, c.Now()) {
		return refuseRoom
	}
	return nil
}

func (n *Node) serveGet(c *Ctx, r *request) {
	q, a := &r.s.in, &r.s.out
	n.giveNodes(c, q, a)
	n.giveToken(c, r)
	it := n.items.Get(q.Target, c.Now())
	switch {
	case it == nil:
	case it.Mutable && q.Has&HasSeq != 0 && it.Seq <= q.Seq:
		// "the k, v, and sig fields SHOULD be omitted from the response"
		a.Seq, a.Has = it.Seq, a.Has|HasSeq
	default:
		a.SetItem(it)
	}
}

func (n *Node) servePut(c *Ctx, r *request) *Refusal {
	if !n.takeToken(c, r, PutTarget(&r.s.in)) {
		return badToken
	}
	return n.items.Put(&r.s.in, c.Now())
}

// answer sends what is in r.s.out, as much of it as there is room for.
func (n *Node) answer(c *Ctx, r *request) {
	a := &r.s.out
	// "all DHT responses SHOULD include a top-level field called ip" (BEP 42).
	a.IP = r.from
	if n.cfg.Version != "" {
		a.Version = []byte(n.cfg.Version)
	}
	size := r.size
	if r.pinged {
		size -= pingShare // what an unverified source hears of us is bounded with the ping
	}
	room := n.limiter.Room(r.from.Addr(), size, r.verified, c.Now())
	for r.s.buf = a.Append(r.s.buf[:0]); len(r.s.buf) > allowed(a, room); r.s.buf = a.Append(r.s.buf[:0]) {
		if !trim(a) {
			n.stats.Dropped++
			return
		}
	}
	n.limiter.Sent(len(r.s.buf))
	n.stats.BytesOut += int64(len(r.s.buf))
	if a.Kind == KindReply {
		n.stats.RepliesOut++
	}
	// A datagram that can't be sent is one that is lost on its way.
	_ = n.cfg.Socket.Send(r.from, r.s.buf)
}

// allowed is how long a reply may be. Only an item may exceed what BEP 32 allows.
func allowed(a *Msg, room int) int {
	if a.V != nil {
		return room
	}
	return min(room, MaxDatagram)
}

// trim makes a reply shorter by what is missed least, and reports false when nothing
// is left to take.
func trim(a *Msg) bool {
	switch {
	case len(a.Values) > 8:
		a.Values = a.Values[:len(a.Values)*3/4]
	case a.Seeds != nil:
		a.Seeds, a.Peers = nil, nil
	case len(a.Samples) > 4:
		a.Samples = a.Samples[:len(a.Samples)*3/4]
	case len(a.Version) > 0:
		a.Version = nil
	case len(a.Nodes) > 4:
		a.Nodes = a.Nodes[:len(a.Nodes)-1]
	case len(a.Nodes6) > 4:
		a.Nodes6 = a.Nodes6[:len(a.Nodes6)-1]
	case a.V != nil && len(a.Nodes)+len(a.Nodes6) > 0:
		a.Nodes, a.Nodes6 = a.Nodes[:0], a.Nodes6[:0]
	case a.V != nil:
		a.V, a.K, a.Sig = nil, nil, nil
	case len(a.Samples) > 0:
		a.Samples = a.Samples[:len(a.Samples)-1]
	case len(a.Values) > 0:
		a.Values = a.Values[:len(a.Values)-1]
	case len(a.Nodes) > 0:
		a.Nodes = a.Nodes[:len(a.Nodes)-1]
	case len(a.Nodes6) > 0:
		a.Nodes6 = a.Nodes6[:len(a.Nodes6)-1]
	default:
		return false
	}
	return true
}
