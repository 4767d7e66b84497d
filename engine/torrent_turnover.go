package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	// replaceAfter is how long a peer may show what it is good for before another can
	// take its place.
	replaceAfter = time.Minute
	// replaceEvery is between two of them: a stranger who knocks from many addresses
	// takes that long for each.
	replaceEvery = 2 * time.Second
)

// makeWay ends the connection of lowest priority, if that of the newcomer is higher.
// BEP 40: "The barrier of entry to a swarm may be high when most peers [...] are all
// fully connected at all times, never having a connection slot for new incoming
// connections." The first to feel it are those behind NATs, whom nobody can dial. All
// peers rank each other alike, and so who made way finds its place elsewhere. Whom
// the user has named stays, and who is sending us something.
func (t *torrent) makeWay(now actor.Time, from netip.AddrPort) bool {
	if !t.swarm.book.own.IsValid() || now < t.swarm.replaced.Add(replaceEvery) {
		return false
	}
	var last *peerEntry
	lowest := peerPriority(t.swarm.book.own, from)
	for _, p := range t.swarm.list {
		if !p.live || p.gone || p.source == SourceUser || p.asked > 0 || p.since.Add(replaceAfter) > now {
			continue
		}
		if rank := peerPriority(t.swarm.book.own, p.addr); rank < lowest {
			last, lowest = p, rank
		}
	}
	if last == nil {
		return false
	}
	t.swarm.replaced = now
	t.drop(last, errFull)
	return true
}

// knowOwnByVotes ranks by the address that peers see us at, while no tracker says it.
func (t *torrent) knowOwnByVotes(is4 bool) {
	if w := t.swarm.votes.winner(is4); w.IsValid() && (!t.swarm.book.own.IsValid() || t.swarm.byVote) {
		t.swarm.byVote = true
		t.knowOwn(w)
	}
}
