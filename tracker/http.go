package tracker

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// unknownLeft is what we say is left, in bytes, before the metadata has come: any
// number but 0, which would make us a seed. It is the one that libtorrent uses.
const unknownLeft = 16384

// swarmID returns the 20 bytes by which trackers know a torrent. BEP 52: trackers
// get the v2 info-hash "truncated to 20 bytes".
func swarmID(h metainfo.Hash) [20]byte {
	if h.HasV1 {
		return h.V1
	}
	return [20]byte(h.V2[:20])
}

// AnnounceURL returns the URL that announces r over HTTP. The order of parameters
// is fixed: some private trackers recognise clients by it.
func AnnounceURL(r *Request) string {
	var q query
	id := swarmID(r.InfoHash)
	left := r.Facts.Left
	if left < 0 {
		left = unknownLeft
	}
	q.begin(r.URL)
	q.raw("info_hash", id[:])
	q.raw("peer_id", r.PeerID[:])
	q.number("port", int64(r.Port))
	q.number("uploaded", r.Facts.Uploaded)
	q.number("downloaded", r.Facts.Downloaded)
	q.number("left", left)
	q.number("corrupt", r.Facts.Corrupt)
	q.text("key", key(r.Key))
	if e := r.Event.String(); e != "" {
		q.text("event", e)
	}
	q.number("numwant", int64(want(r)))
	q.text("compact", "1") // BEP 23
	q.text("no_peer_id", "1")
	q.address("ipv4", r.Address4, r.Family != IPv4) // BEP 7
	q.address("ipv6", r.Address6, r.Family != IPv6)
	if r.TrackerID != "" {
		q.raw("trackerid", []byte(r.TrackerID))
	}
	return q.String()
}

// ScrapesURL returns the URL that scrapes up to MaxScrape torrents at the tracker
// of an announce URL; ok is false if it cannot be scraped.
func ScrapesURL(announce string, ids ...[20]byte) (_ string, ok bool) {
	base, ok := ScrapeURL(announce)
	if !ok {
		return "", false
	}
	var q query
	q.begin(base)
	for i := range ids[:min(len(ids), MaxScrape)] {
		q.raw("info_hash", ids[i][:])
	}
	return q.String(), true
}

// want is the number of peers to ask for. Who leaves wants none.
func want(r *Request) int32 {
	if r.Event == Stopped {
		return 0
	}
	return min(max(r.Facts.Wanted, 0), MaxWant)
}

// key is written like most clients write it, 8 hexadecimal digits.
func key(k uint32) string {
	s := strings.ToUpper(strconv.FormatUint(uint64(k), 16))
	return "00000000"[len(s):] + s
}

// String is the event's name in BEP 3, "" for None: "If not present, this is one of
// the announcements done at regular intervals."
func (e Event) String() string {
	switch e {
	case Started:
		return "started"
	case Completed:
		return "completed"
	case Stopped:
		return "stopped"
	}
	return ""
}

// query appends parameters to a URL that may already have some.
type query struct {
	strings.Builder
	sep byte
}

func (q *query) begin(url string) {
	url, _, _ = strings.Cut(url, "#")
	q.WriteString(url)
	q.sep = '?'
	if strings.Contains(url, "?") {
		q.sep = '&'
	}
}

func (q *query) name(k string) {
	if s := q.String(); q.sep != '&' || !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "&") {
		q.WriteByte(q.sep)
	}
	q.sep = '&'
	q.WriteString(k)
	q.WriteByte('=')
}

func (q *query) number(k string, n int64) { q.text(k, strconv.FormatInt(max(n, 0), 10)) }

func (q *query) text(k, v string) {
	q.name(k)
	q.WriteString(v)
}

func (q *query) address(k string, a netip.Addr, tell bool) {
	if tell && a.IsValid() {
		q.raw(k, []byte(a.WithZone("").String()))
	}
}

// raw escapes bytes. RFC 3986, section 2.3: letters, digits, '-', '.', '_' and '~'
// stand for themselves; everything else is %XX.
func (q *query) raw(k string, b []byte) {
	const hex = "0123456789ABCDEF"
	q.name(k)
	for _, c := range b {
		if unreserved(c) {
			q.WriteByte(c)
			continue
		}
		q.WriteByte('%')
		q.WriteByte(hex[c>>4])
		q.WriteByte(hex[c&15])
	}
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
