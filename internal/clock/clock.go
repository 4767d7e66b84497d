// Package clock holds the one representation of time that shoal's actors,
// strategies and simulator share: nanoseconds on a clock that the world around
// them chooses. Nothing here reads a clock.
package clock

import "time"

// Time is a moment in nanoseconds. Its zero is chosen by the world: the start of
// the process in the live world, the start of the run in the simulator. Moments of
// different worlds must not be compared.
type Time int64

// Duration is a span in nanoseconds.
type Duration = time.Duration

// Never lies after every moment that a world can reach.
const Never Time = 1<<63 - 1

// Add returns the moment d after t; it saturates at Never.
func (t Time) Add(d Duration) Time {
	if s := t + Time(d); d <= 0 || s >= t {
		return s
	}
	return Never
}

// Sub returns the span from u to t.
func (t Time) Sub(u Time) Duration { return Duration(t - u) }

// Before reports whether t lies before u.
func (t Time) Before(u Time) bool { return t < u }

// String prints t as seconds with a fraction, "12.5s".
func (t Time) String() string {
	if t == Never {
		return "never"
	}
	return Duration(t).String()
}
