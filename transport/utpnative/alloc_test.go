package utpnative

import (
	"runtime"
	"testing"
)

// No allocation per datagram, on either side: what there is comes per batch and turn.
func TestDatagramsAreNotAllocated(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector empties pools at random")
		return
	}
	x, y := pair(t)
	const blocks = 4096
	mallocs := func(blocks int) uint64 {
		l, r := x.shake(y)
		done := startSeeder(x.w, r)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before := m.Mallocs
		if err := runLeecher(x.w, l, blocks); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&m)
		<-done
		return m.Mallocs - before
	}
	mallocs(1024) // pools and buffers fill
	each := float64(mallocs(blocks)) / (blocks * 11.5)
	t.Logf("%.3f allocations per datagram, of both sides", each)
	if each > 0.2 {
		t.Errorf("%.2f allocations per datagram", each)
	}
}
