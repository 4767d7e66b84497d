package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// fixed is a connection whose remote has sent all it ever will: in parts of the
// sizes given, then the end.
type fixed struct {
	data  []byte
	sizes []byte
	i     int
}

func (f *fixed) Read(b []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, io.EOF
	}
	n := len(b)
	if len(f.sizes) > 0 {
		n = int(f.sizes[f.i%len(f.sizes)]) + 1
		f.i++
	}
	n = copy(b[:min(n, len(b))], f.data)
	f.data = f.data[n:]
	return n, nil
}

func (f *fixed) Write(b []byte) (int, error)      { return len(b), nil }
func (f *fixed) Close() error                     { return nil }
func (f *fixed) LocalAddr() net.Addr              { return nil }
func (f *fixed) RemoteAddr() net.Addr             { return nil }
func (f *fixed) SetDeadline(time.Time) error      { return nil }
func (f *fixed) SetReadDeadline(time.Time) error  { return nil }
func (f *fixed) SetWriteDeadline(time.Time) error { return nil }

// record notes all that a link says, as text and content.
type record struct {
	text          bytes.Buffer
	wire, payload int64
	closed        chan error
}

func (r *record) Handle(c *actor.Ctx[Event], e Event) {
	switch e := e.(type) {
	case *Batch:
		r.wire += e.Wire
		r.payload += e.Payload
		for i := range e.Frames {
			f := &e.Frames[i]
			r.text.WriteString(show(*f))
			r.text.Write(f.Payload)
			if f.Block != nil {
				r.text.Write(f.Block.Bytes())
			}
		}
		e.Release()
	case Closed:
		r.closed <- e.Err
		c.Quit(nil)
	}
}

// hearAll runs a link over a fixed stream to its end.
func hearAll(t *testing.T, w actor.World, slab *block.Slab, c net.Conn, incoming bool, asked int, x crypto) (*record, error) {
	r := &record{closed: make(chan error, 1)}
	l := newConn(c, Info{Incoming: incoming}, Env{Slab: slab}, x)
	b := NewBatch()
	for range asked {
		b.Add(request(0))
	}
	l.Send(b)
	a := actor.Root(w, actor.Spec{Name: "record"}, actor.Actor[Event](r), func(actor.Exit) {})
	l.Allow(Unlimited)
	l.Bind(a.Inlet)
	return r, <-r.closed
}

// encrypt makes of a stream what comes with RC4: some of it has been read already.
func encrypt(data []byte, read int) ([]byte, crypto) {
	out := make([]byte, len(data))
	mse.NewStream([]byte("some key")).XOR(out, data)
	read = min(read, len(out))
	return out[read:], crypto{in: mse.NewStream([]byte("some key")), left: out[:read:read]}
}

// FuzzLink: whatever a remote sends, in whatever parts, says the same as in one part,
// accounts for every byte it took, and leaves no slot behind; encrypted as well.
func FuzzLink(f *testing.F) {
	stream, _ := script()
	f.Add(append(helloBytes(), stream...), []byte{0, 16, 3}, false, byte(3))
	f.Add(stream, []byte{12}, true, byte(1))
	f.Add(piece(1, 2, make([]byte, block.Size+1)), []byte{255, 1}, true, byte(9))
	f.Add([]byte("GET / HTTP/1.1"), []byte{0}, false, byte(0))
	f.Add([]byte{255, 255, 255, 255, 7}, []byte{}, true, byte(1))
	w := actor.NewLive(actor.LiveConfig{Workers: 2, Crash: func(c *actor.Cell, v any, _ []byte) { panic(v) }})
	f.Cleanup(w.Close)
	slab := block.NewSlab(64 * block.Size)
	f.Fuzz(func(t *testing.T, data, sizes []byte, incoming bool, asked byte) {
		if len(data) > 1<<19 {
			return
		}
		whole, err1 := hearAll(t, w, slab, &fixed{data: data}, incoming, int(asked), crypto{})
		parts, err2 := hearAll(t, w, slab, &fixed{data: data, sizes: sizes}, incoming, int(asked), crypto{})
		encrypted, x := encrypt(data, int(asked))
		crypt, err3 := hearAll(t, w, slab, &fixed{data: encrypted, sizes: sizes}, incoming, int(asked), x)
		if !bytes.Equal(whole.text.Bytes(), parts.text.Bytes()) {
			t.Errorf("in one part:\n%.300q\nin several:\n%.300q", whole.text.Bytes(), parts.text.Bytes())
		}
		if !bytes.Equal(whole.text.Bytes(), crypt.text.Bytes()) {
			t.Errorf("in the clear:\n%.300q\nencrypted:\n%.300q", whole.text.Bytes(), crypt.text.Bytes())
		}
		for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, wire.ErrNotBitTorrent, wire.ErrLength} {
			if errors.Is(err1, e) != errors.Is(err2, e) || errors.Is(err1, e) != errors.Is(err3, e) {
				t.Errorf("closed with %v, then %v, then %v", err1, err2, err3)
			}
		}
		var e *LinkError
		if !errors.Is(err1, io.EOF) && !(errors.As(err1, &e) && e.Fault == RemoteFault) {
			t.Errorf("closed with %v, want the remote's fault", err1)
		}
		for _, r := range []*record{whole, parts, crypt} {
			if r.wire > int64(len(data)) || r.payload > r.wire || errors.Is(err1, io.EOF) && r.wire != int64(len(data)) {
				t.Errorf("%d bytes, %d of payload, of %d", r.wire, r.payload, len(data))
			}
		}
		if n := slab.Used(); n != 0 {
			t.Errorf("%d slots are left", n)
		}
	})
}

// FuzzHandshake: no first bytes get past Greet that are not a handshake.
func FuzzHandshake(f *testing.F) {
	f.Add(helloBytes(), []byte{3})
	f.Add(helloBytes()[:67], []byte{})
	f.Add([]byte("\x13BitTorrent protocol"), []byte{0})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		a, err := Greet(&fixed{data: data, sizes: sizes}, Info{}, Env{Slab: block.NewSlab(1)})
		if err != nil {
			return
		}
		if back := wire.AppendHandshake(nil, a.Handshake); !bytes.HasPrefix(data, back) {
			t.Errorf("%q passed as %q", data, back)
		}
	})
}
