package sim

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// Tracker models one tracker for all hosts of a world: it answers announces after a
// delay with random members of the swarm. It may be down for a while.
type Tracker struct {
	w        *World
	rng      *rand.Rand
	Delay    clock.Duration // of every answer
	Interval time.Duration  // that peers are told
	Max      int            // peers in an answer
	Down     bool           // answers nothing but an error, after the delay
	swarms   map[metainfo.Hash][]member

	// Announces counts requests by event.
	Announces [4]int
}

// member is one peer of a swarm, in order of arrival.
type member struct {
	id   [20]byte
	addr netip.AddrPort
	seed bool
}

// NewTracker makes a tracker in w.
func NewTracker(w *World) *Tracker {
	return &Tracker{w: w, rng: w.Rand(trackerStream), Delay: 50 * time.Millisecond, Interval: 30 * time.Minute, Max: 50,
		swarms: map[metainfo.Hash][]member{}}
}

// Streams of randomness that models use, far from the actors' ids.
const (
	trackerStream = 1<<63 + iota
	diskStream
	netStream
)

// Client is the tracker as the host at addr reaches it.
func (t *Tracker) Client(addr netip.Addr) tracker.Client { return trackerClient{t, addr} }

type trackerClient struct {
	t    *Tracker
	addr netip.Addr
}

// Do implements tracker.Client.
func (c trackerClient) Do(r tracker.Request) {
	c.t.w.After(c.t.Delay, func() { r.Reply.Tell(c.t.answer(c.addr, &r)) })
}

// errDown is the error of a tracker that is down.
type errDown struct{}

func (errDown) Error() string { return "connection refused" }

func (t *Tracker) answer(from netip.Addr, r *tracker.Request) tracker.Response {
	out := tracker.Response{Cookie: r.Cookie, Seeds: -1, Leechers: -1, Finished: -1, Addr: trackerAddr}
	if t.Down {
		out.Err = errDown{}
		return out
	}
	swarm := t.swarms[r.InfoHash]
	if !r.Scrape {
		t.Announces[r.Event]++
		swarm = t.update(swarm, from, r)
		t.swarms[r.InfoHash] = swarm
		out.Peers = t.sample(swarm, r)
	}
	out.Interval = t.Interval
	out.Seeds, out.Leechers = 0, 0
	for _, m := range swarm {
		if m.seed {
			out.Seeds++
		} else {
			out.Leechers++
		}
	}
	return out
}

var trackerAddr = netip.AddrFrom4([4]byte{10, 0, 0, 1})

// update enters, changes or removes the peer that announces.
func (t *Tracker) update(swarm []member, from netip.Addr, r *tracker.Request) []member {
	i := slices.IndexFunc(swarm, func(m member) bool { return m.id == r.PeerID })
	switch {
	case r.Event == tracker.Stopped:
		if i >= 0 {
			swarm = slices.Delete(swarm, i, i+1)
		}
		return swarm
	case i < 0:
		return append(swarm, member{r.PeerID, netip.AddrPortFrom(from, r.Port), r.Facts.Left == 0})
	}
	swarm[i].seed = r.Facts.Left == 0
	return swarm
}

// sample draws peers for an answer: seeds are of no use to seeds.
func (t *Tracker) sample(swarm []member, r *tracker.Request) []netip.AddrPort {
	var out []netip.AddrPort
	for _, i := range t.rng.Perm(len(swarm)) {
		m := swarm[i]
		if m.id != r.PeerID && !(m.seed && r.Facts.Left == 0) && len(out) < min(t.Max, int(r.Facts.Wanted)) {
			out = append(out, m.addr)
		}
	}
	return out
}

var _ actor.World = (*World)(nil)
