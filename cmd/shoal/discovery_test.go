package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// onlyDHT is what a transfer is told so that nobody but the DHT is asked.
func onlyDHT(node string) []string {
	return []string{"--port", "0", "--bind", "127.0.0.1", "--no-trackers", "--no-lsd", "--no-pex", "--dht-bootstrap", node}
}

// startNode runs a node of a DHT of its own.
func startNode(t *testing.T, args ...string) (*process, event) {
	t.Helper()
	p := start(t, append([]string{"dht", "serve", "--listen", "127.0.0.1:0", "--state-dir", t.TempDir(), "--json"}, args...)...)
	return p, p.await(t, func(e event) bool { return e.name() == "listening" })
}

// awaitPeer asks the DHT until it knows a peer.
func awaitPeer(t *testing.T, node, hash, peer string) {
	t.Helper()
	waitFor(t, func() bool {
		return strings.Contains(shoal("dht", "get-peers", hash, "--bootstrap", node, "--timeout", "5s").out, peer+"\n")
	})
}

// A link is enough: two programs find each other by a third, which serves the DHT, and
// nothing else. What the link names is fetched once, the next run needs nobody for it.
func TestLinkByDHT(t *testing.T) {
	t.Parallel()
	node, at := startNode(t, "--no-bootstrap")
	addr := at.text("addr")
	if a, err := netip.ParseAddrPort(addr); err != nil || int64(a.Port()) != at.num("port") || len(at.text("id")) != 40 {
		t.Fatalf("listening: %v", at)
	}
	s := newSwarm(t, options{idle: true})
	hash := s.meta.Hash.String()
	seed := start(t, append([]string{"seed", s.file, "--data", s.data, "--json"}, onlyDHT(addr)...)...)
	peer := seed.await(t, func(e event) bool { return e.name() == "listening" }).text("addr")
	awaitPeer(t, addr, hash, peer)

	out, state := t.TempDir(), t.TempDir()
	args := append([]string{"download", "magnet:?xt=urn:btih:" + hash + "&dn=nick", "-o", out, "--state-dir", state, "--json", "--timeout", "20s"}, onlyDHT(addr)...)
	evs := events(t, shoal(args...).want(t, 0).out)
	same(t, out, s.data)
	if e := of(evs, "added")[0]; e.text("name") != "nick" {
		t.Errorf("added: %v", e)
	}
	m := of(evs, "metadata")
	if len(m) != 1 || m[0].text("name") != "data" || m[0].num("size") != s.meta.Size() || m[0].num("files") != int64(len(s.meta.Files)) ||
		m[0].num("pieces") != int64(s.meta.Lengths.Pieces()) || m[0]["seconds"].(float64) <= 0 {
		t.Errorf("metadata: %v", m)
	}
	// The program that asks is not known to be there; what it prints is each peer once.
	o := shoal("peers", hash, "--dht-bootstrap", addr).want(t, 0)
	if strings.Count(o.out, peer+"\n") != 1 {
		t.Errorf("peers: %q, want %s", o.out, peer)
	}
	resolveByDHT(t, s, addr)
	interrupt(t, seed, 130)
	interrupt(t, node, 130)

	again := shoal(append([]string{"download", "magnet:?xt=urn:btih:" + hash, "-o", out, "--state-dir", state, "--json", "--timeout", "5s"},
		onlyDHT(addr)...)...).want(t, 0)
	if sum := last(t, events(t, again.out), "summary"); sum.num("bytes_down") != 0 || sum.num("bytes_done") != s.meta.Size() {
		t.Errorf("the second run, without anybody: %v", sum)
	}
}

// resolveByDHT fetches the torrent file of a link, byte for byte where it counts.
func resolveByDHT(t *testing.T, s *swarm, node string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "got.torrent")
	link := "magnet:?xt=urn:btih:" + s.meta.Hash.String() + "&tr=http%3A%2F%2Ft.example%2Fa&ws=http%3A%2F%2Fw.example%2Fx%2F"
	args := append([]string{"magnet", "--resolve", link, "-o", file, "--timeout", "20s", "--bind", "127.0.0.1", "--no-trackers", "--no-lsd"}, "--dht-bootstrap", node)
	if o := shoal(args...).want(t, 0); o.out != file+"\n" {
		t.Errorf("told %q", o.out)
	}
	got, err := metainfo.Load(readFile(t, file))
	if err != nil || string(got.Info()) != string(s.meta.Info()) || fmt.Sprint(got.Trackers, got.WebSeeds) != "[[http://t.example/a]] [http://w.example/x/]" {
		t.Errorf("%v: trackers %v, web seeds %v", err, got.Trackers, got.WebSeeds)
	}
	shoal(args...).want(t, 12).complains(t, file, "--force")
	shoal(append(args, "--force")...).want(t, 0)
}

