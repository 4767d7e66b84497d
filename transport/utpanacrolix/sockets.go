//pump: waits for sockets to be opened.

package utpanacrolix

import (
	"errors"
	"net/netip"
	"sync"

	"github.com/anacrolix/utp"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// errListens refuses a second Listen.
var errListens = errors.New("utp: this transport listens already")

// socket is one of a family, with the library's on top.
type socket struct {
	d   transport.Datagrams
	g   *guard
	lib *utp.Socket
}

// sockets are those of a transport: at most one of each family is current. What a
// Listen has replaced serves its connections to the end.
type sockets struct {
	opening sync.Mutex // held by who opens some: dials wait for a Listen

	mu      sync.Mutex
	all     []*socket
	current [2]*socket // IPv4, IPv6
	listens bool
	closed  bool
}

func family(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

func (s *sockets) of(family int) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[family]
}

// socketFor returns the socket to dial an address from.
func (t *lib) socketFor(a netip.Addr) (*socket, error) {
	t.socks.opening.Lock()
	defer t.socks.opening.Unlock()
	if s := t.socks.of(family(a)); s != nil {
		return s, nil
	}
	ip := netip.IPv4Unspecified()
	if a.Is6() {
		ip = netip.IPv6Unspecified()
	}
	d, err := t.open(netip.AddrPortFrom(ip, 0))
	if err != nil {
		return nil, err
	}
	list, err := t.use(false, d)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// open opens one socket.
func (t *lib) open(addr netip.AddrPort) (transport.Datagrams, error) {
	if t.ctx.Err() != nil {
		return nil, transport.ErrClosed
	}
	answer := make(chan transport.Opened, 1)
	t.env.Datagrams.OpenDatagrams(addr, actor.FuncRef(func(o transport.Opened) { answer <- o }))
	o := <-answer
	return o.Socket, o.Err
}

// use makes sockets the current ones of their families.
func (t *lib) use(listens bool, found ...transport.Datagrams) (out []*socket, err error) {
	s := &t.socks
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		closeAll(found)
		return nil, transport.ErrClosed
	}
	for _, d := range found {
		k := &socket{d: d, g: newGuard(d, t.maxHalfOpen())}
		k.g.listen(listens)
		k.lib, err = utp.NewSocketFromPacketConn(k.g)
		if err != nil {
			closeAll(found)
			return nil, err
		}
		s.all = append(s.all, k)
		s.current[family(d.Addr().Addr())] = k
		out = append(out, k)
	}
	s.listens = s.listens || listens
	return out, nil
}

func closeAll(list []transport.Datagrams) {
	for _, d := range list {
		d.Close()
	}
}

// close lets nobody in any more. Each socket ends with its last connection.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, k := range s.all {
		k.g.listen(false)
		_ = k.lib.Close() // never fails
	}
	s.all, s.current = nil, [2]*socket{}
}

func (s *sockets) mayListen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return transport.ErrClosed
	case s.listens:
		return errListens
	}
	return nil
}

// listen opens the sockets for an address.
func (t *lib) listen(addr netip.AddrPort) ([]*socket, error) {
	t.socks.opening.Lock()
	defer t.socks.opening.Unlock()
	if err := t.socks.mayListen(); err != nil {
		return nil, err
	}
	ip := addr.Addr().Unmap()
	if !ip.IsValid() || ip.IsUnspecified() {
		found, err := t.openBoth(addr.Port())
		if err != nil {
			return nil, err
		}
		return t.use(true, found...)
	}
	d, err := t.open(netip.AddrPortFrom(ip, addr.Port()))
	if err != nil {
		return nil, err
	}
	return t.use(true, d)
}

// portTries bounds how often another port is tried, when the system's choice for
// one family is taken in the other.
const portTries = 16

// openBoth opens IPv4 and IPv6 at one port. A machine that lacks a family is served
// with the other.
func (t *lib) openBoth(port uint16) ([]transport.Datagrams, error) {
	var taken []transport.Datagrams // wrong choices, held so that they are not made again
	defer func() { closeAll(taken) }()
	for range portTries {
		v4, err4 := t.open(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		chosen := port
		if err4 == nil {
			chosen = v4.Addr().Port()
		} else if transport.InUse(err4) {
			return nil, err4
		}
		v6, err6 := t.open(netip.AddrPortFrom(netip.IPv6Unspecified(), chosen))
		switch {
		case err4 == nil && err6 == nil:
			return []transport.Datagrams{v4, v6}, nil
		case err6 == nil:
			return []transport.Datagrams{v6}, nil
		case err4 != nil:
			return nil, err4
		case !transport.InUse(err6):
			return []transport.Datagrams{v4}, nil
		case port != 0:
			v4.Close()
			return nil, err6
		}
		taken = append(taken, v4)
	}
	return nil, errors.New("no port is free for both IPv4 and IPv6")
}
