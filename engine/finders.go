package engine

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/transport"
)

// DefaultBootstrap are well-known nodes of the DHT, by which a node without contacts
// finds its way into it.
var DefaultBootstrap = []string{
	"router.bittorrent.com:6881", "dht.transmissionbt.com:6881", "router.utorrent.com:6881", "dht.libtorrent.org:25401",
}

const (
	// findersLimit: each torrent's wish for a turn, and its end.
	findersLimit = 16384
	// dhtAskers is how many may ask a DHT node at once: torrents by their turn, few of
	// them at a time, and their ends, which come all at once.
	dhtAskers = 1024
	// A node or announcer that has ended is made anew after restartAfter, at first.
	restartAfter = time.Second
	restartMax   = 5 * time.Minute
	// healthEvery is how often nodes are asked how they are: while they have not found
	// others, and afterwards.
	healthEvery = 2 * time.Second
	healthCalm  = time.Minute
)

// findersConfig is what the finders need.
type findersConfig struct {
	deps      Deps
	listen    netip.Addr // of the session: the families and addresses of the nodes
	noDHT     bool
	noLSD     bool
	bootstrap []string
	readOnly  bool
	only6     bool // listen is :: and means IPv6 alone
	anyID     bool
	external  netip.Addr
	tell      actor.Ref[sources]
}

// finders is the actor that owns what looks for peers on behalf of all torrents: a DHT
// node for each family of addresses, with their sockets and saved tables, LSD, and whose
// turn it is to look up. What ends unexpectedly it makes anew.
type finders struct {
	cfg   findersConfig
	self  actor.Ref[findersMsg]
	port  uint16
	begun bool
	asked []actor.Ref[dhtDoors] // by outsiders, while nodes are being opened
	nodes [2]findersNode        // IPv4, IPv6
	local struct {
		child actor.Child[lsd.Message]
		fails int
		why   string // no socket of it is open
	}
	turns  turns
	told   sources
	timers map[findersTick]actor.Timer
}

// findersNode is one family's DHT node.
type findersNode struct {
	off    string // why there is none, for good
	socket transport.Datagrams
	tries  int // of opening the socket
	err    error
	child  actor.Child[dht.Message]
	fails  int // ends in a row
	kept   bool
	saved  []byte // the table as last saved
	stats  dht.Stats
	known  bool // stats are of this node
}

func newFinders(cfg findersConfig) *finders {
	return &finders{cfg: cfg, timers: map[findersTick]actor.Timer{}}
}

// Start implements actor.Starter.
func (f *finders) Start(c *actor.Ctx[findersMsg]) {
	f.self = c.Self()
	f.turns.init(c.Now())
	for i := range f.nodes {
		f.nodes[i].off = f.whyNoNode(i)
	}
}

// whyNoNode says why a family has no DHT node.
func (f *finders) whyNoNode(family int) string {
	a := f.cfg.listen.Unmap()
	switch {
	case f.cfg.noDHT:
		return "off"
	case f.cfg.deps.Datagrams == nil:
		return "there are no datagrams"
	case f.cfg.only6 && family == 0:
		return "bound to IPv6"
	case a.IsValid() && !a.IsUnspecified() && a.Is6() != (family == 1):
		return "bound to an address of the other family"
	case a.IsValid() && a.Is4() && family == 1: // 0.0.0.0 is all of IPv4 alone
		return "bound to IPv4"
	}
	return ""
}

// Handle is the map of the finders.
func (f *finders) Handle(c *actor.Ctx[findersMsg], m findersMsg) {
	switch m := m.(type) {
	case listensAt:
		f.onListensAt(c, m)
	case udpOpened:
		f.onOpened(c, m)
	case tableKept:
		f.onKept(c, m)
	case nodeDown:
		f.onNodeDown(c, m)
	case nodeStats:
		f.onStats(c, m)
	case lsdDown:
		f.onLSDDown(c, m)
	case lsdStats:
		f.onLSDStats(c, m)
	case wantTurn:
		f.turns.add(m)
	case turnOver:
		f.turns.remove(m.torrent)
	case askNodes:
		f.asked = append(f.asked, m.reply)
	case hinted:
		f.onHinted(m)
	case externalVote:
		f.onVote(m)
	case findersTick:
		delete(f.timers, m)
		f.onTick(c, m)
	default:
		panic(fmt.Sprintf("finders: unknown message %T", m))
	}
}

