package tracker

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/shoal-bt/shoal/actor"
)

// tierList is a torrent's trackers in tiers, and in lanes: a lane is a series of
// trackers of which one that answers is enough.
type tierList struct {
	sites []*site // by tier, as reported
	lanes []*lane
	tiers int // how many there have been
}

// lane is a series of trackers of which one is announced to. What is tried until
// one answers is a round.
type lane struct {
	sites   []*site // in the order in which they are tried
	current *site   // that answered last, nil if the last round failed
	round   int
	running bool       // a round is under way
	open    int        // its sites that have not answered yet
	hedge   actor.Time // when the next one is tried as well
	asked   bool       // somebody wants it at the earliest moment
	begun   actor.Time // not before: spread at start
}

// addTier adds URLs as a tier, shuffled. BEP 12: "for each tier, the URLs will be
// processed in a random order". Known and surplus ones are left out. own puts it
// into a lane of its own.
func (l *tierList) addTier(urls []string, origin Origin, own bool, cfg *AnnouncerConfig, rng *rand.Rand) {
	var fresh []*site
	for _, u := range urls {
		u = strings.TrimSpace(u)
		if u != "" && len(l.sites)+len(fresh) < MaxTrackers && l.find(u) == nil && !known(fresh, u) {
			fresh = append(fresh, newSite(u, l.tiers, origin, cfg))
		}
	}
	if len(fresh) == 0 {
		return
	}
	l.tiers++
	rng.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	l.sites = append(l.sites, fresh...)
	for _, s := range fresh {
		l.assign(s, own, cfg.Policy)
	}
}

func known(sites []*site, url string) bool {
	return slices.ContainsFunc(sites, func(s *site) bool { return s.url == url })
}

func (l *tierList) find(url string) *site {
	if i := slices.IndexFunc(l.sites, func(s *site) bool { return s.url == url }); i >= 0 {
		return l.sites[i]
	}
	return nil
}

// assign puts a new site into the lane that the policy wants for it.
func (l *tierList) assign(s *site, own bool, p Policy) {
	var to *lane
	if n := len(l.lanes); n > 0 && p != EveryTracker {
		last := l.lanes[n-1]
		if last.sites[0].tier == s.tier || p == FirstWorking && !own {
			to = last
		}
	}
	if to == nil {
		to = &lane{}
		l.lanes = append(l.lanes, to)
	}
	to.sites = append(to.sites, s)
	s.lane = to
}

// merge puts all sites into one lane, which goes on with the first tracker that has
// answered. If none has, attempts under way are its round; none is made beside them.
func (l *tierList) merge(now actor.Time) *lane {
	one := &lane{begun: now, hedge: actor.Never}
	for _, old := range l.lanes {
		one.sites = append(one.sites, old.sites...)
		one.round = max(one.round, old.round+1)
		one.open += old.open
		one.asked = one.asked || old.asked
		if one.current == nil {
			one.current = old.current
		}
	}
	one.running = one.open > 0 && (one.current == nil || one.current.asking)
	for _, s := range one.sites {
		s.lane = one
		if s.asking {
			s.round = one.round
		}
	}
	if len(one.sites) > 0 {
		l.lanes = []*lane{one}
	}
	return one
}

// remove forgets a site. Its requests under way are on their own.
func (l *tierList) remove(s *site) {
	s.gone, s.waiting = true, 0
	gone := func(x *site) bool { return x == s }
	l.sites = slices.DeleteFunc(l.sites, gone)
	s.lane.sites = slices.DeleteFunc(s.lane.sites, gone)
	s.lane.settle(s)
	if s.lane.current == s {
		s.lane.current = nil
	}
	l.lanes = slices.DeleteFunc(l.lanes, func(x *lane) bool { return len(x.sites) == 0 })
}

// candidate returns the tracker to try next in this round, nil if there is none.
// BEP 12: "the client will try the URLs in order", tier after tier.
func (l *lane) candidate(now actor.Time, completed bool, cfg *AnnouncerConfig) *site {
	for _, s := range l.sites {
		if s.round != l.round && s.notBefore(completed, cfg) <= now {
			return s
		}
	}
	return nil
}

// begin begins a round. What the last one has left open no longer counts.
func (l *lane) begin() {
	l.running, l.asked, l.open = true, false, 0
	l.round++
	for _, s := range l.sites {
		s.asking = false
	}
}

// settle notes that a site's attempt no longer keeps the round open.
func (l *lane) settle(s *site) {
	if s.asking {
		s.asking = false
		l.open--
	}
}

// won ends the round: a site has answered.
func (l *lane) won(s *site) {
	l.settle(s)
	l.promote(s)
	if l.running {
		l.running, l.current = false, s
	}
}

// promote moves a site to the head of its tier. BEP 12: "if a connection with a
// tracker is successful, it will be moved to the front of the tier".
func (l *lane) promote(s *site) {
	i := slices.Index(l.sites, s)
	for ; i > 0 && l.sites[i-1].tier == s.tier; i-- {
		l.sites[i] = l.sites[i-1]
	}
	l.sites[i] = s
}

// due is when the next round may begin.
func (l *lane) due(f Facts, completed bool, cfg *AnnouncerConfig) actor.Time {
	s := l.current
	switch {
	case l.running:
		return actor.Never
	case s == nil || !s.usable():
		at := actor.Never
		for _, s := range l.sites {
			at = min(at, s.notBefore(completed, cfg))
		}
		return max(at, l.begun)
	case l.asked || s.owes(completed), f.Wanted > 0 && f.Left != 0:
		return s.notBefore(completed, cfg) // seeds are found by those who need them
	}
	return s.okAt.Add(s.interval(cfg))
}
