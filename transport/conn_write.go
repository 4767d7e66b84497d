//pump: loops around Write of one connection.

package transport

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxPairs of (header, block) go into one write.
	maxPairs = 32
	minPairs = 2
	// slowWrite and fastWrite steer the number of pairs per write: what one call
	// takes is answered by one Flushed, so on a slow connection calls are small.
	slowWrite = 500 * time.Millisecond
	fastWrite = 100 * time.Millisecond
	// fullHead bounds the small messages and headers of one write; a single message
	// may be larger.
	fullHead = 32 << 10
	// keepHead bounds what a pooled outbox may hold on to.
	keepHead = 64 << 10
)

// outbox gathers what goes into one write. It is pooled: idle connections have none.
type outbox struct {
	head    []byte      // headers and small messages, in order
	from    int         // of head: what is not yet in vec
	vec     net.Buffers // what to write: parts of head, blocks
	iov     net.Buffers // vec as the write consumes it
	pairs   int
	wire    int64
	payload int64
	frames  []*Frame // whose blocks are in vec
	batches []*Batch // that end in this write
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// write is the pump. It ends when there is nothing left to write.
func (c *conn) write() {
	o := outboxes.Get().(*outbox)
	w := writer{c: c, o: o}
	for {
		queue, more := c.takeQueue(w.unsaid())
		if !more {
			break
		}
		if len(queue) == 0 {
			w.say()
			continue
		}
		if err := w.batches(queue); err != nil {
			o.reset() // first: it points into the queue's batches
			releaseAll(queue)
			c.shut(err)
		}
	}
	o.reset()
	if cap(o.head) <= keepHead {
		outboxes.Put(o)
	}
	c.pumpEnds()
}

// takeQueue returns what waits to be written; more is false when the writer may
// end, which it may not with something unsaid.
func (c *conn) takeQueue(unsaid bool) (queue []*Batch, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue, c.queue = c.queue, nil
	if c.why != nil || len(queue) == 0 && !unsaid {
		c.writing = false
		return nil, false
	}
	return queue, true
}

// errPhantom is a bug: blocks of the simulator have no bytes to write.
var errPhantom = errors.New("phantom payload cannot be written")

// writer is one run of the pump.
type writer struct {
	c    *conn
	o    *outbox
	done Flushed // written and not yet said
}

func (w *writer) unsaid() bool { return w.done != Flushed{} }

// say tells the peer what has been written. It waits while the peer has 8 unread.
func (w *writer) say() {
	_ = w.c.in.Put(doneContext(w.c.done), w.done) // the peer has ended: so will we
	w.done = Flushed{}
}

// batches writes a queue. Written batches are released and their entries nil.
func (w *writer) batches(queue []*Batch) error {
	for i, b := range queue {
		if b.Handshake != nil {
			w.hello(b.Handshake)
		}
		for j := range b.Frames {
			if err := w.o.add(&b.Frames[j]); err != nil {
				return &LinkError{w.c.info.Remote, LocalFault, err}
			}
			if w.o.pairs >= w.c.pairs || len(w.o.head) >= fullHead {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
		w.o.batches = append(w.o.batches, b)
		queue[i] = nil
	}
	return w.flush()
}

// hello adds a handshake, unless it has been sent with that of the encryption.
func (w *writer) hello(h *wire.Handshake) {
	if w.c.greeted {
		w.c.greeted = false
		w.o.wire += wire.HandshakeLen
		return
	}
	w.o.head = wire.AppendHandshake(w.o.head, *h)
}

// flush writes what the outbox holds, releases it and says so, if that needs no waiting.
func (w *writer) flush() error {
	o := w.o
	o.cut()
	if len(o.vec) > 0 {
		began := time.Now()
		if err := o.writeTo(w.c.nc, w.c.enc); err != nil {
			return w.c.broken(err)
		}
		w.steer(time.Since(began))
	}
	w.done.Wire += o.wire
	w.done.Payload += o.payload
	w.done.Batches += len(o.batches)
	o.reset()
	if w.unsaid() && w.c.in.TryPut(w.done) {
		w.done = Flushed{}
	}
	return nil
}

func (w *writer) steer(took time.Duration) {
	switch {
	case took > slowWrite:
		w.c.pairs = max(w.c.pairs/2, minPairs)
	case took < fastWrite:
		w.c.pairs = min(w.c.pairs*2, maxPairs)
	}
}

// add appends one message. Payload of Pieces stays where it is.
func (o *outbox) add(f *Frame) error {
	if f.Block == nil {
		o.head = wire.Append(o.head, f.Message)
		if f.ID == wire.Piece {
			o.payload += int64(len(f.Payload))
		}
		return nil
	}
	if f.Block.Phantom() {
		return errPhantom
	}
	n := f.Block.Len()
	for _, b := range f.More {
		n += b.Len()
	}
	o.head = wire.AppendPieceHeader(o.head, f.Index, f.Begin, uint32(n))
	o.cut()
	o.vec = append(o.vec, f.Block.Bytes())
	for _, b := range f.More {
		o.vec = append(o.vec, b.Bytes())
	}
	o.pairs += 1 + len(f.More)
	o.wire += int64(n)
	o.payload += int64(n)
	o.frames = append(o.frames, f)
	return nil
}

// cut moves the end of head to vec. Head may grow to another place afterwards: what
// vec holds of the old one stays valid.
func (o *outbox) cut() {
	if part := o.head[o.from:]; len(part) > 0 {
		o.vec = append(o.vec, part)
		o.wire += int64(len(part))
		o.from = len(o.head)
	}
}

// writeTo writes vec: with writev where the connection has it, else, or to be encrypted,
// through a scratch buffer, so that a TLS record or a datagram is not spent on 13 bytes.
func (o *outbox) writeTo(c net.Conn, enc *mse.Stream) error {
	if _, ok := c.(*net.TCPConn); ok && enc == nil {
		o.iov = o.vec
		_, err := o.iov.WriteTo(c)
		return err
	}
	if len(o.vec) == 1 && enc == nil {
		_, err := c.Write(o.vec[0])
		return err
	}
	buf := scratches.Get().(*scratch)
	defer scratches.Put(buf)
	n := 0
	for _, part := range o.vec {
		for len(part) > 0 {
			k := min(len(buf)-n, len(part))
			if enc != nil {
				enc.XOR(buf[n:], part[:k])
			} else {
				copy(buf[n:], part)
			}
			if part, n = part[k:], n+k; n == len(buf) {
				if _, err := c.Write(buf[:n]); err != nil {
					return err
				}
				n = 0
			}
		}
	}
	_, err := c.Write(buf[:n])
	return err
}

// reset releases all that the outbox holds.
func (o *outbox) reset() {
	for _, f := range o.frames {
		f.release()
		f.Block, f.More = nil, nil
	}
	for _, b := range o.batches {
		b.Release()
	}
	clear(o.frames)
	clear(o.batches)
	clear(o.vec[:cap(o.vec)])
	*o = outbox{head: o.head[:0], vec: o.vec[:0], frames: o.frames[:0], batches: o.batches[:0]}
}

// releaseAll releases the batches of a queue that were not written.
func releaseAll(queue []*Batch) {
	for _, b := range queue {
		if b != nil {
			b.Release()
		}
	}
}
