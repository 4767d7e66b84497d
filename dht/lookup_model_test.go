package dht

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// model is a network in which lookups can be played without nodes: each member has
// the routing table that Kademlia promises, K random nodes of each bucket, or all.
type model struct {
	rnd     *rand.Rand
	members []*member // by id
	at      map[netip.AddrPort]*member
	dead    int // per cent
	liars   int // per cent
	lie     func(m *model, liar *member, target ID) []Contact
	pact    *pact // of the liars, on the target at hand
	rtt     func(*rand.Rand) time.Duration
}

type member struct {
	Contact
	dead, liar bool
	table      []Contact
}

func newModel(seed uint64, n, dead, liars int) *model {
	m := &model{rnd: rand.New(rand.NewPCG(seed, 1)), at: map[netip.AddrPort]*member{}, dead: dead, liars: liars}
	m.lie, m.rtt = fakesNearby, realisticRTT
	for range n {
		ip := m.publicIP()
		x := &member{Contact: Contact{SecureID(ip, m.rnd), netip.AddrPortFrom(ip, 6881)}}
		x.dead = m.rnd.IntN(100) < dead
		x.liar = !x.dead && m.rnd.IntN(100) < liars
		m.members = append(m.members, x)
		m.at[x.Addr] = x
	}
	slices.SortFunc(m.members, func(a, b *member) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return m
}

// publicIP draws an address.
func (m *model) publicIP() netip.Addr {
	for {
		ip := netip.AddrFrom4([4]byte{byte(1 + m.rnd.IntN(220)), byte(m.rnd.Uint32()), byte(m.rnd.Uint32()), byte(1 + m.rnd.IntN(250))})
		if !ipclass.IsLocal(ip) {
			return ip
		}
	}
}

// realisticRTT is log-normal: median 80 ms, 10 % above 190 ms, 1 % above 390 ms.
func realisticRTT(r *rand.Rand) time.Duration {
	return time.Duration(80 * math.Exp(0.68*r.NormFloat64()) * float64(time.Millisecond))
}

// span returns the members whose ids begin as prefix does, for that many bits.
func (m *model) span(prefix ID, bits int) []*member {
	lo := sort.Search(len(m.members), func(i int) bool {
		id := m.members[i].ID
		return CommonPrefix(id, prefix) >= bits || slices.Compare(id[:], prefix[:]) > 0
	})
	hi := lo + sort.Search(len(m.members)-lo, func(i int) bool { return CommonPrefix(m.members[lo+i].ID, prefix) < bits })
	return m.members[lo:hi]
}

// tableOf draws a member's table when it is first needed.
func (m *model) tableOf(x *member) []Contact {
	if x.table != nil {
		return x.table
	}
	for depth := 0; len(m.span(x.ID, depth)) > 1; depth++ {
		bucket := m.span(RandomIn(x.ID, depth, m.rnd), depth+1)
		for _, i := range m.rnd.Perm(len(bucket))[:min(K, len(bucket))] {
			x.table = append(x.table, bucket[i].Contact)
		}
	}
	return x.table
}

func closestOf(contacts []Contact, target ID, n int) []Contact {
	contacts = slices.Clone(contacts)
	slices.SortFunc(contacts, func(a, b Contact) int { return Compare(target, a.ID, b.ID) })
	return contacts[:min(n, len(contacts))]
}

// nearest returns the n members closest to a target of those that suit.
func (m *model) nearest(target ID, n int, suits func(*member) bool) []Contact {
	var out []Contact
	for _, x := range m.members {
		if !suits(x) || len(out) == n && Compare(target, out[n-1].ID, x.ID) < 0 {
			continue
		}
		out = closestOf(append(out, x.Contact), target, n)
	}
	return out
}

// fakesNearby names addresses where nobody is, under ids that are valid there and far
// closer to the target than any real one.
func fakesNearby(m *model, _ *member, target ID) []Contact {
	out := make([]Contact, 0, K)
	for tries := 0; len(out) < K; tries++ {
		ip := netip.AddrFrom4([4]byte{byte(100 + m.rnd.IntN(80)), byte(m.rnd.Uint32()), byte(m.rnd.Uint32()), 1})
		if ipclass.IsLocal(ip) {
			continue
		}
		id := target
		binary.BigEndian.PutUint64(id[12:], m.rnd.Uint64())
		crc := secureCRC(ip, id[19]&7)
		id[0], id[1], id[2] = byte(crc>>24), byte(crc>>16), byte(crc>>8)&0xf8|target[2]&7
		if CommonPrefix(id, target) >= 10 || tries > 4000 {
			out = append(out, Contact{id, netip.AddrPortFrom(ip, 6881)})
		}
	}
	return out
}

// strangers names real addresses under false ids that are close to the target.
func strangers(m *model, liar *member, target ID) []Contact {
	out := fakesNearby(m, liar, target)
	for i := range out {
		out[i].Addr = m.members[m.rnd.IntN(len(m.members))].Addr
	}
	return out
}

type modelEvent struct {
	at time.Duration
	n  int
	e  func()
}

type modelQueue []modelEvent

func (q modelQueue) Len() int { return len(q) }
func (q modelQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q modelQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *modelQueue) Push(x any)   { *q = append(*q, x.(modelEvent)) }
func (q *modelQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// play runs one lookup of an honest member, with the driver's three timeouts.
type play struct {
	m                  *model
	l                  *lookup
	q                  modelQueue
	now                time.Duration
	seq                int
	short, long, final time.Duration
}

func (m *model) lookup(from *member, target ID, alpha int) *play {
	p := &play{m: m, short: 220 * time.Millisecond, long: 500 * time.Millisecond, final: 10 * time.Second}
	p.l = &lookup{target: target, self: from.ID, alpha: alpha}
	var live []Contact // our own table has been pinged
	for _, c := range m.tableOf(from) {
		if !m.at[c.Addr].dead {
			live = append(live, c)
		}
	}
	live = closestOf(live, target, 2*K)
	p.l.reserve = live[min(len(live), K):]
	p.l.start(live[:min(len(live), K)])
	p.step(proceed{})
	for p.q.Len() > 0 && !p.l.over {
		e := heap.Pop(&p.q).(modelEvent)
		p.now = e.at
		e.e()
	}
	return p
}

func (p *play) after(d time.Duration, f func()) {
	p.seq++
	heap.Push(&p.q, modelEvent{p.now + d, p.seq, f})
}

func (p *play) step(e lookupEvent) {
	for s, ok := p.l.advance(e).(askNode); ok; s, ok = p.l.advance(proceed{}).(askNode) {
		p.send(s.c)
	}
}

func (p *play) send(c *candidate) {
	p.after(p.short, func() { p.step(gotSlow{c}) })
	p.after(p.long, func() { p.step(gotOverdue{c}) })
	p.after(p.final, func() { p.step(gaveUp{c}) })
	x := p.m.at[c.Addr]
	if x == nil || x.dead {
		return
	}
	p.after(p.m.rtt(p.m.rnd), func() {
		switch {
		case x.ID != c.ID:
			p.step(gaveUp{c})
		case x.liar:
			nodes := p.m.lie(p.m, x, p.l.target)
			if nodes == nil {
				p.step(gaveUp{c})
				return
			}
			p.step(replied{c: c, id: x.ID, nodes: nodes, token: []byte("t")})
		default:
			p.step(replied{c: c, id: x.ID, nodes: closestOf(p.m.tableOf(x), p.l.target, K), token: []byte("t")})
		}
	})
}

// missing is how many of want a lookup has not among its closest.
func (p *play) missing(want []Contact) int {
	got := p.l.closest()
	n := 0
	for _, w := range want {
		if !slices.ContainsFunc(got, func(c *candidate) bool { return c.Contact == w }) {
			n++
		}
	}
	return n
}

// asked is how many of want a lookup has reached.
func (p *play) reached(want []Contact) int {
	n := 0
	for _, w := range want {
		if slices.ContainsFunc(p.l.nodes, func(c *candidate) bool { return c.Contact == w && c.state == answered }) {
			n++
		}
	}
	return n
}

type outcome struct {
	perfect, reached6   int
	took, hops, queries []float64
	n                   int
}

func (o *outcome) add(p *play, want []Contact) {
	o.n++
	if p.missing(want) == 0 {
		o.perfect++
	}
	if p.reached(want) >= 6 {
		o.reached6++
	}
	o.took = append(o.took, float64(p.now)/1e6)
	o.queries = append(o.queries, float64(p.l.queried))
	if c := p.l.closest(); len(c) > 0 {
		o.hops = append(o.hops, float64(c[0].hops))
	}
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

func mean(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s / float64(len(x))
}

// honest draws a member that is alive and no liar.
func (m *model) honest() *member {
	for {
		if x := m.members[m.rnd.IntN(len(m.members))]; !x.dead && !x.liar {
			return x
		}
	}
}

// run makes lookups from random honest members for random targets.
func (m *model) run(lookups, alpha int) outcome {
	var o outcome
	for range lookups {
		from := m.honest()
		target := RandomID(m.rnd)
		honest := m.nearest(target, K, func(x *member) bool { return !x.dead && !x.liar && x != from })
		o.add(m.lookup(from, target, alpha), honest)
	}
	return o
}

func (o *outcome) log(t *testing.T, what string) {
	t.Logf("%-28s perfect %3d%%  >=6: %3d%%  took %4.0f ms median  hops %.2f mean  queries %.0f mean",
		what, 100*o.perfect/o.n, 100*o.reached6/o.n, median(o.took), mean(o.hops), mean(o.queries))
}

// TestLookupFigures plays lookups in networks of a thousand members whose tables are
// full: who is found, how soon, and what it costs.
func TestLookupFigures(t *testing.T) {
	if raceEnabled {
		return // one goroutine: there is nothing to find, and a minute to wait
	}
	const n, lookups = 1000, 60
	for _, c := range []struct {
		what             string
		dead, liars      int
		lie              func(*model, *member, ID) []Contact
		perfect, reached int // per cent, at least
		took             float64
	}{
		{"all is well", 0, 0, nil, 95, 100, 600},
		{"30 % dead contacts", 30, 0, nil, 65, 98, 1000},
		{"50 % liars who name false addresses", 0, 50, fakesNearby, 50, 85, 3000},
		{"50 % liars who name false ids", 0, 50, strangers, 60, 90, 2000},
	} {
		m := newModel(1, n, c.dead, c.liars)
		if c.lie != nil {
			m.lie = c.lie
		}
		o := m.run(lookups, Alpha)
		o.log(t, c.what)
		if 100*o.perfect < c.perfect*o.n || 100*o.reached6 < c.reached*o.n || median(o.took) > c.took {
			t.Errorf("%s: expected %d %% perfect, %d %% with 6 of 8, %v ms", c.what, c.perfect, c.reached, c.took)
		}
	}
}
