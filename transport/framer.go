package transport

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic" //atomic: conn.Send counts requests while its reader counts answers

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// fullPayload and fullFrames end a batch while the stream still has more: one
	// goes to the peer while the next is being read.
	fullPayload = 256 << 10
	fullFrames  = keepFrames
	// fullScratch bounds the copies of small messages in one batch.
	fullScratch = keepScratch
	// quiet is how many bytes of an incomplete message may go unreported under a
	// standing grant: what trickles in does not wake the peer byte by byte.
	quiet = 1 << 10
	// maxCredit bounds the Pieces that a remote may send unhindered. Remotes without
	// the Fast Extension drop requests silently, so that the count drifts upwards. It
	// is a little more than any peer has outstanding.
	maxCredit = 2048 + 512
)

// Need says why Framer.Push has stopped.
type Need uint8

// What a Framer needs to go on.
const (
	NeedBytes Need = iota // the chunk is used up
	NeedTake              // the batch is full: Take it, then Push the rest
	NeedSlot              // the slab is spent: Push the rest later, or Give a slot first
)

// A Framer turns the bytes of one remote's stream into batches. It never waits, and
// holds no reference to what it is pushed. Owner: whoever reads the stream; Ask alone
// may be called by others at the same time. Init makes it ready.
type Framer struct {
	slab    *block.Slab
	split   wire.Splitter
	batch   *Batch       // what has come since the last Take; nil if no message has
	blk     *block.Block // slot of the Piece that is coming, if it is asked for and not put aside
	aside   *blockBytes  // its beginning, while its sender is slow
	length  uint32       // of it, bytes
	have    int          // bytes of it that have come
	wire    int64        // bytes since the last Take
	payload int64
	asked   bool // somebody asked for the Piece that is coming
	greeted bool // the remote's handshake has come

	dec   *mse.Stream // decrypts what is pushed; nil: it comes in the clear
	clear int         // bytes at the front of what is pushed next that are decrypted already
	piece bool        // what is pushed next is data of a Piece

	// credit is how many Pieces the remote may send us: one for each Request sent.
	credit atomic.Int32
}

// Init makes the Framer ready for the beginning of a stream. Slots come from slab.
// greeted says that the remote's handshake has been read already; otherwise it is
// part of the first batch.
func (f *Framer) Init(slab *block.Slab, greeted bool) {
	f.slab, f.greeted = slab, greeted
	if !greeted {
		f.split.ExpectHandshake()
	}
}

// window is how much of an encrypted stream is decrypted to find out what it is. Data of
// Pieces beyond it goes from the chunk to its slot by being decrypted.
const window = 256

// Decrypt says that the stream is encrypted from here on. Push decrypts: it changes the
// chunk, and what it returns of that must be pushed next.
func (f *Framer) Decrypt(s *mse.Stream) { f.dec = s }

// decrypt returns the part of a chunk that is understood next: in the clear, unless it
// is data of a Piece.
func (f *Framer) decrypt(chunk []byte) []byte {
	switch {
	case f.clear > 0:
		return chunk[:f.clear]
	case f.piece:
		return chunk
	}
	f.clear = min(len(chunk), window)
	f.dec.XOR(chunk[:f.clear], chunk[:f.clear])
	return chunk[:f.clear]
}

// Ask counts the Requests in a batch that is about to be sent: as many Pieces may
// come. Calls of Ask must not overlap one another.
func (f *Framer) Ask(b *Batch) {
	var n int32
	for i := range b.Frames {
		if b.Frames[i].ID == wire.Request {
			n++
		}
	}
	if n > 0 && f.credit.Add(n) > maxCredit {
		f.credit.Store(maxCredit)
	}
}

