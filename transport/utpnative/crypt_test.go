package utpnative

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utp"
	"github.com/shoal-bt/shoal/wire"
)

// cryptHash is the torrent of these tests, that of hello.
var cryptHash = metainfo.HashV1(hello().InfoHash)

func cryptEnv(p mse.Policy, hashes ...metainfo.Hash) transport.Env {
	e := transport.Env{Encryption: p, Keys: new(transport.Keys)}
	for _, h := range hashes {
		e.Keys.Add(h)
	}
	return e
}

func (n *node) dialEncrypted(to *node, o mse.Offer, first *wire.Handshake) transport.Dialed {
	n.t.Helper()
	answer := make(chan transport.Dialed, 1)
	n.tr.Dial(transport.Dial{
		Addr: to.addr, InfoHash: cryptHash, Encrypt: o, Hello: first,
		Reply: actor.FuncRef(func(d transport.Dialed) { answer <- d }),
	})
	return waitFor(n.t, "Dialed", answer)
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
	w := newWorld(t)
	for _, theirs := range policies {
		for i, ours := range policies {
			for _, first := range []*wire.Handshake{nil, hello()} {
				t.Run(fmt.Sprintf("%v to %v, hello %v", ours, theirs, first != nil), func(t *testing.T) {
					a := newNode(t, w, Config{Env: cryptEnv(ours)})
					b := newNode(t, w, Config{Env: cryptEnv(theirs, cryptHash)}).listen("127.0.0.1:0")
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
func tradeEncrypted(a, b *node, d transport.Dialed) string {
	if d.Err != nil {
		return "refused"
	}
	x := a.bind(d.Link)
	x.link.Allow(transport.Unlimited)
	first := transport.NewBatch()
	first.Handshake = hello()
	first.Add(wire.Message{ID: wire.Bitfield, Payload: bytes.Repeat([]byte{7}, 1000)})
	for i := range 3 {
		first.Add(request(i))
	}
	x.link.Send(first)
	for x.closed == nil {
		select {
		case in := <-b.accepted:
			if in.Handshake != *hello() {
				a.t.Errorf("heard %+v", in.Handshake)
			}
			y := b.bind(in.Link)
			how := fetchThree(x, y)
			x.link.Close(errBye)
			x.wantClosed("bye")
			y.wantClosed("EOF")
			if x.sent.Batches != 1 || y.sent.Batches != 2 || x.sent.Wire != 68+1005+3*17 || y.sent.Payload != 3*block.Size {
				a.t.Errorf("sent %+v and %+v", x.sent, y.sent)
			}
			return how
		case e := <-x.events: // Flushed to who does not listen, Closed
			x.take(e)
		case <-time.After(patience):
			a.t.Fatal("neither accepted nor refused")
		}
	}
	return "refused"
}

func fetchThree(x, y *end) string {
	x.t.Helper()
	y.link.Allow(transport.Unlimited)
	if f := y.want("bitfield, 1000 bytes"); !bytes.Equal(f.Payload, bytes.Repeat([]byte{7}, 1000)) {
		x.t.Errorf("the bitfield is %x", f.Payload)
	}
	sayHello(y.link)
	batch := transport.NewBatch()
	for i := range 3 {
		y.want(request(i).String())
		blk := y.slab.Lease()
		copy(blk.Bytes(), bytes.Repeat([]byte{byte(i)}, block.Size))
		batch.AddPiece(wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i) * block.Size}, blk)
	}
	y.link.Send(batch)
	for i := range 3 {
		f := x.want(fmt.Sprintf("piece 7 %d+%d", i*block.Size, block.Size))
		if b := f.Block.Bytes(); b[0] != byte(i) || !bytes.Equal(b[1:], b[:len(b)-1]) {
			x.t.Errorf("block %d is %x...", i, b[:16])
		}
		f.Block.Release()
	}
	info, other := x.link.Info(), y.link.Info()
	if x.hello == nil || *x.hello != *hello() {
		x.t.Errorf("heard %v", x.hello)
	}
	if info.Crypto != other.Crypto || info.Encrypted != (info.Crypto == mse.RC4) || info.Encrypted != other.Encrypted {
		x.t.Errorf("%+v and %+v", info, other)
	}
	return info.Crypto.String()
}

// Who requires encryption does not dial without; torrents that are not here, and
// remotes that leave in the middle, are errors of the dial.
func TestEncryptedDialsFail(t *testing.T) {
	w := newWorld(t)
	a := newNode(t, w, Config{Env: cryptEnv(mse.Require)})
	b := newNode(t, w, Config{Env: cryptEnv(mse.Allow)}).listen("127.0.0.1:0")
	if d := a.dialEncrypted(b, 0, nil); !errors.Is(d.Err, transport.ErrPlain) {
		t.Errorf("plain: %v", d.Err)
	}
	if d := a.dialEncrypted(b, mse.OfferRC4, nil); d.Err == nil {
		t.Error("a torrent that is not there was found")
	}
	c := newNode(t, w, Config{Env: transport.Env{HandshakeTimeout: 20 * time.Millisecond}}).listen("127.0.0.1:0")
	if d := a.dialEncrypted(c, mse.OfferRC4, nil); d.Err == nil {
		t.Error("who does not encrypt was met")
	}
	a.wantNothing()
	b.wantNothing()
	c.wantNothing()
}

// Whose fault a dial's failure is says whether the remote is there: it may want another
// kind of connection.
func TestFaultOfEncryptedDials(t *testing.T) {
	for name, c := range map[string]struct {
		answers, resets bool
		fault           transport.Fault
	}{
		"nobody answers":     {false, false, transport.NetworkFault},
		"answers and resets": {true, true, transport.RemoteFault},
		"answers, no more":   {true, false, transport.RemoteFault},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, Config{})
			var got transport.Dialed
			s.tr.Dial(transport.Dial{
				Addr: there, InfoHash: cryptHash, Encrypt: mse.OfferRC4,
				Reply: actor.FuncRef(func(d transport.Dialed) { got = d }),
			})
			s.run(0)
			syn, err := utp.Parse(s.r.heard()[0].b)
			if err != nil {
				t.Fatal(err)
			}
			if c.answers {
				s.say(there, packetOf(utp.State, syn.ConnID, 100, syn.Seq))
				s.run(0)
			}
			if c.resets {
				key, err := utp.Parse(s.r.heard()[0].b)
				if err != nil {
					t.Fatal(err)
				}
				s.say(there, packetOf(utp.Reset, syn.ConnID, 1, key.Seq))
			}
			s.run(dialTimeout)
			var e *transport.LinkError
			if !errors.As(got.Err, &e) || e.Fault != c.fault {
				t.Errorf("%v, want the fault to be the %v's", got.Err, c.fault)
			}
		})
	}
}
