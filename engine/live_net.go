//pump: connects and resolves for the tracker client.

package engine

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
)

// trackerNet opens the tracker client's sockets through the one factory.
type trackerNet struct {
	*transport.Net
	shared transport.Opener // of the sockets that uTP and the DHT have
	port   *atomic.Uint32   // theirs; 0 while it is not known
}

// loneTrackerNet is for a tracker client without an engine.
func loneTrackerNet() trackerNet {
	n := transport.NewNet(transport.NetConfig{})
	return trackerNet{n, n, new(atomic.Uint32)}
}

// originOf says what the dial policy needs to know of where a tracker's URL is from.
func originOf(o tracker.Origin) transport.Origin {
	switch o {
	case tracker.FromUser:
		return transport.FromUser
	case tracker.FromRedirect:
		return transport.FromTracker
	}
	return transport.FromTorrent
}

// Dial implements tracker.Network.
func (n trackerNet) Dial(ctx context.Context, network, addr string, from tracker.Origin) (net.Conn, error) {
	return n.DialContext(ctx, network, addr, originOf(from))
}

// ListenPacket implements tracker.Network: by the socket that the engine has at its
// port for peers, if that is open at all addresses, or can be opened; else by another.
func (n trackerNet) ListenPacket(_ context.Context, network string) (net.PacketConn, error) {
	ip := netip.IPv4Unspecified()
	if network == "udp6" {
		ip = netip.IPv6Unspecified()
	}
	port := uint16(n.port.Load())
	o := n.open(netip.AddrPortFrom(ip, port))
	if o.Err != nil && port != 0 {
		o = n.open(netip.AddrPortFrom(ip, 0))
	}
	if o.Err != nil {
		return nil, o.Err
	}
	return transport.NewPacketConn(o.Socket, transport.PacketOther), nil
}

func (n trackerNet) open(addr netip.AddrPort) transport.Opened {
	answer := make(chan transport.Opened, 1)
	n.shared.OpenDatagrams(addr, actor.FuncRef(func(o transport.Opened) { answer <- o }))
	return <-answer
}

// Resolve implements tracker.Network.
func (n trackerNet) Resolve(ctx context.Context, host string, from tracker.Origin) ([]netip.Addr, error) {
	found, err := n.Net.Resolve(ctx, "ip", net.JoinHostPort(host, "6969"), originOf(from))
	if err != nil {
		return nil, err
	}
	out := make([]netip.Addr, len(found))
	for i, a := range found {
		out[i] = a.Addr()
	}
	return out, nil
}
