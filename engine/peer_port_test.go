package engine

import (
	"testing"

	"github.com/shoal-bt/shoal/wire"
)

func withNode(cfg *peerConfig) { cfg.dhtPort = 6881 }

func TestNodesAreTold(t *testing.T) {
	tp := newTestPeer(t, withNode)
	tp.connect()
	tp.want("offers it", "handshake dht fast extension")
	tp.shake(wire.FlagFast | wire.FlagDHT)
	tp.want("says where", "have-none", "port 6881")
	tp.heard()
	tp.notify(dhtPort{6881})
	tp.wantIdle("it has said so")
	tp.notify(dhtPort{7000})
	tp.want("it has moved", "port 7000")
	tp.notify(dhtPort{0})
	tp.wantIdle("there is none any more")
	tp.recv(wire.PortMessage(5))
	if got := tp.heard(); got.dhtPort != 0 {
		t.Error("a node is of no use to who has none")
	}
}

func TestNodesOfRemotesArePassedOn(t *testing.T) {
	tp := newTestPeer(t, withNode)
	tp.connect()
	tp.shake(wire.FlagFast)
	tp.want("a remote without the DHT is told nothing", "handshake dht fast extension", "have-none")
	n := 0
	for port := range uint16(20) {
		tp.recv(wire.PortMessage(port), wire.PortMessage(port))
		if tp.heard().dhtPort != 0 {
			n++
		}
	}
	if n != maxPorts {
		t.Errorf("%d of 20 were passed on", n)
	}
}

func TestWithoutANodeNothingIsSaidOfIt(t *testing.T) {
	tp := newTestPeer(t)
	tp.connect()
	tp.shake(wire.FlagFast | wire.FlagDHT)
	tp.want("private, or none", "handshake fast extension", "have-none")
}
