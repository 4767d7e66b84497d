package utp

import "time"

// tailDelay is how much longer than two round trips a lone packet may take: remotes may
// hold back its acknowledgement. tailLeast is the least wait in any case.
const (
	tailDelay = 100 * time.Millisecond
	tailLeast = 10 * time.Millisecond
)

const dupThreshold = 3 // packets acknowledged past one that count it as lost (BEP 29, "packet loss")

// lossState is what tells loss from reordering, and keeps cuts of the window apart.
type lossState struct {
	order     uint64   // transmissions so far
	cutOrder  uint64   // transmissions before it belong to a loss that has been paid for
	reorder   Duration // how much longer than a round trip a gap may last; grows with needless repetitions
	reorderAt Time     // when to look again for that
	urgent    bool     // after a cut one repetition goes at once (RFC 6675, section 5, step 4.3)
	tail      bool     // what goes next is that repetition
	tailAt    Time     // when the end of a silent flight is sent again, once
	repeated  int      // acknowledgements in a row that said nothing new
}

// detectLoss marks segments that 3 or more segments sent later have overtaken. Going by
// the order of transmission and not by sequence numbers, it sees a lost repetition too.
func (m *Machine) detectLoss(now Time) {
	var last [dupThreshold]uint64 // highest orders among what was acknowledged further on
	m.loss.reorderAt = clockNever
	// With less under way, fewer can overtake (RFC 5827, early retransmit).
	need := min(max(m.send.count()-1, 1), dupThreshold)
	newest := Time(-1) // when the newest of the acknowledged was sent
	for n := m.send.count(); n > 0; n-- {
		s := m.send.at(m.send.base + uint16(n-1))
		if s.acked {
			insertOrder(&last, s.order)
			newest = max(newest, s.sentAt)
			continue
		}
		// One that was sent more than a round trip later is as good as three.
		overtaken := s.order < last[need-1] || newest > s.sentAt.Add(m.rtt.smooth)
		if s.lost || !overtaken {
			continue
		}
		if due := s.sentAt.Add(m.rtt.last + m.loss.reorder); m.loss.reorder > 0 && now.Before(due) {
			m.loss.reorderAt = min(m.loss.reorderAt, due)
			continue
		}
		m.markLost(s, now)
	}
}

// insertOrder keeps the highest orders, highest first.
func insertOrder(last *[dupThreshold]uint64, order uint64) {
	for i := range last {
		if order > last[i] {
			last[i], order = order, last[i]
		}
	}
}

// onRepeated counts acknowledgements that repeat themselves, of remotes that send no
// SACK: "when receiving 3 duplicate acks, ack_nr + 1 is assumed to have been lost".
func (m *Machine) onRepeated(p *Packet, repeated bool, now Time) {
	if !repeated || p.Type != State || p.SACK != nil {
		return
	}
	m.loss.repeated++
	s := m.send.at(m.send.base)
	if m.loss.repeated >= dupThreshold && !s.lost && now.Sub(s.sentAt) >= m.rtt.smooth {
		m.loss.repeated = 0
		m.markLost(s, now)
	}
}

// markLost has a segment sent again and cuts the window, once for all that was under
// way together. "When a packet is lost, the max_window is multiplied by 0.5 to mimic
// TCP." A lost probe is no congestion.
func (m *Machine) markLost(s *segment, now Time) {
	probe := s.probe
	m.giveUpOn(s)
	if probe || s.order < m.loss.cutOrder {
		return
	}
	m.loss.cutOrder = m.loss.order + 1
	m.loss.urgent = true
	m.stats.Cuts++
	m.cc.lost(m.mtu.payload(), now)
}

// giveUpOn takes a segment out of flight, to be sent again.
func (m *Machine) giveUpOn(s *segment) {
	s.lost = true
	m.send.lost++
	m.send.inflight -= int64(s.size)
	if s.probe {
		s.probe = false
		m.stats.ProbesLost++
		m.mtu.failed()
	}
}

// onSpurious: a repetition was needless. If it came of a gap, and not of a timeout, the
// window comes back, and gaps get more time, up to one more round trip.
func (m *Machine) onSpurious() {
	m.stats.Spurious++
	if !m.cc.undo() {
		return
	}
	m.loss.reorder = min(m.loss.reorder+max(m.rtt.least/4, 1), max(m.rtt.smooth, 1))
}

