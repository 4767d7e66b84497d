package utp_test

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/relay"
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
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			// What no loss holds back shows itself soon.
			span, seeds := 2*time.Second, uint64(1)
			if p.There.Loss > 0 {
				span, seeds = 60*time.Second, 4
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
