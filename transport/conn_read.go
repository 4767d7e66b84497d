//pump: loops around Read of one connection.

package transport

import (
	"errors"
	"io"
	"sync"
)

// scratchSize is what one drain reads at most at a time. Measured: below 64 KiB each
// block costs a wake-up, beyond 128 KiB nothing is gained.
const scratchSize = 128 << 10

type scratch [scratchSize]byte

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// source brings what a socket has.
type source interface {
	// next returns bytes, at most as many as the link's grant says, valid until the
	// call after it; full says that there may be more. Without bytes or an error it
	// found nothing, or may not read. It waits only if wait is set, and holds no
	// scratch while it does.
	next(wait bool) (b []byte, full bool, err error)
	// free gives the scratch back.
	free()
}

// reader brings what comes to the peer. Owner: the goroutine in read.
type reader struct {
	Framer
	c       *conn
	src     source
	limited bool // the grant was not a standing one: every byte is reported
}

func (r *reader) init(c *conn, x crypto) {
	r.c = c
	r.src = newSource(c)
	if len(x.left) > 0 {
		r.src = &leftSource{r: r, left: x.left, then: r.src}
	}
	r.Init(c.slab, c.info.Incoming)
	r.Decrypt(x.in)
}

// leftSource brings bytes that were read from the connection before it was a link's,
// and then makes room for the source that reads it.
type leftSource struct {
	r    *reader
	left []byte
	then source
}

func (s *leftSource) next(wait bool) (b []byte, full bool, err error) {
	limit := s.r.c.allowance()
	if wait && limit <= 0 {
		limit = s.r.c.awaitGrant()
	}
	n := max(min(int64(len(s.left)), limit), 0)
	b, s.left = s.left[:n], s.left[n:]
	if len(s.left) == 0 {
		s.r.src = s.then
	}
	return b, n > 0, nil
}

func (s *leftSource) free() {}

// read is the pump.
func (c *conn) read() {
	err := c.r.run()
	c.r.drop()
	c.shut(err)
	c.pumpEnds()
}

func (r *reader) run() error {
	for {
		chunk, full, err := r.src.next(!r.due())
		if err != nil {
			_ = r.post()
			return r.ending(err)
		}
		if len(chunk) > 0 {
			r.limited = !r.c.spend(len(chunk))
			if err := r.cut(chunk); err != nil {
				_ = r.post()
				return err
			}
		}
		if full && !r.Full() {
			continue // drain first: one batch per drain
		}
		r.src.free()
		r.PutAside()
		if r.c.closed() {
			return errClosed
		}
		if r.due() {
			if err := r.post(); err != nil {
				return err
			}
		}
	}
}

// errClosed ends the reader of a link that is closed already.
var errClosed = errors.New("closed")

// ending says what the end of the stream means.
func (r *reader) ending(err error) error {
	if !errors.Is(err, io.EOF) {
		return r.c.broken(err)
	}
	if err := r.End(); !errors.Is(err, io.EOF) {
		return r.c.hostile(err)
	}
	return io.EOF
}

// due reports whether there is something to post once the socket is drained.
func (r *reader) due() bool { return r.Due(r.limited) }

// post gives what has come to the peer. It waits while the peer has 8 unread.
func (r *reader) post() error {
	if r.wire == 0 || r.c.closed() {
		return nil
	}
	if err := r.c.in.Put(doneContext(r.c.done), r.Take()); err != nil {
		return &LinkError{r.c.info.Remote, LocalFault, err}
	}
	return nil
}

// cut hands out what the chunk contains. When the slab is spent it waits, but not
// with complete blocks in hand.
func (r *reader) cut(chunk []byte) error {
	for {
		rest, need, err := r.Push(chunk)
		if err != nil {
			return r.c.hostile(err)
		}
		if need == NeedBytes {
			return nil
		}
		if err := r.post(); err != nil {
			return err
		}
		if need == NeedSlot {
			blk := r.c.slab.LeaseWait(r.c.done)
			if blk == nil {
				return errClosed
			}
			r.Give(blk)
		}
		chunk = rest
	}
}

// drop gives back what was in the making.
func (r *reader) drop() {
	r.src.free()
	r.Drop()
}
