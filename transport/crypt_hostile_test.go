package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/wire"
)

// stranger listens and treats each connection as serve says; heard gets what has come.
func stranger(t *testing.T, serve func(c net.Conn, heard *bytes.Buffer)) (at netip.AddrPort, heard chan []byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heard = make(chan []byte, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b bytes.Buffer
			serve(c, &b)
			c.Close()
			heard <- b.Bytes()
		}
	}()
	return addrPortOf(l.Addr()), heard
}

// Who requires encryption says no plain byte, whatever the other side does to have it,
// and does not come back without.
func TestRequireNeverFallsBack(t *testing.T) {
	for name, serve := range map[string]func(c net.Conn, heard *bytes.Buffer){
		"closes at once":  func(net.Conn, *bytes.Buffer) {},
		"cuts after Ya":   func(c net.Conn, b *bytes.Buffer) { _, _ = io.CopyN(b, c, 96) },
		"speaks first":    func(c net.Conn, b *bytes.Buffer) { rawSend(c, helloBytes()); drainTo(c, b) },
		"answers plain":   func(c net.Conn, b *bytes.Buffer) { _, _ = io.CopyN(b, c, 96); rawSend(c, helloBytes()); drainTo(c, b) },
		"answers garbage": func(c net.Conn, b *bytes.Buffer) { rawSend(c, bytes.Repeat([]byte{7}, 2000)); drainTo(c, b) },
		"key of 1":        func(c net.Conn, b *bytes.Buffer) { rawSend(c, append(make([]byte, 95), 1)); drainTo(c, b) },
	} {
		t.Run(name, func(t *testing.T) {
			at, heard := stranger(t, func(c net.Conn, b *bytes.Buffer) {
				_ = c.SetDeadline(time.Now().Add(patience))
				serve(c, b)
			})
			s := newSession(t, cryptEnv(mse.Require))
			d := s.dialEncrypted(&session{addr: at}, mse.OfferAny, &hello)
			if d.Err == nil {
				t.Fatal("connected")
			}
			got := wait(t, "what was heard", heard)
			if bytes.Contains(got, []byte("BitTorrent")) || bytes.Contains(got, hello.InfoHash[:]) {
				t.Errorf("said %q", got)
			}
			select {
			case again := <-heard:
				t.Errorf("came back and said %q", again)
			default:
			}
		})
	}
}

// A dial that asks for no encryption where it is required makes no connection.
func TestRequireRefusesPlainDial(t *testing.T) {
	at, heard := stranger(t, func(net.Conn, *bytes.Buffer) {})
	s := newSession(t, cryptEnv(mse.Require))
	for _, o := range []mse.Offer{0, mse.OfferPlaintext} {
		if d := s.dialEncrypted(&session{addr: at}, o, nil); !errors.Is(d.Err, ErrPlain) {
			t.Errorf("offer %v: %v", o, d.Err)
		}
	}
	if len(heard) > 0 {
		t.Error("has connected")
	}
	a, b := net.Pipe()
	defer b.Close()
	if _, err := Meet(context.Background(), a, Info{}, Dial{}, Env{Encryption: mse.Require}); !errors.Is(err, ErrPlain) {
		t.Errorf("Meet: %v", err)
	}
	if !rawClosed(b) {
		t.Error("the connection is open")
	}
}

func rawClosed(c net.Conn) bool {
	n, err := c.Read(make([]byte, 1))
	return n == 0 && err != nil
}

