package engine

import (
	"hash/crc32"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// candidate is an address that may be a peer.
type candidate struct {
	addr   netip.AddrPort
	source Source    // the best of them
	mask   sourceSet // all that have named it
	worked bool      // somebody has shaken hands there
	fails  uint8
	ways   wayMemory
	busy   bool       // being dialed, or connected
	seed   bool       // has everything: of no use to a seed
	next   clock.Time // not to be tried before
	rank   uint32     // BEP 40's priority between us and it
	seq    uint32     // order of arrival, the last tie-break
}

// addressBook remembers addresses and says whom to try next. Pure; owner: the torrent.
type addressBook struct {
	byAddr    map[netip.AddrPort]*candidate
	list      []*candidate // the same, in order of arrival
	seq       uint32
	own       netip.AddrPort     // our address, if known, for BEP 40
	perIP     map[netip.Addr]int // addresses of each IP
	noSeed    bool               // we are complete: seeds are not tried
	manyPerIP bool               // there may be any number of peers at one IP
	selves    []netip.AddrPort   // addresses that turned out to be our own
}

// maxSelves of our own addresses are remembered: trackers name them again and again.
const maxSelves = 16

// isSelf forgets an address that is our own, for good.
func (b *addressBook) isSelf(addr netip.AddrPort) {
	b.remove(addr)
	if addr.IsValid() && !slices.Contains(b.selves, addr) {
		b.selves = appendCapped(b.selves, addr, maxSelves)
	}
}

// rankBy ranks all addresses anew, by our own.
func (b *addressBook) rankBy(own netip.AddrPort) {
	b.own = own
	for _, c := range b.list {
		c.rank = peerPriority(own, c.addr)
	}
}

// idle reports whether c may be tried, now or later.
func (b *addressBook) idle(c *candidate) bool {
	return !c.busy && !(b.noSeed && c.seed)
}

// isSeed remembers that a peer has everything.
func (b *addressBook) isSeed(addr netip.AddrPort) {
	if c := b.byAddr[addr]; c != nil {
		c.seed = true
	}
}

// reconnectAfter is how long a peer whose connection has ended is left alone.
const reconnectAfter = 20 * time.Second

// retryAfter is how long a failed address rests: it doubles, from 5 s to 20 minutes.
// What a person typed is meant to work, and is tried from 1 s to 30 s. None is ever
// given up: in a small swarm it may be the only one, and in a large book the worst
// make room for others.
func (c *candidate) retryAfter() clock.Duration {
	doubled := min(c.fails-1, 10)
	if c.source == SourceUser {
		return min(time.Second<<doubled, 30*time.Second)
	}
	return min(5*time.Second<<doubled, 20*time.Minute)
}

// add remembers an address and reports whether it was new. A better source replaces
// a worse one.
func (b *addressBook) add(addr netip.AddrPort, source Source) bool {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	if !addr.IsValid() || addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return false
	}
	if c := b.byAddr[addr]; c != nil {
		c.source, c.mask = min(c.source, source), c.mask.with(source)
		return false
	}
	if slices.Contains(b.selves, addr) || b.crowds(addr.Addr(), source) {
		return false
	}
	if b.byAddr == nil {
		b.byAddr, b.perIP = map[netip.AddrPort]*candidate{}, map[netip.Addr]int{}
	}
	if len(b.list) >= maxCandidates && !b.forgetWorst(source) {
		return false
	}
	b.seq++
	c := &candidate{addr: addr, source: source, mask: sourceSet(0).with(source), rank: peerPriority(b.own, addr), seq: b.seq}
	b.byAddr[addr] = c
	b.perIP[addr.Addr()]++
	b.list = append(b.list, c)
	return true
}

func (b *addressBook) removeAt(i int) {
	b.forget(b.list[i])
	b.list = append(b.list[:i], b.list[i+1:]...)
}

func (b *addressBook) forget(c *candidate) {
	delete(b.byAddr, c.addr)
	ip := c.addr.Addr()
	if b.perIP[ip]--; b.perIP[ip] == 0 {
		delete(b.perIP, ip)
	}
}

// removeIf forgets the addresses that f chooses.
func (b *addressBook) removeIf(f func(*candidate) bool) {
	b.list = slices.DeleteFunc(b.list, func(c *candidate) bool {
		if !f(c) {
			return false
		}
		b.forget(c)
		return true
	})
}

// remove forgets an address.
func (b *addressBook) remove(addr netip.AddrPort) {
	if b.byAddr[addr] == nil {
		return
	}
	b.removeAt(slices.IndexFunc(b.list, func(c *candidate) bool { return c.addr == addr }))
}

