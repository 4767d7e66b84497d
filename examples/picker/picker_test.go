package picker

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
)

func start(t *testing.T) (*engine.Engine, netip.AddrPort) {
	t.Helper()
	e, err := engine.New(engine.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(time.Second) })
	addrs, err := e.Addrs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return e, addrs[0]
}

// add adds a torrent, waits until the engine has all of it, and returns the pieces in
// the order in which they were verified.
func add(t *testing.T, e *engine.Engine, opt engine.AddOptions) (order []metainfo.PieceIndex) {
	t.Helper()
	events, cancel := e.Events(4096)
	defer cancel()
	if _, err := e.Add(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	for limit := time.After(30 * time.Second); ; {
		select {
		case ev := <-events:
			switch ev.Kind {
			case engine.PieceVerified:
				order = append(order, ev.Piece)
			case engine.Completed:
				return order
			}
		case <-limit:
			t.Fatal("not complete in time")
		}
	}
}

func TestARealDownloadByOurOwnPicker(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	data := make([]byte, 64<<16)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	if err := os.WriteFile(filepath.Join(from, "fish.bin"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	res, err := create.FromPath(context.Background(), filepath.Join(from, "fish.bin"), create.Options{PieceLength: 64 << 10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seed, addr := start(t)
	add(t, seed, engine.AddOptions{Torrent: res.Torrent, Dir: from, SeedOnly: true})
	leech, _ := start(t)
	order := add(t, leech, engine.AddOptions{Torrent: res.Torrent, Dir: to, Picker: Name, Peers: []netip.AddrPort{addr}})
	n := res.Torrent.Lengths.Pieces()
	if int32(len(order)) != n {
		t.Fatalf("%d of %d pieces", len(order), n)
	}
	for i, p := range order {
		if int32(p) != inward(int32(i), n) {
			t.Fatalf("piece %d came as number %d: %v", p, i, order)
		}
	}
	if got, err := os.ReadFile(filepath.Join(to, "fish.bin")); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("the file differs: %v", err)
	}
}

func TestThePickerIsSmall(t *testing.T) {
	src, err := os.ReadFile("picker.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(src, []byte("\n")); n > 100 {
		t.Errorf("%d lines; a picker of one's own should take at most 100", n)
	}
}
