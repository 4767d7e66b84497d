package main

import (
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

const (
	someHash = "c0fda1edafdbdbb96443424e0b3899af7159d10e"
	someKey  = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e" // of BEP 46
)

// A SOURCE is what it looks like, but a file of that name comes first.
func TestSources(t *testing.T) {
	s := newSwarm(t, options{files: payload{"x": 1000}, idle: true})
	raw, _ := hex.DecodeString(someHash)
	t.Chdir(t.TempDir())
	writeFile(t, strings.Repeat("ab", 20), s.meta.Encode())
	linkFile := filepath.Join(t.TempDir(), "link.torrent")
	link := "magnet:?xt=urn:btih:" + someHash
	writeFile(t, linkFile, []byte(fmt.Sprintf("d10:magnet-uri%d:%se", len(link), link)))
	for _, c := range []struct{ source, in, want string }{
		{someHash, "", someHash},
		{strings.ToUpper(someHash), "", someHash},
		{base32.StdEncoding.EncodeToString(raw), "", someHash},
		{link + "&dn=a%20b", "", "a b"},
		{"magnet:?xs=urn:btpk:" + someKey, "", "xs=urn:btpk:" + someKey},
		{s.file, "", "data"},
		{strings.Repeat("ab", 20), "", "data"},
		{"-", string(s.meta.Encode()), "data"},
		{"-", " " + link + "\n", someHash},
		{"-", someHash + "\n", someHash},
		{linkFile, "", someHash},
	} {
		w, err := wantedSource(streams{in: strings.NewReader(c.in)}, c.source)
		if err != nil || w.name() != c.want {
			t.Errorf("%.60s: %v, named %q", c.source, err, w.name())
		}
	}
	for source, code := range map[string]int{
		"nosuchfile": exitNotFound, "-": exitBadTorrent, "magnet:?xt=urn:btih:1": exitBadTorrent, "http://example.invalid/x.torrent": exitUsage, ".": exitBadTorrent,
	} {
		if _, err := wantedSource(streams{in: strings.NewReader("nothing")}, source); exitCode(err) != code {
			t.Errorf("%s: exit %d, want %d: %v", source, exitCode(err), code, err)
		}
	}
}

// What the link selects holds, unless the user says otherwise.
func TestSelectionOfLinks(t *testing.T) {
	s := newSwarm(t, options{name: "show", files: payload{"a.mkv": 1, "b.txt": 2, "c.mkv": 3, "d.nfo": 4}, idle: true})
	link := func(so string) *metainfo.Magnet {
		m, err := metainfo.ParseMagnet("magnet:?xt=urn:btih:" + someHash + so)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		so   string
		sel  selection
		want string
	}{
		{"", selection{}, "[4 4 4 4]"},
		{"&so=0,2-3", selection{}, "[4 0 4 4]"},
		{"&so=0,2", selection{excludes: []string{"a*"}}, "[0 0 4 0]"},
		{"&so=0,2", selection{files: "2"}, "[0 4 0 0]"},
		{"&so=0", selection{selects: []string{"*.nfo"}}, "[0 0 0 4]"},
		{"&so=9", selection{}, "the link selects none of its 4 files"},
		{"&so=9", selection{files: "1"}, "[4 0 0 0]"},
		{"&so=1", selection{excludes: []string{"b*"}}, "no file of show is selected"},
	} {
		prio, err := c.sel.priorities(s.meta, link(c.so))
		if got := fmt.Sprintf("%d", prio); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %s, %v", c.so, c.sel, got, err)
		}
	}
}

// shoal info of a link asks nobody.
func TestInfoOfLinks(t *testing.T) {
	link := "magnet:?xt=urn:btih:" + someHash + "&dn=a%1bb&xl=2048&tr=udp%3A%2F%2Ft.example%3A80&ws=http%3A%2F%2Fw.example%2Fx&x.pe=1.2.3.4:5&dht=n.example:6&so=0,2-3"
	out := shoal("info", link).want(t, 0).out
	for _, line := range []string{"name          a�b", "info-hash     " + someHash, "kind          link", "size          2048 bytes (2.0 KiB)", "tier 1        udp://t.example:80",
		"web seed      http://w.example/x", "peer          1.2.3.4:5", "node          n.example:6", "files         1,3-4"} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(shoal("info", link, "--json").want(t, 0).out), &m); err != nil || m["infohash"] != someHash || m["kind"] != "link" ||
		m["select"] != "1,3-4" || m["size"] != 2048.0 || fmt.Sprint(m["peers"], m["nodes"], m["trackers"]) != "[1.2.3.4:5] [n.example:6] [[udp://t.example:80]]" {
		t.Errorf("%v %v", err, m)
	}
	out = shoal("info", "magnet:?xs=urn:btpk:"+someKey+"&s=6e").want(t, 0).out
	if !strings.Contains(out, "key           "+someKey+"\nsalt          6e\n") || strings.Contains(out, "info-hash") {
		t.Errorf("a torrent that changes:\n%s", out)
	}
	if o := shoal("magnet", "magnet:?dn=x&xt=urn:btih:"+strings.ToUpper(someHash)).want(t, 0); o.out != "magnet:?xt=urn:btih:"+someHash+"&dn=x\n" {
		t.Errorf("tidied: %s", o.out)
	}
}

// Before it is known what there is to download, progress tells of the metadata.
func TestProgressOfMetadata(t *testing.T) {
	p := progress{eta: -1, phase: "metadata", TorrentStats: engine.TorrentStats{Name: "nick", State: engine.FetchingMetadata, Peers: 4, Known: 9}}
	if got := plainLine(p); got != "nick, metadata, 4 peers" {
		t.Error(got)
	}
	p.MetadataDone, p.MetadataTotal, p.said = 3, 12, "trackers 1/2 ok"
	if got := plainLine(p); got != "nick, metadata 3/12 pieces, 4 peers" {
		t.Error(got)
	}
	if got := strings.Join(fullView(p, nil, 80, false), "\n"); got != "nick  metadata 3/12 pieces\n 4 peers, 9 addresses known  trackers 1/2 ok" {
		t.Errorf("%q", got)
	}
	p = progress{eta: -1, phase: resolving, TorrentStats: engine.TorrentStats{Name: "key"}}
	if got := plainLine(p); got != "key, looking up what the key names" {
		t.Error(got)
	}
	var b safeBuffer
	(&jsonReporter{st: streams{out: &b}}).progress(progress{eta: -1, phase: "metadata",
		TorrentStats: engine.TorrentStats{State: engine.FetchingMetadata, MetadataDone: 3, MetadataTotal: 12}})
	if e := events(t, b.String())[0]; e.text("state") != "metadata" || e.num("metadata_done") != 3 || e.num("metadata_pieces") != 12 {
		t.Errorf("%v", e)
	}
}
