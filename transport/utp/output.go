package utp

// Alloc lends n bytes for one datagram that is sent as soon as Output returns, in the
// order of the calls; the machine fills all of it. probe asks that it not be
// fragmented on its way (DF); others may be. Nil says that the socket takes no more
// now: call Output again when it does.
type Alloc func(n int, probe bool) []byte

// Output does what is due by now and makes all packets that may go out. Call it once
// after the packets of a drain, after Write, Allow, Close and Abort, and when Deadline
// has come.
func (m *Machine) Output(now Time, alloc Alloc) {
	m.timers(now)
	switch m.phase {
	case SynSent:
		m.putSyn(now, alloc)
	case SynRecv:
		m.putAnswer(now, alloc)
	case Closed:
		m.putReset(now, alloc)
	default:
		m.sendStream(now, alloc)
		if m.out.ackDue {
			m.putState(now, alloc)
		}
	}
}

// Deadline is when Output has to be called at the latest.
func (m *Machine) Deadline() Time {
	if m.phase == Closed {
		return clockNever
	}
	t := min(m.out.rtoAt, m.loss.reorderAt, m.loss.tailAt, m.out.giveUpAt)
	if m.phase == Connected {
		t = min(t, m.out.lastSentAt.Add(keepAlive))
	}
	return t
}

// putSyn asks for a connection. "The syn packet is special, all subsequent packets sent
// on this connection are sent with the connection ID + 1."
func (m *Machine) putSyn(now Time, alloc Alloc) {
	if !m.out.synDue {
		return
	}
	b := m.packet(alloc, HeaderSize, false, now)
	if b == nil {
		return
	}
	h := m.header(Syn, m.syn, now)
	h.ConnID, h.Ack = m.recvID, 0
	h.put(b, extNone)
	m.out.synDue = false
	m.out.synAt = now
	m.out.rtoAt = now.Add(m.rtt.rto(m.out.syns))
	m.out.syns++
}

// putAnswer answers a SYN, and each repetition of it once; by itself it repeats
// nothing, for the address may be forged.
func (m *Machine) putAnswer(now Time, alloc Alloc) {
	if !m.out.ackDue {
		return
	}
	if !m.guard.allows(HeaderSize) {
		m.out.ackDue = false
		return
	}
	if m.putState(now, alloc) {
		m.guard.out += HeaderSize
	}
}

func (m *Machine) putReset(now Time, alloc Alloc) {
	if !m.out.resetDue {
		return
	}
	if b := m.packet(alloc, HeaderSize, false, now); b != nil {
		h := m.header(Reset, m.send.nextSeq, now)
		h.Ack, h.Window = m.out.resetSeq, 0
		h.put(b, extNone)
		m.out.resetDue = false
	}
}

// putState acknowledges. "The selective ACK is only sent when at least one sequence
// number was skipped in the received stream."
func (m *Machine) putState(now Time, alloc Alloc) bool {
	size, ext := HeaderSize, byte(extNone)
	mask := m.recv.sackSize()
	if mask > 0 {
		size, ext = HeaderSize+2+mask, extSACK
	}
	b := m.packet(alloc, size, false, now)
	if b == nil {
		return false
	}
	h := m.header(State, m.send.nextSeq, now)
	h.put(b, ext)
	if mask > 0 {
		b[HeaderSize], b[HeaderSize+1] = extNone, byte(mask)
		m.recv.putSACK(b[HeaderSize+2:])
	}
	m.out.ackDue = false
	return true
}

// packet borrows the bytes of a datagram and counts it.
func (m *Machine) packet(alloc Alloc, n int, probe bool, now Time) []byte {
	b := alloc(n, probe)
	if b == nil {
		return nil
	}
	m.stats.Sent++
	m.stats.SentBytes += int64(n)
	m.out.lastSentAt = now
	return b[:n]
}

// header fills what all packets have, and remembers the window that it tells.
func (m *Machine) header(t Type, seq uint16, now Time) Header {
	window := m.recv.window(m.cfg.window())
	m.out.right = m.recv.delivered + m.recv.kept + window
	return Header{
		Type: t, ConnID: m.sendID, Timestamp: micros(now), Diff: m.clocks.reply,
		Window: uint32(min(window, 1<<32-1)), Seq: seq, Ack: m.recv.ack,
	}
}

// sendStream sends again what is lost, then what is new, then the FIN.
func (m *Machine) sendStream(now Time, alloc Alloc) {
	if m.send.lost > 0 && !m.resend(now, alloc) {
		return
	}
	if m.send.pending() > 0 {
		m.cc.resume(m.mtu.payload(), m.rtt.rto(0), now)
	}
	for n := m.nextSize(now); n > 0; n = m.nextSize(now) {
		if !m.sendNew(n, now, alloc) {
			return
		}
	}
	if m.out.closing && !m.out.finSent && m.send.pending() == 0 && m.send.count() < maxFlight {
		m.sendFin(now, alloc)
	}
}

