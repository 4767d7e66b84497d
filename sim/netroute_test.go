package sim

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/transport"
)

// A link of a pair concerns one direction of one pair; the network's latency follows.
func TestPairLink(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: 10 * time.Millisecond})
	ha, hb, hc := pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{})
	a, b, c := pt.open(ha, ""), pt.open(hb, ""), pt.open(hc, "")
	l := pt.n.PacketLink(netpath.Config{Rate: 30_000, Delay: 5 * time.Millisecond}) // 30 bytes take 1 ms
	pt.n.Join(ha, hb, l)
	for _, to := range []*earshot{b, b, c} {
		if err := a.Send(to.Addr(), []byte("d1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(a.Addr(), []byte("d2")); err != nil {
		t.Fatal(err)
	}
	pt.run(time.Second)
	a.wants(t, "10ms d2")
	b.wants(t, "16ms d1", "17ms d1")
	c.wants(t, "10ms d1")
	pt.n.Join(ha, hb, nil)
	if err := a.Send(b.Addr(), []byte("d3")); err != nil {
		t.Fatal(err)
	}
	pt.run(time.Second)
	b.wants(t, "1.01s d3")
	if s := l.Stats(); s.Delivered != 2 || s.Bytes != 60 {
		t.Errorf("%+v", s)
	}
}

// Attached links stand for the access link: all that the host sends waits in one queue,
// and all that comes in another. What exceeds the buffer is lost without a word.
func TestAttachedLinks(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: 10 * time.Millisecond})
	ha, hb, hc := pt.n.Host(HostConfig{Up: 1}), pt.n.Host(HostConfig{Down: 1}), pt.n.Host(HostConfig{})
	a, b, c := pt.open(ha, ""), pt.open(hb, ""), pt.open(hc, "")
	ha.Attach(pt.n.PacketLink(netpath.Config{Rate: 30_000, Buffer: 120}), nil)
	hb.Attach(nil, pt.n.PacketLink(netpath.Config{Rate: 15_000, Delay: time.Millisecond}))
	pt.n.Join(ha, hc, pt.n.PacketLink(netpath.Config{Delay: 100 * time.Millisecond}))
	for _, to := range []*earshot{b, c, b, c, b, c} {
		if err := a.Send(to.Addr(), []byte("d1")); err != nil {
			t.Fatal(err)
		}
	}
	pt.run(time.Second)
	// 1 and 3 ms up; 10 ms of latency; down 2 ms each, and 1 ms of delay.
	b.wants(t, "14ms d1", "16ms d1")
	c.wants(t, "112ms d1", "114ms d1")
	if p := pt.n.Packets(); p.Sent != 6 || p.Delivered != 4 || p.Lost != 2 {
		t.Errorf("%+v", p)
	}
}

