package sim

import (
	"iter"
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/transport"
)

// NetConfig configures a [Network]. The zero value is a network without latency.
type NetConfig struct {
	// Latency is the time from any host to any other, to which their own
	// [HostConfig.Access] and the distance of their coordinates are added.
	Latency clock.Duration
	// Jitter bounds what each chunk of data may take longer; the seed decides.
	// Streams stay in order.
	Jitter clock.Duration
	// Lifetime, if set, is how long connections last on average before they are
	// cut; each lasts between nothing and twice this, as the seed decides.
	Lifetime clock.Duration
	// Loss, Duplicate and Reorder say how many of a million datagrams are lost,
	// arrive twice, and arrive so late that others overtake them.
	Loss, Duplicate, Reorder int
}

// HostConfig configures a [Host].
type HostConfig struct {
	// Addr is the host's address; the zero value takes the next of a list of
	// public ones, each in a network of its own.
	Addr netip.Addr
	// Addr6, if set, is its address for datagrams of the other family.
	Addr6 netip.Addr
	// Up and Down are the rates of its access link, bytes per second; 0: no limit.
	Up, Down int64
	// Access is added to the latency of all its connections.
	Access clock.Duration
	// X and Y are coordinates in microseconds: the distance between two hosts is
	// added to their latency.
	X, Y int64
	// Unreachable hosts, behind a NAT, can connect and not be connected to.
	// Datagrams reach them from where they have sent some lately.
	Unreachable bool
	// Loss says how many of a million datagrams, each way, its access link loses.
	Loss int
}

// Network models hosts with access links, and connections between them, in a World.
// Messages move as they are, without being serialised: what counts is how many bytes
// they would be on the wire. A connection's bytes wait in turn for its sender's
// uplink, for the latency and for its receiver's downlink. Each link is shared
// fairly by its connections, 16 KiB at a time, and those that send little go first,
// as behind a router with fair queues. How much may be on the way is bounded by a
// window that grows while the receiver's downlink has no queue and closes while the
// receiver does not read: as good as TCP on a path without loss. Datagrams have a
// queue of their own at each link: see [Host.OpenDatagrams].
//
// Owner of all its state: the World's one goroutine. The same seed gives the same
// run: nothing is drawn from a stream that others share.
type Network struct {
	w           *World
	cfg         NetConfig
	seed        uint64
	hosts       []*Host
	byAddr      map[netip.Addr]*Host
	conns       []*pair // in order of their making, some ended
	ended       int     // of conns
	made        uint64
	mem         memory
	air         *flight // datagrams that have arrived, for use by others
	total       PacketTotals
	joints      map[[2]*Host]*netpath.Link // from and to; nobody ranges over it
	packetLinks uint64
	copies      sync.Pool // of *rare: payload on its way, when it is not a phantom
}

// memory is what the queues of all connections use.
type memory struct {
	items  buffers[item]
	ends   buffers[int64]
	chunks buffers[chunk]
	acks   buffers[ack]
	events buffers[transport.Event]
}

// Host is a machine with an access link.
type Host struct {
	net       *Network
	cfg       HostConfig
	index     int
	up, down  *pipe
	offline   bool
	listeners []*listener
	lastPort  uint16

	sockets  []*socket
	links    [2]*netpath.Link // for datagrams: up and down, or nil
	lastDraw uint64           // of its datagrams' fates
	upFree   clock.Time       // when the links will have passed all datagrams so far
	downFree clock.Time
}

// NewNetwork makes a network in w.
func NewNetwork(w *World, cfg NetConfig) *Network {
	n := &Network{w: w, cfg: cfg, seed: mix(w.cfg.Seed + netStream), byAddr: map[netip.Addr]*Host{}}
	n.copies.New = func() any { return &rare{kept: new([block.Size]byte)} }
	return n
}

// Host adds a host.
func (n *Network) Host(cfg HostConfig) *Host {
	if !cfg.Addr.IsValid() {
		cfg.Addr = n.freeAddr()
	}
	h := &Host{net: n, cfg: cfg, index: len(n.hosts), up: newPipe(n.w, cfg.Up), down: newPipe(n.w, cfg.Down), lastPort: firstPort}
	n.hosts = append(n.hosts, h)
	n.byAddr[cfg.Addr] = h
	if cfg.Addr6.IsValid() {
		n.byAddr[cfg.Addr6] = h
	}
	return h
}

