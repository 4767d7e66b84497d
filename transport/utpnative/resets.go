package utpnative

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport/utp"
)

const (
	// resetRate is how many RESETs go out in a second at most, and resetPerHost how
	// many of these to one host: they help remotes that we have forgotten, and anybody
	// may forge an address to have them sent there.
	resetRate    = 200
	resetPerHost = 10
)

// resets counts the RESETs of the second that runs. Owner: the mux.
type resets struct {
	until actor.Time
	n     int
	hosts map[netip.Addr]int // at most resetRate
}

// allow takes one of a host's RESETs.
func (r *resets) allow(host netip.Addr, now actor.Time) bool {
	if now >= r.until {
		r.until, r.n = now.Add(time.Second), 0
		clear(r.hosts)
	}
	if r.n >= resetRate || r.hosts[host] >= resetPerHost {
		return false
	}
	if r.hosts == nil {
		r.hosts = map[netip.Addr]int{}
	}
	r.n++
	r.hosts[host]++
	return true
}

// stranger answers a packet that belongs to no connection. The answer is never longer
// than the packet, and nothing answers a RESET.
func (x *mux) stranger(from netip.AddrPort, p *utp.Packet) {
	s := x.socks.of(from.Addr().Is6())
	if s == nil || from.Port() == 0 || p.Type == utp.Reset {
		return
	}
	if p.Type == utp.Syn && x.socks.listening() && !x.closed {
		x.accept(from, p, s)
		return
	}
	if s.full || !x.resets.allow(hostOf(from.Addr()), x.c.Now()) {
		return
	}
	var b [utp.HeaderSize]byte
	n := utp.PutReset(b[:], p, uint16(x.c.Rand().Uint32()), x.c.Now())
	_ = s.d.Send(from, b[:n]) // as any datagram it may be lost
}
