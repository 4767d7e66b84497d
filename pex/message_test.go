package pex

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestMessageOfTheBEP(t *testing.T) {
	m := Message{
		Added: []Peer{
			{at("1.2.3.4:258"), Seed | Reachable}, {at("[2a00::1]:6881"), UTP}, {at("5.6.7.8:6881"), 0},
		},
		Dropped: []netip.AddrPort{at("[2a00::2]:1"), at("9.9.9.9:9")},
	}
	v6 := func(last byte) string { return "\x2a\x00" + strings.Repeat("\x00", 13) + string(last) }
	want := "d5:added12:\x01\x02\x03\x04\x01\x02\x05\x06\x07\x08\x1a\xe17:added.f2:\x12\x00" +
		"6:added618:" + v6(1) + "\x1a\xe18:added6.f1:\x04" +
		"7:dropped6:\x09\x09\x09\x09\x00\x098:dropped618:" + v6(2) + "\x00\x01e"
	got := m.Append(nil)
	if string(got) != want {
		t.Fatalf("%q, want %q", got, want)
	}
	back, err := Parse(got)
	sorted := Message{Added: []Peer{m.Added[0], m.Added[2], m.Added[1]}, Dropped: []netip.AddrPort{m.Dropped[1], m.Dropped[0]}}
	if err != nil || !reflect.DeepEqual(back, sorted) {
		t.Fatalf("%v, %v", back, err)
	}
	if got := (&Message{}).Append(nil); string(got) != "de" {
		t.Errorf("an empty message is %q", got)
	}
}

func TestParseIsTolerant(t *testing.T) {
	a, b := Peer{Addr: at("1.2.3.4:1")}, Peer{Addr: at("5.6.7.8:2")}
	flagged := Peer{a.Addr, 0xff}
	for name, c := range map[string]struct {
		in   string
		want []Peer
	}{ //order: irrelevant
		"no flags":         {"d5:added12:\x01\x02\x03\x04\x00\x01\x05\x06\x07\x08\x00\x02e", []Peer{a, b}},
		"flags too short":  {"d5:added12:\x01\x02\x03\x04\x00\x01\x05\x06\x07\x08\x00\x027:added.f1:\xffe", []Peer{flagged, b}},
		"flags too long":   {"d5:added6:\x01\x02\x03\x04\x00\x017:added.f3:\xff\xff\xffe", []Peer{flagged}},
		"half a contact":   {"d5:added8:\x01\x02\x03\x04\x00\x01\x05\x06e", []Peer{a}},
		"keys not sorted":  {"d7:added.f1:\xff5:added6:\x01\x02\x03\x04\x00\x01e", []Peer{flagged}},
		"another type":     {"d5:addedi7e7:droppedle6:added6d1:a1:bee", nil},
		"unknown keys":     {"d1:xli1ee5:added6:\x01\x02\x03\x04\x00\x01e", []Peer{a}},
		"nothing":          {"de", nil},
		"something behind": {"degarbage", nil},
		"IPv4 as IPv6": {"d6:added618:" + strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04\x00\x01e",
			[]Peer{a}},
	} {
		m, err := Parse([]byte(c.in))
		if err != nil || !reflect.DeepEqual(m.Added, c.want) || m.Dropped != nil {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{ //order: irrelevant
		"nothing":   "",
		"a list":    "le",
		"cut":       "d5:added12:\x01\x02",
		"deep":      "d1:x" + strings.Repeat("l", 9) + strings.Repeat("e", 9) + "e",
		"many":      "d1:xl" + strings.Repeat("i1e", maxTokens) + "ee",
		"too large": "d5:added40002:" + strings.Repeat("x", 40002) + "e",
	} {
		if m, err := Parse([]byte(in)); err == nil {
			t.Errorf("%s is taken: %v", name, m)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("d5:added12:\x01\x02\x03\x04\x00\x01\x05\x06\x07\x08\x00\x027:added.f1:\xff7:dropped6:\x01\x02\x03\x04\x00\x01e"))
	f.Add([]byte("d6:added618:0123456789abcdefgh8:added6.f1:\x108:dropped618:0123456789abcdefghe"))
	f.Add([]byte("de"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		m, err := Parse(b)
		if !bytes.Equal(in, b) {
			t.Fatal("the input was written to")
		}
		if err != nil {
			return
		}
		if n := len(m.Added) + len(m.Dropped); n*size4 > len(b) {
			t.Fatalf("%d contacts out of %d bytes", n, len(b))
		}
		// What was read as IPv4 in IPv6 moves to its own list: sizes, not order, are kept.
		again, err := Parse(m.Append(nil))
		if err != nil || len(again.Added) != len(m.Added) || len(again.Dropped) != len(m.Dropped) {
			t.Fatalf("%v became %v, %v", m, again, err)
		}
		if twice := again.Append(nil); !bytes.Equal(twice, m.Append(nil)) {
			t.Fatalf("%q became %q", m.Append(nil), twice)
		}
	})
}

func TestContacts(t *testing.T) {
	var c contacts
	list := []netip.AddrPort{at("1.2.3.4:5"), at("[2a00::1]:5"), at("1.2.3.4:4"), at("1.2.3.3:9"), at("[2a00::1]:4")}
	for _, a := range list {
		if c.has(a) || !c.add(a) || c.add(a) || !c.has(a) {
			t.Fatalf("%v: not added once", a)
		}
	}
	var got []netip.AddrPort
	for a := range c.all {
		got = append(got, a)
	}
	want := []netip.AddrPort{at("1.2.3.3:9"), at("1.2.3.4:4"), at("1.2.3.4:5"), at("[2a00::1]:4"), at("[2a00::1]:5")}
	if !reflect.DeepEqual(got, want) || c.len() != 5 {
		t.Fatalf("%v", got)
	}
	for ip, is := range map[string]bool{"1.2.3.4": true, "1.2.3.5": false, "1.2.3.2": false, "2a00::1": true, "2a00::": false, "2a00::2": false} { //order: irrelevant
		if c.hasIP(netip.MustParseAddr(ip)) != is {
			t.Errorf("%s: there is %v", ip, !is)
		}
	}
	if !c.remove(at("1.2.3.4:4")) || c.remove(at("1.2.3.4:4")) || c.remove(at("[2a00::1]:6")) || c.len() != 4 {
		t.Errorf("%d are left", c.len())
	}
	for a := range c.all {
		if a == at("[2a00::1]:4") {
			break // may be left early, in either half
		}
	}
}