// firstPort precedes the ports of outgoing connections.
const firstPort = 32767

// freeAddr returns the next address of a list without reserved ones, so that
// neighbours in it do not share a subnet.
func (n *Network) freeAddr() netip.Addr {
	for i := len(n.hosts); ; i++ {
		a := netip.AddrFrom4([4]byte{byte(20 + i%80), byte(i / 80), byte(i / 20480), byte(1 + i/5242880)})
		if n.byAddr[a] == nil {
			return a
		}
	}
}

// Addr returns the host's address.
func (h *Host) Addr() netip.Addr { return h.cfg.Addr }

// SetRates changes the host's access link; bytes per second, 0: no limit.
func (h *Host) SetRates(up, down int64) {
	h.cfg.Up, h.cfg.Down = up, down
	h.up.setRate(up)
	h.down.setRate(down)
}

// SetOnline takes the host from the network or brings it back. In between nothing
// moves: dials time out, connections stand still and go on afterwards.
func (h *Host) SetOnline(online bool) {
	h.offline = !online
	h.up.pause(!online)
	h.down.pause(!online)
}

// Cut breaks all connections between two hosts; both sides are told at once.
func (n *Network) Cut(a, b *Host) {
	for _, p := range n.conns {
		if x, y := p.ends[0].host, p.ends[1].host; x == a && y == b || x == b && y == a {
			p.cut()
		}
	}
}

// Connections returns how many connections stand.
func (n *Network) Connections() int { return len(n.conns) - n.ended }

// Pairs ranges over the hosts of the connections that stand, in order of their making:
// who dialed first. A connection of two hosts may have become another's double.
func (n *Network) Pairs() iter.Seq2[*Host, *Host] {
	return func(yield func(a, b *Host) bool) {
		for _, p := range n.conns {
			if !p.over && !yield(p.ends[0].host, p.ends[1].host) {
				return
			}
		}
	}
}

// Latency returns the time from one host to another.
func (n *Network) Latency(a, b *Host) clock.Duration {
	dx, dy := uint64(a.cfg.X-b.cfg.X), uint64(a.cfg.Y-b.cfg.Y)
	distance := clock.Duration(isqrt(dx*dx+dy*dy)) * 1000
	return n.cfg.Latency + a.cfg.Access + b.cfg.Access + distance
}

// isqrt is the whole part of the square root.
func isqrt(v uint64) uint64 {
	var r uint64
	for bit := uint64(1) << 62; bit > 0; bit >>= 2 {
		if v >= r+bit {
			v -= r + bit
			r = r>>1 + bit
		} else {
			r >>= 1
		}
	}
	return r
}

// draw returns the k-th number of a connection, below bound. It depends on nothing
// else: other connections and actors do not shift it.
func (n *Network) draw(conn, k uint64, bound clock.Duration) clock.Duration {
	if bound <= 0 {
		return 0
	}
	return clock.Duration(mix(mix(n.seed+conn)+k) % uint64(bound))
}

// forget drops ended connections from the list when they are its larger part.
func (n *Network) forget() {
	if n.ended++; n.ended < 64 || n.ended*2 < len(n.conns) {
		return
	}
	live := n.conns[:0]
	for _, p := range n.conns {
		if !p.over {
			live = append(live, p)
		}
	}
	clear(n.conns[len(live):])
	n.conns, n.ended = live, 0
}

// fault is an error of the modelled network.
func fault(remote netip.AddrPort, f transport.Fault, err error) error {
	return &transport.LinkError{Remote: remote, Fault: f, Err: err}
}

// wake is a reusable event: it stands in the World's heap at most once.
type wake struct {
	w  *World
	e  event
	on bool
}

func newWake(w *World, f func()) *wake {
	k := &wake{w: w}
	k.e.f = func() {
		k.on = false
		f()
	}
	return k
}

// set makes the event happen at t, and at no other time.
func (k *wake) set(t clock.Time) {
	if k.on {
		k.w.move(&k.e, t)
		return
	}
	k.on = true
	k.w.again(&k.e, t)
}
