package metainfo

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const (
	hexA  = "0123456789abcdef0123456789abcdef01234567"
	baseA = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH"
	hexB  = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	btih  = "xt=urn:btih:" + hexA
)

func mustMagnet(t *testing.T, s string) *Magnet {
	t.Helper()
	m, err := ParseMagnet(s)
	if err != nil {
		t.Fatalf("%.200s: %v", s, err)
	}
	return m
}

// TestMagnet: everything that a link can say, and back.
func TestMagnet(t *testing.T) {
	s := "magnet:?" + btih + "&xt=urn:btmh:1220" + hexB +
		"&dn=A%20%26%20B&xl=1234&tr.1=http%3A%2F%2Fa%2Fannounce%3Fk%3D1&tr.1=udp%3A%2F%2Fb%3A80&tr.2=https%3A%2F%2Fc" +
		"&ws=http%3A%2F%2Fw%2Fx%2520y&x.pe=1.2.3.4:5&x.pe=[fe80::1%25eth0]:6&x.pe=host.example:7&dht=router:6881&so=0,2,4-6&xs=http%3A%2F%2Fs&as=http%3A%2F%2Fz"
	m := mustMagnet(t, s)
	want := &Magnet{
		Hash: m.Hash, Name: "A & B", Length: 1234,
		Trackers: [][]string{{"http://a/announce?k=1", "udp://b:80"}, {"https://c"}},
		WebSeeds: []string{"http://w/x%20y"},
		Peers:    []HostPort{{"1.2.3.4", 5}, {"fe80::1%eth0", 6}, {"host.example", 7}},
		Nodes:    []HostPort{{"router", 6881}},
		Select:   []FileRange{{0, 0}, {2, 2}, {4, 6}},
		Sources:  []string{"http://s"}, Accept: []string{"http://z"},
	}
	if !reflect.DeepEqual(m, want) || !m.Hash.HasV1 || !m.Hash.HasV2 {
		t.Errorf("got %+v", m)
	}
	if m.String() != s {
		t.Errorf("is written\n%s, want\n%s", m, s)
	}
}

// TestMagnetWild: links as they are found.
func TestMagnetWild(t *testing.T) {
	for name, in := range map[string]string{
		"base32":              "magnet:?xt=urn:btih:" + baseA,
		"base32 in lower":     "magnet:?xt=urn:btih:" + strings.ToLower(baseA),
		"upper case":          "MAGNET:?XT=URN:BTIH:" + strings.ToUpper(hexA),
		"escaped":             "magnet:?xt=urn%3abtih%3A" + hexA,
		"with a slash":        "magnet:/?" + btih,
		"numbered":            "magnet:?xt.1=urn:btih:" + hexA,
		"copied out of HTML":  "magnet:?dn=x&amp;" + btih,
		"with space around":   "  magnet:?" + btih + "\n",
		"twice the same":      "magnet:?" + btih + "&xt=urn:btih:" + baseA,
		"with other networks": "magnet:?xt=urn:ed2k:354B15E68FB8F36D7CD88FF94116CDC1&" + btih + "&xt=urn:sha1:ABC",
		"with empty parts":    "magnet:?&&" + btih + "&&dn&tr=&ws=&x.pe=&dht=&xs=&as=",
		"with junk":           "magnet:?" + btih + "&tr=foo&tr=http://&tr=javascript:1&ws=file:///etc/passwd&x.pe=nope&x.pe=h:0&x.pe=h:99999&x.pe=[::1:5&dht=a:b:1&kt=a+b&%zz=%zz",
	} {
		m := mustMagnet(t, in)
		if m.Hash.String() != hexA || len(m.Trackers)+len(m.WebSeeds)+len(m.Peers)+len(m.Nodes)+len(m.Sources) > 0 {
			t.Errorf("%s: got %+v", name, m)
		}
	}
	if m := mustMagnet(t, "magnet:?"+btih+"&dn=a+b%2Bc%ff%"); m.Name != "a b+c_%" {
		t.Errorf("name is %q", m.Name)
	}
	if m := mustMagnet(t, "magnet:?xt=urn:btmh:1220"+hexB); m.Hash.HasV1 || !m.Hash.HasV2 {
		t.Errorf("v2 only: %+v", m.Hash)
	}
}

