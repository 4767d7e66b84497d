package utp

import "time"

// noisy is a path without a bottleneck that loses, repeats, delays and swallows.
type noisy struct {
	delay, jitter Duration
	loss, dup     float64
	late          float64 // share of datagrams that come later by up to lateBy
	lateBy        Duration
	mtu           int // larger datagrams vanish; 0 for none
	dark          func(now Time) bool
	sent, lost    int
}

func (p *noisy) carry(w *world, b []byte, _ bool) []Time {
	p.sent++
	if p.mtu > 0 && len(b) > p.mtu || w.rng.Float64() < p.loss || p.dark != nil && p.dark(w.now) {
		p.lost++
		return nil
	}
	at := []Time{p.arrival(w)}
	if w.rng.Float64() < p.dup {
		at = append(at, p.arrival(w))
	}
	return at
}

func (p *noisy) arrival(w *world) Time {
	d := p.delay
	if p.jitter > 0 {
		d += Duration(w.rng.Int64N(int64(p.jitter)))
	}
	if p.late > 0 && w.rng.Float64() < p.late {
		d += Duration(w.rng.Int64N(int64(p.lateBy)))
	}
	return w.now.Add(d)
}

// bottleneck is a link of a rate with a buffer that drops from its tail, shared by all
// who send through it, and a propagation delay.
type bottleneck struct {
	rate   int64 // bytes a second
	buffer int64 // bytes, the packet in transmission included
	delay  Duration
	freeAt Time // when all that is queued has gone
	sent   int64
	drops  int
}

const ipOverhead = 28

func (l *bottleneck) carry(w *world, b []byte, _ bool) []Time {
	at, ok := l.pass(w.now, len(b)+ipOverhead)
	if !ok {
		return nil
	}
	return []Time{at}
}

// pass queues n bytes and returns when they arrive.
func (l *bottleneck) pass(now Time, n int) (Time, bool) {
	l.freeAt = max(l.freeAt, now)
	if l.queued(now)+int64(n) > l.buffer {
		l.drops++
		return 0, false
	}
	l.freeAt = l.freeAt.Add(Duration(int64(n) * int64(time.Second) / l.rate))
	l.sent += int64(n)
	return l.freeAt.Add(l.delay), true
}

// queued is how many bytes wait.
func (l *bottleneck) queued(now Time) int64 {
	return int64(l.wait(now)) * l.rate / int64(time.Second)
}

// wait is the queueing delay of a packet that comes now.
func (l *bottleneck) wait(now Time) Duration { return max(0, l.freeAt.Sub(now)) }
