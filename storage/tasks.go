package storage

import (
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/sha1x2"
	"github.com/shoal-bt/shoal/metainfo"
)

// The tasks: what goes into a job and what comes out of it. Their run methods,
// which wait for files, are in files that begin with run_.

// hashTask hashes blocks of a piece and, behind the last one, compares.
type hashTask struct {
	job   Job
	store *store
	pc    *piece // the actor's

	piece    metainfo.PieceIndex
	slots    []*block.Block // of the whole piece; nil where stored
	stored   *bits.Set
	first, n int32 // blocks to hash
	sum      *sha1x2.Digest
	size     int64
	final    bool
	usesDisk bool
	want     [20]byte
	bad      bool // phantom payload that is wrong

	ok   bool
	sums []uint64 // of a bad piece's blocks
	err  error    // stored blocks could not be read

	mate *hashTask // of another piece, hashed at the same time; nil if there is none
}

func (k *hashTask) kind() string { return "hash" }

func (k *hashTask) bytes() int64 {
	if k.mate != nil {
		return k.size + k.mate.size
	}
	return k.size
}

func (k *hashTask) drop() {
	k.pc.release()
	if k.mate != nil {
		k.mate.pc.release()
	}
}

// reset empties the task for reuse. Sums belong to the torrent now.
func (k *hashTask) reset() { *k = hashTask{} }

func (k *hashTask) phantom(whole bool) {
	if k.mate != nil {
		k.mate.phantom(whole)
	}
	k.ok = !k.bad
	if k.final && !k.ok {
		k.sums = phantomSums(k.slots)
	}
}

// phantomSums are the marks, which stand for content.
func phantomSums(slots []*block.Block) []uint64 {
	sums := make([]uint64, len(slots))
	for i, b := range slots {
		if b != nil {
			sums[i] = b.Mark
		}
	}
	return sums
}

// sumTask takes the fingerprints of a verified piece's blocks.
type sumTask struct {
	store  *store
	piece  metainfo.PieceIndex
	blocks []*block.Block // shares of slots; nil: read from the disk

	sums []uint64
	err  error
}

func (k *sumTask) kind() string { return "sum" }
func (k *sumTask) bytes() int64 {
	if k.store == nil {
		return 0
	}
	return k.store.lay.PieceSize(k.piece)
}

func (k *sumTask) drop() {
	for _, b := range k.blocks {
		b.Release()
	}
	k.blocks = nil
}

func (k *sumTask) phantom(bool) {
	k.sums = make([]uint64, k.store.lay.Blocks(k.piece)) // verified: all marks are 0
}

// writeTask writes blocks of verified pieces, or of one partial piece as it is.
type writeTask struct {
	job    Job
	store  *store
	pieces []*piece // the actor's

	indexes []int32
	blocks  []*block.Block
	runs    []writeRun
	size    int64
	record  []byte // goes to the state file after the write
	spill   bool
	probe   bool // an attempt whether the disk is well again
	past    bool // nobody is likely to read it soon

	err       error // nothing is to be believed of what was to be written
	recordErr error // the payload was written, the record was not
}

// writeRun is a stretch of blocks that lie one behind the other in the payload.
type writeRun struct {
	off      int64 // in the payload
	first, n int   // of blocks
	size     int64
}

func (k *writeTask) kind() string {
	if k.spill {
		return "spill"
	}
	return "write"
}

func (k *writeTask) bytes() int64 { return k.size }
func (k *writeTask) phantom(bool) {}

func (k *writeTask) drop() {
	for _, pc := range k.pieces {
		pc.release()
	}
}

// addBlocks appends the blocks that a piece has in memory.
func (k *writeTask) addBlocks(l *layout, pc *piece) {
	off := l.PieceOffset(pc.index)
	for _, b := range pc.slots {
		if b != nil {
			k.add(off, b)
		}
		off += block.Size
	}
}

func (k *writeTask) add(off int64, b *block.Block) {
	n := int64(b.Len())
	if i := len(k.runs) - 1; i >= 0 && k.runs[i].off+k.runs[i].size == off {
		k.runs[i].n++
		k.runs[i].size += n
	} else {
		k.runs = append(k.runs, writeRun{off: off, first: len(k.blocks), n: 1, size: n})
	}
	k.blocks = append(k.blocks, b)
	k.size += n
}

// wrote reports whether the task contains a block.
func (k *writeTask) wrote(b *block.Block) bool {
	for _, x := range k.blocks {
		if x == b {
			return true
		}
	}
	return false
}

// reset empties the task for reuse and keeps its memory.
func (k *writeTask) reset() {
	clear(k.pieces)
	clear(k.blocks)
	*k = writeTask{
		pieces: k.pieces[:0], indexes: k.indexes[:0], blocks: k.blocks[:0],
		runs: k.runs[:0], record: k.record[:0],
	}
}

// readTask reads payload into slots.
type readTask struct {
	job    Job
	store  *store
	req    *Read
	off    int64 // in the payload
	blocks []*block.Block

	err error
}

func (k *readTask) kind() string { return "read" }
func (k *readTask) bytes() int64 { return k.req.Length }
func (k *readTask) phantom(bool) {}

// drop answers, since the actor that should is gone.
func (k *readTask) drop() {
	k.release()
	k.req.Err = ErrClosed
	k.req.Reply.Tell(k.req)
}

func (k *readTask) release() {
	for i, b := range k.blocks {
		b.Release()
		k.blocks[i] = nil
	}
	k.blocks = k.blocks[:0]
}

// lease takes slots for n bytes; all or none.
func (k *readTask) lease(slab *block.Slab, n int64) bool {
	k.blocks = k.blocks[:0]
	for ; n > 0; n -= block.Size {
		b := slab.Lease()
		if b == nil {
			k.release()
			return false
		}
		b.SetLen(int(min(n, block.Size)))
		k.blocks = append(k.blocks, b)
	}
	return true
}

func (k *readTask) reset() {
	clear(k.blocks)
	*k = readTask{blocks: k.blocks[:0]}
}

// verifyTask hashes pieces on the disk.
type verifyTask struct {
	store  *store
	pieces []verifyPiece
	boot   string

	hashed int64
	logged int64 // bytes of the record that says which are good
	err    error
}

// verifyPiece is one of them.
type verifyPiece struct {
	index metainfo.PieceIndex
	want  [20]byte
	had   bool
	done  bool // it has been looked at
	ok    bool
}

func (k *verifyTask) kind() string { return "verify" }
func (k *verifyTask) drop()        {}

func (k *verifyTask) bytes() (n int64) {
	for i := range k.pieces {
		n += k.store.lay.PieceSize(k.pieces[i].index)
	}
	return n
}

func (k *verifyTask) phantom(whole bool) {
	for i := range k.pieces {
		k.pieces[i].done, k.pieces[i].ok = true, whole || k.pieces[i].had
	}
	k.hashed = k.bytes()
}
