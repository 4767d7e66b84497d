package utp

const (
	mtuClose   = 16 // bytes between the bounds at which the search ends
	mtuStrikes = 2  // probes of one size that must be lost: one loss may be chance
)

// mtuSearch finds the largest datagram that the path carries. One probe is under way
// at a time. It is the largest first, since mostly that one passes, then a binary
// search.
type mtuSearch struct {
	floor, ceiling int // bytes of UDP payload: known to pass; not known to fail
	size           int // of the probe under way or lost last
	strikes        int // probes of that size that were lost
	waiting        bool
	tried          bool // the ceiling has been tried
}

func newMTUSearch(c *Config) mtuSearch {
	least, most := c.packetSizes()
	return mtuSearch{floor: least, ceiling: most}
}

// payload is how much data a packet carries.
func (s *mtuSearch) payload() int { return s.floor - HeaderSize }

// wants reports whether a probe should be sent.
func (s *mtuSearch) wants() bool {
	return !s.waiting && s.ceiling-s.floor >= mtuClose
}

// next is the size of the probe to send.
func (s *mtuSearch) next() int {
	switch {
	case s.strikes > 0:
		return s.size
	case !s.tried:
		return s.ceiling
	}
	return (s.floor + s.ceiling + 1) / 2
}

// sent: the probe that next named is under way.
func (s *mtuSearch) sent() {
	s.size = s.next()
	s.waiting, s.tried = true, true
}

// passed: the probe was acknowledged.
func (s *mtuSearch) passed() {
	s.floor, s.strikes, s.waiting = max(s.floor, min(s.size, s.ceiling)), 0, false
}

// failed: the probe was lost. That is no sign of congestion. One that the system has
// refused, see tooBig, says nothing more.
func (s *mtuSearch) failed() {
	s.waiting = false
	if s.size > s.ceiling {
		s.strikes = 0
		return
	}
	if s.strikes++; s.strikes >= mtuStrikes {
		s.strikes = 0
		s.ceiling = max(s.floor, s.size-1)
	}
}

// tooBig: the system refused to send a datagram of n bytes.
func (s *mtuSearch) tooBig(n int) {
	if n > s.floor {
		s.ceiling = max(s.floor, min(s.ceiling, n-1))
		s.strikes = 0
	}
}