// Who requires encryption, or has no torrents, or does not speak it, answers no byte; nor
// does anybody answer garbage.
func TestIncomingIsRefused(t *testing.T) {
	garbage := bytes.Repeat([]byte{0x99}, 700)
	for _, c := range []struct {
		what string
		env  Env
		say  []byte
	}{
		{"plain to require", cryptEnv(mse.Require, cryptHash), helloBytes()},
		{"20 plain bytes to require", cryptEnv(mse.Require, cryptHash), helloBytes()[:20]},
		{"garbage to off", cryptEnv(mse.Off, cryptHash), garbage},
		{"garbage without keys", Env{Encryption: mse.Prefer}, garbage},
		{"bad key", cryptEnv(mse.Prefer, cryptHash), make([]byte, 96)},
		{"garbage to allow", cryptEnv(mse.Allow, cryptHash), garbage},
	} {
		b := newSession(t, c.env)
		b.listen(loopback(0))
		conn, err := net.Dial("tcp", b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		rawSend(conn, c.say)
		var heard bytes.Buffer
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		drainTo(conn, &heard)
		conn.Close()
		if heard.Len() > 0 {
			t.Errorf("%s: answered %d bytes", c.what, heard.Len())
		}
		if len(b.accepted) > 0 {
			t.Errorf("%s: accepted", c.what)
		}
	}
}

// A flood of keys from one address is calculated only so often, and plain connections
// come in meanwhile.
func TestKeyFlood(t *testing.T) {
	b := newSession(t, cryptEnv(mse.Prefer, cryptHash))
	b.listen(loopback(0))
	key := new(big.Int).Exp(big.NewInt(2), big.NewInt(12345), nil).FillBytes(make([]byte, 2000))[2000-96:]
	key[0] = 1 // below P
	answered, began := 0, time.Now()
	const tries = 400
	for range tries {
		c, err := net.Dial("tcp", b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		rawSend(c, key)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if n, _ := c.Read(make([]byte, 96)); n > 0 {
			answered++
		}
		c.Close()
	}
	most := 128 + 1 + int(time.Since(began)/(time.Second/32))
	if answered > most || answered < 128 {
		t.Errorf("%d of %d were answered, want 128 to %d", answered, tries, most)
	}
	a := newSession(t, cryptEnv(mse.Off))
	if got := tradeEncrypted(a, b, a.dialEncrypted(b, 0, nil)); got != "none" {
		t.Errorf("plain: %s", got)
	}
}

// Handshakes that do not come to an end are ended: by their time limits, and by Close.
func TestEncryptedHandshakeEnds(t *testing.T) {
	silent := func(c net.Conn, b *bytes.Buffer) { drainTo(c, b) }
	at, _ := stranger(t, silent)
	s := newSession(t, cryptEnv(mse.Prefer))
	dial := func(limit time.Duration) {
		s.tr.Dial(Dial{Addr: at, InfoHash: cryptHash, Encrypt: mse.OfferAny, Timeout: limit,
			Reply: actor.FuncRef(func(d Dialed) { s.dialed <- d })})
	}
	dial(20 * time.Millisecond)
	if d := wait(t, "Dialed", s.dialed); !errors.Is(d.Err, context.DeadlineExceeded) {
		t.Errorf("after its time: %v", d.Err)
	}
	dial(time.Hour)
	s.tr.Close()
	if d := wait(t, "Dialed", s.dialed); !errors.Is(d.Err, ErrClosed) {
		t.Errorf("after Close: %v", d.Err)
	}

	env := cryptEnv(mse.Prefer, cryptHash)
	env.HandshakeTimeout = 20 * time.Millisecond
	b := newSession(t, env)
	b.listen(loopback(0))
	c, err := net.Dial("tcp", b.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rawSend(c, make([]byte, 50))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("half a key: %d bytes, %v", n, err)
	}
}

// A dial without a torrent can't be encrypted.
func TestEncryptedDialNeedsTorrent(t *testing.T) {
	if _, err := (Dial{}).Outgoing(mse.OfferAny, entropy()); err == nil {
		t.Error("goes out without a key")
	}
	out, err := Dial{InfoHash: cryptHash, Hello: &wire.Handshake{InfoHash: [20]byte{5}}}.Outgoing(mse.OfferAny, entropy())
	if err != nil || out.Key != [20]byte{5} {
		t.Errorf("the key is %x (%v), want that of the handshake", out.Key, err)
	}
}
