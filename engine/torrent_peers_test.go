package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/storage"
)

// known lets the torrent hear of peers' addresses.
func (tt *testTorrent) known(source Source, names ...string) {
	tt.t.Helper()
	var addrs []netip.AddrPort
	for _, n := range names {
		addrs = append(addrs, tt.at(n))
	}
	tt.tell(found{addrs, source})
}

// rest is how long an address rests that a tracker has named.
func rest(fails uint8) time.Duration {
	return (&candidate{source: SourceTracker, fails: fails}).retryAfter()
}

func TestKnownAddressesAreDialed(t *testing.T) {
	tt := leeching(t)
	tt.known(SourceTracker, "a", "b")
	tt.want("governor", "leave is asked for two dials", "dials 2")
	tt.want("a", "", "dial 45.13.97.7:6881")
	tt.want("b", "", "dial 45.13.98.7:6881")
	tt.shake("a")
	tt.want("governor", "a's slot is a connection's now", "over true")
	tt.want("events", "", "connected a")
	tt.leave("b", errRemote)
	tt.want("governor", "b's is free", "over false")
	tt.wantIdle("that was no connection", "events")
	if s := tt.stats(); s.Peers != 1 || s.Known != 2 || len(s.Failures) != 1 {
		t.Errorf("%d peers, %d known, failures %q", s.Peers, s.Known, s.Failures)
	}
	tt.leave("a", errRemote)
	tt.want("governor", "", "lost")
	tt.want("events", "", "gone a")
}

func TestFailedAddressesAreTriedAgainLater(t *testing.T) {
	tt := leeching(t)
	tt.known(SourceTracker, "a")
	tt.leave("a", errRemote)
	tt.forget()
	tt.pass(rest(1) - time.Millisecond)
	tt.wantIdle("it rests", "a")
	tt.pass(time.Millisecond)
	tt.want("a", "then it is tried again", "dial 45.13.97.7:6881")
	tt.known(SourceTracker, "b") // the timer is set for a, b comes sooner
	tt.leave("a", errRemote)
	tt.leave("b", errRemote)
	tt.forget()
	tt.pass(rest(1))
	tt.want("b", "each in its time", "dial 45.13.98.7:6881")
	tt.wantIdle("a rests longer now", "a")
	tt.pass(rest(2))
	tt.want("a", "", "dial 45.13.97.7:6881")
}

func TestDialsWaitForTheGovernor(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.dials = 1 })
	tt.known(SourceTracker, "a", "b", "c")
	tt.want("governor", "one is granted, the others stay wanted", "dials 3", "dials 2")
	tt.tell(pause{})
	tt.want("governor", "a paused torrent wants none", "dials 0", "over false")
	tt.tell(dialsGranted{2})
	tt.want("governor", "granted too late: given back", "over false", "over false")
}

func TestDialsAreBounded(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.caps.TorrentPeers = 20 })
	for i := range 30 {
		tt.known(SourceTracker, string(rune('A'+i)))
	}
	if n := tt.tor.swarm.dialing; n != dialWindow {
		t.Fatalf("%d dials at once, want %d", n, dialWindow)
	}
	for i := range 16 {
		if name := string(rune('A' + i)); tt.members[name] != nil {
			tt.shake(name)
		}
	}
	if n := len(tt.tor.swarm.list); n != 20 {
		t.Fatalf("%d connections, want 20", n)
	}
}

func TestConnectionsThatComeInAreAdmitted(t *testing.T) {
	tt := leeching(t)
	tt.knock("a")
	tt.want("governor", "", "took")
	tt.wantIdle("the handshake is not complete", "events")
	tt.shake("a")
	tt.want("events", "", "connected a")
	tt.state("a", func(s *peerState) { s.listen = 1234 })
	tt.forget()
	tt.pass(time.Hour)
	tt.wantIdle("it is known where it listens, and not dialed now", "governor")
	tt.leave("a", errRemote)
	tt.place("a", "45.13.97.7:1234")
	tt.pass(reconnectAfter)
	tt.want("a", "but when it has gone for a while", "end: the remote has gone", "dial 45.13.97.7:1234")
}

func TestFullTorrentRefuses(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.caps.TorrentPeers = 2 })
	tt.peer("a", 0)
	tt.peer("b")
	tt.knock("c")
	tt.want("c", "", "refused: no room for more peers")
	tt.pass(redundantAfter)
	tt.knock("c")
	tt.want("b", "nobody has a use for this one", "end: no room for more peers")
	tt.shake("c")
	tt.want("events", "", "connected a", "connected b", "gone b", "connected c")
}

