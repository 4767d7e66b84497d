package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

// endless is a remote that writes as much as is taken, and counts it.
func endless(c net.Conn, written *atomic.Int64) {
	data := piece(7, 0, make([]byte, block.Size))
	for {
		n, err := c.Write(data)
		written.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// "Allow grants n more bytes to be received": exactly, whatever the sizes.
func TestAllowIsExact(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		x := newEnd(t, newWorld(t), a, true, 64)
		var written atomic.Int64
		go endless(b, &written)
		granted := int64(0)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int64{1, 511, 512, 513, 1, scratchSize, scratchSize + 1, 3 * scratchSize, rng.Int64N(1 << 20), rng.Int64N(1000) + 1} {
			granted += n
			x.link.Allow(n)
			for x.got.Wire < granted {
				x.hear("want what was granted")
			}
			if x.got.Wire > granted {
				t.Fatalf("received %d, granted %d", x.got.Wire, granted)
			}
		}
		x.link.Close(nil)
		x.wantClosed("")
		if x.got.Wire != granted {
			t.Errorf("received %d in the end, granted %d", x.got.Wire, granted)
		}
	})
}

// The same in a bubble, where it can be seen that nothing more comes.
func TestAllowStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := net.Pipe()
		x := newEnd(t, w, a, true, 64)
		var written atomic.Int64
		go endless(b, &written)
		synctest.Wait()
		if written.Load() != 0 {
			t.Errorf("%d bytes were read without a grant", written.Load())
		}
		grant := func(n, want int64) {
			t.Helper()
			x.link.Allow(n)
			synctest.Wait()
			for len(x.events) > 0 {
				x.hear("")
				synctest.Wait()
			}
			if x.got.Wire != want {
				t.Fatalf("after Allow(%d): received %d, want %d", n, x.got.Wire, want)
			}
		}
		grant(1000, 1000)
		grant(100_000, 101_000)
		grant(0, 101_000)
		grant(-5, 101_000)
		grant(1, 101_001)
		x.link.Close(nil)
		x.wantClosed("")
	})
}

// What a standing grant let in after it was taken back counts against the next one.
func TestTakenBackGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := net.Pipe()
		x := newEnd(t, w, a, true, 64)
		x.link.Allow(Unlimited)
		synctest.Wait() // the reader waits in Read by now
		x.link.Allow(0)
		var written atomic.Int64
		go endless(b, &written)
		synctest.Wait()
		late := written.Load()
		if late > plainBuf {
			t.Errorf("%d bytes were read after the grant was taken back", late)
		}
		x.link.Allow(5000)
		synctest.Wait()
		for len(x.events) > 0 {
			x.hear("")
			synctest.Wait()
		}
		if x.got.Wire != 5000 {
			t.Errorf("received %d, granted 5000", x.got.Wire)
		}
		x.link.Close(nil)
		x.wantClosed("")
	})
}

// A peer that does not read its mail stops the remote: what is on the way is bounded.
func TestSlowPeerStopsTheRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := net.Pipe()
		x := newEnd(t, w, a, true, 1024)
		x.link.Allow(Unlimited)
		for range 4 {
			x.send(requestsOf(500)...) // its credit is bounded, too
		}
		go drainTo(b, io.Discard)
		var written atomic.Int64
		go endless(b, &written)
		synctest.Wait()
		// 8 in the mailbox, those that the ear holds, one in the making.
		most := int64(8+1+cap(x.events)+2) * (fullPayload + scratchSize)
		if n := written.Load(); n > most || n < 8*block.Size {
			t.Errorf("%d bytes were read for a peer that sleeps, want at most %d", n, most)
		}
		x.link.Close(nil)
		x.wantClosed("")
	})
}

// Likewise a writer whose remote reads nothing: Close ends it, and gives the blocks back.
func TestCloseWhileWriting(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		x := newEnd(t, newWorld(t), a, true, 1024)
		for range 64 {
			x.sendPieces(16)
		}
		x.link.Close(errors.New("gave up"))
		x.wantClosed("gave up")
	})
}