// Two kinds of narrow links: one that swallows, one that says so.
func TestLinkMTU(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{})
	ha, hb := pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{})
	a, b := pt.open(ha, ""), pt.open(hb, "")
	pt.n.Join(ha, hb, pt.n.PacketLink(netpath.Config{MTU: 1280}))
	for _, n := range []int{1252, 1253} {
		if err := a.Send(b.Addr(), make([]byte, n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	pt.n.Join(ha, hb, pt.n.PacketLink(netpath.Config{MTU: 1280, Refuse: true}))
	if err := a.Send(b.Addr(), make([]byte, 1253)); !errors.Is(err, transport.ErrTooBig) {
		t.Errorf("too large: %v", err)
	}
	if err := a.Send(b.Addr(), make([]byte, 1252)); err != nil {
		t.Error(err)
	}
	if sent, err := a.SendTrain(b.Addr(), make([]byte, 3000), 1253); sent != 0 || !errors.Is(err, transport.ErrTooBig) {
		t.Errorf("a train: %d bytes, %v", sent, err)
	}
	pt.run(time.Second)
	if len(b.heard) != 2 {
		t.Errorf("%d passed", len(b.heard))
	}
}

// A link's chances are its own: the traffic of another does not shift them.
func TestLinksDoNotDisturbEachOther(t *testing.T) {
	cfg := netpath.Config{Loss: 300_000, Reorder: 300_000, Duplicate: 300_000, Delay: time.Millisecond}
	heard := func(others int) string {
		pt := newPacketTest(t, 7, NetConfig{})
		ha, hb, hc := pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{})
		a, b, c := pt.open(ha, ""), pt.open(hb, ""), pt.open(hc, "")
		pt.n.Join(ha, hb, pt.n.PacketLink(cfg))
		pt.n.Join(ha, hc, pt.n.PacketLink(cfg))
		pt.n.Join(hc, hb, pt.n.PacketLink(cfg))
		for i := range 50 {
			if err := a.Send(b.Addr(), fmt.Append(nil, "d", i)); err != nil {
				t.Fatal(err)
			}
			for range others {
				if err := errors.Join(a.Send(c.Addr(), []byte("x")), c.Send(a.Addr(), []byte("x"))); err != nil {
					t.Fatal(err)
				}
			}
			pt.run(time.Millisecond)
		}
		pt.run(time.Second)
		return fmt.Sprint(b.heard)
	}
	if alone := heard(0); alone != heard(3) || alone == "" {
		t.Error("others' datagrams change a link's fates")
	}
}

// renoTest is one flow over a bottleneck there and a plain way back.
func renoTest(seed uint64, there netpath.Config, cfg RenoConfig) (*World, *Reno, *netpath.Link) {
	w := NewWorld(Config{Seed: seed})
	n := NewNetwork(w, NetConfig{})
	l := n.PacketLink(there)
	return w, n.NewReno(l, n.PacketLink(netpath.Config{Delay: there.Delay}), cfg), l
}

// By theory the rate under loss of probability p, without delayed acknowledgements, is
// MSS/RTT × sqrt(3/2)/sqrt(p) (Mathis et al., 1997).
func TestRenoUnderLoss(t *testing.T) {
	for _, c := range []struct {
		loss int // of a million
		root float64
	}{{1000, 0.031623}, {2000, 0.044721}, {5000, 0.070711}, {10_000, 0.1}} {
		for _, rtt := range []clock.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
			w, r, _ := renoTest(3, netpath.Config{Delay: rtt / 2, Loss: c.loss}, RenoConfig{Window: 1 << 24})
			w.Run(clock.Time(20 * time.Second))
			before := r.Acked()
			span := 3000 * rtt
			w.Run(clock.Time(20*time.Second + span))
			got := float64(r.Acked()-before) / span.Seconds()
			want := float64(renoMSS) / rtt.Seconds() * 1.2247 / c.root
			t.Logf("loss %d, %v: %.0f of %.0f bytes/s by theory, %+v", c.loss, rtt, got, want, r.Stats())
			if got < 0.8*want || got > 1.15*want {
				t.Errorf("loss %d, %v: %.0f bytes/s, %.0f by theory", c.loss, rtt, got, want)
			}
		}
	}
}

// With a buffer of one bandwidth-delay product the window swings between one and two
// of them: the link is always busy, the queue goes up to the buffer and down to next to
// nothing, again and again, and is half full on the whole.
func TestRenoSawtooth(t *testing.T) {
	const rate, rtt = 1_250_000, 40 * time.Millisecond
	w, r, l := renoTest(1, netpath.Config{Rate: rate, Buffer: rate / 25, Delay: rtt / 2}, RenoConfig{})
	w.Run(clock.Time(20 * time.Second))
	before := l.Stats()
	var sum, most, least clock.Duration
	least = time.Hour
	const samples = 10_000
	for range samples {
		w.Run(w.Now().Add(10 * time.Millisecond))
		q := l.Wait(w.Now())
		sum, most, least = sum+q, max(most, q), min(least, q)
	}
	s := l.Stats()
	util := float64(s.Bytes-before.Bytes) / rate / 100
	t.Logf("utilisation %.3f, queue %v to %v, mean %v, %d drops, %+v", util, least, most, sum/samples, s.Dropped-before.Dropped, r.Stats())
	if util < 0.98 || most < 38*time.Millisecond || most > 40*time.Millisecond || least > 5*time.Millisecond {
		t.Errorf("utilisation %.3f, queue %v to %v", util, least, most)
	}
	if mean := sum / samples; mean < 13*time.Millisecond || mean > 27*time.Millisecond {
		t.Errorf("queue %v on the whole", mean)
	}
	// A tooth is W/2 round trips long, of 40 to 80 ms, where W is 2 × 34.5 segments:
	// two seconds. A drop or two end each.
	if n := s.Dropped - before.Dropped; n < 35 || n > 110 || r.Stats().Timeouts > 1 {
		t.Errorf("%d drops in 100 s, %+v", n, r.Stats())
	}
}

