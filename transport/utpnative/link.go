package utpnative

import (
	"errors"
	"io"
	"math"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utp"
)

// key finds a connection: "The connection id [...] identifies all packets that belong
// to the same connection. Each socket has one connection ID for sending packets and a
// different connection ID for receiving packets." (BEP 29) This is the one for
// receiving; remotes may use one more than once between them.
type key struct {
	from netip.AddrPort
	id   uint16
}

// link is one connection. What stands first does not change any more once somebody has
// been told of it, and may be read by anybody: peers tell the mux what they want. All
// else is the mux's.
type link struct {
	to   actor.Ref[msg]
	info transport.Info

	taken bool // Bind was called; the peer's

	m     *utp.Machine // nil once nothing is left of the connection
	sock  *socket
	key   key
	spoke spoke
	place int // in mux.all
	dirty bool
	waits bool // stands in mux.waiting
	heard bool // bytes have come since the last settling

	sec   *mse.Machine // an encrypted handshake under way
	dial  *dialing     // until Dialed is told
	guest *guest       // until the session has it

	in    linkIn
	out   outflow
	why   error // the peer has been, or is being, told Closed
	fault error // why it has to end: found where it can't be ended
}

// linkIn is what has come and who gets it.
type linkIn struct {
	framer   transport.Framer
	inlet    actor.Inlet[transport.Event]
	bound    bool
	standing bool // an Unlimited grant
	held     bool // the window is closing: see blocked
	grant    int64
	mail     []transport.Event // that the peer has no room for
	spill    []byte            // of the stream, that the slab has no room for
	heardAt  actor.Time        // when bytes came last
}

// Bind implements transport.Link.
func (l *link) Bind(in actor.Inlet[transport.Event]) {
	if l.taken {
		panic("utpnative: link bound twice")
	}
	l.taken = true
	l.to.Tell(bindMsg{l, in})
}

// Send implements transport.Link.
func (l *link) Send(b *transport.Batch) { l.to.Tell(sendMsg{l, b}) }

// Allow implements transport.Link.
func (l *link) Allow(n int64) { l.to.Tell(allowMsg{l, n}) }

// Close implements transport.Link.
func (l *link) Close(reason error) {
	if reason == nil {
		reason = errors.New("no reason given")
	}
	l.to.Tell(endMsg{l, reason})
}

// Info implements transport.Link.
func (l *link) Info() transport.Info { return l.info }

// broken gives an error its fault.
func (l *link) broken(f transport.Fault, err error) error {
	return &transport.LinkError{Remote: l.info.Remote, Fault: f, Err: err}
}

// blocked: somebody has no room for what has come.
func (l *linkIn) blocked() bool { return len(l.mail) > 0 || len(l.spill) > 0 }

// allow is Link.Allow.
func (l *linkIn) allow(n int64) {
	switch {
	case n >= transport.Unlimited:
		l.standing = true
	case n <= 0 && l.standing:
		l.standing, l.grant = false, min(l.grant, 0)
	case n > 0 && !l.standing:
		l.grant = min(l.grant, math.MaxInt64-n) + n
	}
}

// spend takes from the grant what has come. It may go below zero: see window.
func (l *linkIn) spend(n int) {
	if !l.standing {
		l.grant -= int64(n)
	}
}

// window tells the machine how much may come. What the remote has been told it may
// send already: that is not taken back.
func (l *link) window() {
	in := &l.in
	in.held = in.blocked()
	switch {
	case l.m == nil || !in.bound || l.why != nil:
	case in.held:
		l.m.Grant(0)
	case in.standing:
		l.m.Grant(utp.Unlimited)
	default:
		l.m.Grant(in.grant)
	}
}

// deadline is when the link has to be settled at the latest.
func (l *link) deadline() actor.Time {
	if l.m == nil {
		return actor.Never
	}
	at := l.m.Deadline()
	if l.dial != nil {
		at = min(at, l.dial.until)
	}
	if l.guest != nil {
		at = min(at, l.guest.until)
	}
	if l.in.framer.Holds() {
		at = min(at, l.in.heardAt.Add(slowBlock))
	}
	return at
}

// ending says what the end of the connection means to the peer.
func (l *link) ending(err error) error {
	if err == nil {
		return io.EOF
	}
	return l.broken(transport.NetworkFault, err)
}
