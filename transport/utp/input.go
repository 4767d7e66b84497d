package utp

// Receive takes a packet that came for this connection. It keeps no reference to it.
// deliver gets the bytes of the stream that are now in order, piece by piece; they are
// only lent. What is to be said about it, the next Output says.
func (m *Machine) Receive(p *Packet, now Time, deliver func([]byte)) {
	m.stats.Received++
	m.stats.RecvBytes += int64(p.Size)
	m.dispatch(p, now, deliver)
}

func (m *Machine) dispatch(p *Packet, now Time, deliver func([]byte)) {
	switch m.phase {
	case SynSent:
		m.onAnswer(p, now)
	case SynRecv:
		if m.onFirst(p, now) {
			m.dispatch(p, now, deliver)
		}
	case Connected:
		m.onPacket(p, now, deliver)
	case Closing, Lingering:
		m.onPacket(p, now, nil)
		m.settle(now)
	}
}

// onAnswer waits for the STATE that answers our SYN. DATA could come before it only
// from one who does not wait for our acknowledgement; then it comes again.
func (m *Machine) onAnswer(p *Packet, now Time) {
	switch {
	case p.Ack != m.syn:
		m.stats.Refused++
	case p.Type == Reset && (p.ConnID == m.recvID || p.ConnID == m.sendID):
		m.end(ErrRefused)
	case p.Type == State && p.ConnID == m.recvID:
		// The STATE bears the number that the first DATA will have: it takes
		// none itself ("Packets that don't include any payload do not increase
		// the seq_nr"), whatever the diagram of BEP 29 says.
		m.recv.ack = p.Seq - 1
		m.phase = Connected
		m.out.peerWindow = int64(p.Window)
		if m.out.syns == 1 {
			m.rtt.add(now.Sub(m.out.synAt))
		}
		m.clocks.sample(p, m.rtt.last, now)
		m.out.rtoAt, m.out.timeouts = clockNever, 0
		m.out.ackDue = true // shows that we receive at our address
	default:
		m.stats.Refused++
	}
}

// onFirst waits for the packet that shows that the remote has seen our sequence number.
// It reports whether p is that.
func (m *Machine) onFirst(p *Packet, now Time) bool {
	m.guard.in += int64(p.Size)
	switch {
	case p.Type == Syn && p.ConnID == m.sendID && p.Seq == m.syn:
		m.out.ackDue = true // once more: they have not seen our STATE
	case p.Type == Reset && m.resetFits(p):
		m.end(ErrReset)
	case p.Type != Syn && p.Type != Reset && p.ConnID == m.recvID && (p.Ack == m.send.base-1 || p.Ack == m.send.base):
		if p.Ack == m.send.base {
			// Some follow the diagram of BEP 29, where the STATE takes a
			// number, and expect our first DATA behind it.
			m.send.base++
			m.send.nextSeq++
		}
		m.phase = Connected
		m.out.giveUpAt = clockNever
		if m.out.closing {
			m.shut(now)
		}
		return true
	default:
		m.stats.Refused++
	}
	return false
}

// onPacket is for connections that both sides know.
func (m *Machine) onPacket(p *Packet, now Time, deliver func([]byte)) {
	switch {
	case p.Type == Reset:
		m.onReset(p)
		return
	case p.Type == Syn || p.ConnID != m.recvID || !m.ackFits(p.Ack):
		m.stats.Refused++
		return
	}
	m.out.heard = true
	m.onAck(p, now)
	switch p.Type {
	case Data:
		m.onData(p, deliver)
	case Fin:
		m.onFin(p, deliver)
	}
}

// ackFits refuses acknowledgements of what was never sent, and those so old that the
// packet cannot be of this connection.
func (m *Machine) ackFits(ack uint16) bool {
	if !less(ack, m.send.nextSeq) {
		return false
	}
	return int16(m.send.base-1-ack) <= maxFlight+1
}

// resetFits reports whether a RESET answers something that we sent lately: it
// acknowledges it, and a stranger would have to guess.
func (m *Machine) resetFits(p *Packet) bool {
	if p.ConnID != m.recvID && p.ConnID != m.sendID {
		return false
	}
	const slack = 64 // STATEs and repetitions that may still cross the answer
	d := int16(m.send.nextSeq - p.Ack)
	return d >= 0 && int(d) <= m.send.count()+slack
}

func (m *Machine) onReset(p *Packet) {
	switch {
	case !m.resetFits(p):
		m.stats.Refused++
	case m.phase == Lingering, m.phase == Closing && m.out.finSent && m.send.unacked == 0:
		m.end(nil) // all that we wrote has arrived; they have forgotten us already
	default:
		m.end(ErrReset)
	}
}

// onData takes payload in order, keeps what came early, and drops what was there or
// exceeds the grant.
func (m *Machine) onData(p *Packet, deliver func([]byte)) {
	m.out.ackDue = true
	ahead := m.recv.ahead(p.Seq)
	switch {
	case m.recv.finKnown && !less(p.Seq, m.recv.finSeq):
		// "This connection will never have a sequence number greater than the
		// sequence number in this packet."
		m.stats.Refused++
	case ahead >= maxReorder && less(m.recv.ack, p.Seq):
		m.stats.Refused++
	case ahead >= maxReorder || ahead > 0 && m.recv.has(p.Seq):
		m.stats.Duplicates++
	case m.recv.window(m.cfg.window()) <= 0 && (ahead > 0 || m.recv.granted <= m.recv.delivered):
		m.stats.Refused++
	case ahead == 0:
		m.recv.take(p.Payload, deliver)
		m.recv.drain(deliver)
	case m.recv.keep(p.Seq, p.Payload, m.cfg.window()):
		m.stats.Reordered++
	default:
		m.stats.Refused++
	}
}

// onFin notes where the remote's stream ends.
func (m *Machine) onFin(p *Packet, deliver func([]byte)) {
	m.out.ackDue = true
	ahead := m.recv.ahead(p.Seq)
	switch {
	case ahead >= maxReorder, m.recv.finKnown:
		m.stats.Duplicates++
	case m.recv.n > 0 && !less(m.recv.high, p.Seq):
		m.stats.Refused++ // there is data behind it
	default:
		m.recv.finKnown, m.recv.finSeq = true, p.Seq
		m.recv.drain(deliver)
	}
}

// settle moves a closing connection on.
func (m *Machine) settle(now Time) {
	finAcked := m.out.finSent && m.send.count() == 0
	if m.phase == Closing && finAcked && m.recv.eof {
		m.phase = Lingering
		m.out.giveUpAt = now.Add(max(linger, 2*m.rtt.rto(0)))
	}
}

// noteWindow says the window to the remote if what Allow granted has opened it enough
// to matter.
func (m *Machine) noteWindow() {
	if m.phase != Connected {
		return
	}
	limit := m.cfg.window()
	opened := m.recv.delivered + m.recv.window(limit) + m.recv.kept - m.out.right
	left := m.out.right - m.recv.delivered - m.recv.kept
	if opened >= limit/4 || opened > 0 && left < 2*int64(m.mtu.ceiling) {
		m.out.ackDue = true
	}
}
