package dht

import (
	"crypto/sha1"
	"math"
	"math/bits"
	"net/netip"
)

// Bloom is the filter of BEP 33: a set of addresses that nodes can add up. k = 2
// bits of m = 2048 per address.
type Bloom [256]byte

// bloomBits is m of BEP 33.
const bloomBits = 8 * len(Bloom{})

// Insert adds an address. "Only IP addresses (v4 or v6) may be inserted into the bloom
// filters. Port numbers or host names are not allowed."
func (f *Bloom) Insert(ip netip.Addr) {
	i, j := bloomIndexes(ip)
	f[i/8] |= 1 << (i % 8)
	f[j/8] |= 1 << (j % 8)
}

// Contains reports whether the address may have been inserted.
func (f *Bloom) Contains(ip netip.Addr) bool {
	i, j := bloomIndexes(ip)
	return f[i/8]&(1<<(i%8)) != 0 && f[j/8]&(1<<(j%8)) != 0
}

func bloomIndexes(ip netip.Addr) (i, j int) {
	var hash [sha1.Size]byte
	if ip = ip.Unmap(); ip.Is4() {
		b := ip.As4()
		hash = sha1.Sum(b[:])
	} else {
		b := ip.As16()
		hash = sha1.Sum(b[:])
	}
	return (int(hash[0]) | int(hash[1])<<8) % bloomBits, (int(hash[2]) | int(hash[3])<<8) % bloomBits
}

// Union adds all of another filter's addresses.
func (f *Bloom) Union(g *Bloom) {
	for i := range f {
		f[i] |= g[i]
	}
}

// Zeros is the number of bits that are not set.
func (f *Bloom) Zeros() int {
	n := bloomBits
	for _, b := range f {
		n -= bits.OnesCount8(b)
	}
	return n
}

// Estimate is how many addresses were inserted, roughly; BEP 33, "Calculating the
// estimate". Near 6000 it breaks down.
func (f *Bloom) Estimate() float64 {
	const m = float64(bloomBits)
	c := float64(min(bloomBits-1, f.Zeros()))
	// A full filter would be infinitely many: one zero bit is the most it can tell.
	c = max(c, 1)
	return math.Log(c/m) / (2 * math.Log(1-1/m))
}