// Flush gives turns and tells what has changed.
func (f *finders) Flush(c *actor.Ctx[findersMsg]) {
	for {
		m, ok, when := f.turns.next(c.Now())
		if !ok {
			f.arm(c, when, findersTick{kind: tickTurns})
			break
		}
		m.reply.Tell(turn{})
	}
	if now := f.sources(); now != f.told {
		f.told = now
		f.cfg.tell.Notify(now)
	}
	if f.settled() {
		f.showDoors()
	}
}

// settled says whether every node is open, or has failed to open at least once.
func (f *finders) settled() bool {
	for i := range f.nodes {
		if n := &f.nodes[i]; n.off == "" && n.child.Ref.IsZero() && n.err == nil {
			return false
		}
	}
	return true
}

// showDoors answers the outsiders who have asked.
func (f *finders) showDoors() {
	for _, r := range f.asked {
		r.Tell(f.doors())
	}
	f.asked = nil
}

// Stop closes the sockets; the nodes, its children, have ended and saved before.
func (f *finders) Stop(*actor.Ctx[findersMsg], error) {
	f.showDoors()
	for i := range f.nodes {
		if s := f.nodes[i].socket; s != nil {
			s.Close()
		}
	}
}

// arm sets one timer, earlier ones of the kind are replaced; Never takes it back.
func (f *finders) arm(c *actor.Ctx[findersMsg], at actor.Time, t findersTick) {
	if old, ok := f.timers[t]; ok {
		c.Cancel(old)
		delete(f.timers, t)
	}
	if at != actor.Never {
		f.timers[t] = c.After(at.Sub(c.Now()), t)
	}
}

func (f *finders) onTick(c *actor.Ctx[findersMsg], m findersTick) {
	switch m.kind {
	case tickAgain:
		f.startNode(c, m.family)
	case tickLSD:
		f.startLSD(c)
	case tickHeard:
		f.askLSD()
	case tickStats:
		f.askStats(m.family)
	case tickTurns: // Flush gives it
	}
}

// onListensAt begins: nodes listen at the port of the session.
func (f *finders) onListensAt(c *actor.Ctx[findersMsg], m listensAt) {
	if f.begun {
		return
	}
	f.begun, f.port = true, m.port
	for i := range f.nodes {
		f.startNode(c, i)
	}
	f.startLSD(c)
}

// startNode takes the next step to a node: its socket, its saved table, itself.
func (f *finders) startNode(c *actor.Ctx[findersMsg], family int) {
	n := &f.nodes[family]
	switch {
	case n.off != "" || !f.begun:
	case n.socket == nil:
		f.openSocket(c, family)
	case !n.kept && f.cfg.deps.Keeper != nil:
		f.cfg.deps.Keeper.Load(tableNames[family], actor.Adapt(f.self, func(k Kept) findersMsg { return tableKept{family, k} }))
	default:
		f.spawnNode(c, family)
	}
}

// tableNames are the names of the saved tables.
var tableNames = [2]string{"dht4", "dht6"}

var families = [2]dht.Family{dht.IPv4, dht.IPv6}

// openSocket binds a socket at the port of the session; if another program has that for
// UDP, at any.
func (f *finders) openSocket(_ *actor.Ctx[findersMsg], family int) {
	n := &f.nodes[family]
	addr := f.cfg.listen.Unmap()
	switch {
	case addr.IsValid() && addr.Is6() == (family == 1):
	case family == 0:
		addr = netip.IPv4Unspecified()
	default:
		addr = netip.IPv6Unspecified()
	}
	port := f.port
	if n.tries%2 == 1 {
		port = 0
	}
	n.tries++
	f.cfg.deps.Datagrams.OpenDatagrams(netip.AddrPortFrom(addr, port),
		actor.Adapt(f.self, func(o transport.Opened) findersMsg { return udpOpened{family, o} }))
}

