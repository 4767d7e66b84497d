package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
)

// Deps is what a session needs of the world beneath it. Live: New fills it from
// the folders below. In the simulator: models.
type Deps struct {
	World      actor.World
	Slab       *block.Slab
	Disk       actor.Ref[storage.Message]
	Trackers   tracker.Client
	Transports []transport.Transport
	Keys       *transport.Keys // of the Transports: whom encrypted connections may ask for; nil: nobody

	// What finds peers besides trackers. nil: there is none, except that without
	// MayReach and IsNeighbour every address is good.
	Datagrams   transport.Opener          // sockets of the DHT
	Resolver    dht.Resolver              // of the DHT's well-known nodes, and of a link's peers
	Keeper      Keeper                    // of the DHT's tables, and of the metadata of links
	Multicast   lsd.Opener                // sockets of LSD
	MayReach    func(netip.AddrPort) bool // the dial policy, for nodes of the DHT
	IsNeighbour func(netip.Addr) bool     // of the local network, for LSD
	PublicIPs   []netip.Addr              // of this machine's interfaces
}

// Keeper keeps small values over a restart. Its methods never wait.
type Keeper interface {
	// Load reads what Save was last given under a name; reply is told exactly once.
	Load(name string, reply actor.Ref[Kept])
	// Save keeps b, which is the keeper's from now on and not changed any more; nil:
	// nothing under this name. What can't be kept is lost.
	Save(name string, b []byte)
}

// Kept answers Load. Data is nil if there is none.
type Kept struct{ Data []byte }
