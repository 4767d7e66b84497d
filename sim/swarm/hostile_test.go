package swarm

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// stranger is a scripted peer at a host of its own, connected to a node of a swarm. It
// has shaken hands when begun calls script.
type stranger struct {
	s      *Swarm
	link   transport.Link
	script func(*stranger)
	heard  []pex.Message
	frame  func(*stranger, *transport.Frame) // sees all that the node sends; may be nil
	closed error
	at     clock.Time // of closed
}

// stranger connects to a node at a moment. Strangers speak first and have nothing.
func (s *Swarm) stranger(at time.Duration, n *Node, number byte, script func(*stranger)) *stranger {
	x := &stranger{s: s, script: script}
	host := s.Net.Host(sim.HostConfig{})
	s.World.After(at, func() {
		s.Net.Transport(host, transport.Env{}).Dial(transport.Dial{
			Addr: n.Addr(), Reply: actor.FuncRef(func(d transport.Dialed) { x.begin(d, number) })})
	})
	return x
}

func (x *stranger) begin(d transport.Dialed, number byte) {
	if d.Err != nil {
		x.closed, x.at = d.Err, x.s.World.Now()
		return
	}
	x.link = d.Link
	a := actor.Root(x.s.World, actor.Spec{Name: "stranger", Pump: 8}, actor.Actor[transport.Event](x), func(actor.Exit) {})
	x.link.Bind(a.Inlet)
	x.link.Allow(transport.Unlimited)
	b := transport.NewBatch()
	b.Handshake = &wire.Handshake{Reserved: wire.FlagExtension | wire.FlagFast, InfoHash: x.s.Meta.Hash.V1,
		PeerID: [20]byte{'-', 'X', 'X', 19: number}}
	b.Add(wire.Message{ID: wire.HaveNone})
	b.Add(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtPEX, ID: 9}}, P: nodePort}))
	x.link.Send(b)
	x.script(x)
}

// Handle notes what the node says of others.
func (x *stranger) Handle(c *actor.Ctx[transport.Event], ev transport.Event) {
	switch ev := ev.(type) {
	case *transport.Batch:
		for i := range ev.Frames {
			if x.frame != nil {
				x.frame(x, &ev.Frames[i])
			}
			if f := &ev.Frames[i]; f.ID == wire.Extended && f.ExtendedID() == 9 {
				m, _ := pex.Parse(f.Payload)
				x.heard = append(x.heard, m)
			}
		}
		ev.Release()
	case transport.Closed:
		x.closed, x.at = ev.Err, c.Now()
		c.Quit(nil)
	}
}

// tell sends a ut_pex message.
func (x *stranger) tell(payload []byte) {
	if x.closed == nil {
		b := transport.NewBatch()
		b.Add(wire.ExtendedMessage(pexID, payload))
		x.link.Send(b)
	}
}

// every repeats something n times, from now on.
func (x *stranger) every(d time.Duration, n int, f func(i int)) {
	for i := range n {
		x.s.World.After(time.Duration(i)*d, func() { f(i) })
	}
}

// naming makes a message that names n addresses.
func naming(n int, addr func(i int) netip.AddrPort) []byte {
	var m pex.Message
	for i := range n {
		m.Added = append(m.Added, pex.Peer{Addr: addr(i)})
	}
	return m.Append(nil)
}

// dialLog is a node's transport that keeps whom it was asked to connect to, and when.
type dialLog struct {
	transport.Transport
	w     *sim.World
	dials map[netip.Addr][]clock.Time
}

func (l *dialLog) Dial(d transport.Dial) {
	l.dials[d.Addr.Addr()] = append(l.dials[d.Addr.Addr()], l.w.Now())
	l.Transport.Dial(d)
}

