package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
)

// cookieLife is how long one secret of connection ids is in use, in seconds.
const cookieLife = 60

// cookies makes and checks BEP 15's connection ids without remembering any: an id is
// a MAC of the client's address and the minute. "spoofed source addresses" can't
// know it. It is not safe for concurrent use; each worker has its own, of one key.
//
// The MAC is the first half of a CBC-MAC of two blocks under AES, (minute, address),
// which for messages of fixed length is a pseudo-random function.
type cookies struct {
	block cipher.Block
	epoch int64    // of state
	state [16]byte // of the first block
	buf   [16]byte
}

func newCookieKey() (key [16]byte) {
	_, _ = rand.Read(key[:]) // never fails, says its documentation
	return key
}

func newCookies(key [16]byte) *cookies {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	return &cookies{block: b, epoch: -1}
}

// issue makes the id for a client at this moment, in seconds.
func (c *cookies) issue(a netip.Addr, now int64) uint64 { return c.mac(a, now/cookieLife) }

// valid checks an id. BEP 15: "trackers should accept connection IDs until two
// minutes after they have been sent."
func (c *cookies) valid(id uint64, a netip.Addr, now int64) bool {
	for e := now / cookieLife; e >= now/cookieLife-2; e-- {
		if subtle.ConstantTimeEq(int32(id>>32), int32(c.mac(a, e)>>32))&
			subtle.ConstantTimeEq(int32(id), int32(c.mac(a, e))) == 1 {
			return true
		}
	}
	return false
}

func (c *cookies) mac(a netip.Addr, epoch int64) uint64 {
	if c.epoch != epoch {
		clear(c.buf[:])
		binary.BigEndian.PutUint64(c.buf[:], uint64(epoch))
		c.block.Encrypt(c.state[:], c.buf[:])
		c.epoch = epoch
	}
	ip := a.As16()
	subtle.XORBytes(c.buf[:], ip[:], c.state[:])
	c.block.Encrypt(c.buf[:], c.buf[:])
	return binary.BigEndian.Uint64(c.buf[:])
}
