package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// Leases end in five ways: the block comes, a reject, a choke, a timeout, the
// connection's end. This file is about those that end without a block.

// requestTimeMax bounds how long one block may be out while others come.
const requestTimeMax = 2 * time.Minute

// giveBack reports a lease that has ended.
func (p *peer) giveBack(ref blockRef) {
	r := p.report()
	r.back = append(r.back, ref)
}

// giveBackRun reports blocks that were never asked for.
func (p *peer) giveBackRun(r run) {
	for b := range r.n {
		p.giveBack(blockRef{r.piece, r.first + metainfo.BlockIndex(b)})
	}
}

// giveBackRuns reports the runs that f chooses, none of which has been asked for.
func (p *peer) giveBackRuns(f func(run) bool) {
	d := &p.down
	kept := d.runs[:0]
	for _, r := range d.runs {
		if f(r) {
			d.unsent -= r.n
			p.giveBackRun(r)
		} else {
			kept = append(kept, r)
		}
	}
	d.runs = kept
}

// giveBackOut reports the outstanding requests that f chooses. Their blocks may
// still come.
func (p *peer) giveBackOut(f func(*askedBlock) bool) {
	p.down.out.takeIf(func(r *askedBlock) bool {
		if !f(r) {
			return false
		}
		p.giveBack(r.ref())
		p.keepLate(*r)
		return true
	})
}

// keepLate remembers a request without a lease; of too many the oldest is forgotten.
func (p *peer) keepLate(r askedBlock) {
	d := &p.down
	if d.late.n == requestsOut {
		d.late.pop()
	}
	d.late.push(r)
}

// splitRuns takes a block out of what has not been asked for yet.
func (p *peer) splitRuns(ref blockRef) {
	d := &p.down
	for i := range d.runs {
		r := &d.runs[i]
		at := int32(ref.block - r.first)
		if r.piece != ref.piece || at < 0 || at >= r.n {
			continue
		}
		rest := run{r.piece, ref.block + 1, r.n - at - 1}
		r.n = at
		d.unsent--
		if rest.n > 0 {
			d.runs = append(d.runs, rest)
		}
		return
	}
}

// checkLeases ends the leases whose time is over.
func (p *peer) checkLeases(now actor.Time) {
	d := &p.down
	for d.late.n > 0 && d.late.first().at.Add(lateTime) <= now {
		d.late.pop()
	}
	switch {
	case d.out.n == 0 || p.starved():
	case p.remote.choking:
		// BEP 6 promises a reject for each; not all keep it.
		if d.choked.Add(snubTime) <= now {
			p.giveBackOut(func(r *askedBlock) bool { return !p.mayAsk(r.piece) || r.at.Add(snubTime) <= now })
		}
	case !d.snubbed && d.moved.Add(snubTime) <= now:
		p.snub()
	default:
		for d.out.n > 0 && d.out.first().at.Add(p.requestTime(now)) <= now {
			r := d.out.pop()
			p.giveBack(r.ref())
			p.keepLate(r)
		}
	}
}

// snub gives all requests but the newest back: others may be faster. That one stays,
// so that the remote can show that it is alive.
func (p *peer) snub() {
	d := &p.down
	d.snubbed = true
	p.giveBackRuns(func(run) bool { return true })
	last := *d.out.at(d.out.n - 1)
	p.giveBackOut(func(r *askedBlock) bool { return *r != last })
}

// requestTime is how long one request may take: three times what the queue before
// it needs at the present rate.
func (p *peer) requestTime(now actor.Time) actor.Duration {
	d := &p.down
	rate := d.rate.rate(now)
	if rate == 0 {
		return requestTimeMax / 2
	}
	queue := actor.Duration(int64(d.out.n)*metainfo.BlockSize*1000/rate) * time.Millisecond
	return min(max(3*queue+d.rtt, snubTime), requestTimeMax)
}

// leaseDeadline is when checkLeases has something to do.
func (p *peer) leaseDeadline(now actor.Time) actor.Time {
	d := &p.down
	switch {
	case d.out.n == 0 || p.starved():
		return actor.Never
	case p.remote.choking:
		return max(d.choked, d.out.first().at).Add(snubTime)
	case d.snubbed:
		return d.out.first().at.Add(p.requestTime(now))
	}
	return min(d.moved.Add(snubTime), d.out.first().at.Add(p.requestTime(now)))
}
