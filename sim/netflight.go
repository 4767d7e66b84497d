package sim

import (
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
)

// flight is a datagram on its way: over the links before the latency, through that, to
// the receiver's downlink, to the receiver. Flights are used again and again.
type flight struct {
	e        event // stands in the World's heap until the next stage
	net      *Network
	from, to *Host
	at       netip.AddrPort
	p        *transport.Packet
	legs     legs
	stage    uint8 // how many of the stages below it has behind it
	next     *flight
}

// The stages in their order.
const (
	overUplink uint8 = iota
	overPair
	overLatency
	overDownlink
	toReceiver
)

func (n *Network) newFlight() *flight {
	f := n.air
	if f == nil {
		f = &flight{net: n}
		f.e.f = f.arrive
		return f
	}
	n.air, f.next = f.next, nil
	return f
}

// twin is a copy that goes its own way from here.
func (f *flight) twin() *flight {
	g := f.net.newFlight()
	g.from, g.to, g.at, g.legs, g.stage = f.from, f.to, f.at, f.legs, f.stage
	g.p = transport.NewPacket(f.p.From, f.p.Data)
	return g
}

// depart sends a new flight on its way; left is when it will have left the sender's
// uplink, if no link stands for that.
func (f *flight) depart(left clock.Time) {
	if f.legs[0] == nil && f.legs[1] == nil {
		f.stage = overLatency
		f.fly(left)
		return
	}
	if left > f.net.w.now {
		f.stage = overPair
		f.net.w.again(&f.e, left)
		return
	}
	f.arrive()
}

// arrive brings the datagram to its next stage.
func (f *flight) arrive() {
	stage := f.stage
	f.stage++
	switch stage {
	case overUplink, overPair:
		if l := f.legs[stage]; l != nil {
			f.cross(l)
		} else {
			f.arrive()
		}
	case overLatency:
		f.fly(f.net.w.now)
	case overDownlink:
		f.enter()
	case toReceiver:
		f.reach()
	}
}

// fly decides what the network does to the datagram, and when it arrives at the
// receiver's side.
func (f *flight) fly(left clock.Time) {
	f.stage = overDownlink
	n, h := f.net, f.from
	if h.chance(n.cfg.Loss) || h.chance(h.cfg.Loss) || h.chance(f.to.cfg.Loss) {
		f.land(false)
		return
	}
	latency := n.Latency(h, f.to)
	twice := h.chance(n.cfg.Duplicate)
	n.w.again(&f.e, left.Add(n.flightTime(h, latency)))
	if twice {
		n.w.again(&f.twin().e, left.Add(n.flightTime(h, latency)))
	}
}

// flightTime draws how long a datagram of h's takes.
func (n *Network) flightTime(h *Host, latency clock.Duration) clock.Duration {
	d := latency + h.drawBelow(n.cfg.Jitter)
	if h.chance(n.cfg.Reorder) {
		d += 1 + h.drawBelow(2*latency+overtaken)
	}
	return d
}

// enter brings the datagram to the receiver's downlink, unless a NAT stands there.
func (f *flight) enter() {
	s := f.to.socket(f.at.Addr(), f.at.Port())
	switch {
	case f.to.offline || s == nil || !s.admits(f.p.From):
		f.land(false)
	case f.legs[2] != nil:
		f.cross(f.legs[2])
	case f.to.cfg.Down > 0:
		end, ok := queued(&f.to.downFree, f.net.w.now, len(f.p.Data), f.to.cfg.Down)
		if ok {
			f.net.w.again(&f.e, end)
		} else {
			f.land(false)
		}
	default:
		f.arrive()
	}
}

// reach hands the datagram to whoever wants it.
func (f *flight) reach() {
	w := f.net.w
	s := f.to.socket(f.at.Addr(), f.at.Port())
	if f.to.offline || s == nil {
		f.land(false)
		return
	}
	w.Mark(packetMark|uint64(f.to.index)<<16|uint64(f.at.Port()), xxhash.Sum64(f.p.Data))
	p := f.p
	f.p = nil
	f.land(true)
	s.deliver(p)
}

// land ends the flight.
func (f *flight) land(safe bool) {
	if safe {
		f.net.total.Delivered++
	} else {
		f.net.total.Lost++
		f.p.Release()
	}
	f.from, f.to, f.p, f.legs, f.stage = nil, nil, nil, legs{}, 0
	f.next, f.net.air = f.net.air, f
}
