package dht

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func str(s string) []byte { return []byte(s) }

// ids of BEP 5's example packets.
var (
	idA = ID([]byte("abcdefghij0123456789"))
	idM = ID([]byte("mnopqrstuvwxyz123456"))
)

const (
	tcA   = "\x2d\x01\x02\x03\x1a\xe1"                                                 // 45.1.2.3:6881
	tcSix = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1" // [2001:db8::1]:6881
	key32 = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
	sig64 = "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"
)

// packets are messages on the wire and what they mean: the examples of the BEPs, and
// one of every field. Each is canonical, so that it can be written too.
var packets = []struct {
	name, wire string
	msg        Msg
}{
	{"ping", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodPing, TID: str("aa"), Has: HasID, ID: idA}},
	{"pong", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID, ID: idM}},
	{"find_node", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodFindNode, TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM}},
	{"get_peers", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodGetPeers, TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM}},
	{"announce_peer", "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodAnnounce, TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM, ImpliedPort: true, Port: 6881, Token: str("aoeusnth")}},
	{"error", "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
		Msg{Kind: KindError, TID: str("aa"), Code: CodeGeneric, Text: str("A Generic Error Ocurred")}}, //nolint:misspell // so it stands in BEP 5
	{"get_peers with all of BEP 32, 33, 43", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseedi1e6:scrapei1e4:wantl2:n42:n6ee1:q9:get_peers2:roi1e1:t2:aa1:v4:SH\x01\x021:y1:qe",
		Msg{Kind: KindQuery, Method: MethodGetPeers, TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM,
			NoSeed: true, Scrape: true, Want: WantN4 | WantN6, ReadOnly: true, Version: str("SH\x01\x02")}},
	{"announce of a seed", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti65535e4:seedi1e5:token1:xe1:q13:announce_peer1:t1:a1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodAnnounce, TID: str("a"), Has: HasID | HasTarget, ID: idA, Target: idM, Seed: true, Port: 65535, Token: str("x")}},
	{"peers and nodes", "d2:ip6:" + tcA + "1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz123456" + tcA + "6:nodes638:mnopqrstuvwxyz123456" + tcSix + "5:token8:aoeusnth6:valuesl6:" + tcA + "18:" + tcSix + "ee1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasNodes | HasNodes6, ID: idA, IP: ap("45.1.2.3:6881"), Token: str("aoeusnth"),
			Nodes: []Contact{{idM, ap("45.1.2.3:6881")}}, Nodes6: []Contact{{idM, ap("[2001:db8::1]:6881")}},
			Values: []netip.AddrPort{ap("45.1.2.3:6881"), ap("[2001:db8::1]:6881")}}},
	{"no nodes", "d1:rd2:id20:abcdefghij01234567895:nodes0:e1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasNodes, ID: idA}},
	{"scrape", "d1:rd4:BFpe256:" + strings.Repeat("p", 256) + "4:BFsd256:" + strings.Repeat("s", 256) + "2:id20:abcdefghij0123456789e1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID, ID: idA, Peers: (*Bloom)(bytes.Repeat(str("p"), 256)), Seeds: (*Bloom)(bytes.Repeat(str("s"), 256))}},
	{"get of a newer item", "d1:ad2:id20:abcdefghij01234567893:seqi0e6:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodGet, TID: str("aa"), Has: HasID | HasTarget | HasSeq, ID: idA, Target: idM}},
	{"put of an immutable item", "d1:ad2:id20:abcdefghij01234567895:token1:x1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodPut, TID: str("aa"), Has: HasID, ID: idA, Token: str("x"), V: str("12:Hello World!")}},
	{"put of a mutable item", "d1:ad3:casi0e2:id20:abcdefghij01234567891:k32:" + key32 + "4:salt6:foobar3:seqi4e3:sig64:" + sig64 + "5:token1:x1:vd2:ih20:mnopqrstuvwxyz123456ee1:q3:put1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodPut, TID: str("aa"), Has: HasID | HasSeq | HasCAS, ID: idA, Token: str("x"),
			K: str(key32), Sig: str(sig64), Salt: str("foobar"), Seq: 4, V: str("d2:ih20:mnopqrstuvwxyz123456e")}},
	{"a mutable item", "d1:rd2:id20:abcdefghij01234567891:k32:" + key32 + "3:seqi9223372036854775807e3:sig64:" + sig64 + "5:token1:x1:vi1ee1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasSeq, ID: idA, Token: str("x"), K: str(key32), Sig: str(sig64), Seq: 1<<63 - 1, V: str("i1e")}},
	{"sample_infohashes", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Method: MethodSample, TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM}},
	{"samples", "d1:rd2:id20:abcdefghij01234567898:intervali600e5:nodes0:3:numi2e7:samples40:abcdefghij0123456789mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasNodes | HasSamples, ID: idA, Interval: 600, Num: 2, Samples: []ID{idA, idM}}},
	{"no samples", "d1:rd2:id20:abcdefghij01234567898:intervali0e3:numi0e7:samples0:e1:t2:aa1:y1:re",
		Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasSamples, ID: idA}},
	{"a method from the future", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q4:seek1:t2:aa1:y1:qe",
		Msg{Kind: KindQuery, Name: str("seek"), TID: str("aa"), Has: HasID | HasTarget, ID: idA, Target: idM}},
}

// tidied makes messages comparable: slices without elements are nil.
func tidied(m Msg) Msg {
	v := reflect.ValueOf(&m).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 {
			f.SetZero()
		}
	}
	return m
}

func TestPacketsMeanWhatTheyMean(t *testing.T) {
	var reused Msg
	for _, p := range packets {
		m, err := Parse([]byte(p.wire))
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if !reflect.DeepEqual(tidied(m), p.msg) {
			t.Errorf("%s:\n got %+v\nwant %+v", p.name, tidied(m), p.msg)
		}
		if err := reused.Parse([]byte(p.wire)); err != nil || !reflect.DeepEqual(tidied(reused), p.msg) {
			t.Errorf("%s: something of the message before is left: %+v, %v", p.name, reused, err)
		}
		if got := p.msg.Append(str("x")); string(got) != "x"+p.wire {
			t.Errorf("%s is written\n%q\nnot\n%q", p.name, got[1:], p.wire)
		}
		if v, err := bencode.Parse([]byte(p.wire), bencode.Options{Strict: true}); err != nil || v.Canonical() != nil {
			t.Errorf("%s: the test is wrong: %v", p.name, err)
		}
	}
}

// query is a datagram with these arguments besides the id.
func query(method, args string) []byte {
	return fmt.Appendf(nil, "d1:ad2:id20:abcdefghij0123456789%se1:q%d:%s1:t2:aa1:y1:qe", args, len(method), method)
}

func reply(returned string) []byte {
	return []byte("d1:rd2:id20:abcdefghij0123456789" + returned + "e1:t2:aa1:y1:re")
}

func TestWhatRealNodesSendIsTolerated(t *testing.T) {
	for name, c := range map[string]struct {
		wire []byte
		ok   func(m *Msg) bool
	}{
		"unsorted keys": {str("d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee"),
			func(m *Msg) bool { return m.Method == MethodPing && m.ID == idA }},
		"a torn end of nodes": {reply("5:nodes30:mnopqrstuvwxyz123456" + tcA + "torn"),
			func(m *Msg) bool { return len(m.Nodes) == 1 && m.Nodes[0].ID == idM }},
		"a node with port 0": {reply("5:nodes52:mnopqrstuvwxyz123456" + tcA[:4] + "\x00\x00" + "abcdefghij0123456789" + tcA),
			func(m *Msg) bool { return len(m.Nodes) == 1 && m.Nodes[0].ID == idA }},
		"an IPv4 address in IPv6 clothes is no IPv6 node": {reply("6:nodes638:mnopqrstuvwxyz123456" + strings.Repeat("\x00", 10) + "\xff\xff" + tcA),
			func(m *Msg) bool { return len(m.Nodes6) == 0 && m.Has&HasNodes6 != 0 }},
		"values of other lengths": {reply("6:valuesl3:abc6:" + tcA + "i5e0:e"),
			func(m *Msg) bool { return slices.Equal(m.Values, []netip.AddrPort{ap("45.1.2.3:6881")}) }},
		"values that are no list": {reply("6:values6:" + tcA), func(m *Msg) bool { return len(m.Values) == 0 }},
		"ip without a port": {str("d2:ip4:" + tcA[:4] + "1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"),
			func(m *Msg) bool { return m.IP == ap("45.1.2.3:0") }},
		"a nonsensical ip": {str("d2:ip3:abc1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"),
			func(m *Msg) bool { return !m.IP.Addr().IsValid() }},
		"unknown arguments": {query("ping", "1:xli1ed1:yi2eee"), func(m *Msg) bool { return m.Method == MethodPing }},
		"seed=2 is no seed": {query("get_peers", "9:info_hash20:mnopqrstuvwxyz1234564:seedi2e6:noseedi0e6:scrapei-1e"),
			func(m *Msg) bool { return !m.Seed && !m.NoSeed && !m.Scrape }},
		"implied_port=7 is implied": {query("announce_peer", "12:implied_porti7e9:info_hash20:mnopqrstuvwxyz1234565:token1:x"),
			func(m *Msg) bool { return m.ImpliedPort && m.Port == 0 }},
		"an unknown want": {query("find_node", "6:target20:mnopqrstuvwxyz1234564:wantl2:n52:n6i1ee"),
			func(m *Msg) bool { return m.Want == WantN6 }},
		"an error that is a text": {str("d1:e4:oops1:t2:aa1:y1:ee"),
			func(m *Msg) bool { return m.Code == CodeGeneric && string(m.Text) == "oops" }},
		"an error with nothing in it": {str("d1:t2:aa1:y1:ee"), func(m *Msg) bool { return m.Kind == KindError }},
		"a version of 4 KB":           {str("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:v200:" + strings.Repeat("v", 200) + "1:y1:re"), func(m *Msg) bool { return m.Version == nil }},
		"a token that is too long":    {reply("5:token200:" + strings.Repeat("t", 200)), func(m *Msg) bool { return m.Token == nil }},
		"a filter of the wrong size":  {reply("4:BFsd5:short"), func(m *Msg) bool { return m.Seeds == nil }},
		"a negative num":              {reply("3:numi-5e7:samples21:abcdefghij0123456789x"), func(m *Msg) bool { return m.Num == 0 && len(m.Samples) == 1 }},
		"a reply with a bad key":      {reply("1:k3:abc1:vi1e"), func(m *Msg) bool { return m.K == nil && m.V != nil }},
		"a reply with an unsorted v":  {reply("1:vd1:bi1e1:ai1ee"), func(m *Msg) bool { return m.V == nil }},
	} {
		m, err := Parse(c.wire)
		if err != nil || !c.ok(&m) {
			t.Errorf("%s: %v, %+v", name, err, m)
		}
	}
}

func TestGarbageIsNotAnswered(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":                  "",
		"no dictionary":            "li1ee",
		"an open end":              "d1:y1:q",
		"bytes behind it":          "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:rex",
		"no t":                     "d1:rd2:id20:mnopqrstuvwxyz123456e1:y1:re",
		"an empty t":               "d1:rd2:id20:mnopqrstuvwxyz123456e1:t0:1:y1:re",
		"a t of 33 bytes":          "d1:rd2:id20:mnopqrstuvwxyz123456e1:t33:" + strings.Repeat("t", 33) + "1:y1:re",
		"a t that is a number":     "d1:rd2:id20:mnopqrstuvwxyz123456e1:ti1e1:y1:re",
		"no y":                     "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aae",
		"an unknown y":             "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:xe",
		"a reply without r":        "d1:t2:aa1:y1:re",
		"a reply without id":       "d1:rde1:t2:aa1:y1:re",
		"a reply with a short id":  "d1:rd2:id3:abce1:t2:aa1:y1:re",
		"a query without a":        "d1:q4:ping1:t2:aa1:y1:qe",
		"a query without id":       "d1:ade1:q4:ping1:t2:aa1:y1:qe",
		"a query without q":        "d1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe",
		"a query of 200 bytes":     string(query(strings.Repeat("q", 200), "")),
		"depth without end":        "d1:a" + strings.Repeat("l", 200) + strings.Repeat("e", 200) + "1:q4:ping1:t2:aa1:y1:qe",
		"more than a datagram has": string(query("ping", "1:x1450:"+strings.Repeat("x", 1450))),
	} {
		if _, err := Parse([]byte(wire)); !errors.Is(err, ErrGarbage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	const hash, token = "9:info_hash20:mnopqrstuvwxyz123456", "5:token1:x"
	signed := "1:k32:" + key32 + "3:seqi1e3:sig64:" + sig64 + token
	for name, c := range map[string]struct {
		wire []byte
		code int32
	}{
		"find_node without target":   {query("find_node", ""), CodeProtocol},
		"get_peers of a short hash":  {query("get_peers", "9:info_hash4:abcd"), CodeProtocol},
		"get_peers of a v2 hash":     {query("get_peers", "9:info_hash32:"+key32), CodeProtocol},
		"announce without token":     {query("announce_peer", hash+"4:porti1e"), CodeProtocol},
		"announce with a huge token": {query("announce_peer", hash+"4:porti1e5:token129:"+strings.Repeat("x", 129)), CodeProtocol},
		"announce without port":      {query("announce_peer", hash+token), CodeProtocol},
		"announce of port 65536":     {query("announce_peer", hash+"4:porti65536e"+token), CodeProtocol},
		"announce of port 0":         {query("announce_peer", hash+"4:porti0e"+token), CodeProtocol},
		"put without v":              {query("put", token), CodeProtocol},
		"put without token":          {query("put", "1:vi1e"), CodeProtocol},
		"put of unsorted v":          {query("put", token+"1:vd1:bi1e1:ai1ee"), CodeProtocol},
		"put of v with i01e":         {query("put", token+"1:vi01e"), CodeProtocol},
		"put of 1001 bytes":          {query("put", token+"1:v997:"+strings.Repeat("v", 997)), CodeTooBig},
		"put with 65 bytes of salt":  {query("put", signed+"1:vi1e4:salt65:"+strings.Repeat("s", 65)), CodeSaltTooBig},
		"put with k alone":           {query("put", "1:k32:"+key32+token+"1:vi1e"), CodeProtocol},
		"put with seq alone":         {query("put", "3:seqi1e"+token+"1:vi1e"), CodeProtocol},
		"put with a short k":         {query("put", "1:k3:abc3:seqi1e3:sig64:"+sig64+token+"1:vi1e"), CodeProtocol},
		"put with seq -1":            {query("put", "1:k32:"+key32+"3:seqi-1e3:sig64:"+sig64+token+"1:vi1e"), CodeProtocol},
		"put with a cas too big":     {query("put", "3:casi9223372036854775808e"+signed+"1:vi1e"), CodeProtocol},
	} {
		m, err := Parse(c.wire)
		var r *Refusal
		if !errors.As(err, &r) || r.Code != c.code {
			t.Errorf("%s: %v, want code %d", name, err, c.code)
			continue
		}
		tid := bytes.Clone(m.TID)
		var answer Msg
		answer.Refuse(tid, r)
		if got, err := Parse(answer.Append(nil)); err != nil || got.Code != c.code || string(got.TID) != "aa" || len(got.Text) == 0 {
			t.Errorf("%s: answered %+v, %v", name, got, err)
		}
		if len(answer.Append(nil)) > 3*len(c.wire) {
			t.Errorf("%s: an error of %d bytes answers %d", name, len(answer.Append(nil)), len(c.wire))
		}
	}
}

func TestALongestPutFits(t *testing.T) {
	v := fmt.Appendf(nil, "996:%s", strings.Repeat("v", 996))
	m := Msg{Kind: KindQuery, Method: MethodPut, TID: bytes.Repeat(str("t"), MaxTID), Has: HasID | HasSeq | HasCAS,
		Token: bytes.Repeat(str("x"), MaxToken), K: str(key32), Sig: str(sig64), Salt: bytes.Repeat(str("s"), MaxSalt), Seq: 1<<63 - 1, V: v}
	b := m.Append(nil)
	got, err := Parse(b)
	if err != nil || !bytes.Equal(got.V, v) || len(v) != MaxV {
		t.Errorf("%d bytes: %v", len(b), err)
	}
}

func TestAReplyKeepsItsCaps(t *testing.T) {
	nodes := strings.Repeat("mnopqrstuvwxyz123456"+tcA, 50)
	m, err := Parse(reply(fmt.Sprintf("5:nodes%d:%s", len(nodes), nodes)))
	if err != nil || len(m.Nodes) != MaxNodes {
		t.Errorf("%d nodes, %v", len(m.Nodes), err)
	}
	m, err = Parse(reply("6:valuesl" + strings.Repeat("6:"+tcA, 150) + "e"))
	if err != nil || len(m.Values) != MaxValues {
		t.Errorf("%d values, %v", len(m.Values), err)
	}
	m, err = Parse(reply("7:samples1300:" + strings.Repeat("x", 1300)))
	if err != nil || len(m.Samples) != MaxSamples {
		t.Errorf("%d samples, %v", len(m.Samples), err)
	}
}

func TestNodesOfTheWrongFamilyAreNotWritten(t *testing.T) {
	m := Msg{Kind: KindReply, TID: str("aa"), Has: HasID | HasNodes | HasNodes6, ID: idA,
		Nodes:  []Contact{{idM, ap("[2001:db8::1]:1")}, {idM, ap("45.1.2.3:6881")}},
		Nodes6: []Contact{{idM, ap("45.1.2.3:1")}}}
	got, err := Parse(m.Append(nil))
	if err != nil || len(got.Nodes) != 1 || len(got.Nodes6) != 0 || got.Nodes[0].Addr != ap("45.1.2.3:6881") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRefusalSaysWhy(t *testing.T) {
	if got := refuseCAS.Error(); !strings.Contains(got, "301") || !strings.Contains(got, "CAS") {
		t.Error(got)
	}
}

// A Msg that is used again costs one small allocation, writing none.
func TestMessagesCostLittleMemory(t *testing.T) {
	var m Msg
	buf := make([]byte, 0, MaxReceived)
	for _, p := range packets {
		wire := []byte(p.wire)
		if n := testing.AllocsPerRun(20, func() { _ = m.Parse(wire) }); n > 3 {
			t.Errorf("%s: reading takes %v allocations", p.name, n)
		}
		if n := testing.AllocsPerRun(20, func() { buf = m.Append(buf[:0]) }); n > 0 {
			t.Errorf("%s: writing takes %v allocations", p.name, n)
		}
	}
}
