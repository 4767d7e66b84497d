package metainfo

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// String is the link. Parsing it gives the same Magnet.
func (m *Magnet) String() string {
	var l link
	if m.Hash.HasV1 {
		l.raw("xt", "urn:btih:"+hex.EncodeToString(m.Hash.V1[:]))
	}
	if m.Hash.HasV2 {
		l.raw("xt", "urn:btmh:"+sha256Multihash+hex.EncodeToString(m.Hash.V2[:]))
	}
	if m.Name != "" {
		l.add("dn", m.Name)
	}
	if m.Length > 0 {
		l.raw("xl", strconv.FormatInt(m.Length, 10))
	}
	m.addTrackers(&l)
	l.all("ws", m.WebSeeds)
	l.addresses("x.pe", m.Peers)
	l.addresses("dht", m.Nodes)
	if len(m.Select) > 0 {
		l.raw("so", m.selection())
	}
	if m.Mutable != nil {
		l.part(m.Mutable.String())
	}
	l.all("xs", m.Sources)
	l.all("as", m.Accept)
	return "magnet:?" + l.String()
}

// addTrackers numbers the tiers only if one has several trackers: nobody needs
// the numbers else, and few programs read them.
func (m *Magnet) addTrackers(l *link) {
	numbered := slices.ContainsFunc(m.Trackers, func(tier []string) bool { return len(tier) > 1 })
	for i, tier := range m.Trackers {
		name := "tr"
		if numbered {
			name += "." + strconv.Itoa(i+1)
		}
		l.all(name, tier)
	}
}

func (m *Magnet) selection() string {
	var parts []string
	for _, r := range m.Select {
		s := strconv.Itoa(int(r.First))
		if r.Last != r.First {
			s += "-" + strconv.Itoa(int(r.Last))
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ",")
}

// link builds "a=1&b=2".
type link struct{ strings.Builder }

func (l *link) raw(name, value string) { l.part(name + "=" + value) }

// part adds what is written already.
func (l *link) part(s string) {
	if l.Len() > 0 {
		l.WriteByte('&')
	}
	l.WriteString(s)
}

func (l *link) add(name, value string) { l.raw(name, escape(value)) }

func (l *link) all(name string, values []string) {
	for _, v := range values {
		l.add(name, v)
	}
}

func (l *link) addresses(name string, hosts []HostPort) {
	for _, h := range hosts {
		l.raw(name, strings.ReplaceAll(h.String(), "%", "%25"))
	}
}

// escape leaves only what RFC 3986 calls unreserved.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; alphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString(escapeByte(c))
		}
	}
	return b.String()
}
