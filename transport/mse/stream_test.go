package mse

import (
	"bytes"
	"crypto/rc4"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// Test vectors of RFC 6229: the keystream at some offsets.
func TestStreamVectors(t *testing.T) {
	for _, c := range []struct {
		key    string
		offset int
		want   string
	}{
		{"0102030405", 0, "b2396305f03dc027ccc3524a0a1118a8"},
		{"0102030405", 16, "6982944f18fc82d589c403a47a0d0919"},
		{"0102030405", 1024, "30abbcc7c20b01609f23ee2d5f6bb7df"},
		{"0102030405060708", 0, "97ab8a1bf0afb96132f2f67258da15a8"},
		{"0102030405060708090a0b0c0d0e0f10", 0, "9ac7cc9a609d1ef7b2932899cde41b97"},
		{"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20", 0, "eaa6bd25880bf93d3f5d1e4ca2611d91"},
	} {
		key, _ := hex.DecodeString(c.key)
		out := make([]byte, c.offset+16)
		NewStream(key).XOR(out, out)
		if got := hex.EncodeToString(out[c.offset:]); got != c.want {
			t.Errorf("key %s at %d: %s, want %s", c.key, c.offset, got, c.want)
		}
	}
}

// In parts of all sizes it is the same as the standard library's.
func TestStreamParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		key := make([]byte, 1+r.IntN(256))
		text := make([]byte, r.IntN(5000))
		for _, b := range [][]byte{key, text} {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
		}
		std, err := rc4.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, len(text))
		std.XORKeyStream(want, text)
		ours, got := NewStream(key), make([]byte, len(text))
		for at := 0; at < len(text); {
			n := min(r.IntN(40), len(text)-at)
			ours.XOR(got[at:], text[at:at+n])
			at += n
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("key %x: differs", key)
		}
		again := NewStream(key)
		if again.XOR(text, text); !bytes.Equal(text, want) {
			t.Fatalf("key %x: differs in place", key)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	buf := make([]byte, 16<<10)
	b.Run("ours", func(b *testing.B) {
		c := NewStream([]byte("some key"))
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			c.XOR(buf, buf)
		}
	})
	b.Run("std", func(b *testing.B) {
		c, err := rc4.NewCipher([]byte("some key"))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			c.XORKeyStream(buf, buf)
		}
	})
}

// BenchmarkHandshake is what an incoming handshake costs before the remote has proved
// anything, and how it compares to garbage that is refused at once.
func BenchmarkHandshake(b *testing.B) {
	r := newRemote(b, true)
	key := r.greeting()
	for b.Loop() {
		m := incoming(OfferAny, RC4)
		if err := m.Feed(key); err != nil {
			b.Fatal(err)
		}
	}
}
