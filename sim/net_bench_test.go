//go:build unix

package sim

import (
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// trader asks for blocks and answers requests, both without end.
type trader struct {
	link  transport.Link
	slab  *block.Slab
	asked int // of us
	out   int // by us
	got   *int
}

func (n *trader) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	b, ok := e.(*transport.Batch)
	if !ok {
		return
	}
	for i := range b.Frames {
		switch b.Frames[i].ID {
		case wire.Request:
			n.asked++
		case wire.Piece:
			n.out--
			*n.got++
		}
	}
	b.Release()
}

func (n *trader) Flush(*actor.Ctx[transport.Event]) {
	b := transport.NewBatch()
	for ; n.asked > 0; n.asked-- {
		b.AddPiece(wire.Message{ID: wire.Piece, Index: 1}, n.slab.Lease())
	}
	if n.out < 12 {
		for ; n.out < 16; n.out++ {
			b.Add(wire.Message{ID: wire.Request, Index: 1, Length: block.Size})
		}
	}
	if len(b.Frames) == 0 {
		b.Release()
		return
	}
	n.link.Send(b)
}

// BenchmarkNet is 20 hosts, each trading with all others; an iteration is a block
// that arrives.
func BenchmarkNet(b *testing.B) {
	nt := &netTest{w: NewWorld(Config{Seed: 1}), t: &testing.T{}}
	nt.n = NewNetwork(nt.w, NetConfig{Latency: 30 * time.Millisecond, Jitter: 5 * time.Millisecond})
	got := 0
	var hosts []*Host
	for range 20 {
		hosts = append(hosts, nt.n.Host(HostConfig{Up: 1_000_000, Down: 5_000_000}))
	}
	for i, x := range hosts {
		for _, y := range hosts[:i] {
			p := nt.n.connect(x, y, netip.AddrPortFrom(x.Addr(), x.freePort()), netip.AddrPortFrom(y.Addr(), port), "tcp")
			for j := range p.ends {
				p.ends[j].silent, p.ends[j].slab = nil, block.NewPhantomSlab(64<<20)
				tr := &trader{link: &p.ends[j], slab: p.ends[j].slab, got: &got}
				a := actor.Root(nt.w, actor.Spec{Name: "trader"}, actor.Actor[transport.Event](tr), func(actor.Exit) {})
				p.ends[j].Bind(a.Inlet)
				p.ends[j].Allow(transport.Unlimited)
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := netCPU()
	for at := nt.w.Now(); got < b.N; {
		at = at.Add(100 * time.Millisecond)
		nt.w.Run(at)
	}
	b.ReportMetric(float64(got)/(netCPU()-before).Seconds(), "blocks/cpu-s")
	runtime.KeepAlive(hosts)
}

func netCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
