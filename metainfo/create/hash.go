package create

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/shoal-bt/shoal/metainfo"
)

const (
	// chunkSize is what one read asks for, in bytes.
	chunkSize = 1 << 20
	// The memory for chunks on their way, in bytes: two pieces for each worker,
	// within these bounds.
	minMemory = 16 << 20
	maxMemory = 256 << 20
)

// hashing reads files as one stream and hashes its pieces: one reader, which
// keeps the disk busy, and workers, each with one unit at a time. A unit is one
// piece, or as many small pieces as fill a chunk. All chunks come from a pool, so
// that the reader waits when the workers are behind.
type hashing struct {
	lengths metainfo.Lengths
	unit    int64 // bytes, whole pieces
	workers int
	units   chan unit
	pool    chan []byte
	sums    []byte // of all pieces; each worker writes those of its units

	mu       sync.Mutex // guards done and serialises progress
	done     int64
	progress Progress
}

// unit is consecutive pieces and their bytes, which follow.
type unit struct {
	first  int64 // place of its sums
	chunks chan []byte
}

func newHashing(l metainfo.Lengths, workers int, progress Progress) *hashing {
	h := &hashing{
		lengths:  l,
		unit:     max(chunkSize/l.PieceLen(), 1) * l.PieceLen(),
		workers:  workers,
		units:    make(chan unit, workers),
		sums:     make([]byte, 20*int(l.Pieces())),
		progress: progress,
	}
	buffers := min(max(2*h.unit*int64(workers), minMemory), maxMemory) / chunkSize
	if all := (l.Total()-1)/chunkSize + 2; all < buffers {
		buffers = all
	}
	h.pool = make(chan []byte, buffers)
	for range buffers {
		h.pool <- nil // made when first used
	}
	return h
}

// run answers the hashes of all pieces.
func (h *hashing) run(ctx context.Context, files []source) ([]byte, error) {
	var wg sync.WaitGroup
	for range h.workers {
		wg.Go(h.work)
	}
	s := stream{files: files}
	err := h.read(ctx, &s)
	close(h.units)
	s.close()
	wg.Wait()
	if err != nil {
		return nil, err
	}
	return h.sums, nil
}

// read deals the stream out to the workers.
func (h *hashing) read(ctx context.Context, s *stream) error {
	total := h.lengths.Total()
	for off := int64(0); off < total; off += h.unit {
		n := min(h.unit, total-off)
		u := unit{first: 20 * (off / h.lengths.PieceLen()), chunks: make(chan []byte, n/chunkSize+1)}
		h.units <- u
		if err := h.readUnit(ctx, s, u, n); err != nil {
			return err
		}
	}
	return s.end()
}

func (h *hashing) readUnit(ctx context.Context, s *stream, u unit, n int64) error {
	defer close(u.chunks)
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf := <-h.pool
		if buf == nil {
			buf = make([]byte, chunkSize)
		}
		buf = buf[:min(chunkSize, n)]
		if err := s.read(buf); err != nil {
			return err
		}
		u.chunks <- buf
		n -= int64(len(buf))
	}
	return nil
}

func (h *hashing) work() {
	for u := range h.units {
		p := metainfo.NewPieceHasher(h.lengths.PieceLen())
		for buf := range u.chunks {
			_, _ = p.Write(buf) // hashing has no error
			n := int64(len(buf))
			h.pool <- buf[:chunkSize]
			h.advance(n)
		}
		copy(h.sums[u.first:], p.Sum())
	}
}

func (h *hashing) advance(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done += n
	if h.progress != nil {
		h.progress(h.done, h.lengths.Total())
	}
}

// stream is the files one behind the other. Each must have exactly the bytes that
// it had when it was listed: else the torrent would describe what never was.
type stream struct {
	files []source
	f     *os.File
	left  int64 // bytes of f still to come
}

// read fills buf.
func (s *stream) read(buf []byte) error {
	for len(buf) > 0 {
		if s.left == 0 {
			if err := s.next(); err != nil {
				return err
			}
		}
		n, err := s.f.Read(buf[:min(int64(len(buf)), s.left)])
		if err == io.EOF {
			return changed(s.f.Name())
		}
		if err != nil {
			return err
		}
		s.left -= int64(n)
		buf = buf[n:]
	}
	return nil
}

// next opens the next file and checks that the last one has not grown.
func (s *stream) next() error {
	if err := s.end(); err != nil {
		return err
	}
	if len(s.files) == 0 {
		return fmt.Errorf("files ended too early") // a bug of ours: sizes were summed up before
	}
	f, err := os.Open(s.files[0].disk)
	if err != nil {
		return err
	}
	s.f, s.left = f, s.files[0].size
	s.files = s.files[1:]
	return nil
}

func (s *stream) end() error {
	if s.f == nil {
		return nil
	}
	defer s.close()
	if n, err := s.f.Read(make([]byte, 1)); n > 0 {
		return changed(s.f.Name())
	} else if err != io.EOF && err != nil {
		return err
	}
	return nil
}

func (s *stream) close() {
	if s.f != nil {
		s.f.Close()
		s.f = nil
	}
}

func changed(name string) error { return fmt.Errorf("%s changed while it was read", name) }
