package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// finding is the session's side of the finders. Owner: the session.
type finding struct {
	child actor.Child[findersMsg]
	at    sources
	fails int
}

// findersGone: the finders have ended. Reserved by Spawn.
type findersGone struct{ exit actor.Exit }

// startFinders: it is time to make the finders anew.
type startFinders struct{}

// askDHT asks for the door of the finders, who know the DHT's. From: outsiders.
type askDHT struct {
	reply actor.Ref[actor.Inlet[findersMsg]]
}

func (findersGone) sessionMsg()  {}
func (startFinders) sessionMsg() {}
func (askDHT) sessionMsg()       {}
func (sources) sessionMsg()      {}

// hasFinders says whether there is anything that could find peers besides trackers.
func (s *session) hasFinders() bool {
	return !s.cfg.NoDHT && s.deps.Datagrams != nil || !s.noLSD() && s.deps.Multicast != nil
}

// noLSD: who can be reached from this machine only has nothing to tell its neighbours.
func (s *session) noLSD() bool {
	return s.cfg.NoLSD || !s.cfg.Bind.IsValid() && s.cfg.Listen.Addr().IsLoopback() && !s.cfg.NoListen
}

// startFinders begins the search for peers besides trackers, when the port is known.
func (s *session) startFinders(c *actor.Ctx[sessionMsg]) {
	if !s.hasFinders() || s.closing || !s.find.child.Ref.IsZero() {
		return
	}
	listen := s.cfg.Listen.Addr()
	f := newFinders(findersConfig{
		deps: s.deps, listen: bindOr(s.cfg.Bind, listen), noDHT: s.cfg.NoDHT, noLSD: s.noLSD(),
		bootstrap: bootstrapOr(s.cfg.DHTBootstrap, bindOr(s.cfg.Bind, listen)),
		tell:      actor.Adapt(c.Self(), func(x sources) sessionMsg { return x }),
	})
	s.find.child = actor.Spawn(c, actor.Spec{Name: "finders", Limit: findersLimit}, f,
		func(e actor.Exit) sessionMsg { return findersGone{e} })
	s.find.child.Ref.Tell(listensAt{s.port()})
}

// onSources tells all torrents.
func (s *session) onSources(m sources) {
	s.find.at = m
	for _, mem := range s.order {
		mem.child.Ref.Notify(m)
	}
}

// onFindersGone makes them anew after a while: they end by a bug only.
func (s *session) onFindersGone(c *actor.Ctx[sessionMsg]) {
	s.find.child = actor.Child[findersMsg]{}
	s.onSources(sources{dhtOff: s.cfg.NoDHT, lsdOff: s.noLSD()})
	c.After(min(time.Second<<min(s.find.fails, 10), restartMax), startFinders{})
	s.find.fails++
}

// onVoted takes what a peer says our address is, which the DHT's ids depend on, too.
func (s *session) onVoted(m voted) {
	s.votes.add(m)
	s.find.child.Ref.Offer(externalVote{addr: m.ip, by: m.by})
}
