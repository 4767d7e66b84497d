package transport

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// cryptHash is the torrent of these tests, that of hello.
var cryptHash = metainfo.HashV1(hello.InfoHash)

func cryptEnv(p mse.Policy, hashes ...metainfo.Hash) Env {
	e := Env{Encryption: p, Keys: new(Keys)}
	for _, h := range hashes {
		e.Keys.Add(h)
	}
	return e
}

// dialEncrypted dials with an offer and, if first is set, takes the handshake along.
func (s *session) dialEncrypted(to *session, o mse.Offer, first *wire.Handshake) Dialed {
	s.t.Helper()
	s.tr.Dial(Dial{Addr: to.addr, InfoHash: cryptHash, Encrypt: o, Hello: first,
		Reply: actor.FuncRef(func(d Dialed) { s.dialed <- d })})
	return wait(s.t, "Dialed", s.dialed)
}

// Every policy of who connects meets every policy of who listens.
func TestEncryptionPolicies(t *testing.T) {
	policies := []mse.Policy{mse.Off, mse.Allow, mse.Prefer, mse.Require}
	want := map[mse.Policy][4]string{ // what the listener's policy makes of these
		mse.Off:     {"none", "none", "refused", "refused"},
		mse.Allow:   {"none", "none", "plaintext", "rc4"},
		mse.Prefer:  {"none", "none", "plaintext", "rc4"},
		mse.Require: {"refused", "refused", "rc4", "rc4"},
	}
	for _, theirs := range policies {
		for i, ours := range policies {
			for _, first := range []*wire.Handshake{nil, &hello} {
				t.Run(fmt.Sprintf("%v to %v, hello %v", ours, theirs, first != nil), func(t *testing.T) {
					a, b := newSession(t, cryptEnv(ours)), newSession(t, cryptEnv(theirs, cryptHash))
					b.listen(loopback(0))
					got := tradeEncrypted(a, b, a.dialEncrypted(b, ours.Outgoing(), first))
					if got != want[theirs][i] {
						t.Errorf("%s, want %s", got, want[theirs][i])
					}
				})
			}
		}
	}
}

// tradeEncrypted has a, which has dialed, fetch blocks from b. It returns how the
// connection was encrypted, or "refused".
func tradeEncrypted(a, b *session, d Dialed) string {
	if d.Err != nil {
		return "refused"
	}
	x := bind(a.t, a.w, a.slab, d.Link)
	x.link.Allow(Unlimited)
	first := NewBatch()
	first.Handshake = &hello
	first.Add(wire.Message{ID: wire.Bitfield, Payload: bytes.Repeat([]byte{7}, 1000)})
	for i := range 3 {
		first.Add(request(i))
	}
	x.link.Send(first)
	for x.closed == nil {
		select {
		case in := <-b.accepted:
			if in.Handshake != hello {
				a.t.Errorf("heard %+v", in.Handshake)
			}
			return fetchThree(x, bind(b.t, b.w, b.slab, in.Link))
		case e := <-x.events: // Flushed into the socket of who does not listen, Closed
			x.take(e)
		case <-time.After(patience):
			a.t.Fatal("neither accepted nor refused")
		}
	}
	return "refused"
}

func fetchThree(x, y *end) string {
	x.t.Helper()
	y.link.Allow(Unlimited)
	if f := y.want("bitfield, 1000 bytes"); !bytes.Equal(f.Payload, bytes.Repeat([]byte{7}, 1000)) {
		x.t.Errorf("the bitfield is %x", f.Payload)
	}
	back := NewBatch()
	back.Handshake = &hello
	y.link.Send(back)
	for i := range 3 {
		y.want(show(Frame{Message: request(i)}))
	}
	y.sendPieces(3)
	for i := range 3 {
		f := x.want(fmt.Sprintf("piece 7 %d+%d", i*block.Size, block.Size))
		if b := f.Block.Bytes(); b[0] != byte(i) || !bytes.Equal(b[1:], b[:len(b)-1]) {
			x.t.Errorf("block %d is %x...", i, b[:16])
		}
		f.Block.Release()
	}
	info, other := x.link.Info(), y.link.Info()
	if x.hello == nil || *x.hello != hello {
		x.t.Errorf("heard %v", x.hello)
	}
	if info.Crypto != other.Crypto || info.Encrypted != (info.Crypto == mse.RC4) || info.Encrypted != other.Encrypted {
		x.t.Errorf("%+v and %+v", info, other)
	}
	return info.Crypto.String()
}

// Over connections that have no descriptor to wait for, and with grants that cut what
// came with the handshake.
func TestEncryptedOverEach(t *testing.T) {
	for _, o := range []mse.Offer{mse.OfferPlaintext, mse.OfferRC4} {
		overEach(t, func(t *testing.T, a, b net.Conn) {
			w := newWorld(t)
			slab := block.NewSlab(64 * block.Size)
			env := cryptEnv(mse.Prefer, cryptHash)
			env.Slab = slab
			met := make(chan Link, 1)
			go func() {
				l, err := Meet(t.Context(), a, Info{}, Dial{InfoHash: cryptHash, Encrypt: o, Hello: &hello}, env)
				if err != nil {
					t.Error(err)
				}
				met <- l
			}()
			in, err := Greet(b, Info{}, env)
			if err != nil {
				t.Fatal(err)
			}
			y := bind(t, w, slab, in.Link)
			y.link.Allow(Unlimited)
			back := NewBatch()
			back.Handshake = &hello
			back.Add(wire.Message{ID: wire.Bitfield, Payload: make([]byte, 5000)})
			y.link.Send(back)
			x := bind(t, w, slab, <-met)
			first := NewBatch()
			first.Handshake = &hello // has been sent
			first.Add(wire.Message{ID: wire.Interested})
			x.link.Send(first)
			y.want("interested")
			if y.hello != nil {
				t.Error("the handshake came twice")
			}
			for granted := int64(0); len(x.frames) == 0; granted += 100 {
				x.link.Allow(100)
				for x.got.Wire < granted && len(x.frames) == 0 && x.closed == nil {
					x.hear("bytes that are granted")
				}
				if x.got.Wire > granted+100+plainBuf {
					t.Fatalf("%d bytes came, %d were granted", x.got.Wire, granted+100)
				}
			}
			x.want("bitfield, 5000 bytes")
			for x.sent.Batches == 0 {
				x.hear("Flushed")
			}
			if want := (Flushed{Wire: wire.HandshakeLen + 5, Batches: 1}); x.sent != want {
				t.Errorf("flushed %+v, want %+v", x.sent, want)
			}
		})
	}
}

// Require may be told to be content with encrypted handshakes.
func TestRequiredMethods(t *testing.T) {
	env := func(h ...metainfo.Hash) Env {
		e := cryptEnv(mse.Require, h...)
		e.Methods = mse.OfferPlaintext
		return e
	}
	a, b := newSession(t, env()), newSession(t, env(cryptHash))
	b.listen(loopback(0))
	if got := tradeEncrypted(a, b, a.dialEncrypted(b, mse.OfferAny, &hello)); got != "plaintext" {
		t.Errorf("%s, want plaintext", got)
	}
	if got := tradeEncrypted(a, b, a.dialEncrypted(b, mse.OfferRC4, &hello)); got != "refused" {
		t.Errorf("RC4: %s", got)
	}
}
