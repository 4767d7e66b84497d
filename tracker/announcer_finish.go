package tracker

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// farewell is how far the good-bye of one end has come.
type farewell uint8

const (
	unsaid  farewell = iota
	saying           // "stopped" is on its way
	settled          // heard, failed, or there was nothing to say
)

// ending is the state of a Finish.
type ending struct {
	limit time.Duration
	timer actor.Timer
	due   bool // the time is up
}

// finishLimit is for a Finish that names no limit.
const finishLimit = 5 * time.Second

// deadline ends the Finish of a session.
type deadline struct{ session int }

func (deadline) announcerMsg() {}

// onFinish begins to say good-bye, to all at once. Requests under way are waited
// for, each on its own: an announce that arrives after "stopped" would make us a
// peer again.
func (a *announcer) onFinish(c *actor.Ctx[Message], m Finish) {
	a.facts = m.Facts
	if a.phase == stopped {
		a.cfg.Reply.Tell(Finished{})
		return
	}
	if a.phase == finishing {
		return // the first one's answer is the answer
	}
	a.phase = finishing
	a.ending = ending{limit: m.Limit}
	if m.Limit <= 0 {
		a.ending.limit = finishLimit
	}
	a.withdraw()
	a.ending.timer = c.After(a.ending.limit, deadline{a.session})
	for _, s := range a.tiers.sites {
		for i := range s.ends {
			a.bid(s, i)
		}
	}
}

// withdraw takes back announces that have not been sent yet.
func (a *announcer) withdraw() {
	kept := a.outbox[:0]
	for _, o := range a.outbox {
		switch {
		case o.event == Stopped || o.scrape:
			kept = append(kept, o)
		default:
			o.site.ends[o.end].busy = false
			if o.event == Completed {
				o.site.completedBusy = false
			}
		}
	}
	clear(a.outbox[len(kept):])
	a.outbox = kept
}

// bid takes the next step of one end's good-bye: first what it is still owed, then
// "stopped", once, whether or not it is heard. "stopped" is only for those that
// have heard "started".
func (a *announcer) bid(s *site, i int) {
	e := &s.ends[i]
	if e.busy || e.farewell == settled {
		return
	}
	switch {
	case !e.started || e.farewell == saying:
		e.farewell = settled
		return
	case s.next(e, a.completed) == Completed && !s.completedLast:
		s.completedBusy, s.completedLast = true, true
		a.post(flight{site: s, end: i, event: Completed}, a.ending.limit)
	default:
		e.farewell = saying
		a.post(flight{site: s, end: i, event: Stopped}, a.ending.limit)
	}
	e.busy = true
}

func (a *announcer) onDeadline(m deadline) {
	if a.phase == finishing && m.session == a.session {
		a.ending.due = true
	}
}

// endIfDone ends the session when every end is settled or the time is up.
func (a *announcer) endIfDone() {
	if a.phase != finishing {
		return
	}
	if !a.ending.due {
		for _, s := range a.tiers.sites {
			for i := range s.ends {
				if s.ends[i].farewell != settled {
					return
				}
			}
		}
	}
	a.end()
}

// end closes the session. Late answers no longer matter.
func (a *announcer) end() {
	a.phase = stopped
	for _, o := range a.outbox {
		if o.scrape {
			o.site.scraping = false
		}
	}
	a.outbox = nil
	for _, s := range a.tiers.sites {
		s.state = Idle
		if s.broken != "" {
			s.state = Failing
		}
	}
	a.cfg.Reply.Tell(Finished{})
}
