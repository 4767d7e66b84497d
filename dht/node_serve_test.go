package dht_test

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
)

// served is one node and one remote that asks it.
func served(t *testing.T, change func(*dht.Config)) (*network, *node, *player) {
	n := newNetwork(t, 3)
	x := n.node(netip.MustParseAddrPort("45.1.0.1:6881"), change)
	r := n.player(netip.MustParseAddrPort("45.2.0.1:7000"))
	return n, x, r
}

func TestServesPing(t *testing.T) {
	_, x, r := served(t, nil)
	a := r.query(x.addr, dht.Msg{Method: dht.MethodPing})
	if a == nil || a.Kind != dht.KindReply || a.ID != x.stats().Self {
		t.Fatalf("answer %+v", a)
	}
	if a.IP != r.addr || string(a.Version) != "SH01" {
		t.Errorf("ip %v, version %q", a.IP, a.Version)
	}
}

func TestServesPeers(t *testing.T) {
	n, x, r := served(t, nil)
	h := hash("torrent")
	get := dht.Msg{Method: dht.MethodGetPeers, Target: h, Has: dht.HasTarget}
	announce := dht.Msg{Method: dht.MethodAnnounce, Target: h, Has: dht.HasTarget, Port: 99}

	a := r.query(x.addr, get)
	if len(a.Token) == 0 || len(a.Values) != 0 || a.Has&dht.HasNodes == 0 {
		t.Fatalf("get_peers: %+v", a)
	}
	announce.Token = []byte("wrong")
	if e := r.query(x.addr, announce); e.Kind != dht.KindError || e.Code != dht.CodeProtocol {
		t.Fatalf("announce without a token: %+v", e)
	}
	announce.Token = a.Token
	if e := r.query(x.addr, announce); e.Kind != dht.KindReply {
		t.Fatalf("announce: %+v", e)
	}
	// The token is bound to the address and to the info-hash.
	other := n.player(netip.MustParseAddrPort("45.3.0.1:7000"))
	if e := other.query(x.addr, announce); e.Kind != dht.KindError {
		t.Fatalf("announce with another's token: %+v", e)
	}
	wrong := announce
	wrong.Target = hash("another")
	if e := r.query(x.addr, wrong); e.Kind != dht.KindError {
		t.Fatalf("announce of another torrent: %+v", e)
	}
	get.Scrape = true
	a = other.query(x.addr, get)
	if len(a.Values) != 1 || a.Values[0] != netip.MustParseAddrPort("45.2.0.1:99") {
		t.Fatalf("values %v", a.Values)
	}
	announce.ImpliedPort, announce.Seed = true, true
	r.query(x.addr, announce)
	if a = r.query(x.addr, get); len(a.Values) != 1 || a.Values[0] != r.addr {
		t.Fatalf("implied port: %v", a.Values)
	}
	get.NoSeed = true
	if a = r.query(x.addr, get); len(a.Values) != 0 {
		t.Fatalf("a seed for one that wants none: %v", a.Values)
	}
	// Tokens die after ten minutes.
	n.run(11 * time.Minute)
	if e := r.query(x.addr, announce); e.Kind != dht.KindError {
		t.Fatalf("announce with an old token: %+v", e)
	}
	n.run(20 * time.Minute)
	if s := x.stats(); s.Torrents != 0 || s.Peers != 0 {
		t.Errorf("after half an hour %d torrents are stored", s.Torrents)
	}
}

