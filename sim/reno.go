package sim

import (
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
)

const (
	renoMSS     = 1448 // bytes of payload: Ethernet's, less the headers
	renoHeaders = 52   // of IP and TCP with timestamps, bytes
	renoAck     = renoHeaders

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
// avoidance, fast retransmit and recovery (RFC 5681) with partial acknowledgements
// (NewReno, RFC 6582), timeouts (RFC 6298). Each segment is a packet on one link, each
// acknowledgement one on the other; the receiver acknowledges every segment. There is
// no handshake and no SACK.
//
// Owner of its state: the World's goroutine.
type Reno struct {
	w           *World
	there, back *netpath.Link
	cfg         RenoConfig
	stats       RenoStats

	// The sender, in bytes of the stream.
	una, next, high int64 // oldest unacknowledged, next to send, highest sent
	cwnd, ssthresh  int64
	dups            int
	recover         int64 // the recovery ends when this is acknowledged
	recovering      bool
	smooth, vari    clock.Duration
	rto             clock.Duration
	timer           *wake

	// The receiver.
	got   int64 // all before it is there
	early map[int64]bool

	free *renoPacket
}

// NewReno begins a flow that sends over one link and hears its acknowledgements from
// another. Links of [Network.PacketLink] may be shared with others.
func (n *Network) NewReno(there, back *netpath.Link, cfg RenoConfig) *Reno {
	if cfg.Window <= 0 {
		cfg.Window = renoWindow
	}
	r := &Reno{w: n.w, there: there, back: back, cfg: cfg, cwnd: renoBegin * renoMSS, ssthresh: 1 << 60,
		rto: renoFirstRTO, early: map[int64]bool{}}
	r.timer = newWake(n.w, r.onTimeout)
	r.send()
	return r
}

// Acked is how many bytes have arrived and been acknowledged.
func (r *Reno) Acked() int64 { return r.una }

// Stats returns the counters.
func (r *Reno) Stats() RenoStats { return r.stats }

// Cwnd is the congestion window in bytes.
func (r *Reno) Cwnd() int64 { return r.cwnd }

// renoPacket is a segment on its way, or an acknowledgement.
type renoPacket struct {
	e    event
	r    *Reno
	ack  bool
	seq  int64      // of its first byte, or what is expected next
	size int64      // of payload
	sent clock.Time // the timestamp, or its echo (RFC 7323)
	next *renoPacket
}

// put has a packet take its chances on a link.
func (r *Reno) put(l *netpath.Link, wire int, x renoPacket) {
	fate := l.Carry(r.w.now, wire)
	for _, at := range fate.At[:fate.Copies] {
		p := r.free
		if p == nil {
			p = &renoPacket{r: r}
			p.e.f = p.arrive
		} else {
			r.free = p.next
		}
		p.ack, p.seq, p.size, p.sent = x.ack, x.seq, x.size, x.sent
		r.w.again(&p.e, at)
	}
}

func (p *renoPacket) arrive() {
	r, x := p.r, *p
	p.next, r.free = r.free, p
	if x.ack {
		r.w.Mark(renoMark, uint64(x.seq))
		r.onAck(x.seq, x.sent)
	} else {
		r.onSegment(x)
	}
}

// onSegment is the receiver: it acknowledges each segment at once.
func (r *Reno) onSegment(x renoPacket) {
	switch {
	case x.seq == r.got:
		r.got += x.size
		for r.early[r.got] {
			delete(r.early, r.got)
			r.got += r.sizeAt(r.got)
		}
	case x.seq > r.got:
		r.early[x.seq] = true
	}
	r.put(r.back, renoAck, renoPacket{ack: true, seq: r.got, sent: x.sent})
}

// sizeAt is the payload of the segment at an offset.
func (r *Reno) sizeAt(seq int64) int64 {
	if r.cfg.Bytes > 0 {
		return max(min(renoMSS, r.cfg.Bytes-seq), 0)
	}
	return renoMSS
}

// send sends what the windows allow.
func (r *Reno) send() {
	for {
		n := r.sizeAt(r.next)
		if n == 0 || r.next+n-r.una > min(r.cwnd, r.cfg.Window) {
			return
		}
		r.transmit(r.next)
		r.next += n
		r.high = max(r.high, r.next)
	}
}

func (r *Reno) transmit(seq int64) {
	r.stats.Sent++
	if seq < r.high {
		r.stats.Resent++
	}
	n := r.sizeAt(seq)
	r.put(r.there, int(n)+renoHeaders, renoPacket{seq: seq, size: n, sent: r.w.now})
	if !r.timer.on {
		r.timer.set(r.w.now.Add(r.rto))
	}
}

// onAck is the sender's side of an acknowledgement.
func (r *Reno) onAck(ack int64, sent clock.Time) {
	switch {
	case ack > r.una:
		r.measure(r.w.now.Sub(sent))
		r.onProgress(ack)
	case ack == r.una && r.next > r.una:
		r.onDuplicate()
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

func (r *Reno) onProgress(ack int64) {
	acked := ack - r.una
	r.una, r.next = ack, max(r.next, ack)
	partial := r.recovering && ack < r.recover
	switch {
	case partial:
		// "Deflate the congestion window by the amount of new data acknowledged
		// by the Cumulative Acknowledgment field. If the partial ACK acknowledges
		// at least one SMSS of new data, then add back SMSS bytes" (RFC 6582).
		r.cwnd = max(r.cwnd-acked, 0)
		if acked >= renoMSS {
			r.cwnd += renoMSS
		}
		r.transmit(r.una)
	case r.recovering:
		r.recovering = false
		r.cwnd = min(r.ssthresh, max(r.next-r.una, renoMSS)+renoMSS)
	case r.cwnd < r.ssthresh:
		r.cwnd += min(acked, renoMSS)
	default:
		// "cwnd += SMSS*SMSS/cwnd" (RFC 5681, equation 3).
		r.cwnd += max(renoMSS*renoMSS/r.cwnd, 1)
	}
	if r.dups = 0; r.una == r.next && r.sizeAt(r.next) == 0 {
		r.timer.set(clock.Never)
	} else {
		r.timer.set(r.w.now.Add(r.rto))
	}
}

func (r *Reno) onDuplicate() {
	r.dups++
	switch {
	case r.recovering:
		r.cwnd += renoMSS
	case r.dups == renoDups && r.una > r.recover:
		r.stats.Recoveries++
		r.recovering, r.recover = true, r.next
		r.ssthresh = r.half()
		r.cwnd = r.ssthresh + renoDups*renoMSS
		r.transmit(r.una)
	}
}

// half is what is left of the window after a loss: "ssthresh = max (FlightSize / 2,
// 2*SMSS)" (RFC 5681, equation 4).
func (r *Reno) half() int64 { return max((r.next-r.una)/2, 2*renoMSS) }

// onTimeout sends everything again, one segment at first, and doubles the timeout.
func (r *Reno) onTimeout() {
	if r.una == r.next {
		return
	}
	r.stats.Timeouts++
	r.ssthresh, r.cwnd = r.half(), renoMSS
	r.recovering, r.recover, r.dups = false, r.high, 0
	r.rto = min(2*r.rto, renoMaxRTO)
	r.next = r.una
	r.send()
	r.timer.set(r.w.now.Add(r.rto))
}
