package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/metainfo"
)

// abroad is what a torrent finds peers by, played by the test: what it is told is heard
// as "finders", "dht4", "dht6" and "lsd".
type abroad struct {
	tt     *testTorrent
	at     sources
	asked  [2]dht.GetPeers
	manual bool // turns are given by the test
	turn   actor.Ref[turn]
	lsd    actor.Ref[lsd.Found]
}

// searching makes a torrent that has a DHT and a local network.
func searching(t testing.TB, change ...func(*testTorrent)) (*testTorrent, *abroad) {
	t.Helper()
	a := &abroad{}
	tt := newTestTorrent(t, append(change, func(tt *testTorrent) {
		a.tt = tt
		a.at = sources{finders: actor.FuncRef(a.onFinders), lsd: actor.FuncRef(a.onLSD), dhtPort: [2]uint16{6881, 6882}, dhtUp: true}
		for i := range a.at.dht {
			a.at.dht[i] = actor.FuncRef(func(m dht.Message) { a.onDHT(i, m) })
		}
		tt.cfg.sources = a.at
	})...)
	return tt, a
}

func (a *abroad) onFinders(m findersMsg) {
	switch m := m.(type) {
	case wantTurn:
		a.turn = m.reply
		a.tt.say("finders", "turn%s", map[bool]string{true: " urgent"}[m.urgent])
		if !a.manual {
			a.tt.w.After(0, func() { m.reply.Tell(turn{}) })
		}
	case turnOver:
		a.tt.say("finders", "over")
	}
}

func (a *abroad) onDHT(i int, m dht.Message) {
	who := fmt.Sprintf("dht%d", 4+2*i)
	switch m := m.(type) {
	case dht.GetPeers:
		a.asked[i] = m
		if m.Hash != a.tt.cfg.meta.Hash.V1 {
			a.tt.say(who, "another hash")
		}
		a.tt.say(who, "get%s%s", map[bool]string{true: fmt.Sprint(" announce ", m.Port)}[m.Announce], map[bool]string{true: " seed"}[m.Seed])
	case dht.Cancel:
		a.tt.say(who, "cancel")
	case dht.Forget:
		a.tt.say(who, "forget")
	case dht.AddNodes:
		a.tt.say(who, "nodes %v", m.Addrs)
	case dht.AddHosts:
		a.tt.say(who, "hosts %v", m.Hosts)
	}
}

func (a *abroad) onLSD(m lsd.Message) {
	switch m := m.(type) {
	case lsd.Add:
		a.lsd = m.Reply
		a.tt.say("lsd", "add")
	case lsd.Remove:
		a.tt.say("lsd", "remove")
	}
}

// found lets a node find peers, end lets its lookup end.
func (a *abroad) found(i int, addrs ...string) {
	var list []netip.AddrPort
	for _, s := range addrs {
		list = append(list, ap(s))
	}
	a.asked[i].Reply.Tell(dht.PeersFound{ID: a.asked[i].ID, Addrs: list})
	a.tt.settle()
}

func (a *abroad) end(i int) {
	a.asked[i].Reply.Tell(dht.LookupDone{ID: a.asked[i].ID, Effort: dht.Effort{Queried: 10, Replied: 7}})
	a.tt.settle()
}

// endBoth lets both lookups end.
func (a *abroad) endBoth() { a.end(0); a.end(1) }

// told is what the torrent hears of the finders.
func (a *abroad) told(change func(*sources)) {
	change(&a.at)
	a.tt.child.Ref.Notify(a.at)
	a.tt.settle()
}

