package server

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"strconv"
	"sync"
)

// shardCount is how many locks the torrents are spread over.
const shardCount = 256

// event of an announce; the values are those of BEP 15.
type event uint8

const (
	none event = iota
	completed
	started
	stopped
)

// announce is one request, from whichever protocol.
type announce struct {
	hash   [20]byte
	peer   [20]byte
	key    uint64 // 0: none
	keyed  string // the key as text, of HTTP
	addr   netip.AddrPort
	others []netip.AddrPort // further addresses, if they are believed
	left   int64
	event  event
	want   int
	full   bool   // dictionaries instead of compact peers
	both   bool   // peers of both families
	yourIP []byte // BEP 24
	noID   bool   // BEP 23's predecessor: dictionaries without "peer id"
}

// answer is what an announce gets. Its slices are reused.
type answer struct {
	seeds, leechers, finished int32
	compact                   [families][]byte
	full                      []fullPeer
}

type fullPeer struct {
	id   [20]byte
	addr netip.AddrPort
}

func (a *answer) reset() {
	a.compact[v4], a.compact[v6], a.full = a.compact[v4][:0], a.compact[v6][:0], a.full[:0]
}

// Reasons to refuse.
var (
	errNotAllowed = errors.New("torrent not registered with this tracker")
	errFull       = errors.New("this tracker tracks as many torrents as it can")
)

// store holds all swarms.
type store struct {
	cfg    *Config
	seed   maphash.Seed
	shards [shardCount]shard
}

type shard struct {
	mu     sync.Mutex
	swarms map[[20]byte]*swarm

	announces, scrapes uint64
	_                  [64]byte // shards do not share cache lines
}

func newStore(cfg *Config) *store {
	s := &store{cfg: cfg, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].swarms = map[[20]byte]*swarm{}
	}
	return s
}

// shard returns the home of a torrent. Info-hashes are as good as random, but
// strangers choose them: a hash in between keeps them from filling one shard.
func (s *store) shard(hash *[20]byte) *shard {
	return &s.shards[maphash.Bytes(s.seed, hash[:])%shardCount]
}

// identify makes a peer's ident. BEP 3's key is an "additional identification that
// is not shared with any other peers".
func (s *store) identify(r *announce) ident {
	id := ident{r.peer, r.key}
	if r.keyed != "" {
		id.key = s.keyOf(r.keyed)
	}
	if id.key == 0 {
		a := r.addr.Addr().As16()
		id.key = maphash.Bytes(s.seed, a[:]) | 1<<63
	}
	return id
}

// announce does what a request asks for and fills the answer.
func (s *store) announce(r *announce, out *answer, now int64) error {
	out.reset()
	if s.cfg.Allow != nil && !s.cfg.Allow(r.hash) {
		return errNotAllowed
	}
	id := s.identify(r)
	sh := s.shard(&r.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.announces++
	w := sh.swarms[r.hash]
	if w == nil {
		if len(sh.swarms) >= (s.cfg.MaxSwarms+shardCount-1)/shardCount {
			return errFull
		}
		w = newSwarm()
		sh.swarms[r.hash] = w
	}
	w.touched = now
	role := uint8(leecher)
	if r.left == 0 {
		role = seed
	}
	if r.event == stopped {
		w.leave(id, r)
	} else {
		self := w.join(id, r, role, now, s.cfg.MaxPeers)
		w.answer(r, out, self, role)
	}
	out.seeds, out.leechers, out.finished = w.count[seed], w.count[leecher], w.finished
	return nil
}

func (s *swarm) leave(id ident, r *announce) {
	p := s.peers[id]
	if p == nil {
		return
	}
	s.drop(p, familyOf(r.addr.Addr()))
	for _, a := range r.others {
		s.drop(p, familyOf(a.Addr()))
	}
}

func (s *swarm) join(id ident, r *announce, role uint8, now int64, most int) *peer {
	p, ok := s.put(id, r.addr, role, now, most)
	if !ok {
		return nil
	}
	for _, a := range r.others {
		s.put(id, a, role, now, most)
	}
	if r.event == completed && !p.done {
		p.done = true
		s.finished++
	}
	return p
}

func (s *swarm) answer(r *announce, out *answer, self *peer, role uint8) {
	own := familyOf(r.addr.Addr())
	// Some clients that begin with a magnet link don't know how long the torrent is and
	// announce that nothing is left: without the seeds they would find nobody.
	if role == seed && r.event == started && s.count[leecher] == 0 {
		role = leecher
	}
	for f := range families {
		if f != own && !r.both {
			continue
		}
		s.pick(f, r.want, self, role, func(p *peer) {
			if r.full {
				out.full = append(out.full, fullPeer{p.id, p.at[f].addrPort(f)})
			} else {
				out.compact[f] = append(out.compact[f], p.at[f].compact[:f.size()]...)
			}
		})
	}
}

// counts is what a scrape tells of one torrent.
type counts struct{ seeds, finished, leechers int32 }

func (s *store) scrape(hash *[20]byte) (c counts, known bool) {
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.scrapes++
	w := sh.swarms[*hash]
	if w == nil {
		return counts{}, false
	}
	return counts{w.count[seed], w.finished, w.count[leecher]}, true
}

// sweep drops silent peers, and swarms that have been empty for long.
func (s *store) sweep(now int64) {
	ttl, memory := seconds(s.cfg.PeerTTL), seconds(swarmMemory)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for hash, w := range sh.swarms {
			w.expire(now - ttl)
			if len(w.peers) == 0 && (w.finished == 0 || w.touched < now-memory) {
				delete(sh.swarms, hash)
			}
		}
		sh.mu.Unlock()
	}
}

// Stats are a tracker's numbers.
type Stats struct {
	Torrents  int    `json:"torrents"`
	Seeds     int    `json:"seeds"`
	Leechers  int    `json:"leechers"`
	Announces uint64 `json:"announces"` // since the start
	Scrapes   uint64 `json:"scrapes"`   // torrents scraped since the start
	HTTP      uint64 `json:"http"`      // requests by HTTP
	UDP       uint64 `json:"udp"`       // packets by UDP
	Refused   uint64 `json:"refused"`   // requests answered with an error
}

func (s *store) stats() (st Stats) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		st.Torrents += len(sh.swarms)
		st.Announces += sh.announces
		st.Scrapes += sh.scrapes
		for _, w := range sh.swarms {
			st.Seeds += int(w.count[seed])
			st.Leechers += int(w.count[leecher])
		}
		sh.mu.Unlock()
	}
	return st
}

// keyOf makes a number of the key in a query, 0 if there is none. Most clients send
// a number in hexadecimal, the same that they send by UDP.
func (s *store) keyOf(text string) uint64 {
	if n, err := strconv.ParseUint(text, 16, 32); err == nil {
		return n
	}
	if text == "" {
		return 0
	}
	return maphash.String(s.seed, text)>>1 | 1<<62
}
