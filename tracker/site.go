package tracker

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// site is one tracker: what it has been told and what it has said. Its owner is the
// announcer.
type site struct {
	url    string
	tier   int
	origin Origin
	ends   []end
	lane   *lane

	broken  string // why this URL can never be asked, "" if it can
	never   bool   // BEP 31: it has told us not to come back
	round   int    // the lane's round that has asked it last
	waiting int    // ends whose answer this attempt is waiting for
	asking  bool   // this attempt counts in the lane's round
	gone    bool   // removed
	won     bool   // one end has succeeded in this attempt
	lastErr error  // of this attempt's ends

	fails    int
	retryAt  actor.Time // not before, because it has failed
	okAt     actor.Time // when it last answered
	answered bool       // at all
	stated   struct{ interval, minimum time.Duration }

	completedTold bool // it has heard "completed"
	completedBusy bool // "completed" is on its way
	completedLast bool // it has been tried once more at the end of the session
	scrapeAt      actor.Time
	scraping      bool

	state                     State
	err, warning              string
	seeds, leechers, finished int32
	sent                      Report // the last one
}

// end is one way to a tracker: BEP 7 counts an announce by each address family as a
// peer of its own.
type end struct {
	family    Family
	started   bool // it has heard "started" in this session
	busy      bool // a request is on its way
	trackerID string
	absent    actor.Time // until then: the tracker has no address of this family
	farewell  farewell
}

// absence is how long a family that a tracker lacks is not asked for again.
const absence = time.Hour

// scrapeEvery is how often a tracker is scraped whose announces do not count.
const scrapeEvery = 30 * time.Minute

func newSite(url string, tier int, origin Origin, cfg *AnnouncerConfig) *site {
	s := &site{url: url, tier: tier, origin: origin, seeds: -1, leechers: -1, finished: -1}
	if _, err := ParseURL(url); err != nil {
		s.broken, s.err, s.state = err.Error(), err.Error(), Failing
	}
	for _, f := range cfg.Families {
		s.ends = append(s.ends, end{family: f})
	}
	return s
}

// begin forgets the session before, and keeps what the tracker has asked of us.
func (s *site) begin() {
	s.round, s.waiting, s.asking, s.won = 0, 0, false, false
	s.completedBusy, s.completedLast, s.scraping = false, false, false
	s.fails, s.retryAt, s.answered = 0, 0, false
	for i := range s.ends {
		s.ends[i] = end{family: s.ends[i].family}
	}
}

// usable reports whether the tracker can be asked at all.
func (s *site) usable() bool { return s.broken == "" && !s.never }

// interval is the time between announces, in answer to the last one.
func (s *site) interval(cfg *AnnouncerConfig) time.Duration {
	d := s.stated.interval
	if d == 0 {
		d = cfg.Interval
	}
	return min(max(d, cfg.MinInterval, s.stated.minimum), MaxInterval)
}

// minimum is the least time between announces. Trackers that name none are asked
// for more at half their interval, but not more often than every five minutes.
func (s *site) minimum(cfg *AnnouncerConfig) time.Duration {
	d := s.stated.minimum
	if d == 0 {
		d = max(s.stated.interval/2, 5*time.Minute)
	}
	return min(max(d, cfg.MinInterval), s.interval(cfg))
}

// notBefore is when it may be announced to again: "completed" bypasses the min
// interval. Never stands also for a request that is still on its way.
func (s *site) notBefore(completed bool, cfg *AnnouncerConfig) actor.Time {
	if !s.usable() || s.waiting > 0 {
		return actor.Never
	}
	at := actor.Never
	for i := range s.ends {
		at = min(at, s.ends[i].absent)
	}
	at = max(at, s.retryAt)
	if s.answered && !s.owes(completed) {
		at = max(at, s.okAt.Add(s.minimum(cfg)))
	}
	return at
}

// owes reports whether a tracker that knows us has yet to hear "completed".
func (s *site) owes(completed bool) bool {
	return completed && !s.completedTold && s.heard()
}

// heard reports whether any end has heard "started".
func (s *site) heard() bool {
	for i := range s.ends {
		if s.ends[i].started {
			return true
		}
	}
	return false
}

// next is the event that an end has to hear now. BEP 3: "An announce using started
// is sent when a download first begins, and one using completed is sent when the
// download is complete. No completed is sent if the file was complete when
// started." "completed" goes out by one family only: it is one download.
func (s *site) next(e *end, completed bool) Event {
	switch {
	case !e.started:
		return Started
	case completed && !s.completedTold && !s.completedBusy:
		return Completed
	}
	return None
}

// succeed takes an answer.
func (s *site) succeed(now actor.Time, r *Response) {
	s.won, s.answered, s.okAt = true, true, now
	s.fails, s.retryAt = 0, 0
	s.state, s.err, s.warning = Working, "", r.Warning
	s.stated.interval, s.stated.minimum = r.Interval, r.MinInterval
	s.count(Counts{r.Seeds, r.Leechers, r.Finished})
}

// count keeps older numbers where there are no newer ones.
func (s *site) count(c Counts) {
	keep := func(old *int32, n int32) {
		if n >= 0 {
			*old = n
		}
	}
	keep(&s.seeds, c.Seeds)
	keep(&s.leechers, c.Leechers)
	keep(&s.finished, c.Finished)
}

// fail takes the failure of a whole attempt.
func (s *site) fail(now actor.Time, retryIn time.Duration, cfg *AnnouncerConfig, lonely bool, rng *rand.Rand) {
	s.fails++
	s.state = Failing
	if s.lastErr != nil {
		s.err = s.lastErr.Error()
	}
	switch {
	case retryIn < 0:
		s.never = true // BEP 31: "never"
	case retryIn > 0:
		s.retryAt = now.Add(min(max(retryIn, cfg.MinInterval), MaxInterval))
	default:
		s.retryAt = now.Add(s.backoff(cfg, lonely, rng))
	}
}

// backoff doubles with every failure and is spread by a quarter, so that many
// torrents do not come back to a revived tracker at once. A torrent without peers
// tries harder. A tracker that has refused us is alive and is not pestered.
func (s *site) backoff(cfg *AnnouncerConfig, lonely bool, rng *rand.Rand) time.Duration {
	most := cfg.MaxBackoff
	if lonely {
		most = max(most/6, cfg.MinBackoff)
	}
	if s.answered {
		most = min(most, s.interval(cfg))
	}
	d := cfg.MinBackoff
	for i := 1; i < s.fails && d < most; i++ {
		d *= 2
	}
	d = min(d, most)
	var refused *Failure
	if errors.As(s.lastErr, &refused) {
		d = max(d, cfg.MinInterval)
	}
	return d*3/4 + time.Duration(rng.Int64N(int64(d/2)+1))
}

// report is the state as others see it.
func (s *site) report(next actor.Time) Report {
	return Report{
		URL: s.url, Tier: s.tier, State: s.state, Err: s.err, Warning: s.warning,
		Seeds: s.seeds, Leechers: s.leechers, Finished: s.finished, Next: next,
	}
}
