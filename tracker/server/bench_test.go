package server

import (
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

// crowd fills a store with torrents of peers each.
func crowd(b *testing.B, torrents, peers int) (*Server, [][20]byte) {
	b.Helper()
	s := &Server{cfg: Config{Logger: slog.New(slog.DiscardHandler)}.withDefaults()}
	s.store = newStore(&s.cfg)
	hashes := make([][20]byte, torrents)
	var out answer
	for i := range hashes {
		binary.BigEndian.PutUint64(hashes[i][:], rand.Uint64())
		for p := range peers {
			r := &announce{hash: hashes[i], left: int64(p % 3), key: 1, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(p >> 16), byte(p >> 8), byte(p)}), 6881)}
			binary.BigEndian.PutUint64(r.peer[:], uint64(p))
			if err := s.store.announce(r, &out, 1); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ResetTimer()
	return s, hashes
}

// BenchmarkStore is the work behind an announce, of known peers in many torrents.
func BenchmarkStore(b *testing.B) {
	s, hashes := crowd(b, 10_000, 50)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var out answer
		rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
		for pb.Next() {
			p := rng.IntN(50)
			r := announce{hash: hashes[rng.IntN(len(hashes))], left: int64(p % 3), key: 1, want: 50, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(p)}), 6881)}
			binary.BigEndian.PutUint64(r.peer[:], uint64(p))
			_ = s.store.announce(&r, &out, 2)
		}
	})
	perSecond(b)
}

// BenchmarkOneSwarm is the worst case for locks: everybody in one large torrent.
func BenchmarkOneSwarm(b *testing.B) {
	s, hashes := crowd(b, 1, 50_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var out answer
		rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
		for pb.Next() {
			p := rng.IntN(50_000)
			r := announce{hash: hashes[0], left: int64(p % 3), key: 1, want: 50, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(p >> 16), byte(p >> 8), byte(p)}), 6881)}
			binary.BigEndian.PutUint64(r.peer[:], uint64(p))
			_ = s.store.announce(&r, &out, 2)
		}
	})
	perSecond(b)
}

// BenchmarkUDPPacket is an announce from packet to packet, without the sockets.
func BenchmarkUDPPacket(b *testing.B) {
	s, hashes := crowd(b, 10_000, 50)
	key := newCookieKey()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		u := &udpWorker{s: s, cookies: newCookies(key)}
		rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
		p := udpAnnounce()
		for pb.Next() {
			peer := rng.IntN(50)
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(peer)}), 5)
			binary.BigEndian.PutUint64(p[36:], uint64(peer))
			binary.BigEndian.PutUint64(p, u.cookies.issue(from.Addr(), 2))
			copy(p[16:], hashes[rng.IntN(len(hashes))][:])
			if len(u.handle(p, from, 2)) < 20 {
				b.Error("refused")
			}
		}
	})
	perSecond(b)
}

func udpAnnounce() []byte {
	p := make([]byte, announceSize)
	p[11] = actionAnnounce
	p[91] = 1                                        // key
	binary.BigEndian.PutUint32(p[92:], 0xffffffff)   // num_want
	binary.BigEndian.PutUint16(p[96:], 6881)         // port
	binary.BigEndian.PutUint64(p[64:], uint64(1000)) // left
	return p
}

// BenchmarkUDP and BenchmarkHTTP go through loopback sockets; their clients run in
// the same process, on the same cores.
func BenchmarkUDP(b *testing.B) {
	s, err := Listen(b.Context(), "127.0.0.1:0", Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var n atomic.Uint32
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("udp", s.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		in := make([]byte, 2000)
		_, _ = c.Write([]byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd"))
		_, _ = c.Read(in)
		p := udpAnnounce()
		copy(p, in[8:16])
		binary.BigEndian.PutUint32(p[36:], n.Add(1))
		for pb.Next() {
			if _, err := c.Write(p); err != nil {
				b.Error(err)
			}
			if n, err := c.Read(in); err != nil || n < 20 {
				b.Error(n, err)
			}
		}
	})
	perSecond(b)
}

func BenchmarkHTTP(b *testing.B) {
	s, err := Listen(b.Context(), "127.0.0.1:0", Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	url := "http://" + s.Addr().String() + "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6881&left=1"
	t := &http.Transport{MaxIdleConnsPerHost: 64}
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := c.Get(url)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	})
	perSecond(b)
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "announces/s")
}
