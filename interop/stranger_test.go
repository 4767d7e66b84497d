package interop

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// stranger is a node of the DHT that does no more than to answer, under an id of the
// test's choice.
type stranger struct {
	conn *net.UDPConn
	id   [20]byte
}

func (s *stage) stranger(at netip.AddrPort, fits bool) *stranger {
	s.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	s.must(err)
	s.Cleanup(func() { conn.Close() })
	x := &stranger{conn: conn}
	_, _ = rand.Read(x.id[:])
	fit := idFor(at.Addr(), x.id[19]&7)
	if !fits {
		fit ^= 0xffffff00 // as far from it as can be
	}
	x.id[0], x.id[1], x.id[2] = byte(fit>>24), byte(fit>>16), x.id[2]&7|byte(fit>>8)&0xf8
	return x
}

// idFor is BEP 42's: crc32c((ip & 0x030f3fff) | (r << 29)).
func idFor(a netip.Addr, r byte) uint32 {
	ip := binary.BigEndian.Uint32(a.AsSlice())&0x030f3fff | uint32(r)<<29
	return crc32.Checksum(binary.BigEndian.AppendUint32(nil, ip), crc32.MakeTable(crc32.Castagnoli))
}

// visit asks a node for a while, answers what it asks, and reports whether the node
// then tells others of us.
func (x *stranger) visit(node netip.AddrPort, d time.Duration) (told bool) {
	buf := make([]byte, 2048)
	at := x.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	me := append(x.id[:], at.Addr().AsSlice()...)
	me = binary.BigEndian.AppendUint16(me, at.Port())
	next := time.Time{}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			q := fmt.Sprintf("d1:ad2:id20:%s6:target20:%se1:q9:find_node1:t2:aa1:y1:qe", x.id[:], x.id[:])
			_, _ = x.conn.WriteToUDPAddrPort([]byte(q), node)
		}
		_ = x.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, from, err := x.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			continue
		}
		b := buf[:n]
		if bytes.Contains(b, []byte("1:y1:r")) {
			if bytes.Contains(b, me) {
				return true
			}
			continue
		}
		if i := bytes.Index(b, []byte("1:t")); i >= 0 { // a query: its transaction's id comes back
			var size int
			if _, err := fmt.Sscanf(string(b[i+3:]), "%d:", &size); err == nil && i+5+size <= n && size < 10 {
				r := fmt.Sprintf("d1:rd2:id20:%s5:nodes0:e1:t%d:%s1:y1:re", x.id[:], size, b[i+5:i+5+size])
				_, _ = x.conn.WriteToUDPAddrPort([]byte(r), from)
			}
		}
	}
	return false
}

// TestFindStrangers: shoal tells nobody of a node whose id does not fit its address, but
// of one whose id does.
func TestFindStrangers(t *testing.T) {
	t.Parallel()
	s := newStage(t, time.Minute)
	at := netip.MustParsePrefix("45.98.98.1/32")
	seg, err := clients.NewSegment(at, netip.MustParsePrefix("45.128.0.0/9"))
	s.must(err)
	h, err := seg.Host(netip.MustParsePrefix("45.129.1.1/32"))
	s.must(err)
	node := h.Port(6881)
	p, err := shoal.DHTServe(s.ctx, filepath.Join(s.dir, "serve"), h, node)
	s.must(err)
	s.Cleanup(p.Kill)
	for _, fits := range []bool{false, true} {
		d := 5 * time.Second
		if fits {
			d = 30 * time.Second
		}
		if told := s.stranger(netip.AddrPortFrom(at.Addr(), 0), fits).visit(node, d); told != fits {
			t.Errorf("it tells of a stranger whose id fits %v: %v", fits, told)
		}
	}
}
