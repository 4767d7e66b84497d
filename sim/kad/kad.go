package kad

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
)

// Config describes a network of nodes.
type Config struct {
	Seed  uint64
	Order sim.Order
	Nodes int
	// Flat, if set, is the time from any node to any other. Otherwise they are spread
	// as on a continent: a round trip takes 90 ms in the median, 1 in 10 more
	// than 200 ms.
	Flat time.Duration
	// Join lets the nodes find each other through the first few, which are well known,
	// as if they had never been online. Otherwise each begins with the table that
	// Kademlia promises, saved from a life before.
	Join  bool
	Liars int // per cent of the nodes
	Lie   Lie
	Loss  int // of a million datagrams
	// Node, if set, changes what each node is configured with, by its number.
	Node func(i int, c *dht.Config)
}

// Span is the time over which the nodes go online.
const Span = 2 * time.Minute

// wellKnown is how many nodes are bootstrap nodes for those that join.
const wellKnown = 5

// version stands in every message, as it does in those of the engine.
const version = "SQ\x00\x01"

// port is where all nodes listen.
const port = 6881

// Net is a network of nodes in its world. Everything in it belongs to the goroutine
// that runs it.
type Net struct {
	World   *sim.World
	Packets *sim.Network
	Members []*Member

	cfg    Config
	rnd    *rand.Rand // of the experiment; no node draws from it
	ideal  *ideal
	byID   map[dht.ID]*Member
	nets   map[[3]byte]bool // taken
	forger *forger
}

// Member is one host with a node, or with a liar in its place.
type Member struct {
	dht.Contact
	Host *sim.Host
	Node actor.Child[dht.Message]
	Dead bool
	Liar bool

	net    *Net
	number int
	socket transport.Datagrams
	tap    func(*transport.Packet) // sees what comes in, if set
	ended  bool
}

// New builds a network; nothing has happened yet.
func New(cfg Config) (*Net, error) {
	w := sim.NewWorld(sim.Config{Seed: cfg.Seed, Order: cfg.Order})
	n := &Net{
		World: w, cfg: cfg, byID: make(map[dht.ID]*Member, cfg.Nodes), nets: map[[3]byte]bool{},
		rnd: rand.New(rand.NewPCG(cfg.Seed, 1)),
		Packets: sim.NewNetwork(w, sim.NetConfig{
			Latency: max(cfg.Flat, 2*time.Millisecond), Jitter: jitter(cfg), Loss: cfg.Loss}),
	}
	ids := make([]dht.ID, cfg.Nodes)
	for i := range ids {
		m, err := n.member()
		if err != nil {
			return nil, err
		}
		m.Liar = i >= wellKnown && n.rnd.IntN(100) < cfg.Liars
		ids[i] = m.ID
	}
	n.ideal = newIdeal(ids, n.rnd)
	for i, m := range n.Members {
		after := time.Duration(n.rnd.Int64N(int64(Span)))
		if cfg.Join && i < wellKnown {
			after = 0
		}
		w.After(after, m.start)
	}
	return n, nil
}

func jitter(cfg Config) time.Duration {
	if cfg.Flat > 0 {
		return 0
	}
	return 10 * time.Millisecond
}

// member adds a host with an id that its address allows.
func (n *Net) member() (*Member, error) {
	m := &Member{net: n, number: len(n.Members), Host: n.Packets.Host(n.place())}
	m.Contact = dht.Contact{ID: dht.SecureID(m.Host.Addr(), n.rnd), Addr: netip.AddrPortFrom(m.Host.Addr(), port)}
	m.Host.OpenDatagrams(m.Addr, actor.FuncRef(func(o transport.Opened) { m.socket = o.Socket }))
	if m.socket == nil {
		return nil, fmt.Errorf("no socket at %v", m.Addr)
	}
	n.Members = append(n.Members, m)
	n.byID[m.ID] = m
	return m, nil
}

// place gives a host its place on a square of 40 ms, and an access line of 1 to 15 ms,
// of which every tenth has 60 ms more: a radio link, or a queue.
func (n *Net) place() sim.HostConfig {
	c := sim.HostConfig{Addr: n.address()}
	if n.cfg.Flat > 0 {
		return c
	}
	c.X, c.Y = n.rnd.Int64N(40_000), n.rnd.Int64N(40_000)
	c.Access = time.Millisecond + time.Duration(n.rnd.Int64N(int64(14*time.Millisecond)))
	if n.rnd.IntN(10) == 0 {
		c.Access += 60 * time.Millisecond
	}
	return c
}

