package engine

import (
	"github.com/shoal-bt/shoal/metainfo"
)

// blockState is where one block of a piece in progress is.
type blockState uint8

const (
	blockFree  blockState = iota // to be asked for
	blockAsked                   // leased to a peer
	blockGot                     // handed to storage
)

// partial is a piece in progress. Owner: its torrent. Invariant: free + asked +
// got == len(state).
type partial struct {
	piece            metainfo.PieceIndex
	state            []blockState
	by               []peerID // who was asked, or who delivered; 0: storage had it
	free, asked, got int32
	first            metainfo.BlockIndex // no block before it is free
	owner            peerID              // whose alone it is; 0: everybody's
	parole           bool                // the owner must prove itself: nobody may join
	slot             int                 // place in the open list
}

// reset makes p the partial of a piece with n blocks, all free.
func (p *partial) reset(piece metainfo.PieceIndex, n int32) {
	state, by := p.state[:0], p.by[:0]
	for range n {
		state, by = append(state, blockFree), append(by, 0)
	}
	*p = partial{piece: piece, state: state, by: by, free: n}
}

// hashing reports whether storage has all blocks and judges them.
func (p *partial) hashing() bool { return int(p.got) == len(p.state) }

// ask leases up to n free blocks to a peer and tells each run.
func (p *partial) ask(who peerID, n int32, found func(run)) (asked int32) {
	for i := int(p.first); i < len(p.state) && asked < n && p.free > 0; i++ {
		if p.state[i] != blockFree {
			continue
		}
		start := i
		for i < len(p.state) && asked < n && p.state[i] == blockFree {
			p.state[i], p.by[i] = blockAsked, who
			p.free--
			p.asked++
			asked++
			i++
		}
		found(run{p.piece, metainfo.BlockIndex(start), int32(i - start)})
		p.first = metainfo.BlockIndex(i)
	}
	return asked
}

// giveBack frees a block that was leased to who, and reports whether it was.
func (p *partial) giveBack(b metainfo.BlockIndex, who peerID) bool {
	if p.state[b] != blockAsked || p.by[b] != who {
		return false
	}
	p.state[b], p.by[b] = blockFree, 0
	p.asked--
	p.free++
	p.first = min(p.first, b)
	return true
}

// arrive marks a block delivered by who. It returns who else still has it leased
// (0: nobody), and whether it was wanted at all.
func (p *partial) arrive(b metainfo.BlockIndex, who peerID) (other peerID, wanted bool) {
	switch p.state[b] {
	case blockGot:
		return 0, false
	case blockAsked:
		p.asked--
		if p.by[b] != who {
			other = p.by[b]
		}
	case blockFree:
		p.free--
	}
	p.state[b], p.by[b] = blockGot, who
	p.got++
	return other, true
}

// contributors lists who delivered the piece's blocks, each once, in order of
// their first block; 0 (the disk) is left out.
func (p *partial) contributors() []peerID {
	var out []peerID
	for i, who := range p.by {
		if p.state[i] == blockGot && who != 0 && !contains(out, who) {
			out = append(out, who)
		}
	}
	return out
}

func contains(ids []peerID, id peerID) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}
