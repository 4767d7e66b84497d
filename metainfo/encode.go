package metainfo

import (
	"slices"
	"strings"

	"github.com/shoal-bt/shoal/bencode"
)

// Encode is the torrent file. A loaded file comes back byte for byte, unless its
// outermost dictionary was not canonical or something followed it: keys come
// back sorted and unique, and every value, known or not, as it was. The info
// dictionary is never re-encoded.
func (t *Torrent) Encode() []byte {
	n := 2
	for _, p := range t.pairs {
		n += len(p.key) + len(p.value) + 12
	}
	b := append(make([]byte, 0, n), 'd')
	for _, p := range t.pairs {
		b = bencode.AppendString(b, p.key)
		b = append(b, p.value...)
	}
	return append(b, 'e')
}

// With is the same torrent with something else outside its info dictionary. Keys
// that Outer does not know stay as they are.
func (t *Torrent) With(o Outer) *Torrent {
	c := *t
	c.Outer = o
	c.pairs = nil
	for _, p := range t.pairs {
		if !editable(p.key) {
			c.pairs = append(c.pairs, p)
		}
	}
	c.pairs = append(c.pairs, o.pairs()...)
	slices.SortFunc(c.pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return &c
}

// pairs encodes what is set. BEP 12 wants announce too when there is a list.
func (o *Outer) pairs() []pair {
	var out []pair
	add := func(key string, set bool, v any) {
		if raw, err := bencode.Encode(v); set && err == nil {
			out = append(out, pair{key, raw})
		}
	}
	urls := slices.Concat(o.Trackers...)
	if len(urls) > 0 {
		add("announce", true, urls[0])
	}
	add("announce-list", len(urls) > 1, listOf(o.Trackers, func(tier []string) any { return tier }))
	add("nodes", len(o.Nodes) > 0, listOf(o.Nodes, func(n HostPort) any { return bencode.L{n.Host, int(n.Port)} }))
	add("url-list", len(o.WebSeeds) > 0, o.WebSeeds)
	add("httpseeds", len(o.HTTPSeeds) > 0, o.HTTPSeeds)
	add("comment", o.Comment != "", o.Comment)
	add("created by", o.CreatedBy != "", o.CreatedBy)
	add("creation date", o.CreationDate > 0, o.CreationDate)
	add("similar", len(o.Similar) > 0, listOf(o.Similar, func(h [20]byte) any { return h[:] }))
	add("collections", len(o.Collections) > 0, o.Collections)
	return out
}

func listOf[T any](in []T, f func(T) any) bencode.L {
	out := bencode.L{}
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}