// takeCredit reports whether a Piece may come.
func (f *Framer) takeCredit() bool {
	for {
		n := f.credit.Load()
		if n <= 0 {
			return false
		}
		if f.credit.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// Push takes the next bytes of the stream. It returns those that it could not take and
// why. Errors are the remote's fault, and final; what came before is there to Take.
func (f *Framer) Push(chunk []byte) (rest []byte, need Need, err error) {
	for {
		if f.asked && f.blk == nil && len(chunk) > 0 && !f.lease() {
			return chunk, NeedSlot, nil
		}
		part := chunk
		if f.dec != nil {
			part = f.decrypt(chunk)
		}
		ev, rest, err := f.split.Next(part)
		if err != nil {
			f.wire += int64(len(chunk))
			return nil, NeedBytes, err
		}
		n := len(part) - len(rest)
		f.wire += int64(n)
		chunk = chunk[n:]
		encrypted := f.dec != nil && f.clear == 0
		f.clear = max(f.clear-n, 0)
		switch ev.Kind {
		case wire.NeedMore:
			if len(chunk) == 0 {
				return nil, NeedBytes, nil
			}
			continue // of an encrypted chunk only a part was looked at
		case wire.PieceData:
			f.data(ev, encrypted)
			continue
		case wire.PieceStart:
			f.begin(ev.Msg)
			continue
		case wire.PieceEnd, wire.Msg:
			f.message(ev.Msg)
		case wire.GotHandshake:
			if err := f.handshake(ev.Msg.Payload); err != nil {
				return nil, NeedBytes, err
			}
		}
		if f.Full() {
			return chunk, NeedTake, nil
		}
	}
}

// Holds reports whether a block that is not complete occupies a slot.
func (f *Framer) Holds() bool { return f.blk != nil }

// Due reports whether there is something to Take once the stream is drained. all says
// that every byte is to be reported: the remote's grant was not a standing one.
func (f *Framer) Due(all bool) bool {
	return f.batch != nil || f.wire >= quiet || f.wire > 0 && all
}

// Full reports whether the batch should be taken before more is pushed.
func (f *Framer) Full() bool {
	return f.payload >= fullPayload || f.batch != nil &&
		(len(f.batch.Frames) >= fullFrames || len(f.batch.scratch) >= fullScratch)
}

// Take returns what has come since the last Take, nil if nothing has.
func (f *Framer) Take() *Batch {
	if f.wire == 0 {
		return nil
	}
	b := f.fill()
	b.Wire, b.Payload = f.wire, f.payload
	f.batch, f.wire, f.payload = nil, 0, 0
	return b
}

func (f *Framer) fill() *Batch {
	if f.batch == nil {
		f.batch = NewBatch()
	}
	return f.batch
}

func (f *Framer) handshake(b []byte) error {
	h, err := wire.ParseHandshake(b)
	if err != nil {
		return err
	}
	f.greeted = true
	f.fill().Handshake = &h
	return nil
}

// begin decides whether a Piece gets a slot: if one has been asked for.
func (f *Framer) begin(m wire.Message) {
	f.have, f.length, f.piece = 0, m.Length, true
	f.asked = m.Length > 0 && m.Length <= block.Size && f.takeCredit()
}

// lease takes a slot for the Piece that is coming, if there is one.
func (f *Framer) lease() bool {
	blk := f.slab.Lease()
	if blk == nil {
		return false
	}
	f.Give(blk)
	return true
}

// Give answers NeedSlot: blk is of the Framer's slab and becomes its own.
func (f *Framer) Give(blk *block.Block) {
	blk.SetLen(int(f.length))
	f.blk = blk
	if f.aside != nil {
		copy(blk.Bytes(), f.aside[:f.have])
		asides.Put(f.aside)
		f.aside = nil
	}
}

func (f *Framer) data(ev wire.Event, encrypted bool) {
	n := len(ev.Msg.Payload)
	f.payload += int64(n)
	if f.asked {
		f.have += n
	}
	kept := f.asked && !f.blk.Phantom()
	switch {
	case kept && encrypted:
		f.dec.XOR(f.blk.Bytes()[ev.Offset:], ev.Msg.Payload)
	case kept:
		copy(f.blk.Bytes()[ev.Offset:], ev.Msg.Payload)
	case encrypted: // the keystream goes on with what comes behind
		f.dec.XOR(ev.Msg.Payload, ev.Msg.Payload)
	}
}

// blockBytes hold the beginning of a block outside of the slab.
type blockBytes [block.Size]byte

var asides = sync.Pool{New: func() any { return new(blockBytes) }}

// PutAside gives the slot of an unfinished block back while the remote keeps us
// waiting for the rest, unless there are plenty: senders that are slow, or mean to
// be, hold a quarter of the slab at most.
func (f *Framer) PutAside() {
	if f.blk == nil || f.blk.Phantom() || f.slab.Used() <= f.slab.Budget()/4 {
		return
	}
	f.aside = asides.Get().(*blockBytes)
	copy(f.aside[:f.have], f.blk.Bytes())
	f.blk.Release()
	f.blk = nil
}

// message appends a frame. Payloads other than blocks are views of the chunk and
// are copied to the batch.
func (f *Framer) message(m wire.Message) {
	if m.ID == wire.Reject {
		f.takeCredit() // answered: no Piece will come (BEP 6)
	}
	b := f.fill()
	if len(m.Payload) > 0 {
		at := len(b.scratch)
		b.scratch = append(b.scratch, m.Payload...)
		m.Payload = b.scratch[at:len(b.scratch):len(b.scratch)]
	}
	b.Frames = append(b.Frames, Frame{Message: m, Block: f.blk})
	f.blk, f.asked, f.piece = nil, false, false
}

// End says what it means that the stream ends here in good order: io.EOF, or what the
// remote still owed.
func (f *Framer) End() error {
	switch {
	case f.greeted && f.split.Idle():
		return io.EOF
	case !f.greeted:
		return fmt.Errorf("closed without a handshake: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("closed within a message: %w", io.ErrUnexpectedEOF)
}

// Drop gives back what is in the making.
func (f *Framer) Drop() {
	if f.blk != nil {
		f.blk.Release()
		f.blk = nil
	}
	if f.batch != nil {
		f.batch.Release()
		f.batch = nil
	}
	f.aside = nil
}
