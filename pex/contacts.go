package pex

import (
	"bytes"
	"net/netip"
	"slices"
	"sort"

	"github.com/shoal-bt/shoal/internal/compact"
)

// contacts is a set of addresses, 6 or 18 bytes for each: there is one or two for every
// connection. Sorted, so that the ports of one IP stand side by side.
type contacts struct{ v4, v6 []byte }

func (c *contacts) len() int { return len(c.v4)/size4 + len(c.v6)/size6 }

// half returns the records of an address's family, and their size.
func (c *contacts) half(a netip.AddrPort) (b *[]byte, size int) {
	if is4(a) {
		return &c.v4, size4
	}
	return &c.v6, size6
}

// search returns the first record of b that does not stand before key.
func search(b []byte, size int, key []byte) int {
	return sort.Search(len(b)/size, func(i int) bool {
		return bytes.Compare(b[i*size:(i+1)*size], key) >= 0
	})
}

func (c *contacts) find(a netip.AddrPort) (at int, found bool) {
	b, size := c.half(a)
	var buf [size6]byte
	key := compact.Append(buf[:0], a)
	i := search(*b, size, key)
	return i, i < len(*b)/size && bytes.Equal((*b)[i*size:(i+1)*size], key)
}

func (c *contacts) has(a netip.AddrPort) bool {
	_, found := c.find(a)
	return found
}

// hasIP reports whether there is an address with this IP, whatever its port.
func (c *contacts) hasIP(ip netip.Addr) bool {
	first := netip.AddrPortFrom(ip, 0)
	b, size := c.half(first)
	i, _ := c.find(first)
	if i >= len(*b)/size {
		return false
	}
	var buf [size6]byte
	key := compact.Append(buf[:0], first)
	return bytes.Equal((*b)[i*size:(i+1)*size-2], key[:size-2])
}

// add reports whether a was not there.
func (c *contacts) add(a netip.AddrPort) bool {
	i, found := c.find(a)
	if !found {
		var buf [size6]byte
		b, size := c.half(a)
		*b = slices.Insert(*b, i*size, compact.Append(buf[:0], a)...)
	}
	return !found
}

// remove reports whether a was there.
func (c *contacts) remove(a netip.AddrPort) bool {
	i, found := c.find(a)
	if found {
		b, size := c.half(a)
		*b = slices.Delete(*b, i*size, (i+1)*size)
	}
	return found
}

// all calls yield for every address, IPv4 first, until it says no.
func (c *contacts) all(yield func(netip.AddrPort) bool) {
	for b := c.v4; len(b) > 0; b = b[size4:] {
		if !yield(contact(b[:size4])) {
			return
		}
	}
	for b := c.v6; len(b) > 0; b = b[size6:] {
		if !yield(contact(b[:size6])) {
			return
		}
	}
}
