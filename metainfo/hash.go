package metainfo

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
)

// Hash identifies a torrent: by the SHA-1 of its info dictionary (v1, BEP 3), by
// the SHA-256 (v2, BEP 52), or by both (a hybrid, which is one torrent). It is
// comparable. The zero Hash identifies nothing.
type Hash struct {
	V1    [20]byte
	V2    [32]byte
	HasV1 bool
	HasV2 bool
}

// HashV1 is a Hash of a v1 torrent.
func HashV1(sum [20]byte) Hash { return Hash{V1: sum, HasV1: true} }

// HashV2 is a Hash of a v2 torrent.
func HashV2(sum [32]byte) Hash { return Hash{V2: sum, HasV2: true} }

// SumInfo hashes the exact bytes of an info dictionary both ways. Which of the
// two the torrent has is for LoadInfo to say.
func SumInfo(raw []byte) (v1 [20]byte, v2 [32]byte) {
	return sha1.Sum(raw), sha256.Sum256(raw)
}

// IsZero says that h identifies nothing.
func (h Hash) IsZero() bool { return !h.HasV1 && !h.HasV2 }

// Wire are the 20-byte forms by which trackers, the DHT and handshakes know the
// torrent, v1 first. BEP 52: "the infohash is truncated to 20 bytes".
func (h Hash) Wire() [][20]byte {
	var out [][20]byte
	if h.HasV1 {
		out = append(out, h.V1)
	}
	if h.HasV2 {
		out = append(out, h.Truncated())
	}
	return out
}

// Truncated is the first 20 bytes of the v2 hash.
func (h Hash) Truncated() [20]byte { return [20]byte(h.V2[:20]) }

// Matches says whether raw is the info dictionary that h identifies: every hash
// that h has must agree.
func (h Hash) Matches(raw []byte) bool {
	return !h.IsZero() &&
		(!h.HasV1 || sha1.Sum(raw) == h.V1) &&
		(!h.HasV2 || sha256.Sum256(raw) == h.V2)
}

// Same says whether h and o identify the same torrent: they share a hash and
// disagree in none.
func (h Hash) Same(o Hash) bool {
	v1, v2 := h.HasV1 && o.HasV1, h.HasV2 && o.HasV2
	return (v1 || v2) && (!v1 || h.V1 == o.V1) && (!v2 || h.V2 == o.V2)
}

// Merge adds to h what o knows and h does not.
func (h Hash) Merge(o Hash) Hash {
	if !h.HasV1 && o.HasV1 {
		h.V1, h.HasV1 = o.V1, true
	}
	if !h.HasV2 && o.HasV2 {
		h.V2, h.HasV2 = o.V2, true
	}
	return h
}

// String is the v1 hash in 40 hex digits or, without one, the v2 hash in 64.
func (h Hash) String() string {
	switch {
	case h.HasV1:
		return hex.EncodeToString(h.V1[:])
	case h.HasV2:
		return hex.EncodeToString(h.V2[:])
	}
	return ""
}

// ParseHash reads an info-hash as people paste it: 40 hex digits or 32 of base32
// for v1, 64 hex digits or a multihash (1220 and 64 hex digits) for v2. Case and
// surrounding space do not matter. The error has code InvalidInfoHash.
func ParseHash(s string) (Hash, error) {
	s = strings.TrimSpace(s)
	switch len(s) {
	case 32, 40:
		return parseV1(s)
	case 64:
		return parseV2(s)
	case 68:
		if multi, ok := strings.CutPrefix(s, sha256Multihash); ok {
			return parseV2(multi)
		}
	}
	return Hash{}, badHash(s)
}

// sha256Multihash is the prefix of a multihash of 32 bytes of SHA-256.
const sha256Multihash = "1220"

// parseV1 reads 40 hex digits, or 32 of base32. BEP 9: "Clients should also
// support the 32 character base32 encoded info-hash".
func parseV1(s string) (Hash, error) {
	h := Hash{HasV1: true}
	var n int
	var err error
	if len(s) == 32 {
		n, err = base32.StdEncoding.Decode(h.V1[:], []byte(strings.ToUpper(s)))
	} else if len(s) == 40 {
		n, err = hex.Decode(h.V1[:], []byte(s))
	}
	if err != nil || n != len(h.V1) {
		return Hash{}, badHash(s)
	}
	return h, nil
}

func parseV2(s string) (Hash, error) {
	h := Hash{HasV2: true}
	if len(s) != 64 {
		return Hash{}, badHash(s)
	}
	if _, err := hex.Decode(h.V2[:], []byte(s)); err != nil {
		return Hash{}, badHash(s)
	}
	return h, nil
}

func badHash(s string) error {
	return &Error{InvalidInfoHash, fmt.Sprintf("%s is not 40 or 64 hex digits or 32 base32 digits", quote(s))}
}
