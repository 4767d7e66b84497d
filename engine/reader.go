package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// readAhead is how much a Reader wants beyond what it is asked for, in bytes.
const readAhead = 4 << 20

var readerIDs atomic.Uint64

// Reader reads one file of a torrent while it is being downloaded: it waits for what
// is not there yet and makes it urgent, also if the file is not selected. It is an
// io.ReadSeekCloser and io.ReaderAt; ReadAt may be called by several goroutines, Read
// and Seek by one. What it has made urgent stays so until Close or its context ends,
// or nothing is read for leaseTime.
type Reader struct {
	t    *Torrent
	ctx  context.Context
	file *metainfo.File
	pos  int64
	ahead
}

// ahead is a lease on the pieces that are read and those that follow.
type ahead struct {
	t      *Torrent
	id     uint64
	piece  metainfo.PieceIndex // the first
	last   metainfo.PieceIndex
	renew  time.Time
	leased bool
}

// NewReader makes a Reader of a file, whose torrent must be known (see Metadata). ctx
// ends all waiting.
func (t *Torrent) NewReader(ctx context.Context, file metainfo.FileIndex) (*Reader, error) {
	meta := t.Meta()
	switch {
	case meta == nil:
		return nil, ErrNoMetadata
	case file < 0 || int(file) >= len(meta.Files):
		return nil, fmt.Errorf("engine: file %d of %d", file, len(meta.Files))
	}
	return &Reader{t: t, ctx: ctx, file: &meta.Files[file], ahead: t.newAhead()}, nil
}

func (t *Torrent) newAhead() ahead { return ahead{t: t, id: readerIDs.Add(1)} }

// Size returns the length of the file in bytes.
func (r *Reader) Size() int64 { return r.file.Length }

// ReadAt implements io.ReaderAt. It waits until the bytes are verified.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("engine: negative offset")
	}
	a := r.t.newAhead()
	defer a.end()
	for n < len(p) {
		m, err := r.readSome(&a, p[n:], off+int64(n))
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
	n, err := r.readSome(&r.ahead, p, r.pos)
	r.pos += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.file.Length
	default:
		return 0, fmt.Errorf("engine: seek: whence %d", whence)
	}
	if offset < 0 {
		return 0, errors.New("engine: seek before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// Close ends the lease.
func (r *Reader) Close() error {
	r.end()
	return nil
}

// readSome reads at least one byte and at most to the end of the piece.
func (r *Reader) readSome(a *ahead, p []byte, off int64) (int, error) {
	if off >= r.file.Length {
		return 0, io.EOF
	}
	l := r.t.Meta().Lengths
	piece, begin := l.Locate(r.file.Offset + off)
	last, _ := l.Locate(min(l.PieceOffset(piece)+readAhead, r.file.Offset+r.file.Length-1))
	if err := a.await(r.ctx, piece, max(last, piece)); err != nil {
		return 0, err
	}
	n := min(int64(len(p)), r.file.Length-off, l.PieceSize(piece)-begin, uploadRun-begin%block.Size)
	return r.t.fetch(r.ctx, p[:n], piece, begin)
}

// want takes the lease from a piece on, or renews it if its time is half over.
func (a *ahead) want(ctx context.Context, piece, last metainfo.PieceIndex) error {
	now := time.Now()
	if a.leased && a.piece == piece && a.last == last && now.Before(a.renew) {
		return nil
	}
	if err := a.t.in.Put(ctx, urgent{reader: a.id, first: piece, last: last}); err != nil {
		return closedOr(err)
	}
	a.piece, a.last, a.leased, a.renew = piece, last, true, now.Add(leaseTime/2)
	return nil
}

// end gives the lease back. The torrent may have ended, and the lease with it.
func (a *ahead) end() {
	if a.leased {
		a.leased = false
		_ = a.t.in.Put(context.Background(), urgent{reader: a.id, end: true})
	}
}

// await makes a piece and those after it urgent until it is there.
func (a *ahead) await(ctx context.Context, piece, last metainfo.PieceIndex) error {
	if err := a.want(ctx, piece, last); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	there := make(chan error, 1)
	go func() {
		there <- a.t.do(ctx, func(reply actor.Ref[error]) torrentMsg { return await{a.id, piece, reply} })
	}()
	tick := time.NewTicker(leaseTime / 2)
	defer tick.Stop()
	for {
		select {
		case err := <-there:
			return err
		case <-tick.C:
			if err := a.want(ctx, piece, last); err != nil {
				return err
			}
		}
	}
}

// ReadPiece waits until one piece is verified, asking for it before others, and
// returns its bytes.
func (t *Torrent) ReadPiece(ctx context.Context, piece metainfo.PieceIndex) ([]byte, error) {
	meta := t.Meta()
	if meta == nil {
		return nil, ErrNoMetadata
	}
	l := meta.Lengths
	if !l.Valid(piece) {
		return nil, fmt.Errorf("piece %d: the torrent has pieces 0 to %d", piece, l.Pieces()-1)
	}
	a := t.newAhead()
	defer a.end()
	if err := a.await(ctx, piece, piece); err != nil {
		return nil, err
	}
	out := make([]byte, l.PieceSize(piece))
	for off := 0; off < len(out); {
		n, err := t.fetch(ctx, out[off:min(off+uploadRun, len(out))], piece, int64(off))
		if err != nil {
			return nil, err
		}
		off += n
	}
	return out, nil
}

// fetchLook is how often who waits for storage looks whether the torrent still lives.
const fetchLook = time.Second

// fetch reads verified bytes of one piece from storage: at most uploadRun from the
// beginning of the first block on.
func (t *Torrent) fetch(ctx context.Context, p []byte, piece metainfo.PieceIndex, begin int64) (int, error) {
	start := begin / block.Size * block.Size // reads begin on a block's boundary
	w := &readWait{done: make(chan *storage.Read, 1)}
	defer w.over()
	t.disk.Tell(&storage.Read{
		ID: t.store, Piece: piece, Begin: start, Length: min(begin+int64(len(p))-start, uploadRun),
		Reply: actor.FuncRef(w.put),
	})
	look := time.NewTicker(fetchLook)
	defer look.Stop()
	for {
		select {
		case a := <-w.done:
			defer a.Drop()
			if a.Err != nil {
				return 0, a.Err
			}
			return copyBlocks(p, a.Blocks, int(begin-start)), nil
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-look.C:
			if t.in.Ended() && len(w.done) == 0 {
				return 0, ErrClosed
			}
		}
	}
}

// readWait waits for one Read, which may come when nobody waits any more.
type readWait struct {
	done chan *storage.Read
	mu   sync.Mutex
	gone bool
}

func (w *readWait) put(a *storage.Read) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		a.Drop()
		return
	}
	w.done <- a // there is room for the one answer
}

func (w *readWait) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	select {
	case a := <-w.done:
		a.Drop()
	default:
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
