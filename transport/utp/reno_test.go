package utp

// reno is a model of one TCP Reno flow with endless data: slow start, a segment more
// each round trip, half after a loss, which it sees a round trip later. Every segment
// is acknowledged; lost ones are sent again.
type reno struct {
	w         *world
	link      *bottleneck
	segment   int // bytes of payload
	cwnd      float64
	threshold float64
	inflight  int
	events    []renoEvent // in order of time: the link is first in, first out
	cutUntil  Time        // losses of packets sent before belong to the last cut
	delivered int64
}

type renoEvent struct {
	at   Time
	sent Time
	lost bool
}

const renoHeaders = 40 - ipOverhead // the link adds IP and UDP's 28

func (r *reno) start() { r.send() }

func (r *reno) send() {
	for r.inflight < int(r.cwnd) {
		at, ok := r.link.pass(r.w.now, r.segment+renoHeaders+ipOverhead)
		if !ok {
			at = r.link.freeAt.Add(r.link.delay) // what follows it tells of the loss
		}
		r.inflight++
		r.events = append(r.events, renoEvent{at.Add(linkDelay), r.w.now, !ok})
	}
}

// run lets time pass for the flow and the world together.
func (r *reno) run(d Duration) {
	until := r.w.now.Add(d)
	for {
		if len(r.events) == 0 || r.events[0].at > until {
			r.w.run(until.Sub(r.w.now), forever)
			return
		}
		e := r.events[0]
		r.events = r.events[1:]
		r.w.run(max(0, e.at.Sub(r.w.now)), forever)
		r.on(e)
		r.send()
	}
}

func (r *reno) on(e renoEvent) {
	r.inflight--
	switch {
	case !e.lost && r.cwnd < r.threshold:
		r.cwnd++
	case !e.lost:
		r.cwnd += 1 / r.cwnd
	case e.sent >= r.cutUntil:
		r.cutUntil = r.w.now
		r.cwnd = max(r.cwnd/2, 2)
		r.threshold = r.cwnd
	}
	if !e.lost {
		r.delivered += int64(r.segment)
	}
}
