package transport

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

func TestBoundSocketsLeaveFromTheirAddress(t *testing.T) {
	ctx := context.Background()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := NewNet(NetConfig{Bind: netip.MustParseAddr("127.0.0.7")})
	for name, dial := range map[string]func() (net.Conn, error){
		"DialContext": func() (net.Conn, error) { return n.DialContext(ctx, "tcp", l.Addr().String(), FromUser) },
		"Dialer":      func() (net.Conn, error) { return n.Dialer(FromUser)(ctx, "tcp", l.Addr().String()) },
	} {
		c, err := dial()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := addrPortOf(c.LocalAddr()).Addr(); got != netip.MustParseAddr("127.0.0.7") {
			t.Errorf("%s left from %v", name, got)
		}
		c.Close()
	}
	p, err := n.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := netip.MustParseAddrPort(p.LocalAddr().String()).Addr(); got != netip.MustParseAddr("127.0.0.7") {
		t.Errorf("datagrams leave from %v", got)
	}
}

func TestBoundSocketsDoNotLeaveByTheOtherFamily(t *testing.T) {
	n := NewNet(NetConfig{Bind: netip.MustParseAddr("127.0.0.1")})
	if c, err := n.DialContext(context.Background(), "tcp", "[::1]:9", FromUser); err == nil {
		c.Close()
		t.Error("a socket bound to IPv4 reached an IPv6 address")
	}
	if p, err := n.ListenPacket(context.Background(), "udp6", ":0"); err == nil {
		p.Close()
		t.Error("a UDP socket was opened beside the bound address")
	}
}