// interrupt ends a program in good order.
func interrupt(t *testing.T, p *process, code int) outcome {
	t.Helper()
	sig := os.Interrupt
	if code == exitTerminated {
		sig = syscall.SIGTERM
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	return p.end(t).want(t, code)
}

// A link may name a peer, and nothing else is needed.
func TestLinkByItsPeer(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{name: "show", pieceLen: 16 << 10, files: payload{"a.mkv": 100_000, "b.txt": 50_000, "c.mkv": 70_000}})
	hash := s.meta.Hash.String()
	link := "magnet:?xt=urn:btih:" + hash + "&x.pe=" + s.peer
	for _, c := range []struct {
		source string
		flags  []string
		want   string
	}{
		{link, nil, "[show/a.mkv show/b.txt show/c.mkv]"},
		{link + "&so=0,2", nil, "[show/a.mkv show/c.mkv]"},
		{link + "&so=0,2", []string{"--files", "2"}, "[show/b.txt]"},
		{link, []string{"--select", "*.mkv", "--exclude", "c*"}, "[show/a.mkv]"},
		{hash, []string{"--peer", s.peer, "--private"}, "[show/a.mkv show/b.txt show/c.mkv]"},
	} {
		out := t.TempDir()
		shoal(append([]string{"download", c.source, "-o", out, "--port", "0", "--no-trackers", "--timeout", "20s"}, c.flags...)...).want(t, 0)
		if got := names(tree(t, out)); got != c.want {
			t.Errorf("%s %q: the folder holds %s, want %s", c.source[len(c.source)-6:], c.flags, got, c.want)
		}
	}
	// What is wrong with the choice shows when the files are known.
	shoal("download", link, "--files", "4", "-o", t.TempDir(), "--port", "0", "--timeout", "20s").want(t, 2).complains(t, "numbers from 1 to 3")
	shoal("download", link+"&so=9", "-o", t.TempDir(), "--port", "0", "--timeout", "20s").want(t, 4).complains(t, "selects none of its 3 files")
	out := filepath.Join(t.TempDir(), "p")
	shoal("piece", link, "1", "-o", out, "--timeout", "20s").want(t, 0)
	if data := readFile(t, filepath.Join(s.data, "show", "a.mkv")); string(readFile(t, out)) != string(data[16<<10:32<<10]) {
		t.Error("piece 1 of a link is another")
	}
	shoal("piece", link, "99", "-o", out, "--timeout", "20s").want(t, 2).complains(t, "show has pieces 0 to")
}

// Links and files may be mixed; what is the same, or would be written over, is refused
// also when it shows only on the way.
func TestLinksAmongFiles(t *testing.T) {
	t.Parallel()
	a := newSwarm(t, options{name: "a", files: payload{"x": 100_000}})
	b := newSwarm(t, options{name: "b", files: payload{"y": 100_000}})
	link := func(s *swarm) string { return "magnet:?xt=urn:btih:" + s.meta.Hash.String() + "&x.pe=" + s.peer }
	out := t.TempDir()
	shoal("download", a.file, link(b), "--peer", a.peer, "-o", out, "--port", "0", "--timeout", "20s").want(t, 0)
	same(t, filepath.Join(out, "a"), filepath.Join(a.data, "a"))
	same(t, filepath.Join(out, "b"), filepath.Join(b.data, "b"))
	shoal("download", a.file, link(a), "-o", t.TempDir(), "--port", "0", "--timeout", "20s", "--peer", a.peer).want(t, 12)
	other := newSwarm(t, options{name: "a", files: payload{"x": 90_000}})
	o := shoal("download", a.file, link(other), "--peer", a.peer, "-o", t.TempDir(), "--port", "0", "--timeout", "20s").want(t, 12)
	if !strings.Contains(o.err, "would be written over") {
		t.Errorf("stderr: %s", o.err)
	}
}

