package engine

import (
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

func TestRateMeter(t *testing.T) {
	var m rateMeter
	ms := func(n int64) actor.Time { return actor.Time(n * int64(time.Millisecond)) }
	if m.rate(ms(12345)) != 0 {
		t.Fatal("nothing counted, but a rate")
	}
	m.add(ms(20_000), 1000)
	if got := m.rate(ms(20_000)); got != 2000 {
		t.Fatalf("one block at once is no flood: %d", got)
	}
	for at := int64(20_010); at < 30_000; at += 10 {
		m.add(ms(at), 1000)
	}
	if got := m.rate(ms(30_000)); got < 97_000 || got > 103_000 {
		t.Fatalf("100 kB/s measured as %d", got)
	}
	if got := m.rate(ms(32_000)); got < 40_000 || got > 60_000 {
		t.Fatalf("half of the window was silent: %d", got)
	}
	if got := m.rate(ms(34_100)); got != 0 {
		t.Fatalf("all of it was: %d", got)
	}
	m.add(ms(1_000_000), 500)
	if got := m.rate(ms(1_001_000)); got != 500 {
		t.Fatalf("begins anew: %d", got)
	}
}

// A burst of 10 GiB/s must not overflow.
func TestRateMeterIsWide(t *testing.T) {
	var m rateMeter
	for i := range actor.Time(400) {
		m.add(i*10_000_000, 100<<20)
	}
	if got := m.rate(4_000_000_000); got < 9<<30 || got > 11<<30 {
		t.Fatalf("%d", got)
	}
}
