package utp

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
