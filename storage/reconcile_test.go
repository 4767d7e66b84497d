package storage

import (
	"reflect"
	"strings"
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
	first := []int32{0, 1, 2, 3, 4}
	rest := []int32{5, 6, 7, 8, 9}
	same := FileID{Dev: 1, Ino: 11, Birth: 111}
	cases := []struct {
		name             string
		durable, written []int32
		boot             string // of the written ones; now it is "now"
		clean            bool
		health           stateHealth
		check            bool
		there            []fileLook
		mtime            int64  // of both files, if not 0
		id               FileID // of the first file; recorded is same
		busy, late       bool
		vague            bool   // when something was recorded last
		copied           FileID // a copy with this ID was about to take the first file's place
		unrecorded       bool   // what files look like
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
		{name: "cut short", durable: all, boot: "now", there: there(450, 120), have: []int32{0, 1, 2, 3}, unknown: []int32{4}},
		{name: "cut short by a power cut", durable: all, boot: "old", there: there(450, 120), have: []int32{0, 1, 2, 3, 4}},
		{name: "longer than it was", durable: all, boot: "now", there: there(450, 5000), have: []int32{0, 1, 2, 3}, unknown: []int32{4, 5, 6, 7, 8, 9}},
		{name: "longer, while we wrote", durable: all, boot: "now", there: there(450, 5000), busy: true, have: all},
		{name: "clean and untouched", durable: all, boot: "now", clean: true, there: there(450, 550), have: all},
		{name: "clean, then changed", durable: all, boot: "now", clean: true, there: there(450, 550), mtime: noted + 1, unknown: all},
		{name: "clean, then a power cut took the time back", durable: all, boot: "old", clean: true, there: there(450, 550), mtime: noted - 1, have: all},
		{name: "changed later, and we did not write", durable: all, boot: "now", there: there(450, 550), mtime: noted + 1, unknown: all},
		{name: "changed later, we were about to write", durable: all, boot: "now", busy: true, there: there(450, 550), mtime: noted + ownTime/2, have: all},
		{name: "changed later, which a server says", durable: all, boot: "now", busy: true, late: true, there: there(450, 550), mtime: noted + slackTime/2, have: all},
		{name: "changed later than what a server says", durable: all, boot: "now", busy: true, vague: true, there: there(450, 550), mtime: noted + slackTime/2, have: all},
		{name: "changed later after a power cut", durable: all, boot: "old", busy: true, there: there(450, 550), mtime: noted + slackTime/2, have: all},
		{name: "changed when we were dead", durable: all, boot: "now", busy: true, there: there(450, 550), mtime: noted + 2*ownTime, unknown: all},
		{name: "changed much later", durable: all, boot: "now", busy: true, there: there(450, 550), mtime: noted + 2*slackTime, unknown: all},
		{name: "older than our last write", durable: all, boot: "now", busy: true, there: there(450, 550), mtime: noted - 1, unknown: all},
		{name: "older after a power cut", durable: all, boot: "old", there: there(450, 550), mtime: noted - 1, have: all},
		{name: "later after a power cut", durable: all, boot: "old", there: there(450, 550), mtime: noted + 1, have: all},
		{name: "older, where times are rounded", durable: all, boot: "now", late: true, there: there(450, 550), mtime: noted - 1e9, have: all},
		{name: "another file", durable: all, boot: "now", there: there(450, 550), id: FileID{1, 12, 111}, have: rest, unknown: first},
		{name: "another file, clean", durable: all, boot: "now", clean: true, there: there(450, 550), id: FileID{1, 12, 111}, have: rest, unknown: first},
		{name: "another file of the same number", durable: all, boot: "now", there: there(450, 550), id: FileID{1, 11, 112}, have: rest, unknown: first},
		{name: "another device", durable: all, boot: "now", there: there(450, 550), id: FileID{2, 11, 0}, have: rest, unknown: first},
		{name: "the device has another number since", durable: all, boot: "old", there: there(450, 550), id: FileID{2, 11, 0}, have: all},
		{name: "files that can't be told apart", durable: all, boot: "now", there: there(450, 550), id: FileID{0, 0, 0}, have: all},
		{name: "the copy that was about to take its place", durable: all, boot: "now", there: there(450, 550), id: FileID{3, 5, 7}, copied: FileID{3, 5, 7}, have: all},
		{name: "the original, which a copy was about to replace", durable: all, boot: "now", there: there(450, 550), copied: FileID{3, 5, 7}, have: all},
		{name: "neither", durable: all, boot: "now", there: there(450, 550), id: FileID{3, 5, 8}, copied: FileID{3, 5, 7}, have: rest, unknown: first},
		{name: "nothing recorded of files, changed much later", durable: all, boot: "now", unrecorded: true, there: there(450, 550), mtime: noted + 2*slackTime, unknown: all},
		{name: "nothing recorded of files, changed a little later", durable: all, boot: "now", unrecorded: true, there: there(450, 550), mtime: noted + slackTime/2, have: all},
		{name: "no state, files there", health: stateNone, there: there(450, -1), unknown: []int32{0, 1, 2, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFacts(10, 2, "/d")
			f.boot, f.clean = c.boot, c.clean
			f.placed.SetAll()
			fill(&f.durable, c.durable)
			fill(&f.written, c.written)
			if !c.unrecorded {
				f.stats[0] = fileStat{file: 0, size: 450, mtime: noted, id: same, busy: c.busy}
				f.stats[1] = fileStat{file: 1, size: 550, mtime: noted, busy: c.busy}
			}
			if c.copied != (FileID{}) {
				f.also[0] = fileStat{file: 0, size: 450, mtime: noted, id: c.copied}
			}
			if c.there[0].id = same; c.id != (FileID{}) || strings.Contains(c.name, "told apart") {
				c.there[0].id = c.id
			}
			c.there[0].late, c.there[1].late = c.late, c.late
			if c.health == stateNone && c.boot != "" {
				c.health = stateSound
			}
			if c.mtime != 0 {
				c.there[0].mtime, c.there[1].mtime = c.mtime, c.mtime
			}
			r := reconcile{lay: lay, facts: f, health: c.health, boot: "now", check: c.check, there: c.there, limit: noted, vague: c.vague}
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
