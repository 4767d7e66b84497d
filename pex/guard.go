package pex

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Bounds on what one remote may tell.
const (
	// burst messages within Interval are borne, more are a flood: BEP 11 allows one, and
	// "clients may disconnect peers that egregiously violate these constraints".
	// libtorrent bears as many.
	burst = 6
	// maxBelieved addresses of one sender at a time: those that it has added and not dropped.
	maxBelieved = 200
	// A sender may name believeAtOnce addresses, and then believePerMinute, which is what
	// BEP 11 allows. "A client should avoid taking all its connection candidates from a
	// single PEX source."
	believeAtOnce    = 200
	believePerMinute = MaxEntries
)

// Errors that end the connection; the fault is the remote's.
var (
	ErrFlood = errors.New("peer exchange: more than 6 messages within a minute")
	ErrLarge = fmt.Errorf("peer exchange: a message of more than %d bytes", MaxMessage)
)

// Guard is what one remote has told us, and how often. It believes what may be worth a
// try and forgets the rest.
type Guard struct {
	from  Scope
	scope ScopeFunc

	at    [burst]Time // of the last messages, at[n%burst] the oldest
	n     int
	named contacts // added and not dropped
	left  int64    // addresses that it may name, times Interval
	since Time     // left was true then
}

// NewGuard makes the guard of a connection from an address of this scope.
func NewGuard(from Scope, scope ScopeFunc) *Guard { return &Guard{from: from, scope: scope} }

// Take takes in the payload of a message and returns the peers in it that are news: of
// a scope that the sender may name, at most one port of a public IP (BEP 11: "Duplicate
// IP addresses (e.g. with different ports) should be ignored"), no more than the bounds
// allow. An error means that the remote has to go.
func (g *Guard) Take(payload []byte, now Time) ([]Peer, error) {
	if g.n >= burst && now < g.at[g.n%burst].Add(Interval) {
		return nil, ErrFlood
	}
	if len(payload) > MaxMessage {
		return nil, ErrLarge
	}
	m, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	g.refill(now)
	g.at[g.n%burst] = now
	g.n++
	for _, a := range m.Dropped {
		g.named.remove(a)
	}
	news := m.Added[:0]
	for _, p := range m.Added {
		if !g.believes(p.Addr) {
			continue
		}
		g.left -= int64(Interval)
		g.named.add(p.Addr)
		p.Flags &= knownFlags
		news = append(news, p)
	}
	return news, nil
}

// refill lets time earn the right to name more.
func (g *Guard) refill(now Time) {
	const most = believeAtOnce * int64(Interval)
	if g.n == 0 {
		g.left = most
	} else {
		earned := min(now.Sub(g.since), believeAtOnce*time.Minute)
		g.left = min(g.left+int64(earned)*believePerMinute, most)
	}
	g.since = now
}

func (g *Guard) believes(a netip.AddrPort) bool {
	scope := g.scope(a.Addr())
	switch {
	case !a.IsValid() || a.Port() == 0 || !g.from.may(scope):
		return false
	case g.left < int64(Interval) || g.named.len() >= maxBelieved:
		return false
	case scope == Public && g.named.hasIP(a.Addr()):
		return false
	}
	return !g.named.has(a)
}