func TestCrowdedSessionRefuses(t *testing.T) {
	tt := leeching(t)
	tt.peer("a")
	tt.knock("b", true)
	tt.want("b", "", "refused: no room for more peers")
	tt.pass(redundantAfter)
	tt.knock("b", true)
	tt.want("a", "it makes room", "end: no room for more peers")
	if tt.members["b"] == nil {
		t.Error("b was not taken")
	}
}

func TestOurselvesAreRefusedForGood(t *testing.T) {
	tt := leeching(t)
	tt.known(SourceTracker, "a")
	tt.shakeAs("a", ttOurID)
	tt.want("a", "", "dial 45.13.97.7:6881", "end: connected to ourselves")
	tt.known(SourceTracker, "a")
	tt.pass(time.Hour)
	tt.wantIdle("trackers name us again and again", "a")
	tt.known(SourceTracker, "b")
	tt.leave("b", &peerError{fault: faultWrong, err: errSelf})
	tt.forget()
	tt.known(SourceTracker, "b")
	tt.pass(time.Hour)
	tt.wantIdle("also if the peer has found out", "b")
}

func TestOneConnectionAnAddress(t *testing.T) {
	tt := leeching(t)
	tt.place("a", "45.13.1.1:1000")
	tt.place("b", "45.13.1.1:2000")
	tt.peer("a", 0)
	tt.knock("b")
	tt.want("b", "", "refused: already connected to this peer")
	tt.place("b", "45.13.1.1:2001")
	tt.known(SourceTracker, "b")
	tt.wantIdle("nor is it dialed", "b")
	tt.leave("a", errRemote)
	tt.pass(reconnectAfter)
	tt.want("b", "until there is room", "dial 45.13.1.1:2001")
}

func TestPrivateAddressesHoldSeveralPeers(t *testing.T) {
	for _, ip := range []string{"192.168.7.7", "127.0.0.1", "[fe80::1]", "[fd00::1]"} {
		tt := leeching(t)
		tt.place("a", ip+":1000")
		tt.place("b", ip+":2000")
		tt.peer("a", 0)
		tt.peer("b", 0)
		tt.want("events", ip, "connected a", "connected b")
	}
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.perIP = false })
	tt.place("a", "45.13.1.1:1000")
	tt.place("b", "45.13.1.1:2000")
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.want("events", "and where the user says so", "connected a", "connected b")
}

// dialEachOther lets us and a dial each other at once: at one end the first of the two
// connections is outgoing, at the other end incoming. It returns whether the one that
// we have made stays.
func dialEachOther(t *testing.T, first string, ours, theirs [20]byte) bool {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.ourID = ours })
	tt.place("out", "45.13.1.1:6881")
	tt.place("in", "45.13.1.1:40000")
	tt.known(SourceTracker, "out")
	link := &fakeLink{tt, "in", tt.at("in")}
	come := arrived{}
	come.Link, come.Handshake.PeerID = link, theirs
	tt.tell(come) // its handshake is on its way while our dial is under way
	second := map[string]string{"out": "in", "in": "out"}[first]
	tt.shakeAs(first, theirs)
	tt.shakeAs(second, theirs)
	tt.settle()
	if n := len(tt.tor.swarm.list); n != 1 {
		t.Fatalf("%d connections are left", n)
	}
	p := tt.tor.swarm.list[0]
	if !p.live || p.dial != ap("45.13.1.1:6881") {
		t.Fatalf("the one that is left: %+v", p)
	}
	tt.forget()
	tt.pass(time.Hour)
	tt.wantIdle("and it is not dialed again", "out")
	return !p.incoming
}

func TestBothEndsKeepTheSameConnection(t *testing.T) {
	small, large := ttID("aaaa"), ttID("zzzz")
	for _, first := range []string{"out", "in"} {
		if !dialEachOther(t, first, small, large) {
			t.Errorf("%s first: the smaller id must keep what it has made", first)
		}
		if dialEachOther(t, first, large, small) {
			t.Errorf("%s first: the larger id must keep what the other has made", first)
		}
	}
}

func TestOldConnectionOutlivesANewOneOfTheSamePeer(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.perIP = false })
	tt.place("a", "45.13.1.1:1000")
	tt.place("b", "45.13.1.1:2000")
	tt.peer("a", 0)
	tt.pass(bothDialing)
	tt.forget()
	tt.knock("b")
	tt.shakeAs("b", ttID("a"))
	tt.want("b", "", "end: already connected to this peer")
	tt.wantIdle("", "a")
	tt.known(SourceTracker, "b")
	tt.shakeAs("b", ttID("a"))
	tt.want("b", "whoever has made it", "dial 45.13.1.1:2000", "end: already connected to this peer")
	tt.pass(time.Hour)
	tt.wantIdle("now we know where a listens, and leave it alone", "b")
	tt.leave("a", errRemote)
	tt.pass(reconnectAfter)
	tt.want("b", "until it has gone", "dial 45.13.1.1:2000")
}

