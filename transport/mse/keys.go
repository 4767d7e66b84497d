package mse

import (
	"crypto/sha1"
	"math/big"
	"math/rand/v2"
)

const (
	// publicLen: "P, S [and Ya/b] are 768bits long".
	publicLen = 96
	// privateLen: "Xa and Xb are a variable size random integers. [...] 160 bits".
	privateLen = 20
)

// "Prime P is a 768 bit safe prime [...] Generator G is 2".
var (
	prime = func() *big.Int {
		p, ok := new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"+
			"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"+
			"4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563", 16)
		if !ok {
			panic("mse: prime")
		}
		return p
	}()
	generator = big.NewInt(2)
	one       = big.NewInt(1)
	primeLess = new(big.Int).Sub(prime, one)
)

// Req2 is HASH('req2', SKEY): how a remote names a torrent.
func Req2(key [KeyLen]byte) [KeyLen]byte { return [KeyLen]byte(hash("req2", key[:])) }

// hash is the specification's HASH: SHA-1 of all parts in a row.
func hash(tag string, parts ...[]byte) []byte {
	h := sha1.New()
	h.Write([]byte(tag))
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func xor(dst, src []byte) {
	for i := range dst {
		dst[i] ^= src[i]
	}
}

// privateKey draws 160 bits.
func privateKey(r *rand.Rand) *big.Int {
	var b [privateLen]byte
	for i := range b {
		b[i] = byte(r.Uint32() >> 24)
	}
	b[0] |= 0x80 // never a small one
	return new(big.Int).SetBytes(b[:])
}

// appendPublic appends G^X mod P.
func appendPublic(dst []byte, private *big.Int) []byte {
	var b [publicLen]byte
	new(big.Int).Exp(generator, private, prime).FillBytes(b[:])
	return append(dst, b[:]...)
}

// goodPublic refuses values that leave no choice of S: 0, 1, P-1, and what is P or more.
func goodPublic(theirs []byte) bool {
	y := new(big.Int).SetBytes(theirs)
	return y.Cmp(one) > 0 && y.Cmp(primeLess) < 0
}

// secret is S, "the shared secret", G^(XaXb) mod P.
func secret(theirs []byte, private *big.Int) (s [publicLen]byte, err error) {
	if !goodPublic(theirs) {
		return s, ErrKey
	}
	y := new(big.Int).SetBytes(theirs)
	y.Exp(y, private, prime).FillBytes(s[:])
	return s, nil
}
