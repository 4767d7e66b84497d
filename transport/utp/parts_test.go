package utp

import (
	"testing"
	"time"
)

func TestSequenceOrder(t *testing.T) {
	for _, c := range []struct {
		a, b uint16
		want bool
	}{{0, 1, true}, {1, 0, false}, {5, 5, false}, {65535, 0, true}, {0, 65535, false}, {65000, 100, true}} {
		if less(c.a, c.b) != c.want {
			t.Errorf("%d < %d: %v", c.a, c.b, !c.want)
		}
	}
	if !less32(1<<32-5, 3) || less32(3, 1<<32-5) {
		t.Error("timestamps do not wrap")
	}
}

// search runs the search for the largest packet over a path that carries up to limit,
// and returns what it found and how many probes that took.
func search(c *Config, limit int) (found, probes int) {
	s := newMTUSearch(c)
	for s.wants() {
		probes++
		if size := s.next(); size > limit {
			s.sent()
			s.failed()
		} else {
			s.sent()
			s.passed()
		}
	}
	return s.floor, probes
}

func TestMTUSearch(t *testing.T) {
	if n, probes := search(&Config{}, 1472); n != 1472 || probes != 1 {
		t.Errorf("Ethernet: %d after %d probes", n, probes)
	}
	for limit := 548; limit <= 1472; limit++ {
		if n, probes := search(&Config{}, limit); n > limit || n <= limit-mtuClose || probes > 16 {
			t.Errorf("limit %d: found %d after %d probes", limit, n, probes)
		}
	}
	if n, _ := search(&Config{V6: true}, 1232); n != 1232 {
		t.Errorf("IPv6: %d", n)
	}
	if n, _ := search(&Config{MaxPacket: 65507}, 65507); n != 65507 {
		t.Errorf("loopback: %d", n)
	}
	s := newMTUSearch(&Config{})
	s.sent()
	s.failed() // may be chance
	if s.ceiling != 1472 || s.next() != 1472 {
		t.Errorf("after one loss: %+v", s)
	}
	s.tooBig(1400)
	if s.ceiling != 1399 {
		t.Errorf("after EMSGSIZE: %+v", s)
	}
}

// TestInterfaceWithASmallMTU: the system refuses what the interface does not carry, a VPN's
// above all. The search goes on below it.
func TestInterfaceWithASmallMTU(t *testing.T) {
	for limit := 600; limit <= 1472; limit++ {
		s := newMTUSearch(&Config{})
		probes := 0
		for ; s.wants() && probes < 100; probes++ {
			n := s.next()
			s.sent()
			if n > limit {
				s.tooBig(n)
				s.failed() // it counts as lost, later
			} else {
				s.passed()
			}
		}
		if s.floor > limit || s.floor <= limit-mtuClose || probes > 12 {
			t.Fatalf("limit %d: found %d after %d probes", limit, s.floor, probes)
		}
	}
}

func TestBaseDelay(t *testing.T) {
	var d delays
	now := Time(time.Hour)
	near := uint32(1<<32 - 2000) // the offset of the clocks may wrap
	for _, s := range []uint32{5000, 3000, 4000, 9000, 9000, 9000, 8000} {
		d.add(near+s, now)
	}
	if d.base != near+3000 || d.queueing() != 5*ms {
		t.Errorf("base %d, queueing %v", d.base-near, d.queueing())
	}
	// After baseBuckets minutes the old minimum is forgotten.
	for range baseBuckets - 1 {
		now = now.Add(baseInterval)
		d.add(near+7000, now)
		if d.base != near+3000 {
			t.Fatalf("forgotten at %v", now)
		}
	}
	now = now.Add(baseInterval)
	d.add(near+7000, now)
	if d.base != near+7000 {
		t.Errorf("base %d", d.base-near)
	}
}

// drifting is a remote whose clock is fast by parts in a million: after an hour the
// queueing delay must still be that of the path.
func TestClockDrift(t *testing.T) {
	for _, ppm := range []int64{-100, -20, 20, 100} {
		var c clocks
		start := Time(time.Hour)
		for now := start; now < start.Add(time.Hour); now = now.Add(100 * ms) {
			ahead := now.Sub(start) / 1e6 * Duration(ppm)
			theirs := now.Add(ahead)
			p := Packet{Header: Header{
				Timestamp: micros(theirs.Add(-10 * ms)),
				Diff:      micros(theirs) - micros(now.Add(-10*ms)),
			}}
			c.sample(&p, 20*ms, now)
		}
		if q := c.ours.queueing(); q > 10*ms {
			t.Errorf("%d ppm: %v of queueing on an empty path", ppm, q)
		}
	}
}

func TestRTT(t *testing.T) {
	var r rtt
	if r.rto(0) != time.Second || r.rto(2) != 4*time.Second || r.rto(20) != maxRTO {
		t.Error("first timeout")
	}
	r.add(400 * ms)
	if r.smooth != 400*ms || r.rto(0) != 1200*ms {
		t.Errorf("%+v", r)
	}
	for range 200 {
		r.add(100 * ms)
	}
	if r.smooth > 101*ms || r.rto(0) != minRTO || r.least != 100*ms {
		t.Errorf("%+v", r)
	}
}

// The send queue finds every byte again, wherever the buffers end.
func TestSendQueue(t *testing.T) {
	var q sendQueue
	q.base, q.nextSeq = 65500, 65500 // sequence numbers wrap
	var off int64
	for round := range 300 {
		for i := range 5 {
			b := make([]byte, (round*7+i*13)%97+1)
			for j := range b {
				b[j] = stream(9, off)
				off++
			}
			q.write(b)
		}
		for q.pending() > 40 {
			q.push(int(min(q.pending(), 50)))
		}
		for seq := q.base; seq != q.nextSeq; seq++ {
			s := q.at(seq)
			b := make([]byte, s.size)
			q.copyTo(b, s.off)
			for j := range b {
				if b[j] != stream(9, s.off+int64(j)) {
					t.Fatalf("round %d: wrong byte at %d", round, s.off+int64(j))
				}
			}
		}
		for q.count() > round%7 {
			q.base++
		}
		q.release(q.ackedTo())
		if len(q.chunks) > 100 {
			t.Fatalf("%d buffers kept", len(q.chunks))
		}
	}
}

func TestRoot(t *testing.T) {
	for n := range int64(3000) {
		if r := isqrt(n); r*r > n || (r+1)*(r+1) <= n {
			t.Fatalf("root of %d: %d", n, r)
		}
	}
	if isqrt(1<<60) != 1<<30 || isqrt(1<<60-1) != 1<<30-1 {
		t.Error("of large numbers")
	}
}
