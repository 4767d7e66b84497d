package dht

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/internal/clock"
)

// flight is a query of ours that is out.
type flight struct {
	tid   uint32
	to    netip.AddrPort
	id    ID   // of the node, if it is known
	named bool // it is
	sent  clock.Time
	late  lateness
	owner asker
}

// lateness is how long a flight has been out.
type lateness uint8

const (
	inTime lateness = iota
	isSlow
	isOverdue
)

// asker is whoever waits for a query's outcome: onReply or onGone once, after any
// number of onLate.
type asker interface {
	onReply(n *Node, c *Ctx, f *flight, m *Msg)
	onLate(n *Node, c *Ctx, f *flight)
	onGone(n *Node, c *Ctx, f *flight, err error)
}

// flights are the queries that are out, and when each is to be looked at next.
type flights struct {
	byTID map[uint32]*flight
	due   []dueFlight // a heap by (at, tid); what has been answered stays until its time
}

type dueFlight struct {
	at  clock.Time
	tid uint32
}

func (d dueFlight) less(o dueFlight) bool { return d.at < o.at || d.at == o.at && d.tid < o.tid }

// begin adds a flight under a transaction id that nobody can guess.
func (fs *flights) begin(f *flight, rnd *rand.Rand) {
	if fs.byTID == nil {
		fs.byTID = map[uint32]*flight{}
	}
	for {
		f.tid = rnd.Uint32()
		if fs.byTID[f.tid] == nil {
			fs.byTID[f.tid] = f
			return
		}
	}
}

// appendTID appends a transaction id as it is on the wire.
func appendTID(b []byte, tid uint32) []byte { return binary.BigEndian.AppendUint32(b, tid) }

// land takes the flight that a message from an address answers, or returns nil.
func (fs *flights) land(tid []byte, from netip.AddrPort) *flight {
	if len(tid) != 4 {
		return nil
	}
	f := fs.byTID[binary.BigEndian.Uint32(tid)]
	if f == nil || f.to != from {
		return nil
	}
	delete(fs.byTID, f.tid)
	if len(fs.byTID) == 0 {
		fs.byTID, fs.due = nil, nil // an idle node keeps nothing
	}
	return f
}

// wake sets when a flight is looked at next.
func (fs *flights) wake(f *flight, at clock.Time) {
	fs.due = append(fs.due, dueFlight{at, f.tid})
	for i := len(fs.due) - 1; i > 0; {
		parent := (i - 1) / 2
		if !fs.due[i].less(fs.due[parent]) {
			return
		}
		fs.due[i], fs.due[parent] = fs.due[parent], fs.due[i]
		i = parent
	}
}

// next is when the first flight is to be looked at.
func (fs *flights) next() clock.Time {
	if len(fs.due) == 0 {
		return clock.Never
	}
	return fs.due[0].at
}

// pop takes the first flight whose time has come, nil if there is none. One that has
// been answered is skipped.
func (fs *flights) pop(now clock.Time) *flight {
	for len(fs.due) > 0 && fs.due[0].at <= now {
		d := fs.due[0]
		last := len(fs.due) - 1
		fs.due[0] = fs.due[last]
		fs.due = fs.due[:last]
		fs.sink()
		if f := fs.byTID[d.tid]; f != nil {
			return f
		}
	}
	return nil
}

func (fs *flights) sink() {
	for i := 0; ; {
		small := i
		for k := 2*i + 1; k <= 2*i+2 && k < len(fs.due); k++ {
			if fs.due[k].less(fs.due[small]) {
				small = k
			}
		}
		if small == i {
			return
		}
		fs.due[i], fs.due[small] = fs.due[small], fs.due[i]
		i = small
	}
}

// drop forgets a flight.
func (fs *flights) drop(f *flight) { delete(fs.byTID, f.tid) }
