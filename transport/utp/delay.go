package utp

import "time"

const (
	baseBuckets  = 13          // minima of the last minutes; RFC 6817 asks for 2 to 10, libutp has 13
	baseInterval = time.Minute // that one bucket covers
	recentDelays = 4           // samples whose least counts as the delay now (RFC 6817, CURRENT_FILTER)

	// maxDrift is the largest step of the remote's base that counts as a drift of
	// the clocks and not as a change of route, in microseconds.
	maxDrift = 10_000
)

// delays is the history of one direction's one-way delay in microseconds mod 2^32. It
// has an unknown offset, that of the two clocks; only differences mean something.
type delays struct {
	base    uint32 // least of all buckets
	buckets [baseBuckets]uint32
	recent  [recentDelays]uint32 // above base, at the time of the sample
	bucket  uint8
	next    uint8 // index into recent
	known   bool
	turnAt  Time // when the next bucket begins
}

// add takes a sample.
func (d *delays) add(sample uint32, now Time) {
	if !d.known {
		d.known, d.base, d.turnAt = true, sample, now.Add(baseInterval)
		for i := range d.buckets {
			d.buckets[i] = sample
		}
	}
	if b := &d.buckets[d.bucket]; less32(sample, *b) {
		*b = sample
	}
	if less32(sample, d.base) {
		d.base = sample
	}
	d.recent[d.next] = sample - d.base
	d.next = (d.next + 1) % recentDelays
	if !now.Before(d.turnAt) {
		d.turn(sample, now)
	}
}

// turn begins a new minute, and forgets the oldest.
func (d *delays) turn(sample uint32, now Time) {
	d.turnAt = now.Add(baseInterval)
	d.bucket = (d.bucket + 1) % baseBuckets
	d.buckets[d.bucket] = sample
	d.base = sample
	for _, b := range d.buckets {
		if less32(b, d.base) {
			d.base = b
		}
	}
}

// shift moves the base up by n microseconds: the clocks drift apart, or the route grew.
func (d *delays) shift(n uint32) {
	d.base += n
	for i := range d.buckets {
		d.buckets[i] += n
	}
}

// queueing is the delay beyond the base.
func (d *delays) queueing() Duration {
	least := d.recent[0]
	for _, r := range d.recent[1:] {
		least = min(least, r)
	}
	return Duration(least) * time.Microsecond
}

// clocks owns both directions' delays and what is told to the remote.
type clocks struct {
	ours, theirs delays // of packets that we send, and that they send
	reply        uint32 // timestamp_difference_microseconds of our next packet
}

// sample takes the two timestamps of a packet that arrived now; rtt is the last round
// trip, 0 if there was none.
func (c *clocks) sample(p *Packet, rtt Duration, now Time) {
	if p.Timestamp != 0 {
		c.reply = micros(now) - p.Timestamp
		c.theirSample(now)
	}
	// "When a socket is newly opened and doesn't have any delay samples yet, this
	// must be set to 0."
	if p.Diff == 0 {
		return
	}
	c.ours.add(p.Diff, now)
	// A queue cannot be longer than the round trip; if it seems to be, the base is
	// too low.
	if q := c.ours.queueing(); rtt > 0 && q > rtt {
		c.ours.shift(uint32((q - rtt) / time.Microsecond))
		for i := range c.ours.recent {
			c.ours.recent[i] = min(c.ours.recent[i], uint32(rtt/time.Microsecond))
		}
	}
}

// theirSample compensates drift as libutp does: when the base of the other direction
// falls, their clock runs faster than ours by as much, and our base has to rise.
func (c *clocks) theirSample(now Time) {
	was, known := c.theirs.base, c.theirs.known
	c.theirs.add(c.reply, now)
	if step := was - c.theirs.base; known && less32(c.theirs.base, was) && step <= maxDrift {
		c.ours.shift(step)
	}
}
