package utpnative

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// Config configures a transport. Open is needed.
type Config struct {
	Env transport.Env
	// Open opens the sockets. One made by [transport.Share] lets uTP and the DHT have
	// the same port.
	Open transport.Opener
	// Check is the dial policy, such as [transport.Net.Check]; nil allows everything.
	Check func(netip.AddrPort, transport.Origin) error
	// Window caps the receive window of a connection, in bytes; 0: 1 MiB.
	Window int64
	// Target is the queueing delay at which senders yield; 0: 100 ms.
	Target time.Duration
	// MaxPacket is the largest UDP payload that the interface sends, in bytes; 0: what
	// Ethernet carries.
	MaxPacket int
}

const (
	// defaultWindow is 10 MiB/s at a round trip of 100 ms.
	defaultWindow = 1 << 20

	// firstGrant is how much a remote may send before somebody has taken its
	// connection: a handshake, and what follows it in the same packet.
	firstGrant = 4 << 10

	// maxSpill bounds what one connection holds outside of slots while the slab is
	// spent, in bytes. What comes beyond is not acknowledged, and so comes again.
	maxSpill = 64 << 10

	// again is when links try once more what they could not do: the peer had too much
	// unread mail, the slab no slot, the socket no room. Nobody says when that changes.
	again = time.Millisecond

	// slowBlock is how long a block may stand still in its slot; then it is put aside
	// if slots are scarce.
	slowBlock = 250 * time.Millisecond

	// lastWords is how long a transport that was closed waits for remotes to take
	// what was sent to them before.
	lastWords = time.Second

	// maxPackets is how many trains or datagrams may wait for a turn: a burst of the
	// socket's pump while a worker is busy. Beyond it they are lost.
	maxPackets = 2048

	// maxMail is the sum of the windows of all links: a peer's turn says little, but
	// there may be thousands of peers.
	maxMail = 1 << 20

	// dialTimeout stands for a Dial.Timeout of 0, greetTimeout for an
	// Env.HandshakeTimeout, halfOpen for an Env.MaxHalfOpen of 0.
	dialTimeout  = 10 * time.Second
	greetTimeout = 10 * time.Second
	halfOpen     = 128
)

// New makes the transport and starts its actor in w. Close ends it, once all of its
// links are closed.
func New(w actor.World, cfg Config) transport.Transport {
	return start(w, newMux(cfg))
}

func start(w actor.World, x actor.Actor[msg]) *handle {
	return &handle{actor.Root(w, actor.Spec{Name: "utp", Limit: maxMail, Offer: maxPackets}, x, nil).Ref}
}

// withDefaults fills what was left zero.
func (cfg Config) withDefaults() Config {
	if cfg.Window <= 0 {
		cfg.Window = defaultWindow
	}
	if cfg.Env.HandshakeTimeout <= 0 {
		cfg.Env.HandshakeTimeout = greetTimeout
	}
	if cfg.Env.MaxHalfOpen <= 0 {
		cfg.Env.MaxHalfOpen = halfOpen
	}
	return cfg
}

// Make makes the transport of a session, with all that env says.
func Make(env transport.Env) transport.Transport {
	return New(env.World, Config{Env: env, Open: env.Datagrams, Check: env.Net.Check})
}

// machines returns what the machines of one family have in common.
func (cfg *Config) machines(v6 bool, pool *utp.Pool) *utp.Config {
	return &utp.Config{
		MaxPacket: cfg.MaxPacket, V6: v6, Window: cfg.Window, Target: cfg.Target, Pool: pool,
	}
}

// handle is the transport as its users see it.
type handle struct{ to actor.Ref[msg] }

// Name implements transport.Transport.
func (h *handle) Name() string { return "utp" }

// Dial implements transport.Transport.
func (h *handle) Dial(d transport.Dial) { h.to.Tell(dialMsg{d}) }

// Listen implements transport.Transport. An unspecified or invalid address means every
// address of both families, at one port. A transport listens once.
func (h *handle) Listen(addr netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	h.to.Tell(listenMsg{addr, to, reply})
}

// Close implements transport.Transport.
func (h *handle) Close() { h.to.Tell(closeMsg{}) }
