package engine

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/metainfo"
)

const (
	// lookupEvery is how often a torrent is announced in the DHT. Nodes forget peers
	// after half an hour.
	lookupEvery = 15 * time.Minute
	// One that is short of peers is looked up sooner: after lookupSoon, and after twice
	// the time whenever that has not helped.
	lookupSoon = 10 * time.Second
	// shortEvery is how often a torrent looks whether it is short of peers, which is to
	// have fewer than fewPeers and no address to try.
	shortEvery = 15 * time.Second
	fewPeers   = 8
	// A torrent that is short of peers calls again in the local network callAgain after
	// the last time, maxCalls times: whoever heard it may have been unable to connect, or
	// not yet there. Afterwards LSD's own rhythm will do.
	callAgain = lsd.MinInterval + 5*time.Second
	maxCalls  = 4
	// maxPortNodes of the nodes that peers say they run (BEP 5's PORT) are passed on.
	maxPortNodes = 100
)

// discovery is a torrent's search for peers besides trackers: in the DHT by its turn,
// and in the local network. Owner: the torrent.
type discovery struct {
	at      sources // as last told
	lookups [2]lookup
	lastID  uint64
	waiting bool // for a turn
	turn    bool // it is our turn
	began   actor.Time
	next    actor.Time // of the next lookup
	gap     time.Duration
	armedAt actor.Time // when tickDiscover comes, if it is armed
	joined  actor.Ref[lsd.Message]
	calls   int                       // in the local network, besides its rhythm
	called  actor.Time                // last
	silent  [2]actor.Ref[dht.Message] // nodes that know that the torrent is not to be named
	named   bool                      // the torrent's own nodes have been passed on
	ports   int                       // nodes passed on
	tally   tally
	replies [2]actor.Ref[dht.Answer] // made once
	found   actor.Ref[lsd.Found]
	turns   actor.Ref[turn]
}

// lookup is what runs at one node.
type lookup struct {
	id uint64 // 0: nothing
	at actor.Ref[dht.Message]
}

// Answers to a torrent.
type (
	// dhtSays: a node answers. From: DHT nodes, at most dht.MaxPeersFound and one more for
	// each lookup.
	dhtSays struct {
		family int
		dht.Answer
	}
	// yourTurn answers wantTurn.
	yourTurn struct{ turn }
)

func (dhtSays) torrentMsg()  {}
func (yourTurn) torrentMsg() {}
func (sources) torrentMsg()  {}

// SignalKind implements actor.Signal.
func (sources) SignalKind() uint8 { return signalSources }

// discoveryAnswers of both nodes may wait at a torrent, and its turn.
const discoveryAnswers = 2*(dht.MaxPeersFound+1) + 1

func (t *torrent) startDiscovery(at sources) {
	d := &t.disc
	d.at, d.gap = at, lookupSoon
	for i := range d.replies {
		d.replies[i] = actor.Adapt(t.self, func(a dht.Answer) torrentMsg { return dhtSays{i, a} })
	}
	d.found = actor.Adapt(t.self, func(f lsd.Found) torrentMsg { return found{[]netip.AddrPort{f.Addr}, SourceLSD} })
	d.turns = actor.Adapt(t.self, func(x turn) torrentMsg { return yourTurn{x} })
}

// mayDHT and mayLSD say whether a source may be used at all, and mayLookUp whether the
// torrent is at work.
func (t *torrent) mayDHT() bool { return !t.private() && !t.cfg.noDHT }
func (t *torrent) mayLSD() bool { return !t.private() && !t.cfg.noLSD }

// discover takes the next step of the search. It is called after every batch.
func (t *torrent) discover(c *actor.Ctx[torrentMsg]) {
	t.joinLSD(c.Now())
	t.keepSilence()
	d := &t.disc
	if !d.joined.IsZero() && d.calls < maxCalls && t.everShort() {
		t.armDiscovery(c, c.Now().Add(shortEvery))
	}
	if !t.mayConnect() || !t.mayDHT() {
		t.endLookups()
		return
	}
	t.passOnNodes()
	switch {
	case d.waiting || d.turn:
	case d.next > c.Now():
		t.armDiscovery(c, d.next)
	case d.at.finders.IsZero() || d.at.dht == [2]actor.Ref[dht.Message]{}: // until the finders tell
	default:
		d.waiting = true
		d.at.finders.Tell(wantTurn{torrent: t.self.ID(), urgent: t.short(c.Now()), reply: d.turns})
	}
	if t.everShort() {
		t.armDiscovery(c, c.Now().Add(shortEvery))
	}
}

