package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

const (
	// depthAhead of the remote's rate is asked for beyond the round trip: it must
	// not run dry while we, or the picker, are late.
	depthAhead = time.Second
	// depthLook is how often slow start looks whether the rate still grows.
	depthLook = 500 * time.Millisecond
	// depthMaxRTT bounds what a measured round trip can do to the depth.
	depthMaxRTT = 3 * time.Second
)

// requestDepth decides how many requests should be out at the remote. It begins with slow
// start, one more for each block that comes, which doubles it every round trip;
// when the rate grows no longer, the depth follows the rate.
type requestDepth struct {
	slow     bool
	target   int32 // of slow start
	perDrain int32 // blocks that come at once, decaying
	limit    int32 // lowered by rejects while unchoked, raised by blocks; 0: none

	looked    actor.Time // when slow start looked last
	got       int64      // bytes since then
	lastSpeed int64      // bytes a second at the last look
}

// start begins slow start anew, as after an unchoke.
func (d *requestDepth) start(now actor.Time) {
	d.slow, d.target = true, max(requestsMin, d.target/2)
	d.looked, d.got, d.lastSpeed = now, 0, 0
}

// drained counts blocks that came at once. Slow start goes on only while the depth
// is what holds the remote back: busy says that at least half of it is out.
func (d *requestDepth) drained(now actor.Time, blocks int32, bytes int64, rtt actor.Duration, busy bool) {
	d.perDrain = max(blocks, d.perDrain-d.perDrain/8)
	if d.limit > 0 {
		d.limit += blocks
	}
	if !d.slow {
		return
	}
	if busy {
		d.target = min(d.target+blocks, requestsOut)
	}
	d.got += bytes
	if now.Sub(d.looked) >= max(depthLook, 2*min(rtt, depthMaxRTT)) {
		d.look(now)
	}
}

// look ends slow start when the rate has grown by less than an eighth.
func (d *requestDepth) look(now actor.Time) {
	ms := max(int64(now.Sub(d.looked)/time.Millisecond), 1)
	speed := d.got * 1000 / ms
	if d.lastSpeed > 0 && speed < d.lastSpeed+d.lastSpeed/8 {
		d.slow = false
	}
	d.looked, d.got, d.lastSpeed = now, 0, speed
}

// rejected says that the remote refused a request although it does not choke us:
// it has had enough, at out requests.
func (d *requestDepth) rejected(out int32) {
	d.slow = false
	d.limit = max(out, 1)
}

// want returns the depth, for a remote that sends rate bytes a second and accepts
// most requests.
func (d *requestDepth) want(rate int64, rtt actor.Duration, most int32) int32 {
	ms := int64((min(rtt, depthMaxRTT) + depthAhead) / time.Millisecond)
	n := rate/1000*ms/metainfo.BlockSize + 2*int64(d.perDrain)
	if d.slow {
		n = max(n, int64(d.target))
	}
	n = max(n, requestsMin)
	if d.limit > 0 {
		n = min(n, int64(d.limit))
	}
	return int32(min(n, int64(most)))
}
