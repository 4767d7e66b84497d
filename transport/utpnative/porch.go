package utpnative

import (
	"container/list"
	"errors"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utp"
	"github.com/shoal-bt/shoal/wire"
)

// plainHead is how many bytes tell a plain handshake from an encrypted one.
const plainHead = 20

// unverifiedFor is how many times as many connections may wait for a sign that their
// address is not forged as may wait for a handshake: they cost little.
const unverifiedFor = 4

var (
	errCrowded = errors.New("turned out: too many have come in")
	errSilent  = errors.New("no handshake in time")
)

// guest is a connection that has come in and is not yet the session's.
type guest struct {
	hello [wire.HandshakeLen]byte
	n     int // of hello
	shook wire.Handshake
	dec   *mse.Stream // decrypts hello; nil: it comes in the clear
	until actor.Time
	queue *queue // that it stands in; nil once it has shaken hands
	place *list.Element
	host  netip.Addr // whom it counts for
}

// porch holds the guests. Those that have not shown yet that they receive at their
// address, and those that have and are silent, stand in two queues. When one is full,
// who has kept silent for longest makes room; the same holds among the guests of one
// host. Owner: the mux.
type porch struct {
	to         actor.Inlet[transport.Accepted]
	max        int
	n          int // guests
	unverified queue
	silent     queue
	greeted    []*link // who wait for the session to have room
	hosts      map[netip.Addr]int
}

func (p *porch) init(limit int) { p.max, p.hosts = limit, map[netip.Addr]int{} }

// perHost is how many guests one host may have.
func (p *porch) perHost() int { return max(p.max/2, 1) }

// hostOf is an address as limits count it: of IPv6, whoever has a network has 2^64.
func hostOf(a netip.Addr) netip.Addr {
	if a.Is6() {
		if net, err := a.WithZone("").Prefix(64); err == nil {
			return net.Addr()
		}
	}
	return a
}

// accept answers a SYN.
func (x *mux) accept(from netip.AddrPort, syn *utp.Packet, s *socket) {
	p := &x.porch
	host := hostOf(from.Addr())
	if p.hosts[host] >= p.perHost() && !x.turnOut(older(p.unverified.oldest(host), p.silent.oldest(host))) {
		return
	}
	if p.unverified.Len() >= unverifiedFor*p.max {
		x.turnOut(p.unverified.oldest(netip.Addr{}))
	}
	now := x.c.Now()
	l := x.newLink(from, s, true)
	l.m = utp.Accept(x.kinds[s.family()], syn, uint16(x.c.Rand().Uint32()), now)
	l.m.Grant(firstGrant)
	l.key.id = l.m.RecvID()
	l.guest = &guest{until: now.Add(x.cfg.Env.HandshakeTimeout), queue: &p.unverified, host: host}
	l.guest.place = p.unverified.PushBack(l)
	p.hosts[host]++
	p.n++
	x.add(l)
}

// queue is guests by the time that they came, oldest first.
type queue struct{ list.List }

// oldest returns the guest of a host, or of any, that has been silent for longest; nil
// if there is none.
func (q *queue) oldest(host netip.Addr) *link {
	for e := q.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*link); !host.IsValid() || l.guest.host == host {
			return l
		}
	}
	return nil
}

func older(a, b *link) *link {
	if a == nil || b != nil && b.guest.until < a.guest.until {
		return b
	}
	return a
}

// turnOut ends the connection of a guest. It reports false if there is none.
func (x *mux) turnOut(l *link) bool {
	if l != nil {
		x.expel(l, errCrowded)
	}
	return l != nil
}

func (x *mux) expel(l *link, why error) {
	x.end(l, l.broken(transport.RemoteFault, why))
	l.m.Abort()
}

// leave takes a guest off the porch.
func (p *porch) leave(l *link) {
	g := l.guest
	p.unqueue(g)
	p.n--
	if p.hosts[g.host]--; p.hosts[g.host] == 0 {
		delete(p.hosts, g.host)
	}
	l.guest = nil
}

func (p *porch) unqueue(g *guest) {
	if g.queue != nil {
		g.queue.Remove(g.place)
		g.queue, g.place = nil, nil
	}
}

// onGuest looks at a connection that has come in.
func (x *mux) onGuest(l *link, now actor.Time) {
	g, p := l.guest, &x.porch
	switch {
	case l.m.Phase() == utp.Closed:
		x.end(l, l.ending(l.m.Err()))
	case g.n == len(g.hello): // it waits for the session
	case now >= g.until, l.m.EOF():
		x.expel(l, errSilent)
	case g.queue == &p.unverified && l.m.Phase() >= utp.Connected:
		p.unqueue(g)
		if p.silent.Len() >= p.max {
			x.turnOut(p.silent.oldest(netip.Addr{}))
		}
		g.queue, g.place = &p.silent, p.silent.PushBack(l)
	}
}

// greet gathers a guest's handshake from the bytes as they come, and returns those
// behind it: whoever speaks another protocol is not waited for.
func (x *mux) greet(l *link, b []byte) []byte {
	g := l.guest
	if g.n == len(g.hello) {
		return b
	}
	before := g.n
	n := copy(g.hello[g.n:], b)
	g.n += n
	if g.dec != nil {
		g.dec.XOR(g.hello[before:g.n], g.hello[before:g.n])
	}
	looks := wire.LooksLikeHandshake(g.hello[:g.n])
	switch plain := l.info.Crypto == mse.None; {
	case plain && looks && g.n >= plainHead && !x.cfg.Env.Encryption.Plain():
		l.fault = l.broken(transport.RemoteFault, transport.ErrPlain)
		return nil
	case plain && !looks && x.secure(l, g.hello[:before], b):
		return nil
	case looks && g.n < len(g.hello):
		return nil
	}
	h, err := wire.ParseHandshake(g.hello[:g.n])
	if err != nil {
		l.fault = l.broken(transport.RemoteFault, err)
		return nil
	}
	g.shook = h
	g.until = actor.Never
	if g.dec != nil {
		l.in.framer.Decrypt(g.dec)
	}
	x.porch.unqueue(g)
	x.porch.greeted = append(x.porch.greeted, l)
	return b[n:]
}

// offer brings the session the guests that have shaken hands, as far as it has room. It
// reports whether all have gone.
func (x *mux) offer() bool {
	p := &x.porch
	n := 0
	for _, l := range p.greeted {
		if l.guest == nil || l.fault != nil {
			n++
			continue
		}
		if !p.to.TryPut(transport.Accepted{Link: l, Handshake: l.guest.shook}) {
			break
		}
		p.leave(l)
		n++
	}
	if n == len(p.greeted) {
		p.greeted = nil
		return true
	}
	p.greeted = append(p.greeted[:0], p.greeted[n:]...)
	return false
}
