package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/pex"
)

// pexLine writes a ut_pex message as "pex +a +b(reachable seed) -c", in order.
func (tt *testTorrent) pexLine(payload []byte) string {
	m, err := pex.Parse(payload)
	if err != nil {
		tt.t.Errorf("%q: %v", payload, err)
	}
	var parts []string
	for _, p := range m.Added {
		s := "+" + tt.nameAt(p.Addr)
		var flags []string
		for i, name := range []string{"encrypts", "seed", "utp", "holepunch", "reachable"} {
			if p.Flags&(1<<i) != 0 {
				flags = append(flags, name)
			}
		}
		if flags != nil {
			s += "(" + strings.Join(flags, " ") + ")"
		}
		parts = append(parts, s)
	}
	for _, a := range m.Dropped {
		parts = append(parts, "-"+tt.nameAt(a))
	}
	slices.Sort(parts)
	return "pex " + strings.Join(parts, " ")
}

// nameAt is the peer that listens at an address.
func (tt *testTorrent) nameAt(a netip.AddrPort) string {
	if n := tt.byAddr[a]; n != "" {
		return n
	}
	return a.String()
}

// greets is a peer's extension handshake: it takes ut_pex, and says where it listens.
func (tt *testTorrent) greets(name string, change ...func(*extended)) {
	tt.t.Helper()
	tt.report(name, func(r *report) {
		r.state.listen = tt.at(name).Port()
		r.extended = &extended{pex: true}
		for _, f := range change {
			f(r.extended)
		}
	})
}

// gossip is a ut_pex message that has passed a peer's guard.
func (tt *testTorrent) gossip(name string, news ...pex.Peer) {
	tt.t.Helper()
	tt.report(name, func(r *report) { r.pex = append(r.pex, news...) })
}

// dialed is a peer that we have connected to.
func (tt *testTorrent) dialed(name string) {
	tt.t.Helper()
	tt.known(SourceTracker, name)
	tt.shake(name)
}

func TestPeersAreToldOfEachOther(t *testing.T) {
	tt := leeching(t)
	tt.dialed("a")
	tt.greets("a")
	tt.peer("b")
	tt.forget()
	tt.pass(pexGather)
	tt.wantIdle("there is nobody else whose address is known", "a", "b")
	tt.greets("b", func(e *extended) { e.encrypts, e.holepunch = true, true })
	tt.pass(pexEvery)
	tt.want("a", "b has connected to us", "pex +b(encrypts holepunch)")
	tt.want("b", "we have connected to a", "pex +a(reachable)")
	tt.pass(time.Hour)
	tt.wantIdle("no news", "a", "b")
	tt.seed("c")
	tt.forget()
	tt.greets("c")
	tt.pass(pexEvery)
	tt.want("a", "", "pex +c(seed)")
	tt.want("c", "all at once", "pex +a(reachable) +b(encrypts holepunch)")
	tt.leave("b", errRemote)
	tt.forget()
	tt.pass(pex.Interval - 2*pexEvery)
	tt.wantIdle("one message a minute", "a", "c")
	tt.pass(2 * pexEvery)
	tt.want("a", "", "pex -b")
	tt.want("c", "", "pex -b")
	if tt.tor.armed(tickPEX) {
		t.Error("a timer is armed, though there is nothing to tell")
	}
}

func TestWhoIsNotToldOf(t *testing.T) {
	tt := leeching(t)
	tt.dialed("a")
	tt.greets("a")
	tt.forget()
	tt.knock("b")
	tt.pass(time.Minute)
	tt.wantIdle("its handshake is not complete", "a")
	tt.shake("b")
	tt.pass(time.Minute)
	tt.wantIdle("nobody knows where it listens", "a")
	tt.known(SourceTracker, "c")
	tt.forget()
	tt.pass(time.Minute)
	tt.wantIdle("nobody has answered there", "a")
	tt.gossip("a", pex.Peer{Addr: tt.at("d")})
	tt.forget()
	tt.pass(time.Minute)
	tt.wantIdle("that is a rumour", "a")
	tt.place("e", "10.0.0.5:6881")
	tt.peer("e")
	tt.greets("e")
	tt.forget()
	tt.pass(time.Minute)
	tt.wantIdle("no use to a stranger", "a")
	tt.place("f", "192.168.0.7:6881")
	tt.peer("f")
	tt.greets("f")
	tt.pass(time.Minute)
	if got := tt.heard["f"]; !slices.Contains(got, "pex +a(reachable) +e") {
		t.Errorf("a neighbour knows both networks: %q", got)
	}
}

