package sim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

var (
	errRefused = errors.New("connect: connection refused")
	errInUse   = errors.New("listen: address already in use")
)

// Transport returns a host's way into the network: what a live session calls "tcp".
// Dials obey the same policy.
func (n *Network) Transport(h *Host, env transport.Env) transport.Transport {
	if env.HandshakeTimeout <= 0 {
		env.HandshakeTimeout = 10 * time.Second
	}
	if env.MaxHalfOpen <= 0 {
		env.MaxHalfOpen = 128
	}
	return &simTransport{net: n, host: h, env: env}
}

// simTransport is a transport.Transport. Its state belongs to the World's goroutine.
type simTransport struct {
	net    *Network
	host   *Host
	env    transport.Env
	closed bool
	mine   []*listener
	dials  []*dial // that have no answer
}

// listener takes connections to one port of a host.
type listener struct {
	t     *simTransport
	port  uint16
	to    actor.Inlet[transport.Accepted]
	porch []*link // whose handshake has not come, oldest first
	mail  []transport.Accepted
	retry *wake
}

// dial is an attempt to connect. Its answer comes exactly once.
type dial struct {
	t *simTransport
	d transport.Dial
	p *pair // once the other side knows of it
}

// Name implements transport.Transport.
func (t *simTransport) Name() string { return "tcp" }

// Listen implements transport.Transport.
func (t *simTransport) Listen(addr netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	ip := addr.Addr()
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	answer := transport.Listening{Addr: netip.AddrPortFrom(ip, addr.Port())}
	switch port, err := t.host.listenPort(addr.Port()); {
	case t.closed:
		answer.Err = transport.ErrClosed
	case err != nil:
		answer.Err = err
	default:
		l := &listener{t: t, port: port, to: to}
		t.host.listeners, t.mine = append(t.host.listeners, l), append(t.mine, l)
		answer.Addr = netip.AddrPortFrom(ip, port)
	}
	reply.Tell(answer)
}

// listenPort returns the port that a listener gets.
func (h *Host) listenPort(want uint16) (uint16, error) {
	if want != 0 && h.listener(want) != nil {
		return 0, errInUse
	}
	for want == 0 {
		if p := h.freePort(); h.listener(p) == nil {
			want = p
		}
	}
	return want, nil
}

func (h *Host) freePort() uint16 {
	if h.lastPort++; h.lastPort < firstPort {
		h.lastPort = firstPort
	}
	return h.lastPort
}

func (h *Host) listener(port uint16) *listener {
	for _, l := range h.listeners {
		if l.port == port {
			return l
		}
	}
	return nil
}

// Dial implements transport.Transport. The connection takes one round trip; who
// cannot be reached does not answer.
func (t *simTransport) Dial(d transport.Dial) {
	if d.Timeout <= 0 {
		d.Timeout = 10 * time.Second
	}
	a := &dial{t: t, d: d}
	t.dials = append(t.dials, a)
	w := t.net.w
	own := func(ip netip.Addr) bool { return ip == t.host.cfg.Addr }
	err := transport.CheckAddr(d.Addr, d.Origin, own)
	switch to := t.net.byAddr[d.Addr.Addr().Unmap()]; {
	case t.closed:
		w.After(0, func() { a.answer(nil, transport.ErrClosed) })
	case err != nil:
		w.After(0, func() { a.answer(nil, err) })
	default:
		w.After(d.Timeout, func() { a.answer(nil, fmt.Errorf("dial tcp %v: %w", d.Addr, context.DeadlineExceeded)) })
		if to != nil {
			w.After(t.net.Latency(t.host, to), func() { a.reach(to) })
		}
	}
}

// reach: the request to connect has come to the host.
func (a *dial) reach(to *Host) {
	if a.t == nil || to.offline || a.t.host.offline || to.cfg.Unreachable && to != a.t.host {
		return
	}
	n, h := a.t.net, a.t.host
	l := to.listener(a.d.Addr.Port())
	if l == nil {
		n.w.After(n.Latency(h, to), func() { a.answer(nil, fmt.Errorf("dial tcp %v: %w", a.d.Addr, errRefused)) })
		return
	}
	a.p = n.connect(h, to, netip.AddrPortFrom(h.cfg.Addr, h.freePort()), a.d.Addr, "tcp")
	a.p.ends[0].slab, a.p.ends[1].slab = a.t.env.Slab, l.t.env.Slab
	l.greet(&a.p.ends[1])
	n.w.After(a.p.latency, func() { a.answer(&a.p.ends[0], nil) })
}

// answer tells whoever dialed, the first time. A connection that nobody waits for any
// more is closed.
func (a *dial) answer(l *link, err error) {
	if a.t == nil {
		if l != nil {
			l.Close(err)
		}
		return
	}
	t := a.t
	a.t = nil
	t.dials = slices.DeleteFunc(t.dials, func(x *dial) bool { return x == a })
	out := transport.Dialed{Addr: a.d.Addr, Err: err}
	if l != nil {
		out.Link = l
	}
	a.d.Reply.Tell(out)
}

// Close implements transport.Transport.
func (t *simTransport) Close() {
	t.closed = true
	for _, l := range t.mine {
		t.host.listeners = slices.DeleteFunc(t.host.listeners, func(x *listener) bool { return x == l })
		for len(l.porch) > 0 {
			l.porch[0].Close(transport.ErrClosed)
		}
	}
	t.mine = nil
	for _, a := range slices.Clone(t.dials) {
		t.net.w.After(0, func() { a.answer(nil, transport.ErrClosed) })
	}
}

// greet lets a connection in. It has to shake hands in time; when too many have not,
// the oldest makes room.
func (l *listener) greet(k *link) {
	if len(l.porch) >= l.t.env.MaxHalfOpen {
		l.porch[0].Close(errors.New("too many connections without a handshake"))
	}
	l.porch = append(l.porch, k)
	k.silent = l
	l.t.net.w.After(l.t.env.HandshakeTimeout, func() {
		if k.silent != nil {
			k.Close(errors.New("no handshake"))
		}
	})
}

// unlist takes a link from its listener's porch.
func (l *link) unlist() {
	if l.silent != nil {
		l.silent.porch = slices.DeleteFunc(l.silent.porch, func(x *link) bool { return x == l })
		l.silent = nil
	}
}

// greet reads the handshake of a connection that came in, without any grant.
func (l *link) greet() {
	s := l.from()
	switch {
	case l.eof:
		l.fail(l.ending(s))
	case s.ready < wire.HandshakeLen:
	case s.cargo.at(0).hello() == nil:
		l.fail(fault(l.info.Remote, transport.RemoteFault, wire.ErrNotBitTorrent))
	default:
		h := *s.cargo.at(0).hello()
		s.read = wire.HandshakeLen
		s.unload(s.cargo.at(0))
		s.consumed()
		to := l.silent
		l.unlist()
		to.mail = append(to.mail, transport.Accepted{Link: l, Handshake: h})
		to.deliver()
	}
}

// deliver brings the session its connections, in order.
func (l *listener) deliver() {
	for len(l.mail) > 0 {
		if !l.to.TryPut(l.mail[0]) {
			if l.retry == nil {
				l.retry = newWake(l.t.net.w, l.deliver)
			}
			l.retry.set(l.t.net.w.now.Add(mailAgain))
			return
		}
		l.mail = slices.Delete(l.mail, 0, 1)
	}
}
