package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/clients"
)

// publicAddr is the i-th of addresses of this machine that look public, each in a /24 of
// its own.
func (s *stage) publicAddr(i int) netip.AddrPort {
	s.Helper()
	a := netip.AddrFrom4([4]byte{45, byte(200 + i), byte(3 * i), 1})
	if out, err := exec.Command("ip", "addr", "replace", a.String()+"/32", "dev", "lo").CombinedOutput(); err != nil {
		s.Fatalf("ip addr: %v: %s", err, out)
	}
	return netip.AddrPortFrom(a, 6881)
}

// prober asks nodes one question at a time, from an address of its own, and answers
// theirs: for them it is a node with a certain id.
type prober struct {
	*stage
	id   dht.ID
	addr netip.AddrPort
	sock *net.UDPConn
	in   chan dht.Msg
}

func (s *stage) prober(at netip.AddrPort, id dht.ID) *prober {
	s.Helper()
	sock, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	s.must(err)
	p := &prober{s, id, at, sock, make(chan dht.Msg, 100)}
	s.Cleanup(func() { sock.Close() })
	go p.serve()
	return p
}

// serve answers queries with no knowledge at all.
func (p *prober) serve() {
	buf := make([]byte, 2048)
	for {
		n, from, err := p.sock.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		m, err := dht.Parse(slices.Clone(buf[:n]))
		switch {
		case err != nil:
		case m.Kind == dht.KindQuery:
			ans := dht.Msg{Kind: dht.KindReply, Has: dht.HasID | dht.HasNodes, TID: m.TID, ID: p.id, IP: from, Token: []byte("token")}
			_, _ = p.sock.WriteToUDPAddrPort(ans.Append(nil), from)
		default:
			p.in <- m
		}
	}
}

// near asks a node for those near a target.
func (p *prober) near(to netip.AddrPort, target dht.ID) (out []netip.AddrPort) {
	q := dht.Msg{Kind: dht.KindQuery, Method: dht.MethodFindNode, Has: dht.HasID | dht.HasTarget, TID: []byte("tt"), ID: p.id, Target: target}
	_, err := p.sock.WriteToUDPAddrPort(q.Append(nil), to)
	p.must(err)
	select {
	case m := <-p.in:
		for _, c := range m.Nodes {
			out = append(out, c.Addr)
		}
	case <-time.After(2 * time.Second):
	}
	return out
}

// known lists whom a node names in all directions.
func (p *prober) known(to netip.AddrPort) (out []netip.AddrPort) {
	for quarter := range byte(4) {
		out = append(out, p.near(to, dht.ID{quarter << 6})...)
	}
	return out
}

// TestFindStrictNodes has nodes of libtorrent that enforce BEP 42 and nodes of shoal at
// public-looking addresses. They take each other; both take a stranger whose id fits its
// address, and refuse one with a random id.
func TestFindStrictNodes(t *testing.T) {
	t.Parallel()
	s := newStage(t, 3*time.Minute)
	const each = 6
	var theirs, ours []netip.AddrPort
	for i := range each {
		theirs, ours = append(theirs, s.publicAddr(2*i)), append(ours, s.publicAddr(2*i+1))
	}
	for i, a := range ours {
		p, err := shoal.DHTServe(s.ctx, filepath.Join(s.dir, fmt.Sprint("serve", i)), nil, a, slices.Concat(ours[:min(i, 1)], theirs[:min(i, 1)])...)
		s.must(err)
		s.Cleanup(p.Kill)
	}
	nodes, err := clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), nil, theirs,
		[]string{"dht_enforce_node_id=true", "dht_restrict_routing_ips=true"}, ours[0])
	s.must(err)
	s.Cleanup(nodes.Stop)
	s.must(nodes.Mesh(s.within(time.Minute), each, ours...))
	probe := s.prober(s.addr(), dht.ID{1})
	all := slices.Concat(theirs, ours)
	for _, a := range all {
		s.must(clients.Poll(s.ctx, nodes.Proc(), fmt.Sprintf("%v knows nodes of both kinds", a), func() (bool, error) {
			names := probe.known(a)
			is := func(kind []netip.AddrPort) bool {
				return slices.ContainsFunc(names, func(n netip.AddrPort) bool { return n != a && slices.Contains(kind, n) })
			}
			return is(theirs) && is(ours), nil
		}))
	}
	honest, liar := s.publicAddr(40), s.publicAddr(41)
	good := s.prober(honest, dht.SecureID(honest.Addr(), rand.New(rand.NewPCG(1, 2))))
	bad := s.prober(liar, dht.ID{0x77, 0x31, 9: 5, 19: 3})
	if dht.Secure(bad.id, liar.Addr()) || !dht.Secure(good.id, honest.Addr()) {
		t.Fatal("the ids are not what they are meant to be")
	}
	for _, a := range all {
		for range 3 {
			good.near(a, good.id)
			bad.near(a, bad.id)
		}
	}
	for _, kind := range [][]netip.AddrPort{theirs, ours} {
		s.must(clients.Poll(s.ctx, nodes.Proc(), "somebody knows the honest stranger", func() (bool, error) {
			return slices.ContainsFunc(kind, func(a netip.AddrPort) bool {
				good.near(a, good.id)
				return slices.Contains(probe.near(a, good.id), honest)
			}), nil
		}))
		for _, a := range kind {
			if slices.Contains(probe.near(a, bad.id), liar) {
				t.Errorf("%v names a node whose id does not fit its address", a)
			}
		}
	}
}
