package tracker

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// sane checks what holds for every answer, whatever the tracker has sent.
func sane(t *testing.T, r Response, err error) {
	t.Helper()
	if len(r.Peers) > MaxPeers {
		t.Errorf("%d peers", len(r.Peers))
	}
	for _, p := range r.Peers {
		if a := p.Addr(); p.Port() == 0 || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() || a.Zone() != "" {
			t.Errorf("peer %v", p)
		}
	}
	for _, d := range []time.Duration{r.Interval, r.MinInterval} {
		if d < 0 || d > MaxInterval {
			t.Errorf("interval %v", d)
		}
	}
	if r.RetryIn < -1 || r.RetryIn > MaxInterval {
		t.Errorf("retry in %v", r.RetryIn)
	}
	if r.Seeds < -1 || r.Leechers < -1 || r.Finished < -1 || len(r.TrackerID) > MaxTrackerID {
		t.Errorf("%+v", r)
	}
	words := r.Warning
	if err != nil {
		words += err.Error()
	}
	if !utf8.ValidString(words) || len(words) > 3*MaxText || strings.ContainsFunc(words, unicode.IsControl) {
		t.Errorf("words %q", words)
	}
}

func FuzzParseAnnounce(f *testing.F) {
	for _, s := range []string{
		"", "de", "<html>", "d14:failure reason3:abc8:retry in5:nevere",
		"d8:completei5e10:downloadedi7e11:external ip4:\x01\x02\x03\x0410:incompletei6e8:intervali1800e12:min intervali60e5:peers6:\x01\x02\x03\x04\x1a\xe16:peers618: \x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe110:tracker id3:abc15:warning message1:we",
		"d5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eeee",
		"d8:interval4:1800e\r\n",
	} {
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, err := ParseAnnounce(status, body)
		sane(t, r, err)
	})
}

func FuzzParseScrape(f *testing.F) {
	f.Add([]byte("d5:filesd20:bbbbbbbbbbbbbbbbbbbbd8:completei1e10:downloadedi2e10:incompletei3eeee"))
	f.Add([]byte("d14:failure reason3:abce"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseScrape(200, body, [20]byte([]byte("bbbbbbbbbbbbbbbbbbbb")), [20]byte{})
		if err == nil && len(got) != 2 {
			t.Errorf("%d counts for 2 torrents", len(got))
		}
		for _, c := range got {
			sane(t, Response{Seeds: c.Seeds, Leechers: c.Leechers, Finished: c.Finished}, err)
		}
	})
}

func FuzzPackets(f *testing.F) {
	for _, s := range []string{
		"\x00\x00\x00\x00abcd\x00\x00\x00\x00\x00\x00\x00\x09",
		"\x00\x00\x00\x01abcd\x00\x00\x07\x08\x00\x00\x00\x02\x00\x00\x00\x03\x01\x02\x03\x04\x1a\xe1xxx",
		"\x00\x00\x00\x02abcd\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03",
		"\x00\x00\x00\x03abcdgo away",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, p []byte, ipv6 bool) {
		const tr = 0x61626364
		r, err := ParseAnnouncePacket(p, tr, ipv6)
		sane(t, r, err)
		_, err = ParseConnect(p, tr)
		sane(t, Response{}, err)
		counts, err := ParseScrapePacket(p, tr, 2)
		if err == nil {
			sane(t, Response{Seeds: counts[1].Seeds, Leechers: counts[1].Leechers, Finished: counts[1].Finished}, nil)
		}
		if got, ok := Transaction(p); ok && got != tr {
			if _, err := ParseAnnouncePacket(p, tr, ipv6); !errors.Is(err, ErrNotOurs) {
				t.Errorf("took the answer to transaction %x", got)
			}
		}
	})
}

func FuzzURLs(f *testing.F) {
	for _, s := range []string{
		"http://a.example/announce", "https://u:p@a.example:1/x/announce?y=1#z", "udp://[::1]:80/a?b", "http://a/announce?", "wss://x", "http://a/?a&",
	} {
		f.Add(s, []byte("\x00 %&"))
	}
	f.Fuzz(func(t *testing.T, raw string, id []byte) {
		Redact(raw)
		u, err := ParseURL(raw)
		if err != nil {
			return
		}
		r := sample()
		r.URL, r.TrackerID, r.Address6 = raw, string(id), netip.IPv6Loopback()
		if u.Scheme == "udp" {
			if p := AppendAnnounce(nil, 1, 2, &r); len(p) < 98 || len(p) > 98+2*MaxURL*3 {
				t.Errorf("a packet of %d bytes", len(p))
			}
			return
		}
		// What we append arrives as it was meant, whatever stood there before.
		full, err := url.Parse(AnnounceURL(&r))
		if err != nil {
			t.Fatalf("%q: %v", AnnounceURL(&r), err)
		}
		if full.Host != u.Host || full.EscapedPath() != u.EscapedPath() {
			t.Errorf("%q became %q", raw, full)
		}
		_, ours, ok := strings.Cut("&"+full.RawQuery, "&info_hash=")
		if !ok {
			t.Fatalf("no info_hash in %q", full)
		}
		q, err := url.ParseQuery("info_hash=" + ours)
		if err != nil || q.Get("info_hash") != string(bytesHash.V1[:]) || q.Get("ipv6") != "::1" || q.Get("trackerid") != string(id) {
			t.Errorf("%q: %v %v", full, q, err)
		}
	})
}
