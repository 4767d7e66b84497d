package utpnative

import (
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// What tests of the whole, which run in the simulator, need of those of the parts.

// RaceEnabled says that the race detector slows everything down.
const RaceEnabled = raceEnabled

// Trade is trade.
var Trade = trade

// Mux is the actor behind a transport.
type Mux = mux

// NewSeen makes a transport whose actor a test can look into while nothing runs.
func NewSeen(w actor.World, cfg Config) (transport.Transport, *Mux) {
	x := newMux(cfg)
	return start(w, x), x
}

// WantNothing fails the test if anything is left of connections.
func WantNothing(t testing.TB, x *Mux) {
	t.Helper()
	if n := len(x.all) + len(x.links) + x.porch.n + len(x.porch.hosts) + x.wheel.n + len(x.waiting) +
		x.porch.silent.Len() + x.porch.unverified.Len() + len(x.porch.greeted); n > 0 {
		t.Errorf("left: %d links, %d guests of %d hosts, %d in the wheel, %d waiting",
			len(x.links), x.porch.n, len(x.porch.hosts), x.wheel.n, len(x.waiting))
	}
}
