package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/transport"
)

// liveMulticast is the lsd.Opener of the real world.
type liveMulticast struct{ net *transport.Net }

// OpenMulticast implements lsd.Opener.
func (l liveMulticast) OpenMulticast(group netip.AddrPort, to actor.Ref[lsd.Datagram], reply actor.Ref[lsd.Opened]) {
	go func() {
		m, err := l.net.OpenMulticast(group, func(from netip.AddrPort, b []byte) {
			to.Offer(lsd.Datagram{From: from, Data: append([]byte(nil), b...)})
		})
		if err != nil {
			reply.Tell(lsd.Opened{Err: err})
			return
		}
		reply.Tell(lsd.Opened{Socket: m})
	}()
}
