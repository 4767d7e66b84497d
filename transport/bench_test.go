package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// These benchmarks measure what a GiB costs over loopback, in processor time of the
// process: for one side alone, the other runs as a process of its own.
//
//	go test -run - -bench Stream -benchtime 3x ./transport

// perRun is what one iteration moves, in blocks: 256 MiB.
const perRun = 16384

// depth is how many requests are out: 8 MiB, what loopback needs at 1 GiB/s.
const depth = 512

// leecher asks for blocks and releases what comes.
type leecher struct {
	link      Link
	left      int // to be asked for
	out, have int
	total     int
	done      chan error
}

func (l *leecher) Handle(c *actor.Ctx[Event], e Event) {
	switch e := e.(type) {
	case *Batch:
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
	case Closed:
		l.done <- e.Err
		c.Quit(nil)
	}
}

func (l *leecher) Flush(*actor.Ctx[Event]) {
	if l.left == 0 || l.out > depth*3/4 {
		return
	}
	b := NewBatch()
	for ; l.out < depth && l.left > 0; l.left-- {
		b.Add(wire.Message{ID: wire.Request, Index: 1, Length: block.Size})
		l.out++
	}
	l.link.Send(b)
}

// seeder answers requests from memory that is always hot, in runs of 256 KiB.
type seeder struct {
	link   Link
	slab   *block.Slab
	blk    *block.Block
	asked  int
	unsent int64
	done   chan error
}

func (s *seeder) Handle(c *actor.Ctx[Event], e Event) {
	switch e := e.(type) {
	case *Batch:
		s.asked += len(e.Frames)
		e.Release()
	case Flushed:
		s.unsent -= e.Payload
	case Closed:
		s.done <- e.Err
		c.Quit(nil)
	}
}

func (s *seeder) Flush(*actor.Ctx[Event]) {
	for s.asked > 0 && s.unsent < 1<<20 {
		b := NewBatch()
		for ; s.asked > 0 && len(b.Frames) < 16; s.asked-- {
			b.AddPiece(wire.Message{ID: wire.Piece, Index: 1}, s.blk.Retain())
			s.unsent += block.Size
		}
		s.link.Send(b)
	}
}

func startSeeder(w actor.World, c net.Conn, x crypto) chan error {
	slab := block.NewSlab(block.Size)
	s := &seeder{slab: slab, blk: slab.Lease().Seal(), done: make(chan error, 1)}
	s.link = newConn(c, Info{Incoming: true}, Env{Slab: slab}, x)
	a := actor.Root(w, actor.Spec{Name: "seeder"}, actor.Actor[Event](s), func(actor.Exit) {})
	s.link.Allow(Unlimited)
	s.link.Bind(a.Inlet)
	return s.done
}

func runLeecher(w actor.World, c net.Conn, blocks int, x crypto) error {
	slab := block.NewSlab(64 << 20)
	l := &leecher{left: blocks, total: blocks, done: make(chan error, 2)}
	l.link = newConn(c, Info{Incoming: true}, Env{Slab: slab}, x)
	a := actor.Root(w, actor.Spec{Name: "leecher"}, actor.Actor[Event](l), func(actor.Exit) {})
	l.link.Allow(Unlimited)
	l.link.Bind(a.Inlet)
	err := <-l.done
	l.link.Close(io.ErrClosedPipe)
	<-l.done
	return err
}

func reportCPU(b *testing.B, used time.Duration) {
	gib := float64(b.N) * perRun * block.Size / (1 << 30)
	b.ReportMetric(used.Seconds()/gib, "cpu-s/GiB")
	b.ReportMetric(gib/b.Elapsed().Seconds(), "GiB/s")
	b.ReportMetric(0, "ns/op")
}

// methods are how the streams are encrypted that are measured.
var methods = []mse.Method{mse.None, mse.Plaintext, mse.RC4}

