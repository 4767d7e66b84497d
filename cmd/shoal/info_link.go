package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/shoal-bt/shoal/metainfo"
)

// describeLink is all that a link says, for programs. Names are those of a torrent
// where the same is meant.
func describeLink(m *metainfo.Magnet) map[string]any {
	d := map[string]any{"kind": "link", "magnet": m.String(), "trackers": nonNil(m.Trackers)}
	if !m.Hash.IsZero() {
		d["infohash"] = m.Hash.String()
	}
	if m.Hash.HasV1 {
		d["infohash_v1"] = hex.EncodeToString(m.Hash.V1[:])
	}
	if m.Hash.HasV2 {
		d["infohash_v2"] = hex.EncodeToString(m.Hash.V2[:])
	}
	if m.Mutable != nil {
		d["key"], d["salt"] = hex.EncodeToString(m.Mutable.Key[:]), hex.EncodeToString([]byte(m.Mutable.Salt))
	}
	if m.Name != "" {
		d["name"] = m.Name
	}
	if m.Length > 0 {
		d["size"] = m.Length
	}
	for key, list := range map[string][]string{"web_seeds": m.WebSeeds, "peers": hostTexts(m.Peers), "nodes": hostTexts(m.Nodes),
		"sources": m.Sources, "accept": m.Accept} {
		if len(list) > 0 {
			d[key] = list
		}
	}
	if len(m.Select) > 0 {
		d["select"] = rangesText(m.Select)
	}
	return d
}

func hostTexts(list []metainfo.HostPort) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = h.String()
	}
	return out
}

// rangesText writes files as --files takes them: numbers from 1 on.
func rangesText(list []metainfo.FileRange) string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = fmt.Sprint(r.First + 1)
		if r.Last > r.First {
			out[i] += fmt.Sprint("-", r.Last+1)
		}
	}
	return strings.Join(out, ",")
}

// printLink is what a link says, for people.
func printLink(w io.Writer, m *metainfo.Magnet) {
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-14s%s\n", name, printable(text))
		}
	}
	row("name", m.Name)
	if m.Hash.HasV1 {
		row("info-hash", hex.EncodeToString(m.Hash.V1[:]))
	}
	if m.Hash.HasV2 {
		row("info-hash v2", hex.EncodeToString(m.Hash.V2[:]))
	}
	if m.Mutable != nil {
		row("key", hex.EncodeToString(m.Mutable.Key[:]))
		row("salt", hex.EncodeToString([]byte(m.Mutable.Salt)))
		row("note", "what it names now the DHT knows: shoal dht get")
	}
	row("kind", "link")
	if m.Length > 0 {
		row("size", fmt.Sprintf("%d bytes (%s)", m.Length, size(m.Length)))
	}
	for i, tier := range m.Trackers {
		row(fmt.Sprintf("tier %d", i+1), strings.Join(tier, " "))
	}
	for _, u := range m.WebSeeds {
		row("web seed", u)
	}
	for _, p := range m.Peers {
		row("peer", p.String())
	}
	for _, n := range m.Nodes {
		row("node", n.String())
	}
	if len(m.Select) > 0 {
		row("files", rangesText(m.Select))
	}
	if !m.Hash.HasV1 && m.Hash.HasV2 {
		row("note", "this version shows v2-only torrents but can't download them yet")
	}
}
