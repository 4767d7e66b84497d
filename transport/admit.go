//pump: waits at most for another caller of the same function.

package transport

import (
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport/mse"
)

// costs bound what encrypted handshakes cost a session, over all its transports.
type costs struct {
	mu  sync.Mutex
	lim mse.Limiter
}

// Admit reports whether the handshake of a connection that came in may be calculated,
// and counts it: see [mse.Limiter]. now is of any clock, but always of the same.
func (k *Keys) Admit(from netip.Addr, now actor.Time) bool {
	k.costs.mu.Lock()
	defer k.costs.mu.Unlock()
	return k.costs.lim.Admit(from, now)
}
