package sim

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// netEnd is an actor at one end of a connection: it notes what it hears, and when.
type netEnd struct {
	link   transport.Link
	slab   *block.Slab
	keep   bool // blocks are not released
	hello  *wire.Handshake
	frames []string
	times  []clock.Time // of frames
	blocks []*block.Block
	wire   int64
	pay    int64
	sent   transport.Flushed
	closed error
	at     clock.Time // of closed
}

func (e *netEnd) Handle(c *actor.Ctx[transport.Event], ev transport.Event) {
	if e.closed != nil {
		panic(fmt.Sprintf("%T after Closed", ev))
	}
	switch ev := ev.(type) {
	case *transport.Batch:
		e.batch(c, ev)
	case transport.Flushed:
		e.sent.Wire += ev.Wire
		e.sent.Payload += ev.Payload
		e.sent.Batches += ev.Batches
	case transport.Closed:
		e.closed, e.at = ev.Err, c.Now()
	}
	if b, ok := ev.(*transport.Batch); ok {
		b.Release()
	}
}

func (e *netEnd) batch(c *actor.Ctx[transport.Event], b *transport.Batch) {
	if b.Handshake != nil {
		e.hello = b.Handshake
	}
	e.wire += b.Wire
	e.pay += b.Payload
	for i := range b.Frames {
		f := &b.Frames[i]
		text := f.Message.String()
		if f.ID == wire.Piece {
			text = fmt.Sprintf("piece %d %d+%d", f.Index, f.Begin, f.Length)
			if f.Block == nil {
				text += " discarded"
			}
		}
		e.frames = append(e.frames, text)
		e.times = append(e.times, c.Now())
		if f.Block != nil && e.keep {
			e.blocks = append(e.blocks, b.Take(i))
		}
	}
}

// netTest is a world with a network.
type netTest struct {
	t *testing.T
	w *World
	n *Network
}

func newNetTest(t *testing.T, cfg NetConfig) *netTest {
	w := NewWorld(Config{Seed: 7})
	return &netTest{t, w, NewNetwork(w, cfg)}
}

// run lets d pass, and fails with the world.
func (nt *netTest) run(d clock.Duration) {
	nt.t.Helper()
	nt.w.Run(nt.w.Now().Add(d))
	if err := nt.w.Err(); err != nil {
		nt.t.Fatal(err)
	}
}

func (nt *netTest) bind(l transport.Link, slab *block.Slab) *netEnd {
	e := &netEnd{link: l, slab: slab}
	a := actor.Root(nt.w, actor.Spec{Name: "end"}, actor.Actor[transport.Event](e), func(actor.Exit) {})
	l.Bind(a.Inlet)
	return e
}

const port = 6881

// listen makes a host accept connections; each is bound as it comes.
func (nt *netTest) listen(h *Host, slab *block.Slab) (*[]*netEnd, transport.Transport) {
	nt.t.Helper()
	var ends []*netEnd
	acceptor := handlerFunc[transport.Accepted](func(a transport.Accepted) {
		e := nt.bind(a.Link, slab)
		h := a.Handshake // not a pointer into a: that would keep the link
		e.hello = &h
		ends = append(ends, e)
	})
	in := actor.Root(nt.w, actor.Spec{Name: "acceptor"}, actor.Actor[transport.Accepted](acceptor), func(actor.Exit) {}).Inlet
	tr := nt.n.Transport(h, transport.Env{Slab: slab})
	tr.Listen(netip.AddrPortFrom(netip.Addr{}, port), in, actor.FuncRef(func(l transport.Listening) {
		if l.Err != nil || l.Addr.Port() != port {
			nt.t.Errorf("listening: %+v", l)
		}
	}))
	return &ends, tr
}

type handlerFunc[M any] func(M)

func (f handlerFunc[M]) Handle(_ *actor.Ctx[M], m M) { f(m) }

