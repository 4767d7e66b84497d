package engine

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// runDepth runs a depth against a remote of a fixed rate and round trip that serves
// what is out, and returns the depth after a while.
func runDepth(rate int64, rtt, for_ time.Duration, most int32) int32 {
	var d requestDepth
	var m rateMeter
	var now actor.Time
	d.start(now)
	out, served := d.want(0, rtt, most), int64(0)
	for now < actor.Time(for_) {
		// In one round trip the remote serves what it was asked for, or what its rate allows.
		now = now.Add(rtt)
		got := min(int64(out), int64(now)/1e6*rate/1000/metainfo.BlockSize-served)
		served += got
		if got > 0 {
			m.add(now, got*metainfo.BlockSize)
			d.drained(now, int32(got), got*metainfo.BlockSize, rtt, true)
		}
		out = d.want(m.rate(now), rtt, most)
	}
	return out
}

func TestDepthFollowsTheRate(t *testing.T) {
	for _, c := range []struct {
		name   string
		rate   int64
		rtt    time.Duration
		lo, hi int32
	}{
		{"slow", 10 << 10, 100 * time.Millisecond, requestsMin, 8},
		{"1 MiB/s", 1 << 20, 50 * time.Millisecond, 60, 90},
		{"20 MiB/s", 20 << 20, 30 * time.Millisecond, 1250, 1500},
		{"1 GiB/s", 1 << 30, 10 * time.Millisecond, requestsOut, requestsOut},
	} {
		if got := runDepth(c.rate, c.rtt, 10*time.Second, requestsOut); got < c.lo || got > c.hi {
			t.Errorf("%s: depth %d, want %d to %d", c.name, got, c.lo, c.hi)
		}
	}
}

func TestDepthSlowStartDoubles(t *testing.T) {
	var d requestDepth
	d.start(0)
	d.target = requestsMin
	for i, want := range []int32{8, 16, 32, 64} {
		n := d.target
		d.drained(actor.Time(i)*actor.Time(10*time.Millisecond), n, int64(n)*metainfo.BlockSize, 10*time.Millisecond, true)
		if d.target != want {
			t.Fatalf("round %d: %d, want %d", i, d.target, want)
		}
	}
	before := d.target
	d.drained(actor.Time(time.Second), 3, 3*metainfo.BlockSize, time.Millisecond, false)
	if d.target != before {
		t.Fatal("grew although the torrent had no work")
	}
}

func TestDepthBounds(t *testing.T) {
	var d requestDepth
	if got := d.want(0, 0, 100); got != requestsMin {
		t.Errorf("an idle remote: %d", got)
	}
	if got := d.want(1<<33, time.Hour, 7); got != 7 {
		t.Errorf("beyond what the remote holds: %d", got)
	}
	if got := d.want(0, 0, 1); got != 1 {
		t.Errorf("a remote that takes one: %d", got)
	}
	d.rejected(3)
	if got := d.want(1<<30, 0, 100); got != 3 {
		t.Errorf("after a reject: %d", got)
	}
	d.drained(0, 2, 2, 0, true)
	if got := d.want(1<<30, 0, 100); got != 5 {
		t.Errorf("blocks raise it again: %d", got)
	}
	d.rejected(0)
	if got := d.want(1<<30, 0, 100); got != 1 {
		t.Errorf("never zero: %d", got)
	}
}
