//pump: waits for datagrams, which the library's reader loops around.

package utpanacrolix

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// guard is a socket as the library sees it. See flows for what passes.
type guard struct {
	net.PacketConn
	began time.Time

	mu sync.Mutex
	f  *flows
}

func newGuard(d transport.Datagrams, maxHalfOpen int) *guard {
	return &guard{
		PacketConn: transport.NewPacketConn(d, transport.PacketUTP),
		began:      time.Now(),
		f:          newFlows(maxHalfOpen, 0),
	}
}

func (g *guard) now() actor.Time { return actor.Time(time.Since(g.began)) }

// ReadFrom returns the next datagram that is for the library.
func (g *guard) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.PacketConn.ReadFrom(b)
		if err != nil || g.arrive(from, b[:n]) {
			return n, from, err
		}
	}
}

func (g *guard) arrive(from net.Addr, b []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.f.arrive(addrPort(from), b, g.now())
}

// WriteTo sends what may leave. What may not counts as sent, and is lost. So does what
// the system refuses, unless it shows that the connection has no future: the library
// ends it at any error, and writes to the log when it meets one later.
func (g *guard) WriteTo(b []byte, to net.Addr) (int, error) {
	at := addrPort(to)
	if !g.depart(at, b) {
		return len(b), nil
	}
	_, err := g.PacketConn.WriteTo(b, to)
	if err != nil && (errors.Is(err, transport.ErrTooBig) || utp.Type(b[0]>>4) == utp.Syn) {
		return 0, err
	}
	return len(b), nil
}

func (g *guard) depart(to netip.AddrPort, b []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.f.depart(to, b, g.now())
}

// listen lets connections come in, or no more.
func (g *guard) listen(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.f.listens = yes
}

// addrPort reads an address of package net; IPv4 inside IPv6 becomes plain IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