// agree does the encrypted handshake that leads to a method.
func agree(b testing.TB, c net.Conn, connects bool, method string) crypto {
	o := map[string]mse.Offer{"plaintext": mse.OfferPlaintext, "rc4": mse.OfferRC4}[method]
	if o == 0 {
		return crypto{}
	}
	m := mse.Outgoing{Offer: o, Rand: entropy()}.Start()
	if !connects {
		m = mse.Incoming{Accept: o, Rand: entropy(), Find: func([20]byte) (key [20]byte, ok bool) { return key, true }}.Start()
	}
	if err := converse(c, m, nil); err != nil {
		b.Fatal(err)
	}
	res := m.Result()
	return crypto{in: res.In, out: res.Out, left: res.Left}
}

// BenchmarkStreamBoth has both sides in this process.
func BenchmarkStreamBoth(b *testing.B) {
	w := newWorld(b)
	x, y := tcpPair(b)
	done := startSeeder(w, y, crypto{})
	b.ReportAllocs()
	before := cpu()
	if err := runLeecher(w, x, b.N*perRun, crypto{}); err != nil {
		b.Fatal(err)
	}
	reportCPU(b, cpu()-before)
	<-done
}

// BenchmarkStreamReceive has the seeder in another process.
func BenchmarkStreamReceive(b *testing.B) {
	for _, m := range methods {
		b.Run(m.String(), func(b *testing.B) {
			c := otherProcess(b, "seed", m, b.N*perRun)
			x := agree(b, c, false, m.String())
			w := newWorld(b)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			if err := runLeecher(w, c, b.N*perRun, x); err != nil {
				b.Fatal(err)
			}
			reportCPU(b, cpu()-before)
		})
	}
}

// BenchmarkStreamSend has the leecher in another process.
func BenchmarkStreamSend(b *testing.B) {
	for _, m := range methods {
		b.Run(m.String(), func(b *testing.B) {
			c := otherProcess(b, "leech", m, b.N*perRun)
			x := agree(b, c, false, m.String())
			w := newWorld(b)
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			if err := <-startSeeder(w, c, x); !errors.Is(err, io.EOF) {
				b.Log(err)
			}
			reportCPU(b, cpu()-before)
		})
	}
}

// BenchmarkStreamFloor is what the kernel and one copy cost on this machine at this
// moment, to compare BenchmarkStreamReceive with.
func BenchmarkStreamFloor(b *testing.B) {
	c := otherProcess(b, "pour", mse.None, b.N*perRun)
	buf, slots := make([]byte, scratchSize), make([]byte, 4<<20)
	b.ResetTimer()
	before := cpu()
	for at := 0; ; {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		at += copy(slots[at%(len(slots)-len(buf)):], buf[:n])
	}
	reportCPU(b, cpu()-before)
}

// pour writes blocks as fast as they are taken.
func pour(c net.Conn, blocks int) {
	data := make([]byte, block.Size)
	var keep [32][]byte
	for ; blocks > 0; blocks -= 16 {
		for i := range 16 {
			keep[2*i], keep[2*i+1] = data[:13], data
		}
		v := net.Buffers(keep[:])
		if _, err := v.WriteTo(c); err != nil {
			return
		}
	}
}

// otherProcess starts this test binary in a role and connects to it.
func otherProcess(b *testing.B, role string, m mse.Method, blocks int) net.Conn {
	l, err := NewNet(NetConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("SHOAL_BENCH=%s %s %d %v", role, l.Addr(), blocks, m))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Wait() })
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	return c
}

// TestOtherProcess is the other side of the benchmarks; on its own it does nothing.
func TestOtherProcess(t *testing.T) {
	var role, addr, method string
	var blocks int
	if _, err := fmt.Fscan(strings.NewReader(os.Getenv("SHOAL_BENCH")), &role, &addr, &blocks, &method); err != nil {
		return
	}
	c, err := NewNet(NetConfig{}).DialContext(t.Context(), "tcp", addr, FromUser)
	if err != nil {
		t.Fatal(err)
	}
	x := agree(t, c, true, method)
	w := newWorld(t)
	switch role {
	case "pour":
		pour(c, blocks)
		c.Close()
	case "seed":
		<-startSeeder(w, c, x)
	case "leech":
		if err := runLeecher(w, c, blocks, x); err != nil {
			t.Error(err)
		}
	}
}
