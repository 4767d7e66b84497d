// Package pipe shows how to give an engine a transport of one's own: peers of one
// process find each other by made-up addresses and talk over net.Pipe. Nothing in
// package engine knows of it.
package pipe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// Hub joins the transports of one process: who listens where. The zero Hub is ready.
type Hub struct {
	mu    sync.Mutex
	doors map[netip.AddrPort]door
}

type door struct {
	env transport.Env
	to  actor.Inlet[transport.Accepted]
}

// Transport makes one; it fits engine.Config.Transports.
func (h *Hub) Transport(env transport.Env) transport.Transport { return &pipe{hub: h, env: env} }

type pipe struct {
	hub *Hub
	env transport.Env
	at  netip.AddrPort // where we listen
}

// Name implements transport.Transport.
func (p *pipe) Name() string { return "pipe" }

// Listen implements transport.Transport.
func (p *pipe) Listen(at netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.hub.doors == nil {
		p.hub.doors = map[netip.AddrPort]door{}
	}
	p.at = at
	p.hub.doors[at] = door{p.env, to}
	reply.Tell(transport.Listening{Addr: at})
}

// Dial implements transport.Transport.
func (p *pipe) Dial(d transport.Dial) {
	p.hub.mu.Lock()
	to, ok := p.hub.doors[d.Addr]
	p.hub.mu.Unlock()
	if !ok {
		d.Reply.Tell(transport.Dialed{Addr: d.Addr, Err: fmt.Errorf("nobody listens at %v", d.Addr)})
		return
	}
	near, far := net.Pipe()
	go answer(far, to, transport.Info{Transport: "pipe", Remote: p.at, Local: d.Addr})
	info := transport.Info{Transport: "pipe", Remote: d.Addr, Local: p.at}
	d.Reply.Tell(transport.Dialed{Addr: d.Addr, Link: transport.NewConn(near, info, p.env)})
}

// answer is the pump at the other end: it waits for the handshake, so that no actor has to.
func answer(c net.Conn, to door, info transport.Info) {
	if a, err := transport.Greet(c, info, to.env); err == nil {
		_ = to.to.Put(context.Background(), a) // refused: the session has closed, and the link with it
	}
}

// Close implements transport.Transport.
func (p *pipe) Close() {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	delete(p.hub.doors, p.at)
}
