package lsd

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
)

// Message is what an Announcer takes.
type Message interface{ lsdMessage() }

// Add announces a torrent, soon and then every 5 minutes. Who else announces it is
// offered to Reply. From: the torrent or who owns the announcer, once each hash; a
// second one replaces Reply, and announces the torrent again as soon as MinInterval
// allows.
type Add struct {
	Hash  [20]byte
	Reply actor.Ref[Found]
}

// Remove ends it: no datagram after it names the hash. Not answered.
type Remove struct{ Hash [20]byte }

// SetPort says where peers can connect from now on; with 0 nothing is announced, only
// heard. Not answered.
type SetPort struct{ Port uint16 }

// AskStats asks for a snapshot.
type AskStats struct{ Reply actor.Ref[Stats] }

// Found answers Add, as often as somebody is heard: one who says that it takes part in
// the torrent, at an address of the local network. A hint, by Offer.
type Found struct {
	Hash [20]byte
	Addr netip.AddrPort
}

// Stats is a snapshot of an announcer.
type Stats struct {
	Sockets  int      // open
	Errs     []string // why others are not, or the last failure to send
	Torrents int
	Sent     int64 // datagrams
	Heard    int64 // datagrams of others that were read
	Ignored  int64 // of others: over the rate, not local, or not to be understood
}

// Datagram has come in. From: sockets, by Offer. Data belongs to the receiver.
type Datagram struct {
	From netip.AddrPort
	Data []byte
}

// Socket is a multicast socket of one group, on every interface that serves. Its
// methods never wait.
type Socket interface {
	// Send sends to the group on every interface. b is not kept. An error says that
	// the socket is of no use any more.
	Send(b []byte) error
	Close()
}

// Opener opens sockets: live through the one factory of sockets, in the simulator its
// own.
type Opener interface {
	// OpenMulticast opens a socket. What comes in is offered to to; reply is told
	// exactly once.
	OpenMulticast(group netip.AddrPort, to actor.Ref[Datagram], reply actor.Ref[Opened])
}

// Opened answers OpenMulticast.
type Opened struct {
	Socket Socket
	Err    error
}

// Drop closes a socket that nobody will take.
func (o Opened) Drop() {
	if o.Socket != nil {
		o.Socket.Close()
	}
}

// Own messages.
type (
	received struct{ Datagram }
	opened   struct {
		group int
		Opened
	}
	reopen struct{ group int } // the time to try again has come
	wake   struct{}            // the announcer's timer
)

func (Add) lsdMessage()      {}
func (Remove) lsdMessage()   {}
func (SetPort) lsdMessage()  {}
func (AskStats) lsdMessage() {}
func (received) lsdMessage() {}
func (opened) lsdMessage()   {}
func (reopen) lsdMessage()   {}
func (wake) lsdMessage()     {}
