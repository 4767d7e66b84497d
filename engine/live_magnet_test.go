package engine

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// A link's peer may have a name. A second run needs no peer to know what the torrent is;
// what was damaged meanwhile is fetched again.
func TestMagnetIsRemembered(t *testing.T) {
	data := payload(300_000)
	meta := fatTorrent(t, "file.bin", data, 32<<10, 100_000, nil)
	addr := seedFile(t, meta, data)
	link := linkTo(meta)
	link.Peers = []metainfo.HostPort{{Host: "localhost", Port: addr.Port()}}
	state, to := t.TempDir(), t.TempDir()
	kept := filepath.Join(state, "info-"+meta.Hash.String()+".dat")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	run := func(link *metainfo.Magnet, then func(e *Engine, tor *Torrent, events <-chan Event)) {
		t.Helper()
		e, err := New(Config{NoListen: true, StateDir: state})
		check(t, err)
		events, _ := e.Events(4096)
		tor, err := e.Add(ctx, AddOptions{Magnet: link, Dir: to})
		check(t, err)
		then(e, tor, events)
		check(t, e.Close(time.Second))
	}
	run(link, func(_ *Engine, _ *Torrent, events <-chan Event) {
		await1(t, events, MetadataFetched)
		await1(t, events, Completed)
	})
	if b, err := os.ReadFile(kept); err != nil || !bytes.Equal(b, meta.Info()) {
		t.Fatalf("%d bytes were kept, %v", len(b), err)
	}
	run(linkTo(meta), func(_ *Engine, tor *Torrent, events <-chan Event) {
		await1(t, events, Completed)
		if s := statsOf(t, tor); s.Have != s.Pieces || s.Down != 0 {
			t.Fatalf("%+v", s)
		}
	})
	check(t, os.WriteFile(kept, meta.Info()[1:], 0o644))
	run(link, func(_ *Engine, tor *Torrent, events <-chan Event) {
		await1(t, events, Completed)
		check(t, tor.Remove(ctx, false, 0))
	})
	if _, err := os.Stat(kept); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("removed, and still known: %v", err)
	}
}

// so= selects files, and joins what is selected already: what an earlier run has been
// told, and a torrent that is there.
func TestMagnetSelectsFiles(t *testing.T) {
	from, to, state := t.TempDir(), t.TempDir(), t.TempDir()
	meta, _ := files(t, from, 16<<10, map[string]int{"a": 100_000, "b": 100_000, "c": 100_000, "d": 100_000})
	_, _, addr := seedOf(t, meta, from, Config{})
	a, b, c := fileIndex(t, meta, "a"), fileIndex(t, meta, "b"), fileIndex(t, meta, "c")
	ctx := context.Background()
	run := func(selected ...metainfo.FileIndex) {
		t.Helper()
		e, err := New(Config{NoListen: true, StateDir: state})
		check(t, err)
		events, _ := e.Events(4096)
		link := linkTo(meta)
		link.Select = []metainfo.FileRange{{First: selected[0], Last: selected[0]}}
		_, err = e.Add(ctx, AddOptions{Magnet: link, Dir: to, Peers: []netip.AddrPort{addr}})
		check(t, err)
		await1(t, events, Completed)
		if len(selected) > 1 {
			again := linkTo(meta)
			again.Select = []metainfo.FileRange{{First: selected[1], Last: selected[1]}}
			if _, err := e.Add(ctx, AddOptions{Magnet: again, Dir: to}); !errors.Is(err, ErrExists) {
				t.Fatal(err)
			}
			await1(t, events, Completed)
		}
		check(t, e.Close(time.Second))
	}
	wants := func(present ...string) {
		t.Helper()
		for _, name := range []string{"a", "b", "c", "d"} {
			_, err := os.Stat(filepath.Join(to, "album", name))
			if there := err == nil; there != slices.Contains(present, name) {
				t.Fatalf("file %s: %v", name, err)
			}
		}
	}
	run(b)
	wants("b")
	run(a, c)
	wants("a", "b", "c")
}

// A link with one of a hybrid's hashes finds the other in the metadata; one with both
// wants both to be right.
func TestMagnetOfAHybrid(t *testing.T) {
	data := payload(100_000)
	meta := fatTorrent(t, "file.bin", data, 128<<10, 10, bencode.M{"meta version": int64(2),
		"file tree": bencode.M{"file.bin": bencode.M{"": bencode.M{"length": int64(len(data)), "pieces root": merkle(data)}}}})
	if !meta.Hash.HasV1 || !meta.Hash.HasV2 {
		t.Fatalf("%v is no hybrid", meta.Hash)
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "file.bin"), data, 0o644))
	_, _, addr := seedOf(t, meta, dir, Config{})
	for _, hash := range []metainfo.Hash{metainfo.HashV1(meta.Hash.V1), meta.Hash} {
		e, _ := startEngine(t, Config{})
		events, _ := e.Events(4096)
		tor := addTo(t, e, AddOptions{Magnet: &metainfo.Magnet{Hash: hash}, Dir: t.TempDir(), Peers: []netip.AddrPort{addr}})
		await1(t, events, Completed)
		if tor.Hash() != hash || tor.Meta().Hash != meta.Hash {
			t.Fatalf("%v became %v", hash, tor.Meta().Hash)
		}
		if _, err := e.Add(context.Background(), AddOptions{Magnet: linkTo(meta)}); !errors.Is(err, ErrExists) {
			t.Fatal(err)
		}
		check(t, tor.Remove(context.Background(), false, 0))
	}
	e, _ := startEngine(t, Config{})
	if _, err := e.Add(context.Background(), AddOptions{Magnet: &metainfo.Magnet{Hash: metainfo.HashV2(meta.Hash.V2)}}); !errors.Is(err, ErrV2) {
		t.Fatal(err)
	}
}

// merkle is the root of a file of at most one piece (BEP 52).
func merkle(data []byte) []byte {
	var layer [][32]byte
	for off := 0; off < len(data); off += 16 << 10 {
		layer = append(layer, sha256.Sum256(data[off:min(off+16<<10, len(data))]))
	}
	for len(layer)&(len(layer)-1) != 0 {
		layer = append(layer, [32]byte{})
	}
	for len(layer) > 1 {
		for i := range len(layer) / 2 {
			layer[i] = sha256.Sum256(append(layer[2*i][:], layer[2*i+1][:]...))
		}
		layer = layer[:len(layer)/2]
	}
	return layer[0][:]
}
