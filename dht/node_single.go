package dht

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// single is one query to one node that somebody has asked for.
type single struct {
	id     uint64
	reply  actor.Ref[Answer]
	fill   func(*Msg)
	answer func(err error, f *flight, m *Msg, rtt time.Duration) Answer
}

func (n *Node) onPing(c *Ctx, m Ping) {
	s := &single{id: m.ID, reply: m.Reply}
	s.fill = func(q *Msg) { q.Method = MethodPing }
	s.answer = func(err error, f *flight, r *Msg, rtt time.Duration) Answer {
		if err != nil {
			return Ponged{ID: m.ID, Err: err, Node: Contact{Addr: m.Addr}}
		}
		return Ponged{ID: m.ID, Node: Contact{r.ID, f.to}, RTT: rtt}
	}
	n.single(c, s, m.Addr)
}

func (n *Node) onSample(c *Ctx, m Sample) {
	s := &single{id: m.ID, reply: m.Reply}
	s.fill = func(q *Msg) { q.Method, q.Target, q.Has = MethodSample, m.Target, q.Has|HasTarget }
	s.answer = func(err error, f *flight, r *Msg, _ time.Duration) Answer {
		if err != nil {
			return Sampled{ID: m.ID, Err: err, Node: Contact{Addr: m.Addr}}
		}
		a := Sampled{ID: m.ID, Node: Contact{r.ID, f.to}, Num: r.Num, Interval: time.Duration(min(r.Interval, 21600)) * time.Second}
		a.Nodes = slices.Clone(n.nodesOf(r))
		if r.Has&HasSamples == 0 {
			a.Err = ErrNoSamples
			return a
		}
		for _, h := range r.Samples {
			a.Hashes = append(a.Hashes, h)
		}
		return a
	}
	n.single(c, s, m.Addr)
}

func (n *Node) single(c *Ctx, s *single, to netip.AddrPort) {
	to = unmapped(to)
	n.singles = append(n.singles, s)
	switch {
	case !n.cfg.allows(to):
		s.end(n, ErrAddress, nil)
	case !n.ask(c, Contact{Addr: to}, false, s, s.fill):
		s.end(n, ErrBusy, nil)
	}
}

func (s *single) onReply(n *Node, c *Ctx, f *flight, m *Msg) {
	if s.out(n) {
		s.reply.Tell(s.answer(nil, f, m, c.Now().Sub(f.sent)))
	}
}

func (s *single) onLate(*Node, *Ctx, *flight) {}

func (s *single) onGone(n *Node, _ *Ctx, f *flight, err error) { s.end(n, err, f) }

func (s *single) end(n *Node, err error, f *flight) {
	if s.out(n) {
		s.reply.Tell(s.answer(err, f, nil, 0))
	}
}

// out takes s from the list of those without an answer, and reports whether it was
// there.
func (s *single) out(n *Node) bool {
	i := slices.Index(n.singles, s)
	if i < 0 {
		return false
	}
	n.singles = slices.Delete(n.singles, i, i+1)
	return true
}
