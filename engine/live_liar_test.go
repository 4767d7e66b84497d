package engine

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// liarOf starts an engine that believes it has all of a torrent, and has one bad block
// in 50.
func liarOf(t *testing.T, meta *metainfo.Torrent, data []byte, cfg Config) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "file.bin")
	check(t, os.WriteFile(path, data, 0o644))
	_, _, addr := seedOf(t, meta, dir, cfg)
	f, err := os.OpenFile(path, os.O_RDWR, 0) // it has been checked: nobody looks again
	check(t, err)
	for off := 7 * metainfo.BlockSize; off < len(data); off += 50 * metainfo.BlockSize {
		_, err := f.WriteAt([]byte("a lie"), int64(off)+1000)
		check(t, err)
	}
	check(t, f.Close())
	return addr
}

// An honest seed and a liar over real sockets: the download completes, the liar is
// banned within two failed pieces, the honest one never; also when the liar is ten
// times faster.
func TestLiarOverLoopback(t *testing.T) {
	data := payload(12 << 20)
	for _, pieceLen := range []int64{256 << 10, 4 << 20} {
		for _, fast := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d KiB pieces, fast liar %v", pieceLen>>10, fast), func(t *testing.T) {
				meta := makeTorrent(t, "file.bin", data, pieceLen)
				var honest, liar Config
				if fast {
					honest.Limits.Up, liar.Limits.Up = 16<<20, 160<<20
				}
				bad := liarOf(t, meta, data, liar)
				from, to := t.TempDir(), t.TempDir()
				check(t, os.WriteFile(filepath.Join(from, "file.bin"), data, 0o644))
				_, _, good := seedOf(t, meta, from, honest)
				e, _ := startEngine(t, Config{})
				events, _ := e.Events(1 << 14)
				tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{bad, good}})
				fails := 0
				for ev := range events {
					switch ev.Kind {
					case PieceFailed:
						fails++
					case PeerBanned:
						if ev.Addr != bad || fails > 2 {
							t.Errorf("%v was banned after %d failures; the liar is %v", ev.Addr, fails, bad)
						}
					case TorrentFailed, DiskTrouble:
						t.Fatal(ev.Err)
					}
					if ev.Kind == Completed {
						break
					}
				}
				wantFile(t, data, to, "file.bin")
				if s := statsOf(t, tor); s.Banned > 1 {
					t.Errorf("%d banned", s.Banned)
				}
			})
		}
	}
}

func TestLiarAloneOverLoopback(t *testing.T) {
	data := payload(4 << 20)
	meta := makeTorrent(t, "file.bin", data, 256<<10)
	bad := liarOf(t, meta, data, Config{})
	to := t.TempDir()
	e, _ := startEngine(t, Config{})
	events, _ := e.Events(1 << 14)
	tor := addTo(t, e, AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{bad}})
	await1(t, events, PeerGone) // banned
	s := statsOf(t, tor)
	if s.State != Downloading || s.Banned != 1 || s.Have == s.Pieces {
		t.Errorf("%v, %d banned, %d of %d pieces", s.State, s.Banned, s.Have, s.Pieces)
	}
	got, err := os.ReadFile(filepath.Join(to, "file.bin"))
	if err != nil && s.Have > 0 {
		t.Fatal(err)
	}
	for i := range meta.Lengths.Pieces() { // what it claims to have is right
		off := int(meta.Lengths.PieceOffset(metainfo.PieceIndex(i)))
		if s.Field[i/8]>>(7-i%8)&1 == 1 && string(got[off:off+256<<10]) != string(data[off:off+256<<10]) {
			t.Errorf("piece %d is wrong on disk", i)
		}
	}
	select {
	case ev := <-events:
		if ev.Kind == Completed {
			t.Error("completed")
		}
	case <-time.After(10 * time.Millisecond):
	}
}
