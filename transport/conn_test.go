package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

var hello = wire.Handshake{Reserved: wire.FlagFast, InfoHash: [20]byte{1}, PeerID: [20]byte{2}}

func helloBytes() []byte { return wire.AppendHandshake(nil, hello) }

func TestDialogue(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		w := newWorld(t)
		x, y := newEnd(t, w, a, false, 64), newEnd(t, w, b, true, 64)
		x.link.Allow(Unlimited)
		y.link.Allow(Unlimited)

		first := NewBatch()
		first.Handshake = &hello
		first.Add(wire.Message{ID: wire.Bitfield, Payload: []byte{0xF0, 0x0F}})
		first.Add(wire.Message{ID: wire.Unchoke})
		y.link.Send(first)
		x.want("bitfield, 2 bytes")
		x.want("unchoke")
		if x.hello == nil || *x.hello != hello {
			t.Fatalf("handshake %v, want %v", x.hello, hello)
		}

		x.send(requestsOf(20)...)
		for i := range 20 {
			y.want(request(i).String())
		}
		y.sendPieces(20)
		for i := range 20 {
			f := x.want(wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i) * block.Size, Payload: make([]byte, block.Size)}.String())
			if want := bytes.Repeat([]byte{byte(i)}, block.Size); !bytes.Equal(f.Block.Bytes(), want) {
				t.Fatalf("block %d holds other bytes", i)
			}
			f.Block.Release()
		}

		wireLen := int64(68 + 4 + 1 + 2 + 4 + 1 + 20*(wire.PieceHeaderLen+block.Size))
		for y.sent.Batches < 2 {
			y.hear("want Flushed of both batches")
		}
		if want := (Flushed{wireLen, 20 * block.Size, 2}); y.sent != want {
			t.Errorf("flushed %+v, want %+v", y.sent, want)
		}
		if x.got.Wire != wireLen || x.got.Payload != 20*block.Size {
			t.Errorf("received %d, of these %d payload", x.got.Wire, x.got.Payload)
		}
		y.link.Close(errors.New("enough"))
		y.wantClosed("closed here: enough")
		x.wantClosed("EOF")
		if x.closed != io.EOF { //nolint:errorlint // the contract: plain io.EOF
			t.Errorf("a remote that closes in good order gives %v", x.closed)
		}
	})
}

// An upload answers a request of 128 KiB, as old clients make them, with one Piece
// of several blocks. A receiver that did not ask for so much discards it.
func TestLongPiece(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		w := newWorld(t)
		x, y := newEnd(t, w, a, true, 64), newEnd(t, w, b, true, 64)
		x.link.Allow(Unlimited)
		y.link.Allow(Unlimited)
		x.send(request(0), request(1))
		y.want(request(0).String())
		batch := NewBatch()
		f := Frame{Message: wire.Message{ID: wire.Piece, Index: 1}, Block: y.slab.Lease()}
		for range 7 {
			f.More = append(f.More, y.slab.Lease())
		}
		batch.Frames = append(batch.Frames, f)
		y.link.Send(batch)
		x.want("piece 1 0+131072 discarded")
		if x.got.Payload != 128<<10 {
			t.Errorf("payload %d: what is discarded counts", x.got.Payload)
		}
		x.link.Close(nil)
		x.wantClosed("closed here")
		y.wantClosed("")
	})
}

// "a link takes slots only for as many Pieces as it has sent Requests"
func TestUnaskedPiecesAreDiscarded(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		x := newEnd(t, newWorld(t), a, true, 64)
		x.link.Allow(Unlimited)
		data := make([]byte, 100)
		x.send(request(0), request(1))
		go drainTo(b, io.Discard)
		go rawSend(b, piece(0, 0, data), wire.Append(nil, wire.Message{ID: wire.Reject, Index: 7, Length: block.Size}), piece(0, 100, data), piece(0, 200, nil))
		x.want("piece 0 0+100").Block.Release()
		x.want("reject 7 0+16384") // answers a request as well
		x.want("piece 0 100+100 discarded")
		x.want("piece 0 200+0 discarded")
		x.link.Close(nil)
		x.wantClosed("closed here")
	})
}

// script is a stream with every kind of message, and what it says.
func script() (stream []byte, says []string) {
	msgs := []wire.Message{
		{ID: wire.Bitfield, Payload: bytes.Repeat([]byte{0xAA}, 300)},
		{ID: wire.KeepAlive}, {ID: wire.Have, Index: 3}, {ID: wire.Unchoke},
		{ID: wire.Piece, Index: 7, Payload: bytes.Repeat([]byte{1}, block.Size)},
		wire.ExtendedMessage(0, []byte("d1:md11:ut_metadatai1eee")), wire.PortMessage(6881),
		{ID: wire.Piece, Index: 7, Begin: block.Size, Payload: bytes.Repeat([]byte{2}, 1000)},
		request(5), {ID: wire.HaveNone},
	}
	for _, m := range msgs {
		stream = wire.Append(stream, m)
		says = append(says, m.String())
	}
	return stream, says
}

