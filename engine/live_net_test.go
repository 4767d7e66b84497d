package engine

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// trackerSocket is a UDP tracker that hears, and says nothing.
func trackerSocket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	t.Cleanup(func() { c.Close() })
	check(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	return c
}

// TestTrackersAreAskedFromTheEnginesPort: uTP, the DHT and trackers have one socket, if
// it is open at all addresses that the engine may leave by.
func TestTrackersAreAskedFromTheEnginesPort(t *testing.T) {
	from := t.TempDir()
	meta, _ := files(t, from, 64<<10, map[string]int{"a": 100_000})
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		name string
		cfg  Config
		same bool
	}{
		{"bound to the address", Config{Bind: loopback}, true},
		{"listening at one of many", Config{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := trackerSocket(t)
			e, addr := startEngine(t, c.cfg)
			addTo(t, e, AddOptions{Torrent: meta, Dir: from, Trackers: [][]string{{"udp://" + tr.LocalAddr().String()}}})
			// BEP 15's connect request has 16 bytes.
			b := make([]byte, 100)
			n, asker, err := tr.ReadFromUDPAddrPort(b)
			check(t, err)
			if n != 16 || (asker == addr) != c.same {
				t.Errorf("%d bytes from %v of an engine at %v", n, asker, addr)
			}
		})
	}
}
