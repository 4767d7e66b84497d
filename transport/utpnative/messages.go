package utpnative

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// msg is what the mux is told.
type msg interface{ utpMsg() }

type (
	// arrived is a datagram or a train from a socket.
	arrived struct{ *transport.Packet }

	// opened answers a request for a socket.
	opened struct {
		transport.Opened
		v6, listen bool
	}

	// tick comes when the wheel has something to do, retry when something that could
	// not be done is to be tried again.
	tick  struct{}
	retry struct{}

	dialMsg   struct{ transport.Dial }
	listenMsg struct {
		addr  netip.AddrPort
		to    actor.Inlet[transport.Accepted]
		reply actor.Ref[transport.Listening]
	}
	closeMsg struct{}
	hurry    struct{} // comes lastWords after closeMsg

	// What links are told by their peers.
	bindMsg struct {
		l  *link
		in actor.Inlet[transport.Event]
	}
	sendMsg struct {
		l *link
		b *transport.Batch
	}
	allowMsg struct {
		l *link
		n int64
	}
	endMsg struct {
		l      *link
		reason error
	}
)

func (arrived) utpMsg()   {}
func (opened) utpMsg()    {}
func (tick) utpMsg()      {}
func (retry) utpMsg()     {}
func (dialMsg) utpMsg()   {}
func (listenMsg) utpMsg() {}
func (closeMsg) utpMsg()  {}
func (hurry) utpMsg()     {}
func (bindMsg) utpMsg()   {}
func (sendMsg) utpMsg()   {}
func (allowMsg) utpMsg()  {}
func (endMsg) utpMsg()    {}

// Drop answers a dial that came after the end.
func (d dialMsg) Drop() { d.refuse(transport.ErrClosed) }

func (d dialMsg) refuse(err error) {
	d.Reply.Tell(transport.Dialed{Addr: d.Addr, Err: err})
}

// Drop answers a listen that came after the end.
func (m listenMsg) Drop() { m.refuse(transport.ErrClosed) }

func (m listenMsg) refuse(err error) {
	m.reply.Tell(transport.Listening{Addr: m.addr, Err: err})
}

// Drop tells the peer of a link whose transport has ended.
func (m bindMsg) Drop() {
	m.in.TryPut(transport.Closed{Err: m.l.broken(transport.NetworkFault, transport.ErrClosed)})
}

// Drop gives the batch back.
func (m sendMsg) Drop() { m.b.Release() }
