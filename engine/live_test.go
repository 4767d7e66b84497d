package engine

import (
	"context"
	"crypto/sha1"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// payload makes n bytes that no piece repeats.
func payload(n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{1})
	_, _ = src.Read(b)
	return b
}

// makeTorrent describes one file of data.
func makeTorrent(t testing.TB, name string, data []byte, pieceLen int64) *metainfo.Torrent {
	t.Helper()
	b := metainfo.Builder{Name: name, Length: int64(len(data)), PieceLength: pieceLen}
	for off := 0; off < len(data); off += int(pieceLen) {
		sum := sha1.Sum(data[off:min(off+int(pieceLen), len(data))])
		b.Pieces = append(b.Pieces, sum[:]...)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func startEngine(t testing.TB, cfg Config) (*Engine, netip.AddrPort) {
	t.Helper()
	cfg.Listen = netip.MustParseAddrPort("127.0.0.1:0")
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(time.Second); err != nil {
			t.Error(err)
		}
	})
	addrs, err := e.Addrs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return e, addrs[0]
}

func await1(t testing.TB, events <-chan Event, kind EventKind) Event {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case ev := <-events:
			if ev.Kind == kind {
				return ev
			}
			if ev.Kind == TorrentFailed || ev.Kind == DiskTrouble {
				t.Fatal(ev.Err)
			}
		case <-limit:
			t.Fatalf("no event of kind %d in time", kind)
		}
	}
}

func TestOneSeedOneLeecherOverLoopback(t *testing.T) {
	data := payload(5<<20 + 12345)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	from, to := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	seed, addr := startEngine(t, Config{})
	seedEvents, _ := seed.Events(4096)
	if _, err := seed.Add(ctx, AddOptions{Torrent: meta, Dir: from}); err != nil {
		t.Fatal(err)
	}
	await1(t, seedEvents, Completed)

	leech, _ := startEngine(t, Config{})
	events, _ := leech.Events(4096)
	tor, err := leech.Add(ctx, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{addr}})
	if err != nil {
		t.Fatal(err)
	}
	await1(t, events, Completed)
	got, err := os.ReadFile(filepath.Join(to, "file.bin"))
	if err != nil || string(got) != string(data) {
		t.Fatalf("the file differs: %d bytes, %v", len(got), err)
	}
	s, err := tor.Stats(ctx)
	if err != nil || s.Down != int64(len(data)) || s.Wasted != 0 || s.State != Seeding {
		t.Fatalf("stats: %+v, %v", s, err)
	}
}
