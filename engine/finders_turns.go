package engine

import (
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

const (
	// turnsAtOnce lookups of torrents run at a time, and turnGap is between their
	// beginnings in the long run; turnBurst may begin at once. A lookup asks some tens
	// of nodes in some seconds, so that a session with thousands of torrents sends a
	// few kilobytes a second.
	turnsAtOnce = 16
	turnGap     = 500 * time.Millisecond
	turnBurst   = 16
	// calmEvery nth turn goes to one that is not short of peers, if one waits.
	calmEvery = 4
)

// turns says whose turn it is to look up peers, so that thousands of torrents make no
// storm: each waits for its turn, those who are short of peers first. Pure; owner: the
// finders.
type turns struct {
	urgent, calm []wantTurn
	running      map[uint64]bool
	tokens       int
	at           actor.Time // when tokens were counted
	given        int
}

func (q *turns) init(now actor.Time) {
	q.running = map[uint64]bool{}
	q.tokens, q.at = turnBurst, now
}

func (q *turns) add(m wantTurn) {
	q.remove(m.torrent)
	if m.urgent {
		q.urgent = append(q.urgent, m)
	} else {
		q.calm = append(q.calm, m)
	}
}

// remove ends a torrent's waiting, or its turn.
func (q *turns) remove(torrent uint64) {
	its := func(m wantTurn) bool { return m.torrent == torrent }
	q.urgent, q.calm = slices.DeleteFunc(q.urgent, its), slices.DeleteFunc(q.calm, its)
	delete(q.running, torrent)
}

// next returns who may begin now, if anybody, and when to ask again (Never: when a turn
// is over or somebody comes).
func (q *turns) next(now actor.Time) (m wantTurn, ok bool, when actor.Time) {
	if n := int(now.Sub(q.at) / turnGap); n > 0 {
		q.at = q.at.Add(time.Duration(n) * turnGap)
		if q.tokens += n; q.tokens >= turnBurst {
			q.tokens, q.at = turnBurst, now
		}
	}
	switch {
	case len(q.urgent)+len(q.calm) == 0 || len(q.running) >= turnsAtOnce:
		return m, false, actor.Never
	case q.tokens == 0:
		return m, false, q.at.Add(turnGap)
	}
	list := &q.urgent
	if len(q.urgent) == 0 || len(q.calm) > 0 && q.given%calmEvery == calmEvery-1 {
		list = &q.calm
	}
	m = (*list)[0] // in a statement of its own: Delete clears what it leaves behind
	*list = slices.Delete(*list, 0, 1)
	q.tokens--
	q.given++
	q.running[m.torrent] = true
	return m, true, now
}
