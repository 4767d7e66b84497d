package transport

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// sink takes the events of many links.
type sink struct{ pieces, says atomic.Int64 }

func (s *sink) Handle(_ *actor.Ctx[Event], e Event) {
	switch e := e.(type) {
	case *Batch:
		for i := range e.Frames {
			if e.Frames[i].Block != nil {
				s.pieces.Add(1)
			}
		}
		e.Release()
	case Flushed:
		s.says.Add(int64(e.Batches))
	}
}

// maxIdle is what an idle connection may cost in user space, bytes, with what
// package net has for both of its ends, but without the peer behind it.
const maxIdle = 10 << 10

func memory() uint64 {
	runtime.GC()
	runtime.GC() // what was in pools is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// maxIdleRC4 is what two keystreams may add to it.
const maxIdleRC4 = 3 << 10

// An idle connection that has seen traffic in both directions keeps no buffers.
func TestIdleConnectionIsSmall(t *testing.T) {
	t.Run("plain", func(t *testing.T) { measureIdle(t, maxIdle, func() crypto { return crypto{} }) })
	t.Run("rc4", func(t *testing.T) {
		stream := func() *mse.Stream { return mse.NewStream([]byte("some key")) }
		measureIdle(t, maxIdle+maxIdleRC4, func() crypto { return crypto{in: stream(), out: stream()} })
	})
}

func measureIdle(t *testing.T, most uint64, x func() crypto) {
	const n = 300
	w := newWorld(t)
	var s sink
	a := actor.Root(w, actor.Spec{Name: "sink", Pump: 4 * n}, actor.Actor[Event](&s), func(actor.Exit) {})
	t.Cleanup(func() { a.Stop(nil) })
	slab := block.NewSlab(256 * block.Size)
	data := append(wire.Append(nil, wire.Message{ID: wire.Bitfield, Payload: make([]byte, 1000)}),
		piece(7, 0, make([]byte, block.Size))...)
	if in := x().in; in != nil {
		in.XOR(data, data)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := memory()
	conns := make([]net.Conn, n)
	links := make([]Link, n)
	for i := range n {
		if conns[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		links[i] = newConn(c, infoOf(c, true), Env{Slab: slab}, x())
		defer links[i].Close(nil)
		links[i].Bind(a.Inlet)
		links[i].Allow(Unlimited)
		b := NewBatch()
		b.Add(request(0))
		links[i].Send(b)
		rawSend(conns[i], data)
	}
	eventually(t, "all have traded", func() bool { return s.says.Load() == n && s.pieces.Load() == n && slab.Used() == 0 })
	each := (memory() - before) / n
	t.Logf("%d bytes per connection", each)
	if each > most && !raceEnabled {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(links)
}

// No allocation per block, on either side: what there is comes per batch and write.
func TestBlocksAreNotAllocated(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector empties pools at random")
		return
	}
	w := newWorld(t)
	x, y := tcpPair(t)
	done := startSeeder(w, y, crypto{})
	if err := runLeecher(w, x, 2000, crypto{}); err != nil { // pools and buffers fill
		t.Fatal(err)
	}
	<-done
	x, y = tcpPair(t)
	done = startSeeder(w, y, crypto{})
	const blocks = 20_000
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.Mallocs
	if err := runLeecher(w, x, blocks, crypto{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&m)
	<-done
	each := float64(m.Mallocs-before) / blocks
	t.Logf("%.3f allocations per block, of both sides", each)
	if each > 0.5 {
		t.Errorf("%.2f allocations per block", each)
	}
}
