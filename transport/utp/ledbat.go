package utp

import (
	"math/bits"
	"time"
)

const (
	initialWindow = 2       // packets (RFC 6817, INIT_CWND)
	leastWindow   = 2       // packets (RFC 6817, MIN_CWND)
	maxCwnd       = 1 << 30 // bytes

	// fraction bits of the window, so that small gains add up.
	fracBits = 8

	// rootFrom is the window from which the even increase grows with its root,
	// in packets.
	rootFrom = 4

	// slowdownEvery is the least time between two slowdowns; a slowdown costs
	// some round trips, so it also takes slowdownShare times as long to come back.
	slowdownEvery = 20 * time.Second
	slowdownShare = 20
	// slowdownPayload is what packets carry meanwhile, in bytes. Small ones spend
	// no time on the wire of a slow link: the base that they find is comparable
	// to the one that others found with their SYN.
	slowdownPayload = 128
)

// ledbat is the congestion window after RFC 6817, in bytes of payload.
type ledbat struct {
	target Duration
	gain   int64 // bytes in a round trip
	plain  bool

	cwnd      int64 // bytes << fracBits
	threshold int64 // of slow start, bytes
	slowStart bool

	before    int64 // cwnd in bytes before the last cut, 0 once undone
	limitedAt Time  // when the window last stopped us
	heldAt    Time  // when the remote's window or the cap on packets did
	idleAt    Time  // since when nothing is under way; Never while something is

	slowAt   Time // when the next slowdown may begin; 0 until slow start is over
	slowEnds Time // during one: when the window opens again
	slowFrom Time // when it began, while it or its ramp lasts
	high     bool // there was a standing queue

	slowdowns int64
}

func newLedbat(c *Config, packet int) ledbat {
	return ledbat{
		target: c.target(), gain: c.gain(), plain: c.Plain,
		cwnd: int64(initialWindow*packet) << fracBits, threshold: maxCwnd, slowStart: true,
	}
}

// bytes is the congestion window.
func (l *ledbat) bytes() int64 { return l.cwnd >> fracBits }

// room is how much may be under way now.
func (l *ledbat) room(now Time) int64 {
	if l.slow(now) {
		return 2 * slowdownPayload
	}
	return l.bytes()
}

// slow reports whether a slowdown empties the queue now.
func (l *ledbat) slow(now Time) bool { return now.Before(l.slowEnds) }

func (l *ledbat) set(n, least int64) { l.cwnd = min(max(n, least), maxCwnd) << fracBits }

// acked grows or shrinks the window. bytes is what this packet acknowledged, delay the
// queueing delay, packet the payload of a full packet; sentAt is when the newest of
// the acknowledged packets was sent.
func (l *ledbat) acked(bytes int64, delay Duration, packet int, sentAt Time, r *rtt, now Time) {
	if bytes == 0 || l.slow(now) {
		return
	}
	// "cwnd is not grown unless saturated": the window has been full since.
	limited, held := l.limitedAt >= sentAt, l.heldAt >= sentAt
	least := int64(leastWindow * packet)
	if l.slowAt == 0 && held {
		l.slowAt = now.Add(slowdownEvery / 10)
	}
	defer l.maySlowDown(delay, least, limited || held, r, now)
	if l.slowStart {
		l.grow(bytes, delay, least, limited, now)
		return
	}
	if step := l.step(min(bytes, max(l.bytes(), 1)), delay, packet); step < 0 || limited {
		l.cwnd = min(max(l.cwnd+step, least<<fracBits), maxCwnd<<fracBits)
	}
}

// grow is slow start: "left at the delay target", as libutp a little before it.
func (l *ledbat) grow(bytes int64, delay Duration, least int64, limited bool, now Time) {
	if delay > l.target*9/10 {
		l.endSlowStart(now)
		return
	}
	if !limited {
		return
	}
	l.set(min(l.bytes()+bytes, max(l.threshold, l.bytes())), least)
	if l.bytes() >= l.threshold {
		l.endSlowStart(now)
	}
}

