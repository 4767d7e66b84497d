package utp

import (
	"fmt"
	"testing"
	"time"
)

const ms = time.Millisecond

// profiles are paths that a connection has to survive.
var profiles = []struct {
	name  string
	path  noisy
	bytes int64
	limit Duration // of virtual time
	stall Duration // longest silence of the stream while it flows: 3 timeouts, mostly
}{
	{"clean", noisy{delay: 10 * ms}, 2 << 20, 10 * time.Second, 1500 * ms},
	{"50 ms, 0.5 % loss", noisy{delay: 25 * ms, loss: 0.005}, 1 << 20, 30 * time.Second, 1500 * ms},
	{"200 ms, 1 % loss", noisy{delay: 100 * ms, loss: 0.01}, 1 << 20, 120 * time.Second, 1500 * ms},
	{"10 ms, reordered and repeated", noisy{delay: 5 * ms, late: 0.1, lateBy: 5 * ms, dup: 0.05}, 2 << 20, 20 * time.Second, 1500 * ms},
	{"jitter", noisy{delay: 5 * ms, jitter: 30 * ms}, 256 << 10, 60 * time.Second, 1500 * ms},
	{"20 % loss", noisy{delay: 10 * ms, loss: 0.2}, 96 << 10, 300 * time.Second, 20 * time.Second},
	{"black hole at 1,280", noisy{delay: 10 * ms, mtu: 1280}, 1 << 20, 10 * time.Second, 1500 * ms},
	{"black hole at 560, 2 % loss", noisy{delay: 10 * ms, mtu: 560, loss: 0.02}, 256 << 10, 60 * time.Second, 1500 * ms},
	{"dark for 3 s", noisy{delay: 25 * ms, dark: func(now Time) bool { return now > Time(1300*ms) && now < Time(4300*ms) }},
		2 << 20, 20 * time.Second, 6 * time.Second},
	{"everything", noisy{delay: 30 * ms, jitter: 10 * ms, late: 0.05, lateBy: 50 * ms, dup: 0.05, loss: 0.03, mtu: 1000}, 128 << 10, 120 * time.Second, 1500 * ms},
}

// TestProfiles sends a known stream both ways over each path; the program's bytes are
// compared one by one, both sides close, and the same seed gives the same packets.
func TestProfiles(t *testing.T) {
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(2) {
				once, took := exchange(t, seed, p.path, p.bytes, p.limit, p.stall)
				again, _ := exchange(t, seed, p.path, p.bytes, p.limit, p.stall)
				if once != again {
					t.Errorf("seed %d: two runs differ", seed)
				}
				t.Logf("seed %d: %.0f KiB/s each way", seed, float64(p.bytes)/1024/took.Seconds())
			}
		})
	}
}

func exchange(t *testing.T, seed uint64, path noisy, bytes int64, limit, stall Duration) (string, Duration) {
	t.Helper()
	w := newWorld(t, seed)
	there, back := path, path
	a, b := w.connect(&Config{}, &there, &back)
	a.toWrite, b.toWrite = bytes, bytes
	a.closeAt, b.closeAt = bytes, bytes
	began := w.now
	if !w.run(limit, func() bool { return a.got == bytes && b.got == bytes }) {
		t.Fatalf("seed %d: after %v of %d bytes: a has %d, b has %d; a %s %+v, b %s %+v",
			seed, limit, bytes, a.got, b.got, a.m.Phase(), a.m.Stats(), b.m.Phase(), b.m.Stats())
	}
	took := w.now.Sub(began)
	if longest := max(a.silence, b.silence); longest > stall {
		t.Errorf("seed %d: nothing came for %v", seed, longest)
	}
	if !w.run(time.Minute, func() bool { return a.m.Phase() == Closed && b.m.Phase() == Closed }) {
		t.Fatalf("seed %d: not closed: a %s, b %s", seed, a.m.Phase(), b.m.Phase())
	}
	for _, e := range []*end{a, b} {
		if e.m.Err() != nil || !e.m.EOF() && path.loss == 0 {
			t.Errorf("seed %d: %s ended with %v, EOF %v", seed, e.name, e.m.Err(), e.m.EOF())
		}
		if e.m.Acked() != bytes {
			t.Errorf("seed %d: %s: %d bytes acknowledged", seed, e.name, e.m.Acked())
		}
	}
	if seed == 0 {
		t.Logf("longest silence %v; a: %+v size %d rtt %v", max(a.silence, b.silence), a.m.Stats(), a.m.PacketSize(), a.m.RTT())
	}
	return fmt.Sprintf("%x %v", w.trace.Sum64(), w.now), took
}