func TestATorrentIsLookedUpAtOnceAndByItsTurn(t *testing.T) {
	tt, a := searching(t, func(tt *testTorrent) { tt.cfg.peers = []found{{[]netip.AddrPort{tt.at("p")}, SourceUser}} })
	tt.want("finders", "it asks for its turn", "turn")
	tt.want("dht4", "and looks and announces itself", "get announce 6881")
	tt.want("dht6", "at both nodes", "get announce 6881")
	tt.want("lsd", "and in the local network", "add")
	a.found(0, "45.9.9.9:1", "45.9.9.8:1")
	if !tt.has("45.9.9.9:1", "dial") || !tt.has("45.9.9.8:1", "dial") {
		t.Error("who was found is not dialed")
	}
	a.end(0)
	tt.wantIdle("the other node is still looking", "finders")
	a.end(1)
	tt.want("finders", "the turn is over", "over")
	a.found(0, "45.9.9.7:1")
	if tt.stats().Known != 3 {
		t.Error("an answer that is over counts")
	}
}

func TestShortOfPeersItLooksSoonerAndEverLess(t *testing.T) {
	tt, a := searching(t)
	var at []time.Duration
	for range 1200 {
		if tt.has("dht4", "get") {
			at = append(at, time.Duration(tt.w.Now()))
			a.endBoth()
		}
		tt.pass(3 * time.Second)
	}
	var gaps []string
	for i := 1; i < len(at); i++ {
		gaps = append(gaps, (at[i] - at[i-1]).String())
	}
	if n := len(at); n < 8 || n > 11 || at[1]-at[0] > 20*time.Second {
		t.Errorf("%d lookups in an hour, after each other by %v", n, gaps)
	}
	for i := 2; i < len(at); i++ {
		if now, was := at[i]-at[i-1], at[i-1]-at[i-2]; now+3*time.Minute < was {
			t.Errorf("sooner again: %v", gaps)
		}
	}
}

func TestWhoHasPeersLooksEveryQuarterOfAnHour(t *testing.T) {
	tt, a := searching(t)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		tt.peer(name, 0)
	}
	tt.forget()
	a.endBoth()
	n := 0
	for range 3 * 60 {
		if tt.has("dht4", "get") {
			n++
			a.endBoth()
		}
		tt.pass(time.Minute)
	}
	if n < 10 || n > 14 {
		t.Errorf("%d lookups in three hours", n)
	}
}

func TestASeedAnnouncesItself(t *testing.T) {
	tt, a := searching(t, having())
	tt.want("dht4", "as a seed", "get announce 6881 seed")
	a.endBoth()
	tt.forget()
	tt.pass(12 * time.Minute)
	tt.wantIdle("it needs nobody", "dht4", "finders")
	tt.pass(6 * time.Minute)
	tt.want("finders", "but must be found", "turn")
}

func TestWhoDoesNotListenAnnouncesNothing(t *testing.T) {
	tt, _ := searching(t, func(tt *testTorrent) { tt.cfg.port = 0 })
	tt.want("dht4", "it only looks", "get")
}

func TestPauseEndsTheSearch(t *testing.T) {
	tt, a := searching(t)
	tt.forget()
	tt.ask(func(r actor.Ref[error]) torrentMsg { return pause{r} })
	tt.want("dht4", "what runs is taken back", "cancel")
	tt.want("dht6", "what runs is taken back", "cancel")
	tt.want("finders", "and the turn", "over")
	tt.want("lsd", "and the announces", "remove")
	a.endBoth()
	tt.pass(time.Hour)
	tt.wantIdle("nothing comes after", "dht4", "dht6", "finders", "lsd")
	a.manual = true
	tt.ask(func(r actor.Ref[error]) torrentMsg { return resume{r} })
	tt.want("finders", "again", "turn urgent")
	tt.want("lsd", "again", "add")
	tt.ask(func(r actor.Ref[error]) torrentMsg { return pause{r} })
	tt.want("finders", "it no longer waits", "over")
	a.turn.Tell(turn{})
	tt.want("finders", "a turn that comes too late is given back", "over")
	tt.wantIdle("and not used", "dht4", "dht6")
}