var netHello = wire.Handshake{InfoHash: [20]byte{1}}

// connect dials and shakes hands; it returns both ends, without grants.
func (nt *netTest) connect(a, b *Host, slabA, slabB *block.Slab) (x, y *netEnd) {
	nt.t.Helper()
	ends, tr := nt.listen(b, slabB)
	defer func() { tr.Close() }()
	nt.n.Transport(a, transport.Env{Slab: slabA}).Dial(transport.Dial{
		Addr: netip.AddrPortFrom(b.Addr(), port),
		Reply: actor.FuncRef(func(d transport.Dialed) {
			if d.Err != nil {
				nt.t.Error(d.Err)
				return
			}
			x = nt.bind(d.Link, slabA)
			first := transport.NewBatch()
			first.Handshake = &netHello
			x.link.Send(first)
		}),
	})
	until := nt.w.Now().Add(time.Minute)
	nt.w.RunUntil(until, func() bool { return len(*ends) > 0 })
	if x == nil || len(*ends) != 1 {
		nt.t.Fatal("no connection")
	}
	y = (*ends)[0]
	if *y.hello != netHello {
		nt.t.Fatalf("handshake %v", y.hello)
	}
	x.sent, y.sent = transport.Flushed{}, transport.Flushed{}
	first := transport.NewBatch()
	first.Handshake = &netHello
	y.link.Send(first)
	x.link.Allow(wire.HandshakeLen)
	nt.w.RunUntil(until, func() bool { return x.hello != nil })
	x.wire, y.sent = 0, transport.Flushed{}
	return x, y
}

func (e *netEnd) send(m ...wire.Message) {
	b := transport.NewBatch()
	for _, m := range m {
		b.Add(m)
	}
	e.link.Send(b)
}

// sendPieces sends n blocks, one batch each.
func (e *netEnd) sendPieces(n int) {
	for i := range n {
		b := transport.NewBatch()
		blk := e.slab.Lease()
		blk.Mark = uint64(i)
		b.AddPiece(wire.Message{ID: wire.Piece, Index: uint32(i)}, blk)
		e.link.Send(b)
	}
}

func (e *netEnd) askFor(n int) {
	b := transport.NewBatch()
	for i := range n {
		b.Add(wire.Message{ID: wire.Request, Index: uint32(i), Length: block.Size})
	}
	e.link.Send(b)
}

func slabs(n int) (a, b *block.Slab) {
	return block.NewPhantomSlab(int64(n) * block.Size), block.NewPhantomSlab(int64(n) * block.Size)
}

// within reports whether got is want, but for percent.
func within(got, want int64, percent int64) bool {
	return got*100 >= want*(100-percent) && got*100 <= want*(100+percent)
}

const pieceWire = wire.PieceHeaderLen + block.Size

// A message takes its time in both access links and on the way, to the nanosecond.
func TestNetLatencyIsExact(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 40 * time.Millisecond})
	a := nt.n.Host(HostConfig{Up: 1_000_000, Down: 1_000_000, Access: 3 * time.Millisecond, X: 3000})
	b := nt.n.Host(HostConfig{Up: 1_000_000, Down: 500_000, Access: 4 * time.Millisecond, Y: 4000})
	sa, sb := slabs(16)
	x, y := nt.connect(a, b, sa, sb)
	if l := nt.n.Latency(a, b); l != 52*time.Millisecond {
		t.Fatalf("latency %v: 40 + 3 + 4 + the hypotenuse of 3 and 4", l)
	}
	y.link.Allow(transport.Unlimited)
	began := nt.w.Now()
	x.send(wire.Message{ID: wire.Have, Index: 1}) // 9 bytes
	nt.run(time.Second)
	want := 9*time.Microsecond + 52*time.Millisecond + 18*time.Microsecond
	if len(y.times) != 1 || y.times[0].Sub(began) != want {
		t.Fatalf("arrived after %v, want %v", y.times[0].Sub(began), want)
	}
	if x.sent != (transport.Flushed{Wire: 9 + 68, Batches: 2}) && x.sent != (transport.Flushed{Wire: 9, Batches: 1}) {
		t.Errorf("flushed %+v", x.sent)
	}
}

