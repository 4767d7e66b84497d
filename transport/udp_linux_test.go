package transport

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlMessage is what the system writes for one.
func controlMessage(level, kind int32, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	var h unix.Cmsghdr
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(&h)), unix.SizeofCmsghdr))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func segmentMessage(n uint32) []byte {
	return controlMessage(unix.SOL_UDP, unix.UDP_GRO, binary.NativeEndian.AppendUint32(nil, n))
}

func TestSegmentSize(t *testing.T) {
	stamp := controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16))
	for _, c := range []struct {
		name    string
		control []byte
		want    int
	}{
		{"none", nil, 0},
		{"a train", segmentMessage(1400), 1400},
		{"after another", append(bytes.Clone(stamp), segmentMessage(1400)...), 1400},
		{"another", stamp, 0},
		{"cut", segmentMessage(1400)[:unix.CmsgLen(2)], 0},
		{"no number", controlMessage(unix.SOL_UDP, unix.UDP_GRO, nil), 0},
		{"absurd", segmentMessage(1 << 31), longTrain},
		{"half a header", make([]byte, unix.SizeofCmsghdr-1), 0},
		{"length 0", make([]byte, 64), 0},
	} {
		if got := segmentSize(c.control); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzSegmentSize(f *testing.F) {
	f.Add([]byte{})
	f.Add(segmentMessage(1400))
	f.Add(append(segmentMessage(0), segmentMessage(1)...))
	f.Add(controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := segmentSize(b); n < 0 || n > longTrain {
			t.Errorf("%d bytes", n)
		}
	})
}

// hasTrains reports whether this kernel cuts and joins trains, as those since 5.0 do.
func hasTrains(t testing.TB, s *socket) bool {
	t.Helper()
	rc, err := s.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	_ = rc.Control(func(fd uintptr) { _, failed = unix.GetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO) })
	if failed != nil {
		t.Logf("no trains: %v", failed)
	}
	return failed == nil
}

// TestTrainsAreOneMessage: over loopback a train stays together on its way.
func TestTrainsAreOneMessage(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	b.takesTrains(PacketUTP)
	for _, datagrams := range []int{5, 40} { // copied, and handed over
		train := utpTrain(datagrams*1400-400, 1400)
		if _, err := a.SendTrain(b.Addr(), train, 1400); err != nil {
			t.Fatal(err)
		}
		got, packets := b.gathers(t, PacketUTP, datagrams)
		wantDatagrams(t, got, cut(train, 1400))
		if want := 1; hasTrains(t, b) && packets != want {
			t.Errorf("%d datagrams came in %d packets, want %d", datagrams, packets, want)
		}
	}
}

// TestTrainsThatTheSystemRefuses go as single datagrams, and for a while all do. A
// socket that makes no checksums can't send any.
func TestTrainsThatTheSystemRefuses(t *testing.T) {
	n := NewNet(NetConfig{})
	a, b := openSocket(t, n, "127.0.0.1:0"), openSocket(t, n, "127.0.0.1:0")
	b.takesTrains(PacketUTP)
	rc, err := a.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	set := func(noChecksums int) {
		_ = rc.Control(func(fd uintptr) {
			if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, noChecksums); err != nil {
				t.Error(err)
			}
		})
	}
	train := utpTrain(10*1000, 1000)
	say := func(wantPackets int) {
		t.Helper()
		a.passes(t, b, nil, 0)
		if sent, err := a.SendTrain(b.Addr(), train, 1000); sent != len(train) || err != nil {
			t.Fatalf("sent %d: %v", sent, err)
		}
		got, packets := b.gathers(t, PacketUTP, 10)
		wantDatagrams(t, got, cut(train, 1000))
		if hasTrains(t, b) && packets != wantPackets {
			t.Errorf("10 datagrams came in %d packets, want %d", packets, wantPackets)
		}
	}
	say(1)
	set(1)
	say(10)
	set(0)
	say(10)
	a.out.seg.single = 1
	say(1)
}