func (t *torrent) armDiscovery(c *actor.Ctx[torrentMsg], at actor.Time) {
	if !t.armed(tickDiscover) || at < t.disc.armedAt {
		t.disc.armedAt = at
		t.after(c, at.Sub(c.Now()), tickDiscover)
	}
}

// everShort reports whether more peers could be of use.
func (t *torrent) everShort() bool { return t.mayConnect() && t.life.state != Seeding }

// short reports whether the torrent has few peers and nobody else to try.
func (t *torrent) short(now actor.Time) bool {
	return t.everShort() && t.swarm.live+t.swarm.dialing < min(fewPeers, t.swarm.caps.TorrentPeers) &&
		t.swarm.book.ready(now) == 0
}

// onDiscoverTick looks whether the torrent is short of peers: then trackers, as they
// permit it, and the DHT are asked before their time.
func (t *torrent) onDiscoverTick(c *actor.Ctx[torrentMsg]) {
	d := &t.disc
	switch {
	case !t.short(c.Now()):
		d.gap, d.calls = lookupSoon, 0
		return
	case d.began != 0 && c.Now() >= d.began.Add(d.gap):
		d.next = min(d.next, c.Now())
		d.gap = min(2*d.gap, lookupEvery)
	}
	t.callNeighbours(c.Now())
	t.updateAnnouncer()
}

// callNeighbours announces the torrent in the local network before its time.
func (t *torrent) callNeighbours(now actor.Time) {
	d := &t.disc
	if !d.joined.IsZero() && d.calls < maxCalls && now >= d.called.Add(callAgain) {
		d.calls++
		d.called = now
		d.joined.Tell(lsd.Add{Hash: t.wireHash(), Reply: d.found})
	}
}

// onTurn begins a lookup at each node.
func (t *torrent) onTurn(c *actor.Ctx[torrentMsg]) {
	d := &t.disc
	if !d.waiting {
		d.at.finders.Tell(turnOver{t.self.ID()})
		return
	}
	d.waiting, d.turn, d.began = false, true, max(c.Now(), 1)
	for i := range d.at.dht {
		t.lookUpAt(i)
	}
	t.lookupOver(c)
}

// lookUpAt begins a lookup at the node of a family, if there is one.
func (t *torrent) lookUpAt(i int) {
	d := &t.disc
	at := d.at.dht[i]
	if at.IsZero() {
		return
	}
	d.lastID++
	d.lookups[i] = lookup{d.lastID, at}
	d.tally.lookups++
	at.Tell(dht.GetPeers{ID: d.lastID, Hash: t.wireHash(), Announce: t.cfg.port != 0, Port: t.cfg.port,
		Seed: t.life.state == Seeding && t.left() == 0, NoSeed: t.needsNobody(), Reply: d.replies[i]})
}

// wireHash is what the torrent is called in the DHT and in the local network.
func (t *torrent) wireHash() [20]byte { return t.cfg.hash.V1 }

// onDHT takes what a node has found.
func (t *torrent) onDHT(c *actor.Ctx[torrentMsg], m dhtSays) {
	l := &t.disc.lookups[m.family]
	switch a := m.Answer.(type) {
	case dht.PeersFound:
		if a.ID != l.id {
			return
		}
		source := SourceDHT
		if a.Local {
			source = SourceLocalDHT
		}
		t.onFound(c, found{a.Addrs, source})
	case dht.LookupDone:
		if a.ID != l.id {
			return
		}
		t.disc.tally.done(a)
		*l = lookup{}
		t.lookupOver(c)
	}
}

// lookupOver gives the turn back when nothing runs any more, and plans the next lookup.
func (t *torrent) lookupOver(c *actor.Ctx[torrentMsg]) {
	d := &t.disc
	if !d.turn || d.lookups != [2]lookup{} {
		return
	}
	d.turn = false
	d.at.finders.Tell(turnOver{t.self.ID()})
	d.next = d.began.Add(lookupEvery - lookupEvery/10 + time.Duration(c.Rand().Int64N(int64(lookupEvery/5))))
}

// endLookups takes back what runs at the nodes, and what waits for its turn.
func (t *torrent) endLookups() {
	d := &t.disc
	for i, l := range d.lookups {
		if l.id != 0 {
			l.at.Tell(dht.Cancel{ID: l.id, Reply: d.replies[i]})
		}
	}
	if d.waiting || d.turn {
		d.at.finders.Tell(turnOver{t.self.ID()})
	}
	d.lookups, d.waiting, d.turn, d.next = [2]lookup{}, false, false, 0
}