func (f *finders) onOpened(c *actor.Ctx[findersMsg], m udpOpened) {
	n := &f.nodes[m.family]
	n.err = m.Err
	switch {
	case m.Err == nil:
		n.socket, n.tries = m.Socket, 0
		f.startNode(c, m.family)
	case n.tries == 1 && f.port != 0:
		f.openSocket(c, m.family)
	default:
		f.arm(c, c.Now().Add(backOff(n.tries/2)), findersTick{tickAgain, m.family})
	}
}

// backOff is how long to wait after so many failures in a row.
func backOff(fails int) time.Duration {
	return min(restartAfter<<min(max(fails, 0), 16), restartMax)
}

func (f *finders) onKept(c *actor.Ctx[findersMsg], m tableKept) {
	n := &f.nodes[m.family]
	if !n.kept {
		n.kept, n.saved = true, m.Data
		f.startNode(c, m.family)
	}
}

// spawnNode makes the node of a family.
func (f *finders) spawnNode(c *actor.Ctx[findersMsg], family int) {
	n := &f.nodes[family]
	if !n.child.Ref.IsZero() {
		return
	}
	cfg := dht.Config{
		Socket: n.socket, Family: families[family], Bootstrap: f.cfg.bootstrap, Resolver: f.cfg.deps.Resolver,
		Saved: n.saved, Save: func(b []byte) { f.save(family, b) }, ReadOnly: f.cfg.readOnly,
		Allow: f.cfg.deps.MayReach, Other: actor.Adapt(f.self, func(m dht.Message) findersMsg { return hinted{1 - family, m} }),
		AnyID: f.cfg.anyID, Version: "SQ\x00\x01",
	}
	if f.cfg.external.IsValid() && families[family].Holds(f.cfg.external) {
		cfg.ExternalIP = f.cfg.external
	}
	cfg.Guess = f.guess(n.socket.Addr().Addr())
	n.known = false
	n.child = actor.Spawn(c, dht.Spec(dhtAskers), dht.New(cfg), func(e actor.Exit) findersMsg { return nodeDown{family, e} })
	n.socket.Route(transport.PacketDHT, actor.Adapt(n.child.Ref, packetReceived))
	f.askStats(family)
}

// guess is the public address of a node, as far as this machine can tell: what it is
// bound to, or the only public one that there is. Zero: behind a NAT, or unclear.
func (f *finders) guess(bound netip.Addr) (guess netip.Addr) {
	for _, a := range f.cfg.deps.PublicIPs {
		switch {
		case a == bound:
			return a
		case !bound.IsUnspecified() || a.Is4() != bound.Is4():
		case guess.IsValid():
			return netip.Addr{}
		default:
			guess = a
		}
	}
	return guess
}

// packetReceived makes a node's message of a datagram.
func packetReceived(p *transport.Packet) dht.Message {
	return dht.Received{From: p.From, Data: p.Data, Buffer: p}
}

// save keeps a node's table: it is called on the node's turn, and the keeper does not wait.
func (f *finders) save(family int, b []byte) {
	if f.cfg.deps.Keeper != nil {
		f.cfg.deps.Keeper.Save(tableNames[family], b)
	}
}

// hinted passes on what one family's node has learned of the other's.
type hinted struct {
	family int
	m      dht.Message
}

func (hinted) findersMsg() {}

func (f *finders) onHinted(m hinted) { f.nodes[m.family].child.Ref.Offer(m.m) }

// onNodeDown makes a node that has ended anew, after a while.
func (f *finders) onNodeDown(c *actor.Ctx[findersMsg], m nodeDown) {
	n := &f.nodes[m.family]
	n.socket.Route(transport.PacketDHT, actor.Ref[*transport.Packet]{})
	n.child, n.known, n.err = actor.Child[dht.Message]{}, false, m.exit.Err
	n.kept = false // its table is read anew
	f.arm(c, c.Now().Add(backOff(n.fails)), findersTick{tickAgain, m.family})
	n.fails++
}

func (f *finders) askStats(family int) {
	f.nodes[family].child.Ref.Tell(dht.AskStats{
		Reply: actor.Adapt(f.self, func(s dht.Stats) findersMsg { return nodeStats{family, s} })})
}

