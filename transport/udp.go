//pump: reads datagrams from a socket.

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

// A socket whose reads fail waits a little longer each time, as listeners do.
const (
	readPause    = time.Millisecond
	readPauseMax = time.Second
)

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
		return nil, err
	}
	u := &udp{conn: pc.(*net.UDPConn), v6: ip.Is6()}
	u.addr = u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	u.addr = netip.AddrPortFrom(u.addr.Addr().Unmap(), u.addr.Port())
	setBuffers(u.conn)
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

// udp is a live socket. Its one goroutine reads. Reading and sending several
// datagrams with one system call has its place in pump and sender.
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
	if err = u.out.send(to, b); err == nil {
		u.sent.Add(1)
	}
	return u.count(len(b), err)
}

// SendTrain implements Datagrams.
func (u *udp) SendTrain(to netip.AddrPort, b []byte, segment int) (sent int, err error) {
	to, err = u.reaches(to)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	for segment = wagon(b, segment); sent < len(b) && err == nil; {
		n := min(segment, len(b)-sent)
		if err = u.Send(to, b[sent:sent+n]); err == nil {
			sent += n
		}
	}
	return sent, err
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

func (u *udp) count(n int, err error) error {
	switch {
	case err == nil:
		u.bytesSent.Add(int64(n))
	case errors.Is(err, ErrDropped):
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

// pump reads until Close. Errors are about single datagrams, such as ICMP's news of
// a port where nobody listens: they end nothing.
func (u *udp) pump() {
	p := newPacket(largePacket)
	pause := readPause
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(p.Data[:cap(p.Data)])
		switch {
		case err == nil && n <= MaxDatagram:
			pause = readPause
			p.From = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			p.Data = p.Data[:n]
			u.deliver(p)
			p = newPacket(largePacket)
		case err == nil || tooLong(err):
			u.oversize.Add(1)
		case u.closed.Load() || errors.Is(err, net.ErrClosed):
			p.Release()
			return
		case passing(err): // the next read may follow at once
		default:
			time.Sleep(pause)
			pause = min(2*pause, readPauseMax)
		}
	}
}

// deliver hands a packet to whoever wants its kind.
func (u *udp) deliver(p *Packet) {
	n := int64(len(p.Data))
	to := u.routes[Kind(p.Data)].Load()
	switch {
	case to == nil:
		p.Release()
		u.unrouted.Add(1)
	case !to.to.Offer(p):
		u.unrouted.Add(1)
	default:
		u.in.Add(1)
		u.bytesIn.Add(n)
	}
}
