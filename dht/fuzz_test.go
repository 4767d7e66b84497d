package dht

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/shoal-bt/shoal/bencode"
)

// FuzzParse reads anything. What it accepts must survive being written and read
// again, and stay within the caps.
func FuzzParse(f *testing.F) {
	for _, p := range packets {
		f.Add([]byte(p.wire))
	}
	f.Add(query("announce_peer", "12:implied_porti0e9:info_hash20:mnopqrstuvwxyz1234565:token0:"))
	f.Add(reply("6:nodes638:mnopqrstuvwxyz1234560000000000000000\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		m, err := Parse(b)
		if !bytes.Equal(in, b) {
			t.Fatal("the datagram was changed")
		}
		var r *Refusal
		if errors.As(err, &r) != (err != nil && !errors.Is(err, ErrGarbage)) {
			t.Fatalf("an error of neither kind: %v", err)
		}
		if err != nil {
			if r != nil && (m.Kind != KindQuery || len(m.TID) == 0 || m.Has&HasID == 0) {
				t.Fatalf("refused, but to nobody: %+v", m)
			}
			return
		}
		checkCaps(t, &m)
		checkRoundTrip(t, &m)
	})
}

func checkCaps(t *testing.T, m *Msg) {
	t.Helper()
	if len(m.TID) > MaxTID || len(m.Token) > MaxToken || len(m.Nodes) > MaxNodes || len(m.Nodes6) > MaxNodes ||
		len(m.Values) > MaxValues || len(m.Samples) > MaxSamples || len(m.V) > MaxV || len(m.Salt) > MaxSalt ||
		len(m.Text) > maxText || m.Seq < 0 || m.CAS < 0 || m.Num < 0 || m.Interval < 0 {
		t.Fatalf("beyond the caps: %+v", m)
	}
	for _, a := range m.Values {
		if !usable(a) || a != unmapped(a) {
			t.Fatalf("%v is no address of a peer", a)
		}
	}
	for _, c := range m.Nodes {
		if !c.Addr.Addr().Is4() {
			t.Fatalf("%v is in nodes", c.Addr)
		}
	}
}

func checkRoundTrip(t *testing.T, m *Msg) {
	t.Helper()
	once := m.Append(nil)
	if _, err := bencode.Parse(once, bencode.Options{Strict: true}); err != nil {
		t.Fatalf("%q is not canonical: %v", once, err)
	}
	again, err := Parse(once)
	if err != nil {
		t.Fatalf("%q was written and cannot be read: %v", once, err)
	}
	if twice := again.Append(nil); !bytes.Equal(once, twice) {
		t.Fatalf("%q became %q", once, twice)
	}
	// Parts that only mean something together are left out of what is written.
	a, b := tidied(*m), tidied(again)
	a.ReadOnly = a.ReadOnly && a.Kind == KindQuery
	if a.Has&HasSamples == 0 {
		a.Num, a.Interval = 0, 0
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%+v became %+v", a, b)
	}
}

// FuzzMsg writes messages with any fields and reads them.
func FuzzMsg(f *testing.F) {
	f.Add(uint8(1), uint16(0xffff), []byte("aa"), []byte("token"), []byte("12:Hello World!"), int64(4), uint16(6881), []byte(tcSix))
	f.Fuzz(func(t *testing.T, kind uint8, has uint16, tid, token, v []byte, n int64, port uint16, ip []byte) {
		m := Msg{
			Kind: [...]Kind{KindQuery, KindReply, KindError}[kind%3], Method: Method(kind / 3 % 8), Has: Fields(has) | HasID | HasTarget,
			TID: tid, Token: token, V: v, Seq: n, CAS: n, Port: port, Name: token, Text: token, Version: tid,
			ID: idA, Target: idM, Num: n, Interval: n, ReadOnly: kind > 128, Want: Want(has % 4),
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			m.IP, m.Values = netip.AddrPortFrom(a, port), []netip.AddrPort{netip.AddrPortFrom(a, port)}
			m.Nodes, m.Nodes6 = []Contact{{idA, m.IP}}, []Contact{{idM, m.IP}}
		}
		got, err := Parse(m.Append(nil))
		if err == nil {
			checkCaps(t, &got)
			checkRoundTrip(t, &got)
		}
	})
}

// FuzzParseSaved reads anything as a saved table.
func FuzzParseSaved(f *testing.F) {
	f.Add(AppendSaved(nil, idA, []Contact{{idM, ap("45.1.2.3:6881")}, {idA, ap("[2001:db8::1]:6881")}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		own, saved, err := ParseSaved(b)
		if err != nil {
			return
		}
		if len(saved) > MaxSaved {
			t.Fatalf("%d contacts", len(saved))
		}
		own2, saved2, err := ParseSaved(AppendSaved(nil, own, saved))
		if err != nil || own2 != own || len(saved2) != len(saved) {
			t.Fatalf("%d contacts became %d: %v", len(saved), len(saved2), err)
		}
	})
}

// FuzzItemOf verifies whatever a node answers to get.
func FuzzItemOf(f *testing.F) {
	f.Add([]byte("12:Hello World!"), []byte(key32), []byte(sig64), []byte("salt"), int64(1))
	f.Fuzz(func(t *testing.T, v, k, sig, salt []byte, seq int64) {
		m := Msg{Kind: KindReply, V: v, K: k, Sig: sig, Seq: seq, Has: HasSeq}
		it, ok, err := ItemOf(&m, ImmutableTarget(v), salt)
		if ok && (err != nil || it.Mutable || !bytes.Equal(it.Value, v) || it.check() != nil) {
			t.Fatalf("%+v, %v", it, err)
		}
		if len(salt) > MaxSalt || len(k) != 32 {
			return
		}
		if _, ok, _ := ItemOf(&m, TargetOf([32]byte(k), salt), salt); ok && !bytes.Equal(k, m.K) {
			t.Fatal("a signature by nobody")
		}
	})
}
