package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

// patience bounds every wait of these tests; nothing that works comes near it.
const patience = 20 * time.Second

// ear is an actor that passes on what it hears. It waits when nobody listens, which
// is how these tests have a slow peer.
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
	})
	t.Cleanup(w.Close)
	return w
}

// end is one end of a connection: a link and what its peer has been told.
type end struct {
	t      testing.TB
	link   Link
	slab   *block.Slab
	events chan Event
	frames []Frame // heard and not yet asked for
	hello  *wire.Handshake
	got    Batch   // sums of Wire and Payload
	sent   Flushed // sums
	closed error
}

func newEnd(t testing.TB, w actor.World, c net.Conn, incoming bool, slots int) *end {
	slab := block.NewSlab(int64(slots) * block.Size)
	return bind(t, w, slab, NewConn(c, Info{Transport: "test", Remote: addrPortOf(c.RemoteAddr()), Incoming: incoming}, Env{Slab: slab}))
}

func bind(t testing.TB, w actor.World, slab *block.Slab, l Link) *end {
	a, heard := listenTo[Event](t, w, 4)
	l.Bind(a.Inlet)
	return &end{t: t, link: l, slab: slab, events: heard}
}

// hear takes in one event.
func (e *end) hear(what string) {
	e.t.Helper()
	select {
	case ev := <-e.events:
		e.take(ev)
	case <-time.After(patience):
		e.t.Fatalf("%s: nothing came", what)
	}
}

func (e *end) take(ev Event) {
	if e.closed != nil {
		e.t.Errorf("%T after Closed", ev)
	}
	switch ev := ev.(type) {
	case *Batch:
		if ev.Handshake != nil {
			e.hello = ev.Handshake
		}
		e.got.Wire += ev.Wire
		e.got.Payload += ev.Payload
		for i := range ev.Frames {
			f := ev.Frames[i]
			f.Payload = append([]byte(nil), f.Payload...)
			f.Block = ev.Take(i)
			e.frames = append(e.frames, f)
		}
		ev.Release()
	case Flushed:
		e.sent.Wire += ev.Wire
		e.sent.Payload += ev.Payload
		e.sent.Batches += ev.Batches
	case Closed:
		e.closed = ev.Err
	}
}

// want takes the next frame and compares its message, as text.
func (e *end) want(text string) Frame {
	e.t.Helper()
	for len(e.frames) == 0 {
		if e.closed != nil {
			e.t.Fatalf("want %q, but closed: %v", text, e.closed)
		}
		e.hear("want " + text)
	}
	f := e.frames[0]
	e.frames = e.frames[1:]
	if got := show(f); got != text {
		e.t.Fatalf("got %q, want %q", got, text)
	}
	return f
}

// show prints a frame with its block or the length of what has been discarded.
func show(f Frame) string {
	if f.ID != wire.Piece {
		return f.String()
	}
	if f.Block == nil {
		return fmt.Sprintf("piece %d %d+%d discarded", f.Index, f.Begin, f.Length)
	}
	if int(f.Length) != f.Block.Len() {
		return fmt.Sprintf("piece of %d in a block of %d", f.Length, f.Block.Len())
	}
	return fmt.Sprintf("piece %d %d+%d", f.Index, f.Begin, f.Length)
}

// wantClosed hears everything up to Closed, whose text must contain what.
func (e *end) wantClosed(what string) {
	e.t.Helper()
	for e.closed == nil {
		e.hear("want Closed")
	}
	if !strings.Contains(e.closed.Error(), what) {
		e.t.Fatalf("closed with %q, want %q", e.closed, what)
	}
	for i := range e.frames {
		e.frames[i].release()
	}
	e.frames = nil
	e.wantNoSlots()
}

// wantNoSlots: blocks are released just after they are written, or with the link.
func (e *end) wantNoSlots() {
	e.t.Helper()
	for range 1000 {
		if e.slab.Used() == 0 {
			return
		}
		runtime.Gosched()
	}
	eventually(e.t, "every slot is back", func() bool { return e.slab.Used() == 0 })
}

func (e *end) send(m ...wire.Message) {
	b := NewBatch()
	for _, m := range m {
		b.Add(m)
	}
	e.link.Send(b)
}

// sendPieces sends n whole blocks of piece 7 in one batch; each is filled with its number.
func (e *end) sendPieces(n int) {
	b := NewBatch()
	for i := range n {
		blk := e.slab.LeaseWait(nil)
		fill(blk.Bytes(), byte(i))
		b.AddPiece(wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i) * block.Size, Length: block.Size}, blk)
	}
	e.link.Send(b)
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func request(i int) wire.Message {
	return wire.Message{ID: wire.Request, Index: 7, Begin: uint32(i) * block.Size, Length: block.Size}
}

func requestsOf(n int) (out []wire.Message) {
	for i := range n {
		out = append(out, request(i))
	}
	return out
}

// piece is the bytes of a Piece as a remote writes it.
func piece(index, begin uint32, data []byte) []byte {
	return append(wire.AppendPieceHeader(nil, index, begin, uint32(len(data))), data...)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// tcpPair connects two sockets over loopback, as the transport makes them.
func tcpPair(t testing.TB) (a, b net.Conn) {
	n := NewNet(NetConfig{})
	l, err := n.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = n.DialContext(context.Background(), "tcp", l.Addr().String(), FromUser); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// pairs are the kinds of connection that every dialogue is held over.
var pairs = map[string]func(testing.TB) (a, b net.Conn){
	"tcp": tcpPair,
	"pipe": func(t testing.TB) (net.Conn, net.Conn) {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b
	},
}

func overEach(t *testing.T, f func(t *testing.T, a, b net.Conn)) {
	for name, pair := range pairs {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			f(t, a, b)
		})
	}
}

// rawSend writes for a remote without a link, as long as it is read.
func rawSend(c net.Conn, parts ...[]byte) bool {
	for _, p := range parts {
		if _, err := c.Write(p); err != nil {
			return false
		}
	}
	return true
}

func drainTo(c net.Conn, w io.Writer) { _, _ = io.Copy(w, c) }

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}
