package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
)

const (
	// udpHeaders of IPv4 and UDP pass the links with each datagram, bytes.
	udpHeaders = 28
	// maxQueued bounds the time that datagrams wait at a link: a router's buffer.
	maxQueued = 500 * time.Millisecond
	// natLife is how long a NAT lets answers through. RFC 4787 requires two minutes,
	// and many a device has half a minute.
	natLife = time.Minute
	// natEntries bounds the places that a NAT remembers for a socket.
	natEntries = 4096
	// overtaken bounds how much later a datagram comes that others overtake, beyond
	// twice the latency.
	overtaken = 10 * time.Millisecond
	million   = 1_000_000
)

// PacketTotals counts the datagrams of a network.
type PacketTotals struct {
	Sent, Delivered, Lost int64
	Bytes                 int64 // sent, without headers
}

// Packets returns what has been sent so far.
func (n *Network) Packets() PacketTotals { return n.total }

// OpenDatagrams implements [transport.Opener]. A datagram waits for its sender's
// uplink, for the latency of the two hosts with jitter, and for the receiver's
// downlink. On the links datagrams wait for datagrams only, since routers with fair
// queues let through first what is little, and take nothing from the connections'
// rates. Some are lost, come twice or late: as the seed decides, for each host by a
// stream of its own. What is sent to a host that is offline is lost.
func (h *Host) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[transport.Opened]) {
	s, err := h.openSocket(addr)
	if err != nil {
		reply.Tell(transport.Opened{Err: err})
		return
	}
	reply.Tell(transport.Opened{Socket: s})
}

func (h *Host) openSocket(addr netip.AddrPort) (*socket, error) {
	ip := addr.Addr().Unmap()
	own := h.cfg.Addr
	if ip.IsValid() && ip.Is4() != own.Is4() {
		own = h.cfg.Addr6
	}
	port := addr.Port()
	switch {
	case !own.IsValid() || ip.IsValid() && !ip.IsUnspecified() && ip != own:
		return nil, fmt.Errorf("listen udp %v: no such address", addr)
	case port != 0 && h.socket(own, port) != nil:
		return nil, fmt.Errorf("listen udp %v: %w", addr, errInUse)
	}
	for port == 0 {
		if p := h.freePort(); h.socket(own, p) == nil {
			port = p
		}
	}
	s := &socket{host: h, addr: netip.AddrPortFrom(own, port)}
	h.sockets = append(h.sockets, s)
	return s, nil
}

func (h *Host) socket(ip netip.Addr, port uint16) *socket {
	for _, s := range h.sockets {
		if s.addr.Port() == port && s.addr.Addr() == ip {
			return s
		}
	}
	return nil
}

// socket is a transport.Datagrams. Its state belongs to the World's goroutine.
type socket struct {
	host   *Host
	addr   netip.AddrPort
	closed bool
	routes [transport.PacketOther + 1]actor.Ref[*transport.Packet]
	stats  transport.DatagramStats
	nat    map[netip.AddrPort]clock.Time // where it has sent, of unreachable hosts
}

// Addr implements transport.Datagrams.
func (s *socket) Addr() netip.AddrPort { return s.addr }

// Route implements transport.Datagrams.
func (s *socket) Route(k transport.PacketKind, to actor.Ref[*transport.Packet]) { s.routes[k] = to }

// RouteTrains implements transport.Datagrams. Here datagrams come one by one.
func (s *socket) RouteTrains(k transport.PacketKind, to actor.Ref[*transport.Packet]) {
	s.Route(k, to)
}

// Stats returns what has passed the socket.
func (s *socket) Stats() transport.DatagramStats { return s.stats }

// Close implements transport.Datagrams.
func (s *socket) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.routes = [len(s.routes)]actor.Ref[*transport.Packet]{}
	s.host.sockets = slices.DeleteFunc(s.host.sockets, func(x *socket) bool { return x == s })
}

