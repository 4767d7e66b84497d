package dht

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/ipclass"
)

// PeerLimits cap a PeerStore. Zero fields mean the default.
type PeerLimits struct {
	Torrents   int // default 2000
	PerTorrent int // peers of one torrent; default 500
	Peers      int // of all torrents; default 100,000, of 24 bytes each
	Life       clock.Duration
}

// PeerLife is how long an announced peer is kept, unless it announces again.
const PeerLife = 30 * time.Minute

func (l *PeerLimits) defaults() {
	if l.Torrents <= 0 {
		l.Torrents = 2000
	}
	if l.PerTorrent <= 0 {
		l.PerTorrent = 500
	}
	if l.Peers <= 0 {
		l.Peers = 100_000
	}
	if l.Life <= 0 {
		l.Life = PeerLife
	}
}

// PeerStore keeps the peers that others announce to us (BEP 5, 33). It owns them, and
// the samples of BEP 51. Its memory is bounded whatever is announced.
type PeerStore struct {
	own      ID // where we are: torrents close to it are ours to keep
	l        PeerLimits
	torrents []torrent // sorted by hash
	peers    int
	samples  samples
}

// torrent is the peers of one info-hash.
type torrent struct {
	hash ID
	// In no order; one per address: "<Infohash,IP> tuples in the database must be unique"
	// (BEP 33). At local addresses, where nobody has to be kept from counting double and
	// one machine may run several programs, one per address and port.
	peers []peer
}

type peer struct {
	place
	seed bool
	at   stamp
}

// NewPeerStore is an empty store of the node own.
func NewPeerStore(own ID, l PeerLimits) PeerStore {
	l.defaults()
	return PeerStore{own: own, l: l}
}

// SetOwn follows the node to another id.
func (s *PeerStore) SetOwn(own ID) { s.own = own }

// Len counts torrents and peers.
func (s *PeerStore) Len() (torrents, peers int) { return len(s.torrents), s.peers }

func (s *PeerStore) find(hash ID) (i int, found bool) {
	return slices.BinarySearchFunc(s.torrents, hash, func(t torrent, h ID) int { return compareBytes(t.hash, h) })
}

// Accepts reports whether an announce of hash by ip would be stored. If not, its token
// is withheld: "If a node does not return a token it indicates that it currently
// cannot accept announces for this infohash" (BEP 33).
func (s *PeerStore) Accepts(hash ID, ip netip.Addr) bool {
	i, ok := s.find(hash)
	if !ok {
		return true // another torrent makes room
	}
	t := &s.torrents[i]
	return len(t.peers) < s.l.PerTorrent || t.peer(placeOf(netip.AddrPortFrom(ip, 0)), false) != nil
}

// peer finds who is at an address, or exactly at an address and port.
func (t *torrent) peer(at place, exactly bool) *peer {
	for i := range t.peers {
		if p := &t.peers[i]; p.ip == at.ip && (!exactly || p.port == at.port) {
			return p
		}
	}
	return nil
}

// Announce stores a peer; the token was right. It reports false when there is no room.
func (s *PeerStore) Announce(hash ID, a netip.AddrPort, seed bool, now clock.Time) bool {
	a = unmapped(a)
	p := peer{placeOf(a), seed, stampOf(now)}
	t := s.torrent(hash)
	if old := t.peer(p.place, ipclass.IsLocal(a.Addr())); old != nil {
		*old = p
		return true
	}
	if !usable(a) || len(t.peers) >= s.l.PerTorrent {
		s.tidy(hash)
		return false
	}
	if s.peers >= s.l.Peers && !s.makeRoom(hash) {
		s.tidy(hash)
		return false
	}
	t = s.torrent(hash) // making room moves torrents
	t.peers = append(t.peers, p)
	s.peers++
	return true
}

