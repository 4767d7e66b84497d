package dht

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// TokenLife is how often the secret changes; the one before still counts. BEP 5: "a
// secret that changes every five minutes and tokens up to ten minutes old are
// accepted".
const TokenLife = 5 * time.Minute

// TokenLen is the length of our tokens: with 64 bits nobody guesses one in ten
// minutes.
const TokenLen = 8

// Token allows one address to write under one key.
type Token [TokenLen]byte

// Tokens makes and checks write tokens without remembering any: a token is a keyed
// hash of who may write and what. It owns the two secrets.
type Tokens struct {
	secrets [2][32]byte // now, before
	changed clock.Time
}

// NewTokens draws both secrets. rnd must not be predictable where others are hostile.
func NewTokens(rnd *rand.Rand, now clock.Time) Tokens {
	return Tokens{secrets: [2][32]byte{secret(rnd), secret(rnd)}, changed: now}
}

func secret(rnd *rand.Rand) (s [32]byte) {
	for i := 0; i < len(s); i += 8 {
		binary.LittleEndian.PutUint64(s[i:], rnd.Uint64())
	}
	return s
}

// Rotate changes the secret when it is due; to be called now and then, and before
// Make and Check.
func (t *Tokens) Rotate(rnd *rand.Rand, now clock.Time) {
	age := now.Sub(t.changed)
	if age < TokenLife {
		return
	}
	t.secrets[1] = t.secrets[0]
	if age >= 2*TokenLife {
		t.secrets[1] = secret(rnd)
	}
	t.secrets[0], t.changed = secret(rnd), now
}

// Make is the token with which ip may write under key. It is bound to the key, so that
// one get_peers does not open the whole store.
func (t *Tokens) Make(ip netip.Addr, key ID) Token { return keyed(&t.secrets[0], ip, key) }

// Check reports whether Make gave token to ip for key at most two lives ago.
func (t *Tokens) Check(token []byte, ip netip.Addr, key ID) bool {
	now, before := keyed(&t.secrets[0], ip, key), keyed(&t.secrets[1], ip, key)
	return subtle.ConstantTimeCompare(token, now[:])|subtle.ConstantTimeCompare(token, before[:]) == 1
}

// keyed is a hash of an input of fixed length that begins with a secret. It is cut
// short, so that it cannot be extended.
func keyed(secret *[32]byte, ip netip.Addr, key ID) Token {
	var in [32 + 16 + IDLen]byte
	a := ip.As16()
	copy(in[copy(in[:], secret[:]):], a[:])
	copy(in[48:], key[:])
	sum := sha256.Sum256(in[:])
	return Token(sum[:TokenLen])
}