// timers does what is due by now.
func (m *Machine) timers(now Time) {
	if !now.Before(m.out.giveUpAt) {
		m.onGiveUp()
		return
	}
	if !now.Before(m.loss.reorderAt) {
		m.detectLoss(now)
	}
	if !now.Before(m.out.rtoAt) {
		m.onTimeout(now)
	}
	if !now.Before(m.loss.tailAt) {
		m.onTail()
	}
	if m.phase == Connected && now.Sub(m.out.lastSentAt) >= keepAlive {
		m.out.ackDue = true
		m.send.shrink()
		if m.recv.n == 0 {
			m.recv.ring = nil
		}
	}
}

// setTail has the end of the flight sent again if nothing is heard for two round trips
// (RFC 8985, section 7): its acknowledgement shows what of the rest is lost, long
// before the timeout of at least 500 ms.
func (m *Machine) setTail(now Time) {
	m.loss.tailAt = clockNever
	if m.rtt.smooth == 0 || m.send.count() == 0 || m.out.timeouts > 0 || m.out.peerWindow == 0 {
		return
	}
	d := max(2*m.rtt.smooth, tailLeast)
	if m.send.count() == 1 {
		d += tailDelay
	}
	if at := now.Add(d); at < m.out.rtoAt {
		m.loss.tailAt = at
	}
}

func (m *Machine) onTail() {
	m.loss.tailAt = clockNever
	if m.send.count() == 0 || m.send.lost > 0 {
		return
	}
	for seq := m.send.nextSeq - 1; ; seq-- {
		s := m.send.at(seq)
		if !s.acked {
			if m.out.peerWindow >= int64(s.size) {
				m.giveUpOn(s)
				m.loss.urgent, m.loss.tail = true, true
			}
			return
		}
		if seq == m.send.base {
			return
		}
	}
}

func (m *Machine) onGiveUp() {
	finAcked := m.out.finSent && m.send.count() == 0
	if m.phase == Lingering || m.phase == Closing && finAcked {
		m.end(nil)
		return
	}
	m.lostTouch()
}

// lostTouch ends a connection whose remote is silent. If all but the acknowledgement of
// our FIN is there, they have just left a little early.
func (m *Machine) lostTouch() {
	if m.recv.eof && m.out.finSent && m.send.unacked == 0 {
		m.end(nil)
		return
	}
	m.end(ErrTimeout)
}

// onTimeout: nothing was acknowledged for too long.
func (m *Machine) onTimeout(now Time) {
	m.out.rtoAt = clockNever
	switch {
	case m.phase == SynSent:
		if m.out.syns >= maxSyns {
			m.end(ErrTimeout)
			return
		}
		m.out.synDue = true
	case m.send.count() > 0:
		m.onFlightTimeout(now)
	case m.send.pending() > 0:
		m.out.persist = true
	}
}

// onFlightTimeout counts all that is under way as lost, "and max_window to the smallest
// packet size", unless the remote just has no window, or only a probe was under way.
func (m *Machine) onFlightTimeout(now Time) {
	m.out.timeouts++
	s := m.send.at(m.send.base)
	closed := m.out.peerWindow < int64(s.size)
	if closed && m.out.heard {
		m.out.timeouts = min(m.out.timeouts, maxTimeouts-1)
	}
	m.out.heard = false
	if m.out.timeouts >= maxTimeouts {
		m.lostTouch()
		return
	}
	innocent := m.loseFlight() || closed
	if !innocent {
		m.stats.Timeouts++
		m.loss.cutOrder = m.loss.order + 1
		m.loss.reorder /= 2
		m.cc.timedOut(m.mtu.payload())
	}
	m.out.rtoAt = now.Add(m.rtt.rto(m.out.timeouts))
}

// loseFlight gives up on all that is under way, and reports whether that was nothing
// but a probe.
func (m *Machine) loseFlight() (probeOnly bool) {
	probes, others := 0, 0
	for seq := m.send.base; seq != m.send.nextSeq; seq++ {
		s := m.send.at(seq)
		switch {
		case s.acked:
			continue
		case s.probe:
			probes++
		default:
			others++
		}
		if !s.lost {
			m.giveUpOn(s)
		}
	}
	return probes > 0 && others == 0
}
