package tracker

import (
	"net/netip"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/internal/compact"
)

// peerList collects the peers of one answer, within MaxPeers.
type peerList []netip.AddrPort

// add takes one peer unless nobody can be there.
func (l *peerList) add(a netip.Addr, port uint16) {
	a = a.Unmap().WithZone("")
	if port == 0 || !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || len(*l) >= MaxPeers {
		return
	}
	if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return
	}
	*l = append(*l, netip.AddrPortFrom(a, port))
}

// compact4 reads BEP 23's "peers". Bytes that are no whole peer are ignored.
func (l *peerList) compact4(b []byte) { l.compact(b, compact.Size4) }

// compact6 reads BEP 7's "peers6".
func (l *peerList) compact6(b []byte) { l.compact(b, compact.Size6) }

func (l *peerList) compact(b []byte, size int) {
	for ; len(b) >= size; b = b[size:] {
		if a, ok := compact.Parse(b[:size]); ok {
			l.add(a.Addr(), a.Port())
		}
	}
}

// dictionaries reads BEP 3: "a list of dictionaries corresponding to peers, each of
// which contains the keys peer id, ip, and port". BEP 3 allows names in place of
// addresses; nobody sends them, and a stranger shall not choose what we resolve.
func (l *peerList) dictionaries(v bencode.Value) {
	for p := range v.List() {
		if len(*l) >= MaxPeers {
			return
		}
		port, ok := p.Get("port").Int()
		a, err := netip.ParseAddr(p.Get("ip").Text())
		if ok && err == nil && port > 0 && port < 1<<16 {
			l.add(a, uint16(port))
		}
	}
}

// value reads "peers" in either of its forms.
func (l *peerList) value(v bencode.Value) {
	if b, ok := v.Bytes(); ok {
		l.compact4(b)
		return
	}
	l.dictionaries(v)
}
