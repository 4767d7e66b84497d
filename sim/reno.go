package sim

import (
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
)

const (
	renoMSS     = 1448 // bytes of payload: Ethernet's, less the headers
	renoHeaders = 52   // of IP and TCP with timestamps, bytes

	renoBegin  = 10 // segments (RFC 6928)
	renoDups   = 3  // duplicate acknowledgements that mean a loss (RFC 5681, section 3.2)
	renoWindow = 4 << 20

	renoMinRTO   = 200 * time.Millisecond // as Linux has it; RFC 6298 would have a second
	renoMaxRTO   = 60 * time.Second
	renoFirstRTO = time.Second

	renoMark = 1 << 60 // of marks in the event hash
)

// RenoConfig configures a [Reno] flow.
type RenoConfig struct {
	Bytes  int64 // to send; 0: without end
	Window int64 // of the receiver, bytes; 0: 4 MiB
}

// RenoStats count segments.
type RenoStats struct {
	Sent, Resent         int64
	Recoveries, Timeouts int64
}

// Reno is a TCP flow that competes with uTP on a link: slow start, congestion
// avoidance, fast retransmit and recovery (RFC 5681), the latter by selective
// acknowledgements (RFC 6675), timeouts (RFC 6298). Each segment is a packet on one
// link, each acknowledgement one on the other; the receiver acknowledges every segment,
// and tells which one that was. There is no handshake.
//
// Owner of its state: the World's goroutine.
type Reno struct {
	w           *World
	there, back *netpath.Link
	cfg         RenoConfig
	stats       RenoStats

	// The sender, in segments of the stream.
	una, next, high int64         // oldest unacknowledged, next new one, one behind the newest sent
	flight          []renoSegment // from una to next, as a ring by number
	pipe            int64         // segments in the network, as far as the sender knows
	lost            int64         // of flight, to be sent again
	top, edge       int64         // newest that has arrived; what lies before edge was looked at
	urgent          bool          // one goes at once, whatever the pipe holds
	cwnd, ssthresh  int64         // bytes
	recover         int64         // the recovery ends when all before it is acknowledged
	recovering      bool
	smooth, vari    clock.Duration
	rto             clock.Duration
	timer           *wake

	// The receiver.
	got   int64 // all before it is there
	early map[int64]bool

	free *renoPacket
}

// renoSegment is what the sender knows of a segment.
type renoSegment struct {
	sacked, lost bool
}

// NewReno begins a flow that sends over one link and hears its acknowledgements from
// another. Links of [Network.PacketLink] may be shared with others.
func (n *Network) NewReno(there, back *netpath.Link, cfg RenoConfig) *Reno {
	if cfg.Window <= 0 {
		cfg.Window = renoWindow
	}
	r := &Reno{w: n.w, there: there, back: back, cfg: cfg, cwnd: renoBegin * renoMSS, ssthresh: 1 << 60,
		rto: renoFirstRTO, early: map[int64]bool{}, flight: make([]renoSegment, 16)}
	r.timer = newWake(n.w, r.onTimeout)
	r.send()
	return r
}

// Acked is how many bytes have been acknowledged without a gap.
func (r *Reno) Acked() int64 {
	if r.cfg.Bytes > 0 {
		return min(r.una*renoMSS, r.cfg.Bytes)
	}
	return r.una * renoMSS
}

// Stats returns the counters.
func (r *Reno) Stats() RenoStats { return r.stats }

// Cwnd is the congestion window in bytes.
func (r *Reno) Cwnd() int64 { return r.cwnd }

// renoPacket is a segment on its way, or an acknowledgement.
type renoPacket struct {
	e    event
	r    *Reno
	ack  int64      // the segment expected next, of an acknowledgement; -1 otherwise
	seq  int64      // the segment, or the one that is answered
	sent clock.Time // the timestamp, or its echo (RFC 7323)
	next *renoPacket
}

// put has a packet take its chances on a link.
func (r *Reno) put(l *netpath.Link, wire int, ack, seq int64, sent clock.Time) {
	fate := l.Carry(r.w.now, wire)
	for _, at := range fate.At[:fate.Copies] {
		p := r.free
		if p == nil {
			p = &renoPacket{r: r}
			p.e.f = p.arrive
		} else {
			r.free = p.next
		}
		p.ack, p.seq, p.sent = ack, seq, sent
		r.w.again(&p.e, at)
	}
}

func (p *renoPacket) arrive() {
	r, ack, seq, sent := p.r, p.ack, p.seq, p.sent
	p.next, r.free = r.free, p
	if ack < 0 {
		r.onSegment(seq, sent)
		return
	}
	r.w.Mark(renoMark, uint64(ack)<<32|uint64(uint32(seq)))
	r.onAck(ack, seq, sent)
}

// onSegment is the receiver: it acknowledges each segment at once.
func (r *Reno) onSegment(seq int64, sent clock.Time) {
	switch {
	case seq == r.got:
		for r.got++; r.early[r.got]; r.got++ {
			delete(r.early, r.got)
		}
	case seq > r.got:
		r.early[seq] = true
	}
	r.put(r.back, renoHeaders, r.got, seq, sent)
}

// sizeAt is the payload of a segment; 0 behind the end.
func (r *Reno) sizeAt(seq int64) int64 {
	if r.cfg.Bytes > 0 {
		return max(min(renoMSS, r.cfg.Bytes-seq*renoMSS), 0)
	}
	return renoMSS
}

func (r *Reno) at(seq int64) *renoSegment { return &r.flight[seq&int64(len(r.flight)-1)] }

