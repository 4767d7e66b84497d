package utpnative

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// patience bounds every wait of these tests; nothing that works comes near it.
const patience = 20 * time.Second

var errBye = errors.New("bye")

// ear is an actor that passes on what it hears. It waits when nobody listens, which is
// how these tests have a slow peer.
type ear[M any] struct{ heard chan M }

func (e *ear[M]) Handle(_ *actor.Ctx[M], m M) { e.heard <- m }

// listenTo makes an actor of type M and the channel of what it gets.
func listenTo[M any](t testing.TB, w actor.World, room int) (actor.Child[M], chan M) {
	e := &ear[M]{make(chan M, room)}
	c := actor.Root(w, actor.Spec{Name: "ear"}, actor.Actor[M](e), func(actor.Exit) {})
	t.Cleanup(func() {
		c.Stop(nil)
		for {
			select {
			case <-e.heard: // let it go if it waits
			default:
				return
			}
		}
	})
	return c, e.heard
}

func newWorld(t testing.TB) *actor.Live {
	w := actor.NewLive(actor.LiveConfig{
		Workers: 4, // more than there are ears that wait
		Crash:   func(c *actor.Cell, v any, stack []byte) { t.Errorf("%v: %v\n%s", c, v, stack) },
		Flood:   func(c *actor.Cell, n, limit int) { t.Errorf("%v: %d messages wait, limit %d", c, n, limit) },
	})
	t.Cleanup(w.Close)
	return w
}

// node is a transport in a live world.
type node struct {
	t        testing.TB
	w        *actor.Live
	tr       transport.Transport
	slab     *block.Slab
	addr     netip.AddrPort
	accepted chan transport.Accepted
}

func newNode(t testing.TB, w *actor.Live, cfg Config) *node {
	n := &node{t: t, w: w, slab: block.NewSlab(4096 * block.Size)}
	if cfg.Env.Slab == nil {
		cfg.Env.Slab = n.slab
	} else {
		n.slab = cfg.Env.Slab
	}
	if cfg.Open == nil {
		cfg.Open = transport.NewNet(transport.NetConfig{})
	}
	n.tr = start(w, &seen{newMux(cfg)})
	t.Cleanup(n.tr.Close)
	return n
}

// seen is a mux that tests can look into.
type seen struct{ *mux }

type peek struct{ f func(*mux) }

func (peek) utpMsg() {}

func (s *seen) Handle(c *actor.Ctx[msg], m msg) {
	if p, ok := m.(peek); ok {
		p.f(s.mux)
		return
	}
	s.mux.Handle(c, m)
}

// look calls f on a turn of the mux.
func (n *node) look(f func(*mux)) {
	n.t.Helper()
	done := make(chan bool, 1)
	n.tr.(*handle).to.Tell(peek{func(x *mux) { f(x); done <- true }})
	waitFor(n.t, "a turn of the mux", done)
}

// links is how many connections the mux knows.
func (n *node) links() (count int) {
	n.look(func(x *mux) { count = len(x.all) })
	return count
}

// wantNothing: no connection, guest, packet or slot is left.
func (n *node) wantNothing() {
	n.t.Helper()
	eventually(n.t, "no connection is left", func() bool { return n.links() == 0 })
	n.look(func(x *mux) {
		if len(x.links)+x.porch.n+len(x.porch.hosts)+x.wheel.n+len(x.waiting)+x.porch.silent.Len()+x.porch.unverified.Len() > 0 {
			n.t.Errorf("left: %d links, %d guests of %d hosts, %d in the wheel, %d waiting",
				len(x.links), x.porch.n, len(x.porch.hosts), x.wheel.n, len(x.waiting))
		}
	})
	if n.slab.Used() > 0 {
		n.t.Errorf("%d slots are in use", n.slab.Used())
	}
}