func TestNodesThatAreMadeAnewAreAsked(t *testing.T) {
	tt, a := searching(t)
	tt.forget()
	old := a.asked[0]
	a.told(func(s *sources) { s.dht[0] = actor.Ref[dht.Message]{}; s.dhtUp = false })
	a.end(1)
	tt.want("finders", "what ran at the node is over", "over")
	a.told(func(s *sources) {
		s.dht[0] = actor.FuncRef(func(m dht.Message) { a.onDHT(0, m) })
		s.lsd = actor.FuncRef(a.onLSD)
	})
	tt.want("lsd", "and joined again", "add")
	tt.forget()
	a.told(func(s *sources) { s.dhtUp = true })
	tt.want("dht4", "asked when it has found others", "get announce 6881")
	old.Reply.Tell(dht.PeersFound{ID: old.ID, Addrs: []netip.AddrPort{ap("45.1.1.1:1")}})
	tt.wantIdle("the old one's answers", "45.1.1.1:1")
}

func TestNodesOfOthersAreOurs(t *testing.T) {
	tt, a := searching(t, func(tt *testTorrent) {
		tt.cfg.meta.Nodes = []metainfo.HostPort{{Host: "node.test", Port: 7}, {Host: "::1", Port: 8}}
	})
	tt.want("dht4", "the torrent's own nodes", "hosts [node.test:7 [::1]:8]", "get announce 6881")
	tt.peer("a", 0)
	if tt.members["a"].cfg.dhtPort != 6881 {
		t.Errorf("a peer is told port %d", tt.members["a"].cfg.dhtPort)
	}
	tt.report("a", func(r *report) { r.dhtPort = 4000 })
	tt.want("dht4", "a peer's node", "nodes [45.13.97.7:4000]")
	for i := range 200 {
		tt.report("a", func(r *report) { r.dhtPort = uint16(1000 + i) })
	}
	if n := len(tt.heard["dht4"]); n != maxPortNodes-1 {
		t.Errorf("%d of 200 nodes were passed on", n)
	}
	a.told(func(s *sources) { s.dhtPort[0] = 9 })
	if tt.tor.swarm.list[0].dhtPort != 9 {
		t.Error("nobody is told of the new port")
	}
}

func TestNeighboursAreDialed(t *testing.T) {
	tt, a := searching(t)
	a.lsd.Offer(lsd.Found{Addr: ap("192.168.0.9:5")})
	if !tt.has("192.168.0.9:5", "dial") {
		t.Error("a neighbour is not dialed")
	}
	if p := tt.members["192.168.0.9:5"]; p == nil || tt.tor.swarm.list[0].source != SourceLSD {
		t.Error("of another source")
	}
}

// wantSilence: nothing has left that names the torrent.
func wantSilence(t *testing.T, tt *testTorrent, why string) {
	t.Helper()
	tt.pass(2 * time.Hour)
	tt.wantIdle(why, "finders", "dht4", "dht6", "lsd")
}