func TestServesItems(t *testing.T) {
	_, x, r := served(t, nil)
	_, key, _ := ed25519.GenerateKey(bytes.NewReader(make([]byte, 64)))
	put := func(it dht.Item, cas *int64) *dht.Msg {
		a := r.query(x.addr, dht.Msg{Method: dht.MethodGet, Target: it.Target(), Has: dht.HasTarget})
		m := dht.Msg{Kind: dht.KindQuery, Method: dht.MethodPut, Token: a.Token}
		m.SetItem(&it)
		if cas != nil {
			m.CAS, m.Has = *cas, m.Has|dht.HasCAS
		}
		return r.query(x.addr, m)
	}
	sign := func(value string, seq int64) dht.Item {
		it, err := dht.SignItem(key, []byte("salt"), []byte(value), seq)
		if err != nil {
			t.Fatal(err)
		}
		return it
	}
	one, two := int64(1), int64(2)
	first := sign("5:first", 1)
	if e := put(first, nil); e.Kind != dht.KindReply {
		t.Fatalf("put: %+v", e)
	}
	if e := put(sign("6:second", 2), &two); e.Code != dht.CodeCASMismatch {
		t.Fatalf("wrong cas: %+v", e)
	}
	if e := put(sign("6:second", 2), &one); e.Kind != dht.KindReply {
		t.Fatalf("right cas: %+v", e)
	}
	if e := put(first, nil); e.Code != dht.CodeSeqTooLow {
		t.Fatalf("old item: %+v", e)
	}
	a := r.query(x.addr, dht.Msg{Method: dht.MethodGet, Target: first.Target(), Has: dht.HasTarget})
	if string(a.V) != "6:second" || a.Seq != 2 {
		t.Fatalf("get: %q %d", a.V, a.Seq)
	}
	a = r.query(x.addr, dht.Msg{Method: dht.MethodGet, Target: first.Target(), Seq: 2, Has: dht.HasTarget | dht.HasSeq})
	if a.V != nil || a.Has&dht.HasSeq == 0 || a.Seq != 2 {
		t.Fatalf("get of nothing newer: %+v", a)
	}
}

func TestServesStrangeQueries(t *testing.T) {
	_, x, r := served(t, nil)
	if a := r.query(x.addr, dht.Msg{Name: []byte("find_owner"), Target: hash("x"), Has: dht.HasTarget}); a == nil || a.Has&dht.HasNodes == 0 {
		t.Errorf("an unknown method with a target: %+v", a)
	}
	if a := r.query(x.addr, dht.Msg{Name: []byte("dance")}); a == nil || a.Code != dht.CodeUnknownMethod {
		t.Errorf("an unknown method: %+v", a)
	}
	if a := r.query(x.addr, dht.Msg{Method: dht.MethodSample, Target: hash("x"), Has: dht.HasTarget}); a == nil || a.Has&dht.HasSamples == 0 || a.Num != 0 {
		t.Errorf("a sample: %+v", a)
	}
	if a := r.query(x.addr, dht.Msg{Method: dht.MethodFindNode}); a == nil || a.Code != dht.CodeProtocol {
		t.Errorf("find_node without a target: %+v", a)
	}
}

// TestSilence: nothing is ever sent for garbage, nor for what is no query.
func TestSilence(t *testing.T) {
	n, x, r := served(t, nil)
	own := x.stats().Self
	for _, b := range []string{
		"", "d", "de", "hello", "i1e", "le", "d1:y1:qe", "d1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe",
		"d1:rd2:id20:abcdefghij0123456789e1:t4:aaaa1:y1:re",
		"d1:eli201e5:Helloe1:t2:aa1:y1:ee",
		"d1:ad2:id20:" + string(own[:]) + "e1:q4:ping1:t2:aa1:y1:qe", // our own query, reflected
		strings.Repeat("l", 1400),
	} {
		r.sendRaw(x.addr, []byte(b))
	}
	n.run(5 * time.Second)
	if len(r.got) > 0 {
		t.Errorf("an answer to garbage: %q", r.raw)
	}
	if s := x.stats(); s.Dropped != 13 || s.Good+s.Questionable+s.Replacements != 0 {
		t.Errorf("%d dropped, table %d", s.Dropped, s.Good+s.Questionable+s.Replacements)
	}
}

