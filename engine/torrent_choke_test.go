package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/tracker"
)

// spyChoker keeps what it is shown, and grants what the test says.
type spyChoker struct {
	views  []choker.View
	grants []choker.Grant
	round  choker.Time // when the next one begins
	gone   []uint32
}

func (s *spyChoker) Decide(v *choker.View, out []choker.Grant) ([]choker.Grant, choker.Duration) {
	keep := *v
	keep.Peers = append([]choker.Peer(nil), v.Peers...)
	s.views = append(s.views, keep)
	if v.Now >= s.round {
		s.round = v.Now.Add(choker.Round)
	}
	if len(v.Peers) == 0 {
		return out, 0
	}
	return append(out, s.grants...), s.round.Sub(v.Now)
}

func (s *spyChoker) Forget(id uint32) { s.gone = append(s.gone, id) }

// last is what the spy saw of a peer the last time.
func (s *spyChoker) last(tt *testTorrent, name string) choker.Peer {
	tt.t.Helper()
	for _, p := range s.views[len(s.views)-1].Peers {
		if p.ID == uint32(tt.members[name].cfg.id) {
			return p
		}
	}
	tt.t.Fatalf("%s was not shown", name)
	return choker.Peer{}
}

func spied(t *testing.T, change ...func(*testTorrent)) (*testTorrent, *spyChoker) {
	tt := leeching(t, change...)
	spy := &spyChoker{}
	tt.tor.choke.strategy = spy
	return tt, spy
}

func (tt *testTorrent) interested(name string, on bool) {
	tt.t.Helper()
	tt.state(name, func(s *peerState) { s.interested = on })
}

// What a peer has given counts for a whole round, whatever happens in between.
func TestMeritLastsForARound(t *testing.T) {
	tt, spy := spied(t)
	tt.peer("a", 0, 1)
	tt.peer("b")
	tt.interested("a", true)
	tt.pass(choker.Round) // the first round ends
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.pass(choker.Round - time.Second)
	tt.interested("b", true) // just before the round ends
	if got := spy.last(tt, "a").RoundDown; got != ttPieceLen {
		t.Errorf("between rounds a has given %d", got)
	}
	tt.pass(time.Second)
	if got := spy.last(tt, "a").RoundDown; got != ttPieceLen {
		t.Errorf("at the end of the round a has given %d, want %d", got, ttPieceLen)
	}
	tt.pass(choker.Round)
	if got := spy.last(tt, "a"); got.RoundDown != 0 || got.DownTotal != ttPieceLen {
		t.Errorf("in the next round %d, in all %d", got.RoundDown, got.DownTotal)
	}
}

func TestChokerIsAskedWhenSomethingChanges(t *testing.T) {
	tt, spy := spied(t)
	asked := func(why string, f func()) {
		t.Helper()
		n := len(spy.views)
		f()
		if len(spy.views) != n+1 {
			t.Errorf("%s: asked %d times", why, len(spy.views)-n)
		}
	}
	asked("a peer", func() { tt.knock("a"); tt.shake("a") })
	asked("interest", func() { tt.interested("a", true) })
	asked("slots", func() { tt.tell(slots{3}) })
	asked("time", func() { tt.pass(choker.Round) })
	spy.grants = []choker.Grant{{ID: uint32(tt.members["a"].cfg.id), Weight: 1, Budget: 1000}}
	asked("no interest", func() { tt.interested("a", false) })
	n := len(spy.views)
	tt.state("a", func(s *peerState) { s.up = 999 })
	if len(spy.views) != n {
		t.Error("the budget is not spent")
	}
	asked("a budget", func() { tt.state("a", func(s *peerState) { s.up = 1000 }) })
	spy.grants = nil
	asked("the end", func() { tt.leave("a", errRemote) })
	if v := spy.views[len(spy.views)-1]; v.Slots != 3 || len(v.Peers) != 0 || len(spy.gone) != 1 {
		t.Errorf("%d slots, %d peers, forgotten %v", v.Slots, len(v.Peers), spy.gone)
	}
	n = len(spy.views)
	tt.pass(10 * choker.Round)
	if len(spy.views) > n+1 {
		t.Error("nobody is there to decide about")
	}
}

func TestChokerSeesTheTorrent(t *testing.T) {
	tt, spy := spied(t)
	tt.tell(limitsChanged{limited{up: true}, 12345})
	tt.seed("a")
	tt.peer("b", 0, 1)
	tt.state("b", func(s *peerState) { s.interested, s.chokesUs, s.snubbed = true, true, true })
	v := spy.views[len(spy.views)-1]
	if v.UpCap != 12345 || v.Pieces != ttPieces || v.PieceLen != ttPieceLen || v.Seeding {
		t.Errorf("view %+v", v)
	}
	a, b := spy.last(tt, "a"), spy.last(tt, "b")
	if !a.Seed || !a.Interesting || !a.UnchokesUs || a.Pieces != ttPieces {
		t.Errorf("a: %+v", a)
	}
	if b.Seed || !b.Interested || b.UnchokesUs || !b.Snubbed || b.Pieces != 2 {
		t.Errorf("b: %+v", b)
	}
}

