package engine

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utpnative"
)

// held keeps a download from its end until somebody has looked at it.
var held = Limits{Down: 16 << 10}

type makers = []func(transport.Env) transport.Transport

// meets lets one engine download from another and returns how they were connected.
func meets(t *testing.T, meta *metainfo.Torrent, data []byte, seed, leech Config) PeerStats {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	check(t, os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644))
	_, _, addr := seedOf(t, meta, from, seed)
	leech.Limits = held
	e, _ := startEngine(t, leech)
	events, _ := e.Events(1 << 12)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	await1(t, events, PeerConnected)
	peers, err := tor.Peers(t.Context())
	check(t, err)
	if len(peers) != 1 {
		t.Fatalf("peers %+v, want one", peers)
	}
	e.SetLimits(Limits{})
	await1(t, events, Completed)
	wantFile(t, data, to, "file.bin")
	return peers[0]
}

// TestTransportsLive: engines that have one way in common find it, whatever else they
// have.
func TestTransportsLive(t *testing.T) {
	both, tcp, utp := makers{transport.TCP, utpnative.Make}, makers{transport.TCP}, makers{utpnative.Make}
	data := payload(8 << 20)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	for _, c := range []struct {
		name        string
		seed, leech makers
		via         string
	}{
		{"uTP alone", utp, utp, "utp"},
		{"the seed has only uTP", utp, both, "utp"},
		{"the leech has only uTP", both, utp, "utp"},
		{"the seed has only TCP", tcp, both, "tcp"},
		{"both have both", both, both, "tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if p := meets(t, meta, data, Config{Transports: c.seed}, Config{Transports: c.leech}); p.Transport != c.via {
				t.Errorf("they met by %+v, want %s", p, c.via)
			}
		})
	}
}

// TestUTPWithoutListening: who only dials needs no port that is known beforehand.
func TestUTPWithoutListening(t *testing.T) {
	data := payload(1 << 20)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	from, to := t.TempDir(), t.TempDir()
	check(t, os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644))
	_, _, addr := seedOf(t, meta, from, Config{Transports: makers{utpnative.Make}})
	e, err := New(Config{NoListen: true, Transports: makers{utpnative.Make}, NoDHT: true, NoLSD: true})
	check(t, err)
	t.Cleanup(func() { check(t, e.Close(time.Second)) })
	events, _ := e.Events(1 << 12)
	addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	await1(t, events, Completed)
	wantFile(t, data, to, "file.bin")
}

// TestEncryptionLive: what two policies make of a connection, and that who merely
// prefers encryption falls back to a plain one.
func TestEncryptionLive(t *testing.T) {
	data := payload(1 << 20)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	for _, c := range []struct {
		seed, leech mse.Policy
		want        mse.Method
	}{
		{mse.Prefer, mse.Prefer, mse.Plaintext},
		{mse.Off, mse.Prefer, mse.None},
		{mse.Prefer, mse.Off, mse.None},
		{mse.Require, mse.Prefer, mse.RC4},
		{mse.Require, mse.Allow, mse.RC4}, // refused in the clear first
		{mse.Allow, mse.Require, mse.RC4},
		{mse.Allow, mse.Allow, mse.None},
	} {
		for name, makers := range map[string]makers{"tcp": {transport.TCP}, "utp": {utpnative.Make}} {
			t.Run(c.leech.String()+" from "+c.seed.String()+" by "+name, func(t *testing.T) {
				p := meets(t, meta, data, Config{Transports: makers, Encryption: c.seed}, Config{Transports: makers, Encryption: c.leech})
				if p.Crypto != c.want {
					t.Errorf("they met by %+v, want %v", p, c.want)
				}
			})
		}
	}
}

// TestEncryptionIsNotGivenUp: who requires encryption does not connect otherwise, and
// says why nothing came about.
func TestEncryptionIsNotGivenUp(t *testing.T) {
	data := payload(1 << 20)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	for _, c := range []struct{ seed, leech mse.Policy }{{mse.Off, mse.Require}, {mse.Require, mse.Off}} {
		from := t.TempDir()
		check(t, os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644))
		_, _, addr := seedOf(t, meta, from, Config{Encryption: c.seed})
		e, _ := startEngine(t, Config{Encryption: c.leech})
		tor := addTo(t, e, AddOptions{Torrent: meta, Dir: t.TempDir(), Peers: []netip.AddrPort{addr}})
		var s TorrentStats
		for len(s.Failures) == 0 {
			s = statsOf(t, tor)
		}
		if s.Down != 0 {
			t.Errorf("%v from %v: %d bytes came", c.leech, c.seed, s.Down)
		}
		t.Log(s.Failures)
	}
}
