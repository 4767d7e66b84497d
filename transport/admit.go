//pump: waits at most for another caller of the same function.

package transport

import (
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport/mse"
)

// costs bound what encrypted handshakes cost a session. Actors and pumps have clocks
// that begin at different moments, so they are counted apart.
type costs struct {
	mu     sync.Mutex
	actors mse.Limiter
	pumps  mse.Limiter
}

// Admit reports whether the handshake of a connection that came in may be calculated,
// and counts it: see [mse.Limiter]. now is the time of the actor that asks.
func (k *Keys) Admit(from netip.Addr, now actor.Time) bool {
	k.costs.mu.Lock()
	defer k.costs.mu.Unlock()
	return k.costs.actors.Admit(from, now)
}

// started is the zero of the pumps' clock.
var started = time.Now()

// admitNow is Admit for pumps.
func (k *Keys) admitNow(from netip.Addr) bool {
	k.costs.mu.Lock()
	defer k.costs.mu.Unlock()
	return k.costs.pumps.Admit(from, actor.Time(time.Since(started)))
}
