package dht

import "time"

// rtts learns how long nodes take to answer (as RFC 6298 does, section 2), and from it
// how long to wait for one. The zero value has seen none.
type rtts struct {
	mean, dev time.Duration
}

func (r *rtts) add(d time.Duration) {
	if r.mean == 0 {
		r.mean, r.dev = max(d, 1), d/2
		return
	}
	r.dev += ((r.mean - d).Abs() - r.dev) / 16
	r.mean += (d - r.mean) / 16
}

// slow is when another query may start in the place of one that is out: about one
// answer in ten comes later.
func (r *rtts) slow() time.Duration {
	if r.mean == 0 {
		return 2 * firstRTT
	}
	return min(max(r.mean+2*r.dev, minSlow), maxSlow)
}

// overdue is when a lookup can end without the answer: about one in three hundred
// comes later.
func (r *rtts) overdue() time.Duration {
	if r.mean == 0 {
		return 5 * firstRTT
	}
	return min(max(r.mean+10*r.dev, minOverdue, 2*r.slow()), maxOverdue)
}
