package utpanacrolix

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utpnative"
	"github.com/shoal-bt/shoal/wire"
)

// patience bounds every wait of these tests; nothing that works comes near it.
const patience = 20 * time.Second

var errBye = errors.New("bye")

func newWorld(t testing.TB) *actor.Live {
	w := actor.NewLive(actor.LiveConfig{
		Workers: 4,
		Crash:   func(c *actor.Cell, v any, stack []byte) { t.Errorf("%v: %v\n%s", c, v, stack) },
		Flood:   func(c *actor.Cell, n, limit int) { t.Errorf("%v: %d messages wait, limit %d", c, n, limit) },
	})
	t.Cleanup(w.Close)
	return w
}

// backend makes one of the transports named "utp".
type backend func(transport.Env) transport.Transport

var backends = map[string]backend{"anacrolix": Make, "native": utpnative.Make}

// node is a transport in a live world.
type node struct {
	t        testing.TB
	w        *actor.Live
	tr       transport.Transport
	slab     *block.Slab
	addr     netip.AddrPort
	accepted chan transport.Accepted
}

func newNode(t testing.TB, w *actor.Live, make backend, env transport.Env) *node {
	n := &node{t: t, w: w, slab: block.NewSlab(4096 * block.Size)}
	net := transport.NewNet(transport.NetConfig{})
	env.Slab, env.World, env.Net, env.Datagrams = n.slab, w, net, net
	n.tr = make(env)
	t.Cleanup(n.tr.Close)
	return n
}

func (n *node) listen(addr string) *node {
	n.t.Helper()
	a, heard := listenTo[transport.Accepted](n, 1024)
	l := n.tryListen(addr, a.Inlet)
	if l.Err != nil {
		n.t.Fatal(l.Err)
	}
	n.addr, n.accepted = l.Addr, heard
	return n
}

// ear is an actor that passes on what it hears.
type ear[M any] struct{ heard chan M }

func (e ear[M]) Handle(_ *actor.Ctx[M], m M) { e.heard <- m }

// listenTo makes an actor of type M and the channel of what it gets.
func listenTo[M any](n *node, room int) (actor.Child[M], chan M) {
	e := ear[M]{make(chan M, room)}
	c := actor.Root(n.w, actor.Spec{Name: "ear"}, actor.Actor[M](e), func(actor.Exit) {})
	n.t.Cleanup(func() { c.Stop(nil) })
	return c, e.heard
}

func (n *node) tryListen(addr string, to actor.Inlet[transport.Accepted]) transport.Listening {
	answer := make(chan transport.Listening, 1)
	var at netip.AddrPort
	if addr != "" {
		at = netip.MustParseAddrPort(addr)
	}
	n.tr.Listen(at, to, actor.FuncRef(func(l transport.Listening) { answer <- l }))
	return waitFor(n.t, "an answer to Listen", answer)
}

func waitFor[M any](t testing.TB, what string, c <-chan M) (m M) {
	t.Helper()
	select {
	case m = <-c:
	case <-time.After(patience):
		t.Fatalf("there never came %s", what)
	}
	return m
}

func (n *node) dialLater(d transport.Dial) chan transport.Dialed {
	answer := make(chan transport.Dialed, 1)
	d.Reply = actor.FuncRef(func(d transport.Dialed) { answer <- d })
	n.tr.Dial(d)
	return answer
}

func (n *node) dial(to netip.AddrPort) transport.Dialed {
	n.t.Helper()
	return waitFor(n.t, "an answer to Dial", n.dialLater(transport.Dial{Addr: to}))
}

func hello() *wire.Handshake { return &wire.Handshake{InfoHash: [20]byte{1, 2, 3}} }

func sayHello(l transport.Link) {
	b := transport.NewBatch()
	b.Handshake = hello()
	l.Send(b)
}

// dialed is dial, and the link.
func (n *node) dialed(o *node) transport.Link {
	n.t.Helper()
	d := n.dial(o.addr)
	if d.Err != nil {
		n.t.Fatal(d.Err)
	}
	return d.Link
}

// shake makes a connection from n to o, both ends of which are bound to ears.
func (n *node) shake(o *node) (mine, theirs *end) {
	n.t.Helper()
	mine = n.bind(n.dialed(o))
	a := waitFor(n.t, "a connection", o.accepted)
	if a.Handshake.InfoHash != hello().InfoHash {
		n.t.Errorf("accepted for %v", a.Handshake.InfoHash)
	}
	return mine, o.bind(a.Link)
}

