package mse

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// What incoming handshakes may cost. One takes two exponentiations, some 0.3 ms of a
// core, before the remote has proved to know anything; so all of them together get a
// twelfth of a core, and one address a hundredth.
const (
	oneBurst = 128
	oneEvery = time.Second / 32
	allBurst = 512
	allEvery = time.Second / 256
	// maxCallers bounds how many addresses are remembered. Those beyond share one
	// allowance until others are forgotten, which takes oneBurst × oneEvery at most.
	maxCallers = 4096
)

// Limiter says how many incoming handshakes are calculated: some at once and some a
// second, for one address and for all. Addresses are whole IPv4 addresses and /64
// networks of IPv6. The zero Limiter is ready; it belongs to one goroutine at a time.
type Limiter struct {
	all clock.Time
	// one holds, for each address, the moment at which its allowance is whole again.
	one   map[netip.Addr]clock.Time
	swept clock.Time // when those that are whole were last forgotten
}

// Admit reports whether a handshake with an address may be calculated now, and counts it.
func (l *Limiter) Admit(from netip.Addr, now clock.Time) bool {
	from = l.caller(from, now)
	one, ok := charge(l.one[from], now, oneBurst, oneEvery)
	if !ok {
		return false
	}
	all, ok := charge(l.all, now, allBurst, allEvery)
	if !ok {
		return false
	}
	l.one[from], l.all = one, all
	return true
}

// charge takes one from an allowance of burst that grows by one every so often; whole
// is the moment at which it will be whole again.
func charge(whole, now clock.Time, burst int, every clock.Duration) (clock.Time, bool) {
	whole = max(whole, now).Add(every)
	return whole, whole.Sub(now) <= clock.Duration(burst)*every
}

// caller returns the address by which a remote is known: its own, that of its network,
// or the zero address when there are too many.
func (l *Limiter) caller(from netip.Addr, now clock.Time) netip.Addr {
	if from = from.Unmap().WithZone(""); from.Is6() {
		if p, err := from.Prefix(64); err == nil {
			from = p.Addr()
		}
	}
	if l.one == nil {
		l.one = map[netip.Addr]clock.Time{}
	}
	if _, known := l.one[from]; known || len(l.one) < maxCallers || l.sweep(now) {
		return from
	}
	return netip.Addr{}
}

// sweep forgets addresses whose allowance is whole, at most once a second, and reports
// whether there is room now.
func (l *Limiter) sweep(now clock.Time) bool {
	if now.Sub(l.swept) >= time.Second || l.swept == 0 {
		l.swept = now
		for a, whole := range l.one { //order: irrelevant, each is judged by itself
			if whole <= now {
				delete(l.one, a)
			}
		}
	}
	return len(l.one) < maxCallers
}