func TestAnyFragmentation(t *testing.T) {
	for _, size := range []int{1, 2, 3, 13, 67, 511, 512, 513, 4096} {
		overEach(t, func(t *testing.T, a, b net.Conn) {
			x := newEnd(t, newWorld(t), a, false, 64)
			x.link.Allow(Unlimited)
			x.send(request(0), request(1))
			stream, says := script()
			go func() {
				_, _ = io.ReadFull(b, make([]byte, 2*17)) // or the close would be a reset
				stream := append(helloBytes(), stream...)
				for ; len(stream) > size; stream = stream[size:] {
					rawSend(b, stream[:size])
				}
				rawSend(b, stream)
				b.Close()
			}()
			for _, s := range says {
				if f := x.want(s); f.Block != nil {
					if f.Block.Bytes()[f.Block.Len()-1] != byte(1+f.Begin/block.Size) {
						t.Errorf("%v holds other bytes", f)
					}
					f.Block.Release()
				}
			}
			x.wantClosed("EOF")
			if want := int64(len(stream) + 68); x.got.Wire != want {
				t.Errorf("in pieces of %d: %d bytes reported, want %d", size, x.got.Wire, want)
			}
		})
	}
}

func TestHostileBytes(t *testing.T) {
	for name, c := range map[string]struct {
		incoming bool
		bytes    []byte
		closed   string
	}{
		"other protocol":      {false, []byte("GET / HTTP/1.1\r\n"), "remote: not a BitTorrent handshake"},
		"nothing":             {false, nil, "remote: closed without a handshake"},
		"half a handshake":    {false, helloBytes()[:40], "remote: closed without a handshake"},
		"half a message":      {true, []byte{0, 0, 0, 5, 4, 0}, "remote: closed within a message"},
		"half a block":        {true, piece(0, 0, make([]byte, 500))[:400], "remote: closed within a message"},
		"long choke":          {true, []byte{0, 0, 0, 2, 0, 0}, "remote: message has a wrong length"},
		"piece of 2 GiB":      {true, []byte{0x80, 0, 0, 9, 7}, "remote: message has a wrong length"},
		"after good messages": {true, append(wire.Append(nil, wire.Message{ID: wire.Unchoke}), 255, 255, 255, 255, 0), "remote: message has a wrong length"},
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, a, b net.Conn) {
				x := newEnd(t, newWorld(t), a, c.incoming, 4)
				x.link.Allow(Unlimited)
				x.send(request(0))
				go func() {
					_, _ = io.ReadFull(b, make([]byte, 17))
					rawSend(b, c.bytes)
					b.Close()
				}()
				x.wantClosed(c.closed)
				var e *LinkError
				if !errors.As(x.closed, &e) || e.Fault != RemoteFault {
					t.Errorf("%v must be the remote's fault", x.closed)
				}
			})
		})
	}
}

func TestSlabOfFewSlotsStillDeliversAll(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		w := newWorld(t)
		x, y := newEnd(t, w, a, true, 3), newEnd(t, w, b, true, 32)
		x.link.Allow(Unlimited)
		y.link.Allow(Unlimited)
		x.send(requestsOf(32)...)
		y.sendPieces(32)
		for i := range 32 {
			f := x.want(wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i) * block.Size, Payload: make([]byte, block.Size)}.String())
			f.Block.Release()
		}
		x.link.Close(nil)
		x.wantClosed("")
		y.wantClosed("")
	})
}

func TestCloseEndsAWaitForSlots(t *testing.T) {
	overEach(t, func(t *testing.T, a, b net.Conn) {
		w := newWorld(t)
		x, y := newEnd(t, w, a, true, 1), newEnd(t, w, b, true, 8)
		held := x.slab.Lease()
		x.link.Allow(Unlimited)
		x.send(requestsOf(8)...)
		y.sendPieces(8)
		y.link.Allow(Unlimited)
		y.want(request(0).String())
		x.link.Close(errors.New("stop"))
		held.Release()
		x.wantClosed("stop")
		y.link.Close(nil)
		y.wantClosed("")
	})
}

func TestPhantomPayloadIsABug(t *testing.T) {
	a, _ := tcpPair(t)
	x := newEnd(t, newWorld(t), a, true, 1)
	x.slab = block.NewPhantomSlab(block.Size)
	b := NewBatch()
	b.AddPiece(wire.Message{ID: wire.Piece}, x.slab.Lease())
	x.link.Send(b)
	x.wantClosed("closed here: phantom payload")
}

func TestBindAfterCloseStillAnswers(t *testing.T) {
	a, _ := tcpPair(t)
	slab := block.NewSlab(block.Size)
	l := NewConn(a, Info{}, Env{Slab: slab})
	b := NewBatch()
	b.AddPiece(wire.Message{ID: wire.Piece}, slab.Lease())
	l.Send(b) // waits for Bind
	l.Close(errors.New("changed my mind"))
	x := bind(t, newWorld(t), slab, l)
	x.wantClosed("changed my mind")
}

func TestSentBeforeBindIsWritten(t *testing.T) {
	a, b := tcpPair(t)
	l := NewConn(a, Info{}, Env{Slab: block.NewSlab(block.Size)})
	first := NewBatch()
	first.Handshake = &hello
	l.Send(first)
	x := bind(t, newWorld(t), block.NewSlab(block.Size), l)
	got := make([]byte, 68)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, helloBytes()) {
		t.Fatalf("got %q, %v", got, err)
	}
	l.Close(nil)
	x.wantClosed("")
}
