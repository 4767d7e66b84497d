//pump: opens sockets for datagrams.

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// socketBuffer is what the system is asked to queue in each direction, bytes: a
// burst of many peers' datagrams waits there while a worker is busy.
const socketBuffer = 4 << 20

// OpenDatagrams implements [Opener].
func (n *Net) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[Opened]) {
	go func() {
		u, err := n.openUDP(addr)
		if err != nil {
			reply.Tell(Opened{Err: err})
			return
		}
		go u.pump()
		reply.Tell(Opened{Socket: u})
	}()
}

// openUDP binds a socket of one family, to the configured address if none is given.
func (n *Net) openUDP(addr netip.AddrPort) (*udp, error) {
	ip, err := n.bindAddr(addr)
	if err != nil {
		return nil, err
	}
	network := "udp4"
	if ip.Is6() {
		network = "udp6" // sets IPV6_V6ONLY: IPv4 has a socket of its own
	}
	pc, err := n.ListenPacket(context.Background(), network, netip.AddrPortFrom(ip, addr.Port()).String())
	if err != nil {
		return nil, listenError(err)
	}
	u := &udp{conn: pc.(*net.UDPConn), v6: ip.Is6()}
	u.addr = u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	u.addr = netip.AddrPortFrom(u.addr.Addr().Unmap(), u.addr.Port())
	setBuffers(u.conn)
	setDatagrams(u.conn, u.v6)
	if err := u.out.init(u); err != nil {
		_ = u.conn.Close() // err says more
		return nil, err
	}
	return u, nil
}

// bindAddr returns what a socket for an address is bound to.
func (n *Net) bindAddr(addr netip.AddrPort) (netip.Addr, error) {
	ip, bind := addr.Addr().Unmap(), n.cfg.Bind.Unmap()
	switch {
	case ip.IsValid() && !ip.IsUnspecified():
		return ip, nil
	case bind.IsValid() && ip.IsValid() && ip.Is4() != bind.Is4():
		return ip, fmt.Errorf("listen udp %v: sockets are bound to %v: %w", addr, bind, ErrFamily)
	case bind.IsValid():
		return bind, nil
	case !ip.IsValid():
		return netip.IPv4Unspecified(), nil
	}
	return ip, nil
}

// udp is a live socket. Its one goroutine, the pump, reads; senders of any goroutine
// take turns. Where the system can, several datagrams pass with one system call, see
// the files for Linux.
type udp struct {
	conn   *net.UDPConn
	addr   netip.AddrPort
	v6     bool
	out    sender
	closed atomic.Bool
	routes [packetKinds]atomic.Pointer[route]

	in, bytesIn, sent, bytesSent, dropped, oversize, unrouted atomic.Int64
}

// route is where a kind of datagrams goes.
type route struct {
	to     actor.Ref[*Packet] // not zero
	trains bool
}

// Addr implements Datagrams.
func (u *udp) Addr() netip.AddrPort { return u.addr }

// Route implements Datagrams.
func (u *udp) Route(k PacketKind, to actor.Ref[*Packet]) { u.setRoute(k, route{to: to}) }

// RouteTrains implements Datagrams.
func (u *udp) RouteTrains(k PacketKind, to actor.Ref[*Packet]) {
	u.setRoute(k, route{to: to, trains: true})
}

func (u *udp) setRoute(k PacketKind, r route) {
	if r.to.IsZero() {
		u.routes[k].Store(nil)
		return
	}
	u.routes[k].Store(&r)
}

// Send implements Datagrams.
func (u *udp) Send(to netip.AddrPort, b []byte) error {
	to, err := u.reaches(to)
	if err != nil {
		return err
	}
	if err = u.out.send(to, b); err != nil {
		return u.count(0, err)
	}
	u.sent.Add(1)
	return u.count(len(b), nil)
}

// SendTrain implements Datagrams.
func (u *udp) SendTrain(to netip.AddrPort, b []byte, segment int) (sent int, err error) {
	to, err = u.reaches(to)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	segment = wagon(b, segment)
	sent, err = u.out.train(to, b, segment)
	u.sent.Add(int64((sent + segment - 1) / segment))
	return sent, u.count(sent, err)
}

// wagon returns the size of a train's datagrams.
func wagon(b []byte, segment int) int {
	if segment <= 0 {
		return len(b)
	}
	return min(segment, len(b))
}

// reaches checks the family of an address, and gives it its plain form.
func (u *udp) reaches(to netip.AddrPort) (netip.AddrPort, error) {
	ip := to.Addr().Unmap()
	if !ip.IsValid() || ip.Is6() != u.v6 {
		return to, fmt.Errorf("%v: %w", to, ErrFamily)
	}
	return netip.AddrPortFrom(ip, to.Port()), nil
}

// count counts bytes that were sent, and what was not.
func (u *udp) count(n int, err error) error {
	u.bytesSent.Add(int64(n))
	if errors.Is(err, ErrDropped) {
		u.dropped.Add(1)
	}
	return err
}

// Close implements Datagrams.
func (u *udp) Close() {
	if u.closed.CompareAndSwap(false, true) {
		u.out.close()
		_ = u.conn.Close() // datagrams have no error to lose
	}
}

// Stats returns what has passed the socket.
func (u *udp) Stats() DatagramStats {
	return DatagramStats{
		In: u.in.Load(), BytesIn: u.bytesIn.Load(), Out: u.sent.Load(), BytesOut: u.bytesSent.Load(),
		Dropped: u.dropped.Load(), Oversize: u.oversize.Load(), Unrouted: u.unrouted.Load(),
	}
}

// A socket whose reads fail waits a little longer each time, as listeners do.
const (
	readPause    = time.Millisecond
	readPauseMax = time.Second
)

// rest is what pumps do about failed reads. Errors are about single datagrams, such
// as ICMP's news of a port where nobody listens: they end nothing but by Close.
type rest struct{ pause time.Duration }

// ends reports whether an error means that the socket is closed, and waits if the
// next read might fail as well.
func (r *rest) ends(u *udp, err error) bool {
	switch {
	case u.closed.Load() || errors.Is(err, net.ErrClosed):
		return true
	case passing(err): // the next read may follow at once
	default:
		r.pause = min(max(2*r.pause, readPause), readPauseMax)
		time.Sleep(r.pause)
	}
	return false
}

// deliver hands a copy of a datagram to whoever wants its kind.
func (u *udp) deliver(from netip.AddrPort, b []byte) {
	k := Kind(b)
	if len(b) > k.limit() {
		u.oversize.Add(1)
		return
	}
	to := u.routes[k].Load()
	if to == nil {
		u.unrouted.Add(1)
		return
	}
	u.offer(to, copyPacket(from, b), 1)
}

// offer hands over a packet of so many datagrams. It counts first: who has received
// something finds it counted.
func (u *udp) offer(to *route, p *Packet, count int64) {
	n := int64(len(p.Data))
	u.in.Add(count)
	u.bytesIn.Add(n)
	if !to.to.Offer(p) {
		u.in.Add(-count)
		u.bytesIn.Add(-n)
		u.unrouted.Add(count)
	}
}