// pump keeps a link busy: n blocks queued at once.
func (nt *netTest) pump(x, y *netEnd, n int) {
	y.askFor(n)
	y.link.Allow(transport.Unlimited)
	x.link.Allow(transport.Unlimited)
	x.sendPieces(n)
}

func TestNetRatesAreHeld(t *testing.T) {
	for _, c := range []struct{ up, down int64 }{
		{125_000, 0}, {0, 125_000}, {1_000_000, 10_000_000}, {10_000_000, 1_000_000}, {20_000_000, 20_000_000},
	} {
		t.Run(fmt.Sprintf("%d to %d", c.up, c.down), func(t *testing.T) {
			nt := newNetTest(t, NetConfig{Latency: 50 * time.Millisecond})
			a, b := nt.n.Host(HostConfig{Up: c.up}), nt.n.Host(HostConfig{Down: c.down})
			sa, sb := slabs(32768)
			x, y := nt.connect(a, b, sa, sb)
			rate := max(c.up, c.down)
			if c.up > 0 && c.down > 0 {
				rate = min(c.up, c.down)
			}
			nt.pump(x, y, int(max(rate*6/block.Size, 200)))
			nt.run(3 * time.Second) // the window has opened
			from, began := y.wire, nt.w.Now()
			d := 2 * time.Second
			nt.run(d)
			if got, want := y.wire-from, rate*int64(nt.w.Now().Sub(began))/int64(time.Second); !within(got, want, 2) && max(got-want, want-got) > pieceWire {
				t.Errorf("%d bytes in %v, want %d", got, d, want)
			}
		})
	}
}

// shares runs connections from each of the first hosts to each of the second and
// returns what each carried in 60 s, after 10.
func (nt *netTest) shares(from, to []*Host) (got []int64) {
	var ends []*netEnd
	for _, a := range from {
		for _, b := range to {
			sa, sb := slabs(8192)
			x, y := nt.connect(a, b, sa, sb)
			nt.pump(x, y, 2500)
			ends = append(ends, y)
		}
	}
	nt.run(10 * time.Second)
	for _, y := range ends {
		got = append(got, -y.wire)
	}
	nt.run(time.Minute)
	for i, y := range ends {
		got[i] += y.wire
	}
	return got
}

func TestNetUplinkIsSharedFairly(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 30 * time.Millisecond})
	a := nt.n.Host(HostConfig{Up: 300_000})
	to := []*Host{nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{Access: 200 * time.Millisecond}), nt.n.Host(HostConfig{Down: 5_000_000})}
	for i, got := range nt.shares([]*Host{a}, to) {
		if want := int64(100_000 * 60); !within(got, want, 2) {
			t.Errorf("connection %d carried %d, want %d", i, got, want)
		}
	}
}

func TestNetDownlinkIsSharedFairly(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 30 * time.Millisecond})
	b := nt.n.Host(HostConfig{Down: 300_000})
	from := []*Host{nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{Access: 200 * time.Millisecond}), nt.n.Host(HostConfig{Up: 5_000_000})}
	for i, got := range nt.shares(from, []*Host{b}) {
		if want := int64(100_000 * 60); !within(got, want, 2) {
			t.Errorf("connection %d carried %d, want %d", i, got, want)
		}
	}
}

// What one receiver can't take, the others get: shares are max-min fair.
func TestNetUnusedShareGoesToOthers(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 30 * time.Millisecond})
	a := nt.n.Host(HostConfig{Up: 500_000})
	to := []*Host{nt.n.Host(HostConfig{Down: 100_000}), nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})}
	got := nt.shares([]*Host{a}, to)
	for i, want := range []int64{100_000, 200_000, 200_000} {
		if !within(got[i], want*60, 3) {
			t.Errorf("connection %d carried %d, want %d", i, got[i], want*60)
		}
	}
}

