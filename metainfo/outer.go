package metainfo

import (
	"slices"
	"strings"

	"github.com/shoal-bt/shoal/bencode"
)

// outerDict holds the values of a torrent file outside its info dictionary. Of
// repeated keys the first counts.
type outerDict struct {
	info, layers, magnet         bencode.Value
	announce, announceList       bencode.Value
	nodes, urlList, httpSeeds    bencode.Value
	comment, commentUTF8         bencode.Value
	createdBy, createdByUTF8     bencode.Value
	created, similar, collection bencode.Value

	pairs []pair // everything, sorted and unique
}

func (d *outerDict) field(key string) *bencode.Value {
	switch key {
	case "info":
		return &d.info
	case "piece layers":
		return &d.layers
	case "magnet-uri":
		return &d.magnet
	case "announce":
		return &d.announce
	case "announce-list":
		return &d.announceList
	case "nodes":
		return &d.nodes
	case "url-list":
		return &d.urlList
	case "httpseeds":
		return &d.httpSeeds
	case "comment":
		return &d.comment
	case "comment.utf-8":
		return &d.commentUTF8
	case "created by":
		return &d.createdBy
	case "created by.utf-8":
		return &d.createdByUTF8
	case "creation date":
		return &d.created
	case "similar":
		return &d.similar
	case "collections":
		return &d.collection
	}
	return nil
}

// editable says that a key is one of Outer's, which With replaces.
func editable(key string) bool {
	var d outerDict
	f := d.field(key)
	return f != nil && f != &d.info && f != &d.layers && f != &d.magnet
}

func readOuter(top bencode.Value) outerDict {
	var d outerDict
	for k, v := range top.Dict() {
		if dst := d.field(string(k)); dst != nil && dst.Kind() == bencode.None {
			*dst = v
		}
		d.pairs = append(d.pairs, pair{string(k), v.Raw()})
	}
	slices.SortStableFunc(d.pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	d.pairs = slices.CompactFunc(d.pairs, func(a, b pair) bool { return a.key == b.key })
	return d
}

// fill copies what is sound into t. Nothing here makes a torrent invalid.
func (d *outerDict) fill(t *Torrent) {
	t.Trackers = readTrackers(d.announceList, d.announce)
	t.Nodes = readNodes(d.nodes)
	t.WebSeeds = readWebSeeds(d.urlList, len(t.Files) > 1)
	t.HTTPSeeds = readWebSeeds(d.httpSeeds, false)
	t.Comment = textOf(d.commentUTF8, d.comment)
	t.CreatedBy = textOf(d.createdByUTF8, d.createdBy)
	t.CreationDate = max(intOr(d.created, 0), 0)
	t.readSimilar(d.similar, d.collection)
}

// textOf is the first string that is not empty, as UTF-8.
func textOf(values ...bencode.Value) string {
	for _, v := range values {
		if s := v.Text(); s != "" {
			return cut(validText(s))
		}
	}
	return ""
}

// readTrackers reads BEP 12: "if the client supports the multitracker
// specification, and if the announce-list key is present, the client will ignore
// the announce key and only use the URLs in announce-list." It is used all the
// same when no URL of the list is sound.
func readTrackers(list, announce bencode.Value) [][]string {
	var r trackerReader
	for tier := range list.List() {
		r.tier(tier.List())
	}
	if len(r.tiers) == 0 {
		r.tier(func(yield func(bencode.Value) bool) { yield(announce) })
	}
	return r.tiers
}

type trackerReader struct {
	tiers [][]string
	seen  map[string]bool
}

func (r *trackerReader) tier(urls func(func(bencode.Value) bool)) {
	var tier []string
	for v := range urls {
		url := strings.TrimSpace(v.Text())
		if !validTracker(url) || r.seen[url] || len(r.seen) == maxTrackers {
			continue
		}
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[url] = true
		tier = append(tier, url)
	}
	if tier != nil {
		r.tiers = append(r.tiers, tier)
	}
}

// readNodes reads BEP 5: "nodes = [["<host>", <port>], ["<host>", <port>], ...]".
func readNodes(list bencode.Value) []HostPort {
	var out []HostPort
	for v := range list.List() {
		node := slices.Collect(v.List())
		if len(node) < 2 || len(out) == maxNodes {
			continue
		}
		host := node[0].Text()
		port := intOr(node[1], 0)
		if validHost(host) && port > 0 && port < 1<<16 {
			out = append(out, HostPort{host, uint16(port)})
		}
	}
	return out
}

// readWebSeeds reads url-list, which is a list or (BEP 19) a single string.
// BEP 19: in multi-file torrents the URL is of a folder, "the client will need to
// add / at the end".
func readWebSeeds(v bencode.Value, folder bool) []string {
	urls := slices.Collect(v.List())
	if v.Kind() == bencode.String {
		urls = append(urls, v)
	}
	var out []string
	seen := map[string]bool{}
	for _, u := range urls {
		url, ok := cleanWebSeed(u.Text(), folder)
		if ok && !seen[url] && len(out) < maxWebSeeds {
			seen[url] = true
			out = append(out, url)
		}
	}
	return out
}

// readSimilar reads BEP 38, in the info dictionary as well as outside it.
func (t *Torrent) readSimilar(similar, collections bencode.Value) {
	for v := range similar.List() {
		if b, _ := v.Bytes(); len(b) == 20 && len(t.Similar) < maxSimilar {
			t.Similar = append(t.Similar, [20]byte(b))
		}
	}
	for v := range collections.List() {
		if b, ok := v.Bytes(); ok && len(t.Collections) < maxSimilar {
			t.Collections = append(t.Collections, cut(validText(string(b))))
		}
	}
}
