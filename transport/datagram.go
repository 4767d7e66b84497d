package transport

import (
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
)

// Datagrams is one UDP socket that several protocols share: the DHT, uTP, UDP
// trackers, hole punching. They are told apart by how a datagram begins. A socket
// has one family. Its methods never wait and may be called by any goroutine.
type Datagrams interface {
	// Addr returns what the socket is bound to; the address may be unspecified.
	Addr() netip.AddrPort
	// Route says where datagrams of a kind go, by Offer: what the receiver has no
	// room for is lost, as are kinds without a route. A later call replaces an
	// earlier one; the zero Ref ends it.
	Route(k PacketKind, to actor.Ref[*Packet])
	// RouteTrains is like Route, but what comes may be trains: see [Packet.Segment].
	// Every datagram of a train is of kind k.
	RouteTrains(k PacketKind, to actor.Ref[*Packet])
	// Send sends a datagram at once or not at all; b is the caller's again when it
	// returns. It is the caller who asks the dial policy (see [Net.Check]). Errors
	// concern this datagram alone: see [ErrDropped], [ErrTooBig] and [ErrFamily].
	Send(to netip.AddrPort, b []byte) error
	// SendTrain sends b as datagrams of segment bytes each, the last perhaps shorter:
	// with one system call for many of them where the system can. sent is how many
	// bytes it took: whole datagrams, from the front. If that is not all of b, err
	// says why. A segment of 0 makes one datagram of it.
	SendTrain(to netip.AddrPort, b []byte, segment int) (sent int, err error)
	// Close ends the socket. Nothing is delivered by pumps afterwards, but what
	// receivers have not read yet.
	Close()
}

// Opener opens sockets for datagrams: [Net] does, and hosts of the simulator.
type Opener interface {
	// OpenDatagrams binds a socket. An unspecified address means every address of
	// its family, or the one that is configured for all sockets; an invalid one
	// means IPv4, unless what is configured is IPv6. Port 0 lets the system choose.
	// reply gets exactly one Opened.
	OpenDatagrams(addr netip.AddrPort, reply actor.Ref[Opened])
}

// Opened answers [Opener.OpenDatagrams]: the socket or an error.
type Opened struct {
	Socket Datagrams
	Err    error
}

// Drop closes a socket that nobody is left to take.
func (o Opened) Drop() {
	if o.Socket != nil {
		o.Socket.Close()
	}
}

var (
	// ErrDropped says that the system had no room for a datagram. It is lost, as
	// any may be on its way: who sends again when no answer comes can ignore it.
	ErrDropped = errors.New("datagram dropped: the system's queue is full")
	// ErrTooBig says that the system refused a datagram for its size: it is larger
	// than what the way's first link carries, and sockets here never let datagrams be
	// cut into fragments. Nothing of it was sent.
	ErrTooBig = errors.New("datagram too big for the way")
	// ErrFamily refuses an address of the family that a socket does not have.
	ErrFamily = errors.New("address of another family than the socket's")
)

// DatagramStats counts what has passed a socket. Live sockets and those of the
// simulator return it from a method Stats.
type DatagramStats struct {
	In, BytesIn   int64 // received and routed, headers of UDP and IP not counted
	Out, BytesOut int64 // sent
	Dropped       int64 // not sent for want of room
	Oversize      int64 // received, too large to be of any protocol here
	Unrouted      int64 // received, of a kind that nobody wants, or that had no room
}

// PacketKind is what a datagram's first bytes say it is.
type PacketKind uint8

// Kinds of datagrams.
const (
	PacketDHT   PacketKind = iota // KRPC: a bencoded dictionary (BEP 5)
	PacketUTP                     // uTP's header (BEP 29)
	PacketOther                   // a UDP tracker's answer, or anything
	packetKinds
)

const (
	// MaxDatagram is the largest datagram of the DHT and of uTP that is received, in
	// bytes: an Ethernet frame's. Neither has use for larger ones.
	MaxDatagram = 1500
	// MaxOther is the largest of the other kind. A tracker's answer with 200 peers of
	// IPv6 has 3,620 bytes, and comes in fragments.
	MaxOther = 8 << 10

	utpVersion = 1  // BEP 29: "This is the protocol version. The current version is 1."
	utpTypes   = 5  // ST_DATA to ST_SYN
	utpHeader  = 20 // bytes
)

// limit is the largest datagram of a kind that is received, in bytes.
func (k PacketKind) limit() int {
	if k == PacketOther {
		return MaxOther
	}
	return MaxDatagram
}

// Kind sorts a datagram by its first bytes.
func Kind(b []byte) PacketKind {
	switch {
	case len(b) == 0:
	case b[0] == 'd':
		return PacketDHT
	case b[0]&15 == utpVersion && b[0]>>4 < utpTypes && len(b) >= utpHeader:
		return PacketUTP
	}
	return PacketOther
}
