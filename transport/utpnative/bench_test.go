package utpnative

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// These benchmarks measure what a GiB costs over loopback, in processor time of the
// process: for one side alone, the other runs as a process of its own.
//
//	go test -run - -bench Stream -benchtime 3x ./transport/utpnative

// perRun is what one iteration moves, in blocks: 64 MiB.
const perRun = 4096

// depth is how many requests are out: 8 MiB.
const depth = 512

// leecher asks for blocks and releases what comes.
type leecher struct {
	link      transport.Link
	left      int // to be asked for
	out, have int
	total     int
	done      chan error
}

func (l *leecher) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for i := range e.Frames {
			if e.Frames[i].Block != nil {
				e.Take(i).Release()
				l.out--
				l.have++
			}
		}
		e.Release()
		if l.have == l.total {
			l.done <- nil
		}
	case transport.Closed:
		l.done <- e.Err
		c.Quit(nil)
	}
}

func (l *leecher) Flush(*actor.Ctx[transport.Event]) {
	if l.left == 0 || l.out > depth*3/4 {
		return
	}
	b := transport.NewBatch()
	for ; l.out < depth && l.left > 0; l.left-- {
		b.Add(wire.Message{ID: wire.Request, Index: 1, Length: block.Size})
		l.out++
	}
	l.link.Send(b)
}

// seeder answers requests from memory that is always hot, in runs of 256 KiB.
type seeder struct {
	link   transport.Link
	slab   *block.Slab
	blk    *block.Block
	asked  int
	unsent int64
	done   chan error
}

func (s *seeder) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		s.asked += len(e.Frames)
		e.Release()
	case transport.Flushed:
		s.unsent -= e.Payload
	case transport.Closed:
		s.done <- e.Err
		c.Quit(nil)
	}
}

func (s *seeder) Flush(*actor.Ctx[transport.Event]) {
	for s.asked > 0 && s.unsent < 1<<20 {
		b := transport.NewBatch()
		for ; s.asked > 0 && len(b.Frames) < 16; s.asked-- {
			b.AddPiece(wire.Message{ID: wire.Piece, Index: 1}, s.blk.Retain())
			s.unsent += block.Size
		}
		s.link.Send(b)
	}
}

func startSeeder(w actor.World, l transport.Link) chan error {
	slab := block.NewSlab(block.Size)
	s := &seeder{link: l, slab: slab, blk: slab.Lease().Seal(), done: make(chan error, 1)}
	a := actor.Root(w, actor.Spec{Name: "seeder"}, actor.Actor[transport.Event](s), func(actor.Exit) {})
	l.Allow(transport.Unlimited)
	l.Bind(a.Inlet)
	sayHello(l)
	return s.done
}

func runLeecher(w actor.World, link transport.Link, blocks int) error {
	l := &leecher{link: link, left: blocks, total: blocks, done: make(chan error, 2)}
	a := actor.Root(w, actor.Spec{Name: "leecher"}, actor.Actor[transport.Event](l), func(actor.Exit) {})
	link.Allow(transport.Unlimited)
	link.Bind(a.Inlet)
	err := <-l.done
	if err == nil {
		link.Close(errBye)
		<-l.done
	}
	return err
}

func sayHello(l transport.Link) {
	b := transport.NewBatch()
	b.Handshake = hello()
	l.Send(b)
}

func reportCPU(b *testing.B, used time.Duration) {
	gib := float64(b.N) * perRun * block.Size / (1 << 30)
	b.ReportMetric(used.Seconds()/gib, "cpu-s/GiB")
	b.ReportMetric(gib*1024/b.Elapsed().Seconds(), "MiB/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStreamBoth has both sides in this process.
func BenchmarkStreamBoth(b *testing.B) {
	x, y := pair(b)
	l, r := x.shake(y)
	done := startSeeder(x.w, r)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	if err := runLeecher(x.w, l, b.N*perRun); err != nil {
		b.Fatal(err)
	}
	reportCPU(b, cpu()-before)
	b.StopTimer()
	<-done
}

// BenchmarkStreamReceive has the seeder in another process, BenchmarkStreamSend the
// leecher.
func BenchmarkStreamReceive(b *testing.B) {
	y := newNode(b, newWorld(b), Config{}).listen("127.0.0.1:0")
	otherProcess(b, "seed", y.addr, b.N*perRun)
	a := waitFor(b, "a connection", y.accepted)
	sayHello(a.Link)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	if err := runLeecher(y.w, a.Link, b.N*perRun); err != nil {
		b.Fatal(err)
	}
	reportCPU(b, cpu()-before)
}

func BenchmarkStreamSend(b *testing.B) {
	y := newNode(b, newWorld(b), Config{}).listen("127.0.0.1:0")
	otherProcess(b, "leech", y.addr, b.N*perRun)
	a := waitFor(b, "a connection", y.accepted)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	err := <-startSeeder(y.w, a.Link)
	reportCPU(b, cpu()-before)
	b.Log(err)
}

// otherProcess starts this test binary in a role.
func otherProcess(b *testing.B, role string, to netip.AddrPort, blocks int) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("SHOAL_BENCH=%s %s %d", role, to, blocks))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Wait() })
}

// TestOtherProcess is the other side of the benchmarks; on its own it does nothing.
func TestOtherProcess(t *testing.T) {
	var role, addr string
	var blocks int
	if _, err := fmt.Fscan(strings.NewReader(os.Getenv("SHOAL_BENCH")), &role, &addr, &blocks); err != nil {
		return
	}
	n := newNode(t, newWorld(t), Config{})
	d := n.dial(netip.MustParseAddrPort(addr))
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	switch role {
	case "seed":
		<-startSeeder(n.w, d.Link)
	case "leech":
		sayHello(d.Link)
		if err := runLeecher(n.w, d.Link, blocks); err != nil {
			t.Error(err)
		}
	}
}