func TestPrivateTorrentsAskTrackersOnly(t *testing.T) {
	for name, change := range map[string]func(*testTorrent){
		"by its metadata":     func(tt *testTorrent) { tt.cfg.meta.Private = true },
		"as the user says":    func(tt *testTorrent) { tt.cfg.private = true },
		"it does without all": func(tt *testTorrent) { tt.cfg.noDHT, tt.cfg.noLSD, tt.cfg.noPEX = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			tt, a := searching(t, change, func(tt *testTorrent) {
				tt.cfg.meta.Nodes = []metainfo.HostPort{{Host: "node.test", Port: 7}}
			})
			tt.peer("a", 0)
			tt.report("a", func(r *report) { r.dhtPort = 4000 })
			if p := tt.members["a"].cfg; p.dhtPort != 0 || p.pex {
				t.Errorf("peers are offered %+v", p)
			}
			a.told(func(s *sources) { s.dhtPort[0] = 9; s.dhtUp = false })
			a.told(func(s *sources) { s.dhtUp = true })
			if tt.tor.private() {
				tt.tell(found{[]netip.AddrPort{ap("45.1.1.1:1")}, SourceDHT})
				tt.tell(found{[]netip.AddrPort{ap("45.1.1.1:1")}, SourcePEX})
				tt.tell(found{[]netip.AddrPort{ap("192.168.1.1:1")}, SourceLSD})
				if n := tt.stats().Known; n != 0 {
					t.Errorf("%d addresses were taken", n)
				}
			}
			if name == "by its metadata" {
				tt.want("dht4", "the nodes know that it is not to be named", "forget")
				tt.want("dht6", "the nodes know that it is not to be named", "forget")
				a.told(func(s *sources) { s.dht[0] = actor.FuncRef(func(m dht.Message) { a.onDHT(0, m) }) })
				tt.want("dht4", "a new one is told, too", "forget")
			}
			wantSilence(t, tt, "a private torrent")
			for _, s := range tt.stats().Sources[1:4] {
				if s.On || !strings.HasPrefix(s.State, "off") {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func TestATorrentThatTurnsOutPrivate(t *testing.T) {
	tt, a := searching(t, func(tt *testTorrent) {
		tt.cfg.given = [][]string{{"http://one.example/announce"}, {"http://two.example/announce"}}
	})
	known, stranger, neighbour, untried := "45.1.1.1:1", "45.1.1.2:1", "192.168.1.3:1", "45.1.1.4:1"
	tt.dials = 3
	tt.tell(found{[]netip.AddrPort{ap(known)}, SourceTracker})
	a.found(0, known, stranger)
	tt.tell(found{[]netip.AddrPort{ap(neighbour)}, SourceLSD})
	for _, addr := range []string{known, stranger, neighbour} {
		tt.shakeAs(addr, ttID(addr[len(addr)-3:]))
	}
	a.found(1, untried)
	tt.peer("i", 0)
	tt.forget()
	tt.tor.cfg.private = true // as (*torrent).learn does
	tt.tor.becamePrivate()
	tt.settle()
	tt.want("dht4", "the node forgets it", "cancel", "forget")
	tt.want("dht6", "the node forgets it", "cancel", "forget")
	tt.want("lsd", "nobody hears of it", "remove")
	tt.want(stranger, "who is known by the DHT goes", "end: "+errPrivate.Error())
	tt.want(neighbour, "who is known by LSD goes", "end: "+errPrivate.Error())
	tt.want(known, "who is known by a tracker too stays, without PEX", "pex false")
	tt.want("i", "and who has come", "pex false")
	tt.want("tracker", "one tracker is enough", "stopped left 630784")
	if n := tt.tor.swarm.live; n != 2 {
		t.Errorf("%d peers", n)
	}
	if x := tt.tor.swarm.book.byAddr[ap(untried)]; x != nil {
		t.Error("an address is still known")
	}
	tt.want("finders", "its turn is over", "over")
	a.endBoth()
	a.found(0, "45.1.1.5:1")
	a.told(func(s *sources) { s.dht[0] = actor.FuncRef(func(m dht.Message) { a.onDHT(0, m) }); s.dhtUp = true })
	tt.want("dht4", "a node that is made anew is told", "forget")
	wantSilence(t, tt, "afterwards")
	if n := tt.stats().Known; n > 2 {
		t.Errorf("%d addresses", n)
	}
}

func TestWhyThereIsNoPeer(t *testing.T) {
	tt, a := searching(t, func(tt *testTorrent) { tt.cfg.noPEX = true })
	words := func(name string) string {
		for _, s := range tt.stats().Sources {
			if s.Name == name {
				return fmt.Sprintf("%s; %d", s.State, s.Peers)
			}
		}
		return "nothing"
	}
	check := func(name, want string) {
		t.Helper()
		if got := words(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	a.told(func(s *sources) { s.dhtUp = false; s.dhtWhy = "dht: the resolver has not answered" })
	check("dht", "no node has answered: the resolver has not answered; 0")
	check("lsd", "nobody in the local network has answered; 0")
	check("pex", "off; 0")
	check("user", "none; 0")
	check("incoming", "listening at port 6881, nobody has come; 0")
	a.told(func(s *sources) { s.dhtUp = true; s.dhtWhy = ""; s.lsdWhy = "no interface" })
	check("dht", "looking; 0")
	check("lsd", "no interface; 0")
	a.found(0, "45.1.1.1:1")
	a.endBoth()
	check("dht", "2 lookups, 14 of 20 nodes answered; 1")
	tt.tell(found{[]netip.AddrPort{tt.at("x")}, SourceUser})
	check("user", "1 given; 1")
	tt.peer("a", 0)
	check("incoming", "listening at port 6881, peers have come; 0")
	a.told(func(s *sources) { *s = sources{} })
	check("dht", "off; 1")
}

func TestGoodPeersAreRememberedWithTheirSource(t *testing.T) {
	tt, a := searching(t)
	a.found(0, "45.1.1.1:1", "45.1.1.2:1")
	tt.tell(found{[]netip.AddrPort{ap("45.1.1.2:1"), ap("10.0.0.3:1")}, SourceTracker})
	tt.shakeAs("45.1.1.2:1", ttID("2"))
	peers := tt.tor.goodPeers()
	if len(peers) == 0 || peers[0].String() != "45.1.1.2:1 td" {
		t.Fatalf("remembered %v", peers)
	}
	s := saved{peers: []savedPeer{{ap("45.1.1.2:1"), sourcesOf("td")}, {ap("45.1.1.1:1"), sourcesOf("d")}, {ap("45.1.1.9:1"), 0}}}
	for _, private := range []bool{false, true} {
		next, _ := searching(t, func(tt *testTorrent) {
			tt.disk.opened.Saved = s.encode()
			tt.cfg.private = private
		})
		if dialed := next.has("45.1.1.1:1", "dial"); dialed == private {
			t.Errorf("private %v: one that the DHT has named is dialed: %v", private, dialed)
		}
		if !next.has("45.1.1.2:1", "dial") || !next.has("45.1.1.9:1", "dial") {
			t.Errorf("private %v: the others are not", private)
		}
		if list := fmt.Sprint(next.tor.goodPeers()); !strings.Contains(list, "45.1.1.9:1") {
			t.Errorf("one that is just being dialed is forgotten: %v", list)
		}
	}
}

func TestNeighboursAreCalledAgain(t *testing.T) {
	tt, _ := searching(t, func(tt *testTorrent) { tt.cfg.noDHT = true })
	calls := func(why string, want int) {
		t.Helper()
		tt.settle()
		if n := len(tt.heard["lsd"]); n != want {
			t.Errorf("%s: called %d times, want %d", why, n, want)
		}
		delete(tt.heard, "lsd")
	}
	tt.pass(time.Second)
	calls("at first", 1)
	tt.pass(50 * time.Second)
	calls("not twice in a minute", 0)
	tt.pass(4 * time.Minute)
	calls("while there is nobody", 3)
	tt.pass(30 * time.Minute)
	calls("then LSD's own rhythm will do", 1)
}

// A family's node that comes up a moment after the other's is asked within the same turn:
// the other's lookup may take half a minute to find that it knows nobody.
func TestTheOtherFamilysNodeNeedNotWait(t *testing.T) {
	tt, a := searching(t)
	node := a.at.dht[0]
	a.told(func(s *sources) { s.dht[0] = actor.Ref[dht.Message]{} })
	tt.forget()
	a.told(func(s *sources) { s.dht[0] = node })
	tt.want("dht4", "while dht6 is still looking", "get announce 6881")
	tt.wantIdle("it is the same turn, and the other goes on", "finders", "dht6")
	a.end(0)
	tt.wantIdle("the other node is still looking", "finders")
	a.end(1)
	tt.want("finders", "the turn is over", "over")
}