// resend goes once over the segments and reports whether nothing lost is left.
func (m *Machine) resend(now Time, alloc Alloc) bool {
	for seq := m.send.base; seq != m.send.nextSeq && m.send.lost > 0; seq++ {
		s := m.send.at(seq)
		if !s.lost || s.acked {
			continue
		}
		if !m.loss.urgent && !m.fits(int64(s.size), now) || !m.transmit(seq, s, int(s.size)+HeaderSize, now, alloc) {
			return false
		}
		m.loss.urgent = false
		m.stats.Resent++
	}
	return m.send.lost == 0
}

// fits reports whether the congestion window has room; one packet always may go.
func (m *Machine) fits(n int64, now Time) bool {
	if m.send.inflight > 0 && m.send.inflight+n > m.cc.room(now) {
		m.cc.limitedAt = now
		return false
	}
	return true
}

// nextSize is how many bytes of new data the next packet carries, 0 for none now.
func (m *Machine) nextSize(now Time) int {
	full := int64(m.mtu.payload())
	if m.cc.slow(now) {
		full = min(full, slowdownPayload)
	}
	n := min(m.send.pending(), full)
	if n == 0 || n < full && m.nagle() {
		return 0
	}
	if m.send.count() >= maxFlight {
		m.cc.heldAt = now
		return 0
	}
	if room := m.out.peerWindow - m.send.unacked; n > room {
		m.cc.heldAt = now
		return m.squeeze(room, now)
	}
	if !m.fits(n, now) {
		return 0
	}
	return int(n)
}

// nagle reports whether a small packet has to wait for the last small one (Minshall's
// variant of RFC 896).
func (m *Machine) nagle() bool {
	if m.cfg.NoDelay || m.out.closing || !m.out.small {
		return false
	}
	m.out.small = int(m.out.lastSmall-m.send.base) < m.send.count()
	return m.out.small
}

// squeeze is for a window with room for less than a packet. While something is under
// way its acknowledgement will tell more. Otherwise what fits goes, and into a closed
// window one byte after each timeout, lest a lost window update end everything.
func (m *Machine) squeeze(room int64, now Time) int {
	switch {
	case m.send.count() > 0:
		return 0
	case room > 0:
		return int(room)
	case m.out.persist:
		m.out.persist = false
		return 1
	case m.out.rtoAt == clockNever:
		m.out.rtoAt = now.Add(m.rtt.rto(0))
	}
	return 0
}

// sendNew sends the next n bytes, as a probe of the MTU if one is due.
func (m *Machine) sendNew(n int, now Time, alloc Alloc) bool {
	size := HeaderSize + n
	probe := n == m.mtu.payload() && m.mtu.wants()
	if probe {
		size = m.mtu.next()
	}
	b := m.packet(alloc, size, probe, now)
	if b == nil {
		return false
	}
	seq := m.send.nextSeq
	s := m.send.push(n)
	s.probe = probe
	if probe {
		m.mtu.sent()
		m.stats.ProbesSent++
	}
	if m.send.pending() == 0 && n < m.mtu.payload() {
		m.out.small, m.out.lastSmall = true, seq
	}
	m.fill(b, seq, s, now)
	return true
}

func (m *Machine) sendFin(now Time, alloc Alloc) {
	b := m.packet(alloc, HeaderSize, false, now)
	if b == nil {
		return
	}
	seq := m.send.nextSeq
	s := m.send.push(0)
	s.fin = true
	m.out.finSent = true
	m.fill(b, seq, s, now)
}

// transmit sends a segment once more.
func (m *Machine) transmit(seq uint16, s *segment, size int, now Time, alloc Alloc) bool {
	b := m.packet(alloc, size, false, now)
	if b == nil {
		return false
	}
	s.lost = false
	m.send.lost--
	m.fill(b, seq, s, now)
	return true
}

// fill writes the packet of a segment to b and notes that it is under way. What b is
// longer than header and payload is padding.
func (m *Machine) fill(b []byte, seq uint16, s *segment, now Time) {
	t, ext := Data, byte(extNone)
	if s.fin {
		t = Fin
	}
	pad := len(b) - HeaderSize - int(s.size)
	if pad > 0 {
		ext = extPadding
	}
	h := m.header(t, seq, now)
	h.put(b, ext)
	putPadding(b[HeaderSize : HeaderSize+pad])
	m.send.copyTo(b[HeaderSize+pad:], s.off)

	m.loss.order++
	s.sentAt, s.order, s.tx = now, m.loss.order, min(s.tx, 254)+1
	m.send.inflight += int64(s.size)
	m.cc.idleAt = clockNever
	if m.out.rtoAt == clockNever {
		m.out.rtoAt = now.Add(m.rtt.rto(m.out.timeouts))
	}
	if !m.loss.tail {
		m.setTail(now)
	}
	m.loss.tail = false
	if m.recv.sackSize() == 0 {
		m.out.ackDue = false // this packet has said it
	}
}
