package netpath

import (
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

const (
	million = 1_000_000
	// bufferTime is how much of its rate a link without a Buffer keeps waiting.
	bufferTime = 500 * time.Millisecond
	// HeadersV4 and HeadersV6 of IP and UDP pass a link with each datagram, bytes.
	HeadersV4, HeadersV6 = 28, 48
)

// Config describes one direction of a link. The zero value is a link that does nothing.
type Config struct {
	// Rate in bytes per second, headers of IP and UDP included; 0: no limit.
	Rate int64
	// Buffer is how many bytes may be at the link at once, those in transmission
	// included; what would exceed it is dropped. 0: half a second's worth.
	Buffer int64
	// Delay is the propagation delay. Jitter bounds what it may be longer; packets
	// stay in order.
	Delay, Jitter clock.Duration
	// Loss, Duplicate and Reorder say how many of a million packets are lost behind
	// the link (they have taken their time on it), arrive twice, and arrive later
	// than others that left later, by up to Behind (0: by Delay).
	Loss, Duplicate, Reorder int
	Behind                   clock.Duration
	// MTU is the largest packet that passes, bytes with headers; 0: any. Larger
	// ones vanish without a word, or are refused to their sender if Refuse is set.
	MTU    int
	Refuse bool
}

// Outcome is what became of a packet.
type Outcome uint8

// The outcomes. Counters of [Stats] bear the same names.
const (
	Delivered Outcome = iota
	Dropped           // the buffer was full
	Lost              // by chance
	Swallowed         // larger than the MTU, and nobody is told
	Refused           // larger than the MTU; the sender is told at once
)

// Fate of a packet: when it arrives, once or twice.
type Fate struct {
	Outcome Outcome
	Copies  int // of At; 0 unless Delivered
	At      [2]clock.Time
}

// Stats count packets, and the bytes that the link has taken.
type Stats struct {
	Delivered, Dropped, Lost, Swallowed, Refused int64
	Duplicated, Reordered                        int64
	Bytes                                        int64
}

// Link is one direction of a link. Whoever carries packets over it owns it; several
// senders may share it.
type Link struct {
	cfg    Config
	seed   uint64
	drawn  uint64
	freeAt clock.Time // when all that waits has passed
	last   clock.Time // arrival of the latest packet that kept its place
	stats  Stats
}

// New makes a link whose chances are decided by the seed.
func New(cfg Config, seed uint64) *Link { return &Link{cfg: cfg, seed: mix(seed)} }

// Config returns what the link is.
func (l *Link) Config() Config { return l.cfg }

// Stats returns what the link has done so far.
func (l *Link) Stats() Stats { return l.stats }

// Wait is how long a packet that comes now waits for its turn.
func (l *Link) Wait(now clock.Time) clock.Duration { return max(l.freeAt.Sub(now), 0) }

// Queued is how many bytes are at the link.
func (l *Link) Queued(now clock.Time) int64 {
	if l.cfg.Rate <= 0 {
		return 0
	}
	w := int64(l.Wait(now))
	return w/int64(time.Second)*l.cfg.Rate + w%int64(time.Second)*l.cfg.Rate/int64(time.Second)
}

// Refuses reports whether the sender of a packet of size bytes would be told that it is
// too large.
func (l *Link) Refuses(size int) bool {
	return l.cfg.Refuse && l.cfg.MTU > 0 && size > l.cfg.MTU
}

// Carry takes a packet of size bytes, headers included. Calls must not go back in time.
func (l *Link) Carry(now clock.Time, size int) Fate {
	if l.cfg.MTU > 0 && size > l.cfg.MTU {
		if l.cfg.Refuse {
			l.stats.Refused++
			return Fate{Outcome: Refused}
		}
		l.stats.Swallowed++
		return Fate{Outcome: Swallowed}
	}
	left, ok := l.pass(now, int64(size))
	if !ok {
		l.stats.Dropped++
		return Fate{Outcome: Dropped}
	}
	l.stats.Bytes += int64(size)
	if l.chance(l.cfg.Loss) {
		l.stats.Lost++
		return Fate{Outcome: Lost}
	}
	return l.deliver(left)
}

// pass puts a packet into the queue and returns when it has left the link.
func (l *Link) pass(now clock.Time, size int64) (clock.Time, bool) {
	rate := l.cfg.Rate
	if rate <= 0 {
		return now, true
	}
	buffer := l.cfg.Buffer
	if buffer <= 0 {
		buffer = rate / int64(time.Second/bufferTime)
	}
	if queued := l.Queued(now); queued > 0 && queued+size > buffer {
		return 0, false
	}
	l.freeAt = max(l.freeAt, now).Add(clock.Duration(size * int64(time.Second) / rate))
	return l.freeAt, true
}

func (l *Link) deliver(left clock.Time) Fate {
	l.stats.Delivered++
	f := Fate{Copies: 1}
	f.At[0] = l.arrival(left)
	if l.chance(l.cfg.Duplicate) {
		l.stats.Duplicated++
		f.Copies = 2
		f.At[1] = l.arrival(left)
	}
	return f
}

// arrival draws when a packet, or a copy of it, arrives.
func (l *Link) arrival(left clock.Time) clock.Time {
	at := left.Add(l.cfg.Delay + l.draw(l.cfg.Jitter))
	if l.chance(l.cfg.Reorder) {
		l.stats.Reordered++
		behind := l.cfg.Behind
		if behind <= 0 {
			behind = l.cfg.Delay
		}
		return max(at, l.last).Add(1 + l.draw(behind))
	}
	l.last = max(l.last, at)
	return l.last
}

// chance draws whether something happens that happens to so many of a million.
func (l *Link) chance(of int) bool { return of > 0 && l.draw(million) < clock.Duration(of) }

// draw returns a number below bound.
func (l *Link) draw(bound clock.Duration) clock.Duration {
	if bound <= 0 {
		return 0
	}
	l.drawn++
	return clock.Duration(mix(l.seed+l.drawn) % uint64(bound))
}

// mix is the finalizer of SplitMix64: near words become far ones.
func mix(v uint64) uint64 {
	v += 0x9e3779b97f4a7c15
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}
