package dht_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// resolver is a scripted one: it answers when the test says so.
type resolver struct {
	asked []string
	open  []func(dht.Resolved)
	hosts map[string][]netip.Addr // answered at once
}

func (r *resolver) Resolve(host string, cookie uint64, reply actor.Ref[dht.Resolved]) {
	r.asked = append(r.asked, host)
	if a, ok := r.hosts[host]; ok {
		reply.Tell(dht.Resolved{Cookie: cookie, Addrs: a})
		return
	}
	r.open = append(r.open, func(a dht.Resolved) { a.Cookie = cookie; reply.Tell(a) })
}

func (n *network) honestRemote(addr string) *player {
	r := n.player(netip.MustParseAddrPort(addr))
	r.reply = r.honest
	return r
}

func TestBootstrapByHost(t *testing.T) {
	n := newNetwork(t, 1)
	r := n.honestRemote("45.2.0.1:7000")
	res := &resolver{}
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) {
		c.Bootstrap, c.Resolver = []string{"silent.example:1", "router.example:7000", "broken"}, res
	})
	n.run(10 * time.Second)
	if s := x.stats(); s.Bootstrapped || s.LastError == "" {
		t.Fatalf("before the hosts are known: %+v", s)
	}
	if !slices.Equal(res.asked, []string{"silent.example", "router.example"}) {
		t.Fatalf("asked for %v: a silent resolver is asked once", res.asked)
	}
	// A lookup that begins before there is anybody waits.
	a := x.request(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
		return dht.GetPeers{ID: id, Hash: hash("x"), Announce: true, Reply: to}
	})
	n.run(time.Second)
	res.open[1](dht.Resolved{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1"), r.addr.Addr()}})
	n.run(3 * time.Second)
	if s := x.stats(); !s.Bootstrapped || s.Good != 1 || s.LastError != "" {
		t.Fatalf("after: %+v", s)
	}
	if done, ok := a.last.(dht.LookupDone); !ok || done.Err != nil || done.Stored != 1 {
		t.Fatalf("the lookup that waited: %+v", a.last)
	}
}

// TestNobody: the reason is said in words, lookups end in time, and the attempts
// become rare.
func TestNobody(t *testing.T) {
	n := newNetwork(t, 1)
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) {
		c.Bootstrap, c.Resolver = []string{"gone.example:1", "45.7.7.7:7"}, &resolver{}
	})
	_, done := x.getPeers(hash("x"), nil)
	if !errors.Is(done.Err, dht.ErrNoNodes) || done.Effort.Took > 25*time.Second {
		t.Fatalf("%+v", done)
	}
	if s := x.stats(); s.LastError != "none of 1 nodes has answered" {
		t.Errorf("reason %q", s.LastError)
	}
	n.run(time.Hour)
	if n.sent > 40 {
		t.Errorf("%d datagrams to nobody in an hour", n.sent)
	}
}

// TestRestart: a saved table is enough to come back, under the same id.
func TestRestart(t *testing.T) {
	n := newNetwork(t, 4)
	all := n.nodes(40, 200*time.Millisecond)
	n.run(11 * time.Minute)
	x := all[7]
	if len(x.saved) != 1 {
		t.Fatalf("saved %d times in eleven minutes", len(x.saved))
	}
	x.child.Stop(nil)
	n.run(time.Second)
	if x.exit == nil || len(x.saved) != 2 {
		t.Fatalf("saved %d times after the stop", len(x.saved))
	}
	allowed := all[9].addr
	y := n.node(x.addr, func(c *dht.Config) {
		c.Saved = x.saved[1]
		c.Allow = func(a netip.AddrPort) bool { return a != allowed }
	})
	n.run(10 * time.Second)
	s := y.stats()
	if s.Self != x.id || !s.Bootstrapped || s.Good < 8 {
		t.Fatalf("after the restart: %+v", s)
	}
	n.watch = func(from, to netip.AddrPort, _ []byte) {
		if from == y.addr && to == allowed {
			t.Error("a node that is no longer allowed is asked")
		}
	}
	y.lookup(all[9].id)
	z := n.node(n.publicIP(), func(c *dht.Config) { c.Saved = []byte("rubbish") })
	n.run(time.Second)
	if z.stats().Self.IsZero() {
		t.Error("no id")
	}
}

