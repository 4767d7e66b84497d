//pump: around hashing, reads and writes of payload.

package storage

import (
	"crypto/sha1"

	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
)

// run hashes blocks from memory. Only those that have been stored unverified are
// read back.
func (k *hashTask) run(d *Disk) {
	for b := k.first; b < k.first+k.n; b++ {
		if slot := k.slots[b]; slot != nil {
			k.sum.Write(slot.Bytes())
			continue
		}
		k.err = k.stored1(d, b, func(p []byte) { k.sum.Write(p) })
		if k.err != nil {
			return
		}
	}
	if !k.final {
		return
	}
	var sum [sha1.Size]byte
	k.sum.Sum(sum[:0])
	if k.ok = sum == k.want; !k.ok {
		k.fingerprint(d)
	}
}

// stored1 reads one stored block back.
func (k *hashTask) stored1(d *Disk, b int32, f func([]byte)) error {
	sc := d.getScratch()
	defer d.putScratch(sc)
	buf := sc.buffer(int64(k.store.lay.BlockLen(k.piece, metainfo.BlockIndex(b))))
	err := k.store.readInto(sc, buf, k.store.lay.PieceOffset(k.piece)+int64(b)*block.Size)
	if err == nil {
		f(buf)
	}
	return err
}

// fingerprint tells the blocks of a bad piece apart.
func (k *hashTask) fingerprint(d *Disk) {
	k.sums = make([]uint64, len(k.slots))
	for b, slot := range k.slots {
		if slot != nil {
			k.sums[b] = xxhash.Sum64(slot.Bytes())
		} else {
			_ = k.stored1(d, int32(b), func(p []byte) { k.sums[b] = xxhash.Sum64(p) })
		}
	}
}

func (k *sumTask) run(d *Disk) {
	if k.blocks != nil {
		for _, b := range k.blocks {
			k.sums = append(k.sums, xxhash.Sum64(b.Bytes()))
		}
		return
	}
	sc := d.getScratch()
	defer d.putScratch(sc)
	lay := k.store.lay
	off := lay.PieceOffset(k.piece)
	for b := range metainfo.BlockIndex(lay.Blocks(k.piece)) {
		buf := sc.buffer(int64(lay.BlockLen(k.piece, b)))
		if k.err = k.store.readInto(sc, buf, off); k.err != nil {
			return
		}
		k.sums = append(k.sums, xxhash.Sum64(buf))
		off += int64(len(buf))
	}
}

// run writes, then records that. Only what has been written is recorded.
func (k *writeTask) run(d *Disk) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	var bufs [][]byte
	for _, r := range k.runs {
		bufs = blocksVec(bufs[:0], k.blocks[r.first:r.first+r.n])
		if k.err = k.store.write(sc, bufs, r.off, r.size, k.past && r.size >= pastRun); k.err != nil {
			return
		}
	}
	k.recordErr = k.store.record(k.record)
}

func (k *readTask) run(d *Disk) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	var room [maxRead / block.Size][]byte
	k.err = k.store.read(sc, blocksVec(room[:0], k.blocks), k.off, k.req.Length)
}
