//pump: waits for connections to be made, outwards; accept.go for those that come in.

package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// tcp is the transport over TCP. Its goroutines: one per dial, one per listener, one
// per connection that has come in and not yet shaken hands.
type tcp struct {
	env    Env
	net    *Net
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	porch  *Porch

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
}

// NewTCP makes the transport "tcp". All its sockets come from n.
func NewTCP(env Env, n *Net) Transport {
	t := &tcp{env: env, net: n, porch: NewPorch(env)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// TCP makes the transport "tcp" over env.Net.
func TCP(env Env) Transport { return NewTCP(env, env.Net) }

// Name implements Transport.
func (t *tcp) Name() string { return "tcp" }

// dialTimeout stands for a Dial.Timeout of 0.
const dialTimeout = 10 * time.Second

// Dial implements Transport.
func (t *tcp) Dial(d Dial) { go t.dial(d) }

func (t *tcp) dial(d Dial) {
	if d.Timeout <= 0 {
		d.Timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(t.ctx, d.Timeout)
	defer cancel()
	answer := Dialed{Addr: d.Addr}
	c, err := t.connect(ctx, d)
	if err == nil {
		answer.Link, err = Meet(ctx, c, infoOf(c, false), d, t.env)
	}
	if err != nil && t.ctx.Err() != nil {
		err = ErrClosed
	}
	answer.Err = err
	d.Reply.Tell(answer)
}

func (t *tcp) connect(ctx context.Context, d Dial) (net.Conn, error) {
	if _, err := t.env.Offer(d); err != nil {
		return nil, err
	}
	if err := t.net.Check(d.Addr, d.Origin); err != nil {
		return nil, err // says more than the same error from inside the dialer
	}
	return t.net.DialContext(ctx, "tcp", d.Addr.String(), d.Origin)
}

func infoOf(c net.Conn, incoming bool) Info {
	return Info{
		Transport: "tcp",
		Remote:    addrPortOf(c.RemoteAddr()),
		Local:     addrPortOf(c.LocalAddr()),
		Incoming:  incoming,
	}
}

// addrPortOf reads an address of package net; IPv4 inside IPv6 becomes plain IPv4.
func addrPortOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// Listen implements Transport. An unspecified or invalid address means every address
// of both families, at one port.
func (t *tcp) Listen(addr netip.AddrPort, to actor.Inlet[Accepted], reply actor.Ref[Listening]) {
	go t.listen(addr, to, reply)
}

func (t *tcp) listen(addr netip.AddrPort, to actor.Inlet[Accepted], reply actor.Ref[Listening]) {
	found, err := t.open(addr)
	if err == nil && !t.keep(found) {
		closeAll(found)
		err = ErrClosed
	}
	if err != nil {
		reply.Tell(Listening{Addr: addr, Err: err})
		return
	}
	ip := addr.Addr()
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	reply.Tell(Listening{Addr: netip.AddrPortFrom(ip, portOf(found[0]))})
	for _, l := range found {
		go t.accept(l, to)
	}
}

// keep remembers the listeners for Close; it reports false if that has passed.
func (t *tcp) keep(found []net.Listener) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.listeners = append(t.listeners, found...)
	}
	return !t.closed
}

// Close implements Transport.
func (t *tcp) Close() {
	t.cancel()
	t.mu.Lock()
	t.closed = true
	found := t.listeners
	t.listeners = nil
	t.mu.Unlock()
	closeAll(found)
	t.porch.Close()
}

// open opens the listeners for an address.
func (t *tcp) open(addr netip.AddrPort) ([]net.Listener, error) {
	if addr.Addr().IsValid() && !addr.Addr().IsUnspecified() {
		l, err := t.net.Listen(t.ctx, "tcp", addr.String())
		if err != nil {
			return nil, listenError(err)
		}
		return []net.Listener{l}, nil
	}
	return t.openBoth(addr.Port())
}

// portTries bounds how often another port is tried, when the system's choice for
// one family is taken in the other.
const portTries = 16

// openBoth listens on IPv4 and IPv6 at one port. A machine that lacks a family is
// served with the other.
func (t *tcp) openBoth(port uint16) ([]net.Listener, error) {
	var taken []net.Listener // wrong choices, held so that they are not made again
	defer func() { closeAll(taken) }()
	for range portTries {
		v4, err4 := t.net.Listen(t.ctx, "tcp4", netip.AddrPortFrom(netip.IPv4Unspecified(), port).String())
		chosen := port
		if err4 == nil {
			chosen = portOf(v4)
		} else if errors.Is(err4, errInUse) {
			return nil, err4
		}
		v6, err6 := t.net.Listen(t.ctx, "tcp6", netip.AddrPortFrom(netip.IPv6Unspecified(), chosen).String())
		switch {
		case err4 == nil && err6 == nil:
			return []net.Listener{v4, v6}, nil
		case err6 == nil:
			return []net.Listener{v6}, nil
		case err4 != nil:
			return nil, err4
		case !errors.Is(err6, errInUse):
			return []net.Listener{v4}, nil
		case port != 0:
			v4.Close()
			return nil, err6
		}
		taken = append(taken, v4)
	}
	return nil, errors.New("no port is free for both IPv4 and IPv6")
}

func portOf(l net.Listener) uint16 { return addrPortOf(l.Addr()).Port() }

func closeAll(list []net.Listener) {
	for _, l := range list {
		l.Close()
	}
}
