package engine

import (
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// controlMark bytes of messages other than payload may wait for the kernel
	// before we stop adding haves and requests.
	controlMark = 32 << 10
	// controlMax ends the connection: the remote makes us answer and does not read.
	controlMax = 96 << 10

	// statsEvery is how often counters are reported when nothing else is.
	statsEvery = 500 * time.Millisecond

	// reportBurst reports without payload may go to the torrent within reportSpan;
	// what comes faster is gathered, so that no remote can flood it.
	reportBurst = 50
	reportSpan  = 500 * time.Millisecond
	// reportFull haves are reported at once all the same.
	reportFull = 8192
)

// peerOutbox is what leaves at the end of a turn, and what has left. Owner: the peer.
type peerOutbox struct {
	batch   *transport.Batch
	report  *report
	control int64 // bytes other than payload, sent and not yet taken by the kernel

	reported peerState
	lastSaid actor.Time // when it was
	span     actor.Time // begin of the span in which
	burst    int32      // so many reports were sent
}

func (p *peer) batch() *transport.Batch {
	if p.out.batch == nil {
		p.out.batch = transport.NewBatch()
	}
	return p.out.batch
}

// send appends a message to this turn's batch.
func (p *peer) send(m wire.Message) {
	p.batch().Add(m)
	p.out.control += int64(m.WireLen())
}

// sendBatch gives this turn's batch to the link.
func (p *peer) sendBatch(c *actor.Ctx[peerMsg]) {
	b := p.out.batch
	if b == nil {
		return
	}
	if b.Handshake != nil {
		p.out.control += wire.HandshakeLen
	}
	p.out.batch = nil
	p.clock.sent = c.Now()
	p.link.Send(b)
	if p.out.control > controlMax {
		p.fail(c, p.broke("makes us answer, but does not read: %d bytes wait", p.out.control))
	}
}

// onLinkSent: the kernel has taken bytes, so there is room for more.
func (p *peer) onLinkSent(now actor.Time, f transport.Flushed) {
	p.out.control = max(p.out.control-(f.Wire-f.Payload), 0)
	p.uploaded(now, f.Payload)
}

// report returns this turn's report to the torrent, which will be sent.
func (p *peer) report() *report {
	if p.out.report == nil {
		p.out.report = reports.Get()
		p.out.report.peer = p.cfg.id
	}
	return p.out.report
}

// state is what the torrent should know now.
func (p *peer) state(now actor.Time) peerState {
	s := peerState{
		interested: p.remote.interested,
		chokesUs:   p.remote.choking,
		snubbed:    p.down.snubbed,
		assigned:   p.down.assigned,
		queued:     p.down.out.n,
		down:       p.down.total,
		up:         p.up.total,
		rate:       p.down.rate.rate(now),
		rtt:        p.down.rtt,
		uploadOnly: p.remote.uploadOnly,
		listen:     p.remote.listen,
		client:     p.remote.client,
	}
	s.need, s.needFast = p.need(now)
	return s
}

// news says whether the torrent must hear of s now: counters alone can wait.
func (p *peer) news(s *peerState) bool {
	o := &p.out.reported
	return s.interested != o.interested || s.chokesUs != o.chokesUs || s.snubbed != o.snubbed ||
		needNews(s.need, o.need) || needNews(s.needFast, o.needFast) ||
		s.uploadOnly != o.uploadOnly || s.listen != o.listen || s.client != o.client
}

// needNews: a need has come up or is gone, or is twice what was offered.
func needNews(now, before int32) bool {
	return (now > 0) != (before > 0) || now >= 2*before && now > 0
}

// sendReport tells the torrent what this turn has changed.
func (p *peer) sendReport(now actor.Time) {
	if p.phase == peerDialing || p.phase == peerShaking || p.phase == peerWaiting {
		return
	}
	s := p.state(now)
	if p.out.report == nil && !p.news(&s) && (!p.stale(&s) || now < p.out.lastSaid.Add(statsEvery)) {
		return
	}
	if !p.mayReport(now) {
		return
	}
	r := p.report()
	p.out.report = nil
	r.state = s
	p.out.reported, p.out.lastSaid = s, now
	p.cfg.torrent.Tell(r)
}

// stale says whether the torrent's counters are behind.
func (p *peer) stale(s *peerState) bool {
	o := &p.out.reported
	return s.down != o.down || s.up != o.up || s.queued != o.queued
}

// mayReport holds back what comes too fast, but no payload.
func (p *peer) mayReport(now actor.Time) bool {
	o := &p.out
	if o.span.Add(reportSpan) <= now {
		o.span, o.burst = now, 0
	}
	o.burst++
	r := o.report
	return o.burst <= reportBurst || r != nil && (len(r.blocks) > 0 || r.shook != nil || len(r.metadata) > 0 || len(r.haves) >= reportFull)
}

// lastReport sends what is left at the end.
func (p *peer) lastReport(now actor.Time) {
	s := p.state(now)
	if p.out.report == nil && !p.stale(&s) {
		return
	}
	r := p.report()
	p.out.report = nil
	r.state = s
	p.cfg.torrent.Tell(r)
}

// reportDeadline is when a report that was held back, or counters, are due.
func (p *peer) reportDeadline(s *peerState) actor.Time {
	switch {
	case p.out.report != nil || p.news(s):
		return p.out.span.Add(reportSpan)
	case p.stale(s):
		return p.out.lastSaid.Add(statsEvery)
	}
	return actor.Never
}