// TestFlood: who asks too often is not heard for five minutes.
func TestFlood(t *testing.T) {
	n, x, r := served(t, nil)
	ping := dht.Msg{Kind: dht.KindQuery, Method: dht.MethodPing, TID: []byte("aa")}
	for range 1000 {
		r.send(x.addr, &ping)
	}
	n.run(time.Second)
	if len(r.got) > 60 {
		t.Errorf("%d answers to a flood", len(r.got))
	}
	n.run(time.Minute)
	if a := r.query(x.addr, ping); a != nil {
		t.Error("heard again after a minute")
	}
	n.run(5 * time.Minute)
	if a := r.query(x.addr, ping); a == nil {
		t.Error("never heard again")
	}
}

// TestAmplificationOfEachQuery: who has not shown that it is at its address gets no more than
// three times the bytes that were sent in its name.
func TestAmplificationOfEachQuery(t *testing.T) {
	n := newNetwork(t, 5)
	all := n.nodes(30, 100*time.Millisecond)
	x, h := all[0], hash("popular")
	for _, y := range all[1:] {
		y.getPeers(h, func(m *dht.GetPeers) { m.Announce = true })
	}
	victim := netip.MustParseAddrPort("45.9.9.9:9")
	in, out := 0, 0
	n.watch = func(from, to netip.AddrPort, b []byte) {
		if to == victim {
			out += len(b)
		}
	}
	id := dht.RandomID(n.rnd) // not one of the victim's: it doesn't get into the table
	for range 60 {
		for _, m := range []dht.Msg{
			{Method: dht.MethodPing},
			{Method: dht.MethodFindNode, Target: h, Has: dht.HasTarget, Want: dht.WantN4 | dht.WantN6},
			{Method: dht.MethodGetPeers, Target: h, Has: dht.HasTarget, Scrape: true},
			{Method: dht.MethodGet, Target: h, Has: dht.HasTarget},
			{Method: dht.MethodSample, Target: h, Has: dht.HasTarget},
			{Name: []byte("x"), Target: h, Has: dht.HasTarget},
		} {
			m.Kind, m.TID, m.ID = dht.KindQuery, []byte("aa"), id
			m.Has |= dht.HasID
			b := m.Append(nil)
			in += len(b)
			x.child.Ref.Offer(dht.Received{From: victim, Data: b})
			n.run(50 * time.Millisecond)
		}
		n.run(time.Second)
	}
	t.Logf("%d bytes in, %d out", in, out)
	if out > 3*in || out == 0 {
		t.Errorf("%d bytes in the victim's name bring %d", in, out)
	}
}

func TestReadOnly(t *testing.T) {
	n, x, r := served(t, func(c *dht.Config) { c.ReadOnly = true })
	if a := r.query(x.addr, dht.Msg{Method: dht.MethodPing}); a != nil {
		t.Errorf("a read-only node answers %+v", a)
	}
	r.reply = func(from netip.AddrPort, q dht.Msg) *dht.Msg {
		if !q.ReadOnly {
			t.Errorf("a query without ro: %+v", q)
		}
		if q.Method == dht.MethodAnnounce || q.Method == dht.MethodPut {
			t.Errorf("a read-only node stores: %+v", q)
		}
		return r.honest(from, q)
	}
	x.child.Ref.Offer(dht.AddNodes{Addrs: []netip.AddrPort{r.addr}})
	n.run(5 * time.Second)
	if _, done := x.getPeers(hash("x"), func(m *dht.GetPeers) { m.Announce = true }); done.Err != nil || done.Stored != 0 || done.Effort.Replied != 1 {
		t.Errorf("lookup: %+v", done)
	}
}

// TestReadOnlyAsker: "the node should not add the message sender to its routing table".
func TestReadOnlyAsker(t *testing.T) {
	n, x, r := served(t, nil)
	if a := r.query(x.addr, dht.Msg{Method: dht.MethodPing, ReadOnly: true}); a == nil {
		t.Fatal("not served")
	}
	n.run(10 * time.Second)
	if len(r.got) > 0 {
		t.Errorf("a read-only asker is asked: %+v", r.got)
	}
}
