package engine

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/metainfo"
)

// fatTorrent describes one file of data; a key that nobody knows makes its info
// dictionary as long as size says.
func fatTorrent(t testing.TB, name string, data []byte, pieceLen, size int, more bencode.M) *metainfo.Torrent {
	t.Helper()
	var sums []byte
	for off := 0; off < len(data); off += pieceLen {
		sum := sha1.Sum(data[off:min(off+pieceLen, len(data))])
		sums = append(sums, sum[:]...)
	}
	info := bencode.M{"name": name, "length": int64(len(data)), "piece length": int64(pieceLen), "pieces": sums, "x-fat": payload(size)}
	for k, v := range more {
		info[k] = v
	}
	raw, err := bencode.Encode(info)
	if err != nil {
		t.Fatal(err)
	}
	m, err := metainfo.LoadInfo(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// linkTo is a link that says nothing but the hash.
func linkTo(m *metainfo.Torrent) *metainfo.Magnet { return &metainfo.Magnet{Hash: m.Hash} }

// seedFile puts data into a folder and serves it.
func seedFile(t *testing.T, meta *metainfo.Torrent, data []byte) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, meta.Name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	e, addr := startEngine(t, Config{})
	events, stop := e.Events(4096)
	defer stop()
	if _, err := e.Add(context.Background(), AddOptions{Torrent: meta, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	await1(t, events, Completed)
	return addr
}

// An info dictionary of 5 MiB arrives whole from two peers, and with it the torrent.
func TestMagnetOverLoopback(t *testing.T) {
	data := payload(1<<20 + 12345)
	meta := fatTorrent(t, "file.bin", data, 64<<10, 5<<20, nil)
	one, two := seedFile(t, meta, data), seedFile(t, meta, data)

	leech, _ := startEngine(t, Config{})
	events, _ := leech.Events(4096)
	to := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tor, err := leech.Add(ctx, AddOptions{Magnet: linkTo(meta), Dir: to, Peers: []netip.AddrPort{one, two}})
	if err != nil {
		t.Fatal(err)
	}
	if tor.Meta() != nil || tor.Hash() != meta.Hash {
		t.Fatalf("a link knows its hash alone: %v", tor)
	}
	got, err := tor.Metadata(ctx)
	if err != nil || !bytes.Equal(got.Info(), meta.Info()) || tor.Meta() != got {
		t.Fatalf("%v, %v", got, err)
	}
	await1(t, events, Completed)
	if b, err := os.ReadFile(filepath.Join(to, "file.bin")); err != nil || !bytes.Equal(b, data) {
		t.Fatalf("the file differs: %d bytes, %v", len(b), err)
	}
	if _, err := leech.Add(ctx, AddOptions{Torrent: meta, Dir: to}); !errors.Is(err, ErrExists) {
		t.Fatalf("added again: %v", err)
	}
}