// better says whether c is to be tried before d.
func (c *candidate) better(d *candidate) bool {
	switch {
	case c.fails != d.fails:
		return c.fails < d.fails
	case c.mask != d.mask && c.mask.weight() != d.mask.weight():
		return c.mask.weight() > d.mask.weight()
	case c.rank != d.rank:
		// BEP 40: "a client should connect to the highest priority peers".
		return c.rank > d.rank
	}
	return c.seq < d.seq
}

// next returns the best address that may be tried now, marked busy, or nil and when
// there will be one (Never: as things are, none).
func (b *addressBook) next(now clock.Time) (*candidate, clock.Time) {
	var best *candidate
	when := clock.Never
	for _, c := range b.list {
		switch {
		case !b.idle(c):
		case c.next > now:
			when = min(when, c.next)
		case best == nil || c.better(best):
			best = c
		}
	}
	if best != nil {
		best.busy = true
		return best, now
	}
	return nil, when
}

// soonest returns when the next address that rests may be tried; Never: none.
func (b *addressBook) soonest(now clock.Time) clock.Time {
	when := clock.Never
	for _, c := range b.list {
		if b.idle(c) && c.next > now {
			when = min(when, c.next)
		}
	}
	return when
}

// ready counts the addresses that may be tried now.
func (b *addressBook) ready(now clock.Time) (n int32) {
	for _, c := range b.list {
		if b.idle(c) && c.next <= now {
			n++
		}
	}
	return n
}

// over ends a try or a connection: failed ones rest before the next try.
func (b *addressBook) over(addr netip.AddrPort, now clock.Time, failed bool) {
	c := b.byAddr[addr]
	if c == nil {
		return
	}
	c.busy = false
	if !failed {
		c.next = now.Add(reconnectAfter)
		return
	}
	c.fails = min(c.fails, 100) + 1
	c.next = now.Add(c.retryAfter())
}

// another ends a try in vain, and reports whether there is another way to the address,
// which may be tried at once.
func (b *addressBook) another(w ways, addr netip.AddrPort, x way, f wayFailure, now clock.Time) bool {
	c := b.byAddr[addr]
	if c == nil || !w.onFailure(&c.ways, x, f) {
		return false
	}
	c.busy, c.next = false, now
	return true
}

// worked remembers the way that has led to a peer.
func (b *addressBook) worked(w ways, addr netip.AddrPort, x way) {
	if c := b.byAddr[addr]; c != nil {
		w.onSuccess(&c.ways, x)
	}
}

// rested ends an address's rest, and reports whether it may be tried.
func (b *addressBook) rested(addr netip.AddrPort, now clock.Time) bool {
	c := b.byAddr[netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())]
	if c == nil || c.busy {
		return false
	}
	c.next = min(c.next, now)
	return b.idle(c)
}

// wakeSeeds ends the rest of the seeds that were of no use until now.
func (b *addressBook) wakeSeeds(now clock.Time) {
	for _, c := range b.list {
		if c.seed && c.fails == 0 {
			c.next = min(c.next, now)
		}
	}
}

// wakeIP ends the rest of the addresses at an IP that have not failed.
func (b *addressBook) wakeIP(ip netip.Addr, now clock.Time) {
	for _, c := range b.list {
		if c.addr.Addr() == ip && c.fails == 0 {
			c.next = min(c.next, now)
		}
	}
}

// connected marks an address as in use.
func (b *addressBook) connected(addr netip.AddrPort) {
	if c := b.byAddr[addr]; c != nil {
		c.busy, c.fails, c.worked = true, 0, true
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// peerPriority is BEP 40's: "crc32-c(sort(masked_client_ip, masked_peer_ip))"; the
// ports are used when the addresses are the same.
func peerPriority(a, b netip.AddrPort) uint32 {
	if !a.IsValid() || a.Addr().Is4() != b.Addr().Is4() {
		return 0
	}
	x, y := a.Addr().AsSlice(), b.Addr().AsSlice()
	if a.Addr() == b.Addr() {
		x, y = be16(a.Port()), be16(b.Port())
	} else {
		maskPair(x, y)
	}
	if string(x) > string(y) {
		x, y = y, x
	}
	return crc32.Checksum(append(x, y...), castagnoli)
}

func be16(p uint16) []byte { return []byte{byte(p >> 8), byte(p)} }

// maskPair masks both addresses. BEP 40, for IPv4: "If they are in the same /16 the
// mask is FF.FF.FF.55, if the same /24 the full address", else FF.FF.55.55; for IPv6
// the same from the /48 on.
func maskPair(x, y []byte) {
	keep := 2 // bytes kept whole
	if len(x) == 16 {
		keep = 6
	}
	for keep < len(x) && string(x[:keep]) == string(y[:keep]) {
		keep++
	}
	for i := keep; i < len(x); i++ {
		x[i] &= 0x55
		y[i] &= 0x55
	}
}
