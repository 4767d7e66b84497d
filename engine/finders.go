package engine

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
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
	wide      bool // nodes that serve others for long know more of them
	only6     bool // listen is :: and means IPv6 alone
	anyID     bool
	external  netip.Addr
	tell      actor.Ref[sources]
}

// finders is the actor that owns what looks for peers on behalf of all torrents: a DHT
// node for each family of addresses, with their sockets and saved tables, LSD, and whose
// turn it is to look up. What ends unexpectedly it makes anew.
type finders struct {
	cfg    findersConfig
	self   actor.Ref[findersMsg]
	port   uint16
	begun  bool
	asked  []actor.Ref[dhtDoors] // by outsiders, while nodes are being opened
	nodes  [2]findersNode        // IPv4, IPv6
	local  findersLSD
	turns  turns
	told   sources
	timers map[findersTick]actor.Timer

	follows map[uint64]following // finders_follow.go
}

func newFinders(cfg findersConfig) *finders {
	return &finders{cfg: cfg, timers: map[findersTick]actor.Timer{}, follows: map[uint64]following{}}
}

// Start implements actor.Starter.
func (f *finders) Start(c *actor.Ctx[findersMsg]) {
	f.self = c.Self()
	f.turns.init(c.Now())
	for i := range f.nodes {
		f.nodes[i].off = f.whyNoNode(i)
	}
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
	case follow:
		f.onFollow(c, m)
	case unfollow:
		f.onUnfollow(m)
	case followerDown:
		f.onFollowerDown(m)
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
		if now.dht != f.told.dht {
			f.showNodes()
		}
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

// backOff is how long to wait after so many failures in a row.
func backOff(fails int) time.Duration {
	return min(restartAfter<<min(max(fails, 0), 16), restartMax)
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
