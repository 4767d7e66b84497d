package wire

import (
	"crypto/sha1"
	"encoding/binary"
	"slices"
)

// AllowedFastCount is the size of the allowed-fast set that we hand out (BEP 6: "We
// currently set k to 10, but peers are free to change this number").
const AllowedFastCount = 10

// AllowedFastSet computes the k pieces that a peer at ip may request while choked,
// in the order of BEP 6, "so that if two peers offer k pieces fast it will be the
// same k". ip is the address at which we see the peer. With k or fewer pieces the
// set is all of them. "We currently have no provisions for IPv6."
func AllowedFastSet(ip [4]byte, infoHash [20]byte, pieces int32, k int) []int32 {
	if pieces <= 0 || k <= 0 {
		return nil
	}
	if int64(k) >= int64(pieces) {
		return allPieces(pieces)
	}
	// "x = 0xFFFFFF00 & ip", "x.append(infohash)": "to prevent a user that obtains
	// more than one IP address on the same network from obtaining more than one
	// allowed fast set".
	x := append([]byte{ip[0], ip[1], ip[2], 0}, infoHash[:]...)
	set := make([]int32, 0, k)
	for {
		// "while |a| < k: x = SHA1(x)"
		sum := sha1.Sum(x)
		x = append(x[:0], sum[:]...)
		for i := 0; i < len(sum); i += 4 {
			// "y = x[j:j+4]", "index = y % sz", "if index not in a: add index to a"
			p := int32(binary.BigEndian.Uint32(sum[i:]) % uint32(pieces))
			if slices.Contains(set, p) {
				continue
			}
			if set = append(set, p); len(set) == k {
				return set
			}
		}
	}
}

func allPieces(n int32) []int32 {
	set := make([]int32, n)
	for i := range set {
		set[i] = int32(i)
	}
	return set
}