// send sends what is lost, then what is new, as the windows allow: "If cwnd - pipe >=
// 1 SMSS, the sender SHOULD transmit one or more segments" (RFC 6675, section 5).
func (r *Reno) send() {
	for seq := r.una; r.lost > 0 && r.open() && seq < r.next; seq++ {
		if s := r.at(seq); s.lost {
			s.lost, r.urgent = false, false
			r.lost--
			r.transmit(seq)
		}
	}
	for r.lost == 0 && r.open() && (r.next-r.una+1)*renoMSS <= r.cfg.Window && r.sizeAt(r.next) > 0 {
		r.push()
		r.transmit(r.next - 1)
	}
}

func (r *Reno) open() bool { return r.urgent || (r.pipe+1)*renoMSS <= r.cwnd }

// push makes a new segment.
func (r *Reno) push() {
	if n := int64(len(r.flight)); r.next-r.una == n {
		old := r.flight
		r.flight = make([]renoSegment, 2*n)
		for seq := r.una; seq < r.next; seq++ {
			*r.at(seq) = old[seq&(n-1)]
		}
	}
	*r.at(r.next) = renoSegment{}
	r.next++
}

func (r *Reno) transmit(seq int64) {
	r.stats.Sent++
	if seq < r.high {
		r.stats.Resent++
	}
	r.high = max(r.high, seq+1)
	r.pipe++
	r.put(r.there, int(r.sizeAt(seq))+renoHeaders, -1, seq, r.w.now)
	if !r.timer.on {
		r.timer.set(r.w.now.Add(r.rto))
	}
}

// onAck is the sender's side of an acknowledgement.
func (r *Reno) onAck(ack, seq int64, sent clock.Time) {
	news := ack > r.una
	if news {
		r.measure(r.w.now.Sub(sent))
		r.advance(ack)
	}
	if seq >= r.una && seq < r.next {
		r.sack(seq)
	}
	r.detect()
	if news {
		r.grow()
	}
	r.send()
}

// measure estimates the round trip and the timeout (RFC 6298, section 2).
func (r *Reno) measure(rtt clock.Duration) {
	if r.smooth == 0 {
		r.smooth, r.vari = rtt, rtt/2
	} else {
		r.vari += (max(r.smooth-rtt, rtt-r.smooth) - r.vari) / 4
		r.smooth += (rtt - r.smooth) / 8
	}
	r.rto = min(max(r.smooth+4*r.vari, renoMinRTO), renoMaxRTO)
}

// advance takes a cumulative acknowledgement.
func (r *Reno) advance(ack int64) {
	for ; r.una < ack; r.una++ {
		r.leave(r.at(r.una))
	}
	if r.una == r.next && r.sizeAt(r.next) == 0 {
		r.timer.set(clock.Never)
	} else {
		r.timer.set(r.w.now.Add(r.rto))
	}
}

// leave takes a segment that has arrived from the count of those on their way.
func (r *Reno) leave(s *renoSegment) {
	switch {
	case s.sacked:
	case s.lost:
		s.lost = false
		r.lost--
	default:
		r.pipe--
	}
}

func (r *Reno) sack(seq int64) {
	s := r.at(seq)
	r.leave(s)
	s.sacked = true
	r.top = max(r.top, seq)
}

// detect counts what lies three segments behind the newest that has arrived as lost
// (forward acknowledgement, Mathis and Mahdavi, 1996), and cuts the window once for all
// of a flight.
func (r *Reno) detect() {
	for r.edge = max(r.edge, r.una); r.edge+renoDups <= r.top; r.edge++ {
		if s := r.at(r.edge); !s.sacked {
			s.lost = true
			r.lost++
			r.pipe--
			r.cut()
		}
	}
}

// cut is the one of a recovery: "ssthresh = max (FlightSize / 2, 2*SMSS)" (RFC 5681,
// equation 4).
func (r *Reno) cut() {
	if r.recovering {
		return
	}
	r.stats.Recoveries++
	r.recovering, r.recover = true, r.next
	r.ssthresh = max((r.next-r.una)*renoMSS/2, 2*renoMSS)
	r.cwnd = r.ssthresh
	// "Retransmit the first data segment presumed dropped" (RFC 6675, section 5,
	// step 4.3), whatever the pipe holds.
	r.urgent = true
	r.timer.set(r.w.now.Add(r.rto))
}

// grow opens the window for an acknowledgement of something new.
func (r *Reno) grow() {
	if r.recovering {
		r.recovering = r.una < r.recover
		return
	}
	if r.cwnd < r.ssthresh {
		r.cwnd += renoMSS
		return
	}
	// "cwnd += SMSS*SMSS/cwnd" (RFC 5681, equation 3).
	r.cwnd += max(renoMSS*renoMSS/r.cwnd, 1)
}

// onTimeout counts all as lost that nobody has seen, and begins with one segment and
// twice the timeout.
func (r *Reno) onTimeout() {
	if r.una == r.next {
		return
	}
	r.stats.Timeouts++
	r.ssthresh, r.cwnd = max((r.next-r.una)*renoMSS/2, 2*renoMSS), renoMSS
	r.recovering, r.urgent, r.pipe, r.lost = false, false, 0, 0
	r.edge = r.next
	for seq := r.una; seq < r.next; seq++ {
		if s := r.at(seq); !s.sacked {
			s.lost = true
			r.lost++
		}
	}
	r.rto = min(2*r.rto, renoMaxRTO)
	r.send()
	r.timer.set(r.w.now.Add(r.rto))
}
