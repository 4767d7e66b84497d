package utp

import "time"

// Timeouts of BEP 29, "timeouts".
const (
	initialRTO = time.Second
	minRTO     = 500 * time.Millisecond
	maxRTO     = 30 * time.Second
)

// rtt estimates the round trip time. The zero value knows nothing.
type rtt struct {
	smooth, variance Duration
	last, least      Duration // last sample, and the least of the connection
}

// add takes a sample of a packet that was sent once.
func (r *rtt) add(d Duration) {
	d = max(d, time.Microsecond)
	r.last = d
	if r.least == 0 || d < r.least {
		r.least = d
	}
	if r.smooth == 0 {
		r.smooth, r.variance = d, d/2
		return
	}
	delta := r.smooth - d
	r.variance += (max(delta, -delta) - r.variance) / 4
	r.smooth += (d - r.smooth) / 8
}

// rto is the timeout after which a packet counts as lost, doubled for each of the
// timeouts that followed one another.
func (r *rtt) rto(timeouts int) Duration {
	d := initialRTO
	if r.smooth != 0 {
		// "timeout = max(rtt + rtt_var * 4, 500)"
		d = max(r.smooth+4*r.variance, minRTO)
	}
	return min(d<<min(timeouts, 10), maxRTO)
}

// orInitial is the smoothed round trip, or a guess.
func (r *rtt) orInitial() Duration {
	if r.smooth == 0 {
		return initialRTO / 4
	}
	return r.smooth
}
