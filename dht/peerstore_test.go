package dht

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

func minutes(n int) clock.Time { return clock.Time(n) * clock.Time(time.Minute) }

// guest is the i-th peer.
func guest(i int) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 45<<24+uint32(i))
	return netip.AddrPortFrom(netip.AddrFrom4(b), 6881)
}

// hashOf is the i-th info-hash, close to the zero id for small i.
func hashOf(i int) (id ID) {
	binary.BigEndian.PutUint32(id[:], uint32(i))
	return id
}

func TestPeersAreKeptPerTorrent(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	rnd := random(1)
	s.Announce(hashOf(1), guest(1), false, 0)
	s.Announce(hashOf(2), guest(2), false, 0)
	s.Announce(hashOf(1), guest(3), true, 0)
	got := s.Peers(nil, hashOf(1), 50, false, rnd, 0)
	slices.SortFunc(got, netip.AddrPort.Compare)
	if !slices.Equal(got, []netip.AddrPort{guest(1), guest(3)}) {
		t.Errorf("peers of the first are %v", got)
	}
	if got := s.Peers(nil, hashOf(1), 50, true, rnd, 0); !slices.Equal(got, []netip.AddrPort{guest(1)}) {
		t.Errorf("no seeds are wanted: %v", got)
	}
	if got := s.Peers(nil, hashOf(3), 50, false, rnd, 0); len(got) != 0 {
		t.Errorf("peers of nothing: %v", got)
	}
	if torrents, peers := s.Len(); torrents != 2 || peers != 3 {
		t.Errorf("%d torrents, %d peers", torrents, peers)
	}
}

// BEP 33: "<Infohash,IP> tuples in the database must be unique while port numbers, seed
// status and other values may be updated."
func TestAnAddressIsOnePeer(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	s.Announce(hashOf(1), ap("45.1.1.1:1"), false, 0)
	s.Announce(hashOf(1), ap("[::ffff:45.1.1.1]:2"), true, 0)
	got := s.Peers(nil, hashOf(1), 9, false, random(1), 0)
	if !slices.Equal(got, []netip.AddrPort{ap("45.1.1.1:2")}) {
		t.Errorf("%v", got)
	}
	var seeds, peers Bloom
	if !s.Scrape(hashOf(1), &seeds, &peers, 0) || !seeds.Contains(addr("45.1.1.1")) || peers != (Bloom{}) {
		t.Error("it is a seed now, and no other peer")
	}
	if s.Scrape(hashOf(2), &seeds, &peers, 0) {
		t.Error("a scrape of nothing")
	}
}

// One machine may run several programs: at local addresses each port is a peer.
func TestALocalAddressAndPortIsOnePeer(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{PerTorrent: 3})
	for _, a := range []string{"127.0.0.1:1", "127.0.0.1:2", "192.168.0.1:1", "127.0.0.1:1"} {
		if !s.Announce(hashOf(1), ap(a), false, 0) {
			t.Errorf("%s was refused", a)
		}
	}
	if s.Announce(hashOf(1), ap("127.0.0.1:3"), false, 0) {
		t.Error("more than are kept of one torrent")
	}
	if _, peers := s.Len(); peers != 3 {
		t.Errorf("%d peers", peers)
	}
}

func TestPeersExpire(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	rnd := random(1)
	for i := range 10 {
		s.Announce(hashOf(1), guest(i), false, 0)
	}
	s.Announce(hashOf(2), guest(1), false, 0)
	for i := range 4 {
		s.Announce(hashOf(1), guest(i), false, minutes(20))
	}
	if got := s.Peers(nil, hashOf(1), 50, false, rnd, minutes(31)); len(got) != 4 {
		t.Errorf("%d peers are given out", len(got))
	}
	var seeds, peers Bloom
	if s.Scrape(hashOf(2), &seeds, &peers, minutes(31)); peers != (Bloom{}) {
		t.Error("expired peers are counted")
	}
	s.Expire(minutes(31))
	if torrents, peers := s.Len(); torrents != 1 || peers != 4 {
		t.Errorf("%d torrents, %d peers are left", torrents, peers)
	}
	s.Expire(minutes(60))
	if torrents, peers := s.Len(); torrents != 0 || peers != 0 {
		t.Errorf("%d torrents, %d peers are left", torrents, peers)
	}
}