// TestCloseRaces: whatever happens at the same time, there is one Closed, it is the
// last event, and nothing is left over.
func TestCloseRaces(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	overEach(t, func(t *testing.T, _, _ net.Conn) {
		before := runtime.NumGoroutine()
		w := actor.NewLive(actor.LiveConfig{Workers: 4})
		for i := range rounds {
			closeRace(t, w, rand.New(rand.NewPCG(uint64(i), 0)))
		}
		w.Close()
		eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// listener for closeRace: counts and releases.
type counter struct {
	closed chan error
	after  atomic.Int32
	seen   bool
}

func (n *counter) Handle(c *actor.Ctx[Event], e Event) {
	if n.seen {
		n.after.Add(1)
	}
	switch e := e.(type) {
	case *Batch:
		e.Release()
	case Closed:
		n.seen = true
		n.closed <- e.Err
	}
}

func closeRace(t *testing.T, w actor.World, rng *rand.Rand) {
	a, b := net.Pipe()
	if rng.IntN(2) == 0 {
		a, b = tcpPair(t)
	}
	slab := block.NewSlab(64 * block.Size)
	l := NewConn(a, Info{Incoming: true}, Env{Slab: slab})
	n := &counter{closed: make(chan error, 4)}
	who := actor.Root(w, actor.Spec{Name: "counter"}, actor.Actor[Event](n), func(actor.Exit) {})
	var wg sync.WaitGroup
	stop := rng.IntN(3)
	wg.Go(func() { l.Bind(who.Inlet) })
	wg.Go(func() { l.Allow(Unlimited) })
	wg.Go(func() {
		for range 8 {
			m := NewBatch()
			m.Add(request(0))
			if blk := slab.Lease(); blk != nil {
				m.AddPiece(wire.Message{ID: wire.Piece}, blk)
			}
			l.Send(m)
		}
	})
	wg.Go(func() { rawSend(b, piece(7, 0, make([]byte, block.Size)), piece(7, 0, make([]byte, 100))) })
	wg.Go(func() {
		if stop != 0 {
			l.Close(errors.New("closed by a race"))
		}
		if stop != 1 {
			b.Close()
		}
	})
	select {
	case err := <-n.closed:
		if err == nil {
			t.Error("Closed without an error")
		}
	case <-time.After(patience):
		t.Fatal("no Closed")
	}
	b.Close()
	wg.Wait()
	eventually(t, "every slot is back", func() bool { return slab.Used() == 0 })
	who.Stop(nil)
	if len(n.closed) > 0 || n.after.Load() > 0 {
		t.Error("Closed must be the last event")
	}
}

// "Slots waiting on slow senders are at most a quarter": the others' blocks still come.
func TestSlowSendersDoNotHoldTheSlab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		slab := block.NewSlab(8 * block.Size)
		var ends []*end
		var remotes []net.Conn
		open := func() (*end, net.Conn) {
			a, b := net.Pipe()
			x := bind(t, w, slab, NewConn(a, Info{Incoming: true}, Env{Slab: slab}))
			x.link.Allow(Unlimited)
			x.send(request(0))
			_, _ = io.ReadFull(b, make([]byte, 17))
			return x, b
		}
		data := make([]byte, block.Size)
		for i := range data {
			data[i] = byte(i / 7)
		}
		whole := piece(7, 0, data)
		for i := range 20 {
			x, b := open()
			rawSend(b, whole[:600*(i+1)])
			ends, remotes = append(ends, x), append(remotes, b)
		}
		synctest.Wait()
		if n := slab.Used(); n > 8/4+1 {
			t.Errorf("%d of 8 slots wait for slow senders", n)
		}
		fast, b := open()
		go rawSend(b, whole)
		fast.want("piece 7 0+16384").Block.Release()
		for i, x := range ends {
			go rawSend(remotes[i], whole[600*(i+1):])
			f := x.want("piece 7 0+16384")
			if !bytes.Equal(f.Block.Bytes(), data) {
				t.Errorf("block %d holds other bytes", i)
			}
			f.Block.Release()
		}
		for _, x := range append(ends, fast) {
			x.link.Close(nil)
			x.wantClosed("")
		}
	})
}

// A peer that ends takes its connection with it.
func TestPeerEnds(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		w := newWorld(t)
		slab := block.NewSlab(64 * block.Size)
		l := NewConn(a, Info{Incoming: true}, Env{Slab: slab})
		n := &counter{closed: make(chan error, 4)}
		who := actor.Root(w, actor.Spec{Name: "counter"}, actor.Actor[Event](n), func(actor.Exit) {})
		l.Bind(who.Inlet)
		l.Allow(Unlimited)
		who.Stop(nil)
		var written atomic.Int64
		endless(b, &written) // until the connection is closed
		eventually(t, "every slot is back", func() bool { return slab.Used() == 0 })
	})
}