// address draws a public address in a /24 of its own: ids depend on it (BEP 42), and
// are to be spread evenly.
func (n *Net) address() netip.Addr {
	for {
		v := n.rnd.Uint32()
		a := [4]byte{byte(20 + v>>24%80), byte(v >> 16), byte(v >> 8), byte(1 + v%250)}
		if net := [3]byte(a[:3]); !n.nets[net] {
			n.nets[net] = true
			return netip.AddrFrom4(a)
		}
	}
}

// start brings a member online.
func (m *Member) start() {
	if m.Liar {
		m.socket.Route(transport.PacketDHT, actor.FuncRef(m.lie))
		return
	}
	cfg := dht.Config{Socket: m.socket, Family: dht.IPv4, ID: m.ID, ExternalIP: m.Host.Addr(), Version: version}
	if m.net.cfg.Join {
		for _, b := range m.net.Members[:wellKnown] {
			if b != m {
				cfg.Bootstrap = append(cfg.Bootstrap, b.Addr.String())
			}
		}
	} else {
		cfg.Saved = dht.AppendSaved(nil, m.ID, m.net.table(m.ID))
	}
	if m.net.cfg.Node != nil {
		m.net.cfg.Node(m.number, &cfg)
	}
	m.Node = actor.Root(m.net.World, dht.Spec(1), dht.New(cfg), func(actor.Exit) { m.ended = true })
	m.socket.Route(transport.PacketDHT, actor.Adapt(m.Node.Ref, m.received))
}

// received gives the node a datagram.
func (m *Member) received(p *transport.Packet) dht.Message {
	if m.tap != nil {
		m.tap(p)
	}
	return dht.Received{From: p.From, Data: p.Data, Buffer: p}
}

// table is the ideal table of an id.
func (n *Net) table(id dht.ID) []dht.Contact {
	var out []dht.Contact
	for _, i := range n.ideal.table(id) {
		out = append(out, n.byID[n.ideal.ids[i]].Contact)
	}
	return out
}

// Run lets the network live for a while.
func (n *Net) Run(d time.Duration) error {
	n.World.Run(n.World.Now().Add(d))
	return n.World.Err()
}

// Kill takes so many per cent of the nodes off the network at once.
func (n *Net) Kill(percent int) {
	for _, m := range n.Members {
		if n.rnd.IntN(100) < percent {
			m.Dead = true
			m.Host.SetOnline(false)
		}
	}
}

// Honest reports whether a member is alive and no liar.
func (m *Member) Honest() bool { return !m.Dead && !m.Liar }

// Any draws an honest node, of those whose number leaves a remainder of i by mod.
func (n *Net) Any(i, mod int) *Member {
	for {
		if m := n.Members[n.rnd.IntN(len(n.Members))]; m.Honest() && m.number%mod == i {
			return m
		}
	}
}

// Closest returns the k honest nodes that are closest to a target, but for one.
func (n *Net) Closest(target dht.ID, k int, but *Member) []*Member {
	for want := 2 * k; ; want *= 2 {
		var out []*Member
		for _, i := range n.ideal.nearest(target, want) {
			if m := n.byID[n.ideal.ids[i]]; m != but && m.Honest() && len(out) < k {
				out = append(out, m)
			}
		}
		if len(out) == k || want > len(n.Members) {
			return out
		}
	}
}

// places is how many honest ones there are among the 8 nodes closest to a target that
// are alive.
func (n *Net) places(target dht.ID, but *Member) (honest int) {
	alive := 0
	for _, i := range n.ideal.nearest(target, 8*dht.K) {
		m := n.byID[n.ideal.ids[i]]
		if m.Dead || m == but {
			continue
		}
		if alive++; alive > dht.K {
			break
		}
		if !m.Liar {
			honest++
		}
	}
	return honest
}

// Close stops all nodes and checks that nothing is left of them.
func (n *Net) Close() error {
	for _, m := range n.Members {
		m.Node.Stop(nil)
	}
	if !n.World.Run(n.World.Now().Add(time.Hour)) && n.World.Err() == nil {
		return errors.New("the world did not come to rest")
	}
	errs := []error{n.World.Err(), n.World.Check()}
	if left := n.World.Alive(); left != 0 {
		errs = append(errs, fmt.Errorf("%d actors are left", left))
	}
	return errors.Join(errs...)
}

// now is the world's time.
func (n *Net) now() clock.Time { return n.World.Now() }
