package swarm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
)

// Config describes a swarm around one torrent. Zero values mean the default.
type Config struct {
	Seed     uint64
	Order    sim.Order
	Seeds    int   // nodes that have everything (default 1)
	Leechers int   // nodes that want everything
	Size     int64 // of the torrent, bytes (default 64 MiB)
	PieceLen int64 // default 256 KiB

	Up, Down int64         // of each node, bytes a second (default 2 and 10 MiB/s)
	SeedUp   int64         // of each seed (default Up)
	Latency  time.Duration // between any two (default 20 ms)
	Jitter   time.Duration
	Lifetime time.Duration // of connections, on average; 0: until they are closed
	Join     time.Duration // leechers arrive evenly over this span
	Memory   int64         // slab of each node (default 8 MiB)

	Unreachable  int           // per cent of the leechers are behind NATs
	MaxPeers     int32         // connections of each node (default: the engine's)
	TrackerPeers int           // that the tracker names at a time (default 50)
	TrackerDies  time.Duration // when it answers no more; 0: never
	NoPEX        bool
	// DHT takes the tracker away: the nodes run nodes of the DHT, and find its others
	// through a few that are well known and have nothing to do with the torrent.
	DHT bool

	// Magnet lets leechers begin with a link, which names the tracker, or those of Known.
	Magnet bool

	Picker, Choker string
	// Known, if set, takes the tracker away: it names the nodes, by number, whose
	// addresses a node is given when it starts.
	Known func(node int) []int
	// Wrap, if set, stands between a node and the network.
	Wrap  func(node int, t transport.Transport) transport.Transport
	Trace func(now clock.Time, to *actor.Cell, m any)
}

func (c Config) withDefaults() Config {
	fill(&c.Seeds, 1)
	fill(&c.Size, 64<<20)
	fill(&c.PieceLen, 256<<10)
	fill(&c.Up, 2<<20)
	fill(&c.Down, 10<<20)
	fill(&c.SeedUp, c.Up)
	fill(&c.Latency, 20*time.Millisecond)
	fill(&c.Memory, 8<<20)
	return c
}

func fill[N ~int | ~int64](n *N, by N) {
	if *n == 0 {
		*n = by
	}
}

// Swarm is a swarm in its world. Everything in it belongs to the goroutine that runs it.
type Swarm struct {
	World   *sim.World
	Net     *sim.Network
	Tracker *sim.Tracker
	Nodes   []*Node
	Meta    *metainfo.Torrent
	routers []string // of the DHT, host:port
	// stopRouters end them.
	stopRouters []func()
	cfg         Config
	left        int // leechers that are not complete
}

// Node is one engine of the swarm.
type Node struct {
	Host    *sim.Host
	Number  int
	Torrent *engine.Torrent
	Seed    bool
	Left    bool // by Leave
	// Unreachable nodes are behind a NAT.
	Unreachable bool
	Complete    clock.Time            // when it had everything; 0: not yet
	Events      [32]int               // how many of each kind
	Pieces      []metainfo.PieceIndex // verified, in order
	Err         error

	s     *Swarm
	core  *engine.Core
	slab  *block.Slab
	ups   *block.Slab
	disk  actor.Child[storage.Message]
	ended bool
}

// New builds a swarm; nothing has happened yet.
func New(cfg Config) (*Swarm, error) {
	cfg = cfg.withDefaults()
	meta, err := phantomTorrent(cfg.Size, cfg.PieceLen)
	if err != nil {
		return nil, err
	}
	w := sim.NewWorld(sim.Config{Seed: cfg.Seed, Order: cfg.Order, Trace: cfg.Trace})
	s := &Swarm{World: w, Meta: meta, cfg: cfg, left: cfg.Leechers,
		Net:     sim.NewNetwork(w, sim.NetConfig{Latency: cfg.Latency, Jitter: cfg.Jitter, Lifetime: cfg.Lifetime}),
		Tracker: sim.NewTracker(w)}
	if cfg.TrackerPeers > 0 {
		s.Tracker.Max = cfg.TrackerPeers
	}
	if cfg.TrackerDies > 0 {
		w.After(cfg.TrackerDies, func() { s.Tracker.Down = true })
	}
	if cfg.DHT {
		for range 3 {
			s.router()
		}
	}
	for range cfg.Seeds {
		s.node(true, 0)
	}
	for i := range cfg.Leechers {
		s.node(false, cfg.Join*time.Duration(i)/time.Duration(cfg.Leechers))
	}
	return s, nil
}

// phantomTorrent describes payload that nobody holds: its hashes are never looked at.
func phantomTorrent(size, pieceLen int64) (*metainfo.Torrent, error) {
	b := metainfo.Builder{Name: "phantom", Length: size, PieceLength: pieceLen,
		Outer: metainfo.Outer{Trackers: [][]string{{"http://tracker.example/announce"}}}}
	l, err := b.Lengths()
	if err != nil {
		return nil, err
	}
	b.Pieces = make([]byte, 20*int(l.Pieces()))
	return b.Build()
}

// node adds a node that starts after a while.
func (s *Swarm) node(seed bool, after time.Duration) {
	up := s.cfg.Up
	if seed {
		up = s.cfg.SeedUp
	}
	// Evenly among the leechers, whatever the seed.
	i := len(s.Nodes) - s.cfg.Seeds
	behind := !seed && (i+1)*s.cfg.Unreachable/100 > i*s.cfg.Unreachable/100
	n := &Node{s: s, Number: len(s.Nodes), Seed: seed, Unreachable: behind,
		Host: s.Net.Host(sim.HostConfig{Up: up, Down: s.cfg.Down, Unreachable: behind})}
	s.Nodes = append(s.Nodes, n)
	s.World.After(after, n.start)
}