func (f *finders) onStats(c *actor.Ctx[findersMsg], m nodeStats) {
	n := &f.nodes[m.family]
	if n.child.Ref.IsZero() {
		return
	}
	n.stats, n.known = m.Stats, true
	every := healthEvery
	if m.Bootstrapped && m.Good > 0 {
		every, n.fails = healthCalm, 0
	}
	f.arm(c, c.Now().Add(every), findersTick{tickStats, m.family})
}

// onVote passes on what somebody says our address is.
func (f *finders) onVote(m externalVote) {
	for i := range f.nodes {
		if families[i].Holds(m.addr) {
			f.nodes[i].child.Ref.Offer(dht.External{Addr: m.addr, From: m.by, Sure: m.sure})
		}
	}
}

func (f *finders) startLSD(c *actor.Ctx[findersMsg]) {
	if f.cfg.noLSD || f.cfg.deps.Multicast == nil || !f.local.child.Ref.IsZero() {
		return
	}
	a := f.cfg.listen.Unmap()
	var groups []netip.AddrPort
	if !a.IsValid() || a.Is4() || a.IsUnspecified() {
		groups = append(groups, lsd.Group4)
	}
	if !a.IsValid() || a.Is6() {
		groups = append(groups, lsd.Group6)
	}
	actorOf := lsd.New(lsd.Config{Open: f.cfg.deps.Multicast, Groups: groups, Port: f.port, Local: f.cfg.deps.IsNeighbour})
	f.local.child = actor.Spawn(c, actor.Spec{Name: "lsd", Limit: lsd.Limit(findersLimit / 2)}, actorOf,
		func(e actor.Exit) findersMsg { return lsdDown{e} })
	f.arm(c, c.Now().Add(healthEvery), findersTick{kind: tickHeard})
}

func (f *finders) askLSD() {
	f.local.child.Ref.Tell(lsd.AskStats{Reply: actor.Adapt(f.self, func(s lsd.Stats) findersMsg { return lsdStats{s} })})
}

func (f *finders) onLSDStats(c *actor.Ctx[findersMsg], m lsdStats) {
	every := healthCalm
	f.local.why = ""
	if m.Sockets == 0 && len(m.Errs) > 0 {
		f.local.why, every = m.Errs[0], healthEvery
	}
	f.arm(c, c.Now().Add(every), findersTick{kind: tickHeard})
}

func (f *finders) onLSDDown(c *actor.Ctx[findersMsg], _ lsdDown) {
	f.local.child = actor.Child[lsd.Message]{}
	f.arm(c, c.Now().Add(backOff(f.local.fails)), findersTick{kind: tickLSD})
	f.local.fails++
}

// sources is what torrents are told.
func (f *finders) sources() sources {
	s := sources{finders: f.self, dhtOff: true, lsdOff: f.cfg.noLSD || f.cfg.deps.Multicast == nil, lsd: f.local.child.Ref, lsdWhy: f.local.why}
	for i := range f.nodes {
		n := &f.nodes[i]
		s.dht[i] = n.child.Ref
		if !n.child.Ref.IsZero() {
			s.dhtPort[i] = n.socket.Addr().Port()
		}
		s.dhtOff = s.dhtOff && n.off != ""
		s.dhtUp = s.dhtUp || n.known && n.stats.Good > 0
	}
	if !s.dhtUp && !s.dhtOff {
		s.dhtWhy = f.whySilent()
	}
	return s
}

// whySilent says in words why no node of the DHT has answered yet.
func (f *finders) whySilent() string {
	why := ""
	for i := range f.nodes {
		n := &f.nodes[i]
		switch {
		case n.off != "":
		case n.child.Ref.IsZero() && n.err != nil:
			why = orString(why, n.err.Error())
		case n.known && n.stats.LastError != "":
			return n.stats.LastError
		}
	}
	return why
}

// doors are the nodes' doors for outsiders.
func (f *finders) doors() (d dhtDoors) {
	for i := range f.nodes {
		if n := &f.nodes[i]; !n.child.Ref.IsZero() {
			d.inlets = append(d.inlets, n.child.Inlet)
			d.addrs = append(d.addrs, n.socket.Addr())
		} else if n.err != nil {
			d.err = n.err
		}
	}
	return d
}
