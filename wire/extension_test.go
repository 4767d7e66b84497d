package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func mustParse(t *testing.T, s string) ExtHandshake {
	t.Helper()
	h, err := ParseExtHandshake([]byte(s))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return h
}

// BEP 10's example, its second extension named as in the table above it.
func TestExtHandshakeOfTheBEP(t *testing.T) {
	h := mustParse(t, "d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e")
	want := ExtHandshake{M: Extensions{{"LT_metadata", 1}, {"ut_pex", 2}}, P: 6881, V: "µTorrent 1.2"}
	if !reflect.DeepEqual(h, want) {
		t.Fatalf("%+v, want %+v", h, want)
	}
}

func TestExtHandshakeRoundTrip(t *testing.T) {
	full := ExtHandshake{
		M: Extensions{{ExtDontHave, 3}, {ExtMetadata, 2}, {ExtPEX, 1}},
		V: "shoal 0.1", P: 51413, Reqq: 2000,
		YourIP: []byte{1, 2, 3, 4}, IPv4: []byte{5, 6, 7, 8}, IPv6: bytes.Repeat([]byte{9}, 16), E: No,
		MetadataSize: 31235, UploadOnly: Yes,
	}
	want := "d1:ei0e4:ipv44:\x05\x06\x07\x084:ipv616:" + strings.Repeat("\x09", 16) +
		"1:md11:lt_donthavei3e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi51413e4:reqqi2000e" +
		"11:upload_onlyi1e1:v9:shoal 0.16:yourip4:\x01\x02\x03\x04e"
	if got := AppendExtHandshake(nil, full); string(got) != want {
		t.Fatalf("%q, want %q", got, want)
	}
	for _, h := range []ExtHandshake{full, {}, {UploadOnly: No}, {YourIP: make([]byte, 16)}} {
		if got := mustParse(t, string(AppendExtHandshake(nil, h))); !reflect.DeepEqual(got, h) {
			t.Errorf("%+v became %+v", h, got)
		}
	}
	m := ExtHandshakeMessage(full)
	if m.ID != Extended || m.ExtendedID() != 0 || string(m.Payload) != want {
		t.Errorf("message %v", m)
	}
}

func TestExtHandshakeIgnoresWhatIsNoUse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ExtHandshake
	}{
		{"de", ExtHandshake{}},
		{"de and more", ExtHandshake{}},
		{"d1:ei1e4:reqqi250e1:tl4:abcdee", ExtHandshake{Reqq: 250, E: Yes}},
		{"d1:mi3e1:pl1:ae4:reqq3:500e", ExtHandshake{}},
		{"d1:md1:ai256e1:bi-1e1:c1:71:di7eee", ExtHandshake{M: Extensions{{"d", 7}}}},
		{"d1:pi65536ee", ExtHandshake{}},
		{"d1:pi-1ee", ExtHandshake{}},
		{"d4:reqqi-5ee", ExtHandshake{}},
		{"d4:reqqi99999999999ee", ExtHandshake{Reqq: maxReqq}},
		{"d6:yourip5:abcdee", ExtHandshake{}},
		{"d4:ipv416:abcdefghijklmnop6:yourip16:abcdefghijklmnope", ExtHandshake{YourIP: []byte("abcdefghijklmnop")}},
		{"d13:metadata_sizei-1ee", ExtHandshake{}},
		{"d13:metadata_sizei4294967296ee", ExtHandshake{}},
		{"d11:upload_onlyi0ee", ExtHandshake{UploadOnly: No}},
		{"d11:upload_only3:yese", ExtHandshake{}},
		{"d1:md" + "65:" + strings.Repeat("x", 65) + "i1eee", ExtHandshake{}},
		{"d1:pi1e1:mde1:vi5ee", ExtHandshake{P: 1}}, // keys out of order: real clients do it
	} {
		if got := mustParse(t, c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestExtHandshakeRefused(t *testing.T) {
	for name, in := range map[string]string{ //order: irrelevant
		"nothing":   "",
		"a list":    "le",
		"no end":    "d1:mde",
		"too deep":  "d1:x" + strings.Repeat("l", 20) + strings.Repeat("e", 20) + "e",
		"too many":  "d1:xl" + strings.Repeat("i1e", 3000) + "ee",
		"too large": "d1:x70000:" + strings.Repeat("x", 70000) + "e",
	} {
		if h, err := ParseExtHandshake([]byte(in)); err == nil {
			t.Errorf("%s is taken: %+v", name, h)
		}
	}
}

func TestExtensionsAreCapped(t *testing.T) {
	in := []byte("d1:md")
	for i := range 200 {
		in = append(in, "3:"...)
		in = append(in, byte('a'+i/100), byte('a'+i/10%10), byte('a'+i%10))
		in = append(in, "i9e"...)
	}
	h := mustParse(t, string(append(in, "ee"...)))
	if len(h.M) != maxExtensions {
		t.Fatalf("%d extensions kept", len(h.M))
	}
	if got := h.M.Apply(Extensions{{"one more", 1}}); got.ID("one more") != 0 || len(got) != maxExtensions {
		t.Errorf("a later handshake goes beyond the cap")
	}
}

// BEP 10: "To disable the support for LT_metadata at run-time, without affecting any
// other extensions": the value 0.
func TestLaterHandshakesChangeTheExtensions(t *testing.T) {
	first := Extensions{{"LT_metadata", 1}, {"ut_pex", 2}}
	then := first.Apply(Extensions{{"LT_metadata", 0}, {"lt_donthave", 7}})
	then = then.Apply(nil).Apply(Extensions{{"ut_pex", 5}, {"never_had", 0}})
	if then.ID("LT_metadata") != 0 || then.ID("ut_pex") != 5 || then.ID("lt_donthave") != 7 || len(then) != 2 {
		t.Errorf("now %v", then)
	}
	if first.ID("LT_metadata") != 1 || first.ID("ut_pex") != 2 {
		t.Errorf("what was before has changed: %v", first)
	}
}

func TestClientNamesAreSafeToPrint(t *testing.T) {
	for in, want := range map[string]string{ //order: irrelevant
		"qBittorrent/4.5.2":           "qBittorrent/4.5.2",
		"µTorrent 3.5":                "µTorrent 3.5",
		"evil\x1b[2J\r\n":             "evil[2J",
		"rtl\u202egnp.exe":            "rtlgnp.exe",
		"bad\xff\xfeutf":              "badutf",
		strings.Repeat("ö", 60):       strings.Repeat("ö", 32),
		strings.Repeat("\x00", 5000):  "",
		"a" + strings.Repeat("界", 40): "a" + strings.Repeat("界", 21),
	} {
		if got := clientName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzParseExtHandshake(f *testing.F) {
	f.Add([]byte("d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	f.Add([]byte("d4:ipv44:abcd4:reqqi250e11:upload_onlyi1e6:yourip4:abcde"))
	f.Add([]byte("d13:metadata_sizei31235e1:mde1:v3:\xff\xfe\x1be"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseExtHandshake(b)
		if err != nil {
			return
		}
		if !utf8.ValidString(h.V) || len(h.V) > maxClientName || len(h.M) > maxExtensions {
			t.Fatalf("%+v", h)
		}
		again, err := ParseExtHandshake(AppendExtHandshake(nil, h))
		again.M, h.M = nil, nil // their order and doubles are not kept
		if err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%+v became %+v, %v", h, again, err)
		}
	})
}
