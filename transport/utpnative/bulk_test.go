package utpnative

import (
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// trader fetches blocks from its remote, checks every byte, and serves the remote's
// requests.
type trader struct {
	t      testing.TB
	link   transport.Link
	slab   *block.Slab
	salt   byte // of what it serves
	theirs byte // of what the remote does
	total  int  // blocks that it wants

	asked, have int
	wanted      []wire.Message // by the remote
	unsent      int64
	done        func() // it has all
	closed      func(error)
}

// at is byte i of block n under a salt.
func at(salt byte, n, i int) byte { return salt + byte(n*7) + byte(i) ^ byte(i>>8) }

func (x *trader) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for i := range e.Frames {
			f := &e.Frames[i]
			switch f.ID {
			case wire.Request:
				x.wanted = append(x.wanted, f.Message)
			case wire.Piece:
				x.check(f)
			}
		}
		e.Release()
	case transport.Flushed:
		x.unsent -= e.Payload
	case transport.Closed:
		x.closed(e.Err)
		c.Quit(nil)
	}
}

func (x *trader) check(f *transport.Frame) {
	n := int(f.Index)
	if n != x.have || f.Block == nil || f.Block.Len() != block.Size {
		x.t.Errorf("block %d came as number %d: %v", n, x.have, f.Block)
		return
	}
	x.have++
	for i, v := range f.Block.Bytes() {
		if v != at(x.theirs, n, i) {
			x.t.Errorf("byte %d of block %d is %d", i, n, v)
			break
		}
	}
	if x.have == x.total {
		x.done()
	}
}

func (x *trader) Flush(*actor.Ctx[transport.Event]) {
	var b *transport.Batch
	batch := func() *transport.Batch {
		if b == nil {
			b = transport.NewBatch()
		}
		return b
	}
	for ; x.asked < min(x.total, x.have+64); x.asked++ {
		batch().Add(wire.Message{ID: wire.Request, Index: uint32(x.asked), Length: block.Size})
	}
	for len(x.wanted) > 0 && x.unsent < 512<<10 {
		blk := x.slab.Lease()
		if blk == nil {
			break
		}
		m := x.wanted[0]
		x.wanted = x.wanted[1:]
		for i, p := 0, blk.Bytes(); i < len(p); i++ {
			p[i] = at(x.salt, int(m.Index), i)
		}
		batch().AddPiece(wire.Message{ID: wire.Piece, Index: m.Index}, blk)
		x.unsent += block.Size
	}
	if b != nil {
		x.link.Send(b)
	}
}

// trade has both ends of a connection fetch so many blocks from each other.
func trade(t testing.TB, w actor.World, a, b transport.Link, slabA, slabB *block.Slab, blocks int, done func(), closed func(error)) (x, y *trader) {
	x = &trader{t: t, link: a, slab: slabA, salt: 1, theirs: 2, total: blocks, done: done, closed: closed}
	y = &trader{t: t, link: b, slab: slabB, salt: 2, theirs: 1, total: blocks, done: done, closed: closed}
	for _, p := range []*trader{x, y} {
		p.link.Allow(transport.Unlimited)
		p.link.Bind(actor.Root(w, actor.Spec{Name: "trader"}, actor.Actor[transport.Event](p), nil).Inlet)
	}
	return x, y
}

// tradeLive trades over a connection and closes it.
func tradeLive(t testing.TB, n, o *node, a, b transport.Link, blocks int) {
	t.Helper()
	done, closed := make(chan bool, 2), make(chan error, 2)
	trade(t, n.w, a, b, n.slab, o.slab, blocks,
		func() { done <- true }, func(err error) { closed <- err })
	for range 2 {
		select {
		case <-done:
		case err := <-closed:
			t.Fatal(err)
		}
	}
	a.Close(errBye)
	waitFor(t, "Closed", closed)
	waitFor(t, "Closed", closed)
	n.wantNothing()
	o.wantNothing()
}

// 64 MiB go each way at once, and every byte is right.
func TestBothWaysByteForByte(t *testing.T) {
	for _, offer := range []mse.Offer{0, mse.OfferRC4} {
		t.Run(offer.String(), func(t *testing.T) {
			blocks := 4096
			if offer != 0 {
				blocks = 1024
			}
			if raceEnabled {
				blocks = 256
			}
			w := newWorld(t)
			x := newNode(t, w, Config{})
			y := newNode(t, w, Config{Env: cryptEnv(mse.Allow, cryptHash)}).listen("127.0.0.1:0")
			d := x.dialEncrypted(y, offer, nil)
			if d.Err != nil {
				t.Fatal(d.Err)
			}
			sayHello(d.Link)
			a := waitFor(t, "a connection", y.accepted)
			sayHello(a.Link)
			tradeLive(t, x, y, d.Link, a.Link, blocks)
		})
	}
}
