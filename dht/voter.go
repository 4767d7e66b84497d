package dht

import (
	"net/netip"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// Caps of the vote.
const (
	// ballot is how many votes count: the latest ones.
	ballot = 32
	// quorum is how many votes an address needs at least, all of them of different
	// subnets.
	quorum = 4
)

// Voter finds out our external address from what others say they see (BEP 42,
// "Bootstrapping": "Since a single node can not be trusted"). It owns the votes and
// the result. A subnet has one vote, its latest; the result changes only for an
// address that has more than half of all votes.
type Voter struct {
	votes  []vote
	winner netip.Addr
}

type vote struct {
	voter netip.Prefix
	saw   netip.Addr
	at    clock.Time
}

// External is the result, the zero Addr before there is one.
func (v *Voter) External() netip.Addr { return v.winner }

// Vote counts what one source says about us, and reports whether the result changed.
// Nobody can vote for an address that is no public one, and local sources, who see our
// local address, have no vote.
func (v *Voter) Vote(from, saw netip.Addr, now clock.Time) bool {
	saw = saw.Unmap().WithZone("")
	if ipclass.IsLocal(from) || ipclass.Classify(saw) != ipclass.Public {
		return false
	}
	v.cast(vote{Subnet(from), saw, now})
	n := 0
	for i := range v.votes {
		if v.votes[i].saw == saw {
			n++
		}
	}
	if saw == v.winner || n < quorum || 2*n <= len(v.votes) {
		return false
	}
	v.winner = saw
	return true
}

// cast replaces the voter's vote, else the oldest one.
func (v *Voter) cast(n vote) {
	oldest := 0
	for i := range v.votes {
		if v.votes[i].voter == n.voter {
			v.votes[i] = n
			return
		}
		if v.votes[i].at < v.votes[oldest].at {
			oldest = i
		}
	}
	if len(v.votes) < ballot {
		v.votes = append(v.votes, n)
		return
	}
	v.votes[oldest] = n
}