// leecher asks for blocks, and checks their bytes.
type leecher struct {
	link      transport.Link
	left, out int // to be asked for, asked for
	have      int
	total     int
	closing   bool
	done      chan error
}

// depth is how many requests are out: 4 MiB.
const depth = 256

func (l *leecher) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for i := range e.Frames {
			if e.Frames[i].Block != nil {
				blk := e.Take(i)
				l.check(int(e.Frames[i].Index), blk.Bytes())
				blk.Release()
				l.out--
				l.have++
			}
		}
		e.Release()
		if l.have == l.total && !l.closing {
			l.closing = true
			l.link.Close(errBye)
		}
	case transport.Closed:
		if errors.Is(e.Err, errBye) {
			e.Err = nil
		}
		l.done <- e.Err
		c.Quit(nil)
	}
}

// check: byte j of block i is a function of both.
func (l *leecher) check(i int, b []byte) {
	for j, v := range b {
		if v != content(i, j) {
			l.link.Close(errors.New("a wrong byte"))
			return
		}
	}
}

func content(i, j int) byte { return byte(i*31 + j*7 + j>>8) }

func (l *leecher) Flush(*actor.Ctx[transport.Event]) {
	if l.left == 0 || l.out > depth*3/4 {
		return
	}
	b := transport.NewBatch()
	for ; l.out < depth && l.left > 0; l.left-- {
		b.Add(wire.Message{ID: wire.Request, Index: uint32(l.total - l.left), Length: block.Size})
		l.out++
	}
	l.link.Send(b)
}

// seeder answers requests.
type seeder struct {
	link   transport.Link
	slab   *block.Slab
	asked  []uint32
	unsent int64
	done   chan error
}

func (s *seeder) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for _, f := range e.Frames {
			if f.ID == wire.Request {
				s.asked = append(s.asked, f.Index)
			}
		}
		e.Release()
	case transport.Flushed:
		s.unsent -= e.Payload
	case transport.Closed:
		s.done <- e.Err
		c.Quit(nil)
	}
}

func (s *seeder) Flush(*actor.Ctx[transport.Event]) {
	for len(s.asked) > 0 && s.unsent < 1<<20 {
		b := transport.NewBatch()
		for ; len(s.asked) > 0 && len(b.Frames) < 16; s.asked = s.asked[1:] {
			blk := s.slab.Lease()
			for j := range blk.Bytes() {
				blk.Bytes()[j] = content(int(s.asked[0]), j)
			}
			b.AddPiece(wire.Message{ID: wire.Piece, Index: s.asked[0]}, blk.Seal())
			s.unsent += block.Size
		}
		s.link.Send(b)
	}
}

func startSeeder(n *node, l transport.Link) chan error {
	s := &seeder{link: l, slab: n.slab, done: make(chan error, 1)}
	a := actor.Root(n.w, actor.Spec{Name: "seeder"}, actor.Actor[transport.Event](s), func(actor.Exit) {})
	sayHello(l)
	l.Allow(transport.Unlimited)
	l.Bind(a.Inlet)
	return s.done
}

func startLeecher(n *node, link transport.Link, blocks int) chan error {
	sayHello(link)
	l := &leecher{link: link, left: blocks, total: blocks, done: make(chan error, 1)}
	a := actor.Root(n.w, actor.Spec{Name: "leecher"}, actor.Actor[transport.Event](l), func(actor.Exit) {})
	link.Allow(transport.Unlimited)
	link.Bind(a.Inlet)
	return l.done
}

// end is a link whose events are only listened to.
type end struct {
	t      testing.TB
	link   transport.Link
	events chan transport.Event
}

// bind gives a link to an ear, and says hello.
func (n *node) bind(l transport.Link) *end {
	a, heard := listenTo[transport.Event](n, 64)
	sayHello(l)
	l.Allow(transport.Unlimited)
	l.Bind(a.Inlet)
	return &end{n.t, l, heard}
}

// closed waits for Closed.
func (e *end) closed() error {
	e.t.Helper()
	for {
		switch m := waitFor(e.t, "Closed", e.events).(type) {
		case transport.Closed:
			return m.Err
		case *transport.Batch:
			m.Release()
		}
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}