// TestStop: everybody who waits is answered once.
func TestStop(t *testing.T) {
	n := newNetwork(t, 1)
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) {
		c.Bootstrap = []string{"45.7.7.7:7"}
		c.Limits.Lookups = 1
	})
	nobody := netip.MustParseAddrPort("45.8.8.8:8")
	item, _ := dht.NewItem([]byte("1:x"))
	var all []*answers
	for _, m := range []func(uint64, actor.Ref[dht.Answer]) dht.Message{
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message { return dht.GetPeers{ID: id, Reply: to} },
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message { return dht.Lookup{ID: id, Reply: to} },
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message { return dht.GetItem{ID: id, Reply: to} },
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
			return dht.PutItem{ID: id, Item: item, Reply: to}
		},
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
			return dht.Ping{ID: id, Addr: nobody, Reply: to}
		},
		func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
			return dht.Sample{ID: id, Addr: nobody, Reply: to}
		},
	} {
		all = append(all, x.request(m))
	}
	n.run(100 * time.Millisecond)
	x.child.Stop(nil)
	n.run(time.Minute)
	for i, a := range all {
		if a.many != 1 {
			t.Errorf("request %d was answered %d times", i, a.many)
		}
	}
	if d := all[0].last.(dht.LookupDone); !errors.Is(d.Err, dht.ErrStopped) {
		t.Errorf("%+v", d)
	}
	if d := all[4].last.(dht.Ponged); !errors.Is(d.Err, dht.ErrStopped) {
		t.Errorf("%+v", d)
	}
}

func TestCancel(t *testing.T) {
	n := newNetwork(t, 1)
	r := n.player(netip.MustParseAddrPort("45.2.0.1:7000")) // silent
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) { c.Bootstrap = []string{r.addr.String()} })
	one := x.request(func(_ uint64, to actor.Ref[dht.Answer]) dht.Message { return dht.GetPeers{ID: 1, Reply: to} })
	two := x.request(func(_ uint64, to actor.Ref[dht.Answer]) dht.Message { return dht.Ping{ID: 2, Addr: r.addr, Reply: to} })
	n.run(100 * time.Millisecond)
	x.child.Ref.Tell(dht.Cancel{ID: 1})
	x.child.Ref.Tell(dht.Cancel{ID: 2})
	x.child.Ref.Tell(dht.Cancel{ID: 2})
	n.run(time.Minute)
	if d, ok := one.last.(dht.LookupDone); !ok || !errors.Is(d.Err, dht.ErrCancelled) || one.many != 1 {
		t.Errorf("lookup: %+v", one.all)
	}
	if d, ok := two.last.(dht.Ponged); !ok || !errors.Is(d.Err, dht.ErrCancelled) || two.many != 1 {
		t.Errorf("ping: %+v", two.all)
	}
}

// TestForget: once a torrent is known to be private nothing that names it leaves, also
// where a lookup, an announce or a sample of it is under way.
func TestForget(t *testing.T) {
	n := newNetwork(t, 6)
	all := n.nodes(40, 100*time.Millisecond)
	h, x := hash("private"), all[5]
	for _, y := range all[6:9] {
		y.getPeers(h, func(m *dht.GetPeers) { m.Announce = true })
	}
	var forgotten bool
	n.watch = func(from, to netip.AddrPort, b []byte) {
		if forgotten && from == x.addr && bytes.Contains(b, h[:]) {
			t.Errorf("a datagram that names it: %q", b)
		}
	}
	for delay := range 12 {
		y := n.node(n.publicIP(), bootstrap(all[1]))
		n.run(5 * time.Second)
		x, forgotten = y, false
		a := y.request(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
			return dht.GetPeers{ID: id, Hash: h, Announce: true, Reply: to}
		})
		n.run(time.Duration(delay) * 15 * time.Millisecond)
		y.child.Ref.Tell(dht.Forget{Hash: h})
		n.run(0)
		forgotten = true
		n.run(15 * time.Second)
		if a.many != 1 {
			t.Fatalf("answered %d times", a.many)
		}
		if _, again := y.getPeers(h, nil); !errors.Is(again.Err, dht.ErrForgotten) || again.Effort.Queried > 0 {
			t.Fatalf("asked again: %+v", again)
		}
		y.child.Stop(nil)
		n.run(time.Second)
	}
}

// TestMoves: what most nodes see decides our id.
func TestMoves(t *testing.T) {
	n := newNetwork(t, 7)
	all := n.nodes(30, 100*time.Millisecond)
	x := n.node(n.publicIP(), func(c *dht.Config) {
		bootstrap(all[2])(c)
		c.ExternalIP = netip.Addr{}
	})
	before := x.stats().Self
	n.run(30 * time.Second)
	s := x.stats()
	if s.External != x.addr {
		t.Errorf("external address %v, is %v", s.External, x.addr)
	}
	if s.Self == before || !dht.Secure(s.Self, x.addr.Addr()) {
		t.Errorf("id %v, was %v: not one for %v", s.Self, before, x.addr)
	}
	if found := all[20].lookup(s.Self); len(found.Nodes) == 0 || found.Nodes[0].ID != s.Self {
		t.Errorf("not found under the new id: %+v", found)
	}
}

