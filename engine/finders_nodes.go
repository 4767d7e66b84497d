package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/transport"
)

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

// startNode takes the next step to a node: its socket, its saved table, itself.
func (f *finders) startNode(c *actor.Ctx[findersMsg], family int) {
	n := &f.nodes[family]
	switch {
	case n.off != "" || !f.begun:
	case n.socket == nil:
		f.openSocket(family)
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
func (f *finders) openSocket(family int) {
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
		f.openSocket(m.family)
	default:
		f.arm(c, c.Now().Add(backOff(n.tries/2)), findersTick{tickAgain, m.family})
	}
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
		Saved: n.saved, Save: func(b []byte) { f.save(family, b) }, ReadOnly: f.cfg.readOnly, Wide: f.cfg.wide,
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

// onHinted passes on what one family's node has learned of the other's.
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
