package transport

import (
	"net/netip"
	"sync"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// Unlimited is a standing grant for [Link.Allow]: no accounting any more.
const Unlimited = int64(1) << 62

// Link is a connection to one remote peer as its actor sees it. No method waits.
// Owner of a link: the peer actor that it is bound to.
type Link interface {
	// Bind says, once, where the link's events go; reading begins with it. The
	// pump that delivers them waits while the actor has 8 of them unread, which
	// in the end closes the remote's window.
	Bind(actor.Inlet[Event])
	// Send gives a batch away to be written, in order. Each is answered by its
	// share of a Flushed, or by Closed. Blocks are released when written.
	Send(*Batch)
	// Allow grants n more bytes to be received, payload and headers together.
	// A new link has no grant; Unlimited stands for ever, and a grant of zero or
	// less takes a standing one back.
	Allow(n int64)
	// Close ends the connection; what was sent before may be lost. Closed answers.
	Close(reason error)
	// Info describes the connection; it does not change.
	Info() Info
}

// Info describes a connection.
type Info struct {
	Transport     string // "tcp", "utp", ...
	Remote, Local netip.AddrPort
	Incoming      bool
	Encrypted     bool       // RC4 is in use
	Crypto        mse.Method // Plaintext: only the handshake was encrypted
}

// Event is what a link tells its peer: *Batch, Flushed, Closed.
type Event interface{ linkEvent() }

// Frame is one wire message, with the slot of its payload if it is a Piece.
type Frame struct {
	wire.Message
	// Block holds a Piece's payload; it belongs to whoever holds the frame. Of
	// an incoming Piece it is nil when nobody had asked for it: a link takes
	// slots only for as many Pieces as it has sent Requests, and discards the
	// payload of others (Message.Length says how much it was).
	Block *block.Block
	// More continues a Piece longer than one block: an upload answers old
	// clients' requests of up to 128 KiB. Only Sent frames use it.
	More []*block.Block
}

// Batch is a number of frames: all that one drain of the socket brought, or all
// that one turn of the peer sends. It is pooled: make it with NewBatch, give it
// away in a message, and its last owner calls Release.
type Batch struct {
	// Handshake, if set, precedes the frames.
	Handshake *wire.Handshake
	Frames    []Frame
	Wire      int64 // bytes on the wire, headers included
	Payload   int64 // of these, bytes of Piece payload, discarded ones too

	scratch []byte // what incoming Message.Payloads point into
}

// Flushed says that the kernel has taken this much of what was sent.
type Flushed struct {
	Wire    int64 // bytes, headers included, since the last Flushed
	Payload int64 // of these, bytes of Piece payload
	Batches int   // batches answered by this
}

// Closed is the last event of a link. The remote's fault or the network's.
type Closed struct {
	Err error // never nil; io.EOF when the remote closed in good order
}

func (*Batch) linkEvent()  {}
func (Flushed) linkEvent() {}
func (Closed) linkEvent()  {}

var batches = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch takes an empty batch from the pool.
func NewBatch() *Batch { return batches.Get().(*Batch) }

// keepFrames and keepScratch bound what a pooled batch may hold on to.
const (
	keepFrames  = 1024
	keepScratch = 64 << 10
)

// Release gives back the batch and every block that is still in it.
func (b *Batch) Release() {
	for i := range b.Frames {
		b.Frames[i].release()
	}
	clear(b.Frames)
	frames, scratch := b.Frames[:0], b.scratch[:0]
	if cap(frames) > keepFrames {
		frames = nil
	}
	if cap(scratch) > keepScratch {
		scratch = nil
	}
	*b = Batch{Frames: frames, scratch: scratch}
	batches.Put(b)
}

// Drop implements actor.Dropper.
func (b *Batch) Drop() { b.Release() }

// Add appends a message without a block. Its Payload must not change afterwards.
func (b *Batch) Add(m wire.Message) { b.Frames = append(b.Frames, Frame{Message: m}) }

// AddPiece appends a Piece whose payload is blk, which now belongs to the batch.
func (b *Batch) AddPiece(m wire.Message, blk *block.Block) {
	b.Frames = append(b.Frames, Frame{Message: m, Block: blk})
}

// Take removes the i-th frame's block and returns it: the caller owns it now.
func (b *Batch) Take(i int) *block.Block {
	blk := b.Frames[i].Block
	b.Frames[i].Block = nil
	return blk
}

func (f *Frame) release() {
	if f.Block != nil {
		f.Block.Release()
	}
	for _, m := range f.More {
		m.Release()
	}
}