// start brings the node's engine up.
func (n *Node) start() {
	w := n.s.World
	n.slab, n.ups = block.NewPhantomSlab(n.s.cfg.Memory), block.NewPhantomSlab(n.s.cfg.Memory/2)
	disk := storage.New(storage.Config{Workers: sim.NewPhantomDisk(w, sim.FastDisk, n.Seed), Slab: n.slab, Uploads: n.ups})
	n.disk = actor.Root(w, actor.Spec{Name: "storage", Limit: 1 << 16}, disk, func(actor.Exit) {})
	tr := n.s.Net.Transport(n.Host, transport.Env{Slab: n.slab})
	if n.s.cfg.Wrap != nil {
		tr = n.s.cfg.Wrap(n.Number, tr)
	}
	deps := engine.Deps{World: w, Slab: n.slab, Disk: n.disk.Ref, Trackers: n.s.Tracker.Client(n.Host.Addr()),
		Transports: []transport.Transport{tr}}
	add := engine.AddOptions{Torrent: n.s.Meta, Dir: "/", Picker: n.s.cfg.Picker, Choker: n.s.cfg.Choker,
		MaxPeers: n.s.cfg.MaxPeers, NoPEX: n.s.cfg.NoPEX}
	cfg := engine.Config{}
	if n.s.cfg.DHT {
		deps.Datagrams, cfg.DHTBootstrap = n.Host, n.s.routers
		cfg.Listen, add.NoTrackers = n.Addr(), true
	}
	if n.s.cfg.Magnet && !n.Seed {
		add.Torrent, add.Magnet = nil, &metainfo.Magnet{Hash: n.s.Meta.Hash, Trackers: n.s.Meta.Trackers}
	}
	if n.s.cfg.Known != nil {
		cfg.Listen = n.Addr()
		add.NoTrackers = true
		for _, i := range n.s.cfg.Known(n.Number) {
			addr := n.s.Nodes[i].Addr()
			if add.Magnet != nil {
				add.Magnet.Peers = append(add.Magnet.Peers, metainfo.HostPort{Host: addr.Addr().String(), Port: addr.Port()})
				continue
			}
			add.Peers = append(add.Peers, addr)
		}
	}
	n.core = engine.NewCore(deps, cfg, n.onEvent, func(err error) {
		n.ended, n.Err = true, errors.Join(n.Err, err)
		n.disk.Stop(nil)
	})
	n.core.Add(add, func(t *engine.Torrent, err error) { n.Torrent, n.Err = t, err })
}

// Addr is where a node listens when Config.Known or Config.DHT is set.
func (n *Node) Addr() netip.AddrPort { return netip.AddrPortFrom(n.Host.Addr(), nodePort) }

const nodePort = 6881

func (n *Node) onEvent(ev engine.Event) {
	n.Events[ev.Kind]++
	switch ev.Kind {
	case engine.PieceVerified:
		n.Pieces = append(n.Pieces, ev.Piece)
	case engine.Completed:
		if n.Complete == 0 && !n.Seed {
			n.Complete = n.s.World.Now()
			n.s.left--
		}
	case engine.TorrentFailed:
		n.Err = errors.Join(n.Err, ev.Err)
	}
}

// Run lets the swarm live until all leechers are complete, or fails at the limit.
func (s *Swarm) Run(limit time.Duration) error {
	s.World.RunUntil(clock.Time(limit), func() bool { return s.left == 0 })
	if err := s.World.Err(); err != nil {
		return err
	}
	for i, n := range s.Nodes {
		if n.Err != nil {
			return fmt.Errorf("node %d: %w", i, n.Err)
		}
		if n.Complete == 0 && !n.Seed {
			return fmt.Errorf("node %d of %d has %d of %d pieces after %v", i, len(s.Nodes), len(n.Pieces), s.Meta.Lengths.Pieces(), s.World.Now())
		}
	}
	return nil
}

// Close ends all nodes in good order, lets the world come to rest and checks that
// nothing is left: no actor, no leased slot, no connection, no broken invariant.
func (s *Swarm) Close() error {
	for _, stop := range s.stopRouters {
		stop()
	}
	for _, n := range s.Nodes {
		if n.core != nil {
			n.core.Close(time.Second)
		}
	}
	if !s.World.Run(s.World.Now().Add(time.Hour)) && s.World.Err() == nil {
		return errors.New("the world did not come to rest")
	}
	errs := []error{s.World.Err(), s.World.Check()}
	for i, n := range s.Nodes {
		if n.core == nil {
			continue
		}
		if !n.ended {
			errs = append(errs, fmt.Errorf("node %d did not end", i))
		}
		if used := n.slab.Used() + n.ups.Used(); used != 0 {
			errs = append(errs, fmt.Errorf("node %d leaks %d slots", i, used))
		}
	}
	if n := s.World.Alive(); n != 0 {
		errs = append(errs, fmt.Errorf("%d actors are left", n))
	}
	if n := s.Net.Connections(); n != 0 {
		errs = append(errs, fmt.Errorf("%d connections are left", n))
	}
	return errors.Join(errs...)
}

// Hash is the hash of everything that has happened.
func (s *Swarm) Hash() uint64 { return s.World.Hash() }
