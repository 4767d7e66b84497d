package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// DHTConfig configures a DHTNode. The zero value listens on any free port of all
// addresses and finds its way into the DHT by DefaultBootstrap.
type DHTConfig struct {
	// Listen is the address and port of the nodes. An invalid address means all of both
	// families, 0.0.0.0 all of IPv4, :: all of IPv6. Another port is taken if it is not
	// free.
	Listen netip.AddrPort
	// Bind is the local address that all sockets use; the zero value leaves it to the
	// system.
	Bind netip.Addr
	// Bootstrap are nodes to begin with, host:port. nil: DefaultBootstrap, or none if
	// Listen is this machine only; empty: none.
	Bootstrap []string
	StateDir  string // keeps the tables; "": nothing
	ReadOnly  bool   // answer no queries and announce nothing (BEP 43)
	// AnyID accepts nodes whose ids disagree with their addresses (BEP 42).
	AnyID bool
	// ExternalIP is our public address, if it is known for certain.
	ExternalIP netip.Addr
	Logger     *slog.Logger // default: discards
}

// DHTNode is a node of the DHT by itself, without torrents: one for each family of
// addresses. It answers the queries of others until it is closed.
type DHTNode struct {
	DHT
	world *actor.Live
	below *findersBelow
	child actor.Child[findersMsg]
	ended chan struct{}
	err   error
	over  sync.Once
}

// NewDHTNode starts a node. Close it to have all of it back.
func NewDHTNode(cfg DHTConfig) (*DHTNode, error) {
	n := &DHTNode{world: actor.NewLive(actor.LiveConfig{Logger: cfg.Logger}), ended: make(chan struct{})}
	network := transport.NewNet(transport.NetConfig{Bind: cfg.Bind})
	n.below = newFindersBelow(network, cfg.Bind, cfg.StateDir)
	deps := Deps{World: n.world}
	n.below.fill(&deps)
	deps.Multicast = nil
	local := bindOr(cfg.Bind, cfg.Listen.Addr())
	f := newFinders(findersConfig{
		deps: deps, listen: local, only6: local == netip.IPv6Unspecified(), noLSD: true,
		readOnly: cfg.ReadOnly, wide: !cfg.ReadOnly, anyID: cfg.AnyID, external: cfg.ExternalIP,
		bootstrap: bootstrapOr(cfg.Bootstrap, local), tell: actor.FuncRef(func(sources) {}),
	})
	n.child = actor.Root(n.world, actor.Spec{Name: "finders", Limit: findersLimit}, f, func(e actor.Exit) {
		n.err = e.Err
		close(n.ended)
	})
	n.finders = func(context.Context) (actor.Inlet[findersMsg], error) { return n.child.Inlet, nil }
	if err := n.child.Inlet.Put(context.Background(), listensAt{cfg.Listen.Port()}); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close ends the node and saves its tables.
func (n *DHTNode) Close() error {
	n.child.Stop(nil)
	<-n.ended
	n.over.Do(func() {
		n.below.close()
		n.world.Close()
	})
	return n.err
}

// bindOr is the address that sockets are bound to.
func bindOr(bind, listen netip.Addr) netip.Addr {
	if bind.IsValid() {
		return bind
	}
	return listen
}

// bootstrapOr says where a node begins. One that can be reached from this machine only
// has no business with the world's.
func bootstrapOr(given []string, listen netip.Addr) []string {
	if given == nil && !listen.IsLoopback() {
		return DefaultBootstrap
	}
	return given
}

// findersBelow is what live finders stand on.
type findersBelow struct {
	network  *transport.Net
	local    *transport.Net // of multicast: by the interface that is listened on
	resolver *liveResolver
	keeper   *liveKeeper // nil: nothing is kept
}

func newFindersBelow(network *transport.Net, listen netip.Addr, stateDir string) *findersBelow {
	b := &findersBelow{network: network, resolver: newLiveResolver(network)}
	b.local = network
	if listen.IsValid() && !listen.IsUnspecified() {
		b.local = transport.NewNet(transport.NetConfig{Bind: listen})
	}
	if stateDir != "" {
		b.keeper = newLiveKeeper(stateDir)
	}
	return b
}

// fill gives a session's world what finds peers.
func (b *findersBelow) fill(d *Deps) {
	d.Datagrams, d.Resolver, d.Multicast = transport.Share(b.network), b.resolver, liveMulticast{b.local}
	d.IsNeighbour = b.network.IsNeighbour
	d.MayReach, d.PublicIPs = b.mayReach, b.network.PublicIPs()
	if b.keeper != nil {
		d.Keeper = b.keeper
	}
}

// mayReach is the dial policy for nodes of the DHT. In a private network they may be
// anywhere in it: who may name such addresses to whom is the node's business. So may
// others on this very machine: a query to our own public address is nothing that the
// world could not send there itself.
func (b *findersBelow) mayReach(a netip.AddrPort) bool {
	if transport.IsLocal(a.Addr()) {
		return b.network.Check(a, transport.FromLocal) == nil
	}
	return transport.CheckAddr(a, transport.FromPeer, nil) == nil
}

// close ends the workers, when the actors have ended; what was to be kept is.
func (b *findersBelow) close() {
	b.resolver.close()
	if b.keeper != nil {
		b.keeper.close()
	}
}
