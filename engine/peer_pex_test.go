package engine

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/wire"
)

// exchanging is a livePeer with which ut_pex may be used; the remote takes it as id 7.
func exchanging(t *testing.T, change ...func(*peerConfig)) *testPeer {
	t.Helper()
	tp := livePeer(t, ltep, append(change, func(cfg *peerConfig) { cfg.pex = true })...)
	tp.recv(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtPEX, ID: 7}}}))
	tp.forget()
	return tp
}

// pexAdds is a ut_pex message, under our id for it.
func pexAdds(addrs ...string) wire.Message {
	var m pex.Message
	for _, a := range addrs {
		m.Added = append(m.Added, pex.Peer{Addr: netip.MustParseAddrPort(a)})
	}
	return wire.ExtendedMessage(extPEX, m.Append(nil))
}

func (tp *testPeer) heardOf() (out []string) {
	tp.t.Helper()
	for _, p := range tp.heard().pex {
		out = append(out, p.Addr.String())
	}
	return out
}

func TestPeerPassesOnWhatItHears(t *testing.T) {
	tp := exchanging(t)
	tp.recv(pexAdds("45.1.1.1:6881", "10.0.0.7:1", "127.0.0.1:1", "[2a00::1]:6881"))
	// The remote is at 10.0.0.9: it may know its network, but not our machine.
	if got := tp.heardOf(); !slices.Equal(got, []string{"45.1.1.1:6881", "10.0.0.7:1", "[2a00::1]:6881"}) {
		t.Errorf("%v", got)
	}
	tp.recv(pexAdds("45.1.1.1:6881", "45.1.1.1:6882"))
	tp.wantIdle("nothing new")
	far := exchanging(t, func(cfg *peerConfig) { cfg.addr = netip.MustParseAddrPort("45.9.9.9:1") })
	far.recv(pexAdds("45.1.1.1:6881", "10.0.0.7:1", "169.254.169.254:80", "[::ffff:127.0.0.1]:1"))
	if got := far.heardOf(); !slices.Equal(got, []string{"45.1.1.1:6881"}) {
		t.Errorf("%v", got)
	}
}

func TestPeerTellsUnderTheRemotesID(t *testing.T) {
	tp := exchanging(t)
	tp.child.Ref.Tell(tellPEX{[]byte("de")})
	tp.want("", "extended 7")
	tp.recv(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtPEX, ID: 0}}}))
	tp.child.Ref.Tell(tellPEX{[]byte("de")})
	tp.want("it does not want to hear of others any more")
}

func TestPeerWithoutExchange(t *testing.T) {
	tp := livePeer(t, ltep)
	tp.recv(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtPEX, ID: 7}}}))
	tp.forget()
	tp.child.Ref.Tell(tellPEX{[]byte("de")})
	for range 100 { // we have not asked for these, so they are nobody's
		tp.recv(pexAdds("45.1.1.1:6881"))
	}
	tp.wantIdle("not offered")
	late := exchanging(t)
	late.notify(pexAllowed{false})
	late.forget()
	late.child.Ref.Tell(tellPEX{[]byte("de")})
	late.recv(pexAdds("45.1.1.1:6881"))
	late.wantIdle("no longer offered")
}

func TestPeerEndsFloods(t *testing.T) {
	tp := exchanging(t)
	for range 6 {
		tp.recv(pexAdds("45.1.1.1:6881"))
		tp.pass(9 * time.Second)
	}
	tp.alive("six in a minute")
	tp.recv(pexAdds())
	tp.wantGone(faultProtocol, "more than 6 messages")

	large := exchanging(t)
	large.recv(wire.ExtendedMessage(extPEX, []byte(strings.Repeat("x", pex.MaxMessage+1))))
	large.wantGone(faultProtocol, "more than 32768 bytes")

	odd := exchanging(t)
	odd.recv(wire.ExtendedMessage(extPEX, []byte("le")))
	odd.wantGone(faultProtocol, "not a dictionary")
}
