package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// Trackers that answer nonsense, and what a person is told of them.
func TestBadTrackers(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/html"):
			io.WriteString(w, "<html><body>Welcome</body></html>")
		case strings.HasPrefix(r.URL.Path, "/500"):
			http.Error(w, "oops", 500)
		case strings.HasPrefix(r.URL.Path, "/fail"):
			io.WriteString(w, "d14:failure reason14:go away \x1b[31m\ne")
		case strings.HasPrefix(r.URL.Path, "/nobody"):
			io.WriteString(w, "d8:intervali1800e5:peers0:e")
		}
	}))
	t.Cleanup(srv.Close)
	s := newSwarm(t, options{files: payload{"x": 50_000}, idle: true})
	for path, says := range map[string]string{
		"/html/announce": "HTML page", "/500/announce": "status 500", "/fail/announce": "go away", "/empty/announce": "empty body",
	} {
		t.Run(path[1:5], func(t *testing.T) {
			t.Parallel()
			o := shoal("peers", s.file, "--tracker", srv.URL+path).want(t, 7).complains(t, says)
			o2 := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--timeout", "400ms", "--tracker", srv.URL+path).want(t, 7).complains(t, says)
			if strings.Contains(o.err+o2.err, "\x1b") {
				t.Error("a tracker commands the terminal")
			}
			if !strings.Contains(o2.err, "\ntracker http://127.0.0.1") {
				t.Errorf("the tracker's answer is told at the end only: %s", o2.err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		t.Parallel()
		if o := shoal("peers", s.file, "--tracker", srv.URL+"/nobody/announce").want(t, 0); o.out != "" {
			t.Errorf("peers: %q", o.out)
		}
		shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--timeout", "400ms", "--tracker", srv.URL+"/nobody/announce").want(t, 7).complains(t, "no peer")
	})
}

// A name that does not resolve is told by the host, at --timeout; .invalid never
// resolves (RFC 6761).
func TestHostsThatDoNotResolve(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}, idle: true})
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--timeout", "400ms", "--tracker", "http://tracker.lan.invalid/announce").
		want(t, 7).complains(t, "tracker.lan.invalid")
	shoal("download", s.file, "-o", t.TempDir(), "--peer", "peer.lan.invalid:6881").want(t, 7).complains(t, "peer.lan.invalid")
	shoal("handshake", s.file, "peer.lan.invalid:6881").want(t, 7).complains(t, "peer.lan.invalid")
	shoal("peers", s.file, "--tracker", "udp://tracker.lan.invalid:80", "--timeout", "400ms").want(t, 7).complains(t, "tracker.lan.invalid")
}

// Trackers that never answer don't keep a download that is done from ending.
func TestDeadTrackers(t *testing.T) {
	t.Parallel()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(hang)
	s := newSwarm(t, options{})
	o := shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--json",
		"--tracker", srv.URL+"/announce", "--tracker", "udp://"+udp.LocalAddr().String()).want(t, 0)
	evs := events(t, o.out)
	if late := last(t, evs, "summary")["t"].(float64) - last(t, evs, "complete")["t"].(float64); late > stopAnnounce.Seconds()+1 {
		t.Errorf("it ended %.1f s after it was complete", late)
	}
}

func TestUnreachablePeers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	s := newSwarm(t, options{files: payload{"x": 50_000}})
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--timeout", "300ms", "--peer", dead).want(t, 7).complains(t, dead)
	shoal("handshake", s.file, dead).want(t, 7).complains(t, dead)
	shoal("piece", s.file, "0", "-o", filepath.Join(t.TempDir(), "p"), "--timeout", "300ms", "--peer", dead).want(t, 7).complains(t, dead)
	// One that has another torrent.
	other := newSwarm(t, options{files: payload{"y": 50_000}, idle: true})
	shoal("handshake", other.file, s.peer).want(t, 7).complains(t, s.peer)
	shoal("download", other.file, "-o", t.TempDir(), "--port", "0", "--timeout", "300ms", "--peer", s.peer).want(t, 7).complains(t, s.peer)
}

// A liar alone: nothing is claimed, nothing wrong is called right.
func TestOneLiarAlone(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{name: "lies", files: payload{"x": 600_000}, pieceLen: 64 << 10, idle: true})
	out := t.TempDir()
	o := shoal("download", s.file, "-o", out, "--port", "0", "--timeout", "600ms", "--json", "--peer", liar(t, s.meta)).want(t, 9).complains(t, "no progress")
	evs := events(t, o.out)
	if n := len(of(evs, "file")) + len(of(evs, "complete")) + len(of(evs, "piece")); n > 0 {
		t.Errorf("%d claims of what is not true", n)
	}
	if n := len(of(evs, "piece_failed")); len(of(evs, "banned")) == 0 || n > 2 {
		t.Errorf("the liar is banned after %d bad pieces, want at most 2", n)
	}
	if sum := last(t, evs, "summary"); sum.num("bytes_done") != 0 || sum.num("bytes_wasted") == 0 || sum.num("exit_code") != 9 {
		t.Errorf("summary: %v", sum)
	}
	shoal("verify", s.file, "--data", out).want(t, 8)
}

// liar is a peer that has everything and answers every request with zeros.
func liar(t *testing.T, meta *metainfo.Torrent) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go lie(c, meta)
		}
	}()
	return l.Addr().String()
}

