package dht_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/sim"
)

// network is a virtual Internet of datagrams, on the seeded world: nodes and
// scripted remotes have addresses on it.
type network struct {
	t      testing.TB
	w      *sim.World
	rnd    *rand.Rand
	at     map[netip.AddrPort]func(from netip.AddrPort, b []byte)
	rtt    func() time.Duration
	lose   int // per cent
	sent   int
	bytes  int
	watch  func(from, to netip.AddrPort, b []byte)
	answer uint64
}

func newNetwork(t testing.TB, seed uint64) *network {
	n := &network{t: t, w: sim.NewWorld(sim.Config{Seed: seed}), rnd: rand.New(rand.NewPCG(seed, 7)), at: map[netip.AddrPort]func(netip.AddrPort, []byte){}}
	n.rtt = func() time.Duration { return 40 * time.Millisecond }
	return n
}

// realistic makes round trips log-normal: median 80 ms, 10 % above 190 ms.
func (n *network) realistic() {
	n.rtt = func() time.Duration {
		return time.Duration(80 * math.Exp(0.68*n.rnd.NormFloat64()) * float64(time.Millisecond))
	}
}

// socket is one address of the network.
type socket struct {
	n    *network
	addr netip.AddrPort
}

// Send implements dht.Socket.
func (s *socket) Send(to netip.AddrPort, b []byte) error {
	n := s.n
	n.sent++
	n.bytes += len(b)
	if n.watch != nil {
		n.watch(s.addr, to, b)
	}
	f := n.at[to]
	if f == nil || n.lose > 0 && n.rnd.IntN(100) < n.lose {
		return nil
	}
	b = slices.Clone(b)
	n.w.After(n.rtt()/2, func() {
		if f := n.at[to]; f != nil {
			f(s.addr, b)
		}
	})
	return nil
}

// publicIP draws an address that is nobody's.
func (n *network) publicIP() netip.AddrPort {
	for {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + n.rnd.IntN(80)), byte(n.rnd.Uint32()), byte(n.rnd.Uint32()), byte(1 + n.rnd.IntN(250))}), 6881)
		if n.at[a] == nil {
			return a
		}
	}
}

// node is a production node on the network.
type node struct {
	n     *network
	addr  netip.AddrPort
	id    dht.ID
	child actor.Child[dht.Message]
	saved [][]byte
	exit  *actor.Exit
}

// node starts a node; change may be nil.
func (n *network) node(addr netip.AddrPort, change func(*dht.Config)) *node {
	x := &node{n: n, addr: addr}
	cfg := dht.Config{Socket: &socket{n, addr}, Family: dht.IPv4, ExternalIP: addr.Addr(), Version: "SH01"}
	if addr.Addr().Is6() {
		cfg.Family = dht.IPv6
	}
	cfg.Save = func(b []byte) { x.saved = append(x.saved, b) }
	if change != nil {
		change(&cfg)
	}
	x.child = actor.Root(n.w, dht.Spec(2), dht.New(cfg), func(e actor.Exit) { x.exit = &e })
	n.at[addr] = func(from netip.AddrPort, b []byte) {
		x.child.Ref.Offer(dht.Received{From: from, Data: b})
	}
	return x
}

// bootstrap is a change that names one node to begin with.
func bootstrap(to ...*node) func(*dht.Config) {
	return func(c *dht.Config) {
		for _, x := range to {
			c.Bootstrap = append(c.Bootstrap, x.addr.String())
		}
	}
}

// nodes starts many nodes, which join one after the other.
func (n *network) nodes(count int, gap time.Duration) []*node {
	var all []*node
	for i := range count {
		if i == 0 {
			all = append(all, n.node(n.publicIP(), nil))
		} else {
			all = append(all, n.node(n.publicIP(), bootstrap(all[n.rnd.IntN(len(all))])))
		}
		n.run(gap)
	}
	for _, x := range all {
		x.id = x.stats().Self
	}
	return all
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	n.t.Helper()
	n.w.Run(n.w.Now().Add(d))
	if err := n.w.Err(); err != nil {
		n.t.Fatal(err)
	}
}

// until lets time pass until done says so, at most d.
func (n *network) until(d time.Duration, done func() bool) bool {
	n.t.Helper()
	ok := false
	n.w.RunUntil(n.w.Now().Add(d), func() bool { ok = done(); return ok })
	if err := n.w.Err(); err != nil {
		n.t.Fatal(err)
	}
	return ok
}

func (x *node) stats() dht.Stats {
	x.n.t.Helper()
	var s dht.Stats
	have := false
	x.child.Ref.Tell(dht.AskStats{Reply: actor.FuncRef(func(a dht.Stats) { s, have = a, true })})
	if !x.n.until(time.Second, func() bool { return have }) {
		x.n.t.Fatal("no stats")
	}
	return s
}

// answers collects what a node answers to one request.
type answers struct {
	n    *network
	all  []dht.Answer
	last dht.Answer
	at   clock.Time
	many int // final answers
}

func (a *answers) ref() actor.Ref[dht.Answer] {
	return actor.FuncRef(func(x dht.Answer) {
		a.all = append(a.all, x)
		if _, more := x.(dht.PeersFound); !more {
			a.last, a.at = x, a.n.w.Now()
			a.many++
		}
	})
}

// ask sends a request that is given where to answer, and waits for its end.
func (x *node) ask(make func(id uint64, to actor.Ref[dht.Answer]) dht.Message) *answers {
	x.n.t.Helper()
	a := x.request(make)
	if !x.n.until(time.Minute, func() bool { return a.last != nil }) {
		x.n.t.Fatalf("no answer within a minute; %+v", x.stats())
	}
	return a
}

// request is ask without waiting.
func (x *node) request(make func(id uint64, to actor.Ref[dht.Answer]) dht.Message) *answers {
	a := &answers{n: x.n}
	x.n.answer++
	x.child.Ref.Tell(make(x.n.answer, a.ref()))
	return a
}

func (x *node) getPeers(hash dht.ID, change func(*dht.GetPeers)) (*answers, dht.LookupDone) {
	x.n.t.Helper()
	a := x.ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		m := dht.GetPeers{ID: id, Hash: hash, Reply: to}
		if change != nil {
			change(&m)
		}
		return m
	})
	return a, a.last.(dht.LookupDone)
}

func (x *node) lookup(target dht.ID) dht.NodesFound {
	x.n.t.Helper()
	return x.ask(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		return dht.Lookup{ID: id, Target: target, Reply: to}
	}).last.(dht.NodesFound)
}

// peers returns all that was found.
func (a *answers) peers() []netip.AddrPort {
	var out []netip.AddrPort
	for _, x := range a.all {
		if p, ok := x.(dht.PeersFound); ok {
			out = append(out, p.Addrs...)
		}
	}
	return out
}

// closest returns the nodes closest to a target.
func closest(nodes []*node, target dht.ID, k int, not ...*node) []dht.ID {
	var ids []dht.ID
	for _, x := range nodes {
		if !slices.Contains(not, x) {
			ids = append(ids, x.id)
		}
	}
	slices.SortFunc(ids, func(a, b dht.ID) int { return dht.Compare(target, a, b) })
	return ids[:min(k, len(ids))]
}

// missing counts those of want that are not in got.
func missing(want []dht.ID, got []dht.Contact) int {
	n := 0
	for _, id := range want {
		if !slices.ContainsFunc(got, func(c dht.Contact) bool { return c.ID == id }) {
			n++
		}
	}
	return n
}

func hash(text string) dht.ID { return dht.ImmutableTarget([]byte(text)) }

func median(x []time.Duration) time.Duration {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}
