package utp

// tally is what one packet acknowledges.
type tally struct {
	bytes    int64
	segments int
	newest   Time // when the newest of the acknowledged segments was sent
	once     bool // it was sent once: its round trip is known
}

// onAck takes the acknowledgements, delays and window of a packet.
func (m *Machine) onAck(p *Packet, now Time) {
	t := tally{newest: -1}
	old := less(p.Ack, m.send.base-1)
	repeated := p.Ack == m.send.base-1 && m.send.count() > 0
	if !old {
		m.ackUpTo(p.Ack, &t, now)
		m.ackSelected(p.Ack, p.SACK, &t, now)
	}
	var sample Duration
	if t.once {
		sample = now.Sub(t.newest)
		m.rtt.add(sample)
	}
	m.clocks.sample(p, sample, now)
	m.cc.acked(t.bytes, m.clocks.ours.queueing(), m.mtu.payload(), t.newest, &m.rtt, now)
	if !old {
		m.onWindow(int64(p.Window), now)
		m.onRepeated(p, repeated && t.segments == 0, now)
	}
	if t.segments > 0 {
		m.progress(now)
	}
	if p.SACK != nil && !old {
		m.detectLoss(now)
	}
}

// ackUpTo takes the cumulative acknowledgement.
func (m *Machine) ackUpTo(ack uint16, t *tally, now Time) {
	if !less(m.send.base-1, ack) {
		return
	}
	for m.send.base != ack+1 {
		m.ackSegment(m.send.at(m.send.base), t, now)
		m.send.base++
	}
	m.send.release(m.send.ackedTo())
}

// ackSelected takes a SACK: "The first bit in the mask therefore represents ack_nr + 2."
// Bits outside of the send window are ignored.
func (m *Machine) ackSelected(ack uint16, mask []byte, t *tally, now Time) {
	for i, bits := range mask {
		for bit := 0; bits != 0; bit, bits = bit+1, bits>>1 {
			seq := ack + 2 + uint16(i*8+bit)
			if bits&1 != 0 && int(seq-m.send.base) < m.send.count() {
				m.ackSegment(m.send.at(seq), t, now)
			}
		}
	}
}

func (m *Machine) ackSegment(s *segment, t *tally, now Time) {
	if s.acked {
		return
	}
	s.acked = true
	if s.lost {
		m.send.lost--
	} else {
		m.send.inflight -= int64(s.size)
	}
	m.send.unacked -= int64(s.size)
	t.bytes += int64(s.size)
	t.segments++
	if s.probe {
		m.mtu.passed()
	}
	// It came although we had given it up, or sooner than its repetition can have
	// come: it was late, not lost.
	if s.tx == 1 && s.lost || s.tx == 2 && now.Sub(s.sentAt) < m.rtt.least/2 {
		m.onSpurious()
	}
	s.lost = false
	// "The rtt and rtt_var is only updated for packets that were sent only once."
	if s.sentAt >= t.newest {
		t.newest, t.once = s.sentAt, s.tx == 1
	}
}

// progress restarts the timer: something new has arrived.
func (m *Machine) progress(now Time) {
	m.out.timeouts, m.loss.repeated = 0, 0
	m.out.rtoAt = clockNever
	if m.send.count() > 0 {
		m.out.rtoAt = now.Add(m.rtt.rto(0))
	} else {
		m.cc.idleAt = now
	}
	m.setTail(now)
	if m.phase != Closing {
		return
	}
	m.out.giveUpAt = now.Add(stallTimeout)
	if m.out.finSent && m.send.count() == 0 {
		m.out.giveUpAt = now.Add(closeTimeout)
	}
}

// onWindow takes the remote's window. When it opens, what was sent into the closed one
// goes out again.
func (m *Machine) onWindow(n int64, now Time) {
	was := m.out.peerWindow
	m.out.peerWindow = n
	if m.send.count() == 0 {
		if n > 0 {
			m.out.persist = false
		}
		return
	}
	s := m.send.at(m.send.base)
	if need := int64(s.size); was < need && n >= need && !s.lost && !s.acked {
		m.giveUpOn(s)
		m.out.rtoAt = now.Add(m.rtt.rto(0))
	}
}
