package dht

import (
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// Spec returns the actor.Spec for a node whose askers are so many, each with its own
// window of [Requests].
func Spec(askers int) actor.Spec {
	return actor.Spec{Name: "dht", Limit: Requests*max(askers, 1) + maxHosts, Offer: 256}
}

// Ctx is what a node may ask of its world during a turn.
type Ctx = actor.Ctx[Message]

// Node is the actor of one node of the DHT: it owns the routing table, the lookups of
// its askers and what it stores for others. Make it with actor.Spawn and Spec.
//
//	node.go          messages in, and the one timer
//	node_in.go       datagrams in: whose they are, and whether to look at them
//	node_serve.go    queries of others are answered
//	node_out.go      queries to others, and what becomes of them
//	node_search.go   lookups, from request to answer; node_jobs.go what they are for
//	node_single.go   ping and sample: one query to one node
//	node_boot.go     the way into the network, and staying there
//	node_self.go     our id and address
type Node struct {
	cfg   Config
	id    ID
	table *Table

	// For others.
	limiter Limiter
	tokens  Tokens
	peers   PeerStore
	items   ItemStore

	// Queries of ours.
	flights flights
	rtt     rtts
	singles []*single

	// Lookups of ours.
	running   []*search
	waiting   []*search
	stirred   []*search // running, with replies in this batch
	recent    []recent
	forgotten map[ID]struct{}

	self self
	boot boot
	care care

	stats   Stats // counters only
	timer   actor.Timer
	timerAt clock.Time
}

// wake is the node's timer.
type wake struct{}

// resolved is a Resolver's answer.
type resolved struct{ Resolved }

func (wake) nodeMsg()     {}
func (resolved) nodeMsg() {}

// New makes a node, which begins to bootstrap when it is started.
func New(cfg Config) *Node { return &Node{cfg: cfg.withDefaults()} }

// Start implements actor.Starter.
func (n *Node) Start(c *Ctx) {
	now := c.Now()
	n.timerAt = actor.Never
	n.limiter = NewLimiter(LimiterOptions{Bytes: int64(n.cfg.Limits.UploadRate), Sources: n.cfg.Limits.Sources}, now)
	n.tokens = NewTokens(c.Rand(), now)
	n.chooseID(c)
	n.table = NewTable(n.id, TableOptions{Wide: n.cfg.Wide, Enforce: !n.cfg.AnyID}, now)
	n.peers = NewPeerStore(n.id, PeerLimits{})
	n.items = NewItemStore(n.id, ItemLimits{})
	n.startBoot(c)
	n.startCare(c)
}

// Handle implements actor.Actor.
func (n *Node) Handle(c *Ctx, m Message) {
	switch m := m.(type) {
	case Received:
		n.onReceived(c, m)
	case GetPeers:
		n.onGetPeers(c, m)
	case Lookup:
		n.onLookup(c, m)
	case GetItem:
		n.onGetItem(c, m)
	case PutItem:
		n.onPutItem(c, m)
	case Sample:
		n.onSample(c, m)
	case Ping:
		n.onPing(c, m)
	case Cancel:
		n.onCancel(c, m)
	case Forget:
		n.onForget(c, m)
	case AddNodes:
		n.onAddNodes(c, m)
	case AddHosts:
		n.onAddHosts(c, m)
	case Hint:
		n.onHint(c, m)
	case External:
		n.onExternal(c, m)
	case AskStats:
		m.Reply.Tell(n.view(c.Now()))
	case AskTable:
		m.Reply.Tell(n.table.View(c.Now()))
	case resolved:
		n.onResolved(c, m.Resolved)
	case wake:
		n.timerAt = actor.Never
	default:
		panic(fmt.Sprintf("dht: unknown message %T", m))
	}
}

// Flush does what is due and sets the timer.
func (n *Node) Flush(c *Ctx) {
	n.goOn(c)
	n.sweep(c)
	n.look(c)
	n.admit(c)
	n.rearm(c)
}

// rearm sets the timer to what comes first.
func (n *Node) rearm(c *Ctx) {
	at := min(n.flights.next(), n.care.next)
	if n.busy() < n.cfg.Limits.Lookups { // else the end of one of them wakes us
		for _, s := range n.waiting {
			at = min(at, s.until)
		}
	}
	if at == n.timerAt {
		return
	}
	if n.timerAt != actor.Never {
		c.Cancel(n.timer)
	}
	n.timer, n.timerAt = c.After(at.Sub(c.Now()), wake{}), at
}

// Stop implements actor.Stopper: whoever waits for an answer has it, and the table is
// saved.
func (n *Node) Stop(c *Ctx, _ error) {
	n.save(c)
	for _, s := range n.searches() {
		n.end(c, s, ErrStopped)
	}
	for len(n.singles) > 0 {
		n.singles[0].end(n, ErrStopped, nil)
	}
}

// Check implements actor.Checker.
func (n *Node) Check() error {
	if len(n.running) > n.cfg.Limits.Lookups+1 || len(n.waiting) > n.cfg.Limits.Waiting {
		return fmt.Errorf("dht: %d lookups run and %d wait, more than may", len(n.running), len(n.waiting))
	}
	return nil
}

// view adds what can be counted to the counters.
func (n *Node) view(now clock.Time) Stats {
	s := n.stats
	s.Self, s.ReadOnly, s.Bootstrapped = n.id, n.cfg.ReadOnly, n.boot.done
	s.External = netip.AddrPortFrom(n.external(), n.self.port)
	count := n.table.Count(now)
	s.LastError = n.boot.trouble(count.Good)
	s.Good, s.Questionable = count.Good, count.Questionable+count.Bad
	s.Replacements, s.Buckets = count.Spares, count.Buckets
	s.Torrents, s.Peers = n.peers.Len()
	s.Items = n.items.Len()
	s.Waiting, s.InFlight, s.RTT = len(n.waiting), len(n.flights.byTID), n.rtt.mean
	for _, r := range n.running {
		if !r.own {
			s.Lookups++
		}
	}
	return s
}
