//pump: waits for the handshakes of one connection, encrypted or plain.

package transport

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// crypto is where the handshakes of a connection have left it. The zero crypto is a
// plain connection from its beginning, or from behind the remote's handshake.
type crypto struct {
	in, out *mse.Stream // nil: in the clear
	left    []byte      // has been read and is for the link: as it came, in decrypts it
	greeted bool        // our BitTorrent handshake has been sent
}

// encrypted describes a connection by the outcome of its handshake.
func (i Info) encrypted(m mse.Method) Info {
	i.Crypto, i.Encrypted = m, m == mse.RC4
	return i
}

// Offer is what a dial's encrypted handshake is to offer under the session's policy; 0
// is none. It fails with ErrPlain where the dial wants what the policy forbids.
func (e Env) Offer(d Dial) (mse.Offer, error) {
	if e.Encryption.Plain() {
		return d.Encrypt, nil
	}
	if o := d.Encrypt & e.methods(); o != 0 {
		return o, nil
	}
	return 0, ErrPlain
}

// methods are what an incoming encrypted connection may choose from.
func (e Env) methods() mse.Offer {
	if e.Methods != 0 {
		return e.Methods
	}
	return e.Encryption.Methods()
}

// Incoming describes the encrypted handshake of a connection that came in; ok is false
// if there can't be one. admit is asked before anything is calculated.
func (e Env) Incoming(r rand.Source, admit func() bool) (in mse.Incoming, ok bool) {
	if e.Keys == nil || !e.Encryption.Encrypted() {
		return in, false
	}
	return mse.Incoming{
		Find:      e.Keys.Find,
		Accept:    e.methods(),
		Favourite: mse.Favourite,
		Admit:     admit,
		Rand:      r,
	}, true
}

// Outgoing describes the encrypted handshake of a connection that we made.
func (d Dial) Outgoing(o mse.Offer, r rand.Source) (mse.Outgoing, error) {
	keys := d.InfoHash.Wire()
	if len(keys) == 0 {
		return mse.Outgoing{}, errNoKey
	}
	out := mse.Outgoing{Key: keys[0], Offer: o, Rand: r}
	if d.Hello != nil {
		out.Initial = wire.AppendHandshake(nil, *d.Hello)
		out.Key = d.Hello.InfoHash
	}
	return out, nil
}

var errNoKey = errors.New("encrypted dial without an info-hash")

// entropy is a source that nobody outside can predict.
func entropy() rand.Source {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	return rand.NewChaCha8(seed)
}

// Meet makes a link of a connection that we made: with an encrypted handshake first if
// d.Encrypt says so. It closes the connection when it fails, or when ctx ends before the
// handshake does. For pumps: it waits.
func Meet(ctx context.Context, c net.Conn, info Info, d Dial, env Env) (Link, error) {
	offer, err := env.Offer(d)
	if err != nil {
		c.Close()
		return nil, err
	}
	if offer == 0 {
		return NewConn(c, info, env), nil
	}
	m, err := meet(ctx, c, d, offer)
	if err != nil {
		c.Close()
		return nil, &LinkError{info.Remote, RemoteFault, err}
	}
	res := m.Result()
	x := crypto{in: res.In, out: res.Out, left: res.Left, greeted: d.Hello != nil}
	return newConn(c, info.encrypted(res.Method), env, x), nil
}

func meet(ctx context.Context, c net.Conn, d Dial, offer mse.Offer) (*mse.Machine, error) {
	out, err := d.Outgoing(offer, entropy())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	m := out.Start()
	err = converse(c, m, nil)
	if !stop() {
		err = ctx.Err()
	}
	return m, err
}

// cryptChunk is what one read of an encrypted handshake takes.
const cryptChunk = 2 << 10

