package engine

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/server"
	"github.com/shoal-bt/shoal/wire"
)

func TestProbeOfTrackers(t *testing.T) {
	ctx := context.Background()
	tr, err := server.Listen(ctx, "127.0.0.1:0", server.Config{})
	check(t, err)
	t.Cleanup(func() { tr.Close() })
	from := t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 100 << 10})
	url := "http://" + tr.Addr().String() + "/announce"
	seed, addr := startEngine(t, Config{})
	events, _ := seed.Events(1024)
	addTo(t, seed, AddOptions{Torrent: meta, Dir: from, Trackers: [][]string{{url}}})
	for ev := await1(t, events, TrackerReport); ev.Report.State != "working"; {
		ev = await1(t, events, TrackerReport)
	}
	for range 2 { // the probe leaves no trace
		got := AskTrackers(ctx, meta.Hash, []string{url, "http://127.0.0.1:1/announce"}, 5, 6881, 5*time.Second)
		if len(got) != 2 || got[0].Err != nil || len(got[0].Peers) != 1 || got[0].Peers[0] != addr || got[0].Interval <= 0 {
			t.Fatalf("answers %+v", got)
		}
		if got[1].Err == nil || got[1].Seeds != -1 {
			t.Errorf("of a tracker that there is not: %+v", got[1])
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if got := AskTrackers(ended, meta.Hash, []string{url}, 5, 6881, 5*time.Second); len(got) != 1 {
		t.Errorf("answers %+v", got)
	}
}

func TestProbeOfAPeer(t *testing.T) {
	ctx := context.Background()
	from := t.TempDir()
	meta, _ := files(t, from, 32<<10, map[string]int{"a": 100 << 10})
	_, _, addr := seedOf(t, meta, from, Config{})
	s, err := Handshake(ctx, meta.Hash, meta.Lengths.Pieces(), addr.String())
	check(t, err)
	if s.Pieces != meta.Lengths.Pieces() || s.Extended == nil || !strings.HasPrefix(s.Extended.V, "shoal/") ||
		!strings.HasPrefix(string(s.Handshake.PeerID[:]), peerIDPrefix) || s.RTT <= 0 {
		t.Errorf("shaken %+v", s)
	}
	if s, err := Handshake(ctx, meta.Hash, 0, addr.String()); err != nil || s.Pieces != -1 || !s.All {
		t.Errorf("of a torrent whose pieces nobody has counted: %+v, %v", s, err)
	}
	other := metainfo.Hash{HasV1: true, V1: [20]byte{1}}
	if _, err := Handshake(ctx, other, 4, addr.String()); err == nil || !strings.Contains(err.Error(), "may not have this torrent") {
		t.Errorf("of another torrent: %v", err)
	}
	if _, err := Handshake(ctx, meta.Hash, 4, "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("where nobody is: %v", err)
	}
}

// remote answers one connection with these bytes.
func remote(t *testing.T, answer []byte) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write(answer)
			_, _ = c.Read(make([]byte, 68))
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestProbeOfStrangeRemotes(t *testing.T) {
	hash := metainfo.Hash{HasV1: true, V1: [20]byte{1}}
	shaken := wire.AppendHandshake(nil, wire.Handshake{InfoHash: hash.V1, PeerID: ttID("x")})
	for _, c := range []struct {
		what   string
		answer []byte
		pieces int32 // -2: an error
	}{
		{"nonsense", []byte(strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 4)), -2},
		{"half a handshake", shaken[:40], -2},
		{"another torrent", wire.AppendHandshake(nil, wire.Handshake{PeerID: ttID("x")}), -2},
		{"a handshake alone", shaken, -1},
		{"a bitfield", wire.Append(shaken[:68:68], wire.Message{ID: wire.Bitfield, Payload: []byte{0b10100000}}), 2},
		{"a bitfield too long", wire.Append(shaken[:68:68], wire.Message{ID: wire.Bitfield, Payload: make([]byte, 9)}), -1},
		{"all", wire.Append(shaken[:68:68], wire.Message{ID: wire.HaveAll}), 5},
		{"none", wire.Append(shaken[:68:68], wire.Message{ID: wire.HaveNone}), 0},
		{"a message too long", append(shaken[:68:68], 0xff, 0xff, 0xff, 0xff, 5), -1},
	} {
		s, err := Handshake(context.Background(), hash, 5, remote(t, c.answer).String())
		if (err != nil) != (c.pieces == -2) || err == nil && s.Pieces != c.pieces {
			t.Errorf("%s: %+v, %v", c.what, s, err)
		}
	}
}