// A small message does not wait behind another connection's blocks.
func TestNetSmallMessagesGoFirst(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 10 * time.Millisecond})
	a := nt.n.Host(HostConfig{Up: 100_000})
	b, c := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	sa, sb := slabs(512)
	x, y := nt.connect(a, b, sa, sb)
	x2, y2 := nt.connect(a, c, sa, sb)
	y2.link.Allow(transport.Unlimited)
	nt.pump(x, y, 100)
	nt.run(5 * time.Second)
	began := nt.w.Now()
	x2.send(wire.Message{ID: wire.Unchoke})
	nt.run(time.Second)
	block := clock.Duration(pieceWire * int64(time.Second) / 100_000)
	if took := y2.times[0].Sub(began); took > block+11*time.Millisecond {
		t.Errorf("took %v, more than the block that was in the pipe, %v", took, block)
	}
}

func TestNetDialogue(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 20 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	sa, sb := block.NewSlab(32*block.Size), block.NewSlab(32*block.Size)
	x, y := nt.connect(a, b, sa, sb)
	x.link.Allow(transport.Unlimited)
	y.link.Allow(transport.Unlimited)
	y.keep = true
	y.askFor(2)
	batch := transport.NewBatch()
	batch.Add(wire.Message{ID: wire.Bitfield, Payload: []byte{1, 2, 3}})
	for i := range 2 {
		blk := x.slab.Lease()
		blk.SetLen(1000 * (i + 1))
		copy(blk.Bytes(), strings.Repeat(string(rune('a'+i)), 2000))
		batch.AddPiece(wire.Message{ID: wire.Piece, Index: 9, Begin: uint32(i)}, blk)
	}
	unasked := x.slab.Lease()
	batch.AddPiece(wire.Message{ID: wire.Piece, Index: 10}, unasked)
	batch.Add(wire.Message{ID: wire.KeepAlive})
	batch.Add(wire.ExtendedMessage(1, []byte("hello")))
	x.link.Send(batch)
	nt.run(time.Second)
	want := []string{"bitfield, 3 bytes", "piece 9 0+1000", "piece 9 1+2000", "piece 10 0+16384 discarded", "keep-alive", "extended 1, 5 bytes"}
	if got := strings.Join(y.frames, "; "); got != strings.Join(want, "; ") {
		t.Errorf("got %s", got)
	}
	if len(y.blocks) == 2 && string(y.blocks[1].Bytes()) != strings.Repeat("b", 2000) {
		t.Errorf("the block holds %.20q", y.blocks[1].Bytes())
	}
	pay := int64(1000 + 2000 + block.Size)
	total := pay + 3*wire.PieceHeaderLen + 8 + 4 + 11
	if y.wire != total || y.pay != pay {
		t.Errorf("received %d, %d of payload, want %d, %d", y.wire, y.pay, total, pay)
	}
	if x.sent.Wire < total || x.sent.Payload != pay {
		t.Errorf("flushed %+v", x.sent)
	}
	if sa.Used() != 0 || sb.Used() != 2 {
		t.Errorf("slots in use: %d, %d", sa.Used(), sb.Used())
	}
	for _, blk := range y.blocks {
		blk.Release()
	}
}

func TestNetMarksTravelWithPhantoms(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: time.Millisecond})
	sa, sb := slabs(64)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	y.keep = true
	nt.pump(x, y, 40)
	nt.run(time.Second)
	if len(y.blocks) != 40 || sa.Used() != 0 || sb.Used() != 40 {
		t.Fatalf("%d blocks; slots %d, %d", len(y.blocks), sa.Used(), sb.Used())
	}
	for i, b := range y.blocks {
		if b.Mark != uint64(i) || b.Len() != block.Size {
			t.Errorf("block %d: mark %d, length %d", i, b.Mark, b.Len())
		}
		b.Release()
	}
}

