package utp_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport/utp"
)

// narrow is a bottleneck: a rate in bytes per second, and the round trip without queue.
// Its buffer holds half a second, so that 100 ms of queue do not fill it.
type narrow struct {
	rate  int64
	rtt   clock.Duration
	seeds uint64 // of the runs; fast links cost more of them
}

var bottlenecks = []narrow{
	{125_000, 10 * ms, 4}, {125_000, 50 * ms, 4}, {125_000, 100 * ms, 4},
	{1_250_000, 10 * ms, 2}, {1_250_000, 50 * ms, 2}, {1_250_000, 100 * ms, 2},
	{12_500_000, 10 * ms, 1},
}

func (n narrow) String() string { return fmt.Sprintf("%d Mbit/s, %v", n.rate*8/1_000_000, n.rtt) }

func (n narrow) links(l *lab) (there, back *netpath.Link) {
	return l.n.PacketLink(netpath.Config{Rate: n.rate, Delay: n.rtt / 2}),
		l.n.PacketLink(netpath.Config{Delay: n.rtt / 2, Jitter: ms})
}

// everywhere runs an experiment over all bottlenecks and seeds, with the first seed
// twice, which must give the same run.
func everywhere(t *testing.T, f func(t *testing.T, l *lab, n narrow, seed uint64)) {
	for _, n := range bottlenecks {
		if raceEnabled && n.rate > 125_000 {
			continue // a World has one goroutine; its packets cost ten times as much here
		}
		t.Run(n.String(), func(t *testing.T) {
			t.Parallel()
			var first uint64
			for seed := range n.seeds {
				l := newLab(t, seed)
				f(t, l, n, seed)
				if seed == 0 {
					first = l.w.Hash()
				}
			}
			again := newLab(t, 0)
			if f(t, again, n, 0); again.w.Hash() != first {
				t.Error("the same seed gave another run")
			}
		})
	}
}

// wide lets the window be what the path needs.
func wide() *utp.Config { return &utp.Config{Window: 8 << 20} }

// waitOver lets time pass and returns the median and mean wait at the link, seen every
// 10 ms.
func (l *lab) waitOver(link *netpath.Link, d clock.Duration) (median, mean clock.Duration) {
	var waits []clock.Duration
	var sum clock.Duration
	for range int(d / (10 * ms)) {
		l.run(10 * ms)
		waits = append(waits, link.Wait(l.w.Now()))
		sum += waits[len(waits)-1]
	}
	slices.Sort(waits)
	return waits[len(waits)/2], sum / clock.Duration(len(waits))
}

// One flow holds the queue at the target and fills the link.
func TestStandingQueue(t *testing.T) {
	everywhere(t, func(t *testing.T, l *lab, n narrow, seed uint64) {
		there, back := n.links(l)
		from, _ := l.flow(wide(), there, back, 1)
		l.run(10 * time.Second)
		before := there.Stats().Bytes
		const span = 30
		median, mean := l.waitOver(there, span*time.Second)
		util := float64(there.Stats().Bytes-before) / float64(n.rate) / span
		t.Logf("seed %d: queue median %v, mean %v, utilisation %.3f, %+v", seed, median, mean, util, from.m.Stats())
		if median < 85*ms || median > 115*ms || mean < 85*ms || mean > 115*ms || util < 0.95 {
			t.Errorf("seed %d: queue %v, mean %v, utilisation %.3f, want 100 ± 15 ms, 0.95", seed, median, mean, util)
		}
	})
}

// shareOver lets time pass and returns how much of two flows' bytes was the second's,
// and how much of the link both had.
func (l *lab) shareOver(n narrow, d clock.Duration, first, second func() int64) (share, both float64) {
	x, y := first(), second()
	l.run(d)
	x, y = first()-x, second()-y
	return float64(y) / float64(x+y), float64(x+y) / d.Seconds() / float64(n.rate)
}