// With every source dead, each is named with what came of it, and the exit code is 7 at
// --timeout.
func TestEverySourceDead(t *testing.T) {
	t.Parallel()
	mute, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for _, c := range []struct {
		name string
		dht  []string
		says []string
	}{
		{"refused", []string{"--dht-bootstrap", "127.0.0.1:1"}, []string{"DHT: "}},
		{"mute", []string{"--dht-bootstrap", mute.LocalAddr().String()}, []string{"DHT: "}},
		{"unknown", []string{"--dht-bootstrap", "dht.lan.invalid:6881", "--dht-bootstrap", "dht2.lan.invalid:1"}, []string{"DHT: ", "lan.invalid"}},
		{"off", nil, []string{"DHT: off"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"download", someHash, "-o", t.TempDir(), "--port", "0", "--bind", "127.0.0.1", "--timeout", "2500ms",
				"--tracker", "http://127.0.0.1:1/announce", "--tracker", "udp://" + mute.LocalAddr().String()}, c.dht...)
			json := make(chan outcome)
			go func() { json <- shoal(append(args, "--json", "-o", t.TempDir())...) }()
			o, j := shoal(args...), <-json
			o.want(t, 7).complains(t, append(c.says, "no metadata", "tracker http://127.0.0.1:1", "refused", "tracker udp://127.0.0.1", "PEX: ", "LSD: off")...)
			if strings.Count(o.err, "PEX: ") != 1 {
				t.Errorf("told more than once: %s", o.err)
			}
			evs := events(t, j.want(t, 7).out)
			d := last(t, evs, "diagnosis")
			var names []string
			for _, s := range d["sources"].([]any) {
				names = append(names, s.(map[string]any)["name"].(string))
			}
			if len(of(evs, "diagnosis")) != 1 || !strings.Contains(d.text("text"), "DHT: ") || len(d["trackers"].([]any)) != 2 ||
				fmt.Sprint(names) != "[tracker dht pex lsd user incoming]" {
				t.Errorf("diagnosis: %v", d)
			}
			if sum := last(t, evs, "summary"); sum.num("exit_code") != 7 {
				t.Errorf("summary: %v", sum)
			}
		})
	}
}

// Values and torrents are found by the hash or key that put has printed.
func TestItemsInTheDHT(t *testing.T) {
	t.Parallel()
	_, at := startNode(t, "--no-bootstrap")
	boot := []string{"--bootstrap", at.text("addr"), "--timeout", "10s"}
	ask := func(args ...string) outcome { return shoal(append(append([]string{"dht"}, args...), boot...)...) }
	target := strings.TrimSpace(ask("put", "hello, world").want(t, 0).out)
	if o := ask("get", target).want(t, 0); len(target) != 40 || o.out != "hello, world\n" {
		t.Errorf("%s: %q", target, o.out)
	}
	ask("get", someHash).want(t, 3).complains(t, "no node has the item", "--salt")
	key := filepath.Join(t.TempDir(), "key")
	pub := strings.TrimSpace(ask("put", "one", "--key", key, "--salt", "s").want(t, 0).out)
	if again := ask("put", "two", "--key", key, "--salt", "s").want(t, 0); strings.TrimSpace(again.out) != pub || !strings.Contains(again.err, "seq 2") {
		t.Errorf("the second version: %q %q, the first had key %s", again.out, again.err, pub)
	}
	ask("put", "old", "--key", key, "--salt", "s", "--seq", "1").want(t, 12).complains(t, "302")
	ask("put", "raced", "--key", key, "--salt", "s", "--cas", "1").want(t, 12).complains(t, "301")
	var m map[string]any
	o := ask("get", "--k", pub, "--salt", "s", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(o.out), &m); err != nil || m["value"] != "two" || m["seq"] != 2.0 || m["k"] != pub || m["salt"] != "s" {
		t.Errorf("%v %s", err, o.out)
	}
	ask("get", pub).want(t, 3)
}

// A node prints where it is, tells what it knows, and knows it again after a restart.
func TestServedNode(t *testing.T) {
	t.Parallel()
	_, first := startNode(t, "--no-bootstrap")
	state := t.TempDir()
	args := []string{"--state-dir", state}
	p, at := startNode(t, append(args, "--bootstrap", first.text("addr"))...)
	boot := []string{"--bootstrap", at.text("addr"), "--timeout", "10s"}
	waitFor(t, func() bool {
		return strings.Contains(shoal(append([]string{"dht", "lookup", first.text("id")}, boot...)...).out, first.text("id")+" "+first.text("addr")+"\n")
	})
	o := shoal(append([]string{"dht", "nodes"}, boot...)...).want(t, 0)
	if !strings.Contains(o.out, at.text("id")+" "+at.text("addr")+" good") {
		t.Errorf("nodes: %s%s", o.out, o.err)
	}
	if !strings.Contains(o.out, first.text("id")) || strings.Contains(o.err, "answered yet") {
		t.Errorf("nodes beyond the first, and no trouble: %s%s", o.out, o.err)
	}
	shoal(append([]string{"dht", "get-peers", someHash, "--announce", "4711"}, boot...)...).want(t, 0)
	if o := shoal(append([]string{"dht", "sample", at.text("addr")}, boot...)...).want(t, 0); o.out != someHash+"\n" {
		t.Errorf("sample: %q", o.out)
	}
	if o := shoal(append([]string{"dht", "get-peers", someHash}, boot...)...).want(t, 0); o.out != "127.0.0.1:4711\n" {
		t.Errorf("get-peers: %q", o.out)
	}
	shoal("dht", "serve", "--listen", at.text("addr"), "--state-dir", t.TempDir()).want(t, 5).complains(t, "--listen")
	shoal(append([]string{"dht", "nodes", "--listen", at.text("addr")}, boot...)...).want(t, 5).complains(t, "--listen")
	interrupt(t, p, 143).complains(t, "SIGTERM")
	shoal("dht", "lookup", someHash, "--bootstrap", "127.0.0.1:1", "--timeout", "3s").want(t, 7)
	var found bool
	for _, f := range tree(t, state) {
		found = found || len(f) > 0
	}
	if !found {
		t.Error("no table was saved")
	}
}

