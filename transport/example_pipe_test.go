package transport_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// hub joins the pipe transports of one process: who listens where.
type hub struct {
	mu    sync.Mutex
	doors map[netip.AddrPort]door
}

type door struct {
	owner *pipes
	to    actor.Inlet[transport.Accepted]
}

// pipes is a transport over net.Pipe: all that a third party has to write.
type pipes struct {
	hub *hub
	env transport.Env
	at  netip.AddrPort // our own address
}

func (p *pipes) Name() string { return "pipe" }

func (p *pipes) Dial(d transport.Dial) {
	p.hub.mu.Lock()
	door, ok := p.hub.doors[d.Addr]
	p.hub.mu.Unlock()
	if !ok {
		d.Reply.Tell(transport.Dialed{Addr: d.Addr, Err: errors.New("nobody listens there")})
		return
	}
	near, far := net.Pipe()
	// The pump: it waits for the handshake, so that nobody else has to.
	go func() {
		info := transport.Info{Transport: "pipe", Remote: p.at, Local: d.Addr}
		if a, err := transport.Greet(far, info, door.owner.env); err == nil {
			_ = door.to.Put(context.Background(), a)
		}
	}()
	info := transport.Info{Transport: "pipe", Remote: d.Addr, Local: p.at}
	d.Reply.Tell(transport.Dialed{Addr: d.Addr, Link: transport.NewConn(near, info, p.env)})
}

func (p *pipes) Listen(at netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	p.at = at
	p.hub.doors[at] = door{p, to}
	reply.Tell(transport.Listening{Addr: at})
}

func (p *pipes) Close() {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	delete(p.hub.doors, p.at)
}

// printer is a peer, of a kind: it prints what it hears and hangs up.
type printer struct{ link transport.Link }

func (p *printer) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for _, f := range e.Frames {
			fmt.Println("heard:", f.Message)
		}
		e.Release()
		p.link.Close(errors.New("that is all"))
	case transport.Closed:
		c.Quit(nil)
	}
}

// A transport of one's own: connections of any kind, and the pumps of this package.
func Example_pipe() {
	world := actor.NewLive(actor.LiveConfig{})
	defer world.Close()
	h := &hub{doors: map[netip.AddrPort]door{}}
	env := transport.Env{Slab: block.NewSlab(1 << 20)}
	server, client := &pipes{hub: h, env: env}, &pipes{hub: h, env: env}

	accept := acceptor(func(c *actor.Ctx[transport.Accepted], a transport.Accepted) {
		fmt.Printf("accepted over %s: %.7s\n", a.Link.Info().Transport, a.Handshake.PeerID[:])
		peer := actor.Root(world, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](&printer{a.Link}), func(actor.Exit) {})
		a.Link.Allow(transport.Unlimited)
		a.Link.Bind(peer.Inlet)
		c.Quit(nil)
	})
	in := actor.Root(world, actor.Spec{Name: "session"}, actor.Actor[transport.Accepted](accept), func(actor.Exit) {}).Inlet
	at := netip.MustParseAddrPort("192.0.2.1:6881")
	server.Listen(at, in, actor.Ref[transport.Listening]{})

	client.Dial(transport.Dial{Addr: at, Reply: actor.FuncRef(func(d transport.Dialed) {
		peer := actor.Root(world, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](&printer{d.Link}), func(actor.Exit) {})
		d.Link.Allow(transport.Unlimited)
		d.Link.Bind(peer.Inlet)
		b := transport.NewBatch()
		b.Handshake = &wire.Handshake{PeerID: [20]byte([]byte("-XX0001-123456789012"))}
		b.Add(wire.Message{ID: wire.Have, Index: 7})
		d.Link.Send(b)
	})})
	// Output:
	// accepted over pipe: -XX0001
	// heard: have 7
}

type acceptor func(*actor.Ctx[transport.Accepted], transport.Accepted)

func (f acceptor) Handle(c *actor.Ctx[transport.Accepted], a transport.Accepted) { f(c, a) }