func (n *node) listen(addr string) *node {
	n.t.Helper()
	a, heard := listenTo[transport.Accepted](n.t, n.w, 1024)
	n.accepted = heard
	l := n.tryListen(addr, a.Inlet)
	if l.Err != nil {
		n.t.Fatal(l.Err)
	}
	n.addr = l.Addr
	return n
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

func (n *node) dialLater(to netip.AddrPort, limit time.Duration) chan transport.Dialed {
	answer := make(chan transport.Dialed, 1)
	n.tr.Dial(transport.Dial{Addr: to, Timeout: limit, Reply: actor.FuncRef(func(d transport.Dialed) { answer <- d })})
	return answer
}

func (n *node) dial(to netip.AddrPort) transport.Dialed {
	n.t.Helper()
	return waitFor(n.t, "an answer to Dial", n.dialLater(to, 0))
}

// shake makes a connection from n to o: each has told the other its handshake. The
// links are not bound yet.
func (n *node) shake(o *node) (mine, theirs transport.Link) {
	n.t.Helper()
	d := n.dial(o.addr)
	if d.Err != nil {
		n.t.Fatal(d.Err)
	}
	sayHello(d.Link)
	a := waitFor(n.t, "a connection", o.accepted)
	if a.Handshake.InfoHash != hello().InfoHash {
		n.t.Errorf("accepted for %v", a.Handshake.InfoHash)
	}
	return d.Link, a.Link
}

func hello() *wire.Handshake {
	return &wire.Handshake{InfoHash: [20]byte{1, 2, 3}}
}

// end is one end of a connection: a link and what its peer has been told.
type end struct {
	t      testing.TB
	link   transport.Link
	slab   *block.Slab
	events chan transport.Event
	frames []transport.Frame // heard and not yet asked for
	hello  *wire.Handshake
	wire   int64
	sent   transport.Flushed // sums
	closed error
}

func (n *node) bind(l transport.Link) *end {
	a, heard := listenTo[transport.Event](n.t, n.w, 4)
	l.Bind(a.Inlet)
	return &end{t: n.t, link: l, slab: n.slab, events: heard}
}

// connect makes a connection of two bound ends that may send without limit.
func (n *node) connect(o *node) (*end, *end) {
	n.t.Helper()
	x, y := n.shake(o)
	a, b := n.bind(x), o.bind(y)
	a.link.Allow(transport.Unlimited)
	b.link.Allow(transport.Unlimited)
	sayHello(b.link)
	for a.hello == nil {
		a.hear("a handshake")
	}
	return a, b
}

// hear takes in one event.
func (e *end) hear(what string) {
	e.t.Helper()
	e.take(waitFor(e.t, what, e.events))
}

func (e *end) take(ev transport.Event) {
	if e.closed != nil {
		e.t.Errorf("%T after Closed", ev)
	}
	switch ev := ev.(type) {
	case *transport.Batch:
		if ev.Handshake != nil {
			e.hello = ev.Handshake
		}
		e.wire += ev.Wire
		for i := range ev.Frames {
			f := ev.Frames[i]
			f.Payload = append([]byte(nil), f.Payload...)
			f.Block = ev.Take(i)
			e.frames = append(e.frames, f)
		}
		ev.Release()
	case transport.Flushed:
		e.sent.Wire += ev.Wire
		e.sent.Payload += ev.Payload
		e.sent.Batches += ev.Batches
	case transport.Closed:
		e.closed = ev.Err
	}
}

// want takes the next frame and compares its message, as text.
func (e *end) want(text string) transport.Frame {
	e.t.Helper()
	for len(e.frames) == 0 {
		if e.closed != nil {
			e.t.Fatalf("want %q, but closed: %v", text, e.closed)
		}
		e.hear(text)
	}
	f := e.frames[0]
	e.frames = e.frames[1:]
	if got := show(f); got != text {
		e.t.Fatalf("got %q, want %q", got, text)
	}
	return f
}

func show(f transport.Frame) string {
	if f.ID != wire.Piece {
		return f.String()
	}
	if f.Block == nil {
		return fmt.Sprintf("piece %d %d+%d discarded", f.Index, f.Begin, f.Length)
	}
	return fmt.Sprintf("piece %d %d+%d", f.Index, f.Begin, f.Block.Len())
}

// wantClosed hears everything up to Closed, whose text must contain what.
func (e *end) wantClosed(what string) {
	e.t.Helper()
	for e.closed == nil {
		e.hear("Closed")
	}
	if !strings.Contains(e.closed.Error(), what) {
		e.t.Fatalf("closed with %q, want %q", e.closed, what)
	}
	for _, f := range e.frames {
		if f.Block != nil {
			f.Block.Release()
		}
	}
	e.frames = nil
	eventually(e.t, "every slot is back", func() bool { return e.slab.Used() == 0 })
}

func (e *end) send(m ...wire.Message) {
	b := transport.NewBatch()
	for _, m := range m {
		b.Add(m)
	}
	e.link.Send(b)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

func request(i int) wire.Message {
	return wire.Message{ID: wire.Request, Index: 7, Begin: uint32(i) * block.Size, Length: block.Size}
}

// pair is two nodes of one world.
func pair(t testing.TB) (a, b *node) {
	w := newWorld(t)
	return newNode(t, w, Config{}), newNode(t, w, Config{}).listen("127.0.0.1:0")
}
