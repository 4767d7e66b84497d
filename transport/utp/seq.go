package utp

import "github.com/shoal-bt/shoal/internal/clock"

// Time and Duration are those of the whole program, in nanoseconds.
type (
	Time     = clock.Time
	Duration = clock.Duration
)

// less reports whether the sequence number a lies before b, mod 2^16.
func less(a, b uint16) bool { return int16(a-b) < 0 }

// less32 is less for timestamps and delays in microseconds, mod 2^32.
func less32(a, b uint32) bool { return int32(a-b) < 0 }

// micros is the clock of the packets: microseconds mod 2^32.
func micros(t Time) uint32 { return uint32(int64(t) / 1000) }