// Two flows of one bottleneck share it.
func TestRenosAreFair(t *testing.T) {
	w := NewWorld(Config{Seed: 5})
	n := NewNetwork(w, NetConfig{})
	cfg := netpath.Config{Rate: 1_250_000, Buffer: 62_500, Delay: 20 * time.Millisecond}
	l, back := n.PacketLink(cfg), n.PacketLink(netpath.Config{Delay: 20 * time.Millisecond, Jitter: time.Millisecond})
	a := n.NewReno(l, back, RenoConfig{})
	w.Run(clock.Time(10 * time.Second))
	b := n.NewReno(l, back, RenoConfig{})
	w.Run(clock.Time(60 * time.Second))
	x, y := a.Acked(), b.Acked()
	w.Run(clock.Time(260 * time.Second))
	x, y = a.Acked()-x, b.Acked()-y
	share := float64(x) / float64(x+y)
	t.Logf("the first has %.3f", share)
	if share < 0.4 || share > 0.6 {
		t.Errorf("share %.3f", share)
	}
}

// A flow without loss fills its window; the end of the data, and of the path, are borne.
func TestRenoEnds(t *testing.T) {
	w, r, l := renoTest(1, netpath.Config{Delay: 10 * time.Millisecond}, RenoConfig{Bytes: 1 << 20})
	w.Run(clock.Time(time.Minute))
	if r.Acked() != 1<<20 || r.Stats().Resent != 0 || l.Stats().Delivered != (1<<20+renoMSS-1)/renoMSS {
		t.Errorf("%d bytes, %+v, %+v", r.Acked(), r.Stats(), l.Stats())
	}
	w, r, _ = renoTest(1, netpath.Config{Delay: 10 * time.Millisecond, Loss: million}, RenoConfig{Bytes: 1 << 20})
	w.Run(clock.Time(time.Hour))
	if r.Acked() != 0 || r.Stats().Timeouts < 10 || r.Stats().Timeouts > 80 {
		t.Errorf("%d bytes, %+v", r.Acked(), r.Stats())
	}
	w, r, _ = renoTest(1, netpath.Config{Delay: 10 * time.Millisecond, Loss: 300_000, Reorder: 100_000, Duplicate: 100_000}, RenoConfig{Bytes: 1 << 20})
	w.Run(clock.Time(time.Hour))
	if r.Acked() != 1<<20 {
		t.Errorf("%d bytes through bad weather, %+v", r.Acked(), r.Stats())
	}
}

// The same seed gives the same run.
func TestRenoRepeats(t *testing.T) {
	run := func(seed uint64) uint64 {
		w, _, _ := renoTest(seed, netpath.Config{Delay: 10 * time.Millisecond, Loss: 10_000, Jitter: time.Millisecond}, RenoConfig{})
		w.Run(clock.Time(10 * time.Second))
		return w.Hash()
	}
	if once, again := run(1), run(1); once != again || once == run(2) {
		t.Error("the hash does not tell")
	}
}

// BenchmarkReno is the cost of a segment and its acknowledgement.
func BenchmarkReno(b *testing.B) {
	w, r, _ := renoTest(1, netpath.Config{Rate: 12_500_000, Delay: 10 * time.Millisecond}, RenoConfig{Window: 1 << 20})
	b.ReportAllocs()
	for b.Loop() {
		w.Run(w.Now().Add(100 * time.Microsecond))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(r.Acked()/renoMSS), "ns/segment")
}
