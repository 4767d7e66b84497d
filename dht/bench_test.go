package dht

import (
	"net/netip"
	"testing"
	"time"
)

// reply of a full get_peers: 8 nodes, 50 peers, a token.
func bigReply() *Msg {
	rnd := random(1)
	m := &Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasNodes, ID: idA, Token: str("12345678"), IP: ap("45.1.2.3:6881"), Version: str("SH\x01\x02")}
	for range 8 {
		m.Nodes = append(m.Nodes, Contact{RandomID(rnd), randomAddr(rnd)})
	}
	for range 50 {
		m.Values = append(m.Values, randomAddr(rnd))
	}
	return m
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		wire []byte
	}{
		{"ping", []byte(packets[0].wire)},
		{"get_peers", []byte(packets[6].wire)},
		{"reply", bigReply().Append(nil)},
		{"garbage", []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qexxx")},
	} {
		b.Run(c.name, func(b *testing.B) {
			var m Msg
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Parse(c.wire)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	m, buf := bigReply(), make([]byte, 0, MaxReceived)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}

func BenchmarkClosest(b *testing.B) {
	for _, wide := range []bool{false, true} {
		rnd := random(1)
		t := NewTable(RandomID(rnd), TableOptions{Wide: wide}, 0)
		for range 20_000 {
			t.Replied(Contact{RandomID(rnd), randomAddr(rnd)}, 50*time.Millisecond, 0)
		}
		b.Run(map[bool]string{false: "narrow", true: "wide"}[wide], func(b *testing.B) {
			dst := make([]Contact, 0, K)
			b.ReportAllocs()
			for b.Loop() {
				dst = t.Closest(dst[:0], RandomID(rnd), K, Good, 0)
			}
		})
	}
}

func BenchmarkTokens(b *testing.B) {
	rnd := random(1)
	t := NewTokens(rnd, 0)
	tok, ip := t.Make(netip.MustParseAddr("45.1.2.3"), idA), netip.MustParseAddr("45.1.2.3")
	b.ReportAllocs()
	for b.Loop() {
		if !t.Check(tok[:], ip, idA) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	rnd := random(1)
	l := NewLimiter(LimiterOptions{}, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Query(randomAddr(rnd).Addr(), 0)
	}
}

// BenchmarkAnnounceFlood is case after case of a hash that nobody knows, in a full
// store.
func BenchmarkAnnounceFlood(b *testing.B) {
	rnd := random(1)
	s := NewPeerStore(RandomID(rnd), PeerLimits{})
	for range 2000 {
		s.Announce(RandomID(rnd), randomAddr(rnd), false, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Announce(RandomID(rnd), randomAddr(rnd), false, 0)
	}
}

// BenchmarkStrangers are queries of nodes that are not known, at a full table.
func BenchmarkStrangers(b *testing.B) {
	rnd := random(1)
	t := fullTable(rnd, 20_000, TableOptions{Wide: true})
	b.ReportAllocs()
	for b.Loop() {
		t.Queried(Contact{RandomID(rnd), randomAddr(rnd)}, 0)
	}
}

// BenchmarkReplied are answers of nodes that are in the table.
func BenchmarkReplied(b *testing.B) {
	t := fullTable(random(1), 20_000, TableOptions{Wide: true})
	cs := t.Contacts(nil, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		t.Replied(cs[i%len(cs)], time.Millisecond, 0)
	}
}
