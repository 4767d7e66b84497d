package dht

import (
	"net/netip"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/internal/compact"
)

// Readers of single values. What is not as it should be is as good as absent.

// contacts reads compact node info: ids, each with an address of ipLen bytes and a
// port. A torn end is left out, as are addresses that cannot be, and what exceeds most
// in all.
func contacts(dst []Contact, v bencode.Value, ipLen, most int) []Contact {
	b, _ := v.Bytes()
	for one := IDLen + ipLen + 2; len(b) >= one && len(dst) < most; b = b[one:] {
		if a, ok := compact.Parse(b[IDLen:one]); ok && usable(a) && a.Addr().BitLen() == 8*ipLen {
			dst = append(dst, Contact{ID(b), a})
		}
	}
	return dst
}

// peers reads a list of compact addresses, of either family.
func peers(dst []netip.AddrPort, list bencode.Value) []netip.AddrPort {
	for v := range list.List() {
		b, _ := v.Bytes()
		if a, ok := compact.Parse(b); ok && usable(a) && len(dst) < MaxValues {
			dst = append(dst, a)
		}
	}
	return dst
}

// seenAs reads "ip" of BEP 42; some nodes leave out the port.
func seenAs(v bencode.Value) netip.AddrPort {
	b, _ := v.Bytes()
	if a, ok := compact.Parse(b); ok {
		return a
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), 0)
}

func wants(list bencode.Value) (w Want) {
	for v := range list.List() {
		switch b, _ := v.Bytes(); string(b) {
		case "n4":
			w |= WantN4
		case "n6":
			w |= WantN6
		}
	}
	return w
}

func bloomOf(v bencode.Value) *Bloom {
	if b := exactly(v, len(Bloom{})); b != nil {
		return (*Bloom)(b)
	}
	return nil
}

// exactly is a string of n bytes, else nil.
func exactly(v bencode.Value, n int) []byte {
	if b, ok := v.Bytes(); ok && len(b) == n {
		return b
	}
	return nil
}

// short is a string of at most n bytes, else nil.
func short(v bencode.Value, n int) []byte {
	if b, ok := v.Bytes(); ok && len(b) <= n {
		return b
	}
	return nil
}

// cut is the first n bytes of a string.
func cut(v bencode.Value, n int) []byte {
	b, _ := v.Bytes()
	return b[:min(n, len(b)):min(n, len(b))]
}

func natural(v bencode.Value) int64 {
	n, _ := v.Int()
	return max(n, 0)
}

// one is the value that switches something on. BEP 33: "if no seed key was present or
// the value was not 1 then it should assume that the announcing node is a peer".
func one(v bencode.Value) bool { n, ok := v.Int(); return ok && n == 1 }

// nonzero is BEP 5's: "If it is present and non-zero".
func nonzero(v bencode.Value) bool { n, ok := v.Int(); return ok && n != 0 }
