//pump: connects and resolves for the tracker client.

package engine

import (
	"context"
	"net"
	"net/netip"

	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
)

// trackerNet opens the tracker client's sockets through the one factory.
type trackerNet struct{ *transport.Net }

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

// ListenPacket implements tracker.Network.
func (n trackerNet) ListenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	return n.Net.ListenPacket(ctx, network, ":0")
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