// A link delivers exactly what it has been granted, and the rest waits with the sender.
func TestNetAllowIsExact(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 10 * time.Millisecond})
	sa, sb := slabs(1024)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	y.askFor(500)
	x.link.Allow(transport.Unlimited)
	x.sendPieces(500)
	granted := int64(0)
	for _, n := range []int64{1, 12, 1, 16383, 1, 5, 100_000, 3 * pieceWire} {
		nt.run(time.Second)
		y.link.Allow(n)
		if granted += n; y.wire != granted-n {
			t.Fatalf("received %d, granted %d", y.wire, granted-n)
		}
		nt.run(time.Second)
		if y.wire != granted {
			t.Fatalf("received %d, granted %d", y.wire, granted)
		}
		blocks := y.wire / pieceWire
		pay := blocks*block.Size + max(y.wire%pieceWire-wire.PieceHeaderLen, 0)
		if int64(len(y.frames)) != blocks || y.pay != pay {
			t.Errorf("after %d bytes: %d frames, %d of payload; want %d, %d", y.wire, len(y.frames), y.pay, blocks, pay)
		}
	}
	if x.sent.Wire > granted+4*firstWindow {
		t.Errorf("%d bytes left the sender, %d could be read", x.sent.Wire, granted)
	}
	y.link.Allow(transport.Unlimited)
	y.link.Allow(0)
	y.link.Allow(7)
	nt.run(time.Second)
	if y.wire != granted+7 {
		t.Errorf("a standing grant that was taken back let %d bytes in", y.wire-granted-7)
	}
	y.link.Allow(transport.Unlimited)
	nt.run(10 * time.Second)
	if len(y.frames) != 500 || y.pay != 500*block.Size || x.sent.Batches < 500 {
		t.Errorf("%d frames of 500, %d batches answered", len(y.frames), x.sent.Batches)
	}
}

func TestNetWaitsForSlots(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: time.Millisecond})
	sa, _ := slabs(64)
	_, sb := slabs(3)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	y.keep = true
	nt.pump(x, y, 10)
	for range 4 {
		nt.run(time.Second)
		if len(y.frames) < 10 && sb.Used() != 3 {
			t.Fatalf("%d frames, %d slots", len(y.frames), sb.Used())
		}
		for _, b := range y.blocks {
			b.Release()
		}
		y.blocks = nil
	}
	nt.run(time.Second)
	if len(y.frames) != 10 {
		t.Errorf("%d blocks came", len(y.frames))
	}
}

// Everything at one instant: more than a mailbox lets pumps put in.
func TestNetWithoutLimits(t *testing.T) {
	nt := newNetTest(t, NetConfig{})
	sa, sb := slabs(256)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	nt.pump(x, y, 200)
	nt.run(time.Second)
	if len(y.frames) != 200 || x.sent.Payload != 200*block.Size {
		t.Errorf("%d blocks came, %+v sent", len(y.frames), x.sent)
	}
	for i, f := range y.frames {
		if want := fmt.Sprintf("piece %d 0+16384", i); f != want {
			t.Fatalf("frame %d is %s, want %s", i, f, want)
		}
	}
}

