package engine

import (
	"errors"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/wire"
)

// peerClock is when what happened, and the one timer that a peer has. Owner: the peer.
type peerClock struct {
	since actor.Time // connected
	heard actor.Time // last bytes of the remote
	sent  actor.Time // last batch of ours

	timer   actor.Timer
	timerAt actor.Time // Never: not set
}

// onTick is called at the earliest deadline, or before it when that has moved on.
func (p *peer) onTick(c *actor.Ctx[peerMsg]) {
	p.clock.timerAt = actor.Never
	now := c.Now()
	switch p.phase {
	case peerShaking:
		if p.clock.since.Add(handshakeTime) <= now {
			p.fail(c, p.ended(faultTimeout, nil, "no handshake within %v", handshakeTime))
		}
	case peerLive:
		if p.silentAt() <= now {
			p.fail(c, p.ended(faultTimeout, nil, "silent for %v", silentTime))
			return
		}
		if p.clock.sent.Add(keepAlive) <= now {
			p.send(wire.Message{ID: wire.KeepAlive})
		}
		p.checkLeases(now)
		p.down.shrink()
		p.up.queue.shrink()
	}
}

// silentAt is when the remote has been silent for too long. One that we keep from
// sending is not.
func (p *peer) silentAt() actor.Time {
	if p.starved() {
		return actor.Never
	}
	return p.clock.heard.Add(silentTime)
}

// deadline is the earliest moment at which something must happen by itself.
func (p *peer) deadline(now actor.Time) actor.Time {
	switch p.phase {
	case peerShaking:
		return p.clock.since.Add(handshakeTime)
	case peerLive:
		s := p.state(now)
		at := min(p.silentAt(), p.clock.sent.Add(keepAlive), p.leaseDeadline(now), p.reportDeadline(&s))
		if p.down.pause > now {
			at = min(at, p.down.pause)
		}
		return at
	}
	return actor.Never
}

// arm sets the timer if it would come too late. One that comes too early is left: it
// costs one more turn, which is less than setting it anew for each block.
func (p *peer) arm(c *actor.Ctx[peerMsg]) {
	at := p.deadline(c.Now())
	if at >= p.clock.timerAt {
		return
	}
	if p.clock.timerAt != actor.Never {
		c.Cancel(p.clock.timer)
	}
	p.clock.timerAt = at
	p.clock.timer = c.After(at.Sub(c.Now()), peerTick{})
}

// Check implements actor.Checker: at quiescence everything asked has been answered.
func (p *peer) Check() error {
	switch {
	case p.up.reads.Used != 0:
		return errors.New("a read was not answered")
	case p.flow.down.window.Used != 0 || p.flow.up.window.Used != 0:
		return errors.New("the governor owes bytes")
	case p.out.batch != nil || p.out.report != nil:
		return errors.New("something was left unsent")
	case p.phase == peerDialing:
		return errors.New("the dial was not answered")
	case p.phase == peerLive && p.up.queue.n > 0 && len(p.up.jobs) == 0 && p.up.held == 0:
		return errors.New("requests wait for nothing")
	}
	return nil
}
