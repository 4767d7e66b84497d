package sim

import (
	"net/netip"

	"github.com/shoal-bt/shoal/internal/netpath"
)

// linkStream sets the draws of packet links apart from all others.
const linkStream = 1 << 62

// PacketLink makes one direction of a link on which single packets wait, are dropped,
// lost, repeated or overtaken, with chances of its own under the network's seed. Hosts
// use it after [Network.Join] or [Host.Attach], flows of [NewReno] directly; whoever
// shares a link shares its queue.
func (n *Network) PacketLink(cfg netpath.Config) *netpath.Link {
	n.packetLinks++
	return netpath.New(cfg, n.seed+linkStream+n.packetLinks)
}

// Join has all datagrams from one host to another pass l, between the sender's uplink
// and the network's latency; nil ends that. A pair of hosts has one for each direction.
func (n *Network) Join(from, to *Host, l *netpath.Link) {
	if n.joints == nil {
		n.joints = map[[2]*Host]*netpath.Link{}
	}
	if l == nil {
		delete(n.joints, [2]*Host{from, to})
	} else {
		n.joints[[2]*Host{from, to}] = l
	}
}

// Attach has all datagrams of the host pass up when they leave and down when they come.
// For them these links replace [HostConfig.Up] and Down, which go on to bound
// connections; nil leaves them as they are.
func (h *Host) Attach(up, down *netpath.Link) { h.links = [2]*netpath.Link{up, down} }

// legs are the links of a way: the sender's uplink, that of the pair, the receiver's
// downlink; nil where there is none.
type legs [3]*netpath.Link

func (n *Network) legs(from, to *Host) legs {
	l := legs{from.links[0]}
	if to != nil {
		l[1], l[2] = n.joints[[2]*Host{from, to}], to.links[1]
	}
	return l
}

// firstLink is the link whose refusals a sender hears of.
func firstLink(l legs) *netpath.Link {
	if l[0] != nil {
		return l[0]
	}
	return l[1]
}

func headersOf(at netip.AddrPort) int {
	if at.Addr().Is4() {
		return netpath.HeadersV4
	}
	return netpath.HeadersV6
}

// cross takes the datagram over a link to its next stage.
func (f *flight) cross(l *netpath.Link) {
	w := f.net.w
	fate := l.Carry(w.now, len(f.p.Data)+headersOf(f.at))
	if fate.Copies == 0 {
		f.land(false)
		return
	}
	w.again(&f.e, fate.At[0])
	if fate.Copies > 1 {
		w.again(&f.twin().e, fate.At[1])
	}
}
