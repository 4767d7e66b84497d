package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What was checked once is not hashed again after Close; after Remove it is.
func TestCloseKeepsTheRecord(t *testing.T) {
	ctx := context.Background()
	data := payload(300 << 10)
	meta := makeTorrent(t, "file.bin", data, 64<<10)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file.bin"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	e, _ := startEngine(t, Config{StateDir: t.TempDir()})
	rehashed := func() (*Torrent, int64) {
		events, end := e.Events(64)
		defer end()
		tor, err := e.Add(ctx, AddOptions{Torrent: meta, Dir: dir, NoTrackers: true})
		if err != nil {
			t.Fatal(err)
		}
		await1(t, events, Completed)
		s, err := tor.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return tor, s.Rehashed
	}
	tor, n := rehashed()
	if n != int64(len(data)) {
		t.Fatalf("%d bytes hashed the first time, want all", n)
	}
	if err := tor.Close(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tor.Stats(ctx); !errors.Is(err, ErrClosed) {
		t.Fatalf("stats after Close: %v", err)
	}
	if tor, n = rehashed(); n != 0 {
		t.Fatalf("%d bytes hashed again after Close", n)
	}
	if err := tor.Remove(ctx, false, 0); err != nil {
		t.Fatal(err)
	}
	if _, n = rehashed(); n != int64(len(data)) {
		t.Fatalf("%d bytes hashed after Remove, want all", n)
	}
}
