package storage

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
)

func testLengths(t testing.TB) metainfo.Lengths {
	l, err := metainfo.NewLengths(10*100_000-5, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sampleState is a state file with one record of each kind behind its snapshot.
func sampleState(l *metainfo.Lengths) []byte {
	f := newFacts(l.Pieces(), 3, "/data")
	f.boot = "b1"
	f.durable.Set(0)
	f.saved = []byte("old")
	blocks := bits.New(l.Blocks(5))
	blocks.Set(2)
	b := f.appendSnapshot([]byte(stateHeader), l)
	b = appendPieces(b, recWritten, "b1", []int32{1, 2, 3})
	b = appendPieces(b, recDurable, "", []int32{1})
	b = appendPieces(b, recLost, "", []int32{2})
	b = appendPieces(b, recDoubt, "", []int32{6})
	b = appendPartial(b, "b1", 5, &blocks)
	b = appendSaved(b, []byte("new"))
	b = appendFiles(b, recPlaced, []int32{0, 2})
	b = appendRenamed(b, renaming{1, "x/y", "x/z"})
	b = appendText(b, recMoving, "/to")
	b = appendText(b, recMoved, "/to")
	b = appendMark(b, recCleaned)
	b = appendStats(b, recFiles, sampleStats)
	b = appendFiles(b, recBusy, []int32{2, 1})
	b = appendStats(b, recCopies, sampleStats[:1])
	return appendClosed(b)
}

var sampleStats = []fileStat{
	{file: 0, size: 5, mtime: -7, id: FileID{1 << 63, 2, -3}, busy: true},
	{file: 2, size: 1 << 40, mtime: 1 << 60, id: FileID{1, 1 << 63, 1 << 61}},
}

func TestStateIsReadAsWritten(t *testing.T) {
	l := testLengths(t)
	f, health := readState(sampleState(&l), &l, 3)
	if health != stateSound {
		t.Fatalf("health %d", health)
	}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	have := f.have()
	check("have", members(&have), []int32{0, 1, 3})
	check("durable", members(&f.durable), []int32{0, 1})
	check("stale", members(&f.stale), []int32{6})
	check("placed", members(&f.placed), []int32{0, 2})
	check("partials", len(f.partials), 1)
	check("partial", members(f.partials[0].Blocks), []int32{2})
	check("saved", string(f.saved), "new")
	check("dirs", []string{f.dir, f.from, f.moving}, []string{"/to", "/data", ""})
	check("renamed", f.renamed, []renaming{{1, "x/y", "x/z"}})
	check("clean", f.clean, true)
	second := sampleStats[1]
	second.busy = true // said behind it
	check("stats", f.stats, map[int32]fileStat{0: sampleStats[0], 2: second})
	check("copies", f.also, map[int32]fileStat{0: sampleStats[0]})

	b := appendStats(f.appendSnapshot([]byte(stateHeader), &l), recFiles, []fileStat{sampleStats[0], second})
	again, health := readState(b, &l, 3)
	clear(f.also)
	f.clean = false
	check("health of the snapshot", health, stateSound)
	check("the snapshot says the same", again, f)
}

// TestEarlierVersionsStats: what files looked like stood in the last record once.
func TestEarlierVersionsStats(t *testing.T) {
	l := testLengths(t)
	b := appendRecord(sampleState(&l), recClosed, func(e *encoder) {
		e.uint(1)
		e.uint(1)
		e.int(77)
		e.int(-5)
	})
	f, health := readState(b, &l, 3)
	if want := (map[int32]fileStat{1: {file: 1, size: 77, mtime: -5}}); health != stateSound || !f.clean || !reflect.DeepEqual(f.stats, want) {
		t.Errorf("health %d, clean %v, stats %v", health, f.clean, f.stats)
	}
}

func members(s *bits.Set) []int32 {
	out := []int32{}
	for i := range s.All() {
		out = append(out, i)
	}
	return out
}

func TestAnotherBootMakesWrittenPiecesStale(t *testing.T) {
	l := testLengths(t)
	b := appendPieces(sampleState(&l), recWritten, "b2", []int32{4})
	f, _ := readState(b, &l, 3)
	if got := members(&f.stale); !reflect.DeepEqual(got, []int32{3, 6}) {
		t.Errorf("stale: %v", got)
	}
	if got := members(&f.written); !reflect.DeepEqual(got, []int32{4}) {
		t.Errorf("written: %v", got)
	}
}

// TestDamageNeverMakesPieces flips each byte, cuts at each length and zeroes each
// stretch: no piece may be known that was not, unless the damage is noticed.
func TestDamageNeverMakesPieces(t *testing.T) {
	l := testLengths(t)
	whole := sampleState(&l)
	// Cut at the end of a record the file is a sound one of an earlier moment.
	try := func(what string, at int, b []byte, cut bool) {
		t.Helper()
		f, health := readState(b, &l, 3)
		switch {
		case f == nil && health == stateSound:
			t.Errorf("%s at %d: sound without facts", what, at)
		case health == stateSound && !cut && !bytes.Equal(b, whole):
			t.Errorf("%s at %d was not noticed", what, at)
		}
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		try("flip", i, b, false)
		try("cut", i, whole[:i], true)
		b = bytes.Clone(whole)
		clear(b[i:min(i+20, len(b))])
		try("zeros", i, b, false)
	}
}

func TestReadingGoesOnBehindDamage(t *testing.T) {
	l := testLengths(t)
	b := sampleState(&l)
	mark := len(b)
	b = append(b, recordMarker+"garbage that looks like a record"...)
	b = appendPieces(b, recWritten, "b1", []int32{7})
	f, health := readState(b, &l, 3)
	if health != stateHoles || !f.written.Has(7) || !f.durable.Has(0) {
		t.Errorf("health %d, %v", health, members(&f.written))
	}
	if f, health = readState(b[:mark+20], &l, 3); health != stateTorn || f == nil {
		t.Errorf("a torn tail has health %d", health)
	}
}

func TestNewerStateIsLeftAlone(t *testing.T) {
	l := testLengths(t)
	b := sampleState(&l)
	b[len(stateHeader)-1]++
	if f, health := readState(b, &l, 3); health != stateNewer || f != nil {
		t.Errorf("health %d", health)
	}
}

func TestStateOfAnotherTorrentIsDamage(t *testing.T) {
	l := testLengths(t)
	other, _ := metainfo.NewLengths(1000, 100)
	if f, health := readState(sampleState(&other), &l, 3); f != nil || health != stateDamaged {
		t.Errorf("health %d", health)
	}
}

func FuzzReadState(f *testing.F) {
	l := testLengths(f)
	whole := sampleState(&l)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(stateHeader))
	f.Add([]byte(recordMarker))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		b := bytes.Clone(whole)
		b[rng.IntN(len(b))]++
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		facts, health := readState(b, &l, 3)
		if facts == nil {
			if health == stateSound {
				t.Fatal("sound without facts")
			}
			return
		}
		have := facts.have()
		if have.Len() != l.Pieces() || facts.placed.Len() != 3 {
			t.Fatal("sets of the wrong length")
		}
		for _, p := range facts.partials {
			if !l.Valid(p.Piece) || p.Blocks.Len() != l.Blocks(p.Piece) {
				t.Fatal("a partial piece of the wrong shape")
			}
		}
		var stats []fileStat
		for _, i := range slices.Sorted(maps.Keys(facts.stats)) {
			stats = append(stats, facts.stats[i])
		}
		clear(facts.also)
		facts.clean = false
		again, health := readState(appendStats(facts.appendSnapshot([]byte(stateHeader), &l), recFiles, stats), &l, 3)
		if health != stateSound || !reflect.DeepEqual(again, facts) {
			t.Fatalf("the snapshot reads differently: %d", health)
		}
	})
}

// FuzzReadRecords is FuzzReadState with sound checksums, so that payloads are reached.
func FuzzReadRecords(f *testing.F) {
	l := testLengths(f)
	scanRecords(sampleState(&l)[len(stateHeader):], func(kind recordKind, payload []byte) {
		f.Add(byte(kind), payload)
	})
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		b := appendRecord(sampleState(&l), recordKind(kind), func(e *encoder) { e.b = append(e.b, payload...) })
		facts, _ := readState(b, &l, 3)
		if facts == nil {
			t.Fatal("the snapshot before is sound")
		}
		if _, health := readState(facts.appendSnapshot([]byte(stateHeader), &l), &l, 3); health != stateSound {
			t.Fatalf("the snapshot has health %d", health)
		}
	})
}