// converse carries a handshake through. first is what has been read already.
func converse(c net.Conn, m *mse.Machine, first []byte) error {
	err := m.Feed(first)
	var buf []byte
	for err == nil {
		if out := m.Output(); len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return fmt.Errorf("encrypted handshake: %w", err)
			}
		}
		if m.Done() {
			return nil
		}
		if buf == nil {
			buf = make([]byte, cryptChunk)
		}
		n, rerr := c.Read(buf)
		if err = m.Feed(buf[:n]); err == nil && rerr != nil && !m.Done() {
			return fmt.Errorf("encrypted handshake: %w", rerr)
		}
	}
	return err
}

// Greet reads the handshake of a connection that came in, as [Transport] wants it: at
// most until env.HandshakeTimeout, and encrypted or plain as env.Encryption says. Of a
// plain connection it reads no more than the 68 bytes. It closes the connection when
// it fails. For pumps: it waits.
func Greet(c net.Conn, info Info, env Env) (Accepted, error) {
	info.Incoming = true
	a, err := greet(c, info, env)
	if err != nil {
		c.Close()
		return Accepted{}, fmt.Errorf("%v: %w", info.Remote, err)
	}
	return a, nil
}

func greet(c net.Conn, info Info, env Env) (a Accepted, err error) {
	if err := c.SetDeadline(time.Now().Add(env.handshakeTimeout())); err != nil {
		return a, err
	}
	var x crypto
	var hello []byte
	var buf [wire.HandshakeLen]byte
	first, err := readFirst(c, buf[:], env.Encryption)
	if m := env.machine(info, err); m != nil {
		if err = converse(c, m, first); err == nil {
			res := m.Result()
			info = info.encrypted(res.Method)
			hello, x, err = readHello(c, res)
		}
	} else {
		hello = first
	}
	if err != nil {
		return a, err
	}
	if a.Handshake, err = wire.ParseHandshake(hello); err != nil {
		return a, err
	}
	a.Link = newConn(c, info, env, x)
	return a, c.SetDeadline(time.Time{})
}

// machine listens to what does not begin like a plain handshake, if it may be an
// encrypted one: then it is not nil.
func (e Env) machine(info Info, notPlain error) *mse.Machine {
	if !errors.Is(notPlain, wire.ErrNotBitTorrent) {
		return nil
	}
	in, ok := e.Incoming(entropy(), func() bool { return e.Keys.admitNow(info.Remote.Addr()) })
	if !ok {
		return nil
	}
	return in.Start()
}

// readFirst reads a plain handshake. It looks at the bytes as they come: with those
// that belong to no such handshake it ends, and returns them.
func readFirst(c net.Conn, buf []byte, p mse.Policy) ([]byte, error) {
	for n := 0; n < len(buf); {
		k, err := c.Read(buf[n:])
		if n += k; !wire.LooksLikeHandshake(buf[:n]) {
			_, err := wire.ParseHandshake(buf[:n])
			return buf[:n], err
		}
		if !p.Plain() && n >= plainHead {
			return nil, ErrPlain
		}
		if err != nil && n < len(buf) {
			return nil, fmt.Errorf("no handshake: %w", err)
		}
	}
	return buf, nil
}

// plainHead is how many bytes tell a plain handshake from an encrypted one.
const plainHead = 20

// readHello reads the BitTorrent handshake that follows the encrypted one.
func readHello(c net.Conn, res mse.Result) (hello []byte, x crypto, err error) {
	got := res.Left
	if short := wire.HandshakeLen - len(got); short > 0 {
		at := len(got)
		got = append(got, make([]byte, short)...)
		if _, err := io.ReadFull(c, got[at:]); err != nil {
			return nil, x, fmt.Errorf("no handshake: %w", err)
		}
	}
	hello, left := got[:wire.HandshakeLen:wire.HandshakeLen], got[wire.HandshakeLen:]
	if res.In != nil {
		res.In.XOR(hello, hello)
	}
	return hello, crypto{in: res.In, out: res.Out, left: left}, nil
}
