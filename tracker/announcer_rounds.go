package tracker

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// advance begins the lane's round if it is due, and tries the next tracker if the
// last one has failed or lets us wait.
func (a *announcer) advance(c *actor.Ctx[Message], l *lane) {
	now := c.Now()
	if !l.running {
		if l.due(a.facts, a.completed, &a.cfg) > now {
			return
		}
		l.begin()
		if s := l.current; s != nil && s.owes(a.completed) {
			a.try(c, l, s)
			return
		}
	}
	for l.open == 0 || now >= l.hedge {
		s := l.candidate(now, a.completed, &a.cfg)
		if s == nil {
			l.hedge = actor.Never
			break
		}
		a.try(c, l, s)
	}
	if l.open == 0 {
		l.running, l.current = false, nil
	}
}

// try asks one tracker, by each family that it may have.
func (a *announcer) try(c *actor.Ctx[Message], l *lane, s *site) {
	now := c.Now()
	s.round, s.won, s.lastErr = l.round, false, nil
	for i := range s.ends {
		e := &s.ends[i]
		if e.busy || e.absent > now {
			continue
		}
		e.busy = true
		ev := s.next(e, a.completed)
		s.completedBusy = s.completedBusy || ev == Completed
		s.waiting++
		a.post(flight{site: s, end: i, event: ev}, 0)
	}
	s.state, s.asking = Asking, true
	l.open++
	l.hedge = now.Add(a.cfg.Impatience)
	if a.cfg.Private {
		l.hedge = actor.Never // BEP 27: one tracker at a time
	}
}

// post puts a request into the outbox.
func (a *announcer) post(f flight, timeout time.Duration) {
	f.session = a.session
	a.outbox = append(a.outbox, outgoing{f, timeout})
}

// reserved places of the window are kept for good-byes: trackers that hang must not
// keep others from hearing "stopped".
const reserved = Requests / 4

// send gives the outbox to the client as far as the window is open.
func (a *announcer) send() {
	open := a.window.Open()
	if a.phase == running {
		open = max(open-reserved, 0)
	}
	n := min(len(a.outbox), open)
	for _, o := range a.outbox[:n] {
		a.window.Take(1)
		a.cookie++
		a.flights[a.cookie] = o.flight
		a.cfg.Client.Do(a.request(o))
	}
	a.outbox = slices.Delete(a.outbox, 0, n)
}

func (a *announcer) request(o outgoing) Request {
	e := &o.site.ends[o.end]
	return Request{
		URL: o.site.url, Scrape: o.scrape, Family: e.family, Origin: o.site.origin,
		InfoHash: a.cfg.InfoHash, PeerID: a.cfg.PeerID, Facts: a.facts, Event: o.event,
		Port: a.cfg.Port, Key: a.cfg.Key, TrackerID: e.trackerID,
		Address4: a.cfg.Address4, Address6: a.cfg.Address6,
		Timeout: o.timeout, Reply: a.replies, Cookie: a.cookie,
	}
}

// onAnswered ends a flight.
func (a *announcer) onAnswered(c *actor.Ctx[Message], r Response) {
	f, ok := a.flights[r.Cookie]
	if !ok {
		panic("tracker: an answer that nobody has asked for")
	}
	delete(a.flights, r.Cookie)
	a.window.Give(1)
	switch {
	case f.scrape:
		a.scraped(f.site, r)
	case f.session == a.session && a.phase != stopped:
		a.announced(c, f, r)
	}
}

// announced takes the answer to an announce.
func (a *announcer) announced(c *actor.Ctx[Message], f flight, r Response) {
	s, e := f.site, &f.site.ends[f.end]
	e.busy = false
	if f.event == Completed {
		s.completedBusy = false
	}
	if r.Err == nil {
		a.heard(f, r)
	}
	switch {
	case f.event == Stopped:
		e.started = false
	case s.gone:
		a.leave(s, f.end)
	case r.Err == nil:
		a.succeeded(c, s, r)
	default:
		a.failed(c, s, e, r)
	}
	if a.phase == finishing {
		a.bid(s, f.end)
	}
}

// heard notes what the tracker now knows, and what it has given us to keep.
func (a *announcer) heard(f flight, r Response) {
	e := &f.site.ends[f.end]
	e.started = f.event != Stopped
	if f.event == Completed {
		f.site.completedTold = true
	}
	if r.TrackerID != "" {
		// BEP 3 lets a later answer leave it out: "the previous one is kept".
		e.trackerID = r.TrackerID
	}
}

// succeeded closes a round at its first success, and passes the peers on.
func (a *announcer) succeeded(c *actor.Ctx[Message], s *site, r Response) {
	if s.waiting > 0 {
		s.waiting--
	}
	first := !s.won
	s.succeed(c.Now(), &r)
	if first {
		s.lane.won(s)
	}
	if a.phase == running {
		a.found(s, r)
		a.scrapeIfSilent(c.Now(), s)
	}
}

// failed notes the failure of one end; the attempt has failed with its last end.
func (a *announcer) failed(c *actor.Ctx[Message], s *site, e *end, r Response) {
	if errors.Is(r.Err, ErrNoAddress) {
		e.absent = c.Now().Add(absence)
		if s.lastErr == nil {
			s.lastErr = r.Err
		}
	} else if s.lastErr == nil || errors.Is(s.lastErr, ErrNoAddress) {
		s.lastErr = r.Err
	}
	if s.waiting == 0 {
		return
	}
	s.waiting--
	if s.waiting > 0 || s.won {
		return
	}
	s.fail(c.Now(), r.RetryIn, &a.cfg, a.facts.Connected == 0, c.Rand())
	s.warning = r.Warning
	s.lane.settle(s)
}

// found passes peers on, without ourselves.
func (a *announcer) found(s *site, r Response) {
	self := []netip.AddrPort{
		netip.AddrPortFrom(a.cfg.Address4, a.cfg.Port),
		netip.AddrPortFrom(a.cfg.Address6, a.cfg.Port),
		netip.AddrPortFrom(r.ExternalIP, a.cfg.Port),
	}
	peers := slices.DeleteFunc(r.Peers, func(p netip.AddrPort) bool { return slices.Contains(self, p) })
	if len(peers) == 0 && !r.ExternalIP.IsValid() {
		return
	}
	a.cfg.Reply.Tell(Found{Peers: peers, Local: ipclass.IsLocal(r.Addr), URL: s.url, ExternalIP: r.ExternalIP})
}
