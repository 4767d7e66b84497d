package kad

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/transport"
)

// Lie is how liars answer. They are nodes with ids of their own, which others have in
// their tables; asked for nodes, they name wrong ones.
type Lie uint8

// The lies.
const (
	// Mixed: each liar has one of the ways below.
	Mixed Lie = iota
	// Sybils names other liars under ids next to the target, which their addresses
	// do not allow; there they answer under those ids.
	Sybils
	// Fakes names addresses where nobody is, under ids next to the target that these
	// addresses allow.
	Fakes
	// Collusion names the liars that are closest to the target, by their true ids.
	Collusion
	lies
)

// lie answers a datagram.
func (m *Member) lie(p *transport.Packet) {
	defer p.Release()
	if m.Dead {
		return
	}
	q, err := dht.Parse(p.Data)
	if err != nil || q.Kind != dht.KindQuery {
		return
	}
	r := dht.Msg{Kind: dht.KindReply, TID: q.TID, ID: m.ID, Has: dht.HasID, IP: p.From}
	switch q.Method {
	case dht.MethodFindNode, dht.MethodGetPeers, dht.MethodGet, dht.MethodSample:
		r.Nodes, r.Has = m.wrong(q.Target), r.Has|dht.HasNodes
		r.ID = m.name(q.Target)
		if q.Method == dht.MethodGetPeers {
			r.Token = []byte("liar")
		}
	}
	_ = m.socket.Send(p.From, r.Append(nil))
}

// way is how a liar lies.
func (m *Member) way() Lie {
	if m.net.cfg.Lie == Mixed {
		return 1 + Lie(m.ID[dht.IDLen-2])%(lies-1)
	}
	return m.net.cfg.Lie
}

// name is the id that a liar answers under.
func (m *Member) name(target dht.ID) dht.ID {
	if m.way() == Sybils {
		for _, c := range m.net.forgery(target).sybils {
			if c.Addr == m.Addr {
				return c.ID
			}
		}
	}
	return m.ID
}

// wrong makes the contacts that a liar names.
func (m *Member) wrong(target dht.ID) []dht.Contact {
	f := m.net.forgery(target)
	switch m.way() {
	case Sybils:
		return f.sybils
	case Fakes:
		return f.fakes
	}
	return f.liars
}

// forgery is what liars say of one target: they have agreed on it.
type forgery struct {
	target               dht.ID
	sybils, fakes, liars []dht.Contact
}

// forger makes forgeries, and remembers the last few. addrs are addresses of nobody
// by the first 16 bits of an id that they allow, with its last byte.
type forger struct {
	addrs map[uint16][]forged
	made  []forgery
}

type forged struct {
	ip   netip.Addr
	id   dht.ID
	port uint16
}

// forgedAddrs is how many addresses the attacker has computed ids for.
const forgedAddrs = 1 << 19

func newForger(seed uint64) *forger {
	rnd := rand.New(rand.NewPCG(seed, 3))
	f := &forger{addrs: make(map[uint16][]forged, 1<<16)}
	for range forgedAddrs {
		// Beyond those of the hosts, each in a network of its own.
		v := rnd.Uint32()
		ip := netip.AddrFrom4([4]byte{byte(110 + v>>24%15), byte(v >> 16), byte(v >> 8), byte(1 + v%250)})
		id := dht.SecureID(ip, rnd)
		k := binary.BigEndian.Uint16(id[:])
		f.addrs[k] = append(f.addrs[k], forged{ip, id, uint16(1024 + rnd.IntN(60000))})
	}
	return f
}

// forgery returns what the liars say of a target.
func (n *Net) forgery(target dht.ID) *forgery {
	if n.forger == nil {
		n.forger = newForger(n.cfg.Seed)
	}
	made := n.forger.made
	if i := slices.IndexFunc(made, func(f forgery) bool { return f.target == target }); i >= 0 {
		return &made[i]
	}
	f := forgery{target: target, fakes: n.forger.fakes(target)}
	for _, i := range n.ideal.nearest(target, 8*dht.K) {
		if m := n.byID[n.ideal.ids[i]]; m.Liar && len(f.liars) < dht.K {
			f.liars = append(f.liars, m.Contact)
			near := target
			near[dht.IDLen-3] ^= byte(len(f.liars))
			f.sybils = append(f.sybils, dht.Contact{ID: near, Addr: m.Addr})
		}
	}
	if len(made) >= 64 {
		made = slices.Delete(made, 0, 32)
	}
	n.forger.made = append(made, f)
	return &n.forger.made[len(n.forger.made)-1]
}

// fakes makes contacts next to a target at addresses of nobody.
func (f *forger) fakes(target dht.ID) []dht.Contact {
	var out []dht.Contact
	key := binary.BigEndian.Uint16(target[:])
	for d := uint16(0); len(out) < dht.K; d++ {
		for _, a := range f.addrs[key^d] {
			if len(out) == dht.K {
				break
			}
			id := a.id
			// What the address does not decide is the target's.
			copy(id[3:dht.IDLen-1], target[3:dht.IDLen-1])
			out = append(out, dht.Contact{ID: id, Addr: netip.AddrPortFrom(a.ip, a.port)})
		}
	}
	return out
}