func TestGrantsUnchoke(t *testing.T) {
	tt, spy := spied(t)
	tt.peer("a")
	tt.peer("b")
	tt.forget()
	grant := func(name string) choker.Grant { return choker.Grant{ID: uint32(tt.members[name].cfg.id), Weight: 1} }
	spy.grants = []choker.Grant{grant("a"), {ID: 4711, Weight: 1}}
	tt.interested("a", true)
	tt.want("a", "", "unchoke")
	tt.wantIdle("no slot for it", "b")
	spy.grants = []choker.Grant{grant("b")}
	tt.pass(choker.Round)
	tt.want("a", "", "choke")
	tt.want("b", "", "unchoke")
	if s := tt.stats(); s.Unchoked != 1 {
		t.Errorf("%d unchoked", s.Unchoked)
	}
	changed := tt.w.Now()
	tt.pass(choker.Round)
	if got := spy.last(tt, "a").Changed; got != changed {
		t.Error("when it was choked is not known")
	}
}

// The real choker, over rounds: who gives gets a slot.
func TestTitForTatRewardsWhoGives(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.caps.UploadSlots = 3 })
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, n := range names {
		tt.peer(n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		tt.have(n) // nothing: seeds would not be unchoked
	}
	for _, n := range names {
		e := tt.tor.swarm.byID[tt.members[n].cfg.id]
		tt.tor.uncountPeer(e)
		e.has, e.seed = setOf(ttPieces, 0), false
		tt.tor.countAvail(e.has, 1)
		tt.interested(n, true)
	}
	down := map[string]int64{}
	served := map[string]int{}
	for round := range 40 {
		for i, n := range names[:2] {
			down[n] += int64(i+1) << 20
			tt.state(n, func(s *peerState) { s.down = down[n] })
		}
		tt.pass(choker.Round)
		for _, n := range names {
			if round > 3 && tt.members[n].told.unchoke {
				served[n]++
			}
		}
	}
	if served["a"] < 34 || served["b"] < 34 {
		t.Errorf("those who give were unchoked in %d and %d of 36 rounds", served["a"], served["b"])
	}
	for _, n := range names[2:] {
		if served[n] == 0 || served[n] > 20 {
			t.Errorf("%s gives nothing and was unchoked in %d of 36 rounds", n, served[n])
		}
	}
}

func TestDemandIsTold(t *testing.T) {
	var told []demand
	tt := newTestTorrent(t, func(tt *testTorrent) {
		real := tt.cfg.governor
		tt.cfg.governor = actor.FuncRef(func(m governorMsg) {
			if d, ok := m.(demand); ok {
				told = append(told, d)
			}
			real.Tell(m)
		})
	})
	tt.peer("a")
	tt.interested("a", true)
	tt.pass(choker.Round - time.Second)
	tt.state("a", func(s *peerState) { s.up = 1 << 20 })
	tt.pass(time.Second)
	if n := len(told); n == 0 || told[n-1].upRate == 0 {
		t.Errorf("told %+v", told)
	}
	tt.pass(choker.Round)
	n := len(told)
	tt.pass(choker.Round)
	if len(told) != n || told[n-1].upRate != 0 {
		t.Errorf("nothing moves, so nothing is to be told: %+v", told[n-1:])
	}
}

func TestTrackersFillTheAddressBook(t *testing.T) {
	tt := leeching(t, withTracker)
	a, b := tt.at("a"), netip.MustParseAddrPort("192.168.3.4:5")
	tt.tell(announced{tracker.Found{Peers: []netip.AddrPort{a}, ExternalIP: netip.MustParseAddr("45.13.200.1")}})
	tt.tell(announced{tracker.Found{Peers: []netip.AddrPort{b}, Local: true}})
	book := &tt.tor.swarm.book
	if book.byAddr[a].source != SourceTracker || book.byAddr[b].source != SourceLocalTracker {
		t.Error("a private tracker may name private addresses, and others may not")
	}
	if book.own != netip.MustParseAddrPort("45.13.200.1:6881") || book.byAddr[a].rank == 0 {
		t.Errorf("BEP 40's rank of a is unknown, we are %v", book.own)
	}
	want := tt.tor.facts()
	if want.Wanted <= 0 || want.Left != ttTotal {
		t.Errorf("facts %+v", want)
	}
}

func TestTrackersHearTheCounters(t *testing.T) {
	tt := leeching(t, withTracker)
	tt.seed("a")
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.pieceOK(0)
	tt.leave("a", errRemote)
	tt.forget()
	tt.pass(time.Hour)
	if !tt.has("tracker", "none left 565248") {
		t.Error("the hourly announce told something else")
	}
	tt.tell(announcerDown{})
	tt.ask(pausing)
	tt.ask(resuming)
	tt.want("tracker", "a new announcer takes the place of one that has crashed", "started left 565248")
}

func TestTrackerReports(t *testing.T) {
	tt := newTestTorrent(t, withTracker)
	s := tt.tor.news.stats(tt.w.Now())
	if len(s) != 1 || s[0].State != "working" || s[0].Seeds != 1 || s[0].Next <= 0 {
		t.Errorf("reports %+v", s)
	}
}

func TestTrackersAreAddedOnce(t *testing.T) {
	tt := leeching(t)
	for range 3 {
		tt.ask(func(r actor.Ref[error]) torrentMsg { return addTrackers{[]string{"http://more.test/a"}, r} })
	}
	tt.want("tracker", "", "started left 630784")
	if err := tt.ask(announce); err != nil {
		t.Error(err)
	}
	many := make([]string, 2*tracker.MaxTrackers)
	for i := range many {
		many[i] = "http://t" + string(rune('0'+i%10)) + string(rune('a'+i/10)) + ".test/a"
	}
	tt.ask(func(r actor.Ref[error]) torrentMsg { return addTrackers{many, r} })
	if n := len(tt.tor.cfg.extra); n != tracker.MaxTrackers {
		t.Errorf("%d trackers", n)
	}
}
