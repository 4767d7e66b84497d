package sim

import (
	"math/bits"

	"github.com/shoal-bt/shoal/internal/clock"
)

// quantum is what a flow may send in its turn, in bytes: a block and its header.
const quantum = 16384 + 13

// pipe is one direction of a host's access link. Its flows take turns: deficit round
// robin, where a flow that begins to send is served before those that have been
// sending (RFC 8290 without the dropping).
type pipe struct {
	w      *World
	rate   int64 // bytes per second; 0: no limit
	paused bool

	fresh, old flowList
	serving    *flow // whose chunk is in the pipe
	chunk      int64
	done       *wake

	// The chunks of a busy period end at since + sent/rate, so that roundings do
	// not add up.
	since clock.Time
	sent  int64
}

// flow is a stream's place at one pipe.
type flow struct {
	s       *stream
	next    *flow
	deficit int64
	listed  bool
	isDown  bool
}

// flowList is a queue of flows.
type flowList struct{ first, last *flow }

func (l *flowList) push(f *flow) {
	f.next = nil
	if l.last != nil {
		l.last.next = f
	} else {
		l.first = f
	}
	l.last = f
}

func (l *flowList) pop() *flow {
	f := l.first
	if l.first = f.next; l.first == nil {
		l.last = nil
	}
	f.next = nil
	return f
}

func newPipe(w *World, rate int64) *pipe {
	p := &pipe{w: w, rate: rate}
	p.done = newWake(w, p.finish)
	return p
}

// offer says that the flow has something to send.
func (p *pipe) offer(f *flow) {
	if !f.listed {
		f.listed, f.deficit = true, quantum+min(f.deficit, 0)
		p.fresh.push(f)
	}
	p.serve()
}

func (p *pipe) setRate(rate int64) {
	p.rate = rate
	p.since, p.sent = p.w.now, 0 // what is in the pipe ends as it began
	p.serve()
}

func (p *pipe) pause(paused bool) {
	p.paused = paused
	p.since, p.sent = p.w.now, 0
	p.serve()
}

// serve puts the next chunk into the pipe; all of them if the pipe has no limit.
func (p *pipe) serve() {
	if p.serving != nil || p.paused {
		return
	}
	for f := p.nextFlow(); f != nil; f = p.nextFlow() {
		p.serving = f
		if p.rate > 0 {
			p.done.set(p.end())
			return
		}
		p.deliver()
	}
	p.sent = 0 // idle: a new busy period begins with the next chunk
}

// nextFlow chooses whose turn it is and how much it sends.
func (p *pipe) nextFlow() *flow {
	for {
		list := &p.fresh
		if list.first == nil {
			list = &p.old
		}
		f := list.first
		if f == nil {
			return nil
		}
		if f.deficit <= 0 {
			f.deficit += quantum
			p.old.push(list.pop())
			continue
		}
		if p.chunk = f.size(); p.chunk > 0 {
			f.deficit -= p.chunk
			return f
		}
		list.pop()
		if list == &p.fresh && p.old.first != nil {
			p.old.push(f) // or a flow of small messages would always be fresh
		} else {
			f.listed = false
		}
	}
}

// end returns when the chunk that goes into the pipe now will have passed it.
func (p *pipe) end() clock.Time {
	if p.sent == 0 || p.sent > 1<<33 {
		p.since, p.sent = p.w.now, 0
	}
	p.sent += p.chunk
	hi, lo := bits.Mul64(uint64(p.sent), 1e9)
	q, _ := bits.Div64(hi, lo, uint64(p.rate))
	return p.since.Add(clock.Duration(q))
}

func (p *pipe) finish() {
	p.deliver()
	p.serve()
}

// deliver hands on the chunk that has passed.
func (p *pipe) deliver() {
	f, n := p.serving, p.chunk
	f.pass(n)
	p.serving = nil
}

func (f *flow) size() int64 {
	if f.isDown {
		return f.s.downSize()
	}
	return f.s.upSize()
}

func (f *flow) pass(n int64) {
	if f.isDown {
		f.s.passedDown(n)
	} else {
		f.s.passedUp(n)
	}
}
