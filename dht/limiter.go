package dht

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// LimiterOptions bound what strangers can make us do. Zero fields mean the defaults.
type LimiterOptions struct {
	Rate    int            // queries per second of one address, over Window; default 5
	Window  clock.Duration // default 10 s
	Ban     clock.Duration // how long an address that exceeds Rate is ignored; default 5 min
	Bytes   int64          // of replies per second to everybody; default 32 KiB, negative: no limit
	Burst   int64          // of replies at once; default four seconds' worth
	Sources int            // addresses watched at the same time; default 256
	Factor  int            // bytes to an unverified source per byte it sent; default 3
}

func (o *LimiterOptions) defaults() {
	if o.Rate <= 0 {
		o.Rate = 5
	}
	if o.Window <= 0 {
		o.Window = 10 * time.Second
	}
	if o.Ban <= 0 {
		o.Ban = 5 * time.Minute
	}
	if o.Bytes == 0 {
		o.Bytes = 32 << 10
	}
	if o.Burst <= 0 {
		o.Burst = max(4*o.Bytes, 4*MaxDatagram)
	}
	if o.Sources <= 0 {
		o.Sources = 256
	}
	if o.Factor <= 0 {
		o.Factor = 3
	}
}

// Limiter says which queries are answered, and with how many bytes. It owns the count
// of queries per address, the bans and the byte budget.
type Limiter struct {
	o       LimiterOptions
	sources []source
	hand    int
	tokens  int64 // bytes that may be sent now
	filled  clock.Time
}

// source is an address that asked lately.
type source struct {
	ip     [16]byte
	since  clock.Time // begin of its window
	banned clock.Time // until
	count  int32
}

// NewLimiter has a full budget and knows nobody.
func NewLimiter(o LimiterOptions, now clock.Time) Limiter {
	o.defaults()
	return Limiter{o: o, tokens: o.Burst, filled: now}
}

// Query counts a datagram that is no answer to us, garbage included, and reports
// whether it may be looked at. Local addresses may send as many as they like.
func (l *Limiter) Query(from netip.Addr, now clock.Time) bool {
	if ipclass.IsLocal(from) {
		return true
	}
	s := l.source(from.As16(), now)
	if now < s.banned {
		return false
	}
	if now.Sub(s.since) >= l.o.Window {
		s.since, s.count = now, 0
	}
	if s.count++; int64(s.count)*int64(time.Second) > int64(l.o.Rate)*int64(l.o.Window) {
		s.banned = now.Add(l.o.Ban)
		return false
	}
	return true
}

// source finds an address, or takes the place of one that matters less: of the few
// behind the hand, so that a flood of forged addresses costs no more than the search.
func (l *Limiter) source(ip [16]byte, now clock.Time) *source {
	for i := range l.sources {
		if l.sources[i].ip == ip {
			return &l.sources[i]
		}
	}
	victim, least := -1, int64(1<<62)
	for range min(len(l.sources), 8) {
		l.hand = (l.hand + 1) % len(l.sources)
		if w := l.weight(&l.sources[l.hand], now); w < least {
			victim, least = l.hand, w
		}
	}
	if least > 0 && len(l.sources) < l.o.Sources {
		l.sources = append(l.sources, source{})
		victim = len(l.sources) - 1
	}
	l.sources[victim] = source{ip: ip, since: now}
	return &l.sources[victim]
}

// weight is what forgetting a source would lose: 0 for one that is silent, more for
// busy ones, most for banned ones.
func (l *Limiter) weight(s *source, now clock.Time) int64 {
	switch {
	case now < s.banned:
		return 1<<32 + int64(s.banned.Sub(now)/time.Millisecond)
	case now.Sub(s.since) >= l.o.Window:
		return 0
	}
	return int64(s.count)
}

// Banned reports whether an address is ignored now.
func (l *Limiter) Banned(from netip.Addr, now clock.Time) bool {
	ip := from.As16()
	for i := range l.sources {
		if l.sources[i].ip == ip {
			return now < l.sources[i].banned
		}
	}
	return false
}

// Room is how long a reply to a query of asked bytes may be. A source is verified if
// it has shown that it receives what we send to its address: by answering one of our
// queries or by bringing a valid token. Others, which may be somebody else's address,
// get no more than Factor times what was sent in their name.
func (l *Limiter) Room(from netip.Addr, asked int, verified bool, now clock.Time) int {
	l.fill(now)
	room := MaxReceived
	if !verified && !ipclass.IsLocal(from) {
		room = min(room, l.o.Factor*asked)
	}
	if l.o.Bytes < 0 {
		return room
	}
	return int(min(int64(room), l.tokens))
}

// Sent takes the bytes of a reply from the budget.
func (l *Limiter) Sent(n int) {
	if l.o.Bytes > 0 {
		l.tokens = max(l.tokens-int64(n), 0)
	}
}

func (l *Limiter) fill(now clock.Time) {
	if l.o.Bytes < 0 {
		return
	}
	// Whole milliseconds only, so that frequent calls lose nothing.
	ms := int64(now.Sub(l.filled) / time.Millisecond)
	if ms <= 0 {
		return
	}
	l.filled = l.filled.Add(clock.Duration(ms) * time.Millisecond)
	l.tokens = min(l.tokens+min(ms, 1<<20)*l.o.Bytes/1000, l.o.Burst)
}