// Who says no to ut_pex, or never yes, is not told.
func TestOnlyThoseWhoWantAreTold(t *testing.T) {
	tt := leeching(t)
	tt.peer("a")
	tt.peer("b")
	tt.greets("b")
	tt.greets("a", func(e *extended) { e.pex = false })
	tt.forget()
	tt.pass(time.Minute)
	tt.want("b", "", "pex +a")
	tt.wantIdle("it does not take them", "a")
	tt.greets("a")
	tt.pass(time.Minute)
	tt.want("a", "now it does", "pex +b")
	tt.greets("a", func(e *extended) { e.pex = false })
	tt.peer("c")
	tt.greets("c")
	tt.forget()
	tt.pass(time.Minute)
	tt.wantIdle("and no longer", "a")
}

func TestNoExchange(t *testing.T) {
	private := func(tt *testTorrent) {
		m, err := (&metainfo.Builder{Name: "file", Length: ttTotal, PieceLength: ttPieceLen, Private: true,
			Pieces: make([]byte, 20*ttPieces)}).Build()
		if err != nil {
			t.Fatal(err)
		}
		tt.cfg.meta = m
	}
	for name, change := range map[string]func(*testTorrent){ //order: irrelevant
		"private torrent":    private,
		"said to be private": func(tt *testTorrent) { tt.cfg.private = true },
		"switched off":       func(tt *testTorrent) { tt.cfg.noPEX = true },
	} {
		t.Run(name, func(t *testing.T) {
			tt := leeching(t, change)
			tt.dialed("a")
			tt.greets("a")
			tt.dialed("b")
			tt.greets("b")
			tt.gossip("a", pex.Peer{Addr: tt.at("c")})
			tt.forget()
			tt.pass(time.Hour)
			tt.wantIdle("nobody is told, nor believed", "a", "b")
			if tt.members["c"] != nil || tt.tor.swarm.book.byAddr[tt.at("c")] != nil || tt.members["a"].cfg.pex {
				t.Error("c is known, or ut_pex was offered")
			}
		})
	}
}

// A torrent that turns out to be private says nothing more, not even that someone has gone.
func TestNoExchangeFromTheMomentItIsPrivate(t *testing.T) {
	tt := leeching(t)
	tt.dialed("a")
	tt.greets("a")
	tt.dialed("b")
	tt.greets("b")
	tt.pass(pexEvery)
	tt.want("a", "", "dial 45.13.97.7:6881", "pex +b(reachable)")
	tt.forget()
	tt.leave("b", errRemote)
	tt.tor.cfg.private = true
	tt.forget()
	tt.pass(time.Hour)
	if slices.ContainsFunc(tt.heard["a"], func(s string) bool { return strings.HasPrefix(s, "pex") }) {
		t.Errorf("a has heard %q", tt.heard["a"])
	}
}

func TestRumoursAreTried(t *testing.T) {
	tt := leeching(t)
	tt.peer("a")
	tt.gossip("a", pex.Peer{Addr: tt.at("b")}, pex.Peer{Addr: tt.at("c"), Flags: pex.Seed})
	tt.want("b", "", "dial 45.13.98.7:6881")
	tt.want("c", "", "dial 45.13.99.7:6881")
	if x := tt.tor.swarm.book.byAddr[tt.at("c")]; !x.seed || x.source != SourcePEX || x.source.origin() != SourcePEX.origin() {
		t.Errorf("%+v", x)
	}
	tt.place("n", "10.0.0.5:6881")
	tt.gossip("a", pex.Peer{Addr: tt.at("n")})
	if x := tt.tor.swarm.book.byAddr[tt.at("n")]; x.source != SourceLocalPEX {
		t.Errorf("%+v", x)
	}
}

// A seed has no use for those that are said to be seeds; what others say of a peer that
// is known already changes nothing.
func TestSeedsDoNotTrySeeds(t *testing.T) {
	tt := leeching(t, having())
	tt.peer("a", 0)
	tt.knock("k")
	tt.known(SourceTracker, "k")
	tt.forget()
	tt.gossip("a", pex.Peer{Addr: tt.at("b"), Flags: pex.Seed}, pex.Peer{Addr: tt.at("c")}, pex.Peer{Addr: tt.at("k"), Flags: pex.Seed})
	tt.want("c", "", "dial 45.13.99.7:6881")
	tt.wantIdle("it is of no use", "b")
	if tt.tor.swarm.book.byAddr[tt.at("k")].seed {
		t.Error("a rumour has made a seed of one that is known")
	}
}

// Seeds that a seed parts from are of use to those who have less.
func TestSeedsThatPartAreToldOf(t *testing.T) {
	tt := leeching(t, having())
	tt.peer("a", 0)
	tt.greets("a")
	tt.known(SourceTracker, "b")
	tt.shake("b")
	tt.report("b", func(r *report) { r.has = setOf(tt.cfg.lengths.Pieces()) })
	tt.pass(pexEvery)
	if !tt.members["b"].hasEnded {
		t.Fatal("both are seeds")
	}
	if got := tt.heard["a"]; !slices.Contains(got, "pex +b(seed reachable)") {
		t.Fatalf("%q", got)
	}
	tt.forget()
	tt.pass(pex.Interval + pexEvery)
	tt.want("a", "but it is not connected", "pex -b")
	tt.pass(time.Hour)
	tt.wantIdle("and is not named again", "a")
	for i := range 2 * maxParted {
		p := &peerEntry{live: true, dial: netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, byte(i)}), 1)}
		tt.tor.rememberParted(p, errBothSeeds)
		p.dial = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x2a, 15: byte(i)}), 1)
		tt.tor.rememberParted(p, errFull)
	}
	if n := len(tt.tor.exchange.parted); n != 2*maxParted || tt.tor.exchange.parted[0].Seq < maxParted {
		t.Errorf("%d are remembered, from %d on", n, tt.tor.exchange.parted[0].Seq)
	}
}

