package storage

import (
	"reflect"
	"testing"

	"github.com/shoal-bt/shoal/internal/bits"
)

// TestReconcile is a table of what is believed after a restart. The torrent has ten
// pieces of 100 bytes: 0..3 in the first file, 4 in both, 5..9 in the second.
func TestReconcile(t *testing.T) {
	tt := MakeTorrent(t, 100, 1, TestFile{Path: "a", N: 450}, TestFile{Path: "b", N: 550})
	lay := newLayout(tt.Torrent)
	there := func(a, b int64) []fileLook {
		look := func(n int64) fileLook { return fileLook{found: n >= 0, size: n, mtime: 1000} }
		return []fileLook{look(a), look(b)}
	}
	all := []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	const noted = int64(1000)
	cases := []struct {
		name             string
		durable, written []int32
		boot             string // of the written ones; now it is "now"
		clean            bool
		health           stateHealth
		check            bool
		there            []fileLook
		mtime            int64 // of both files, if not 0
		have, unknown    []int32
		missing          bool
	}{
		{name: "same boot", durable: []int32{0, 5}, written: []int32{1, 6}, boot: "now", there: there(450, 550),
			have: []int32{0, 1, 5, 6}},
		{name: "another boot", durable: []int32{0, 5}, written: []int32{1, 6}, boot: "old", there: there(450, 550),
			have: []int32{0, 5}, unknown: []int32{1, 6}},
		{name: "holes after a power cut", durable: []int32{0}, written: []int32{1}, boot: "old", health: stateHoles, there: there(450, 550),
			have: []int32{0}, unknown: []int32{1}},
		{name: "holes without one", durable: []int32{0}, boot: "now", health: stateHoles, there: there(450, -1),
			unknown: []int32{0, 1, 2, 3}},
		{name: "damaged", durable: []int32{0, 5}, boot: "now", health: stateDamaged, there: there(450, 250),
			unknown: []int32{0, 1, 2, 3, 4, 5, 6}},
		{name: "check", durable: all, boot: "now", check: true, there: there(450, 550), unknown: all},
		{name: "check and nothing there", durable: all, boot: "now", check: true, there: there(-1, -1)},
		{name: "a file is gone", durable: all, boot: "now", there: there(450, -1), have: []int32{0, 1, 2, 3}},
		{name: "both are gone", durable: all, boot: "now", there: there(-1, -1), missing: true},
		{name: "both are gone, of no worth", written: all, boot: "old", there: there(-1, -1)},
		{name: "nothing recorded, nothing there", boot: "now", there: there(-1, -1)},
		{name: "cut short", durable: all, boot: "now", there: there(450, 120), have: []int32{0, 1, 2, 3, 4}},
		{name: "longer than it should be", durable: all, boot: "now", there: there(450, 5000), have: all},
		{name: "clean and untouched", durable: all, boot: "now", clean: true, there: there(450, 550), have: all},
		{name: "clean, then changed", durable: all, boot: "now", clean: true, there: there(450, 550), mtime: noted + 1, unknown: all},
		{name: "clean, then a power cut took the time back", durable: all, boot: "old", clean: true, there: there(450, 550), mtime: noted - 1, have: all},
		{name: "not clean, changed much later", durable: all, boot: "now", there: there(450, 550), mtime: noted + 2*slackTime, unknown: all},
		{name: "not clean, changed a little later", durable: all, boot: "now", there: there(450, 550), mtime: noted + slackTime/2, have: all},
		{name: "no state, files there", health: stateNone, there: there(450, -1), unknown: []int32{0, 1, 2, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFacts(10, 2, "/d")
			f.boot, f.clean = c.boot, c.clean
			f.placed.SetAll()
			fill(&f.durable, c.durable)
			fill(&f.written, c.written)
			f.stats = []fileStat{{0, 450, noted}, {1, 550, noted}}
			if c.health == stateNone && c.boot != "" {
				c.health = stateSound
			}
			if c.mtime != 0 {
				c.there[0].mtime, c.there[1].mtime = c.mtime, c.mtime
			}
			r := reconcile{lay: lay, facts: f, health: c.health, boot: "now", check: c.check, there: c.there, limit: noted}
			if missing := r.judge(); missing != c.missing {
				t.Errorf("missing: %v", missing)
			}
			if c.missing {
				return
			}
			have := f.have()
			if got := members(&have); !reflect.DeepEqual(got, append([]int32{}, c.have...)) {
				t.Errorf("have %v, want %v", got, c.have)
			}
			if got := members(&f.stale); !reflect.DeepEqual(got, append([]int32{}, c.unknown...)) {
				t.Errorf("unknown %v, want %v", got, c.unknown)
			}
		})
	}
}

func fill(s *bits.Set, members []int32) {
	for _, i := range members {
		s.Set(i)
	}
}