// TestTooBigIsNoFaultOfTrains: kernels that answer EINVAL to trains of too large
// datagrams are not taken for ones without trains.
func TestTooBigIsNoFaultOfTrains(t *testing.T) {
	n := NewNet(NetConfig{})
	a := openSocket(t, n, "127.0.0.1:0")
	_, _ = a.SendTrain(a.Addr(), make([]byte, 200_000), 65_508)
	_, _ = a.SendTrain(a.Addr(), make([]byte, 2000), 1000)
	if a.out.seg.single != 0 {
		t.Errorf("%d trains are sent one by one", a.out.seg.single)
	}
}

func TestSocketsDoNotFragment(t *testing.T) {
	n := NewNet(NetConfig{})
	for at, o := range map[string][3]int{
		"127.0.0.1:0": {unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		"[::1]:0":     {unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
	} {
		rc, err := openSocket(t, n, at).conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = rc.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptInt(int(fd), o[0], o[1]); got != o[2] || err != nil {
				t.Errorf("%s: %d, %v", at, got, err)
			}
		})
	}
}

// maxIdleSocket is what an idle socket may hold in the heap, bytes; its goroutine's
// stack and the system's part come on top. It has about 1,000. The last of those that
// were busy may not have come to rest, with half a megabyte.
const maxIdleSocket = 8 << 10

func TestIdleSocketsHoldNothingToReadInto(t *testing.T) {
	if raceEnabled {
		return // the race detector has costs of its own
	}
	n := NewNet(NetConfig{})
	heap := func() int64 {
		runtime.GC()
		runtime.GC() // pools keep things for one collection
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const sockets = 200
	var all []*udp
	for range sockets {
		s, err := tryOpen(n, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.heard[PacketUTP] = make(chan *Packet, 4)
		s.takesTrains(PacketUTP)
		s.passes(t, s, utpTrain(40*1400, 1400), 1400) // it has been busy
		all = append(all, s.udp)
	}
	each := (heap() - before) / sockets
	t.Logf("%d bytes each", each)
	if each > maxIdleSocket {
		t.Errorf("an idle socket holds %d bytes, want at most %d", each, maxIdleSocket)
	}
	runtime.KeepAlive(all)
}

// TestSourceOfAMessage reads what the system writes for one.
func TestSourceOfAMessage(t *testing.T) {
	address := func(family uint16, rest ...byte) []byte {
		return append(binary.NativeEndian.AppendUint16(nil, family), rest...)
	}
	six := func(ip string, scope uint32) []byte {
		a := netip.MustParseAddr(ip).As16()
		b := append(address(unix.AF_INET6, 0x1a, 0xe1, 0, 0, 0, 9), a[:]...)
		return binary.NativeEndian.AppendUint32(b, scope)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	r := &intake{}
	for range 2 { // names of interfaces are remembered
		for _, c := range []struct {
			name string
			b    []byte
			want string
		}{
			{"IPv4", address(unix.AF_INET, 0x1a, 0xe1, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0), "1.2.3.4:6881"},
			{"IPv6", six("2001:db8::1", 0), "[2001:db8::1]:6881"},
			{"IPv4 in IPv6", six("::ffff:1.2.3.4", 0), "1.2.3.4:6881"},
			{"link-local", six("fe80::1", uint32(lo.Index)), "[fe80::1%lo]:6881"},
			{"by an interface that has gone", six("fe80::1", 1<<30), "[fe80::1%1073741824]:6881"},
			{"of no family", make([]byte, unix.SizeofSockaddrInet6), ""},
			{"short", six("2001:db8::1", 0)[:20], ""},
			{"nothing", nil, ""},
		} {
			got, ok := r.source(c.b)
			if ok != (c.want != "") || ok && got != netip.MustParseAddrPort(c.want) {
				t.Errorf("%s: %v, %v, want %s", c.name, got, ok, c.want)
			}
		}
	}
	for i := range uint32(3 * maxZones) {
		r.source(six("fe80::1", 1<<20+i))
	}
	if len(r.zones) > maxZones {
		t.Errorf("%d interfaces are remembered", len(r.zones))
	}
}