// Send implements transport.Datagrams.
func (s *socket) Send(to netip.AddrPort, b []byte) error {
	ip := to.Addr().Unmap()
	switch {
	case s.closed:
		return transport.ErrClosed
	case !ip.IsValid() || ip.Is4() != s.addr.Addr().Is4():
		return fmt.Errorf("%v: %w", to, transport.ErrFamily)
	case len(b) > 65507:
		return transport.ErrTooBig
	}
	at := netip.AddrPortFrom(ip, to.Port())
	h, dest := s.host, s.host.net.byAddr[ip]
	n := h.net
	legs := n.legs(h, dest)
	left := n.w.now
	switch first := firstLink(legs); {
	case first != nil && first.Refuses(len(b)+headersOf(at)):
		return transport.ErrTooBig
	case legs[0] == nil:
		var ok bool
		if left, ok = queued(&h.upFree, left, len(b), h.cfg.Up); !ok {
			s.stats.Dropped++
			return transport.ErrDropped
		}
	}
	s.stats.Out++
	s.stats.BytesOut += int64(len(b))
	n.total.Sent++
	n.total.Bytes += int64(len(b))
	s.remember(at)
	if dest == nil || h.offline || len(b) > transport.MaxDatagram {
		n.total.Lost++
		return nil
	}
	f := n.newFlight()
	f.from, f.to, f.at, f.p, f.legs = h, dest, at, transport.NewPacket(s.addr, b), legs
	f.depart(left)
	return nil
}

// SendTrain implements transport.Datagrams: each datagram has its own fate.
func (s *socket) SendTrain(to netip.AddrPort, b []byte, segment int) (sent int, err error) {
	if segment <= 0 {
		segment = len(b)
	}
	for sent < len(b) {
		n := min(segment, len(b)-sent)
		if err := s.Send(to, b[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// queued puts n bytes in a link's queue of datagrams and returns when they will have
// passed. It reports false when too many wait there.
func queued(free *clock.Time, now clock.Time, n int, rate int64) (clock.Time, bool) {
	if rate <= 0 {
		return now, true
	}
	begin := max(*free, now)
	if begin.Sub(now) > maxQueued {
		return 0, false
	}
	*free = begin.Add(clock.Duration(n+udpHeaders) * time.Second / clock.Duration(rate))
	return *free, true
}

// remember opens the NAT of an unreachable host for answers.
func (s *socket) remember(to netip.AddrPort) {
	if !s.host.cfg.Unreachable {
		return
	}
	now := s.host.net.w.now
	if len(s.nat) >= natEntries {
		for at, t := range s.nat { //order: irrelevant
			if now.Sub(t) > natLife {
				delete(s.nat, at)
			}
		}
	}
	if s.nat == nil || len(s.nat) >= natEntries {
		s.nat = map[netip.AddrPort]clock.Time{}
	}
	s.nat[to] = now
}

// admits reports whether the NAT lets a datagram in.
func (s *socket) admits(from netip.AddrPort) bool {
	if !s.host.cfg.Unreachable {
		return true
	}
	t, known := s.nat[from]
	return known && s.host.net.w.now.Sub(t) <= natLife
}

// drawBelow draws for the host's next datagram. It depends on nothing but how often
// the host has drawn before.
func (h *Host) drawBelow(bound clock.Duration) clock.Duration {
	if bound <= 0 {
		return 0
	}
	h.lastDraw++
	return h.net.draw(packetStream|uint64(h.index), h.lastDraw, bound)
}

// chance draws whether something happens that happens to so many of a million.
func (h *Host) chance(of int) bool { return of > 0 && h.drawBelow(million) < clock.Duration(of) }

// packetStream sets the draws of datagrams apart from those of connections, and
// packetMark their marks.
const (
	packetStream = 1 << 63
	packetMark   = 1 << 61
)

func (s *socket) deliver(p *transport.Packet) {
	n := int64(len(p.Data))
	if to := s.routes[transport.Kind(p.Data)]; !to.IsZero() {
		if to.Offer(p) {
			s.stats.In++
			s.stats.BytesIn += n
			return
		}
	} else {
		p.Release()
	}
	s.stats.Unrouted++
}
