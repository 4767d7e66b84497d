package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/lsd"
)

// findersLSD is the announcer of LSD (BEP 14).
type findersLSD struct {
	child actor.Child[lsd.Message]
	fails int    // ends in a row
	why   string // no socket of it is open
}

func (f *finders) startLSD(c *actor.Ctx[findersMsg]) {
	if f.cfg.noLSD || f.cfg.deps.Multicast == nil || !f.local.child.Ref.IsZero() {
		return
	}
	a := f.cfg.listen.Unmap()
	var groups []netip.AddrPort
	if !a.IsValid() || a.Is4() || a.IsUnspecified() {
		groups = append(groups, lsd.Group4)
	}
	if !a.IsValid() || a.Is6() {
		groups = append(groups, lsd.Group6)
	}
	actorOf := lsd.New(lsd.Config{Open: f.cfg.deps.Multicast, Groups: groups, Port: f.port, Local: f.cfg.deps.IsNeighbour})
	f.local.child = actor.Spawn(c, actor.Spec{Name: "lsd", Limit: lsd.Limit(findersLimit / 2)}, actorOf,
		func(e actor.Exit) findersMsg { return lsdDown{e} })
	f.arm(c, c.Now().Add(healthEvery), findersTick{kind: tickHeard})
}

func (f *finders) askLSD() {
	f.local.child.Ref.Tell(lsd.AskStats{Reply: actor.Adapt(f.self, func(s lsd.Stats) findersMsg { return lsdStats{s} })})
}

func (f *finders) onLSDStats(c *actor.Ctx[findersMsg], m lsdStats) {
	every := healthCalm
	f.local.why = ""
	if m.Sockets == 0 && len(m.Errs) > 0 {
		f.local.why, every = m.Errs[0], healthEvery
	} else {
		f.local.fails = 0
	}
	f.arm(c, c.Now().Add(every), findersTick{kind: tickHeard})
}

func (f *finders) onLSDDown(c *actor.Ctx[findersMsg], _ lsdDown) {
	f.local.child = actor.Child[lsd.Message]{}
	f.arm(c, c.Now().Add(backOff(f.local.fails)), findersTick{kind: tickLSD})
	f.local.fails++
}
