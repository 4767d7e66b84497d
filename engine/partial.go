package engine

import (
	"slices"

	"github.com/shoal-bt/shoal/internal/clock"
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
// got == len(state), and dups of the asked blocks have a second lease.
type partial struct {
	piece            metainfo.PieceIndex
	state            []blockState
	by               []peerID // who was asked, or who delivered; 0: storage had it
	second           []peerID // endgame: who was asked besides; nil before the first
	free, asked, got int32
	dups             int32
	first            metainfo.BlockIndex // no block before it is free
	owner            peerID              // whose alone it is; 0: everybody's
	parole           bool                // the owner must prove itself: nobody may join
	begun            clock.Time
	slot             int // place in the open list
}

// reset makes p the partial of a piece with n blocks, all free.
func (p *partial) reset(piece metainfo.PieceIndex, n int32) {
	state, by := p.state[:0], p.by[:0]
	for range n {
		state, by = append(state, blockFree), append(by, 0)
	}
	*p = partial{piece: piece, state: state, by: by, second: p.second[:0], free: n}
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

// arrive marks a block delivered by who, and reports whether it was wanted. Second
// leases end before.
func (p *partial) arrive(b metainfo.BlockIndex, who peerID) (wanted bool) {
	switch p.state[b] {
	case blockGot:
		return false
	case blockAsked:
		p.asked--
	case blockFree:
		p.free--
	}
	p.state[b], p.by[b] = blockGot, who
	p.got++
	return true
}

// holder returns who has the first lease of a block, 0 if nobody has.
func (p *partial) holder(b metainfo.BlockIndex) peerID {
	if p.state[b] != blockAsked {
		return 0
	}
	return p.by[b]
}

// double gives who a second lease of a block that is out.
func (p *partial) double(b metainfo.BlockIndex, who peerID) {
	for len(p.second) < len(p.state) {
		p.second = append(p.second, 0)
	}
	p.second[b] = who
	p.dups++
}

// doubled returns who has the second lease of a block, 0 if nobody has.
func (p *partial) doubled(b metainfo.BlockIndex) peerID {
	if p.dups == 0 {
		return 0
	}
	return p.second[b]
}

// single ends the second lease of a block and returns whose it was.
func (p *partial) single(b metainfo.BlockIndex) peerID {
	who := p.doubled(b)
	if who != 0 {
		p.second[b] = 0
		p.dups--
	}
	return who
}

// promote makes the second lease of a block the first, whose holder has given up.
// It returns who has it now, 0 if there was none: the block is free then.
func (p *partial) promote(b metainfo.BlockIndex) peerID {
	who := p.single(b)
	if who != 0 {
		p.state[b], p.by[b] = blockAsked, who
		p.free--
		p.asked++
	}
	return who
}

// untouched reports whether nobody has or was asked for any block.
func (p *partial) untouched() bool { return int(p.free) == len(p.state) }

// only reports whether nobody but who has a part in it, the disk left out.
func (p *partial) only(who peerID) bool {
	for i, id := range p.by {
		if id != 0 && id != who && p.state[i] != blockFree {
			return false
		}
	}
	return true
}

// from reports whether who has delivered some of the blocks.
func (p *partial) from(who peerID) bool {
	for i, id := range p.by {
		if id == who && p.state[i] == blockGot {
			return true
		}
	}
	return false
}

// contributors lists who delivered the piece's blocks, each once, in order of
// their first block; 0 (the disk) is left out.
func (p *partial) contributors() []peerID {
	var out []peerID
	for i, who := range p.by {
		if p.state[i] == blockGot && who != 0 && !slices.Contains(out, who) {
			out = append(out, who)
		}
	}
	return out
}
