package transport

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// Transport is one way to reach peers: the plug for tcp, utp, a pipe in a test,
// or the simulator's network. Its methods never wait and may be called by any
// goroutine. A session holds several; each has a name.
type Transport interface {
	Name() string
	// Dial begins a connection; Dial.Reply gets exactly one Dialed, also after Close.
	Dial(Dial)
	// Listen begins to accept. Connections whose first 68 bytes are a handshake
	// arrive at to; others are closed after Env.HandshakeTimeout at the latest.
	// Reply gets exactly one Listening.
	Listen(addr netip.AddrPort, to actor.Inlet[Accepted], reply actor.Ref[Listening])
	// Close ends listening and dialing. Links live on until they are closed.
	Close()
}

// Env is what a transport gets from the session that makes it.
type Env struct {
	Slab      *block.Slab // for incoming payload
	World     actor.World // for transports that are actors
	Net       *Net        // makes all sockets; nil: the transport needs none
	Datagrams Opener      // the same, for UDP: sockets that the session's services share

	HandshakeTimeout time.Duration // for incoming handshakes; 0: 10 s
	MaxHalfOpen      int           // incoming connections without a handshake; 0: 128

	// Keys are the torrents that incoming encrypted connections may ask for. One Keys
	// serves all transports of a session. Without it none can come in encrypted.
	Keys *Keys
	// Encryption says what may come in: Off refuses encrypted connections, Require
	// plain ones; then Dials without Encrypt fail as well, with ErrPlain.
	Encryption mse.Policy
	// Methods are what an incoming encrypted connection may choose from; 0:
	// Encryption.Methods().
	Methods mse.Offer
}

// Origin says who named an address: the dial policy depends on it.
type Origin uint8

// Origins of addresses.
const (
	FromUser     Origin = iota // typed by the person at the machine
	FromTorrent                // written in a torrent file or magnet
	FromTracker                // a public tracker's answer
	FromLocal                  // a private or loopback tracker's or peer's answer, LSD
	FromPeer                   // PEX and DHT
	FromIncoming               // the address of a connection that came in
)

// Dial asks for a connection.
type Dial struct {
	Addr     netip.AddrPort
	Origin   Origin
	InfoHash metainfo.Hash // what it is for: encrypted connections need it
	Timeout  time.Duration // 0: 10 s
	// Encrypt says what an encrypted handshake offers; 0: none, the connection is plain.
	// There is no falling back: if the handshake fails the dial does.
	Encrypt mse.Offer
	// Hello is the handshake that the link's first batch will begin with, if that is
	// known. An encrypted dial takes it along, which saves a round trip; the link then
	// leaves out that of the first batch.
	Hello *wire.Handshake
	Reply actor.Ref[Dialed]
}

// Dialed answers Dial: a link that is not yet bound, or an error.
type Dialed struct {
	Addr netip.AddrPort
	Link Link
	Err  error
}

// Drop closes a link that nobody is left to take.
func (d Dialed) Drop() {
	if d.Link != nil {
		d.Link.Close(actor.ErrStopped)
	}
}

// Accepted is a connection that came in and has said whom it wants.
type Accepted struct {
	Link      Link
	Handshake wire.Handshake
}

// Drop closes a link that nobody is left to take.
func (a Accepted) Drop() { a.Link.Close(actor.ErrStopped) }

// Listening answers Listen.
type Listening struct {
	Addr netip.AddrPort // with the port that was chosen
	Err  error
}
