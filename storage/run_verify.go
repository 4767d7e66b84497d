//pump: around reading pieces that are to be verified.

package storage

import (
	"crypto/sha1"
	"errors"
	"io"

	"github.com/shoal-bt/shoal/internal/sha1x2"
)

// maxHeld is the largest piece that is kept in memory to be hashed with the next.
const maxHeld = 4 << 20

// run hashes pieces on the disk. Pieces whose files are missing or short are bad
// without being read.
func (k *verifyTask) run(d *Disk) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	v := verifying{task: k, sc: sc}
	for i := range k.pieces {
		p := &k.pieces[i]
		err := v.piece(d, p)
		p.done = true
		if err != nil && !absent(err) && !errors.Is(err, io.ErrUnexpectedEOF) && k.err == nil {
			k.err = err
		}
	}
	v.finish(sc.sums[0])
	k.record()
}

// verifying hashes pieces two at a time, which costs little more than one: the first
// is held in memory while the second is read, so that files are read in order.
type verifying struct {
	task *verifyTask
	sc   *scratch
	held *verifyPiece
	rest []byte // of held, not hashed yet
}

func (v *verifying) piece(d *Disk, p *verifyPiece) error {
	st := v.task.store
	off, n := st.lay.PieceOffset(p.index), st.lay.PieceSize(p.index)
	if hole, err := st.hole(v.sc, off, n); hole || err != nil {
		p.ok = hole && d.zeroSum(n) == p.want
		return err
	}
	if v.held == nil && n <= maxHeld {
		return v.hold(p, off, n)
	}
	return v.hash(p, off, n)
}

// hold reads a piece that is hashed with the next one.
func (v *verifying) hold(p *verifyPiece, off, n int64) error {
	buf := v.sc.hold(n)
	err := v.task.store.readInto(v.sc, buf, off)
	if err == nil {
		v.held, v.rest = p, buf
		v.sc.sums[0].Reset()
	}
	return err
}

// hash reads a piece and hashes it together with the one that is held, if any.
func (v *verifying) hash(p *verifyPiece, off, n int64) error {
	held, sum := v.sc.sums[0], v.sc.sums[1]
	sum.Reset()
	for n > 0 {
		buf := v.sc.buffer(min(n, scratchBytes))
		if err := v.task.store.readInto(v.sc, buf, off); err != nil {
			return err
		}
		m := min(len(v.rest), len(buf))
		sha1x2.Write2(held, sum, v.rest[:m], buf)
		v.rest = v.rest[m:]
		off, n = off+int64(len(buf)), n-int64(len(buf))
		v.task.hashed += int64(len(buf))
	}
	v.finish(held)
	p.ok = sumOf(sum) == p.want
	return nil
}

// finish ends the hash of the piece that is held.
func (v *verifying) finish(sum *sha1x2.Digest) {
	if v.held == nil {
		return
	}
	_, _ = sum.Write(v.rest)
	v.held.ok = sumOf(sum) == v.held.want
	v.task.hashed += v.task.store.lay.PieceSize(v.held.index)
	v.held, v.rest = nil, nil
}

func sumOf(d *sha1x2.Digest) (sum [sha1.Size]byte) {
	d.Sum(sum[:0])
	return sum
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
