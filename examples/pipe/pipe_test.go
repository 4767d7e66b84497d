package pipe

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/metainfo/create"
	"github.com/shoal-bt/shoal/transport"
)

func start(t *testing.T, hub *Hub, at string) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Config{
		Listen:     netip.MustParseAddrPort(at),
		Transports: []func(transport.Env) transport.Transport{hub.Transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(time.Second) })
	return e
}

// add adds a torrent and waits until the engine has all of it.
func add(t *testing.T, e *engine.Engine, opt engine.AddOptions) *engine.Torrent {
	t.Helper()
	events, cancel := e.Events(4096)
	defer cancel()
	tor, err := e.Add(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.After(30 * time.Second); ; {
		select {
		case ev := <-events:
			if ev.Kind == engine.Completed {
				return tor
			}
		case <-limit:
			t.Fatal("not complete in time")
		}
	}
}

func makeTorrent(t *testing.T, dir string) (*metainfo.Torrent, []byte) {
	t.Helper()
	data := make([]byte, 3<<20+777)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(data)
	path := filepath.Join(dir, "fish.bin")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := create.FromPath(context.Background(), path, create.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res.Torrent, data
}

func TestATorrentComesThroughThePipeAlone(t *testing.T) {
	var hub Hub
	from, to := t.TempDir(), t.TempDir()
	meta, data := makeTorrent(t, from)
	seedAt := netip.MustParseAddrPort("10.1.1.1:1")
	add(t, start(t, &hub, seedAt.String()), engine.AddOptions{Torrent: meta, Dir: from, SeedOnly: true})

	tor := add(t, start(t, &hub, "10.1.1.2:1"), engine.AddOptions{Torrent: meta, Dir: to, Peers: []netip.AddrPort{seedAt}})
	got, err := os.ReadFile(filepath.Join(to, "fish.bin"))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the file differs: %d bytes, %v", len(got), err)
	}
	s, err := tor.Stats(t.Context())
	if err != nil || s.Down != int64(len(data)) {
		t.Fatalf("%d of %d bytes came through the pipe, %v", s.Down, len(data), err)
	}
}

func TestTheTransportIsSmall(t *testing.T) {
	src, err := os.ReadFile("pipe.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(src, []byte("\n")); n > 100 {
		t.Errorf("%d lines; a transport of one's own should take at most 100", n)
	}
}
