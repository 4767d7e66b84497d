package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// freePort finds a UDP port that nobody has.
func freePort(t *testing.T) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

type heard struct {
	from netip.AddrPort
	text string
}

func openGroup(t *testing.T, n *Net, group netip.AddrPort) (*Multicast, chan heard) {
	t.Helper()
	got := make(chan heard, 100)
	m, err := n.OpenMulticast(group, func(from netip.AddrPort, b []byte) { got <- heard{from, string(b)} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m, got
}

// hears returns the first datagram with this text.
func hears(t *testing.T, got chan heard, text string) heard {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case h := <-got:
			if h.text == text {
				return h
			}
		case <-late:
			t.Fatalf("%q has not come", text)
		}
	}
}

func TestTwoProgramsOfOneMachineHearEachOther(t *testing.T) {
	n := NewNet(NetConfig{})
	for _, group := range []string{"239.255.77.77", "ff15::7777"} {
		g := netip.AddrPortFrom(netip.MustParseAddr(group), freePort(t))
		if g.Addr().Is6() && len(n.multicastIfs(true)) == 0 {
			t.Logf("no IPv6 here: %v", g)
			continue
		}
		t.Run(group, func(t *testing.T) {
			a, atA := openGroup(t, n, g)
			b, atB := openGroup(t, n, g)
			if err := a.Send([]byte("from a")); err != nil {
				t.Fatal(err)
			}
			h := hears(t, atB, "from a")
			hears(t, atA, "from a")
			if !n.IsNeighbour(h.from.Addr()) {
				t.Errorf("%v is no neighbour", h.from)
			}
			if err := b.Send([]byte("from b")); err != nil {
				t.Fatal(err)
			}
			hears(t, atA, "from b")
			b.Close()
			b.Close()
			if err := b.Send([]byte("x")); !errors.Is(err, ErrClosed) {
				t.Errorf("closed, but %v", err)
			}
			if err := a.Send([]byte("again")); err != nil {
				t.Fatal(err)
			}
			hears(t, atA, "again")
		})
	}
}

func TestMulticastIsBoundLikeAllSockets(t *testing.T) {
	lo := netip.MustParseAddr("127.0.0.1")
	n := NewNet(NetConfig{Bind: lo})
	g := netip.AddrPortFrom(netip.MustParseAddr("239.255.77.78"), freePort(t))
	ifs := n.multicastIfs(false)
	if len(ifs) != 1 || ifs[0].addr != lo {
		t.Fatalf("serve: %v", ifs)
	}
	m, got := openGroup(t, n, g)
	if err := m.Send([]byte("here")); err != nil {
		t.Fatal(err)
	}
	if h := hears(t, got, "here"); h.from.Addr() != lo {
		t.Errorf("came from %v", h.from)
	}
	if _, err := n.OpenMulticast(netip.MustParseAddrPort("[ff15::7777]:9"), nil); !errors.Is(err, ErrFamily) {
		t.Errorf("of another family than the address: %v", err)
	}
}

func TestStormIsCutBeforeItIsRead(t *testing.T) {
	n := NewNet(NetConfig{Bind: netip.MustParseAddr("127.0.0.1")})
	g := netip.AddrPortFrom(netip.MustParseAddr("239.255.77.79"), freePort(t))
	seen := make(chan int, 1<<16)
	m, err := n.OpenMulticast(g, func(_ netip.AddrPort, b []byte) { seen <- len(b) })
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), g.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	for i := range 5000 {
		_, _ = fmt.Fprintf(c, "%d", i)
	}
	for len(seen) == 0 {
		time.Sleep(time.Millisecond)
	}
	m.Close()
	if n, most := len(seen), multicastRate*(2+int(time.Since(begin)/time.Second)); n > most {
		t.Errorf("%d of 5,000 were handed on, may be %d", n, most)
	}
}

func TestNeighbours(t *testing.T) {
	n := NewNet(NetConfig{})
	for addr, want := range map[string]bool{
		"192.168.3.4": true, "10.0.0.1": true, "fe80::1": true, "127.0.0.1": true, "fd00::1": true,
		"8.8.8.8": false, "2606:4700::1": false, "::ffff:192.168.0.1": true,
	} {
		if got := n.IsNeighbour(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