// step is the change for bytes that were acknowledged, in 1/256 bytes:
//
//	off_target = (TARGET - queuing_delay) / TARGET
//	cwnd += GAIN * off_target * bytes_newly_acked * MSS / cwnd
//
// (RFC 6817, section 2.4.2), and unless plain a decrease in proportion to the window
// and an increase that grows more slowly than it: half a packet, with its root beyond
// rootFrom packets, since flows of large windows would take minutes to even out by so
// little. In equilibrium these two hold each other for all flows of one bottleneck at
// the same window, which RFC 6817 alone does not do.
func (l *ledbat) step(bytes int64, delay Duration, packet int) int64 {
	target := int64(l.target / time.Microsecond)
	off := max(target-int64(delay/time.Microsecond), -10*target)
	cwnd := max(l.bytes(), 1)
	step := l.gain * off / target * bytes << fracBits / cwnd
	if l.plain {
		return step
	}
	even := max(int64(packet), isqrt(cwnd*int64(packet)/rootFrom)) / 2
	step += even * bytes << fracBits / cwnd
	if off < 0 {
		// At most by half in a round trip.
		step -= bytes << fracBits * min(-off, target/2) / target
	}
	return max(step, -(bytes<<fracBits)/2)
}

// isqrt is the whole part of the square root.
func isqrt(n int64) int64 {
	x := int64(1) << ((bits.Len64(uint64(n)) + 1) / 2)
	for x > 0 {
		y := (x + n/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
	return 0
}

// endSlowStart: the window is what the path bears; the first slowdown comes soon, so
// that a late-comer learns what the delay is without the queue of others.
func (l *ledbat) endSlowStart(now Time) {
	l.slowStart = false
	l.threshold = l.bytes()
	if l.slowFrom != 0 {
		l.slowAt = now.Add(max(slowdownEvery, slowdownShare*now.Sub(l.slowFrom)))
		l.slowFrom = 0
	} else if l.slowAt == 0 {
		l.slowAt = now.Add(slowdownEvery / 10)
	}
}

// maySlowDown begins a slowdown if its time has come: next to nothing is sent for a
// round trip, in which the queue empties, and for the least round trip, in which that is
// seen; then slow start up to what the window was. The first is for whoever fills his
// window, since a late-comer mistakes the others' queue for the path; without a standing
// queue there is nothing to empty afterwards (draft-irtf-iccrg-ledbat-plus-plus, "initial
// and periodic slowdown", has all of them at fixed times).
//
// Who has little more than the least window empties no queue by himself, but what he
// keeps there others mistake for the path: he waits for their slowdowns, and joins.
func (l *ledbat) maySlowDown(delay Duration, least int64, full bool, r *rtt, now Time) {
	fell := l.high && delay < l.target/2
	l.high = delay >= l.target*3/4 || l.high && !fell
	if l.plain || l.slowAt == 0 || l.slowFrom != 0 && l.slowStart {
		return
	}
	begins := !now.Before(l.slowAt) && full && (delay >= l.target/2 || l.slowdowns == 0)
	if l.bytes() < 2*least {
		begins = fell && !now.Before(l.slowAt.Add(-slowdownEvery*3/4))
	}
	if !begins {
		return
	}
	l.threshold = max(l.bytes(), least)
	l.set(least, least)
	l.slowStart = true
	l.slowdowns++
	l.slowFrom, l.slowEnds = now, now.Add(r.orInitial()+max(r.least, l.target))
}

// lost halves the window. The caller sees to it that this happens once a round trip.
func (l *ledbat) lost(packet int, now Time) {
	l.before = l.bytes()
	l.set(l.bytes()/2, int64(leastWindow*packet))
	l.endSlowStart(now)
}

// undo takes back the last cut, once: the packet was late, not lost. It reports whether
// there was one.
func (l *ledbat) undo() bool {
	before := l.before
	l.before = 0
	l.cwnd = max(l.cwnd, before<<fracBits)
	return before > 0
}

// timedOut leaves one packet, and slow start to half of what was.
func (l *ledbat) timedOut(packet int) {
	l.threshold = max(l.bytes()/2, int64(leastWindow*packet))
	l.set(int64(packet), int64(packet))
	l.slowStart, l.before, l.slowFrom = true, 0, 0
}

// resume lets the window decay for the time in which nothing was sent: what the path
// bore then says little about now. A third less for each timeout that would have been.
func (l *ledbat) resume(packet int, rto Duration, now Time) {
	if l.idleAt == clockNever {
		return
	}
	least := int64(initialWindow * packet)
	for idle := now.Sub(l.idleAt); idle >= rto && l.bytes() > least; idle -= rto {
		l.set(l.bytes()*2/3, least)
	}
	l.idleAt = clockNever
}
