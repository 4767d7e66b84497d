package dht_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
)

// remote is a scripted host: it says what the test lets it say, and keeps what it hears.
type remote struct {
	n    *network
	addr netip.AddrPort
	id   dht.ID
	tid  int
	in   int // bytes heard
	out  int // bytes sent
	last dht.Msg
	got  int // messages
	on   func(q dht.Msg) *dht.Msg
}

func (n *network) remote(addr netip.AddrPort) *remote {
	r := &remote{n: n, addr: addr, id: dht.SecureID(addr.Addr(), n.rnd)}
	n.at[addr] = func(from netip.AddrPort, b []byte) {
		r.in += len(b)
		r.got++
		m, err := dht.Parse(b)
		if err != nil {
			n.t.Errorf("%v hears %q: %v", addr, b, err)
			return
		}
		r.last = m
		if m.Kind == dht.KindQuery && r.on != nil {
			if a := r.on(m); a != nil {
				a.Kind, a.TID, a.Has = dht.KindReply, m.TID, a.Has|dht.HasID
				r.raw(from, a.Append(nil))
			}
		}
	}
	return r
}

// raw sends any bytes.
func (r *remote) raw(to netip.AddrPort, b []byte) {
	r.out += len(b)
	_ = (&socket{r.n, r.addr}).Send(to, b)
}

// query sends a query, with what is missing filled in.
func (r *remote) query(to netip.AddrPort, m dht.Msg) {
	r.tid++
	m.Kind, m.TID = dht.KindQuery, []byte(fmt.Sprintf("%c%c", r.tid>>8&0xff, r.tid&0xff))
	if m.ID.IsZero() {
		m.ID = r.id
	}
	m.Has |= dht.HasID
	if !m.Target.IsZero() {
		m.Has |= dht.HasTarget
	}
	r.raw(to, m.Append(nil))
}

// asks sends a query and returns the answer; nil if there is none within a second.
func (r *remote) asks(to netip.AddrPort, m dht.Msg) *dht.Msg {
	r.n.t.Helper()
	got := r.got
	r.query(to, m)
	r.n.until(time.Second, func() bool { return r.got > got && r.last.Kind != dht.KindQuery })
	if r.got == got || r.last.Kind == dht.KindQuery {
		return nil
	}
	last := r.last
	return &last
}

// ok answers queries as an honest node that knows nobody.
func (r *remote) ok() *remote {
	r.on = func(dht.Msg) *dht.Msg { return &dht.Msg{ID: r.id, Has: dht.HasNodes} }
	return r
}

// rich is a node that others have filled: its table is full, it has a swarm of 400 peers
// and items of the greatest length.
func rich(n *network) (x *node, swarm dht.ID, item dht.ID) {
	n.t.Helper()
	x = n.node(n.publicIP(), nil)
	swarm = hash("a swarm")
	for i := range 60 {
		r := n.remote(n.publicIP()).ok()
		r.query(x.addr, dht.Msg{Method: dht.MethodPing})
		if i%5 == 0 {
			n.run(6 * time.Second)
		}
	}
	n.run(time.Minute)
	value := append([]byte("996:"), make([]byte, 996)...)
	it, err := dht.NewItem(value)
	if err != nil {
		n.t.Fatal(err)
	}
	item = it.Target()
	for i := range 400 {
		r := n.remote(n.publicIP())
		a := r.asks(x.addr, dht.Msg{Method: dht.MethodGetPeers, Target: swarm})
		if a == nil || len(a.Token) == 0 {
			n.t.Fatalf("no token for %d: %+v", i, a)
		}
		if a = r.asks(x.addr, dht.Msg{Method: dht.MethodAnnounce, Target: swarm, Token: a.Token, Port: 6881, Seed: i%2 == 0}); a == nil || a.Kind != dht.KindReply {
			n.t.Fatalf("announce %d: %+v", i, a)
		}
		if i == 0 {
			a = r.asks(x.addr, dht.Msg{Method: dht.MethodGet, Target: item})
			if a = r.asks(x.addr, dht.Msg{Method: dht.MethodPut, V: value, Token: a.Token}); a == nil || a.Kind != dht.KindReply {
				n.t.Fatalf("put: %+v", a)
			}
		}
		if n.run(100 * time.Millisecond); i%50 == 0 {
			n.run(5 * time.Second)
		}
	}
	if s := x.stats(); s.Peers != 400 || s.Items != 1 || s.Good < 20 {
		n.t.Fatalf("not rich: %+v", s)
	}
	return x, swarm, item
}