// A flow that comes when another has filled the queue ends with its half.
func TestLateComer(t *testing.T) {
	everywhere(t, func(t *testing.T, l *lab, n narrow, seed uint64) {
		there, back := n.links(l)
		_, a := l.flow(wide(), there, back, 1)
		l.run(10 * time.Second)
		_, b := l.flow(wide(), there, back, 2)
		l.run(40 * time.Second)
		share, both := l.shareOver(n, 20*time.Second, a.total, b.total)
		t.Logf("seed %d: the late-comer has %.3f, both %.3f of the link", seed, share, both)
		if share < 0.35 || share > 0.65 {
			t.Errorf("seed %d: share %.3f, want 0.50 ± 0.15", seed, share)
		}
	})
}

// By RFC 6817 alone a late-comer takes nearly all, for it cannot see the queue that was
// there before.
func TestLateComerOfPlainLEDBAT(t *testing.T) {
	n := narrow{rate: 125_000, rtt: 50 * ms}
	for seed := range uint64(3) {
		l := newLab(t, seed)
		there, back := n.links(l)
		cfg := &utp.Config{Plain: true}
		_, a := l.flow(cfg, there, back, 1)
		l.run(30 * time.Second)
		median, mean := l.waitOver(there, 30*time.Second)
		if median < 85*ms || median > 115*ms || mean < 85*ms || mean > 115*ms {
			t.Errorf("seed %d: queue %v, mean %v, want 100 ± 15 ms", seed, median, mean)
		}
		_, b := l.flow(cfg, there, back, 2)
		l.run(60 * time.Second)
		share, both := l.shareOver(n, 60*time.Second, a.total, b.total)
		t.Logf("seed %d: the late-comer has %.3f, both %.3f of the link", seed, share, both)
		if share < 0.7 {
			t.Errorf("seed %d: share %.3f by RFC 6817 alone, expected more than 0.70", seed, share)
		}
	}
}

// Three flows that begin one after another end alike.
func TestThreeFlows(t *testing.T) {
	n := narrow{rate: 500_000, rtt: 40 * ms}
	l := newLab(t, 4)
	there, back := n.links(l)
	var to []*station
	for i := range 3 {
		_, s := l.flow(wide(), there, back, uint16(i))
		to = append(to, s)
		l.run(15 * time.Second)
	}
	l.run(30 * time.Second)
	var before [3]int64
	for i, s := range to {
		before[i] = s.got
	}
	l.run(60 * time.Second)
	for i, s := range to {
		share := float64(s.got-before[i]) / 60 / float64(n.rate)
		t.Logf("flow %d has %.3f of the link", i, share)
		if share < 0.33*0.65 || share > 0.33*1.35 {
			t.Errorf("flow %d has %.3f of the link, want about a third", i, share)
		}
	}
}

// Against one Reno flow a LEDBAT flow yields, whoever was first.
func TestYieldsToReno(t *testing.T) {
	everywhere(t, func(t *testing.T, l *lab, n narrow, seed uint64) {
		there, back := n.links(l)
		reno := func() *sim.Reno { return l.n.NewReno(there, back, sim.RenoConfig{Window: 16 << 20}) }
		var to *station
		var r *sim.Reno
		if seed%2 == 0 {
			_, to = l.flow(wide(), there, back, 1)
			l.run(10 * time.Second)
			r = reno()
		} else {
			r = reno()
			l.run(10 * time.Second)
			_, to = l.flow(wide(), there, back, 1)
		}
		l.run(20 * time.Second)
		share, both := l.shareOver(n, 40*time.Second, r.Acked, to.total)
		t.Logf("seed %d: uTP has %.3f, both %.3f of the link; %+v", seed, share, both, r.Stats())
		if share > 0.1 || both < 0.9 {
			t.Errorf("seed %d: share %.3f of %.3f of the link, want at most 0.10 of at least 0.90", seed, share, both)
		}
	})
}
