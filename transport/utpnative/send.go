package utpnative

import (
	"errors"
	"slices"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// outflow is what was given to a machine to send: parts of the stream, in order, each
// with what it refers to. Owner: the mux.
type outflow struct {
	parts   []part
	sent    int   // parts before it have left
	acked   int   // parts before it have arrived, and are empty
	written int64 // bytes of the stream so far
	left    int64 // of these, bytes that have been said to have left
	unsaid  transport.Flushed
	enc     *mse.Stream // encrypts what is written; nil: it goes in the clear
	greeted bool        // the encrypted handshake has taken along that of the first batch
}

// part is a piece of the stream that lies in one place.
type part struct {
	end     int64            // offset behind it in the stream
	blk     *block.Block     // that it is
	batch   *transport.Batch // that ends here
	head    []byte           // buffer of the mux's that is free then
	payload bool
	mute    bool // the peer knows nothing of it
}

// send is Link.Send.
func (x *mux) send(l *link, b *transport.Batch) {
	if l.why != nil || l.fault != nil {
		b.Release()
		return
	}
	x.touch(l)
	if phantom(b) {
		b.Release()
		l.fault = l.broken(transport.LocalFault, errPhantom)
		return
	}
	l.in.framer.Ask(b)
	x.encode(l, b)
}

// errPhantom is a bug: blocks of the simulator have no bytes to write.
var errPhantom = errors.New("phantom payload cannot be written")

func phantom(b *transport.Batch) bool {
	return slices.ContainsFunc(b.Frames, func(f transport.Frame) bool {
		return f.Block != nil && f.Block.Phantom()
	})
}

// encode gives a batch to the machine. Headers and small messages go to one buffer,
// blocks stay where they are.
func (x *mux) encode(l *link, b *transport.Batch) {
	head := x.bufs.get(headLen(b))[:0]
	from := 0
	// cut writes what has been added to head since the last cut.
	cut := func(payload bool) {
		x.write(l, head[from:], part{payload: payload})
		from = len(head)
	}
	if b.Handshake != nil && l.out.greeted {
		l.out.greeted = false
		l.out.unsaid.Wire += wire.HandshakeLen
	} else if b.Handshake != nil {
		head = wire.AppendHandshake(head, *b.Handshake)
	}
	for i := range b.Frames {
		f := &b.Frames[i]
		switch {
		case f.Block != nil:
			head = wire.AppendPieceHeader(head, f.Index, f.Begin, uint32(dataLen(f)))
			cut(false)
			more := f.More
			f.More = nil
			x.writeBlock(l, b.Take(i))
			for _, m := range more {
				x.writeBlock(l, m)
			}
		case f.ID == wire.Piece:
			head = wire.AppendPieceHeader(head, f.Index, f.Begin, uint32(len(f.Payload)))
			cut(false)
			head = append(head, f.Payload...)
			cut(true)
		default:
			head = wire.Append(head, f.Message)
		}
	}
	cut(false)
	l.out.push(x, part{head: head, batch: b})
}

// headLen is how many bytes of a batch are not in blocks.
func headLen(b *transport.Batch) (n int) {
	if b.Handshake != nil {
		n = wire.HandshakeLen
	}
	for i := range b.Frames {
		if b.Frames[i].Block != nil {
			n += wire.PieceHeaderLen
		} else {
			n += b.Frames[i].WireLen()
		}
	}
	return n
}

// dataLen is the length of a Piece's payload, which may be more than one block.
func dataLen(f *transport.Frame) int {
	n := f.Block.Len()
	for _, m := range f.More {
		n += m.Len()
	}
	return n
}

func (x *mux) writeBlock(l *link, blk *block.Block) {
	x.write(l, blk.Bytes(), part{blk: blk, payload: true})
}

// write gives the machine bytes that stay where they are until p is released.
func (x *mux) write(l *link, b []byte, p part) {
	if len(b) == 0 && p.blk == nil {
		return
	}
	if l.out.enc != nil {
		b = x.encrypt(l.out.enc, b, &p)
	}
	l.m.Write(b)
	l.out.written += int64(len(b))
	l.out.push(x, p)
}

// encrypt returns what goes instead of b: of blocks, which others may hold too, a copy.
func (x *mux) encrypt(s *mse.Stream, b []byte, p *part) []byte {
	out := b
	if p.blk != nil {
		out = x.bufs.get(len(b))
		p.head = out
	}
	s.XOR(out, b)
	if p.blk != nil {
		p.blk.Release()
		p.blk = nil
	}
	return out
}

func (o *outflow) push(x *mux, p part) {
	if o.parts == nil {
		o.parts = x.bufs.newParts()
	}
	if len(o.parts) == cap(o.parts) && o.acked > len(o.parts)/2 {
		n := copy(o.parts, o.parts[o.acked:])
		clear(o.parts[n:])
		o.parts = o.parts[:n]
		o.sent, o.acked = o.sent-o.acked, 0
	}
	p.end = o.written
	o.parts = append(o.parts, p)
}

// account releases what has arrived, and tells the peer what has left.
func (x *mux) account(l *link) {
	o := &l.out
	if l.m != nil && len(o.parts) > 0 {
		o.leave(l.m.Sent())
		o.arrive(l.m.Acked(), &x.bufs)
	}
	if l.why != nil || !l.in.bound || o.unsaid == (transport.Flushed{}) {
		return
	}
	if l.in.inlet.TryPut(o.unsaid) {
		o.unsaid = transport.Flushed{}
		return
	}
	x.wait(l)
}

// leave notes that the stream has been sent up to an offset.
func (o *outflow) leave(upTo int64) {
	for o.sent < len(o.parts) {
		p := &o.parts[o.sent]
		n := min(p.end, upTo) - o.left
		o.left += n
		if !p.mute {
			o.unsaid.Wire += n
		}
		if p.payload {
			o.unsaid.Payload += n
		}
		if p.end > upTo {
			return
		}
		if p.batch != nil {
			o.unsaid.Batches++
		}
		o.sent++
	}
}

// arrive releases what the remote has acknowledged.
func (o *outflow) arrive(upTo int64, bufs *buffers) {
	for o.acked < o.sent && o.parts[o.acked].end <= upTo {
		o.parts[o.acked].release(bufs)
		o.acked++
	}
	if o.acked == len(o.parts) {
		bufs.putParts(o.parts)
		o.parts, o.sent, o.acked = nil, 0, 0
	}
}

// drop releases everything.
func (o *outflow) drop(bufs *buffers) {
	o.sent = len(o.parts)
	o.arrive(o.written, bufs)
}

func (p *part) release(bufs *buffers) {
	if p.blk != nil {
		p.blk.Release()
	}
	if p.head != nil {
		bufs.put(p.head)
	}
	if p.batch != nil {
		p.batch.Release()
	}
	*p = part{}
}
