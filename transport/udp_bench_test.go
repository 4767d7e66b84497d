//go:build unix

package transport

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/shoal-bt/shoal/actor"
)

// benchWindow is how many bytes may be under way, so that none are lost.
const benchWindow = 1 << 20

// BenchmarkTrains sends datagrams of 1,400 bytes over loopback, one by one or as
// trains of 40, to a plain reader or to a socket of ours. The time, and the CPU time
// of both sides, is that of one datagram.
func BenchmarkTrains(b *testing.B) {
	const segment = 1400
	n := NewNet(NetConfig{})
	for _, by := range []int{1, 8, 40} {
		for _, how := range []string{"plain", "singles", "trains"} {
			b.Run(fmt.Sprintf("send%d/%s", by, how), func(b *testing.B) {
				from := openSocket(b, n, "127.0.0.1:0")
				to, heard := benchReceiver(b, n, how)
				train := utpTrain(by*segment, segment)
				b.SetBytes(segment)
				b.ReportAllocs()
				began, away := cpu(), 0
				b.ResetTimer()
				for sent := 0; sent < b.N; sent += by {
					if k, err := from.SendTrain(to, train, segment); k != len(train) || err != nil {
						b.Fatalf("sent %d: %v", k, err)
					}
					for away += len(train); away > benchWindow; {
						away -= <-heard
					}
				}
				for away > 0 {
					away -= <-heard
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
				b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// benchReceiver opens a socket and says how many bytes each packet has.
func benchReceiver(b *testing.B, n *Net, how string) (netip.AddrPort, <-chan int) {
	heard := make(chan int, 4096)
	if how != "plain" {
		s := openSocket(b, n, "127.0.0.1:0")
		route := s.Route
		if how == "trains" {
			route = s.RouteTrains
		}
		route(PacketUTP, actor.FuncRef(func(p *Packet) {
			bytes := 0
			for d := range p.Datagrams() {
				bytes += len(d)
			}
			p.Release()
			heard <- bytes
		}))
		return s.Addr(), heard
	}
	pc, err := n.ListenPacket(b.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pc.Close() })
	c := pc.(*net.UDPConn)
	setBuffers(c)
	go func() {
		for buf := make([]byte, MaxDatagram); ; {
			k, _, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			heard <- k
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), heard
}