// Case D1: somebody sends queries in the name of a victim. Whatever is asked, the victim
// hears at most three times as many bytes as were spent on it, our own pings included.
func TestAmplification(t *testing.T) {
	n := newNetwork(t, 1)
	x, swarm, item := rich(n)
	for _, c := range []struct {
		name string
		m    dht.Msg
	}{
		{"ping", dht.Msg{Method: dht.MethodPing}},
		{"find_node", dht.Msg{Method: dht.MethodFindNode, Target: hash("x")}},
		{"find_node n4 n6", dht.Msg{Method: dht.MethodFindNode, Target: hash("x"), Want: dht.WantN4 | dht.WantN6}},
		{"get_peers", dht.Msg{Method: dht.MethodGetPeers, Target: swarm}},
		{"get_peers scrape", dht.Msg{Method: dht.MethodGetPeers, Target: swarm, Scrape: true}},
		{"get", dht.Msg{Method: dht.MethodGet, Target: item}},
		{"sample_infohashes", dht.Msg{Method: dht.MethodSample, Target: hash("x")}},
		{"announce_peer", dht.Msg{Method: dht.MethodAnnounce, Target: swarm, Port: 1, Token: []byte("12345678")}},
		{"put", dht.Msg{Method: dht.MethodPut, V: []byte("i1e"), Token: []byte("12345678")}},
		{"unknown method", dht.Msg{Method: dht.MethodUnknown, Name: []byte("vote"), Target: swarm}},
	} {
		name, m := c.name, c.m
		victim := n.remote(n.publicIP())
		victim.on = nil // it never asked and answers nothing
		for range 240 { // 4 a second, which the flood control lets pass
			victim.query(x.addr, m)
			n.run(250 * time.Millisecond)
		}
		n.run(30 * time.Second)
		t.Logf("%-18s %6d bytes became %6d, %.2f times", name, victim.out, victim.in, float64(victim.in)/float64(victim.out))
		if victim.in > 3*victim.out {
			t.Errorf("%s: %d bytes in the name of a victim became %d", name, victim.out, victim.in)
		}
		if m.Method == dht.MethodPing && victim.in == 0 {
			t.Error("no answer at all: the test tests nothing")
		}
		// One query each in the name of many: whether the sender exists must not be
		// found out at its expense.
		out, in := 0, 0
		for range 20 {
			v := n.remote(n.publicIP())
			v.query(x.addr, m)
			n.run(time.Minute)
			out, in = out+v.out, in+v.in
			if v.in > 3*v.out {
				t.Errorf("%s: one query of %d bytes became %d", name, v.out, v.in)
			}
		}
		t.Logf("%-18s %6d bytes became %6d, %.2f times, one query each", name, out, in, float64(in)/float64(out))
	}
	// Errors for what can't be obeyed, one short query each, from a new address each.
	out, in := 0, 0
	for i, b := range []string{
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q1:x1:t1:a1:y1:qe", "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t1:a1:y1:qe",
		"d1:ade1:q4:ping1:t1:a1:y1:qe", "d1:q4:ping1:t1:a1:y1:qe", "d1:y1:qe", "de",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q9:get_peers1:t1:a1:y1:qe",
	} {
		victim := n.remote(n.publicIP())
		victim.raw(x.addr, []byte(b))
		n.run(30 * time.Second)
		out, in = out+victim.out, in+victim.in
		if victim.in > 3*victim.out {
			t.Errorf("query %d: %d bytes became %d", i, victim.out, victim.in)
		}
	}
	t.Logf("malformed          %6d bytes became %6d", out, in)
}

