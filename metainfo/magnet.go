package metainfo

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxMagnet is the longest link that is read, in bytes.
	MaxMagnet = 1 << 20
	// maxMagnetItems is how many trackers, web seeds, peers and so on of a link
	// are kept each; what comes after them is ignored.
	maxMagnetItems = 100
	// maxRanges is how many ranges of files a link may select.
	maxRanges = 10_000
)

// Magnet is what a magnet link says (BEP 9, 46, 53).
type Magnet struct {
	Hash     Hash        // xt: urn:btih (v1), urn:btmh (v2), or both for a hybrid
	Name     string      // dn, hostile text
	Length   int64       // xl, bytes; 0 if not given
	Trackers [][]string  // tr: each its own tier; those of one tr.N together
	WebSeeds []string    // ws
	Peers    []HostPort  // x.pe
	Nodes    []HostPort  // dht
	Select   []FileRange // so, sorted and merged; empty means all files
	Mutable  *MutableKey // xs=urn:btpk, s (BEP 46): then Hash may be zero
	Sources  []string    // other xs, not followed by anything here
	Accept   []string    // as, likewise
}

// FileRange selects the files First to Last, both included.
type FileRange struct{ First, Last FileIndex }

// ParseLink reads a magnet link or a bare info-hash, see ParseHash. Errors are
// *Error of code InvalidMagnet, MissingInfoHash, InvalidInfoHash or
// UnsupportedScheme.
func ParseLink(s string) (*Magnet, error) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, ":") {
		return ParseMagnet(s)
	}
	h, err := ParseHash(s)
	if err != nil {
		return nil, err
	}
	return &Magnet{Hash: h}, nil
}

// ParseMagnet reads a magnet link. What it does not know is ignored, and so are
// broken trackers, web seeds and peers, since links in the wild have many. A
// broken or contradictory info-hash, key, size or selection is an error. There is an
// info-hash or a key.
func ParseMagnet(s string) (*Magnet, error) {
	s = strings.TrimSpace(s)
	if len(s) > MaxMagnet {
		return nil, &Error{InvalidMagnet, fmt.Sprintf("longer than %d KiB", MaxMagnet>>10)}
	}
	scheme, rest, _ := strings.Cut(s, ":")
	if !strings.EqualFold(scheme, "magnet") {
		return nil, &Error{UnsupportedScheme, fmt.Sprintf("%s is no magnet link", quote(s))}
	}
	_, query, ok := strings.Cut(rest, "?")
	if !ok {
		return nil, &Error{InvalidMagnet, "there is no \"?\" after \"magnet:\""}
	}
	r := magnetReader{m: &Magnet{}, tiers: map[string]int{}}
	for param := range strings.SplitSeq(query, "&") {
		if err := r.param(param); err != nil {
			return nil, err
		}
	}
	if err := r.addSalt(); err != nil {
		return nil, err
	}
	if r.m.Hash.IsZero() && r.m.Mutable == nil {
		return nil, &Error{Code: MissingInfoHash}
	}
	r.m.Select = mergeRanges(r.m.Select)
	return r.m, nil
}

type magnetReader struct {
	m     *Magnet
	tiers map[string]int // of numbered trackers, the number's tier
	salt  string         // s, in hexadecimal
}

func (r *magnetReader) param(p string) error {
	name, value, _ := strings.Cut(p, "=")
	// Links are copied out of HTML with "&amp;" in them.
	name = strings.TrimPrefix(strings.ToLower(unescape(name)), "amp;")
	name, number := cutNumber(name)
	switch name {
	case "xt":
		return r.topic(unescape(value))
	case "dn":
		r.m.Name = cut(validText(unescape(strings.ReplaceAll(value, "+", " "))))
	case "xl":
		return r.length(value)
	case "so":
		return r.selection(unescape(value))
	case "tr":
		r.tracker(number, strings.TrimSpace(unescape(value)))
	case "ws":
		if url, ok := cleanWebSeed(unescape(value), false); ok {
			r.m.WebSeeds = appendNew(r.m.WebSeeds, url)
		}
	case "xs":
		return r.source(unescape(value))
	case "s":
		r.salt = unescape(value)
	case "as":
		r.m.Accept = appendNew(r.m.Accept, cut(validText(unescape(value))))
	case "x.pe":
		r.m.Peers = appendHostPort(r.m.Peers, unescape(value))
	case "dht":
		r.m.Nodes = appendHostPort(r.m.Nodes, unescape(value))
	}
	return nil
}

// cutNumber takes ".1" off a name.
func cutNumber(name string) (base, number string) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || strings.Trim(name[i+1:], "0123456789") != "" {
		return name, ""
	}
	return name[:i], name[i+1:]
}