// What a key names is downloaded, and with --seed what it names later, too (BEP 46).
func TestTorrentThatChanges(t *testing.T) {
	t.Parallel()
	_, at := startNode(t, "--no-bootstrap")
	one := newSwarm(t, options{name: "v1", files: payload{"x": 100_000}})
	two := newSwarm(t, options{name: "v2", files: payload{"x": 120_000}})
	key := filepath.Join(t.TempDir(), "key")
	publish := func(s *swarm) string {
		o := shoal("dht", "put", "--key", key, "--ih", s.meta.Hash.String(), "--bootstrap", at.text("addr"), "--timeout", "10s").want(t, 0)
		return strings.TrimSpace(o.out)
	}
	link := publish(one)
	if !strings.HasPrefix(link, "magnet:?xs=urn:btpk:") {
		t.Fatalf("put printed %q", link)
	}
	out := t.TempDir()
	args := append([]string{"download", link, "-o", out, "--json", "--timeout", "20s", "--peer", one.peer, "--peer", two.peer}, onlyDHT(at.text("addr"))...)
	o := shoal(args...).want(t, 0)
	same(t, out, one.data)
	if e := last(t, events(t, o.out), "resolved"); e["infohash"] != one.meta.Hash.String() || e.num("seq") != 1 {
		t.Errorf("resolved: %v", e)
	}
	c := command(t, append(args, "--seed")...)
	c.Env = append(c.Env, pollEvery+"=100ms")
	p := startCommand(t, c)
	p.await(t, func(e event) bool { return e.name() == "complete" })
	publish(two)
	p.await(t, func(e event) bool { return e.name() == "complete" && e["infohash"] == two.meta.Hash.String() })
	interrupt(t, p, 130)
	same(t, filepath.Join(out, "v2"), filepath.Join(two.data, "v2"))
}

// A key that names nothing is told with the reason; one that names something else, too.
func TestKeyThatNamesNoTorrent(t *testing.T) {
	t.Parallel()
	_, at := startNode(t, "--no-bootstrap")
	follow := func(key string) outcome {
		return shoal(append([]string{"download", "magnet:?xs=urn:btpk:" + key, "-o", t.TempDir(), "--json", "--timeout", "1s"}, onlyDHT(at.text("addr"))...)...)
	}
	o := follow(someKey).want(t, 7).complains(t, someKey, "not found within 1s", "DHT: ")
	if d := last(t, events(t, o.out), "diagnosis"); d["infohash"] != nil || !strings.Contains(d.text("text"), "no node has the item") {
		t.Errorf("diagnosis: %v", d)
	}
	key := filepath.Join(t.TempDir(), "key")
	pub := strings.TrimSpace(shoal("dht", "put", "a text", "--key", key, "--bootstrap", at.text("addr")).want(t, 0).out)
	follow(pub).want(t, 4).complains(t, "no torrent")
}

// Peers tell each other who else is there, and that is enough to find them.
func TestLinkByPEX(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{idle: true, pieceLen: 16 << 10, files: payload{"x": 1 << 20}})
	common := []string{"--port", "0", "--bind", "127.0.0.1", "--no-trackers", "--json"}
	seed := start(t, append([]string{"seed", s.file, "--data", s.data, "--up-limit", "1MiB"}, common...)...)
	at := seed.await(t, func(e event) bool { return e.name() == "listening" }).text("addr")
	middle := start(t, append([]string{"download", s.file, "-o", t.TempDir(), "--seed", "--up-limit", "100k", "--peer", at}, common...)...)
	via := middle.await(t, func(e event) bool { return e.name() == "listening" }).text("addr")
	middle.await(t, func(e event) bool { return e.name() == "progress" && e.num("peers") == 1 })
	out := t.TempDir()
	p := start(t, append([]string{"download", "magnet:?xt=urn:btih:" + s.meta.Hash.String() + "&x.pe=" + via, "-o", out, "--timeout", "20s"}, common...)...)
	began := time.Now()
	p.await(t, func(e event) bool { return e.name() == "progress" && e.num("peers") == 2 })
	t.Logf("the other peer was there after %v", time.Since(began))
	p.end(t).want(t, 0)
	same(t, out, s.data)
}
