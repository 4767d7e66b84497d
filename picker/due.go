package picker

import (
	"cmp"
	"slices"
	"time"
)

// dueList holds the pieces that readers wait for, earliest first. It is short: a
// few windows of read-ahead.
type dueList []dueItem

type dueItem struct {
	at    Time
	piece int32
}

// urgentWithin is how near a deadline must be for a block to be worth requesting
// twice.
const urgentWithin = 5 * time.Second

func (d dueItem) compare(o dueItem) int {
	return cmp.Or(cmp.Compare(d.at, o.at), cmp.Compare(d.piece, o.piece))
}

// put adds a piece that is not in the list.
func (d *dueList) put(piece int32, at Time) {
	it := dueItem{at, piece}
	i, _ := slices.BinarySearchFunc(*d, it, dueItem.compare)
	*d = slices.Insert(*d, i, it)
}

// drop removes a piece that may be in the list.
func (d *dueList) drop(piece int32) {
	if i := slices.IndexFunc(*d, func(it dueItem) bool { return it.piece == piece }); i >= 0 {
		*d = slices.Delete(*d, i, i+1)
	}
}

// offer goes through the pieces by deadline.
func (d dueList) offer(v *visit) bool {
	for _, it := range d {
		if !v.due(it) {
			return false
		}
	}
	return true
}