func TestPeersAreDrawnEvenly(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	rnd := random(1)
	for i := range 100 {
		s.Announce(hashOf(1), guest(i), false, 0)
	}
	seen := map[netip.AddrPort]int{}
	for range 2000 {
		got := s.Peers(nil, hashOf(1), 10, false, rnd, 0)
		slices.SortFunc(got, netip.AddrPort.Compare)
		if len(slices.Compact(got)) != 10 {
			t.Fatalf("drawn twice: %v", got)
		}
		for _, a := range got {
			seen[a]++
		}
	}
	for i := range 100 {
		if n := seen[guest(i)]; n < 140 || n > 260 { // 200 expected, sigma 13
			t.Errorf("peer %d was drawn %d times", i, n)
		}
	}
}

// "This can be achieved by not responding with tokens to get_peers requests for an
// infohash which has reached this limit."
func TestAFullTorrentTakesOnlyThoseItKnows(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{PerTorrent: 3})
	for i := range 3 {
		if !s.Accepts(hashOf(1), guest(i).Addr()) || !s.Announce(hashOf(1), guest(i), false, 0) {
			t.Fatalf("peer %d is refused", i)
		}
	}
	if s.Accepts(hashOf(1), guest(3).Addr()) || s.Announce(hashOf(1), guest(3), false, 0) {
		t.Error("the fourth is taken")
	}
	if !s.Accepts(hashOf(1), guest(1).Addr()) || !s.Announce(hashOf(1), guest(1), true, minutes(9)) {
		t.Error("one that is there cannot stay")
	}
}

func TestAFloodOfHashesPushesOutItselfNotASwarm(t *testing.T) {
	rnd := random(1)
	s := NewPeerStore(RandomID(rnd), PeerLimits{Torrents: 100, Peers: 500})
	for i := range 50 {
		s.Announce(hashOf(1), guest(i), false, 0)
	}
	for i := range 20_000 {
		s.Announce(RandomID(rnd), guest(i%7), false, clock.Time(i))
	}
	if torrents, peers := s.Len(); torrents != 100 || peers > 500 {
		t.Errorf("%d torrents, %d peers", torrents, peers)
	}
	if got := s.Peers(nil, hashOf(1), 100, false, rnd, 20_000); len(got) != 50 {
		t.Errorf("%d peers of the swarm are left", len(got))
	}
}

func TestAllPeersTogetherAreBounded(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{Torrents: 10, PerTorrent: 50, Peers: 100})
	for i := range 10_000 {
		s.Announce(hashOf(i%20), guest(i), false, 0)
		if torrents, peers := s.Len(); torrents > 10 || peers > 100 {
			t.Fatalf("%d torrents, %d peers", torrents, peers)
		}
	}
	// Alone in the store, a torrent has nobody to push out.
	alone := NewPeerStore(ID{}, PeerLimits{Peers: 2})
	for i := range 3 {
		if got := alone.Announce(hashOf(1), guest(i), false, 0); got != (i < 2) {
			t.Errorf("peer %d is taken: %v", i, got)
		}
	}
}

func TestAddressesThatCannotBeAreNotStored(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	for _, a := range []netip.AddrPort{ap("0.0.0.0:1"), ap("45.1.1.1:0"), ap("[ff02::1]:1")} {
		if s.Announce(hashOf(1), a, false, 0) {
			t.Errorf("%v is stored", a)
		}
	}
	if torrents, peers := s.Len(); torrents != 0 || peers != 0 {
		t.Errorf("%d torrents, %d peers", torrents, peers)
	}
}

func TestForgetDropsATorrent(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	s.Announce(hashOf(1), guest(1), false, 0)
	s.Announce(hashOf(2), guest(1), false, 0)
	s.Forget(hashOf(1))
	s.Forget(hashOf(9))
	if torrents, peers := s.Len(); torrents != 1 || peers != 1 {
		t.Errorf("%d torrents, %d peers", torrents, peers)
	}
}

func TestSamplesOfAFewAreAll(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	rnd := random(1)
	if ids, interval, num := s.Samples(rnd, 0); len(ids) != 0 || interval != 0 || num != 0 {
		t.Errorf("%v %d %d of nothing", ids, interval, num)
	}
	for i := range 5 {
		s.Announce(hashOf(i), guest(1), false, 0)
	}
	if ids, interval, num := s.Samples(rnd, 0); len(ids) != 5 || interval != 0 || num != 5 {
		t.Errorf("%v %d %d", ids, interval, num)
	}
}

