package utpanacrolix

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport/utp"
)

const (
	// maxFlows bounds the connections of a socket that are kept in mind; beyond it none
	// can come in.
	maxFlows = 1 << 14
	// halfOpenFor is how many times as many remotes may have sent no more than a SYN as
	// may be without a handshake.
	halfOpenFor = 4
	// halfOpenAge is how long a SYN waits for a sign that its address is not forged: a
	// round trip, and a few losses.
	halfOpenAge = 4 * time.Second
	// flowAge is when the library has given up a connection on which nothing comes.
	flowAge = 2*time.Minute + 10*time.Second
	// sweepEvery is how often what has ended is forgotten.
	sweepEvery = 5 * time.Second
	// maxResets is how many of the library's resets a connection is worth: it sends
	// three at once, for it doesn't know which side has begun.
	maxResets = 3
	// maxSyn is the largest SYN, in bytes: a header, and what extensions clients add.
	maxSyn = 128
)

// flowKey names a connection by what the remote writes into its packets.
type flowKey struct {
	addr netip.AddrPort
	id   uint16
}

// flow is a connection as its packets show it.
type flow struct {
	heard  actor.Time // when a packet came last; when we began, if none has
	dialed bool
	half   bool   // has come in, and has not shown yet that it receives at its address
	syn    uint16 // its sequence number, of one that has come in
	owed   int    // answers: one for each SYN, while it is half
	ours   uint16 // the sequence number of the last answer
	resets int    // that were let out
}

// sendID is what the library writes into packets of a flow. BEP 29: who begins sends
// its SYN with the id that it wants to receive, and all else with that plus one.
func (k flowKey) sendID(f *flow) uint16 {
	if f.dialed {
		return k.id + 1
	}
	return k.id - 1
}

// flows decides what passes between the network and the library. It is told of every
// packet, and of the time. Owner: the guard of a socket.
type flows struct {
	max, perHost int  // half-open flows
	listens      bool // new ones may come in
	list         map[flowKey]*flow
	half         int
	hosts        map[netip.Addr]int // half-open flows of each
	swept        actor.Time
}

func newFlows(maxHalfOpen int, now actor.Time) *flows {
	limit := maxHalfOpen * halfOpenFor
	return &flows{max: limit, perHost: max(limit/2, 1), list: map[flowKey]*flow{}, hosts: map[netip.Addr]int{}, swept: now}
}

// arrive reports whether the library may see a datagram. Resets it rewrites: the library
// knows them only by the id that other packets have.
func (f *flows) arrive(from netip.AddrPort, b []byte, now actor.Time) bool {
	p, err := utp.Parse(b)
	if err != nil {
		return false
	}
	f.sweep(now)
	switch p.Type {
	case utp.Syn:
		return f.syn(from, &p, now)
	case utp.Reset:
		return f.reset(from, b, &p)
	}
	key := flowKey{from, p.ConnID}
	c := f.list[key]
	if c == nil || c.half && !c.verifies(p.Ack) {
		return false
	}
	f.settle(key, c)
	c.heard = now
	return c.resets < maxResets
}

// verifies reports whether an acknowledgement shows that our answer has come to its
// address. Clients begin with the sequence number before ours, which the first data
// will have; by the letter of BEP 29 they would with ours.
func (c *flow) verifies(ack uint16) bool { return ack == c.ours-1 || ack == c.ours }

// syn is for one who wants in, or who hasn't heard our answer.
func (f *flows) syn(from netip.AddrPort, p *utp.Packet, now actor.Time) bool {
	key := flowKey{from, p.ConnID + 1}
	if c := f.list[key]; c != nil && c.resets < maxResets {
		// The library takes a SYN of an existing connection for data.
		again := c.half && c.syn == p.Seq
		if again {
			c.owed++
		}
		return again
	}
	host := hostOf(from.Addr())
	if !f.listens || p.Size > maxSyn || len(f.list) >= maxFlows || f.half >= f.max || f.hosts[host] >= f.perHost {
		return false
	}
	f.list[key] = &flow{heard: now, half: true, syn: p.Seq, owed: 1}
	f.half++
	f.hosts[host]++
	return true
}

// reset is for a remote that doesn't know a connection, or has given it up. It names
// it by its own id or by ours.
func (f *flows) reset(from netip.AddrPort, b []byte, p *utp.Packet) bool {
	for _, id := range [...]uint16{p.ConnID, p.ConnID - 1, p.ConnID + 1} {
		key := flowKey{from, id}
		c := f.list[key]
		if c == nil || c.half || id != p.ConnID && key.sendID(c) != p.ConnID {
			continue
		}
		binary.BigEndian.PutUint16(b[2:], id)
		return true
	}
	return false
}

// depart reports whether what the library sends may leave.
func (f *flows) depart(to netip.AddrPort, b []byte, now actor.Time) bool {
	if len(b) < utp.HeaderSize {
		return false
	}
	kind, id := utp.Type(b[0]>>4), binary.BigEndian.Uint16(b[2:])
	switch kind {
	case utp.Syn:
		f.dial(flowKey{to, id}, now)
		return true
	case utp.Reset:
		return f.resets(to, id)
	}
	if c := f.list[flowKey{to, id - 1}]; c != nil && c.dialed {
		return true
	}
	c := f.list[flowKey{to, id + 1}]
	if c == nil || c.dialed {
		return false // long forgotten
	}
	if !c.half {
		return true
	}
	// An address that may be forged gets as many packets as came from there.
	if kind != utp.State || c.owed == 0 {
		return false
	}
	c.owed--
	c.ours = binary.BigEndian.Uint16(b[16:])
	return true
}

// dial: the library begins a connection, or does so once more.
func (f *flows) dial(key flowKey, now actor.Time) {
	c := f.list[key]
	switch {
	case c == nil:
		f.list[key] = &flow{heard: now, dialed: true}
	case !c.dialed:
		f.settle(key, c)
		*c = flow{heard: now, dialed: true}
	}
}

// resets reports whether a reset may leave: those of a connection that was there.
func (f *flows) resets(to netip.AddrPort, id uint16) bool {
	for _, id := range [...]uint16{id, id - 1, id + 1} {
		if c := f.list[flowKey{to, id}]; c != nil && !c.half && c.resets < maxResets {
			c.resets++
			return true
		}
	}
	return false
}

// settle ends the time in which a flow's address may be forged.
func (f *flows) settle(key flowKey, c *flow) {
	if !c.half {
		return
	}
	c.half = false
	f.half--
	host := hostOf(key.addr.Addr())
	if f.hosts[host]--; f.hosts[host] == 0 {
		delete(f.hosts, host)
	}
}

// sweep forgets what has ended.
func (f *flows) sweep(now actor.Time) {
	if now < f.swept.Add(sweepEvery) {
		return
	}
	f.swept = now
	for key, c := range f.list { //order: irrelevant, each for itself
		age := flowAge
		if c.half {
			age = halfOpenAge
		}
		if now >= c.heard.Add(age) {
			f.settle(key, c)
			delete(f.list, key)
		}
	}
}

// hostOf is an address as limits count it: of IPv6, whoever has a network has 2^64.
func hostOf(a netip.Addr) netip.Addr {
	if a.Is6() {
		if net, err := a.WithZone("").Prefix(64); err == nil {
			return net.Addr()
		}
	}
	return a
}
