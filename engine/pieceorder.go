package engine

import "github.com/shoal-bt/shoal/metainfo"

// pieceOrder makes verified pieces known in the order in which their last blocks
// arrived. Pieces are hashed two at a time and written in groups, so their verdicts
// overtake each other by a few; whoever watches a sequential download wants to see
// what the picker did, not the luck of the disk. Only the event waits: peers and
// Readers have the piece at once. Owner: the torrent.
type pieceOrder struct {
	queue []orderedPiece
}

type orderedPiece struct {
	piece metainfo.PieceIndex
	done  bool
}

// arrived appends a piece whose blocks are all there.
func (o *pieceOrder) arrived(p metainfo.PieceIndex) {
	o.queue = append(o.queue, orderedPiece{piece: p})
}

// verified marks a piece and tells all that nothing stands in front of any more.
func (o *pieceOrder) verified(p metainfo.PieceIndex, tell func(metainfo.PieceIndex)) {
	i := o.find(p)
	if i < 0 {
		tell(p) // it lay on disk
		return
	}
	o.queue[i].done = true
	o.release(tell)
}

// lost takes a piece out that has turned out bad, or waits for a disk in trouble.
func (o *pieceOrder) lost(p metainfo.PieceIndex, tell func(metainfo.PieceIndex)) {
	if i := o.find(p); i >= 0 {
		o.queue = append(o.queue[:i], o.queue[i+1:]...)
	}
	o.release(tell)
}

func (o *pieceOrder) release(tell func(metainfo.PieceIndex)) {
	n := 0
	for n < len(o.queue) && o.queue[n].done {
		tell(o.queue[n].piece)
		n++
	}
	o.queue = append(o.queue[:0], o.queue[n:]...)
}

func (o *pieceOrder) find(p metainfo.PieceIndex) int {
	for i := range o.queue {
		if o.queue[i].piece == p {
			return i
		}
	}
	return -1
}