func TestNetClose(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 100 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{Up: 100_000}), nt.n.Host(HostConfig{})
	sa, sb := slabs(64)
	x, y := nt.connect(a, b, sa, sb)
	nt.pump(x, y, 20)
	nt.run(time.Second)
	began := nt.w.Now()
	reason := errors.New("enough")
	x.link.Close(reason)
	x.link.Close(errors.New("again"))
	x.sendPieces(1) // too late
	nt.run(5 * time.Second)
	if !errors.Is(x.closed, reason) || x.at != began {
		t.Errorf("we closed: %v at %v, want %v at %v", x.closed, x.at, reason, began)
	}
	// The block that was in the pipe is cut short.
	if !errors.Is(y.closed, io.ErrUnexpectedEOF) && !errors.Is(y.closed, io.EOF) {
		t.Errorf("the other side heard %v", y.closed)
	}
	if d := y.at.Sub(began); d < 100*time.Millisecond || d > 300*time.Millisecond {
		t.Errorf("the other side heard it after %v", d)
	}
	if sa.Used() != 0 || sb.Used() != 0 {
		t.Errorf("slots in use: %d, %d", sa.Used(), sb.Used())
	}
	if nt.n.Connections() != 0 {
		t.Errorf("%d connections stand", nt.n.Connections())
	}
}

func TestNetCloseInGoodOrder(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 100 * time.Millisecond})
	sa, sb := slabs(64)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	y.link.Allow(transport.Unlimited)
	x.send(wire.Message{ID: wire.Unchoke})
	nt.run(time.Second)
	x.link.Close(nil)
	began := nt.w.Now()
	nt.run(time.Second)
	if !errors.Is(y.closed, io.EOF) || y.at.Sub(began) != 100*time.Millisecond {
		t.Errorf("%v after %v", y.closed, y.at.Sub(began))
	}
}

// Whoever sends to a closed socket is told, even if it may not read.
func TestNetResetAfterClose(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 100 * time.Millisecond})
	sa, sb := slabs(64)
	x, y := nt.connect(nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), sa, sb)
	x.link.Close(nil)
	nt.run(time.Second)
	if y.closed != nil {
		t.Fatal("without a grant nothing is read, the end neither")
	}
	began := nt.w.Now()
	y.sendPieces(3)
	nt.run(time.Second)
	if y.closed == nil || !strings.Contains(y.closed.Error(), "network: connection reset") || y.at.Sub(began) != 200*time.Millisecond {
		t.Errorf("%v after %v", y.closed, y.at.Sub(began))
	}
	if sb.Used() != 0 {
		t.Errorf("slots in use: %d", sb.Used())
	}
}

func TestNetCutAndLifetime(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 10 * time.Millisecond, Lifetime: time.Minute})
	a, b, c := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	sa, sb := slabs(64)
	x, y := nt.connect(a, b, sa, sb)
	u, v := nt.connect(a, c, sa, sb)
	nt.n.Cut(b, a)
	nt.run(time.Millisecond)
	for _, e := range []*netEnd{x, y} {
		if e.closed == nil || !strings.Contains(e.closed.Error(), "network: connection timed out") {
			t.Errorf("cut: %v", e.closed)
		}
	}
	if u.closed != nil || nt.n.Connections() != 1 {
		t.Error("the other connection must stand")
	}
	nt.run(2 * time.Minute)
	if u.closed == nil || v.closed == nil || nt.n.Connections() != 0 {
		t.Errorf("nothing lasts for more than twice the mean: %v, %v", u.closed, v.closed)
	}
}

func TestNetOfflineStandsStill(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 10 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{Up: 100_000}), nt.n.Host(HostConfig{})
	sa, sb := slabs(256)
	x, y := nt.connect(a, b, sa, sb)
	nt.pump(x, y, 100)
	nt.run(5 * time.Second)
	b.SetOnline(false)
	got := y.wire
	nt.run(time.Minute)
	if y.wire != got || y.closed != nil || x.closed != nil {
		t.Errorf("%d bytes came, %v, %v", y.wire-got, x.closed, y.closed)
	}
	b.SetOnline(true)
	nt.run(time.Minute)
	if len(y.frames) != 100 {
		t.Errorf("%d of 100 blocks came in the end", len(y.frames))
	}
}

