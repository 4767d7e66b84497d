package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// flowQuantumMin and flowQuantumMax bound what the governor is asked for at a
	// time, in bytes: an eighth of a second's worth in between.
	flowQuantumMin = 16 << 10
	flowQuantumMax = 256 << 10
	// flowFloor bytes besides the bitfield may come without a grant: limits are for
	// payload, and messages must come through. Control messages are given back to
	// the link as they come; payload uses the floor up once.
	flowFloor = 16 << 10

	// excuseFrom is the least wait for a grant that requests are excused for.
	excuseFrom = actor.Time(time.Second)
)

// peerFlow is the bytes that may pass. Owner: the peer; the governor owns the
// limits.
type peerFlow struct {
	lim      limited
	standing bool // the link has a standing grant
	down, up flowGate
	reply    actor.Ref[bytesGranted]
}

// flowGate is one direction under a limit.
type flowGate struct {
	credit int64 // bytes of payload that may still pass; below 0: the floor was used
	window actor.Window
	asked  actor.Time // when the window was taken
}

// openFlow lets the link read, when it is new or when the limit has changed.
func (p *peer) openFlow() {
	f := &p.flow
	if !f.lim.down {
		f.standing = true
		p.link.Allow(transport.Unlimited)
		return
	}
	if f.standing {
		f.standing = false
		p.link.Allow(0)
	}
	f.down.credit = 0
	p.link.Allow(flowFloor + wire.HandshakeLen + int64(bits.WireLen(p.cfg.lengths.Pieces())))
}

// onRates switches limits on and off while the connection lives.
func (p *peer) onRates(lim limited) {
	changed := lim.down != p.flow.lim.down
	p.flow.lim = lim
	if !lim.up {
		p.flow.up.credit = 0
	}
	if changed && p.link != nil && (p.phase == peerShaking || p.phase == peerLive) {
		p.openFlow()
	}
}

// received counts what has come, and gives messages that are no payload back.
func (p *peer) received(b *transport.Batch) {
	if !p.flow.lim.down {
		return
	}
	p.flow.down.credit -= b.Payload
	if control := b.Wire - b.Payload; control > 0 {
		p.link.Allow(control)
	}
}

// maySpend takes n bytes of payload from the upload's credit, if they are there.
func (p *peer) maySpend(n int64) bool {
	if !p.flow.lim.up {
		return true
	}
	if p.flow.up.credit < n {
		return false
	}
	p.flow.up.credit -= n
	return true
}

// askGovernor asks for bytes before they run dry, if there is use for them.
func (p *peer) askGovernor(c *actor.Ctx[peerMsg]) {
	if p.phase != peerLive {
		return
	}
	now, f := c.Now(), &p.flow
	if f.lim.down && p.down.out.n > 0 {
		use := int64(p.down.out.n) * metainfo.BlockSize
		p.askBytes(c, down, &f.down, use, flowQuantum(p.down.rate.rate(now)))
	}
	if use := p.up.waiting(); f.lim.up && use > 0 {
		p.askBytes(c, up, &f.up, use, max(flowQuantum(p.up.rate.rate(now)), p.up.headLength()))
	}
}

// flowQuantum is how much to ask for at a time at this rate.
func flowQuantum(rate int64) int64 { return min(max(rate/8, flowQuantumMin), flowQuantumMax) }

// askBytes asks for a quantum, or what use needs if that is less, when less than that
// is left.
func (p *peer) askBytes(c *actor.Ctx[peerMsg], dir direction, g *flowGate, use, quantum int64) {
	if g.window.Open() == 0 || g.credit >= min(use, quantum) {
		return
	}
	if p.flow.reply.IsZero() {
		p.flow.reply = actor.Adapt(c.Self(), func(g bytesGranted) peerMsg { return g })
	}
	g.window.Take(1)
	g.asked = c.Now()
	p.cfg.governor.Tell(wantBytes{
		torrent: p.cfg.torrentActor, peer: c.ID(), dir: dir,
		n: min(max(use-g.credit, flowQuantumMin), quantum), reply: p.flow.reply,
	})
}

// onGranted takes bytes. After a limit has been lifted they are of no use.
func (p *peer) onGranted(now actor.Time, m bytesGranted) {
	switch m.dir {
	case down:
		if p.starved() {
			p.excuse(now)
		}
		p.flow.down.window.Give(1)
		if p.flow.lim.down && !p.flow.standing {
			p.flow.down.credit += m.n
			p.link.Allow(m.n)
		}
	case up:
		p.flow.up.window.Give(1)
		if p.flow.lim.up {
			p.flow.up.credit += m.n
		}
	}
}

// starved says whether it is our own limit that keeps blocks from coming.
func (p *peer) starved() bool {
	f := &p.flow
	return f.lim.down && f.down.window.Used > 0 && f.down.credit < metainfo.BlockSize
}

// excuse lets time not count against the remote in which we kept it from sending.
func (p *peer) excuse(now actor.Time) {
	p.down.moved, p.clock.heard = now, now
	if waited := now - p.flow.down.asked; waited >= excuseFrom {
		for i := range p.down.out.n {
			r := p.down.out.at(i)
			r.at = min(r.at+waited, now)
		}
	}
}
