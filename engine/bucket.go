package engine

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/shoal-bt/shoal/internal/clock"
)

// bucket is one token bucket of bytes; nil is unlimited. Pure: time is an argument.
type bucket struct {
	lim  *rate.Limiter
	rate int64 // bytes a second
}

// quantum is the least that is granted at once, if the bucket can hold it: one
// block with its header.
const quantum = 16384 + 13

// bucketDivisor: a bucket holds an eighth of a second. How much of its rate a bucket can hold: short, so that a limit is
// smooth, long enough that a wake-up every few milliseconds keeps up.
const bucketDivisor = 8

func newBucket(bytesPerSecond int64) *bucket {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := max(bytesPerSecond/bucketDivisor, quantum)
	return &bucket{rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst)), bytesPerSecond}
}

func at(now clock.Time) time.Time { return time.Unix(0, int64(now)) }

// has returns the bytes that may be taken now.
func (b *bucket) has(now clock.Time) int64 {
	if b == nil {
		return 1 << 62
	}
	return int64(b.lim.TokensAt(at(now)))
}

func (b *bucket) take(now clock.Time, n int64) {
	if b != nil {
		b.lim.AllowN(at(now), int(n))
	}
}

// wait returns how long it takes until n bytes may be taken.
func (b *bucket) wait(now clock.Time, n int64) clock.Duration {
	if b == nil {
		return 0
	}
	short := min(n, int64(b.lim.Burst())) - b.has(now)
	if short <= 0 {
		return 0
	}
	return clock.Duration(short*int64(time.Second)/b.rate + 1)
}

// path is the buckets that bytes pass, from the session's to the peer's.
type path [3]*bucket

func (p *path) has(now clock.Time) int64 {
	return min(p[0].has(now), p[1].has(now), p[2].has(now))
}

func (p *path) take(now clock.Time, n int64) {
	for _, b := range p {
		b.take(now, n)
	}
}

func (p *path) wait(now clock.Time, n int64) clock.Duration {
	return max(p[0].wait(now, n), p[1].wait(now, n), p[2].wait(now, n))
}