func TestNetDials(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 25 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	natted, gone := nt.n.Host(HostConfig{Unreachable: true}), nt.n.Host(HostConfig{})
	slab, _ := slabs(1)
	for _, h := range []*Host{b, natted, gone} {
		nt.listen(h, slab)
	}
	gone.SetOnline(false)
	tr := nt.n.Transport(a, transport.Env{Slab: slab})
	for name, c := range map[string]struct {
		addr   netip.AddrPort
		origin transport.Origin
		err    string
		after  clock.Duration
	}{
		"listener":     {netip.AddrPortFrom(b.Addr(), port), transport.FromPeer, "", 50 * time.Millisecond},
		"no listener":  {netip.AddrPortFrom(b.Addr(), port+1), transport.FromPeer, "connection refused", 50 * time.Millisecond},
		"behind a NAT": {netip.AddrPortFrom(natted.Addr(), port), transport.FromPeer, "deadline exceeded", 10 * time.Second},
		"offline":      {netip.AddrPortFrom(gone.Addr(), port), transport.FromPeer, "deadline exceeded", 10 * time.Second},
		"nobody there": {netip.MustParseAddrPort("99.1.2.3:6881"), transport.FromPeer, "deadline exceeded", 10 * time.Second},
		"policy":       {netip.MustParseAddrPort("10.0.0.1:6881"), transport.FromPeer, "private address, named by a peer", 0},
		"ourselves":    {netip.AddrPortFrom(a.Addr(), port), transport.FromPeer, "it is this machine", 0},
	} {
		answers, began, at := 0, nt.w.Now(), clock.Time(0)
		var got transport.Dialed
		tr.Dial(transport.Dial{Addr: c.addr, Origin: c.origin, Reply: actor.FuncRef(func(d transport.Dialed) {
			answers++
			got, at = d, nt.w.Now()
		})})
		nt.run(time.Minute)
		switch {
		case answers != 1 || at.Sub(began) != c.after:
			t.Errorf("%s: %d answers, after %v", name, answers, at.Sub(began))
		case c.err == "" && (got.Err != nil || got.Link == nil || got.Addr != c.addr):
			t.Errorf("%s: %+v", name, got)
		case c.err != "" && (got.Link != nil || got.Err == nil || !strings.Contains(got.Err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", name, got.Err, c.err)
		}
		got.Drop()
	}
}

func TestNetTransportClose(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 25 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	slab, _ := slabs(1)
	_, listening := nt.listen(b, slab)
	tr := nt.n.Transport(a, transport.Env{Slab: slab})
	var got []error
	dial := func() {
		tr.Dial(transport.Dial{Addr: netip.AddrPortFrom(b.Addr(), port), Reply: actor.FuncRef(func(d transport.Dialed) { got = append(got, d.Err) })})
	}
	dial()
	nt.run(30 * time.Millisecond) // the other side knows of it
	tr.Close()
	dial()
	listening.Close()
	nt.run(time.Minute)
	if len(got) != 2 || !errors.Is(got[0], transport.ErrClosed) || !errors.Is(got[1], transport.ErrClosed) {
		t.Errorf("answers: %v", got)
	}
	if nt.n.Connections() != 0 {
		t.Errorf("%d connections stand", nt.n.Connections())
	}
	tr.Listen(netip.AddrPort{}, actor.Inlet[transport.Accepted]{}, actor.FuncRef(func(l transport.Listening) { got = append(got, l.Err) }))
	if !errors.Is(got[2], transport.ErrClosed) {
		t.Errorf("listening after Close: %v", got[2])
	}
}

func TestNetPorts(t *testing.T) {
	nt := newNetTest(t, NetConfig{})
	h := nt.n.Host(HostConfig{})
	tr := nt.n.Transport(h, transport.Env{})
	listen := func(p uint16) (got transport.Listening) {
		tr.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), p), actor.Inlet[transport.Accepted]{}, actor.FuncRef(func(l transport.Listening) { got = l }))
		return got
	}
	if l := listen(port); l.Err != nil || l.Addr.Port() != port {
		t.Error(l)
	}
	if l := listen(port); l.Err == nil {
		t.Error("one port, two listeners")
	}
	x, y := listen(0), listen(0)
	if x.Err != nil || y.Err != nil || x.Addr.Port() == y.Addr.Port() || x.Addr.Port() == 0 {
		t.Errorf("any port: %v, %v", x, y)
	}
}

