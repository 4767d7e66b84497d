package engine

import "github.com/shoal-bt/shoal/wire"

// maxPorts of a remote's PORT messages are passed on: its node may move, but not often.
const maxPorts = 4

// reserved are the extensions that our handshake offers.
func (p *peer) reserved() wire.Reserved {
	f := wire.FlagFast | wire.FlagExtension
	if p.cfg.dhtPort != 0 {
		// BEP 5: "Peers supporting the DHT set the last bit of the 8-byte reserved flags".
		f |= wire.FlagDHT
	}
	return f
}

// sayPort tells the remote where our node of the DHT listens, once each port. BEP 5:
// "Peer receiving a handshake indicating the remote peer supports the DHT should send a
// PORT message."
func (p *peer) sayPort() {
	if p.phase == peerLive && p.ours.greeted && p.remote.dht && p.cfg.dhtPort != p.ours.port {
		if p.ours.port = p.cfg.dhtPort; p.ours.port != 0 {
			p.send(wire.PortMessage(p.ours.port))
		}
	}
}

// onPort takes the port of the remote's node, if we have one that could ask it.
func (p *peer) onPort(m *wire.Message) {
	if port := m.Port(); port != 0 && p.cfg.dhtPort != 0 && port != p.remote.port && p.remote.ports < maxPorts {
		p.remote.port = port
		p.remote.ports++
		p.report().dhtPort = port
	}
}
