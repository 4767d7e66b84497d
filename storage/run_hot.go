//pump: around hashing, reads and writes of payload.

package storage

import (
	"crypto/sha1"
	"errors"
	"io"

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

// run hashes pieces on the disk. Pieces whose files are missing or short are bad
// without being read.
func (k *verifyTask) run(d *Disk) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	for i := range k.pieces {
		p := &k.pieces[i]
		err := k.piece(d, sc, p)
		p.done = true
		if err != nil && !absent(err) && !errors.Is(err, io.ErrUnexpectedEOF) && k.err == nil {
			k.err = err
		}
	}
	k.record()
}

// record notes at once which pieces are good, so that after a crash they are not
// hashed again.
func (k *verifyTask) record() {
	var good []int32
	for i := range k.pieces {
		if k.pieces[i].ok && !k.pieces[i].had {
			good = append(good, int32(k.pieces[i].index))
		}
	}
	if len(good) > 0 {
		rec := appendPieces(nil, recWritten, k.boot, good)
		k.logged = int64(len(rec))
		_ = k.store.record(rec) // if it fails, the next sync records them
	}
}

func (k *verifyTask) piece(d *Disk, sc *scratch, p *verifyPiece) error {
	off, n := k.store.lay.PieceOffset(p.index), k.store.lay.PieceSize(p.index)
	if hole, err := k.store.hole(sc, off, n); hole || err != nil {
		p.ok = hole && d.zeroSum(n) == p.want
		return err
	}
	sc.sum.Reset()
	for n > 0 {
		buf := sc.buffer(min(n, scratchBytes))
		if err := k.store.readInto(sc, buf, off); err != nil {
			return err
		}
		sc.sum.Write(buf)
		off, n = off+int64(len(buf)), n-int64(len(buf))
		k.hashed += int64(len(buf))
	}
	var sum [sha1.Size]byte
	sc.sum.Sum(sum[:0])
	p.ok = sum == p.want
	return nil
}

// hole reports whether a stretch of payload is nothing but a hole in a file. The
// error says that a file is missing or too short.
func (s *store) hole(sc *scratch, off, n int64) (bool, error) {
	hole := true
	err := s.each(sc, off, n, func(file int32, at, n int64) error {
		if file >= 0 && !s.lay.hasData(file) {
			return nil
		}
		h, err := s.open(file, false)
		if err != nil {
			return s.fault("read", file, err)
		}
		defer s.disk.pool.put(h)
		next, err := h.NextData(at)
		hole = hole && err == nil && next >= at+n
		if hole {
			if info, err := h.Stat(); err == nil && info.Size < at+n {
				return io.ErrUnexpectedEOF
			}
		}
		return nil
	})
	return hole && err == nil, err
}
