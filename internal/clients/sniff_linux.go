package clients

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Packet is a datagram or a segment of TCP that was on the wire, perhaps an empty one.
type Packet struct {
	At       time.Time // by the kernel's clock
	From, To netip.AddrPort
	UDP      bool
	Flags    byte // of TCP
	Payload  []byte
}

// String says who told whom what, for a test that did not want to see it.
func (p Packet) String() string {
	return fmt.Sprintf("%s %v -> %v %q", p.At.Format("15:04:05.000"), p.From, p.To, p.Payload[:min(len(p.Payload), 200)])
}

// Sniffer sees all packets of the private network and of its segments.
type Sniffer struct {
	fd    int
	keep  func(Packet) bool
	done  chan struct{} // closed to end it
	ended chan struct{}

	mu   sync.Mutex
	seen []Packet
	all  int
}

const soTimestampNS = 35 // SO_TIMESTAMPNS

// Sniff begins to look, and keeps the packets that match.
func Sniff(keep func(Packet) bool) (*Sniffer, error) { return sniff(nil, keep) }

// SniffTCP is Sniff of nothing but TCP between two IPv4 addresses. The kernel sorts the
// others out, so that none is missed for lack of time.
func SniffTCP(a, b netip.Addr, keep func(Packet) bool) (*Sniffer, error) {
	return sniff(between(a, b, syscall.IPPROTO_TCP), keep)
}

// SniffUDP is Sniff of nothing but the UDP between two IPv4 addresses.
func SniffUDP(a, b netip.Addr, keep func(Packet) bool) (*Sniffer, error) {
	return sniff(between(a, b, syscall.IPPROTO_UDP), keep)
}

// between is the kernel's filter for a protocol between two addresses, in Ethernet frames.
func between(a, b netip.Addr, proto uint32) []syscall.SockFilter {
	word := func(x netip.Addr) uint32 { v := x.As4(); return binary.BigEndian.Uint32(v[:]) }
	load := func(size uint16, at uint32) syscall.SockFilter {
		return syscall.SockFilter{Code: syscall.BPF_LD | size | syscall.BPF_ABS, K: at}
	}
	equal := func(k uint32, yes, no uint8) syscall.SockFilter {
		return syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jt: yes, Jf: no, K: k}
	}
	const etherType, ipProto, ipFrom, ipTo = 12, 14 + 9, 14 + 12, 14 + 16
	return []syscall.SockFilter{
		load(syscall.BPF_H, etherType), equal(0x0800, 0, 9),
		load(syscall.BPF_B, ipProto), equal(proto, 0, 7),
		load(syscall.BPF_W, ipFrom), equal(word(a), 0, 2),
		load(syscall.BPF_W, ipTo), equal(word(b), 4, 3),
		equal(word(b), 0, 2), load(syscall.BPF_W, ipTo), equal(word(a), 1, 0),
		{Code: syscall.BPF_RET | syscall.BPF_K},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: 1 << 18},
	}
}

func sniff(filter []syscall.SockFilter, keep func(Packet) bool) (*Sniffer, error) {
	// It hears nothing before it has its filter.
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	tv := syscall.Timeval{Usec: 100_000}
	for _, err := range []error{
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<20),
		syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, soTimestampNS, 1),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv),
	} {
		if err != nil {
			_ = syscall.Close(fd)
			return nil, fmt.Errorf("packet socket: %w", err)
		}
	}
	if filter != nil {
		err = syscall.AttachLsf(fd, filter) //nolint:staticcheck // what is advised instead is another module
	}
	if err == nil {
		const everything = 0x0300 // ETH_P_ALL in network order
		err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: everything})
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, fmt.Errorf("packet filter: %w", err)
	}
	s := &Sniffer{fd: fd, keep: keep, done: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s, nil
}

func (s *Sniffer) run() {
	buf, oob := make([]byte, 1<<17), make([]byte, 256)
	defer close(s.ended)
	defer func() { _ = syscall.Close(s.fd) }()
	var until time.Time // once it is to end: what came later is left
	for {
		if until.IsZero() {
			select {
			case <-s.done:
				until = time.Now()
			default:
			}
		}
		n, m, _, _, err := syscall.Recvmsg(s.fd, buf, oob, 0)
		at := stampOf(oob[:m])
		if !until.IsZero() && (err != nil || at.After(until)) {
			return
		}
		if err != nil {
			continue // nothing came for a while
		}
		p, ok := parsePacket(buf[:n])
		if !ok {
			continue
		}
		p.At = at
		s.mu.Lock()
		s.all++
		if s.keep(p) {
			p.Payload = bytes.Clone(p.Payload)
			s.seen = append(s.seen, p)
		}
		s.mu.Unlock()
	}
}

// Stop ends the looking and returns what was kept of all that was on the wire by now.
func (s *Sniffer) Stop() []Packet {
	close(s.done)
	<-s.ended
	return s.Seen()
}

// Seen returns what was kept so far.
func (s *Sniffer) Seen() []Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Packet(nil), s.seen...)
}

// stampOf is when the kernel saw a packet.
func stampOf(oob []byte) time.Time {
	msgs, err := syscall.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range msgs {
			if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == soTimestampNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// parsePacket takes an Ethernet frame apart.
func parsePacket(b []byte) (p Packet, ok bool) {
	if len(b) < 14 {
		return p, false
	}
	var from, to netip.Addr
	var proto byte
	kind := binary.BigEndian.Uint16(b[12:])
	b = b[14:]
	switch {
	case kind == 0x0800 && len(b) >= 20 && int(b[0]&15)*4 <= len(b):
		from, to, proto = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9]
		b = b[int(b[0]&15)*4 : min(len(b), max(int(binary.BigEndian.Uint16(b[2:])), int(b[0]&15)*4))]
	case kind == 0x86dd && len(b) >= 40:
		from, to, proto = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6]
		b = b[40:]
	default:
		return p, false
	}
	head := 8
	if proto == syscall.IPPROTO_TCP && len(b) >= 20 {
		head, p.Flags = int(b[12]>>4)*4, b[13]
	} else if proto != syscall.IPPROTO_UDP {
		return p, false
	}
	if len(b) < head {
		return p, false
	}
	p.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(b))
	p.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:]))
	p.UDP, p.Payload = proto == syscall.IPPROTO_UDP, b[head:]
	return p, true
}

// The flags of TCP, RFC 9293 section 3.1.
const (
	SYN = 1 << 1
	RST = 1 << 2
	ACK = 1 << 4
)

// Names reports whether a packet names a torrent: by the 20 bytes of its info-hash, or
// in hexadecimal.
func (p Packet) Names(t *Torrent) bool {
	raw, err := hex.DecodeString(t.InfoHash)
	return err == nil && (bytes.Contains(p.Payload, raw) ||
		bytes.Contains(bytes.ToLower(p.Payload), []byte(strings.ToLower(t.InfoHash))))
}

// PEX reports whether a packet has to do with peer exchange, which names no torrent:
// messages, and offers to take them. Taking an offer back, by the number 0, is none.
func (p Packet) PEX() bool {
	offers := bytes.Count(p.Payload, []byte("6:ut_pexi")) - bytes.Count(p.Payload, []byte("6:ut_pexi0e"))
	return !p.UDP && (offers > 0 || bytes.Contains(p.Payload, []byte("5:added")))
}
