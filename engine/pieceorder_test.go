package engine

import (
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/metainfo"
)

func TestVerdictsAreToldInTheOrderOfArrival(t *testing.T) {
	var o pieceOrder
	var told []metainfo.PieceIndex
	tell := func(p metainfo.PieceIndex) { told = append(told, p) }
	want := func(what string, pieces ...metainfo.PieceIndex) {
		t.Helper()
		if !slices.Equal(told, pieces) {
			t.Fatalf("%s: told %v, want %v", what, told, pieces)
		}
		told = nil
	}
	for p := range metainfo.PieceIndex(5) {
		o.arrived(p)
	}
	o.verified(1, tell)
	want("piece 0 came first")
	o.verified(0, tell)
	want("both", 0, 1)
	o.verified(3, tell)
	o.lost(2, tell)
	want("a bad piece holds nobody up", 3)
	o.verified(9, tell)
	want("what lay on disk is told at once", 9)
	o.arrived(2)
	o.verified(2, tell)
	o.verified(4, tell)
	want("fetched again, it has its new place", 4, 2)
	if len(o.queue) != 0 {
		t.Fatalf("left in the queue: %v", o.queue)
	}
}
