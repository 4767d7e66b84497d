package dht

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// randomAddr is a public IPv4 address and port.
func randomAddr(rnd *rand.Rand) netip.AddrPort {
	for {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], rnd.Uint32())
		a := netip.AddrPortFrom(netip.AddrFrom4(b), uint16(1+rnd.IntN(65535)))
		if usable(a) && !ipclass.IsLocal(a.Addr()) {
			return a
		}
	}
}