// TestMagnetTiers: trackers are tried one after the other, unless numbers join
// them.
func TestMagnetTiers(t *testing.T) {
	for in, want := range map[string]string{
		"&tr=http://a&tr=http://b":                       "[[http://a] [http://b]]",
		"&tr.1=http://a&tr.2=http://b":                   "[[http://a] [http://b]]",
		"&tr.2=http://a&tr.1=http://b&tr.2=http://c":     "[[http://a http://c] [http://b]]",
		"&tr=http://a&tr.0=http://b&tr=http://c":         "[[http://a] [http://b] [http://c]]",
		"&tr=http://a&tr=http://a&tr.5=http://a":         "[[http://a]]",
		"&tr=udp%3A%2F%2Ft%3A1%2Fannounce&tr=WSS://x/y?": "[[udp://t:1/announce] [WSS://x/y?]]",
	} {
		m := mustMagnet(t, "magnet:?"+btih+in)
		if got := fmt.Sprint(m.Trackers); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		if again := mustMagnet(t, m.String()); !reflect.DeepEqual(again, m) {
			t.Errorf("%s: %s reads %+v", in, m, again)
		}
	}
}

// TestMagnetErrors: each names what is wrong.
func TestMagnetErrors(t *testing.T) {
	for in, want := range map[string]Code{
		"":                                  UnsupportedScheme,
		"http://x/y.torrent":                UnsupportedScheme,
		"magnetx:?" + btih:                  UnsupportedScheme,
		"magnet:" + btih:                    InvalidMagnet,
		"magnet:?":                          MissingInfoHash,
		"magnet:?dn=x":                      MissingInfoHash,
		"magnet:?xt=urn:sha1:" + baseA:      MissingInfoHash,
		"magnet:?xt=urn:btih:" + hexA[1:]:   InvalidInfoHash,
		"magnet:?xt=urn:btih:x" + hexA[1:]:  InvalidInfoHash,
		"magnet:?xt=urn:btih:1" + baseA[1:]: InvalidInfoHash,
		"magnet:?xt=urn:btih:" + hexB:       InvalidInfoHash,
		"magnet:?xt=urn:btih:":              InvalidInfoHash,
		"magnet:?xt=urn:btmh:" + hexB:       InvalidInfoHash,
		"magnet:?xt=urn:btmh:1220" + hexA:   InvalidInfoHash,
		"magnet:?xt=urn:btmh:1320" + hexB:   InvalidInfoHash,
		"magnet:?xt=urn:btih:" + hexA + "&xt=urn:btih:" + strings.Repeat("a", 40): InvalidMagnet,
		"magnet:?" + btih + "&xl=-1":                   InvalidMagnet,
		"magnet:?" + btih + "&xl=big":                  InvalidMagnet,
		"magnet:?" + btih + "&so=":                     InvalidMagnet,
		"magnet:?" + btih + "&so=1-":                   InvalidMagnet,
		"magnet:?" + btih + "&so=3-2":                  InvalidMagnet,
		"magnet:?" + btih + "&so=-1":                   InvalidMagnet,
		"magnet:?" + btih + "&so=99999999":             InvalidMagnet,
		"magnet:?" + btih + "&so=1,,2":                 InvalidMagnet,
		"magnet:?" + strings.Repeat("a&", MaxMagnet/2): InvalidMagnet,
	} {
		m, err := ParseMagnet(in)
		if CodeOf(err) != want || m != nil {
			t.Errorf("%.80s: got %v, want %q", in, err, want)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 300) {
			t.Errorf("%.80s: the error is %q", in, err)
		}
	}
}

// TestMagnetCaps: ten thousand of everything is a hundred.
func TestMagnetCaps(t *testing.T) {
	var b strings.Builder
	b.WriteString("magnet:?" + btih)
	for i := range 10_000 {
		fmt.Fprintf(&b, "&tr=http://t%d&ws=http://w%d&x.pe=h:%d&xs=%d&so=%d", i, i, i+1, i, 2*i)
	}
	m := mustMagnet(t, b.String())
	if len(m.allTrackers()) != 100 || len(m.WebSeeds) != 100 || len(m.Peers) != 100 || len(m.Sources) != 100 || len(m.Select) != 10_000 {
		t.Errorf("got %d trackers, %d web seeds, %d peers, %d sources, %d ranges", len(m.Trackers), len(m.WebSeeds), len(m.Peers), len(m.Sources), len(m.Select))
	}
	if _, err := ParseMagnet(b.String() + "&so=50000"); CodeOf(err) != InvalidMagnet {
		t.Errorf("one range more: %v", err)
	}
}

