package engine

import (
	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
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
}
