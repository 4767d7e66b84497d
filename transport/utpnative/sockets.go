package utpnative

import (
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// errListens refuses a second Listen.
var errListens = errors.New("utp: this transport listens already")

// portTries bounds how often another port is tried, when the one that was chosen for
// one family is taken in the other.
const portTries = 16

// socket is one of a family.
type socket struct {
	d     transport.Datagrams
	v6    bool
	full  bool // the system has no room: a train waits
	train train
}

func (s *socket) family() int {
	if s.v6 {
		return 1
	}
	return 0
}

// sockets are those of the transport: at most one of each family is current; what a
// Listen has replaced serves its connections to the end. Owner: the mux.
type sockets struct {
	open    []*socket
	current [2]*socket
	opening [2]bool      // for dials
	pending [2][]dialMsg // wait for a socket
	listen  *listening
	spare   []transport.Datagrams // wrong choices, held so that they are not made again
}

// listening is a Listen. It opens one socket after the other.
type listening struct {
	listenMsg
	both  bool // both families
	over  bool // it has been answered well
	tries int
	v4    *socket
	v4err error
}

func (s *sockets) of(v6 bool) *socket {
	if v6 {
		return s.current[1]
	}
	return s.current[0]
}

// listening reports whether connections are taken in.
func (s *sockets) listening() bool { return s.listen != nil && s.listen.over }

// full reports whether a train waits.
func (s *sockets) full() bool {
	for _, k := range s.open {
		if k.full {
			return true
		}
	}
	return false
}

// retry sends the trains that wait.
func (s *sockets) retry(x *mux) {
	for _, k := range s.open {
		if k.full {
			k.full = false
			x.depart(k)
		}
	}
}

func (s *sockets) close() {
	for _, k := range s.open {
		k.d.Close()
	}
	s.open, s.current = nil, [2]*socket{}
}

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// socketFor returns the socket for a dial. If there is none yet, the dial waits.
func (x *mux) socketFor(d dialMsg, v6 bool) *socket {
	s, f := &x.socks, family(v6)
	if s.current[f] != nil {
		return s.current[f]
	}
	s.pending[f] = append(s.pending[f], d)
	if !s.opening[f] && (s.listen == nil || s.listen.over) {
		x.openFor(v6)
	}
	return nil
}

// openFor opens a socket to dial from.
func (x *mux) openFor(v6 bool) {
	x.socks.opening[family(v6)] = true
	ip := netip.IPv4Unspecified()
	if v6 {
		ip = netip.IPv6Unspecified()
	}
	x.open(netip.AddrPortFrom(ip, 0), v6, false)
}

func (x *mux) open(addr netip.AddrPort, v6, listen bool) {
	reply := actor.Adapt(x.c.Self(), func(o transport.Opened) msg { return opened{o, v6, listen} })
	x.cfg.Open.OpenDatagrams(addr, reply)
}

// onOpened: a socket is there, or not.
func (x *mux) onOpened(m opened) {
	if x.closed {
		m.Opened.Drop()
		return
	}
	if m.listen {
		x.onListening(m)
		return
	}
	x.socks.opening[family(m.v6)] = false
	if m.Err == nil {
		x.use(m.Socket, m.v6)
	}
	x.dialPending(m.v6, m.Err)
}

// use makes a socket the current one of its family, unless there is one.
func (x *mux) use(d transport.Datagrams, v6 bool) *socket {
	k := &socket{d: d, v6: v6}
	x.socks.open = append(x.socks.open, k)
	x.socks.current[family(v6)] = k
	d.RouteTrains(transport.PacketUTP, actor.Adapt(x.c.Self(), func(p *transport.Packet) msg { return arrived{p} }))
	return k
}

// dialPending begins the dials that have waited for a socket, or refuses them.
func (x *mux) dialPending(v6 bool, err error) {
	f := family(v6)
	list := x.socks.pending[f]
	x.socks.pending[f] = nil
	for _, d := range list {
		if err != nil {
			d.refuse(err)
		} else {
			x.dial(d)
		}
	}
}

// listen is Transport.Listen.
func (x *mux) listen(m listenMsg) {
	switch {
	case x.closed:
		m.refuse(transport.ErrClosed)
		return
	case x.socks.listen != nil:
		m.refuse(errListens)
		return
	}
	ip := m.addr.Addr().Unmap()
	l := &listening{listenMsg: m, both: !ip.IsValid() || ip.IsUnspecified()}
	x.socks.listen = l
	if l.both {
		x.open(netip.AddrPortFrom(netip.IPv4Unspecified(), m.addr.Port()), false, true)
		return
	}
	x.open(netip.AddrPortFrom(ip, m.addr.Port()), ip.Is6(), true)
}

// onListening takes a Listen one socket further.
func (x *mux) onListening(m opened) {
	l := x.socks.listen
	switch {
	case !l.both:
		if m.Err != nil {
			x.listenFailed(m.Err)
			return
		}
		x.listens(x.use(m.Socket, m.v6).d.Addr())
	case !m.v6:
		l.v4err = m.Err
		port := l.addr.Port()
		if m.Err == nil {
			l.v4 = &socket{d: m.Socket}
			port = m.Socket.Addr().Port()
		}
		x.open(netip.AddrPortFrom(netip.IPv6Unspecified(), port), true, true)
	default:
		x.onBoth(m)
	}
}

// onBoth has the answers for both families. A machine that lacks one is served with
// the other.
func (x *mux) onBoth(m opened) {
	l := x.socks.listen
	four, port := l.v4, l.addr.Port()
	switch {
	case four == nil && m.Err != nil:
		x.listenFailed(l.v4err)
	case four == nil && transport.InUse(l.v4err) && port != 0:
		m.Opened.Drop()
		x.listenFailed(l.v4err)
	case four == nil:
		x.listens(x.use(m.Socket, true).d.Addr())
	case m.Err == nil:
		x.use(m.Socket, true)
		x.use(four.d, false)
		x.listens(netip.AddrPortFrom(netip.IPv6Unspecified(), four.d.Addr().Port()))
	case !transport.InUse(m.Err):
		x.listens(x.use(four.d, false).d.Addr())
	default:
		x.otherPort(m.Err)
	}
}

// otherPort: the port is taken in IPv6. If the system chose it, it may choose again.
func (x *mux) otherPort(err error) {
	l := x.socks.listen
	l.tries++
	if l.addr.Port() != 0 || l.tries >= portTries {
		l.v4.d.Close()
		x.listenFailed(err)
		return
	}
	x.socks.spare = append(x.socks.spare, l.v4.d)
	l.v4 = nil
	x.open(netip.AddrPortFrom(netip.IPv4Unspecified(), 0), false, true)
}

func (x *mux) dropSpare() {
	for _, d := range x.socks.spare {
		d.Close()
	}
	x.socks.spare = nil
}

// listens answers a Listen.
func (x *mux) listens(at netip.AddrPort) {
	l := x.socks.listen
	l.over = true
	x.porch.to = l.to
	x.dropSpare()
	ip := l.addr.Addr()
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	l.reply.Tell(transport.Listening{Addr: netip.AddrPortFrom(ip, at.Port())})
	x.resume()
}

func (x *mux) listenFailed(err error) {
	l := x.socks.listen
	x.socks.listen = nil
	x.dropSpare()
	l.refuse(err)
	x.resume()
}

// resume goes on with dials that have waited for a Listen.
func (x *mux) resume() {
	for _, v6 := range [...]bool{false, true} {
		switch {
		case len(x.socks.pending[family(v6)]) == 0:
		case x.socks.of(v6) != nil:
			x.dialPending(v6, nil)
		case !x.socks.opening[family(v6)]:
			x.openFor(v6)
		}
	}
}

// close is Transport.Close: nobody comes in any more, and nobody is dialed.
func (x *mux) close() {
	if x.closed {
		return
	}
	x.closed = true
	if l := x.socks.listen; l != nil && !l.over {
		if l.v4 != nil {
			l.v4.d.Close()
		}
		x.dropSpare()
		l.refuse(transport.ErrClosed)
	}
	for _, v6 := range [...]bool{false, true} {
		x.dialPending(v6, transport.ErrClosed)
	}
	for _, l := range x.all {
		switch {
		case l.dial != nil:
			x.end(l, transport.ErrClosed)
		case l.guest != nil:
			x.expel(l, transport.ErrClosed)
		}
	}
	x.porch.greeted = nil
}
