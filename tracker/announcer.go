package tracker

import (
	"fmt"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// NewAnnouncer makes the actor that owns one torrent's trackers: their order, what
// each has been told and when each is asked next. Make it with actor.Spawn and
// Spec. It begins to announce with Start and can be started again after Finish.
func NewAnnouncer(cfg AnnouncerConfig) actor.Actor[Message] {
	return &announcer{cfg: cfg.withDefaults(), flights: map[uint64]flight{}}
}

// announcer owns one torrent's trackers, see NewAnnouncer.
type announcer struct {
	cfg   AnnouncerConfig
	tiers tierList
	facts Facts

	// The session: from Start to Finished.
	phase       phase
	session     int
	wasComplete bool // the torrent was complete at Start: there is no "completed"
	completed   bool // the download was completed in this run
	ending      ending

	// Requests.
	replies actor.Ref[Response]
	flights map[uint64]flight // by cookie
	cookie  uint64
	window  actor.Window
	outbox  []outgoing // wait for the window, in order

	timer   actor.Timer
	timerAt actor.Time // Never: none is set
}

type phase uint8

const (
	stopped phase = iota
	running
	finishing
)

// flight is a request at the client.
type flight struct {
	site    *site
	end     int
	event   Event
	scrape  bool
	session int
}

// outgoing is a flight that waits for its place.
type outgoing struct {
	flight
	timeout time.Duration
}

// Own messages.
type (
	answered struct{ Response } // from the client; ends a flight
	wake     struct{}           // the announcer's timer
)

func (answered) announcerMsg() {}
func (wake) announcerMsg()     {}

// Start implements actor.Starter.
func (a *announcer) Start(c *actor.Ctx[Message]) {
	a.window.Max = Requests
	a.timerAt = actor.Never
	a.replies = actor.Adapt(c.Self(), func(r Response) Message { return answered{r} })
	for a.cfg.Key == 0 {
		a.cfg.Key = c.Rand().Uint32()
	}
	for _, urls := range a.cfg.Tiers {
		a.tiers.addTier(urls, a.cfg.Origin, false, &a.cfg, c.Rand())
	}
}

// Handle implements actor.Actor. Handlers change state, Flush sends.
func (a *announcer) Handle(c *actor.Ctx[Message], m Message) {
	switch m := m.(type) {
	case Start:
		a.onStart(c, m)
	case Update:
		a.facts = m.Facts
	case Complete:
		a.onComplete(m)
	case Now:
		a.onNow(c, m)
	case Add:
		a.tiers.addTier(m.URLs, m.Origin, !a.cfg.Private, &a.cfg, c.Rand())
	case Remove:
		a.onRemove(m)
	case Private:
		a.onPrivate(c)
	case Moved:
		a.onMoved(m)
	case Scrape:
		a.onScrape(c)
	case answered:
		a.onAnswered(c, m.Response)
	case Finish:
		a.onFinish(c, m)
	case deadline:
		a.onDeadline(m)
	case wake:
		a.timerAt = actor.Never
	default:
		panic(fmt.Sprintf("tracker: unknown message %T", m))
	}
}

// Flush sends what is due, tells what has changed and sets the timer.
func (a *announcer) Flush(c *actor.Ctx[Message]) {
	if a.phase == running {
		for _, l := range a.tiers.lanes {
			a.advance(c, l)
		}
	}
	a.send()
	a.tell(c.Now())
	a.rearm(c)
	a.endIfDone()
}

// Stop implements actor.Stopper: whoever waits for Finished hears it.
func (a *announcer) Stop(*actor.Ctx[Message], error) {
	if a.phase == finishing {
		a.end()
	}
}

// Check implements actor.Checker.
func (a *announcer) Check() error {
	if a.window.Used != len(a.flights) || len(a.flights) > 0 {
		return fmt.Errorf("tracker: %d places taken for %d requests at quiescence", a.window.Used, len(a.flights))
	}
	return nil
}

func (a *announcer) onStart(c *actor.Ctx[Message], m Start) {
	a.facts = m.Facts
	if a.phase == running {
		return
	}
	if a.phase == finishing {
		a.end()
	}
	a.phase = running
	a.session++
	a.wasComplete = m.Facts.Left == 0 && !a.completed
	for _, s := range a.tiers.sites {
		s.begin()
	}
	for _, l := range a.tiers.lanes {
		*l = lane{sites: l.sites, begun: c.Now().Add(a.jitter(c))}
	}
}

// jitter spreads the first announces of many torrents.
func (a *announcer) jitter(c *actor.Ctx[Message]) time.Duration {
	if a.cfg.StartJitter <= 0 {
		return 0
	}
	return time.Duration(c.Rand().Int64N(int64(a.cfg.StartJitter)))
}

func (a *announcer) onComplete(m Complete) {
	a.facts = m.Facts
	a.completed = a.completed || !a.wasComplete && a.phase != stopped
}

// onNow lets go of all back-off: a person has asked. Min intervals stay.
func (a *announcer) onNow(c *actor.Ctx[Message], m Now) {
	a.facts = m.Facts
	for _, l := range a.tiers.lanes {
		l.asked = true
		l.begun = c.Now()
	}
	for _, s := range a.tiers.sites {
		s.never, s.retryAt = false, 0
	}
}

func (a *announcer) onMoved(m Moved) {
	a.cfg.Port, a.cfg.Address4, a.cfg.Address6 = m.Port, m.Address4, m.Address6
	for _, l := range a.tiers.lanes {
		l.asked = true
	}
}

// onRemove forgets trackers; one that knows us is told that we leave, once.
func (a *announcer) onRemove(m Remove) {
	for _, url := range m.URLs {
		s := a.tiers.find(url)
		if s == nil {
			continue
		}
		a.tiers.remove(s)
		for i := range s.ends {
			a.leave(s, i)
		}
	}
}

// onPrivate goes on with one tracker at a time: the first that has answered, if one has.
// What is under way to others may still be answered.
func (a *announcer) onPrivate(c *actor.Ctx[Message]) {
	if a.cfg.Private {
		return
	}
	a.cfg.Private, a.cfg.Policy = true, FirstWorking
	one := a.tiers.merge(c.Now())
	for _, s := range a.tiers.sites {
		for i := range s.ends {
			if s != one.current {
				a.leave(s, i)
			}
		}
	}
}

// leave says good-bye to a tracker that is not asked any more. If a request is on its
// way the answer comes first.
func (a *announcer) leave(s *site, i int) {
	if e := &s.ends[i]; e.started && !e.busy && a.phase == running {
		e.busy = true
		a.post(flight{site: s, end: i, event: Stopped}, 0)
	}
}

// tell reports what has changed since the last report of each tracker.
func (a *announcer) tell(now actor.Time) {
	for _, s := range a.tiers.sites {
		if r := s.report(a.nextOf(s, now)); r != s.sent {
			s.sent = r
			a.cfg.Reply.Tell(r)
		}
	}
}

// nextOf is when a tracker's next announce is planned.
func (a *announcer) nextOf(s *site, now actor.Time) actor.Time {
	switch {
	case a.phase != running || s.state == Asking || !s.usable():
		return actor.Never
	case s == s.lane.current:
		return max(now, s.lane.due(a.facts, a.completed, &a.cfg))
	case s.fails > 0:
		return s.retryAt
	}
	return actor.Never
}

// rearm sets the timer to the next moment at which anything is due.
func (a *announcer) rearm(c *actor.Ctx[Message]) {
	at := actor.Never
	if a.phase == running {
		for _, l := range a.tiers.lanes {
			at = min(at, l.due(a.facts, a.completed, &a.cfg))
			if l.running {
				at = min(at, l.hedge)
			}
		}
	}
	if at == a.timerAt {
		return
	}
	c.Cancel(a.timer)
	a.timer, a.timerAt = actor.Timer{}, at
	if at != actor.Never {
		a.timer = c.After(at.Sub(c.Now()), wake{})
	}
}
