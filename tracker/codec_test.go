package tracker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// bytesHash has every kind of byte that an escape can get wrong.
var bytesHash = metainfo.Hash{
	V1:    [20]byte{0, 0x7f, 0x80, 0xff, ' ', '+', '%', '&', '=', '~', '-', '.', '_', 'a', 'Z', '0', '/', '?', '#', '\n'},
	HasV1: true,
}

const bytesEscaped = "%00%7F%80%FF%20%2B%25%26%3D~-._aZ0%2F%3F%23%0A"

func sample() Request {
	return Request{
		URL: "http://t.example/announce", InfoHash: bytesHash,
		PeerID: [20]byte([]byte("-XX0001-abcdefghijkl")), Port: 6881, Key: 0xbeef,
		Facts: Facts{Uploaded: 1, Downloaded: 2, Left: 3, Corrupt: 4, Wanted: 50},
	}
}

func TestAnnounceURL(t *testing.T) {
	const common = "info_hash=" + bytesEscaped + "&peer_id=-XX0001-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=3&corrupt=4&key=0000BEEF"
	for _, c := range []struct {
		name string
		f    func(*Request)
		want string
	}{
		{"plain", func(*Request) {}, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1"},
		{"event", func(r *Request) { r.Event = Started }, "http://t.example/announce?" + common + "&event=started&numwant=50&compact=1&no_peer_id=1"},
		{"stopped wants nobody", func(r *Request) { r.Event = Stopped }, "http://t.example/announce?" + common + "&event=stopped&numwant=0&compact=1&no_peer_id=1"},
		{"greed is capped", func(r *Request) { r.Facts.Wanted = 1e6 }, "http://t.example/announce?" + common + "&numwant=200&compact=1&no_peer_id=1"},
		{"own query", func(r *Request) { r.URL += "?pass=1" }, "http://t.example/announce?pass=1&" + common + "&numwant=50&compact=1&no_peer_id=1"},
		{"empty query", func(r *Request) { r.URL += "?" }, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1"},
		{"open query", func(r *Request) { r.URL += "?a&" }, "http://t.example/announce?a&" + common + "&numwant=50&compact=1&no_peer_id=1"},
		{"fragment", func(r *Request) { r.URL += "#x" }, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1"},
		{"tracker id", func(r *Request) { r.TrackerID = "a b&" }, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1&trackerid=a%20b%26"},
		{"addresses", func(r *Request) {
			r.Address4, r.Address6 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1%eth0")
		}, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1&ipv4=192.0.2.1&ipv6=2001%3Adb8%3A%3A1"},
		{"the other address", func(r *Request) {
			r.Address4, r.Address6 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
			r.Family = IPv4
		}, "http://t.example/announce?" + common + "&numwant=50&compact=1&no_peer_id=1&ipv6=2001%3Adb8%3A%3A1"},
	} {
		r := sample()
		c.f(&r)
		if got := AnnounceURL(&r); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

// Before the metadata has come nobody knows what is left; it must not be 0.
func TestUnknownLeft(t *testing.T) {
	r := sample()
	r.Facts = Facts{Left: -1, Uploaded: -1}
	if u := AnnounceURL(&r); !strings.Contains(u, "&uploaded=0&downloaded=0&left=16384&") {
		t.Error(u)
	}
	if p := AppendAnnounce(nil, 1, 2, &r); string(p[56:80]) != "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00" {
		t.Errorf("%q", p[56:80])
	}
}

// BEP 52: trackers know a v2 torrent by the first 20 bytes of its hash.
func TestSwarmID(t *testing.T) {
	h := metainfo.Hash{V2: [32]byte{19: 7, 20: 8}, HasV2: true}
	if swarmID(h) != [20]byte{19: 7} {
		t.Errorf("%x", swarmID(h))
	}
	h.V1, h.HasV1 = [20]byte{1}, true
	if swarmID(h) != h.V1 {
		t.Errorf("%x", swarmID(h))
	}
}

// BEP 48's own examples.
func TestScrapeURL(t *testing.T) {
	for announce, want := range map[string]string{
		"http://example.com/announce":             "http://example.com/scrape",
		"http://example.com/x/announce":           "http://example.com/x/scrape",
		"http://example.com/announce.php":         "http://example.com/scrape.php",
		"http://example.com/a":                    "",
		"http://example.com/announce?x=2%0644":    "http://example.com/scrape?x=2%0644",
		"http://example.com/announce?x=2/4":       "",
		"http://example.com/x%064announce":        "",
		"udp://example.com:80":                    "udp://example.com:80",
		"":                                        "",
		"http://example.com/passkey/announce?a=b": "http://example.com/passkey/scrape?a=b",
	} {
		if got, ok := ScrapeURL(announce); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", announce, got, ok, want)
		}
	}
	got, _ := ScrapesURL("http://example.com/announce?k=1", [20]byte([]byte("aaaaaaaaaaaaaaaaaaaa")), bytesHash.V1)
	if want := "http://example.com/scrape?k=1&info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=" + bytesEscaped; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	many, _ := ScrapesURL("http://example.com/announce", make([][20]byte, 500)...)
	if n := strings.Count(many, "info_hash"); n != MaxScrape {
		t.Errorf("%d torrents in one scrape", n)
	}
}

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"http://a.example/announce":               "",
		"HTTPS://a.example:8443/x?y=1":            "",
		"udp://[2001:db8::1]:6969/announce":       "",
		"udp://a.example/announce":                "without a port",
		"wss://a.example/announce":                `scheme "wss"`,
		"file:///etc/passwd":                      `scheme "file"`,
		"a.example/announce":                      "without a scheme",
		"":                                        "without a scheme",
		"http:///announce":                        "without a host",
		"http://a.example/secret\x00":             "broken tracker URL: net/url: invalid control character in URL",
		"http://a.example/announce?info_hash=x":   "sets info_hash",
		"http://a.example/?k=1&event=stopped":     "sets info_hash, peer_id or event",
		"http://a/" + strings.Repeat("x", MaxURL): "the limit is",
		"http://a.example/%zz/secret":             "broken tracker URL: invalid URL escape",
	} {
		_, err := ParseURL(raw)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%.40q: %v, want %q", raw, err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"http://t.example/0123456789abcdef/announce":  "http://t.example/…/announce",
		"http://t.example/announce?passkey=012345":    "http://t.example/announce?…",
		"https://user:secret@t.example:8443/announce": "https://t.example:8443/announce",
		"udp://t.example:80":                          "udp://t.example:80",
		"http://%":                                    "(broken URL)",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func addrs(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

func TestParseAnnounce(t *testing.T) {
	silent := Response{Seeds: -1, Leechers: -1, Finished: -1}
	with := func(f func(*Response)) Response { r := silent; f(&r); return r }
	for _, c := range []struct {
		name, body string
		want       Response
	}{
		{"nothing", "de", silent},
		{"counts", "d8:completei5e10:downloadedi7e10:incompletei6ee", Response{Seeds: 5, Leechers: 6, Finished: 7}},
		{"intervals", "d8:intervali1800e12:min intervali60ee", with(func(r *Response) { r.Interval, r.MinInterval = half, time.Minute })},
		{"intervals as text", "d8:interval4:1800e", with(func(r *Response) { r.Interval = half })},
		{"mad intervals", "d8:intervali99999999999999999999e12:min intervali-5ee", with(func(r *Response) { r.Interval = 0 })},
		{"huge interval", "d8:intervali999999999999ee", with(func(r *Response) { r.Interval = MaxInterval })},
		{"uint64 interval", "d8:intervali18446744073709551615ee", with(func(r *Response) { r.Interval = MaxInterval })},
		{"compact", "d5:peers13:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x50xe", with(func(r *Response) { r.Peers = addrs("1.2.3.4:6881", "5.6.7.8:80") })},
		{"compact nonsense", "d5:peers24:\x00\x00\x00\x00\x1a\xe1\x01\x02\x03\x04\x00\x00\xe0\x00\x00\x01\x00\x50\xff\xff\xff\xff\x00\x50e", silent},
		{"compact6", "d6:peers618: \x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1e", with(func(r *Response) { r.Peers = addrs("[2001:db8::1]:6881") })},
		{"mapped", "d6:peers618:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x1a\xe1e", with(func(r *Response) { r.Peers = addrs("1.2.3.4:6881") })},
		{"dictionaries", "d5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip3:::14:porti1eed2:ip9:localhost4:porti1eed2:ip7:1.2.3.44:porti70000eedei5eee",
			with(func(r *Response) { r.Peers = addrs("1.2.3.4:6881", "[::1]:1") })},
		{"external ip", "d11:external ip4:\x01\x02\x03\x04e", with(func(r *Response) { r.ExternalIP = netip.MustParseAddr("1.2.3.4") })},
		{"external ip of 5 bytes", "d11:external ip5:\x01\x02\x03\x04\x05e", silent},
		{"words", "d10:tracker id3:abc15:warning message5:a\nb\x1bce", with(func(r *Response) { r.TrackerID, r.Warning = "abc", "a bc" })},
		{"a long tracker id", fmt.Sprintf("d10:tracker id%d:%se", MaxTrackerID+1, strings.Repeat("x", MaxTrackerID+1)), silent},
		{"wrong types", "d8:completele8:intervalde5:peersi5e6:peers6le15:warning messagei1ee", with(func(r *Response) { r.Warning = "" })},
		{"unsorted, with a line end", "d8:intervali60e8:completei1ee\r\n", with(func(r *Response) { r.Interval, r.Seeds = time.Minute, 1 })},
		{"2^31 seeds", "d8:completei2147483648ee", with(func(r *Response) { r.Seeds = 1<<31 - 1 })},
	} {
		got, err := ParseAnnounce(200, []byte(c.body))
		peersEqual := slices.Equal(got.Peers, c.want.Peers)
		got.Peers, c.want.Peers = nil, nil
		if err != nil || !peersEqual || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s:\n%+v %v, want\n%+v", c.name, got, err, c.want)
		}
	}
}

const half = 30 * time.Minute

func TestPeersAreCapped(t *testing.T) {
	n := 100_000
	body := fmt.Sprintf("d5:peers%d:%se", 6*n, strings.Repeat("\x01\x02\x03\x04\x05\x06", n))
	if r, err := ParseAnnounce(200, []byte(body)); err != nil || len(r.Peers) != MaxPeers {
		t.Errorf("%d peers, %v", len(r.Peers), err)
	}
	body = "d5:peersl" + strings.Repeat("d2:ip7:1.2.3.44:porti1ee", 5000) + "ee"
	if r, err := ParseAnnounce(200, []byte(body)); err != nil || len(r.Peers) != MaxPeers {
		t.Errorf("%d peers, %v", len(r.Peers), err)
	}
}

func TestParseAnnounceErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"refusal", 200, "d14:failure reason4:nopee", "tracker refused: nope"},
		{"refusal with a status", 400, "d14:failure reason4:nopee", "tracker refused: nope"},
		{"refusal without words", 200, "d14:failure reason0:e", "tracker refused: "},
		{"html", 503, "<!DOCTYPE html><html>...", "answered with an HTML page, status 503"},
		{"html and blanks", 200, " \r\n<html>", "answered with an HTML page, status 200"},
		{"html in the middle", 200, "Warning: mysql...<html>", "answered with an HTML page, status 200"},
		{"empty", 200, "", "answered with an empty body, status 200"},
		{"text", 404, "Not Found\n", "answered with status 404: Not Found"},
		{"garbage", 200, "hello", "answered with something that is not bencoded: "},
		{"a list", 200, "le", "answered with something that is not bencoded: not a dictionary"},
		{"cut", 200, "d8:intervali60", "answered with something that is not bencoded: unexpected end"},
		{"good body, bad status", 500, "d8:intervali60ee", "answered with status 500"},
		{"deep", 200, "d1:a" + strings.Repeat("l", 100) + strings.Repeat("e", 101), "nested too deep"},
		{"many", 200, "d1:al" + strings.Repeat("i1e", maxTokens) + "ee", "too many items"},
		{"escape codes", 200, "d14:failure reason9:\x1b[31mred\x00e", "tracker refused: [31mred"},
	} {
		_, err := ParseAnnounce(c.status, []byte(c.body))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) && !strings.HasSuffix(c.want, "items") && !strings.HasSuffix(c.want, "deep") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// BEP 31: "retry in" next to the "failure reason".
func TestParseRetryIn(t *testing.T) {
	for body, want := range map[string]time.Duration{
		"d14:failure reason1:x8:retry ini42ee":         42 * time.Minute,
		"d14:failure reason1:x8:retry in5:nevere":      -1,
		"d14:failure reason1:x8:retry in2:10e":         10 * time.Minute,
		"d14:failure reason1:x8:retry ini-5ee":         0,
		"d14:failure reason1:x8:retry ini9999999999ee": MaxInterval,
		"d14:failure reason1:xe":                       0,
	} {
		r, err := ParseAnnounce(200, []byte(body))
		var f *Failure
		if !errors.As(err, &f) || f.Reason != "x" || r.RetryIn != want {
			t.Errorf("%s: %v %v, want %v", body, r.RetryIn, err, want)
		}
	}
}

func TestLongWordsAreCut(t *testing.T) {
	body := fmt.Sprintf("d14:failure reason%d:%se", 100_000, strings.Repeat("ü", 50_000))
	_, err := ParseAnnounce(200, []byte(body))
	if n := len(err.Error()); n > MaxText+40 || !strings.HasSuffix(err.Error(), "ü…") {
		t.Errorf("%d bytes: %.50q", n, err)
	}
}

func TestParseScrape(t *testing.T) {
	a, b := [20]byte([]byte("aaaaaaaaaaaaaaaaaaaa")), [20]byte([]byte("bbbbbbbbbbbbbbbbbbbb"))
	body := "d5:filesd20:bbbbbbbbbbbbbbbbbbbbd8:completei1e10:downloadedi2e10:incompletei3ee20:xxxxxxxxxxxxxxxxxxxxdeee"
	got, err := ParseScrape(200, []byte(body), a, b)
	if err != nil || !slices.Equal(got, []Counts{{-1, -1, -1}, {1, 3, 2}}) {
		t.Errorf("%v %v", got, err)
	}
	for body, want := range map[string]string{
		"d14:failure reason2:noe": "tracker refused: no",
		"d5:filesle":              "not bencoded",
		"de":                      "no files",
		"<html>":                  "HTML page",
	} {
		if _, err := ParseScrape(200, []byte(body), a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestPackets(t *testing.T) {
	if got := string(AppendConnect(nil, 0x61626364)); got != "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd" {
		t.Errorf("connect: %q", got)
	}
	r := sample()
	r.URL, r.Event = "udp://t.example:80", Started
	want := "\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x01abcd" + string(bytesHash.V1[:]) + "-XX0001-abcdefghijkl" +
		"\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\xbe\xef\x00\x00\x00\x32\x1a\xe1"
	if got := string(AppendAnnounce(nil, 7, 0x61626364, &r)); got != want {
		t.Errorf("announce:\n%q, want\n%q", got, want)
	}
	// BEP 41: path and query follow, in pieces of at most 255 bytes.
	long := strings.Repeat("k", 300)
	r.URL = "udp://t.example:80/announce?k=" + long
	data := "/announce?k=" + long
	if got := string(AppendAnnounce(nil, 7, 0x61626364, &r)[98:]); got != "\x02\xff"+data[:255]+"\x02"+string(rune(len(data)-255))+data[255:] {
		t.Errorf("URL data: %q", got)
	}
	if got := string(AppendScrape(nil, 7, 0x61626364, bytesHash.V1)); got != "\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x02abcd"+string(bytesHash.V1[:]) {
		t.Errorf("scrape: %q", got)
	}
}

func TestParsePackets(t *testing.T) {
	const tr = 0x61626364
	if id, err := ParseConnect([]byte("\x00\x00\x00\x00abcd\x00\x00\x00\x00\x00\x00\x00\x09"), tr); id != 9 || err != nil {
		t.Errorf("connect: %d %v", id, err)
	}
	p := []byte("\x00\x00\x00\x01abcd\x00\x00\x07\x08\x00\x00\x00\x02\x00\x00\x00\x03\x01\x02\x03\x04\x1a\xe1xxx")
	r, err := ParseAnnouncePacket(p, tr, false)
	if err != nil || r.Interval != half || r.Leechers != 2 || r.Seeds != 3 || r.Finished != -1 || !slices.Equal(r.Peers, addrs("1.2.3.4:6881")) {
		t.Errorf("announce: %+v %v", r, err)
	}
	p = []byte("\x00\x00\x00\x01abcd\xff\xff\xff\xff\xff\xff\xff\xfe\x00\x00\x00\x03 \x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1")
	r, err = ParseAnnouncePacket(p, tr, true)
	if err != nil || r.Interval != 0 || r.Leechers != -1 || !slices.Equal(r.Peers, addrs("[2001:db8::1]:6881")) {
		t.Errorf("announce6: %+v %v", r, err)
	}
	c, err := ParseScrapePacket([]byte("\x00\x00\x00\x02abcd\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"), tr, 1)
	if err != nil || c[0] != (Counts{1, 3, 2}) {
		t.Errorf("scrape: %+v %v", c, err)
	}
	_, err = ParseConnect([]byte("\x00\x00\x00\x03abcdgo\x07 away"), tr)
	if err == nil || err.Error() != "tracker refused: go away" {
		t.Errorf("error: %v", err)
	}
	// BEP 15: what is too short, of another action or transaction is no answer.
	for _, p := range []string{
		"", "\x00\x00\x00\x01", "\x00\x00\x00\x01abcx" + strings.Repeat("\x00", 12), "\x00\x00\x00\x02abcd" + strings.Repeat("\x00", 12),
		"\x00\x00\x00\x01abcd" + strings.Repeat("\x00", 11), "\x00\x00\x00\x03abcxno",
	} {
		if _, err := ParseAnnouncePacket([]byte(p), tr, false); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestEventNames(t *testing.T) {
	var names []string
	for e := None; e <= Stopped; e++ {
		names = append(names, e.String())
	}
	if !slices.Equal(names, []string{"", "completed", "started", "stopped"}) {
		t.Error(names)
	}
}