func TestSeedsPart(t *testing.T) {
	tt := leeching(t, having(1, 2, 3, 4, 5, 6, 7, 8, 9))
	tt.known(SourceTracker, "a")
	tt.shake("a")
	tt.report("a", func(r *report) { r.has = setOf(ttPieces) })
	tt.peer("b", 0)
	tt.peer("c", 1)
	tt.state("c", func(s *peerState) { s.uploadOnly = true })
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.want("a", "both have everything", "end: both sides are seeds")
	tt.want("b", "this one has not", "not interested", "have 0")
	tt.want("c", "this one wants nothing", "end: both sides are seeds")
	tt.known(SourceTracker, "a")
	tt.pass(time.Hour)
	tt.wantIdle("it is not dialed again", "a")
	tt.forget()
	tt.have("b", 1, 2, 3, 4, 5, 6, 7, 8, 9)
	tt.want("b", "now it has", "end: both sides are seeds")
	tt.seed("d")
	tt.want("d", "", "end: both sides are seeds")
}

func TestAvailabilityFollowsThePeers(t *testing.T) {
	tt := leeching(t)
	check := func(what string, seeds int32, avail ...int32) {
		t.Helper()
		if tt.tor.pieces.seeds != seeds {
			t.Errorf("%s: %d seeds, want %d", what, tt.tor.pieces.seeds, seeds)
		}
		for i, n := range avail {
			if got := tt.tor.pieces.avail[i]; got != n {
				t.Errorf("%s: piece %d is at %d, want %d", what, i, got, n)
			}
		}
	}
	tt.seed("s")
	check("a seed", 1)
	tt.peer("a", 0, 1)
	tt.peer("b", 1)
	check("two others", 1, 1, 2, 0)
	tt.have("b", 2)
	tt.have("b", 2)
	check("a have that is said twice", 1, 1, 2, 1)
	if a := tt.stats().Availability; a < 1 || a >= 2 {
		t.Errorf("availability %v", a)
	}
	tt.have("b", 0, 3, 4, 5, 6, 7, 8, 9)
	check("b has become a seed", 2, 1, 1, 0, 0)
	tt.leave("b", errRemote)
	check("b has gone", 1, 1, 1, 0)
	tt.leave("a", errRemote)
	tt.leave("s", errRemote)
	check("all have", 0, 0, 0, 0)

	// What a peer says that has gone counts no more.
	r := reports.Get()
	r.peer = tt.members["a"].cfg.id
	r.haves = append(r.haves, 5)
	tt.tell(r)
	if tt.tor.pieces.avail[5] != 0 {
		t.Error("a peer that has gone was counted")
	}
}

func TestInterestFollowsWhatIsMissing(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.peer("b")
	tt.want("a", "it has something", "interested")
	tt.wantIdle("it has nothing", "b")
	tt.have("b", 0)
	tt.want("b", "", "interested")
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.want("a", "no longer", "not interested", "have 0")
	tt.want("b", "no longer", "not interested", "have 0")
}

