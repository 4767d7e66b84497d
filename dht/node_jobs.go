package dht

import (
	"bytes"
	"net/netip"
)

// peersJob is GetPeers.
type peersJob struct {
	GetPeers
	readOnly bool
	seen     map[netip.AddrPort]struct{}
	told     int // PeersFound
	// BEP 33: the union of what nodes say, and whether any said anything.
	seeds, peers *Bloom
	legacy       []netip.Addr // peers named by nodes that gave no filter
}

func (n *Node) onGetPeers(c *Ctx, m GetPeers) {
	s := &search{job: &peersJob{GetPeers: m, readOnly: n.cfg.ReadOnly}, id: m.ID, reply: m.Reply}
	if n.isForgotten(m.Hash) {
		s.asked, s.l.target = c.Now(), m.Hash
		n.end(c, s, ErrForgotten)
		return
	}
	n.enqueue(c, s, m.Hash)
	s.l.askInsecure = true
}

func (j *peersJob) query(q *Msg) {
	q.Method, q.Target, q.Has = MethodGetPeers, j.Hash, q.Has|HasTarget
	q.NoSeed, q.Scrape = j.NoSeed, j.Scrape
}

func (j *peersJob) heard(_ *Node, s *search, c *candidate, m *Msg) bool {
	if j.Scrape {
		j.count(m)
	}
	var found []netip.AddrPort
	for _, a := range m.Values {
		if _, known := j.seen[a]; known || !mayName(c.Addr.Addr(), a) || len(j.seen) >= maxLookupPeer {
			continue
		}
		if j.seen == nil {
			j.seen = map[netip.AddrPort]struct{}{}
		}
		j.seen[a] = struct{}{}
		found = append(found, a)
	}
	if len(found) > 0 && j.told < MaxPeersFound {
		j.told++
		s.reply.Tell(PeersFound{ID: j.ID, Addrs: found, Local: localNode(c.Addr)})
	}
	return false
}

// count adds a reply to the estimate. BEP 33, "Handling legacy responses": "If a
// response only contains a values list when a scrape has been requested then an
// implementation may generate a bloom filter for that list locally", as peers that
// are not among the seeds.
func (j *peersJob) count(m *Msg) {
	if m.Seeds == nil && m.Peers == nil && len(m.Values) == 0 {
		return
	}
	if j.seeds == nil {
		j.seeds, j.peers = &Bloom{}, &Bloom{}
	}
	if m.Seeds != nil {
		j.seeds.Union(m.Seeds)
	}
	if m.Peers != nil {
		j.peers.Union(m.Peers)
	}
	if m.Seeds == nil && m.Peers == nil {
		for _, a := range m.Values[:min(len(m.Values), maxLookupPeer-len(j.legacy))] {
			j.legacy = append(j.legacy, a.Addr())
		}
	}
}

func (j *peersJob) store(_ *candidate, q *Msg) bool {
	if !j.Announce || j.readOnly {
		return false
	}
	q.Method, q.Target, q.Has = MethodAnnounce, j.Hash, q.Has|HasTarget
	q.Port, q.ImpliedPort, q.Seed = j.Port, j.Port == 0, j.Seed
	return true
}

func (j *peersJob) answer(s *search, e Effort, err error) Answer {
	a := LookupDone{ID: s.id, Err: err, Effort: e, Closest: s.closest(), Peers: len(j.seen), Stored: s.stored, Seeds: -1, Leechers: -1}
	if j.seeds != nil {
		for _, ip := range j.legacy {
			if !j.seeds.Contains(ip) {
				j.peers.Insert(ip)
			}
		}
		a.Seeds, a.Leechers = estimate(j.seeds), estimate(j.peers)
	}
	return a
}

// estimate is how many addresses are in a filter; BEP 33's formula makes half a one of
// an empty one.
func estimate(f *Bloom) int {
	if *f == (Bloom{}) {
		return 0
	}
	return int(f.Estimate() + 0.5)
}

// nodesJob is Lookup, and what the node looks up for its table.
type nodesJob struct {
	target ID
	both   bool // ask for the other family's nodes too
	silent bool // nobody has asked
}

func (n *Node) onLookup(c *Ctx, m Lookup) {
	s := &search{job: &nodesJob{target: m.Target}, id: m.ID, reply: m.Reply}
	n.enqueue(c, s, m.Target)
}

func (j *nodesJob) query(q *Msg) {
	q.Method, q.Target, q.Has = MethodFindNode, j.target, q.Has|HasTarget
	if j.both {
		q.Want = WantN4 | WantN6
	}
}