// Who does not shake hands is closed, at the latest when its place is needed.
func TestNetPorch(t *testing.T) {
	nt := newNetTest(t, NetConfig{Latency: 25 * time.Millisecond})
	a, b := nt.n.Host(HostConfig{}), nt.n.Host(HostConfig{})
	slab, _ := slabs(1)
	accepted := handlerFunc[transport.Accepted](func(a transport.Accepted) { t.Error("accepted without a handshake") })
	in := actor.Root(nt.w, actor.Spec{Name: "acceptor"}, actor.Actor[transport.Accepted](accepted), func(actor.Exit) {}).Inlet
	nt.n.Transport(b, transport.Env{Slab: slab, MaxHalfOpen: 2}).Listen(netip.AddrPortFrom(netip.Addr{}, port), in, actor.FuncRef(func(transport.Listening) {}))
	tr := nt.n.Transport(a, transport.Env{Slab: slab})
	var ends []*netEnd
	for range 3 {
		tr.Dial(transport.Dial{Addr: netip.AddrPortFrom(b.Addr(), port), Reply: actor.FuncRef(func(d transport.Dialed) {
			e := nt.bind(d.Link, slab)
			e.link.Allow(transport.Unlimited)
			ends = append(ends, e)
		})})
		nt.run(time.Second)
	}
	if ends[0].closed == nil || ends[1].closed != nil || ends[2].closed != nil {
		t.Errorf("the oldest makes room: %v, %v, %v", ends[0].closed, ends[1].closed, ends[2].closed)
	}
	ends[2].send(wire.Message{ID: wire.Bitfield, Payload: make([]byte, 100)}) // no handshake
	nt.run(time.Second)
	if ends[2].closed == nil {
		t.Error("who speaks before its handshake is closed")
	}
	nt.run(10 * time.Second)
	if ends[1].closed == nil || !strings.Contains(ends[1].closed.Error(), "without a handshake") {
		t.Errorf("after 10 s: %v", ends[1].closed)
	}
}

// swarmHash runs a few connections with everything random and returns the event hash.
func swarmHash(t *testing.T, seed uint64, order Order) uint64 {
	w := NewWorld(Config{Seed: seed, Order: order})
	nt := &netTest{t, w, NewNetwork(w, NetConfig{Latency: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Lifetime: 30 * time.Second})}
	var hosts []*Host
	for i := range 6 {
		hosts = append(hosts, nt.n.Host(HostConfig{Up: 100_000 * int64(i+1), Down: 400_000, X: int64(i * 1000)}))
	}
	for i, a := range hosts {
		for _, b := range hosts[:i] {
			sa, sb := slabs(512)
			x, y := nt.connect(a, b, sa, sb)
			nt.pump(x, y, 60)
			nt.pump(y, x, 30)
		}
	}
	nt.run(2 * time.Minute)
	if c := nt.n.Connections(); c != 0 {
		t.Errorf("%d connections stand", c)
	}
	return w.Hash()
}

func TestNetSameSeedSameRun(t *testing.T) {
	for _, order := range []Order{FIFO, Shuffle} {
		seen := map[uint64]bool{}
		for seed := range uint64(4) {
			h := swarmHash(t, seed, order)
			if again := swarmHash(t, seed, order); again != h {
				t.Errorf("seed %d: %x, then %x", seed, h, again)
			}
			seen[h] = true
		}
		if len(seen) != 4 {
			t.Errorf("4 seeds gave %d runs", len(seen))
		}
	}
}
