package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// A tracker that the user names may be anywhere on this machine; one that a torrent
// names may not.
func TestTrackersOfTheUserAreTrusted(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
	}))
	defer srv.Close()
	url := srv.URL + "/private/path?key=1"
	ctx := context.Background()
	data := payload(40 << 10)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file.bin"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, own := range []bool{true, false} {
		e, _ := startEngine(t, Config{})
		events, _ := e.Events(256)
		opt := AddOptions{Torrent: makeTorrent(t, "file.bin", data, 16<<10), Dir: dir}
		if own {
			opt.Trackers = [][]string{{url}}
		} else {
			opt.Torrent.Trackers = [][]string{{url}}
		}
		if _, err := e.Add(ctx, opt); err != nil {
			t.Fatal(err)
		}
		for {
			ev := await1(t, events, TrackerReport)
			if s := ev.Report.State; s == "working" && own || s == "failing" && !own {
				break
			} else if s != "asking" {
				t.Fatalf("user's own %v: %q, %s", own, s, ev.Report.Err)
			}
		}
	}
}

func TestManyTiersOfTheUserAreJoined(t *testing.T) {
	var tiers [][]string
	for i := range 3 * givenTiers {
		tiers = append(tiers, []string{fmt.Sprint(i)})
	}
	got := firstTiers(tiers)
	if len(got) != givenTiers || len(got[givenTiers-1]) != 2*givenTiers+1 {
		t.Fatalf("%d tiers, the last of %d", len(got), len(got[len(got)-1]))
	}
	if len(firstTiers(tiers[:2])) != 2 {
		t.Fatal("few tiers are left alone")
	}
}