func TestHavesAreSwept(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.need("a", 12)
	tt.deliver("a", "0:0+4", "1:0+4", "2:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.want("a", "the first at once", "have 0")
	tt.pieceOK(1)
	tt.pieceOK(2)
	tt.wantIdle("others are gathered", "a")
	tt.pass(havesEvery)
	tt.want("a", "", "have 1", "have 2")
	tt.peer("b")
	tt.wantIdle("b was given the set when it came", "b")
}

func TestLimitsReachThePeers(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.forget()
	tt.tell(limitsChanged{limited{down: true}, 0})
	tt.want("a", "", "limited true false")
	tt.tell(limitsChanged{limited{down: true}, 5000})
	tt.wantIdle("nothing new for it", "a")
	tt.peer("b", 0)
	if !tt.members["b"].cfg.lim.down {
		t.Error("a new peer must know from the beginning")
	}
	limit := func(name string) error {
		return tt.ask(func(r actor.Ref[error]) torrentMsg { return limitPeer{tt.at(name), Limits{5, 6}, r} })
	}
	if err := limit("a"); err != nil {
		t.Error(err)
	}
	tt.want("governor", "one peer's limit", "took", "limit peer {5 6}")
	if err := limit("z"); !errors.Is(err, ErrNoPeer) {
		t.Errorf("z is not connected: %v", err)
	}
}

func TestFailuresAreKeptBounded(t *testing.T) {
	tt := leeching(t)
	for i := range 3 * keepFailures {
		tt.known(SourceTracker, string(rune('A'+i)))
		tt.leave(string(rune('A'+i)), fmt.Errorf("failure %d", i))
	}
	f := tt.stats().Failures
	if len(f) != keepFailures || f[keepFailures-1] != "45.13.88.7:6881: failure 23" {
		t.Errorf("%d failures kept: %q", len(f), f)
	}
}

func TestAFailureNamesItsPeerOnce(t *testing.T) {
	at := netip.MustParseAddrPort("45.13.88.7:6881")
	err := fmt.Errorf("it ended: %w", &peerError{faultDial, at, "", errRemote})
	if got, want := failureOf(at, err), "45.13.88.7:6881: "+errRemote.Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAFailureIsToldOnce(t *testing.T) {
	var s swarm
	for _, why := range []string{"a", "b", "c"} {
		s.noteFailure(why)
	}
	read := s.failures
	s.noteFailure("b")
	if got := s.failures; !slices.Equal(got, []string{"a", "c", "b"}) || !slices.Equal(read, []string{"a", "b", "c"}) {
		t.Errorf("%q, and who read before has %q", got, read)
	}
}

func TestConnectionsDuringACheckAreRefused(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.disk.opened.Unknown = setOf(ttPieces) })
	tt.knock("a")
	tt.want("a", "", "refused: torrent paused")
	tt.known(SourceTracker, "b")
	tt.wantIdle("nor is anybody dialed", "b")
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1)})
	tt.want("b", "until it is over", "dial 45.13.98.7:6881")
}

// TestPeersMakeWayByPriority is BEP 40: who is ranked above those that are connected
// gets in although the torrent is full, and they do not come back for the same place.
func TestPeersMakeWayByPriority(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.caps.TorrentPeers = 2 })
	tt.tor.knowOwn(netip.MustParseAddr("45.13.200.1"))
	rank := func(name string) uint32 { return peerPriority(tt.tor.swarm.book.own, tt.at(name)) }
	// Names from the highest rank to the lowest.
	names := strings.Split("abcdef", "")
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(rank(b), rank(a)) })
	first, second, third, last := names[0], names[1], names[2], names[5]
	tt.peer(third, 0, 1)
	tt.peer(second, 0, 1)
	tt.knock(first)
	tt.want(first, "nobody is replaced in its first minute", "refused: no room for more peers")
	tt.pass(replaceAfter)
	tt.knock(last)
	tt.want(last, "its rank is too low", "refused: no room for more peers")
	tt.knock(first)
	tt.want(third, "of those who are there the lowest", "interested", "end: no room for more peers")
}

// TestNothingIsWantedBehindHaves: that we want nothing more is said when peers know all
// that we have, or they leave before they have got it.
func TestNothingIsWantedBehindHaves(t *testing.T) {
	tt := leeching(t, having(2, 3, 4, 5, 6, 7, 8, 9))
	tt.peer("a", 0, 1)
	tt.peer("b", 2)
	tt.need("a", 8)
	tt.deliver("a", "0:0+4", "1:0+4")
	tt.pieceOK(0)
	tt.pieceOK(1)
	tt.forget()
	if b := tt.members["b"]; tt.tor.life.state != Seeding || b.told.uploadOnly {
		t.Fatalf("%v; b knows that nothing is wanted: %v, but not of the last piece", tt.tor.life.state, b.told.uploadOnly)
	}
	tt.pass(havesEvery)
	tt.want("b", "", "have 1")
	if !tt.members["b"].told.uploadOnly {
		t.Fatal("b knows all, but not that nothing is wanted")
	}
}

// What comes of a peer after it was sent away was fetched in vain: who adds up what came
// and what was of use shall find it.
func TestWhatComesTooLateIsWasted(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0, 1)
	tt.need("a", 8)
	tt.deliver("a", "0:0+4")
	before := tt.stats()
	tt.tor.drop(tt.tor.swarm.byID[tt.members["a"].cfg.id], errFull)
	tt.report("a", func(r *report) {
		tt.members["a"].bring(r, 0, runsOf(t, "1:0+2"))
		r.state.down += 100
		r.wasted += 100
	})
	s := tt.stats()
	if came := s.Down - before.Down; came <= 100 || s.Wasted-before.Wasted != came {
		t.Errorf("%d bytes came, %d are counted as wasted", came, s.Wasted-before.Wasted)
	}
}
