package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// readAhead is how much a Reader wants beyond what it is asked for, in bytes.
const readAhead = 4 << 20

var readerIDs atomic.Uint64

// Reader reads one file of a torrent while it is being downloaded: it waits for what
// is not there yet and makes it urgent. It is an io.ReadSeekCloser and io.ReaderAt;
// ReadAt may be called by several goroutines, Read and Seek by one. Its lease on the
// pieces ends with Close or its context.
type Reader struct {
	t    *Torrent
	ctx  context.Context
	id   uint64
	file *metainfo.File
	pos  int64
}

// NewReader makes a Reader of a file. ctx ends all waiting.
func (t *Torrent) NewReader(ctx context.Context, file metainfo.FileIndex) (*Reader, error) {
	if file < 0 || int(file) >= len(t.meta.Files) {
		return nil, fmt.Errorf("engine: file %d of %d", file, len(t.meta.Files))
	}
	return &Reader{t: t, ctx: ctx, id: readerIDs.Add(1), file: &t.meta.Files[file]}, nil
}

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.file.Length }

// ReadAt implements io.ReaderAt. It waits until the bytes are verified.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("engine: negative offset")
	}
	for n < len(p) {
		m, err := r.readSome(p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.readSome(p, r.pos)
	r.pos += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.file.Length
	}
	if offset < 0 {
		return 0, errors.New("engine: seek before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// Close ends the lease.
func (r *Reader) Close() error {
	err := r.t.in.Put(context.Background(), urgent{reader: r.id})
	if errors.Is(err, actor.ErrStopped) {
		return nil // the torrent has ended, and the lease with it
	}
	return err
}

// readSome reads at least one byte and at most to the end of the piece.
func (r *Reader) readSome(p []byte, off int64) (int, error) {
	if off >= r.file.Length {
		return 0, io.EOF
	}
	l := r.t.meta.Lengths
	piece, begin := l.Locate(r.file.Offset + off)
	if err := r.await(piece); err != nil {
		return 0, err
	}
	n := min(int64(len(p)), r.file.Length-off, l.PieceSize(piece)-begin, uploadRun)
	return r.fetch(p[:n], piece, begin)
}

// await makes the piece and those after it urgent and waits for it.
func (r *Reader) await(piece metainfo.PieceIndex) error {
	last, _ := r.t.meta.Lengths.Locate(min(r.t.meta.Lengths.PieceOffset(piece)+readAhead, r.file.Offset+r.file.Length-1))
	lease := urgent{reader: r.id, first: piece, last: max(last, piece), until: 1}
	if err := r.t.in.Put(r.ctx, lease); err != nil {
		return closedOr(err)
	}
	return r.t.do(r.ctx, func(reply actor.Ref[error]) torrentMsg { return await{piece, reply} })
}

// fetch reads verified bytes of one piece from storage.
func (r *Reader) fetch(p []byte, piece metainfo.PieceIndex, begin int64) (int, error) {
	start := begin / block.Size * block.Size // reads begin on a block's boundary
	done := make(chan *storage.Read, 1)
	r.t.disk.Tell(&storage.Read{
		ID: r.t.store, Piece: piece, Begin: start, Length: min(begin+int64(len(p))-start, uploadRun),
		Reply: actor.FuncRef(func(a *storage.Read) { done <- a }),
	})
	select {
	case a := <-done:
		defer a.Drop()
		if a.Err != nil {
			return 0, a.Err
		}
		return copyBlocks(p, a.Blocks, int(begin-start)), nil
	case <-r.ctx.Done():
		go func() { (<-done).Drop() }() // storage answers every Read
		return 0, r.ctx.Err()
	}
}

// copyBlocks copies the blocks' bytes from skip on.
func copyBlocks(p []byte, blocks []*block.Block, skip int) (n int) {
	for _, b := range blocks {
		data := b.Bytes()
		if skip >= len(data) {
			skip -= len(data)
			continue
		}
		n += copy(p[n:], data[skip:])
		skip = 0
	}
	return n
}