// torrent finds or begins a torrent.
func (s *PeerStore) torrent(hash ID) *torrent {
	i, ok := s.find(hash)
	if ok {
		return &s.torrents[i]
	}
	if len(s.torrents) >= s.l.Torrents {
		s.drop(s.victim(hash))
		i, _ = s.find(hash)
	}
	s.torrents = slices.Insert(s.torrents, i, torrent{hash: hash})
	return &s.torrents[i]
}

// victim is the torrent that has least claim to its place: with the fewest peers,
// then the farthest from us. A flood of hashes pushes out itself, not a swarm. It is
// -1 if there is no other than hash.
func (s *PeerStore) victim(hash ID) int {
	v, fewest, farthest := -1, 0, uint64(0)
	own := head(s.own)
	for i := range s.torrents {
		t := &s.torrents[i]
		n, far := len(t.peers), head(t.hash)^own
		if (v < 0 || n < fewest || n == fewest && far > farthest) && t.hash != hash {
			v, fewest, farthest = i, n, far
		}
	}
	return v
}

func (s *PeerStore) drop(i int) {
	s.peers -= len(s.torrents[i].peers)
	s.torrents = slices.Delete(s.torrents, i, i+1)
}

// makeRoom drops a torrent for the sake of another one's peers, unless that has the
// most of all.
func (s *PeerStore) makeRoom(hash ID) bool {
	v := s.victim(hash)
	if v < 0 {
		return false
	}
	s.drop(v)
	return true
}

// tidy drops a torrent without peers.
func (s *PeerStore) tidy(hash ID) {
	if i, ok := s.find(hash); ok && len(s.torrents[i].peers) == 0 {
		s.drop(i)
	}
}

// Peers appends up to n peers of a torrent, drawn at random. BEP 33, "noseed": "the
// responding node should try to fill the values list with non-seed items on a
// best-effort basis".
func (s *PeerStore) Peers(dst []netip.AddrPort, hash ID, n int, noSeed bool, rnd *rand.Rand, now clock.Time) []netip.AddrPort {
	i, ok := s.find(hash)
	if !ok {
		return dst
	}
	ps := s.torrents[i].peers
	for k := 0; k < len(ps) && n > 0; k++ {
		// Their order means nothing, so the draw can shuffle them where they are.
		j := k + rnd.IntN(len(ps)-k)
		ps[k], ps[j] = ps[j], ps[k]
		if p := &ps[k]; p.at.within(s.l.Life, now) && !(noSeed && p.seed) {
			dst = append(dst, p.addrPort())
			n--
		}
	}
	return dst
}

// Scrape fills the filters of BEP 33 with the seeds and the other peers of a torrent.
// It reports false for a torrent that is not stored.
func (s *PeerStore) Scrape(hash ID, seeds, peers *Bloom, now clock.Time) bool {
	i, ok := s.find(hash)
	if !ok {
		return false
	}
	*seeds, *peers = Bloom{}, Bloom{}
	for k := range s.torrents[i].peers {
		p := &s.torrents[i].peers[k]
		switch {
		case !p.at.within(s.l.Life, now):
		case p.seed:
			seeds.Insert(p.addrPort().Addr())
		default:
			peers.Insert(p.addrPort().Addr())
		}
	}
	return true
}

// Expire forgets peers that did not announce again, and torrents without peers. To be
// called every minute or so.
func (s *PeerStore) Expire(now clock.Time) {
	s.peers = 0
	kept := s.torrents[:0]
	for _, t := range s.torrents {
		t.peers = slices.DeleteFunc(t.peers, func(p peer) bool { return !p.at.within(s.l.Life, now) })
		if len(t.peers) > 0 {
			kept = append(kept, t)
			s.peers += len(t.peers)
		}
	}
	clear(s.torrents[len(kept):])
	s.torrents = kept
}

// Forget drops a torrent.
func (s *PeerStore) Forget(hash ID) {
	if i, ok := s.find(hash); ok {
		s.drop(i)
	}
}
