package dht

import (
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/internal/clock"
)

// scratch is what a message is read and written in. Nodes share them: ten thousand of
// them in one process handle one datagram at a time.
type scratch struct {
	in, out Msg
	buf     []byte
	tid     [4]byte
	seeds   Bloom
	peers   Bloom
}

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, MaxReceived)} }}

// ask sends a query and makes owner wait for its outcome. It reports false when nobody
// may be asked just now; owner then waits for nothing.
func (n *Node) ask(c *Ctx, to Contact, named bool, owner asker, fill func(*Msg)) bool {
	if len(n.flights.byTID) >= n.cfg.Limits.InFlight || !n.cfg.allows(to.Addr) {
		return false
	}
	f := &flight{to: to.Addr, id: to.ID, named: named, sent: c.Now(), owner: owner}
	n.flights.begin(f, c.Rand())
	n.flights.wake(f, c.Now().Add(n.rtt.slow()))
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	q := &s.out
	q.Reset()
	q.Kind, q.TID, q.ID, q.Has = KindQuery, appendTID(s.tid[:0], f.tid), n.id, HasID
	q.ReadOnly = n.cfg.ReadOnly
	if n.cfg.Version != "" {
		q.Version = []byte(n.cfg.Version)
	}
	fill(q)
	n.send(to.Addr, s)
	n.stats.QueriesOut++
	return true
}

// send sends what is in s.out.
func (n *Node) send(to netip.AddrPort, s *scratch) {
	s.buf = s.out.Append(s.buf[:0])
	n.stats.BytesOut += int64(len(s.buf))
	// A datagram that can't be sent is one that is lost on its way.
	_ = n.cfg.Socket.Send(to, s.buf)
}

// sweep tells askers which of their queries have become late or are lost.
func (n *Node) sweep(c *Ctx) {
	for f := n.flights.pop(c.Now()); f != nil; f = n.flights.pop(c.Now()) {
		switch f.late {
		case inTime:
			f.late = isSlow
			n.flights.wake(f, later(f.sent.Add(n.rtt.overdue()), c.Now()))
			f.owner.onLate(n, c, f)
		case isSlow:
			f.late = isOverdue
			n.flights.wake(f, f.sent.Add(finalTimeout))
			f.owner.onLate(n, c, f)
		case isOverdue:
			n.flights.drop(f)
			n.stats.Timeouts++
			if f.named {
				n.table.Failed(Contact{f.id, f.to}, c.Now())
			}
			f.owner.onGone(n, c, f, ErrTimeout)
		}
	}
}

// later is at, or just after now if that has passed.
func later(at, now clock.Time) clock.Time { return max(at, now+1) }

// arrived notes that a node has replied.
func (n *Node) arrived(c *Ctx, f *flight, id ID) {
	rtt := c.Now().Sub(f.sent)
	n.rtt.add(rtt)
	if n.table.Replied(Contact{id, f.to}, rtt, c.Now()) == Added {
		n.boot.due = n.boot.due || !n.boot.done
	}
}
