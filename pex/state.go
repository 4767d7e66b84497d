package pex

import (
	"net/netip"
	"slices"
	"time"
)

// BEP 11's bounds on what is sent.
const (
	// Interval: "Clients must batch updates to send no more than 1 PEX message per minute."
	Interval = time.Minute
	// MaxEntries: "the combined amount of added v4/v6 contacts should not exceed 50
	// entries. The same applies to dropped entries."
	MaxEntries = 50
	// MaxFirst entries has our first message, which is excepted from the above.
	MaxFirst = 100
	// MaxTold addresses that one remote has been told of and not yet that they are gone.
	// More is of no use to anybody: libtorrent keeps 50 of a sender.
	MaxTold = 200
	// FewPeers: with less connections of a family than this, recent ones are told of too.
	FewPeers = 25
)

// Recent is a peer that we have disconnected from for a reason of ours, after a complete
// handshake, and that is still of use to others: BEP 11, "Filling underpopulated lists".
type Recent struct {
	Peer
	Seq uint32 // counts these up, from 1
}

// Remote is whom a State tells.
type Remote struct {
	Addr  netip.AddrPort // where it listens, if known: nobody is told of itself
	Scope Scope          // of the connection
	Seed  bool           // it has no use for other seeds
}

// Known is what there is to tell, of one torrent.
type Known struct {
	Peers  []Peer   // connected, handshake complete, listening address verified or announced
	Recent []Recent // in order of Seq; at most FewPeers of each family
	Scope  ScopeFunc
	Rand   func(n int32) int32 // uniform in [0, n)
}

// State is what we have told one remote. The zero value has told nothing.
type State struct {
	told   contacts
	next   Time   // no message before
	recent uint32 // those up to here are through
	begun  bool   // the first message is out
	Behind bool   // the last Diff has left something to be told at Next
}

// Next is when the next message may be sent.
func (s *State) Next() Time { return s.next }

// Told is how many addresses the remote has been told of, and not that they are gone.
func (s *State) Told() int { return s.told.len() }

// Diff returns the next message, false if it is too early or there is nothing to tell.
// What it returns counts as told.
func (s *State) Diff(to Remote, k *Known, now Time) (Message, bool) {
	if now < s.next {
		s.Behind = true
		return Message{}, false
	}
	limit := MaxEntries
	if !s.begun {
		limit = MaxFirst
	}
	s.Behind = false
	var m Message
	// "An added contact must not be dropped in the same message": what is added is
	// chosen from what is known, what is dropped from the rest.
	m.Dropped = s.drop(k)
	m.Added = s.add(to, k, m.Dropped, limit)
	if len(m.Added)+len(m.Dropped) == 0 {
		return Message{}, false
	}
	s.begun, s.next = true, now.Add(Interval)
	return m, true
}

// drop takes out of told, and returns, whom we are no longer connected to. "Once a peer
// has been added a client must ensure to send the corresponding dropped event."
func (s *State) drop(k *Known) (gone []netip.AddrPort) {
	if s.told.len() == 0 {
		return nil
	}
	var here contacts
	for i := range k.Peers {
		here.add(k.Peers[i].Addr)
	}
	for a := range s.told.all {
		switch {
		case here.has(a):
		case len(gone) == MaxEntries:
			s.Behind = true
		default:
			gone = append(gone, a)
		}
	}
	for _, a := range gone {
		s.told.remove(a)
	}
	return gone
}

// add chooses whom to tell of: those that are known to be reachable first, else at
// random, so that no two connections carry the same news.
func (s *State) add(to Remote, k *Known, dropped []netip.AddrPort, limit int) []Peer {
	var news []Peer
	for _, p := range k.Peers {
		if s.fits(to, k, p) {
			news = append(news, p)
		}
	}
	for i := len(news) - 1; i > 0; i-- {
		j := k.Rand(int32(i + 1))
		news[i], news[j] = news[j], news[i]
	}
	slices.SortStableFunc(news, func(a, b Peer) int { return int(b.Flags&Reachable) - int(a.Flags&Reachable) })
	live := len(news)
	news = append(news, s.refill(to, k, dropped)...)
	added := news[:0]
	for i, p := range news {
		switch {
		case s.told.has(p.Addr): // "contacts must not contain duplicates"
		case s.told.len() >= MaxTold: // until some are gone
			return added
		case len(added) == limit:
			s.Behind = true
			return added
		default:
			s.told.add(p.Addr)
			added = append(added, p)
			s.Behind = s.Behind || i >= live // it is to be dropped
		}
	}
	return added
}

// refill returns the recent peers of the families of which there are few. "It must be
// drained from the recently seen list so it will not be sent again in the next message";
// as it is not among the known, the next message drops it. "The restriction that the
// same address must not be added and dropped within the same message must still be
// maintained."
func (s *State) refill(to Remote, k *Known, dropped []netip.AddrPort) (news []Peer) {
	var n4, n6 int
	for _, p := range k.Peers {
		if is4(p.Addr) {
			n4++
		} else {
			n6++
		}
	}
	from := s.recent
	for _, r := range k.Recent {
		s.recent = max(s.recent, r.Seq)
		few := n6 < FewPeers
		if is4(r.Addr) {
			few = n4 < FewPeers
		}
		if few && r.Seq > from && s.fits(to, k, r.Peer) && !connected(k, r.Addr) && !slices.Contains(dropped, r.Addr) {
			news = append(news, r.Peer)
		}
	}
	return news
}

func connected(k *Known, a netip.AddrPort) bool {
	return slices.ContainsFunc(k.Peers, func(p Peer) bool { return p.Addr == a })
}

// fits reports whether p is news, and of use to the remote.
func (s *State) fits(to Remote, k *Known, p Peer) bool {
	switch {
	case !p.Addr.IsValid() || p.Addr.Port() == 0 || p.Addr == to.Addr:
		return false
	case to.Seed && p.Flags&Seed != 0:
		return false
	}
	return to.Scope.may(k.Scope(p.Addr.Addr())) && !s.told.has(p.Addr)
}
