package swarm

import (
	"math/rand/v2"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
)

// router adds a host with a node of the DHT and nothing else: by such ones others find
// their way into it.
func (s *Swarm) router() {
	h := s.Net.Host(sim.HostConfig{})
	addr := netip.AddrPortFrom(h.Addr(), nodePort)
	id := dht.SecureID(h.Addr(), rand.New(rand.NewPCG(s.cfg.Seed, uint64(len(s.routers)))))
	known := append([]string(nil), s.routers...)
	h.OpenDatagrams(addr, actor.FuncRef(func(o transport.Opened) {
		node := dht.New(dht.Config{Socket: o.Socket, Family: dht.IPv4, ID: id, ExternalIP: h.Addr(), Bootstrap: known})
		child := actor.Root(s.World, dht.Spec(1), node, func(actor.Exit) { o.Socket.Close() })
		o.Socket.Route(transport.PacketDHT, actor.Adapt(child.Ref, func(p *transport.Packet) dht.Message {
			return dht.Received{From: p.From, Data: p.Data, Buffer: p}
		}))
		s.stopRouters = append(s.stopRouters, func() { child.Stop(nil) })
	}))
	s.routers = append(s.routers, addr.String())
}