// All victims together cost no more than the upload limit, however many names are used.
func TestRepliesHaveABudget(t *testing.T) {
	n := newNetwork(t, 2)
	x := n.node(n.publicIP(), func(c *dht.Config) { c.Limits.UploadRate = 4 << 10 })
	before := x.stats()
	const seconds = 30
	for range seconds * 100 {
		r := n.remote(n.publicIP())
		r.query(x.addr, dht.Msg{Method: dht.MethodPing})
		n.run(10 * time.Millisecond)
	}
	after := x.stats()
	bytes, queries := after.BytesOut-before.BytesOut, after.QueriesOut-before.QueriesOut
	t.Logf("%d queries: %d replies, %d bytes out of which pings %d", seconds*100, after.RepliesOut-before.RepliesOut, bytes, queries)
	if most := int64(seconds*(4<<10)+16<<10) + queries*100; bytes > most {
		t.Errorf("%d bytes in %d s, %d are allowed", bytes, seconds, most)
	}
}

// Case D3: a flood of announces and items, tokens used again for another hash or from
// another address, items and salts that are too long. Memory stays as it is.
func TestStoreFlood(t *testing.T) {
	n := newNetwork(t, 3)
	x := n.node(n.publicIP(), nil)
	a, b := n.remote(n.publicIP()).ok(), n.remote(n.publicIP()).ok()
	token := a.asks(x.addr, dht.Msg{Method: dht.MethodGetPeers, Target: hash("one")}).Token
	refused := func(why string, r *remote, m dht.Msg, code int32) {
		t.Helper()
		n.run(time.Second) // slower than the flood control
		if got := r.asks(x.addr, m); got == nil || got.Kind != dht.KindError || got.Code != code {
			t.Errorf("%s: %+v", why, got)
		}
	}
	announce := dht.Msg{Method: dht.MethodAnnounce, Target: hash("one"), Port: 5, Token: token}
	refused("the token is another's", b, announce, dht.CodeProtocol)
	other := announce
	other.Target = hash("two")
	refused("the token is for another hash", a, other, dht.CodeProtocol)
	if got := a.asks(x.addr, announce); got == nil || got.Kind != dht.KindReply {
		t.Errorf("the token is right: %+v", got)
	}
	n.run(11 * time.Minute)
	refused("the token is too old", a, announce, dht.CodeProtocol)
	if s := x.stats(); s.Peers != 1 || s.Torrents != 1 {
		t.Fatalf("stored: %+v", s)
	}

	long := fmt.Appendf(nil, "997:%0997d", 0) // 1,001 bytes
	get := a.asks(x.addr, dht.Msg{Method: dht.MethodGet, Target: dht.ImmutableTarget(long)})
	refused("1,001 bytes", a, dht.Msg{Method: dht.MethodPut, V: long, Token: get.Token}, dht.CodeTooBig)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	it, err := dht.SignItem(key, []byte("salt"), []byte("3:abc"), 1)
	if err != nil {
		t.Fatal(err)
	}
	get = a.asks(x.addr, dht.Msg{Method: dht.MethodGet, Target: it.Target()})
	put := dht.Msg{Method: dht.MethodPut, V: it.Value, K: it.Key[:], Sig: it.Sig[:], Salt: it.Salt, Seq: 1, Has: dht.HasSeq, Token: get.Token}
	salted := put
	salted.Salt = bytes.Repeat([]byte("s"), 65)
	refused("a salt of 65 bytes", a, salted, dht.CodeSaltTooBig)
	forged := put
	forged.V = []byte("3:abd")
	refused("a forged signature", a, forged, dht.CodeBadSignature)
	if got := a.asks(x.addr, put); got == nil || got.Kind != dht.KindReply {
		t.Errorf("a good item: %+v", got)
	}

	flood := 20_000
	if testing.Short() || dht.RaceEnabled {
		flood = 2_000
	}
	used := heap()
	for i := range flood {
		r := n.remote(n.publicIP())
		target := hash(fmt.Sprint("flood ", i))
		if i%2 == 0 {
			target = hash(fmt.Sprint("flood ", i%10))
		}
		if got := r.asks(x.addr, dht.Msg{Method: dht.MethodGetPeers, Target: target}); got != nil && len(got.Token) > 0 {
			r.query(x.addr, dht.Msg{Method: dht.MethodAnnounce, Target: target, Port: 5, Token: got.Token})
		}
		delete(n.at, r.addr)
		if i%100 == 0 {
			n.run(100 * time.Millisecond)
		}
	}
	s := x.stats()
	grown := int64(heap()) - int64(used)
	t.Logf("%d announces: %d torrents, %d peers, %d replacements; %d kB more in use", flood, s.Torrents, s.Peers, s.Replacements, grown>>10)
	if s.Torrents > 2000 || s.Peers > 100_000 || s.Replacements > 2000 {
		t.Errorf("too much is kept: %+v", s)
	}
	if grown > 8<<20 {
		t.Errorf("%d bytes more in use", grown)
	}
	if got := a.asks(x.addr, dht.Msg{Method: dht.MethodGet, Target: it.Target()}); got == nil || !bytes.Equal(got.V, it.Value) {
		t.Errorf("the flood of announces has cost an item: %+v", got)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Case D4: garbage, queries without an id, our own queries sent back. Nothing is answered,
// the table stays as it is, who floods is not heard for five minutes.
func TestGarbage(t *testing.T) {
	n := newNetwork(t, 4)
	x := n.node(n.publicIP(), nil)
	for range 20 {
		n.remote(n.publicIP()).ok().query(x.addr, dht.Msg{Method: dht.MethodPing})
		n.run(2 * time.Second)
	}
	n.run(time.Minute)
	table := x.table()
	if len(table) < 10 {
		t.Fatalf("%d nodes", len(table))
	}
	silent := func(why string, r *remote, b string) {
		t.Helper()
		r.raw(x.addr, []byte(b))
		n.run(time.Second)
		if r.got > 0 {
			t.Errorf("%s: answered by %+v", why, r.last)
		}
	}
	for _, b := range []string{"", "d", "de", "le", "i1e", "d1:y1:qe", "d1:y1:re", "d1:y1:ee", "d1:ade1:q4:ping1:t2:aa1:y1:q", "\x00\x01\x02\x03",
		"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:aaaa1:y1:re", "d1:eli201e1:xe1:t4:aaaa1:y1:ee"} {
		silent("garbage", n.remote(n.publicIP()), b)
	}
	self := x.stats().Self
	own := "d1:ad2:id20:" + string(self[:]) + "e1:q4:ping1:t2:aa1:y1:qe"
	silent("a query with our own id", n.remote(n.publicIP()), own)

	// Our own queries, as they are, sent back by whoever gets them.
	mirror := n.publicIP()
	seen := 0
	n.at[mirror] = func(from netip.AddrPort, b []byte) {
		seen++
		_ = (&socket{n, mirror}).Send(from, b)
	}
	x.child.Ref.Offer(dht.AddNodes{Addrs: []netip.AddrPort{mirror}})
	n.run(30 * time.Second)
	if seen == 0 {
		t.Error("the mirror was never asked: the test tests nothing")
	}
	if seen > 10 {
		t.Errorf("the mirror and we have sent %d datagrams back and forth", seen)
	}

	// A flood from one address, and from the address of a good node.
	flooder := n.remote(n.publicIP()).ok()
	for range 100 {
		flooder.query(x.addr, dht.Msg{Method: dht.MethodPing})
		n.run(10 * time.Millisecond)
	}
	n.run(time.Second)
	if flooder.got < 40 || flooder.got > 60 {
		t.Errorf("%d of 100 queries in a second were answered, 50 in ten seconds may be", flooder.got)
	}
	for minute := range 5 {
		if a := flooder.asks(x.addr, dht.Msg{Method: dht.MethodPing}); a != nil {
			t.Errorf("answered %d minutes after the flood", minute)
		}
		n.run(55 * time.Second)
	}
	n.run(time.Minute)
	if a := flooder.asks(x.addr, dht.Msg{Method: dht.MethodPing}); a == nil {
		t.Error("not heard again after five minutes")
	}
	got := slices.DeleteFunc(x.table(), func(a netip.AddrPort) bool { return a == flooder.addr })
	if !slices.Equal(got, table) {
		t.Errorf("the table has changed:\n%v\n%v", table, got)
	}
}

// table returns the addresses in a node's routing table, sorted.
func (x *node) table() (out []netip.AddrPort) {
	x.n.t.Helper()
	var v dht.TableView
	have := false
	x.child.Ref.Tell(dht.AskTable{Reply: actor.FuncRef(func(t dht.TableView) { v, have = t, true })})
	x.n.until(time.Second, func() bool { return have })
	for _, b := range v.Buckets {
		for _, e := range b.Nodes {
			out = append(out, e.Contact.Addr)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return out
}

// junk is what may come in.
var junk = map[string][]byte{
	"noise":   bytes.Repeat([]byte("\x17\xfe"), 500),
	"nesting": append(bytes.Repeat([]byte("l"), 700), bytes.Repeat([]byte("e"), 700)...),
	"no id":   []byte("d1:ade1:q4:ping1:t2:aa1:y1:qe"),
	"reply":   []byte("d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:aaaa1:y1:re"),
}

// receiveJunk returns a function that lets a node take n datagrams, each from another
// address, the mailbox included.
func receiveJunk(tb testing.TB, b []byte) func(n int) {
	net := newNetwork(tb, 1)
	x := net.node(net.publicIP(), nil)
	net.run(time.Second)
	from := make([]netip.AddrPort, 1000)
	for i := range from {
		from[i] = net.publicIP()
	}
	return func(n int) {
		for i := range n {
			x.child.Ref.Offer(dht.Received{From: from[i%len(from)], Data: b})
			if i%100 == 99 {
				net.run(0)
			}
		}
		net.run(0)
	}
}

// A hundred thousand datagrams of garbage a second take less than half of a core.
func TestGarbageIsCheap(t *testing.T) {
	const n = 2000
	rounds := 20
	if dht.RaceEnabled {
		rounds = 2 // it is not timed then
	}
	for name, b := range junk { //order: irrelevant
		receive := receiveJunk(t, b)
		best := time.Hour // of many: the machine has other things to do
		for range rounds {
			began := time.Now()
			receive(n)
			best = min(best, time.Since(began)/n)
		}
		t.Logf("%-8s %v each", name, best)
		if best > 5*time.Microsecond && !dht.RaceEnabled {
			t.Errorf("%s: %v for a datagram", name, best)
		}
	}
}

// BenchmarkGarbage is what a datagram of garbage costs.
func BenchmarkGarbage(b *testing.B) {
	for name, datagram := range junk { //order: irrelevant
		b.Run(name, func(b *testing.B) {
			receive := receiveJunk(b, datagram)
			b.ResetTimer()
			receive(b.N)
		})
	}
}

// Case D5: from the moment that a torrent is known to be private no datagram names it,
// whatever was under way and whatever is asked later.
func TestPrivateTorrentIsNamedNoMore(t *testing.T) {
	n := newNetwork(t, 5)
	all := n.nodes(40, 200*time.Millisecond)
	n.run(30 * time.Second)
	private := hash("private")
	named := 0
	silent := netip.AddrPort{}
	n.watch = func(from, _ netip.AddrPort, b []byte) {
		if bytes.Contains(b, private[:]) && (silent == netip.AddrPort{} || from == silent) {
			named++
		}
	}
	_, done := all[9].getPeers(private, func(m *dht.GetPeers) { m.Announce, m.Port = true, 5 })
	if done.Err != nil {
		t.Fatal(done.Err)
	}
	for _, after := range []time.Duration{0, time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond} {
		named, silent = 0, netip.AddrPort{}
		x := all[10+int(after/time.Millisecond)%20]
		a := x.request(func(id uint64, to actor.Ref[dht.Answer]) dht.Message {
			return dht.GetPeers{ID: id, Hash: private, Announce: true, Port: 6, Reply: to}
		})
		n.run(after)
		x.child.Ref.Tell(dht.Forget{Hash: private})
		n.run(0)
		named, silent = 0, x.addr
		b, done := x.getPeers(private, nil)
		n.run(10 * time.Minute)
		if named > 0 {
			t.Errorf("%v after the lookup began: named in %d datagrams", after, named)
		}
		if done.Err == nil || len(b.peers()) > 0 {
			t.Errorf("a later lookup: %+v", done)
		}
		if a.many != 1 {
			t.Errorf("the lookup under way had %d ends", a.many)
		}
	}
}

// Case D2: half of all nodes lie about who is close. They name each other under ids next
// to the target, other ones in each reply. The honest nodes are found all the same.
func TestSybils(t *testing.T) {
	seeds := uint64(3)
	if dht.RaceEnabled {
		seeds = 1
	}
	for seed := range seeds {
		n := newNetwork(t, 100+seed)
		const honest, liars = 100, 100
		all := n.nodes(honest, 50*time.Millisecond)
		target := hash(fmt.Sprint("the target of seed ", seed))
		var bad []*remote
		for range liars {
			bad = append(bad, n.remote(n.publicIP()))
		}
		// near makes an id next to the target, which no address vouches for.
		near := func() (id dht.ID) {
			id = target
			id[18], id[19] = byte(n.rnd.Uint32()), byte(n.rnd.Uint32())
			return id
		}
		for i, r := range bad {
			secure := i%2 == 0 // it has at least an id of its own, and lies about others only
			r.on = func(q dht.Msg) *dht.Msg {
				a := &dht.Msg{ID: r.id, Has: dht.HasNodes}
				if !secure {
					a.ID = near()
				}
				for range 8 {
					o := bad[n.rnd.IntN(liars)]
					a.Nodes = append(a.Nodes, dht.Contact{ID: near(), Addr: o.addr})
				}
				if q.Method == dht.MethodGetPeers {
					a.Values = []netip.AddrPort{netip.MustParseAddrPort("66.6.6.6:666")}
				}
				return a
			}
		}
		// They make themselves known to everybody.
		for range 3 {
			for _, r := range bad {
				for range 5 {
					r.query(all[n.rnd.IntN(honest)].addr, dht.Msg{Method: dht.MethodPing})
				}
			}
			n.run(time.Minute)
		}
		worst := dht.K
		for i := range 5 {
			x := all[i*7]
			done := x.lookup(target)
			found := dht.K - missing(closest(all, target, dht.K, x), done.Nodes)
			worst = min(worst, found)
			for _, c := range done.Nodes {
				if dht.CommonPrefix(c.ID, target) > 100 {
					t.Errorf("seed %d: a liar's id is among the closest: %v", seed, c)
				}
			}
		}
		t.Logf("seed %d: at worst %d of the 8 closest honest nodes are found", seed, worst)
		if worst < 6 {
			t.Errorf("seed %d: only %d of the 8 closest honest nodes are found", seed, worst)
		}
	}
}
