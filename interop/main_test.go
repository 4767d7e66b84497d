package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shoal-bt/shoal/internal/clients"
)

// lab is where the tests run; TestMain sets it once.
var lab clients.Lab

// shoal is the binary under test.
var shoal clients.Shoal

// scratchSize bounds what the tests keep in memory at a time.
const scratchSize = 6 << 30

func TestMain(m *testing.M) {
	if os.Getenv("SHOAL_INTEROP") == "" && os.Getenv("CI") == "" {
		fmt.Println("interop tests are left out: SHOAL_INTEROP is not set")
		return
	}
	var err error
	lab, err = clients.Isolate(scratchSize, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	shoal.Bin, shoal.Flags = os.Getenv("SHOAL_BIN"), strings.Fields(os.Getenv("SHOAL_INTEROP_FLAGS"))
	m.Run()
}

// prepare runs while there still is a network: it looks for the clients and builds
// the binary.
func prepare(disk string) error {
	if miss := clients.Missing("transmission-daemon", "aria2c", "qbittorrent-nox", "rtorrent", "opentracker",
		"ip", "/usr/bin/python3"); miss != nil {
		return fmt.Errorf("not installed: %v", miss)
	}
	if os.Getenv("SHOAL_BIN") != "" {
		return nil
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "shoal")); err != nil {
		fmt.Println("no cmd/shoal yet: only the tests of the harness can pass")
		return nil
	}
	bin := filepath.Join(disk, "shoal")
	if err := clients.BuildShoal(context.Background(), root, bin); err != nil {
		return err
	}
	return os.Setenv("SHOAL_BIN", bin)
}

// fixture is a payload that lies complete in a folder.
type fixture struct {
	clients.Payload
	Dir string
}

// makeFixture writes a payload once; every test may read it.
func makeFixture(p clients.Payload, seed uint64) func() (fixture, error) {
	return sync.OnceValues(func() (fixture, error) {
		f := fixture{Payload: p, Dir: filepath.Join(lab.Scratch, "seed-"+p.Name)}
		return f, f.Write(f.Dir, seed)
	})
}

var (
	// small proves the harness; full is what acceptance asks for: more than 96 MiB,
	// nested and Unicode names, an empty file, sizes that end inside pieces.
	small = makeFixture(clients.MultiFile("small", 8<<20), 1)
	full  = makeFixture(clients.MultiFile("Ein Ordner – フォルダ", 96<<20), 2)
)

func mustFixture(t *testing.T, f func() (fixture, error)) fixture {
	t.Helper()
	fx, err := f()
	if err != nil {
		t.Fatal(err)
	}
	return fx
}