// A hundred connections, some coming and going: nobody is told more often than once a
// minute, and the sweeps are few.
func TestSweepsAreFew(t *testing.T) {
	tt := leeching(t)
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	for i := range 100 {
		tt.place(name(i), fmt.Sprintf("45.14.%d.7:6881", i))
		tt.peer(name(i))
		tt.greets(name(i))
	}
	sweeps := 0
	last := tt.tor.exchange.swept
	told := map[string]int{}
	for s := range 300 {
		tt.pass(time.Second)
		if tt.tor.exchange.swept != last {
			last = tt.tor.exchange.swept
			sweeps++
		}
		if s%20 == 19 { // one goes
			tt.leave(name(s/20), errRemote)
		}
	}
	for who, lines := range tt.heard { //order: irrelevant
		for _, l := range lines {
			if strings.HasPrefix(l, "pex ") {
				told[who]++
			}
		}
	}
	if n := told[name(99)]; n < 4 || n > 6 {
		t.Errorf("told %d times in 5 minutes", n)
	}
	if sweeps > 300/int(pexEvery/time.Second) {
		t.Errorf("%d sweeps in 300 s", sweeps)
	}
}

// A neighbour, or who pretends to be one, names many ports of another: a few are tried in
// a minute, unless peers answer there.
func TestNeighboursAreNotScanned(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.dials = 1 << 20 })
	var addrs []netip.AddrPort
	for i := range 100 {
		addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr("192.168.0.7"), uint16(1000+i)))
	}
	tt.tell(found{addrs, SourceLSD})
	tried := func(answer func(*fakePeer)) (n int) {
		for _, p := range tt.members { //order: irrelevant
			if p.dialing && !p.hasEnded {
				n++
				answer(p)
			}
		}
		return n
	}
	fails := func(p *fakePeer) { p.child.Tell(fakeQuit{errRemote}) }
	total := 0
	for range 300 {
		total += tried(fails)
		tt.pass(time.Second)
	}
	if total < 4*neighbourTries || total > 6*neighbourTries {
		t.Errorf("%d tries in 5 minutes", total)
	}
	total = 0
	for range 60 {
		total += tried(func(p *fakePeer) { tt.shakeAs(p.name, ttID(p.name[len(p.name)-4:])) })
		tt.pass(time.Second)
	}
	if total < 50 {
		t.Errorf("all answer, and %d were tried", total)
	}
}

// Twenty peers name all the ports of one victim: it is tried once a minute, whoever names
// it, while each of its neighbours is tried at once.
func TestNobodyIsKnockedAtOften(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.dials = 1 << 20 })
	name := func(i int) string { return fmt.Sprintf("p%d", i) }
	for i := range 20 {
		tt.place(name(i), fmt.Sprintf("45.14.%d.7:6881", i))
		tt.peer(name(i))
	}
	victim := netip.MustParseAddr("45.99.99.99")
	tries := map[netip.Addr][]time.Duration{}
	port := uint16(0)
	for s := range 600 {
		if s%30 == 0 {
			for i := range 20 {
				port++
				near := netip.AddrFrom4([4]byte{45, 99, 98, byte(port)})
				tt.gossip(name(i), pex.Peer{Addr: netip.AddrPortFrom(victim, 10000+port)}, pex.Peer{Addr: netip.AddrPortFrom(near, 6881)})
			}
		}
		tt.pass(time.Second)
		for who, p := range tt.members { //order: irrelevant
			if p.dialing && !p.hasEnded {
				ip := p.cfg.addr.Addr()
				tries[ip] = append(tries[ip], time.Duration(tt.w.Now()))
				p.dialing = false
				tt.leave(who, errRemote)
			}
		}
	}
	for ip, at := range tries { //order: irrelevant
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < paceSpan-time.Second {
				t.Fatalf("%v was tried again after %v", ip, gap)
			}
		}
	}
	if n := len(tries[victim]); n < 9 || n > 11 {
		t.Errorf("the victim was tried %d times in 10 minutes", n)
	}
	if n := len(tries); n < 200 {
		t.Errorf("%d addresses were tried: the victim keeps others waiting", n)
	}
	if n := len(tt.tor.swarm.pace.tried); n > 2*dialPaceTidy {
		t.Errorf("%d tries are remembered", n)
	}
}