// topic reads xt. BEP 9: "magnet:?xt=urn:btih:<info-hash>"; BEP 52: "a magnet
// link with v2: urn:btmh:<tagged-info-hash>". Other topics are of other networks.
func (r *magnetReader) topic(v string) error {
	var h Hash
	var err error
	switch low := strings.ToLower(v); {
	case strings.HasPrefix(low, "urn:btih:"):
		h, err = parseV1(v[len("urn:btih:"):])
	case strings.HasPrefix(low, "urn:btmh:"):
		digits, ok := strings.CutPrefix(v[len("urn:btmh:"):], sha256Multihash)
		if h, err = parseV2(digits); !ok {
			err = &Error{InvalidInfoHash, fmt.Sprintf("%s is no SHA-256 multihash", quote(v))}
		}
	}
	if err != nil {
		return err
	}
	if !h.IsZero() && !r.m.Hash.IsZero() && r.m.Hash.Merge(h) != h.Merge(r.m.Hash) {
		return &Error{InvalidMagnet, "two different torrents in one link"}
	}
	r.m.Hash = r.m.Hash.Merge(h)
	return nil
}

func (r *magnetReader) length(v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return &Error{InvalidMagnet, fmt.Sprintf("size xl=%s is no number of bytes", quote(v))}
	}
	r.m.Length = n
	return nil
}

// tracker adds to a tier of its own, or to the tier of that number.
func (r *magnetReader) tracker(number, url string) {
	if !validTracker(url) || len(r.m.allTrackers()) == maxMagnetItems || slices.Contains(r.m.allTrackers(), url) {
		return
	}
	if tier, ok := r.tiers[number]; ok && number != "" {
		r.m.Trackers[tier] = append(r.m.Trackers[tier], url)
		return
	}
	r.tiers[number] = len(r.m.Trackers)
	r.m.Trackers = append(r.m.Trackers, []string{url})
}

func (m *Magnet) allTrackers() []string { return slices.Concat(m.Trackers...) }

// selection reads BEP 53's "so=0,2,4,6-8": indexes of files and ranges of them.
func (r *magnetReader) selection(v string) error {
	for part := range strings.SplitSeq(v, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 31)
		b, errB := strconv.ParseUint(last, 10, 31)
		if errA != nil || errB != nil || a > b || b >= MaxFiles {
			return &Error{InvalidMagnet, fmt.Sprintf("selection so: %s is no file index or range", quote(part))}
		}
		if len(r.m.Select) == maxRanges {
			return &Error{InvalidMagnet, fmt.Sprintf("selection so has more than %d ranges", maxRanges)}
		}
		r.m.Select = append(r.m.Select, FileRange{FileIndex(a), FileIndex(b)})
	}
	return nil
}

// mergeRanges sorts ranges and joins those that touch.
func mergeRanges(in []FileRange) []FileRange {
	slices.SortFunc(in, func(a, b FileRange) int { return cmp.Compare(a.First, b.First) })
	out := in[:0]
	for _, f := range in {
		if n := len(out); n > 0 && f.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, f.Last)
			continue
		}
		out = append(out, f)
	}
	return out
}

// Selects says whether the link selects file f: all are if none is named.
func (m *Magnet) Selects(f FileIndex) bool {
	return len(m.Select) == 0 || slices.ContainsFunc(m.Select, func(r FileRange) bool { return r.First <= f && f <= r.Last })
}

func appendNew(list []string, s string) []string {
	if s == "" || len(list) == maxMagnetItems || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func appendHostPort(list []HostPort, s string) []HostPort {
	hp, err := ParseHostPort(s)
	if err != nil || len(list) == maxMagnetItems || slices.Contains(list, hp) {
		return list
	}
	return append(list, hp)
}

// ParseHostPort reads host:port, with brackets around a literal IPv6 address.
// BEP 9: "hostname:port, ipv4-literal:port, [ipv6-literal]:port". It does not
// look anything up.
func ParseHostPort(s string) (HostPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i > 0 {
		host := s[:i]
		if inner, ok := strings.CutPrefix(host, "["); ok {
			host, ok = strings.CutSuffix(inner, "]")
			if !ok || !validIPv6(host) {
				host = ""
			}
		} else if strings.Contains(host, ":") {
			host = ""
		}
		if port, err := strconv.ParseUint(s[i+1:], 10, 16); err == nil && port > 0 && validHost(host) {
			return HostPort{host, uint16(port)}, nil
		}
	}
	return HostPort{}, fmt.Errorf("%s is not host:port", quote(s))
}

// String is host:port, with brackets around a literal IPv6 address.
func (h HostPort) String() string {
	if strings.Contains(h.Host, ":") {
		return "[" + h.Host + "]:" + strconv.Itoa(int(h.Port))
	}
	return h.Host + ":" + strconv.Itoa(int(h.Port))
}

// unescape decodes %XX; what is no such escape stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