// TestWrongID: a reply under another id than was asked for counts for nothing, and who
// has a new id each time gets nowhere.
func TestWrongID(t *testing.T) {
	n := newNetwork(t, 8)
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), nil)
	h := hash("x")
	guide, liar := n.honestRemote("45.2.0.1:7000"), n.honestRemote("45.3.0.1:7000")
	claimed := dht.SecureID(liar.addr.Addr(), n.rnd)
	liar.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		a := liar.honest(from, q)
		a.ID = dht.SecureID(liar.addr.Addr(), n.rnd) // another one each time
		return a
	}
	guide.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		a := guide.honest(from, q)
		if q.Method != dht.MethodPing {
			a.Nodes = []dht.Contact{{ID: claimed, Addr: liar.addr}}
		}
		return a
	}
	x.child.Ref.Offer(dht.AddNodes{Addrs: []netip.AddrPort{guide.addr}})
	n.run(5 * time.Second)
	_, done := x.getPeers(h, func(m *dht.GetPeers) { m.Announce = true })
	if done.Effort.Lied != 1 || len(done.Closest) != 1 || done.Stored != 1 {
		t.Errorf("%+v", done)
	}
}

// TestInsecureIDs: BEP 42's nodes get no place in the table and store nothing, but are
// asked for peers.
func TestInsecureIDs(t *testing.T) {
	n := newNetwork(t, 9)
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), nil)
	h := hash("x")
	guide, odd := n.honestRemote("45.2.0.1:7000"), n.honestRemote("45.3.0.1:7000")
	odd.id = h
	odd.id[19] ^= 1
	peer := netip.MustParseAddrPort("45.5.5.5:5")
	odd.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		if q.Method == dht.MethodAnnounce {
			t.Error("an announce to a node with a random id")
		}
		a := odd.honest(from, q)
		if q.Method == dht.MethodGetPeers {
			a.Values = []netip.AddrPort{peer, netip.MustParseAddrPort("10.1.2.3:4")}
		}
		return a
	}
	guide.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		a := guide.honest(from, q)
		if q.Method != dht.MethodPing {
			a.Nodes = []dht.Contact{odd.contact()}
		}
		return a
	}
	x.child.Ref.Offer(dht.AddNodes{Addrs: []netip.AddrPort{guide.addr, odd.addr}})
	n.run(5 * time.Second)
	a, done := x.getPeers(h, func(m *dht.GetPeers) { m.Announce = true })
	if done.Stored != 1 || len(done.Closest) != 1 || done.Closest[0] != guide.contact() {
		t.Errorf("%+v", done)
	}
	if got := a.peers(); !slices.Equal(got, []netip.AddrPort{peer}) {
		t.Errorf("peers %v", got)
	}
	if s := x.stats(); s.Good != 1 {
		t.Errorf("%d nodes in the table", s.Good)
	}
}

// TestFamilies: replies carry contacts of the other family to its node.
func TestFamilies(t *testing.T) {
	n := newNetwork(t, 10)
	six := n.honestRemote("[2a01:1::1]:7000")
	four := n.honestRemote("45.2.0.1:7000")
	four.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		a := four.honest(from, q)
		if q.Want&dht.WantN6 != 0 {
			a.Nodes6, a.Has = []dht.Contact{six.contact()}, a.Has|dht.HasNodes6
		}
		return a
	}
	six.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		a := six.honest(from, q)
		if a.Has&dht.HasNodes != 0 {
			a.Has = a.Has&^dht.HasNodes | dht.HasNodes6
		}
		return a
	}
	b := n.node(netip.MustParseAddrPort("[2a01:2::1]:6881"), nil)
	a := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), func(c *dht.Config) {
		c.Bootstrap = []string{four.addr.String()}
		c.Other = b.child.Ref
	})
	n.run(10 * time.Second)
	if s := a.stats(); s.Good != 1 {
		t.Errorf("IPv4: %+v", s)
	}
	if s := b.stats(); s.Good != 1 || !s.Bootstrapped {
		t.Errorf("IPv6: %+v", s)
	}
}

// A bootstrap node that the policy does not allow is named, so that nobody looks for the
// fault elsewhere.
func TestBootstrapThatMayNotBeAsked(t *testing.T) {
	n := newNetwork(t, 1)
	x := n.node(n.publicIP(), func(c *dht.Config) {
		c.Bootstrap = []string{"45.1.1.1:25", "[2a00::1]:6881"}
		c.Allow = func(a netip.AddrPort) bool { return a.Port() != 25 }
	})
	n.run(time.Second)
	if s := x.stats(); s.LastError != "the bootstrap node 45.1.1.1:25 is at an address or port that may not be asked" {
		t.Errorf("reason %q", s.LastError)
	}
}
