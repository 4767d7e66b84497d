package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/wire"
)

const (
	// maxClientName bytes of BEP 10's v are kept.
	maxClientName = 64
	// maxExtTokens bounds what an extension handshake may hold.
	maxExtTokens = 2000
)

// extendedHandshake is our side of BEP 10's handshake. Keys are sorted.
func (p *peer) extendedHandshake() []byte {
	b := append(make([]byte, 0, 128), 'd')
	// "m: Dictionary of supported extension messages": none yet.
	b = append(bencode.AppendString(b, "m"), "de"...)
	if p.cfg.port != 0 {
		// "p: Local TCP listen port."
		b = bencode.AppendInt(bencode.AppendString(b, "p"), int64(p.cfg.port))
	}
	// "reqq: An integer, the number of outstanding request messages this client
	// supports without dropping any."
	b = bencode.AppendInt(bencode.AppendString(b, "reqq"), requestsIn)
	if p.cfg.uploadOnly || p.ours.set.full() {
		// BEP 21: we want nothing, whatever the bitfield says.
		b = bencode.AppendInt(bencode.AppendString(b, "upload_only"), 1)
	}
	if p.cfg.version != "" {
		b = bencode.AppendString(bencode.AppendString(b, "v"), p.cfg.version)
	}
	if ip := p.link.Info().Remote.Addr(); ip.IsValid() {
		// "yourip: A string containing the compact representation of the ip address
		// this peer sees you as."
		b = bencode.AppendString(bencode.AppendString(b, "yourip"), compactIP(ip))
	}
	return append(b, 'e')
}

func compactIP(ip netip.Addr) []byte { return ip.Unmap().AsSlice() }

// onExtended takes an extended message. We have offered no ids but the handshake's,
// so others are nobody's and ignored.
func (p *peer) onExtended(m *wire.Message) error {
	if m.ExtendedID() != 0 {
		return nil
	}
	o := bencode.Options{Limits: bencode.Limits{Size: len(m.Payload), Depth: 10, Tokens: maxExtTokens}}
	v, _, err := bencode.ParsePrefix(m.Payload, o)
	if err != nil {
		return p.ended(faultProtocol, err, "extension handshake")
	}
	// "It is valid to send the handshake message more than once during the lifetime of
	// a connection": what it does not mention stays as it was.
	for k, v := range v.Dict() {
		switch string(k) {
		case "p":
			if n, ok := v.Int(); ok && n > 0 && n < 1<<16 {
				p.remote.listen = uint16(n)
			}
		case "reqq":
			if n, ok := v.Int(); ok && n > 0 {
				p.remote.reqq = int32(min(n, requestsOut))
			}
		case "upload_only":
			n, _ := v.Int()
			p.remote.uploadOnly = n != 0
		case "v":
			name := v.Text()
			p.remote.client = name[:min(len(name), maxClientName)]
		}
	}
	return nil
}