// onSources takes news of where peers can be looked for. What ran at a node that is gone
// is over; when the first node has found others it is worth asking again. A node that has
// come up during our turn is asked within it: it need not wait for the other family's,
// which may know nobody.
func (t *torrent) onSources(c *actor.Ctx[torrentMsg], m sources) {
	d := &t.disc
	old := d.at
	d.at = m
	for i := range d.lookups {
		if d.lookups[i].at != m.dht[i] {
			d.lookups[i] = lookup{}
		}
	}
	if old.finders != m.finders {
		d.waiting, d.turn = false, false
	}
	if old.lsd != m.lsd {
		d.joined = actor.Ref[lsd.Message]{}
	}
	if old.dht != m.dht {
		d.named = false
	}
	for i := range m.dht {
		if d.turn && old.dht[i] != m.dht[i] {
			t.lookUpAt(i)
		}
	}
	t.lookupOver(c)
	fresh := old.dht != m.dht && d.tally.replied == 0
	if (m.dhtUp && !old.dhtUp || fresh) && t.short(c.Now()) {
		d.next, d.gap = min(d.next, c.Now()), lookupSoon
	}
	t.tellPeersPorts()
}

// joinLSD lets the torrent be announced in the local network, or no longer.
func (t *torrent) joinLSD(now actor.Time) {
	d := &t.disc
	want := t.mayConnect() && t.mayLSD()
	switch {
	case want && d.joined.IsZero() && !d.at.lsd.IsZero():
		d.joined = d.at.lsd
		d.joined.Tell(lsd.Add{Hash: t.wireHash(), Reply: d.found})
		d.calls, d.called = 0, now
	case !want && !d.joined.IsZero():
		d.joined.Tell(lsd.Remove{Hash: t.wireHash()})
		d.joined = actor.Ref[lsd.Message]{}
	}
}

// endDiscovery is the last of it, when the torrent ends.
func (t *torrent) endDiscovery() {
	t.endLookups()
	if d := &t.disc; !d.joined.IsZero() {
		d.joined.Tell(lsd.Remove{Hash: t.wireHash()})
		d.joined = actor.Ref[lsd.Message]{}
	}
}

// passOnNodes names the nodes of the torrent file (BEP 5 "nodes") to ours, once.
func (t *torrent) passOnNodes() {
	d := &t.disc
	if d.named {
		return
	}
	d.named = true
	hosts := t.ownNodes()
	for _, at := range d.at.dht {
		if len(hosts) > 0 && !at.IsZero() {
			at.Offer(dht.AddHosts{Hosts: hosts})
		}
	}
}

func (t *torrent) ownNodes() (hosts []string) {
	var nodes []metainfo.HostPort
	if t.cfg.meta != nil {
		nodes = t.cfg.meta.Nodes
	}
	if t.cfg.magnet != nil {
		nodes = slices.Concat(nodes, t.cfg.magnet.Nodes)
	}
	for _, n := range nodes {
		hosts = append(hosts, n.String())
	}
	return hosts
}

// onPort passes on where a peer says that its node listens. BEP 5: "Peers that receive
// this message should attempt to ping the node on the received port and IP address of
// the remote peer."
func (t *torrent) onPort(p *peerEntry, port uint16) {
	if !t.mayDHT() || t.disc.ports >= maxPortNodes {
		return
	}
	t.disc.ports++
	addr := netip.AddrPortFrom(p.addr.Addr().Unmap(), port)
	for i, at := range t.disc.at.dht {
		if families[i].Holds(addr.Addr()) {
			at.Offer(dht.AddNodes{Addrs: []netip.AddrPort{addr}})
		}
	}
}

// dhtPort is where our node of an address's family listens, as peers may be told; 0:
// nothing is to be told.
func (t *torrent) dhtPort(remote netip.Addr) uint16 {
	if !t.mayDHT() {
		return 0
	}
	if remote.Unmap().Is4() {
		return t.disc.at.dhtPort[0]
	}
	return t.disc.at.dhtPort[1]
}

// tellPeersPorts tells connections where our nodes listen, when that has changed.
func (t *torrent) tellPeersPorts() {
	for _, p := range t.swarm.list {
		if port := t.dhtPort(p.addr.Addr()); !p.gone && port != p.dhtPort {
			p.dhtPort = port
			p.child.Ref.Notify(dhtPort{port})
		}
	}
}
