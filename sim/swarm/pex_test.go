package swarm

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// pexID is the id under which our engines want ut_pex messages.
const pexID = 2

// observer reads all ut_pex messages of a swarm on their way, and holds them to BEP 11.
type observer struct {
	s        *Swarm
	messages int
	entries  int
	largest  int
	faults   []string
	met      map[int]map[netip.AddrPort]bool // whom a node has had a connection with
	links    int
}

func watch(cfg Config) (*Swarm, *observer, error) {
	o := &observer{met: map[int]map[netip.AddrPort]bool{}}
	cfg.Wrap = func(node int, t transport.Transport) transport.Transport { return &watched{t, o, node} }
	s, err := New(cfg)
	o.s = s
	return s, o, err
}

func (o *observer) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

// watched is a node's transport under observation.
type watched struct {
	transport.Transport
	o    *observer
	node int
}

func (w *watched) link(l transport.Link) transport.Link {
	w.o.links++
	if w.o.met[w.node] == nil {
		w.o.met[w.node] = map[netip.AddrPort]bool{}
	}
	remote := netip.AddrPortFrom(l.Info().Remote.Addr(), nodePort)
	w.o.met[w.node][remote] = true
	return &watchedLink{Link: l, o: w.o, node: w.node, remote: remote, told: map[netip.AddrPort]bool{}}
}

func (w *watched) Dial(d transport.Dial) {
	d.Reply = actor.Adapt(d.Reply, func(x transport.Dialed) transport.Dialed {
		if x.Link != nil {
			x.Link = w.link(x.Link)
		}
		return x
	})
	w.Transport.Dial(d)
}

func (w *watched) Listen(addr netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	in := actor.AdaptInlet(to, func(a transport.Accepted) transport.Accepted {
		a.Link = w.link(a.Link)
		return a
	})
	w.Transport.Listen(addr, in, reply)
}

// watchedLink is one direction of a connection: what the node sends.
type watchedLink struct {
	transport.Link
	o      *observer
	node   int
	remote netip.AddrPort
	last   clock.Time
	n      int
	told   map[netip.AddrPort]bool
}

func (l *watchedLink) Send(b *transport.Batch) {
	for i := range b.Frames {
		if f := &b.Frames[i]; f.ID == wire.Extended && f.ExtendedID() == pexID {
			l.message(f.Payload)
		}
	}
	l.Link.Send(b)
}

func (l *watchedLink) message(payload []byte) {
	m, err := pex.Parse(payload)
	now := l.o.s.World.Now()
	switch gap := now.Sub(l.last); {
	case err != nil:
		l.o.fault("%v", err)
	case l.n > 0 && gap < pex.Interval:
		l.o.fault("node %d: two messages within %v", l.node, gap)
	case len(m.Added) > 50 && (l.n > 0 || len(m.Added) > 100) || len(m.Dropped) > 50:
		l.o.fault("node %d, message %d: %d added, %d dropped", l.node, l.n, len(m.Added), len(m.Dropped))
	case len(m.Added)+len(m.Dropped) == 0:
		l.o.fault("node %d: an empty message", l.node)
	}
	l.last, l.n = now, l.n+1
	l.o.messages++
	l.o.entries += len(m.Added) + len(m.Dropped)
	l.o.largest = max(l.o.largest, len(payload))
	for _, a := range m.Dropped {
		if !l.told[a] {
			l.o.fault("node %d drops %v, of which it never told", l.node, a)
		}
		delete(l.told, a)
	}
	for _, p := range m.Added {
		if l.told[p.Addr] || slices.Contains(m.Dropped, p.Addr) || p.Addr == l.remote {
			l.o.fault("node %d tells %v of %v twice, or of itself", l.node, l.remote, p.Addr)
		}
		if !l.o.met[l.node][p.Addr] {
			l.o.fault("node %d tells of %v, to which it never was connected", l.node, p.Addr)
		}
		l.told[p.Addr] = true
	}
}

// chain is a swarm without a tracker in which each node knows the one before it.
func chain(n int) Config {
	return Config{Seed: 3, Leechers: n - 1, Size: 8 << 20, Join: 20 * time.Second,
		Known: func(node int) []int { return []int{max(node-1, 0)}[:min(node, 1)] }}
}

// A chain becomes a mesh: everybody has everything, faster than it could have been passed
// from hand to hand, and has met most of the others.
func TestPeerExchangeMakesAMesh(t *testing.T) {
	nodes := 30
	if raceEnabled {
		nodes = 12
	}
	var hashes [2]uint64
	for i := range hashes {
		s, o, err := watch(chain(nodes))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(time.Hour); err != nil {
			t.Fatal(err)
		}
		done := s.World.Now()
		// Seeds have no use for each other; until then the others go on meeting.
		for _, f := range o.faults {
			t.Error(f)
		}
		met := 0
		for n := range nodes {
			met += len(o.met[n])
		}
		if i == 0 {
			t.Logf("complete after %v; %d messages, %d entries, largest %d bytes; nodes have met %d others on average",
				done, o.messages, o.entries, o.largest, met/nodes)
		}
		if met/nodes < nodes/4 {
			t.Errorf("nodes have met %d others on average, in a chain it is 2", met/nodes)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		hashes[i] = s.Hash()
	}
	if hashes[0] != hashes[1] {
		t.Errorf("two runs of one seed differ: %x, %x", hashes[0], hashes[1])
	}
}

// Connections that break all the time make news for every message; the rules hold.
func TestPeerExchangeUnderChurn(t *testing.T) {
	cfg := chain(14)
	cfg.Lifetime, cfg.Size, cfg.Up = 2*time.Minute, 16<<20, 16<<10
	s, o, err := watch(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.World.RunUntil(clock.Time(6*time.Minute), func() bool { return s.left == 0 })
	if err := s.World.Err(); err != nil {
		t.Fatal(err)
	}
	for _, f := range o.faults {
		t.Error(f)
	}
	if o.messages < 100 {
		t.Errorf("%d messages", o.messages)
	}
	t.Logf("%v: %d connections, %d messages, %d entries, largest %d bytes", s.World.Now(), o.links/2, o.messages, o.entries, o.largest)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
