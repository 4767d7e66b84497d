//pump: around hashing, reads and writes of payload.

package storage

import (
	"github.com/cespare/xxhash/v2"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/sha1x2"
	"github.com/shoal-bt/shoal/metainfo"
)

// run hashes blocks from memory, those of two pieces together. Only those that have
// been stored unverified are read back.
func (k *hashTask) run(d *Disk) {
	m := k.mate
	if m == nil {
		k.alone(d, 0)
		return
	}
	both := min(k.inMemory(), m.inMemory())
	for i := range both {
		sha1x2.Write2(k.sum, m.sum, k.slots[k.first+i].Bytes(), m.slots[m.first+i].Bytes())
	}
	k.alone(d, both)
	m.alone(d, both)
}

// inMemory returns how many blocks from the first on need not be read back.
func (k *hashTask) inMemory() (n int32) {
	for n < k.n && k.slots[k.first+n] != nil {
		n++
	}
	return n
}

// alone hashes all blocks but the first skip, and compares.
func (k *hashTask) alone(d *Disk, skip int32) {
	for b := k.first + skip; b < k.first+k.n; b++ {
		if slot := k.slots[b]; slot != nil {
			_, _ = k.sum.Write(slot.Bytes())
			continue
		}
		k.err = k.stored1(d, b, func(p []byte) { _, _ = k.sum.Write(p) })
		if k.err != nil {
			return
		}
	}
	if !k.final {
		return
	}
	if k.ok = sumOf(k.sum) == k.want; !k.ok {
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
