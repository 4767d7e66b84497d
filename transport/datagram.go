package transport

import (
	"errors"
	"net/netip"
	"sync"

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
	// Send sends a datagram at once or not at all; b is the caller's again when it
	// returns. It is the caller who asks the dial policy (see [Net.Check]). Errors
	// concern this datagram alone: see [ErrDropped] and [ErrFamily].
	Send(to netip.AddrPort, b []byte) error
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
	// MaxDatagram is the largest datagram that is received, in bytes: an Ethernet
	// frame's. None of the protocols here sends larger ones.
	MaxDatagram = 1500
	// smallDatagram holds queries and most answers of the DHT.
	smallDatagram = 384

	utpVersion = 1  // BEP 29: "This is the protocol version. The current version is 1."
	utpTypes   = 5  // ST_DATA to ST_SYN
	utpHeader  = 20 // bytes
)

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

// Packet is a datagram that has come in. It is pooled: whoever gets it calls Release
// once, and does not touch it afterwards.
type Packet struct {
	From netip.AddrPort // never IPv4 inside IPv6
	Data []byte         // at most MaxDatagram bytes, the receiver's until Release
}

// Two sizes of packets: live sockets need large ones to read into, the simulator has
// many on their way.
var largePackets, smallPackets = packetPool(MaxDatagram + 1), packetPool(smallDatagram)

func packetPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return &Packet{Data: make([]byte, 0, size)} }}
}

// NewPacket makes a packet with a copy of data, which is cut at MaxDatagram. It is
// for models and tests; live sockets have their own.
func NewPacket(from netip.AddrPort, data []byte) *Packet {
	data = data[:min(len(data), MaxDatagram)]
	pool := smallPackets
	if len(data) > smallDatagram {
		pool = largePackets
	}
	p := pool.Get().(*Packet)
	p.From, p.Data = from, append(p.Data[:0], data...)
	return p
}

// Release gives the packet back.
func (p *Packet) Release() {
	if p.Data == nil {
		panic("transport: packet released twice")
	}
	pool := smallPackets
	if cap(p.Data) > smallDatagram {
		pool = largePackets
	}
	*p = Packet{Data: p.Data[:0]}
	pool.Put(p)
}

// Drop implements actor.Dropper.
func (p *Packet) Drop() { p.Release() }
