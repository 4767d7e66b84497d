package metainfo

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// maxSalt is how long a salt may be, in bytes. BEP 44: "The salt string MUST NOT be
// longer than 64 bytes."
const maxSalt = 64

// MutableKey names a torrent that changes (BEP 46): what it is now, the holder of the
// key says in an item of the DHT (BEP 44).
type MutableKey struct {
	Key  [32]byte // ed25519, public
	Salt string   // raw bytes; "" is none
}

// btpk begins an exact source that is a public key. BEP 46:
// "magnet:?xs=urn:btpk:[ Public Key (Hex) ]&s=[ Salt (Hex) ]".
const btpk = "urn:btpk:"

// source reads xs: a public key, or what is not followed here.
func (r *magnetReader) source(v string) error {
	if len(v) < len(btpk) || !strings.EqualFold(v[:len(btpk)], btpk) {
		r.m.Sources = appendNew(r.m.Sources, cut(validText(v)))
		return nil
	}
	var k MutableKey
	digits := v[len(btpk):]
	if len(digits) != 2*len(k.Key) {
		return &Error{InvalidMagnet, fmt.Sprintf("key %s is not %d hexadecimal digits", quote(v), 2*len(k.Key))}
	}
	if _, err := hex.Decode(k.Key[:], []byte(digits)); err != nil {
		return &Error{InvalidMagnet, fmt.Sprintf("key %s is not hexadecimal", quote(v))}
	}
	if r.m.Mutable != nil && *r.m.Mutable != k {
		return &Error{InvalidMagnet, "two different keys in one link"}
	}
	r.m.Mutable = &k
	return nil
}

// addSalt gives the key its salt, which may have come before it. Without a key, s
// means nothing to us.
func (r *magnetReader) addSalt() error {
	if r.m.Mutable == nil || r.salt == "" {
		return nil
	}
	salt, err := hex.DecodeString(r.salt)
	if err != nil || len(salt) > maxSalt {
		return &Error{InvalidMagnet, fmt.Sprintf("salt s=%s is not at most %d bytes in hexadecimal", quote(r.salt), maxSalt)}
	}
	r.m.Mutable.Salt = string(salt)
	return nil
}

// String is the key's part of a link.
func (k MutableKey) String() string {
	s := "xs=" + btpk + hex.EncodeToString(k.Key[:])
	if k.Salt != "" {
		s += "&s=" + hex.EncodeToString([]byte(k.Salt))
	}
	return s
}