// Strangers send 10,000 entries, a hundred messages a second, all the ports of a victim,
// addresses inside: those that flood are sent away, nobody is knocked at more than once a
// minute, nothing inside at all, and the download goes on.
func TestHostilePeerExchange(t *testing.T) {
	log := &dialLog{dials: map[netip.Addr][]clock.Time{}}
	const node = 1
	s, err := New(Config{Seed: 5, Leechers: 1, Size: 64 << 20, Up: 128 << 10,
		Known: func(n int) []int { return []int{0}[:n] },
		Wrap: func(n int, tr transport.Transport) transport.Transport {
			if n != node {
				return tr
			}
			log.Transport = tr
			return log
		}})
	if err != nil {
		t.Fatal(err)
	}
	log.w = s.World
	public := func(base byte) func(i int) netip.AddrPort {
		return func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{base, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
		}
	}
	victim := netip.MustParseAddr("77.7.7.7")
	inside := []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "0.0.0.0",
		"::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "255.255.255.255"}
	v := s.Nodes[node]

	large := s.stranger(time.Second, v, 1, func(x *stranger) { x.tell(naming(10_000, public(81))) })
	flood := s.stranger(time.Second, v, 2, func(x *stranger) {
		x.every(10*time.Millisecond, 1000, func(i int) { x.tell(naming(50, public(82))) })
	})
	var patient []*stranger
	for k := range byte(10) { // within the rules, but all about one victim
		patient = append(patient, s.stranger(2*time.Second, v, 10+k, func(x *stranger) {
			x.every(time.Minute, 8, func(i int) {
				x.tell(naming(50, func(p int) netip.AddrPort {
					return netip.AddrPortFrom(victim, uint16(10_000+1000*int(k)+100*i+p))
				}))
			})
		}))
	}
	s.stranger(2*time.Second, v, 30, func(x *stranger) {
		x.tell(naming(len(inside), func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr(inside[i]), 6881)
		}))
	})
	greedy := s.stranger(3*time.Second, v, 31, func(x *stranger) { // takes all that the rules leave
		x.every(11*time.Second, 40, func(i int) {
			x.tell(naming(500, func(j int) netip.AddrPort { return public(83)(1000*i + j) }))
		})
	})

	if err := s.Run(20 * time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Logf("complete after %v, %d addresses were dialed", s.World.Now(), len(log.dials))
	if large.closed == nil || large.at > clock.Time(2*time.Second) {
		t.Errorf("10,000 entries: closed %v at %v", large.closed, large.at)
	}
	if flood.closed == nil || flood.at > clock.Time(2*time.Second) {
		t.Errorf("100 messages a second: closed %v at %v", flood.closed, flood.at)
	}
	for i, x := range patient {
		if x.closed != nil {
			t.Errorf("patient %d: closed %v at %v", i, x.closed, x.at)
		}
	}
	if greedy.closed != nil {
		t.Errorf("six messages a minute: closed %v", greedy.closed)
	}
	for ip := range log.dials { //order: irrelevant
		// Hosts of the simulator: the user has named the seed, and strangers have said
		// of themselves where they listen.
		if ip.As4()[0] < 77 {
			delete(log.dials, ip)
		}
	}
	of83 := checkDials(t, log.dials, v.Host.Addr())
	if n := len(log.dials[victim]); n < 1 {
		t.Error("the victim's address was never tried: the test tests nothing")
	}
	if of83 > 300+50*8 {
		t.Errorf("%d addresses of one stranger were tried", of83)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkDials holds a node's dials to the rules, and counts those to 83.0.0.0/8.
func checkDials(t *testing.T, dials map[netip.Addr][]clock.Time, own netip.Addr) (of83 int) {
	t.Helper()
	for ip, at := range dials { //order: irrelevant
		if transport.Classify(ip) != transport.Public || ip == own {
			t.Errorf("%v was dialed", ip)
		}
		if ip.As4()[0] == 83 {
			of83++
		}
		if ip.As4()[0] == 81 {
			t.Errorf("%v was dialed, of the message that was too large", ip)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < time.Minute {
				t.Errorf("%v was dialed again after %v", ip, gap)
			}
		}
	}
	return of83
}
