package utp_test

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/internal/relay"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// Over the paths of the relay: the goodput of one upload, and the longest time in which
// nothing came. The floors are somewhat below what these seeds bring.
func TestBadPaths(t *testing.T) {
	floors := map[string]float64{ // KiB/s
		"50ms-0.5%": 950, "200ms-1%": 160, "10ms-reorder": 40_000,
		"mtu-1280": 50_000, "clean-20ms": 35_000, "adsl": 800,
	}
	for _, p := range relay.Profiles() {
		if raceEnabled && p.There.Loss == 0 && p.There.Rate == 0 {
			continue // nothing holds it back there
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			// What no loss holds back shows itself soon.
			span, seeds := 2*time.Second, uint64(1)
			if p.There.Loss > 0 {
				span, seeds = 60*time.Second, 4
			}
			if raceEnabled {
				seeds = 1
			}
			var sum float64
			var longest clock.Duration
			for seed := range seeds {
				l := newLab(t, seed)
				from, to := l.flow(&utp.Config{}, l.n.PacketLink(p.There), l.n.PacketLink(p.Back), 1)
				l.run(span)
				sum += float64(to.got) / 1024 / span.Seconds()
				longest = max(longest, to.silence)
				t.Logf("%.0f KiB/s, %v, %+v", float64(to.got)/1024/span.Seconds(), to.silence, from.m.Stats())
			}
			mean := sum / float64(seeds)
			t.Logf("%.0f KiB/s, at most %v of silence", mean, longest)
			if mean < floors[p.Name] || floors[p.Name] == 0 {
				t.Errorf("%.0f KiB/s, want %.0f", mean, floors[p.Name])
			}
			// Three timeouts, of at least half a second.
			if longest > 1500*ms {
				t.Errorf("nothing came for %v", longest)
			}
		})
	}
}

// stalls has the station's process stand still every 50 ms, for up to a time.
func (s *station) stalls(upTo clock.Duration, seed uint64) {
	l := netpath.New(netpath.Config{Jitter: upTo}, seed)
	still := false
	var held []*transport.Packet
	s.socket.Route(transport.PacketUTP, actor.FuncRef(func(p *transport.Packet) {
		if still {
			held = append(held, p)
			return
		}
		s.hear(p)
	}))
	var again func()
	again = func() {
		still = true
		now := s.l.w.Now()
		s.l.w.At(max(l.Carry(now, 1).At[0], now), func() {
			still = false
			for _, p := range held {
				s.hear(p)
			}
			held = held[:0]
			s.l.w.After(50*ms, again)
		})
	}
	again()
}

// Processes that get no processor for a while see delays that are not the path's, and
// leave the link idle. That must not be taken for others' slowdowns.
func TestStalls(t *testing.T) {
	p, _ := relay.Named("adsl")
	for seed := range uint64(4) {
		l := newLab(t, seed)
		from, to := l.flow(&utp.Config{}, l.n.PacketLink(p.There), l.n.PacketLink(p.Back), 1)
		from.stalls(50*ms, seed)
		to.stalls(50*ms, seed+100)
		l.run(20 * time.Second)
		rate, slow := to.got/1024/20, from.m.Stats().Slowdowns
		t.Logf("seed %d: %d KiB/s, %d slowdowns", seed, rate, slow)
		if rate < 1080 || slow > 2 {
			t.Errorf("seed %d: %d KiB/s, %d slowdowns, want 1080 and 1", seed, rate, slow)
		}
	}
}