func (j *nodesJob) heard(*Node, *search, *candidate, *Msg) bool { return false }
func (j *nodesJob) store(*candidate, *Msg) bool                 { return false }

func (j *nodesJob) answer(s *search, e Effort, err error) Answer {
	if j.silent {
		return nil
	}
	return NodesFound{ID: s.id, Err: err, Effort: e, Nodes: s.closest()}
}

// getJob is GetItem.
type getJob struct {
	GetItem
	target ID
	best   Item
	found  bool
}

// has is what a node has of the item.
type has struct{ seq int64 }

func (n *Node) onGetItem(c *Ctx, m GetItem) {
	j := &getJob{GetItem: m, target: m.Target}
	s := &search{job: j, id: m.ID, reply: m.Reply}
	if m.Mutable {
		if len(m.Salt) > MaxSalt {
			s.asked = c.Now()
			n.end(c, s, ErrBadItem)
			return
		}
		j.target = TargetOf(m.Key, m.Salt)
	}
	n.enqueue(c, s, j.target)
	s.l.askInsecure = true
}

func (j *getJob) query(q *Msg) {
	q.Method, q.Target, q.Has = MethodGet, j.target, q.Has|HasTarget
	if j.Newer && j.Mutable {
		q.Seq, q.Has = j.Seq, q.Has|HasSeq
	}
}

// heard keeps the newest item. Of an immutable one the first is all there is to find.
func (j *getJob) heard(_ *Node, _ *search, c *candidate, m *Msg) bool {
	it, ok, err := ItemOf(m, j.target, j.Salt)
	if err != nil || ok && it.Mutable != j.Mutable {
		c.mad = true
		return false
	}
	if m.Has&HasSeq != 0 {
		c.extra = has{m.Seq}
	}
	if !ok {
		return false
	}
	c.extra = has{it.Seq}
	if !j.found || it.Seq > j.best.Seq {
		if !j.Newer || !j.Mutable || it.Seq > j.Seq {
			j.best, j.found = it, true
		}
	}
	return j.found && !j.Mutable
}

func (j *getJob) store(*candidate, *Msg) bool { return false }

func (j *getJob) answer(s *search, e Effort, err error) Answer {
	a := ItemFound{ID: s.id, Err: err, Effort: e, Item: j.best}
	if err == nil && !j.found {
		a.Err = ErrNotFound
	}
	same := func(c *candidate) bool {
		h, ok := c.extra.(has)
		return ok && j.found && h.seq == j.best.Seq
	}
	for _, c := range s.l.nodes {
		if c.state == answered && same(c) {
			a.Copies++
		}
	}
	for _, c := range s.l.closest() {
		if same(c) {
			a.Closest++
		}
	}
	return a
}

// putJob is PutItem.
type putJob struct {
	PutItem
	target ID
}

func (n *Node) onPutItem(c *Ctx, m PutItem) {
	m.Item.Value, m.Item.Salt = bytes.Clone(m.Item.Value), bytes.Clone(m.Item.Salt)
	j := &putJob{PutItem: m}
	s := &search{job: j, id: m.ID, reply: m.Reply}
	s.asked = c.Now()
	switch {
	case n.cfg.ReadOnly:
		n.end(c, s, ErrReadOnly)
	case !m.Item.Valid():
		n.end(c, s, ErrBadItem)
	default:
		j.target = m.Item.Target()
		n.enqueue(c, s, j.target)
	}
}

func (j *putJob) query(q *Msg) {
	q.Method, q.Target, q.Has = MethodGet, j.target, q.Has|HasTarget
	if j.Item.Mutable {
		// Only the token and the sequence number are of interest.
		q.Seq, q.Has = j.Item.Seq, q.Has|HasSeq
	}
}

func (j *putJob) heard(_ *Node, _ *search, c *candidate, m *Msg) bool {
	if m.V != nil || m.Has&HasSeq != 0 {
		c.extra = has{m.Seq}
	}
	return false
}

// store puts the item. "When sending a put request to a node that did not return any
// data for the get, the cas field SHOULD NOT be included."
func (j *putJob) store(c *candidate, q *Msg) bool {
	q.Kind, q.Method = KindQuery, MethodPut
	q.SetItem(&j.Item)
	if _, holds := c.extra.(has); holds && j.HasCAS {
		q.CAS, q.Has = j.CAS, q.Has|HasCAS
	}
	return true
}

func (j *putJob) answer(s *search, e Effort, err error) Answer {
	a := ItemStored{ID: s.id, Err: err, Effort: e, Target: j.target, Stored: s.stored}
	if err == nil && s.stored == 0 {
		a.Err = ErrNotStored
		if s.refusal != nil {
			a.Err = s.refusal
		}
	}
	return a
}