// BEP 51: "The fact that the precomputed set will not change within that interval should
// discourage them from doing that since they will not gain any new data."
func TestSamplesOfManyStayForAWhile(t *testing.T) {
	s := NewPeerStore(ID{}, PeerLimits{})
	rnd := random(1)
	for i := range 200 {
		s.Announce(hashOf(i), guest(1), false, 0)
	}
	ids, interval, num := s.Samples(rnd, 0)
	first := slices.Clone(ids)
	if len(ids) != sampleSize || interval != 600 || num != 200 {
		t.Errorf("%d ids, %d s, %d", len(ids), interval, num)
	}
	ids, interval, _ = s.Samples(rnd, minutes(4))
	if !slices.Equal(ids, first) || interval != 360 {
		t.Errorf("after 4 minutes: another sample, or %d s", interval)
	}
	ids, interval, _ = s.Samples(rnd, minutes(10))
	if slices.Equal(ids, first) || interval != 600 {
		t.Errorf("after 10 minutes: the same sample, or %d s", interval)
	}
	seen := map[ID]bool{}
	for i := range 200 {
		ids, _, _ = s.Samples(rnd, minutes(10*i))
		for _, id := range ids {
			seen[id] = true
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d of 200 were ever drawn", len(seen))
	}
}

// FuzzStores announces and puts whatever bytes say; memory stays bounded and the counts
// right.
func FuzzStores(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 201, 202})
	f.Fuzz(func(t *testing.T, ops []byte) {
		l := PeerLimits{Torrents: 4, PerTorrent: 5, Peers: 12}
		ps, is := NewPeerStore(ID{}, l), NewItemStore(ID{}, ItemLimits{Items: 3})
		rnd, now := random(1), clock.Time(0)
		for i := 0; i+2 < len(ops); i += 3 {
			now = now.Add(time.Duration(ops[i]>>4) * time.Minute)
			hash, a := hashOf(int(ops[i+1])), guest(int(ops[i+2]))
			switch ops[i] & 7 {
			case 0, 1, 2, 3:
				ps.Announce(hash, a, ops[i+2]&1 == 1, now)
			case 4:
				ps.Expire(now)
				is.Expire(now)
			case 5:
				ps.Forget(hash)
			case 6:
				is.Put(&Msg{Kind: KindQuery, Method: MethodPut, V: []byte{'1', ':', ops[i+1]}}, now)
			case 7:
				ps.Samples(rnd, now)
				ps.Peers(nil, hash, 3, false, rnd, now)
			}
			checkStores(t, &ps, &is, l)
		}
	})
}

func checkStores(t *testing.T, ps *PeerStore, is *ItemStore, l PeerLimits) {
	t.Helper()
	n := 0
	for i := range ps.torrents {
		n += len(ps.torrents[i].peers)
		if len(ps.torrents[i].peers) > l.PerTorrent || len(ps.torrents[i].peers) == 0 {
			t.Fatalf("a torrent of %d peers", len(ps.torrents[i].peers))
		}
	}
	byHash := func(a, b torrent) int { return compareBytes(a.hash, b.hash) }
	if torrents, peers := ps.Len(); n != peers || n > l.Peers || torrents > l.Torrents || !slices.IsSortedFunc(ps.torrents, byHash) {
		t.Fatalf("%d torrents, %d peers, counted %d", torrents, peers, n)
	}
	if is.Len() > 3 {
		t.Fatalf("%d items", is.Len())
	}
}

// What is given up first depends on where we are.
func TestAStoreFollowsTheNode(t *testing.T) {
	for _, own := range []int{1, 900} {
		s := NewPeerStore(ID{}, PeerLimits{Torrents: 2})
		s.SetOwn(hashOf(own))
		s.Announce(hashOf(0), guest(1), false, 0)
		s.Announce(hashOf(901), guest(1), false, 0)
		s.Announce(hashOf(500), guest(1), false, 0)
		_, near := s.find(hashOf(0))
		if _, far := s.find(hashOf(901)); near != (own == 1) || far == near {
			t.Errorf("at %d: 0 is kept: %v, 901: %v", own, near, far)
		}
	}
}
