//pump: loops around Read of one connection.

package transport

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// scratchSize is what one drain reads at most at a time. Measured: below 64 KiB
	// each block costs a wake-up, beyond 128 KiB nothing is gained.
	scratchSize = 128 << 10
	// fullPayload and fullFrames end a batch while the socket still has more: one
	// goes to the peer while the next is being read.
	fullPayload = 256 << 10
	fullFrames  = keepFrames
	// fullScratch bounds the copies of small messages in one batch.
	fullScratch = keepScratch
	// quiet is how many bytes of an incomplete message may go unreported under a
	// standing grant: what trickles in does not wake the peer byte by byte.
	quiet = 1 << 10
)

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

// reader turns bytes into batches. Owner: the goroutine in read.
type reader struct {
	c       *conn
	src     source
	split   wire.Splitter
	batch   *Batch       // what has come since the last post; nil if no message has
	asked   bool         // somebody asked for the Piece that is coming
	blk     *block.Block // its slot, if it is asked for and not put aside
	aside   *blockBytes  // its beginning, while its sender is slow
	have    int          // bytes of it that have come
	wire    int64        // bytes since the last post
	payload int64
	limited bool // the grant was not a standing one: every byte is reported
	greeted bool // the remote's handshake has come
}

func (r *reader) init(c *conn) {
	r.c, r.greeted = c, c.info.Incoming
	r.src = newSource(c)
	if !r.greeted {
		r.split.ExpectHandshake()
	}
}

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
			if err := r.parse(chunk); err != nil {
				_ = r.post()
				return err
			}
		}
		if full && !r.full() {
			continue // drain first: one batch per drain
		}
		r.src.free()
		r.putAside()
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
	switch {
	case !errors.Is(err, io.EOF) || r.greeted && r.split.Idle():
		return r.c.broken(err)
	case !r.greeted:
		return r.c.hostile(fmt.Errorf("closed without a handshake: %w", io.ErrUnexpectedEOF))
	}
	return r.c.hostile(fmt.Errorf("closed within a message: %w", io.ErrUnexpectedEOF))
}

// due reports whether there is something to post once the socket is drained.
func (r *reader) due() bool {
	return r.batch != nil || r.wire >= quiet || r.wire > 0 && r.limited
}

func (r *reader) full() bool {
	return r.payload >= fullPayload || r.batch != nil &&
		(len(r.batch.Frames) >= fullFrames || len(r.batch.scratch) >= fullScratch)
}

// post gives what has come to the peer. It waits while the peer has 8 unread.
func (r *reader) post() error {
	if r.wire == 0 || r.c.closed() {
		return nil
	}
	b := r.fill()
	b.Wire, b.Payload = r.wire, r.payload
	r.batch, r.wire, r.payload = nil, 0, 0
	if err := r.c.in.Put(doneContext(r.c.done), b); err != nil {
		return &LinkError{r.c.info.Remote, LocalFault, err}
	}
	return nil
}

func (r *reader) fill() *Batch {
	if r.batch == nil {
		r.batch = NewBatch()
	}
	return r.batch
}

// parse hands out what the chunk contains.
func (r *reader) parse(chunk []byte) error {
	for {
		ev, rest, err := r.split.Next(chunk)
		if err != nil {
			r.wire += int64(len(chunk))
			return r.c.hostile(err)
		}
		r.wire += int64(len(chunk) - len(rest))
		chunk = rest
		switch ev.Kind {
		case wire.NeedMore:
			return nil
		case wire.PieceData:
			err = r.data(ev)
		case wire.PieceStart:
			err = r.begin(ev.Msg)
		case wire.PieceEnd:
			err = r.message(ev.Msg)
		case wire.Msg:
			err = r.message(ev.Msg)
		case wire.GotHandshake:
			err = r.handshake(ev.Msg.Payload)
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) handshake(b []byte) error {
	h, err := wire.ParseHandshake(b)
	if err != nil {
		return r.c.hostile(err)
	}
	r.greeted = true
	r.fill().Handshake = &h
	return nil
}

// begin takes a slot for a Piece, if one has been asked for.
func (r *reader) begin(m wire.Message) error {
	r.have = 0
	r.asked = m.Length > 0 && m.Length <= block.Size && r.c.takeCredit()
	if !r.asked {
		return nil
	}
	return r.lease(m.Length)
}

// lease takes a slot. When the slab is spent it waits, but not with complete blocks
// in hand.
func (r *reader) lease(n uint32) error {
	if r.blk = r.c.slab.Lease(); r.blk == nil {
		if err := r.post(); err != nil {
			return err
		}
		if r.blk = r.c.slab.LeaseWait(r.c.done); r.blk == nil {
			return errClosed
		}
	}
	r.blk.SetLen(int(n))
	return nil
}

func (r *reader) data(ev wire.Event) error {
	n := len(ev.Msg.Payload)
	r.payload += int64(n)
	if !r.asked {
		return nil
	}
	if r.aside != nil {
		if err := r.fetch(ev.Msg.Length); err != nil {
			return err
		}
	}
	if !r.blk.Phantom() {
		copy(r.blk.Bytes()[ev.Offset:], ev.Msg.Payload)
	}
	r.have += n
	return nil
}

// blockBytes hold the beginning of a block outside of the slab.
type blockBytes [block.Size]byte

var asides = sync.Pool{New: func() any { return new(blockBytes) }}

// putAside gives the slot of an unfinished block back while the remote keeps us
// waiting for the rest, unless there are plenty: senders that are slow, or mean to
// be, hold a quarter of the slab at most.
func (r *reader) putAside() {
	if r.blk == nil || r.blk.Phantom() || r.c.slab.Used() <= r.c.slab.Budget()/4 {
		return
	}
	r.aside = asides.Get().(*blockBytes)
	copy(r.aside[:r.have], r.blk.Bytes())
	r.blk.Release()
	r.blk = nil
}

// fetch takes a slot again for what was put aside.
func (r *reader) fetch(n uint32) error {
	if err := r.lease(n); err != nil {
		return err
	}
	copy(r.blk.Bytes(), r.aside[:r.have])
	asides.Put(r.aside)
	r.aside = nil
	return nil
}

// message appends a frame. Payloads other than blocks are views of the chunk and
// are copied to the batch.
func (r *reader) message(m wire.Message) error {
	if m.ID == wire.Reject {
		r.c.takeCredit() // answered: no Piece will come (BEP 6)
	}
	b := r.fill()
	if len(m.Payload) > 0 {
		at := len(b.scratch)
		b.scratch = append(b.scratch, m.Payload...)
		m.Payload = b.scratch[at:len(b.scratch):len(b.scratch)]
	}
	b.Frames = append(b.Frames, Frame{Message: m, Block: r.blk})
	r.blk, r.asked = nil, false
	if r.full() {
		return r.post()
	}
	return nil
}

// drop gives back what was in the making.
func (r *reader) drop() {
	r.src.free()
	if r.blk != nil {
		r.blk.Release()
		r.blk = nil
	}
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
	r.aside = nil
}