func lie(c net.Conn, meta *metainfo.Torrent) {
	defer c.Close()
	out := wire.AppendHandshake(nil, wire.Handshake{Reserved: wire.FlagFast, InfoHash: meta.Hash.V1, PeerID: [20]byte{'-', 'L', 'I'}})
	out = wire.Append(out, wire.Message{ID: wire.HaveAll})
	out = wire.Append(out, wire.Message{ID: wire.Unchoke})
	if _, err := c.Write(out); err != nil {
		return
	}
	if _, err := io.ReadFull(c, make([]byte, wire.HandshakeLen)); err != nil {
		return
	}
	var split wire.Splitter
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) > 0; {
			var ev wire.Event
			if ev, rest, err = split.Next(rest); err != nil {
				return
			}
			if ev.Kind != wire.Msg || ev.Msg.ID != wire.Request {
				continue
			}
			out := wire.AppendPieceHeader(nil, ev.Msg.Index, ev.Msg.Begin, ev.Msg.Length)
			if _, err := c.Write(append(out, make([]byte, ev.Msg.Length)...)); err != nil {
				return
			}
		}
	}
}

// Whatever a torrent calls its files, they stay below the output.
func TestHostileNamesStayInside(t *testing.T) {
	t.Parallel()
	data := make([]byte, 40_000)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for i, elements := range []bencode.L{
		{"..", "..", "evil"}, {"/etc/passwd"}, {"..\\..\\evil"}, {"a/../../../evil"}, {"\x00nul\n"}, {"CON"}, {"\u202etxt.exe"}, {strings.Repeat("x", 300)},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			h := metainfo.NewPieceHasher(16 << 10)
			h.Write(data)
			raw, err := bencode.Encode(bencode.M{"info": bencode.M{
				"name": "../../" + fmt.Sprint(i), "piece length": 16 << 10, "pieces": h.Sum(),
				"files": bencode.L{bencode.M{"length": len(data), "path": elements}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			meta, err := metainfo.Load(raw)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "x.torrent")
			writeFile(t, file, raw)
			seed := t.TempDir()
			writeFile(t, filepath.Join(seed, filepath.FromSlash(meta.Files[0].Path.String())), data)
			_, peer := seedFrom(t, meta, seed, engine.Limits{})
			out := filepath.Join(dir, "a", "b", "out")
			o := shoal("download", file, "-o", out, "--port", "0", "--peer", peer).want(t, 0)
			if got := tree(t, dir); len(got) != 2 || !strings.HasPrefix(o.out, out+string(filepath.Separator)) {
				t.Errorf("%s, told %q", names(got), o.out)
			}
			same(t, out, seed)
		})
	}
}

// What is no torrent is refused by its name, and by one line.
func TestWhatIsNoTorrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"empty": "", "text": "hello", "html": "<html>", "bencode": "d1:ai1ee", "cut": "d4:infod4:name", "deep": strings.Repeat("l", 100_000)}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), []byte(text))
	}
	for name := range files {
		for _, c := range []string{"info", "download", "magnet", "verify", "peers"} {
			shoal(c, filepath.Join(dir, name)).want(t, 4).complains(t, name)
		}
	}
	for _, c := range []string{"info", "download", "magnet", "verify", "peers"} {
		shoal(c, dir).want(t, 4).complains(t, dir)
		shoal(c, filepath.Join(dir, "nosuch.torrent")).want(t, 3).complains(t, "nosuch.torrent")
	}
	for _, link := range []string{"magnet:?xt=urn:btih:zz", "magnet:", "magnet:?dn=x", "MAGNET:?xt=urn:sha1:x"} {
		shoal("download", link).want(t, 4).complains(t)
		shoal("peers", link).want(t, 4).complains(t)
	}
}

// v2 is shown, and refused clearly where payload is wanted.
func TestV2OnlyIsRefusedClearly(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "metainfo", "testdata", "torrents", "v2_only.torrent")
	if out := shoal("info", file).want(t, 0).out; !strings.Contains(out, "can't download them yet") {
		t.Errorf("info: %s", out)
	}
	for _, args := range [][]string{{"download", file, "-o", t.TempDir()}, {"seed", file}, {"verify", file}, {"piece", file, "0", "-o", filepath.Join(t.TempDir(), "p")}} {
		shoal(args...).want(t, 2).complains(t, "v2")
	}
}

func TestTimeoutOfASeed(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 50_000}, idle: true})
	shoal("seed", s.file, "--data", s.data, "--port", "0", "--timeout", "100ms").want(t, 7).complains(t, "nobody came")
}

// A seed that served somebody and is wanted no more has done what it was for.
func TestSeedUntilNobodyWantsIt(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 200_000}, idle: true, tracker: true})
	p := start(t, "seed", s.file, "--data", s.data, "--port", "0", "--timeout", "700ms", "--json")
	addr := p.await(t, func(e event) bool { return e.name() == "listening" }).num("port")
	p.await(t, func(e event) bool { return e.name() == "complete" })
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", fmt.Sprint("127.0.0.1:", addr)).want(t, 0)
	sum := last(t, events(t, p.end(t).want(t, 0).out), "summary")
	if sum.num("bytes_up") < 200_000 {
		t.Errorf("summary: %v", sum)
	}
}

func TestSeedGoals(t *testing.T) {
	t.Parallel()
	s := newSwarm(t, options{files: payload{"x": 400_000}})
	// By time.
	began := time.Now()
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--seed-time", "300ms").want(t, 0)
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("--seed-time 300ms took %v", took)
	}
	// By ratio: another one fetches from us.
	state := t.TempDir()
	p := start(t, "download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", s.peer, "--seed-ratio", "0.9", "--state-dir", state, "--json")
	p.await(t, func(e event) bool { return e.name() == "complete" })
	port := p.await(t, func(e event) bool { return e.name() == "listening" }).num("port")
	shoal("download", s.file, "-o", t.TempDir(), "--port", "0", "--peer", fmt.Sprint("127.0.0.1:", port)).want(t, 0)
	sum := last(t, events(t, p.end(t).want(t, 0).out), "summary")
	if sum.num("bytes_up") < 360_000 {
		t.Errorf("summary: %v", sum)
	}
}
