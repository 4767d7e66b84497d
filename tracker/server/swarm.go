package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// ident tells peers apart: who has the same peer id and key is one peer, at however
// many addresses (BEP 7). Without a key the address takes its place, so that nobody
// can take over a peer whose id he has seen.
type ident struct {
	id  [20]byte
	key uint64
}

// family is 0 for IPv4, 1 for IPv6.
type family uint8

const (
	v4 family = iota
	v6
	families
)

// roles of a peer, as the index of its pool.
const (
	leecher = iota
	seed
	roles
)

// peer is one participant of a swarm.
type peer struct {
	ident
	role uint8
	done bool            // "completed" has been counted
	at   [families]place // by family
}

// place is a peer's address of one family.
type place struct {
	seen    int64    // seconds; 0: there is no such address
	pos     int32    // in the pool
	compact [18]byte // BEP 23 or 7: address and port; 6 or 18 bytes
}

func (f family) size() int { return [...]int{6, 18}[f] }

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return v4
	}
	return v6
}

func compact(a netip.AddrPort) (b [18]byte) {
	if ip := a.Addr(); ip.Is4() {
		*(*[4]byte)(b[:]) = ip.As4()
		binary.BigEndian.PutUint16(b[4:], a.Port())
	} else {
		*(*[16]byte)(b[:]) = ip.As16()
		binary.BigEndian.PutUint16(b[16:], a.Port())
	}
	return b
}

func (p *place) addrPort(f family) netip.AddrPort {
	if f == v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p.compact[:])), binary.BigEndian.Uint16(p.compact[4:]))
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(p.compact[:])), binary.BigEndian.Uint16(p.compact[16:]))
}

// swarm is the peers of one torrent. Its shard's lock guards it.
type swarm struct {
	peers    map[ident]*peer
	homes    [families]map[[18]byte]*peer // by compact address
	pools    [families][roles][]*peer
	count    [roles]int32 // peers, each once
	finished int32        // downloads completed
	touched  int64        // seconds: the last announce
}

func newSwarm() *swarm {
	return &swarm{peers: map[ident]*peer{}, homes: [families]map[[18]byte]*peer{{}, {}}}
}

// put lists a peer at an address, or refreshes it. It reports false when the swarm
// is full.
func (s *swarm) put(id ident, a netip.AddrPort, role uint8, now int64, most int) (*peer, bool) {
	p := s.peers[id]
	if p == nil {
		if len(s.peers) >= most {
			return nil, false
		}
		p = &peer{ident: id, role: role}
		s.peers[id] = p
		s.count[role]++
	}
	if p.role != role {
		s.turn(p, role)
	}
	s.settle(p, familyOf(a.Addr()), compact(a))
	p.at[familyOf(a.Addr())].seen = now
	return p, true
}

// settle gives a peer its address. Whoever was there before has gone without a word:
// a client that was killed and started again has a new peer id.
func (s *swarm) settle(p *peer, f family, home [18]byte) {
	at := &p.at[f]
	if at.seen != 0 && at.compact == home {
		return
	}
	if old := s.homes[f][home]; old != nil {
		s.drop(old, f)
	}
	if at.seen != 0 {
		delete(s.homes[f], at.compact)
	} else {
		at.pos = int32(len(s.pools[f][p.role]))
		s.pools[f][p.role] = append(s.pools[f][p.role], p)
	}
	at.compact = home
	s.homes[f][home] = p
}

// turn moves a peer from one role to the other.
func (s *swarm) turn(p *peer, role uint8) {
	s.count[p.role]--
	s.count[role]++
	for f := range families {
		if p.at[f].seen == 0 {
			continue
		}
		s.unpool(p, f)
		p.at[f].pos = int32(len(s.pools[f][role]))
		s.pools[f][role] = append(s.pools[f][role], p)
	}
	p.role = role
}

// unpool takes a peer's address out of its pool; the last one takes its place.
func (s *swarm) unpool(p *peer, f family) {
	pool := s.pools[f][p.role]
	last := len(pool) - 1
	i := p.at[f].pos
	pool[i] = pool[last]
	pool[i].at[f].pos = i
	pool[last] = nil
	s.pools[f][p.role] = pool[:last]
}

// drop forgets one address of a peer, and the peer with its last one.
func (s *swarm) drop(p *peer, f family) {
	if p.at[f].seen == 0 {
		return
	}
	s.unpool(p, f)
	delete(s.homes[f], p.at[f].compact)
	p.at[f] = place{}
	for f := range families {
		if p.at[f].seen != 0 {
			return
		}
	}
	delete(s.peers, p.ident)
	s.count[p.role]--
}

// expire drops addresses that were last seen before a moment.
func (s *swarm) expire(before int64) {
	for f := range families {
		for role := range roles {
			pool := s.pools[f][role]
			for i := len(pool) - 1; i >= 0; i-- { // backwards: drop moves the last one
				if pool[i].at[f].seen < before {
					s.drop(pool[i], f)
				}
			}
		}
	}
}

// pick calls yield for up to n random peers of a family, without self. Seeds are not
// told of other seeds: they have nothing to say to each other.
func (s *swarm) pick(f family, n int, self *peer, role uint8, yield func(*peer)) {
	leechers, seeds := s.pools[f][leecher], s.pools[f][seed]
	if role == seed {
		seeds = nil
	}
	total := len(leechers) + len(seeds)
	if total == 0 || n <= 0 {
		return
	}
	// A walk from a random start with a random stride that is coprime to the
	// total visits each once, in no particular order, without any memory.
	i, stride := rand.IntN(total), 1
	if total > n {
		stride = coprime(total)
	}
	for range total {
		var p *peer
		if i < len(leechers) {
			p = leechers[i]
		} else {
			p = seeds[i-len(leechers)]
		}
		if p != self {
			yield(p)
			if n--; n == 0 {
				return
			}
		}
		if i += stride; i >= total {
			i -= total
		}
	}
}

func coprime(n int) int {
	for {
		if k := 1 + rand.IntN(n); gcd(k, n) == 1 {
			return k
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