// TestSelect: BEP 53.
func TestSelect(t *testing.T) {
	m := mustMagnet(t, "magnet:?"+btih+"&so=5,1-3,2-4,9")
	if fmt.Sprint(m.Select) != "[{1 5} {9 9}]" {
		t.Errorf("got %v", m.Select)
	}
	for f, want := range map[FileIndex]bool{0: false, 1: true, 5: true, 6: false, 9: true, 10: false} {
		if m.Selects(f) != want {
			t.Errorf("file %d: want %v", f, want)
		}
	}
	if !(&Magnet{}).Selects(7) {
		t.Error("without a selection all files are selected")
	}
}

// TestParseLink takes bare info-hashes too.
func TestParseLink(t *testing.T) {
	for _, in := range []string{hexA, baseA, "magnet:?" + btih} {
		if m, err := ParseLink(in); err != nil || m.Hash.String() != hexA {
			t.Errorf("%s: %v %v", in, m, err)
		}
	}
	if m, err := ParseLink(hexB); err != nil || !m.Hash.HasV2 {
		t.Errorf("%v %v", m, err)
	}
	if _, err := ParseLink("cafe"); CodeOf(err) != InvalidInfoHash {
		t.Error(err)
	}
	if _, err := ParseLink("ftp://x"); CodeOf(err) != UnsupportedScheme {
		t.Error(err)
	}
}

// TestMagnetOfTorrent: a torrent's own link says what is needed to find it.
func TestMagnetOfTorrent(t *testing.T) {
	tor, err := Load(encode(t, M{"announce": "http://a", "url-list": "http://w/", "info": v1Info(M{"name": "ü x"})}))
	if err != nil {
		t.Fatal(err)
	}
	want := "magnet:?xt=urn:btih:" + tor.Hash.String() + "&dn=%C3%BC%20x&xl=100&tr=http%3A%2F%2Fa&ws=http%3A%2F%2Fw%2F"
	if got := tor.Magnet().String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestTrackerURLs: what may be asked for peers.
func TestTrackerURLs(t *testing.T) {
	for url, want := range map[string]bool{
		"http://a": true, "HTTPS://a.b/c?d=e#f": true, "udp://1.2.3.4:80/announce": true, "wss://x": true, "http://[::1]:80/x": true,
		"http://user:pass@host/x": true, "http://my_tracker:6969/announce": true, "http://bücher.example/": true, "http://a:1/b@c": true,
		"": false, "a": false, "http:/a": false, "http://": false, "http:///x": false, "http://:80": false, "ftp://a": false, "file:///x": false,
		"http://a b": false, "http://a\r\nHost: b": false, "http://a/\x7f": false, "http://a:0": false, "http://a:65536": false, "http://a:x": false,
		"http://[::1": false, "http://[a]": false, "http://a:b:c": false, "http://::1/": false, "http://a\u202eb": false, "http://\xff": false,
		"http://" + strings.Repeat("a", 254): false, "http://a/" + strings.Repeat("b", maxURL): false,
	} {
		if got := validTracker(url); got != want {
			t.Errorf("%.60q: got %v", url, got)
		}
	}
}

func TestWebSeedURLs(t *testing.T) {
	for in, want := range map[string]string{
		"http://a/b": "http://a/b", " http://a/b c ": "http://a/b%20c", "https://a/%20?x=1&y": "https://a/%20?x=1&y",
		"http://a/é": "http://a/%C3%A9", "http://a/\"<>": "http://a/%22%3C%3E", "ftp://a/b": "ftp://a/b", "http://a/\r\nX: y": "http://a/%0D%0AX:%20y",
		"": "", "a": "", "file:///etc": "", "http://": "", "http://a b/": "",
	} {
		if got, ok := cleanWebSeed(in, false); got != want || ok != (want != "") {
			t.Errorf("%q: got %q %v", in, got, ok)
		}
	}
	if got, _ := cleanWebSeed("http://a/b", true); got != "http://a/b/" {
		t.Errorf("a folder's is %q", got)
	}
}
