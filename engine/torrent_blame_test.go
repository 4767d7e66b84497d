package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

func TestWhoSentABadPieceAloneIsBanned(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.need("a", 4)
	tt.deliver("a", "0:0+3")
	tt.lie("a", "0:3")
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "at the first failure", "bad 0", "banned a", "gone a")
	tt.want("a", "", "end: banned: it sent bad data")
	tt.knock("a")
	tt.want("a", "it does not come back", "refused: banned: it sent bad data")
	if s := tt.stats(); s.Banned != 1 || s.HashFails != 1 || s.Wasted != ttPieceLen {
		t.Errorf("stats: %d banned, %d failures, %d wasted", s.Banned, s.HashFails, s.Wasted)
	}
	tt.seed("b")
	tt.need("b", 4)
	tt.want("b", "the piece is fetched again", "interested", "ask 0:0+4")
}

// mixed lets a and b fetch piece 0 together.
func mixed(tt *testTorrent) {
	tt.t.Helper()
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.need("a", 2)
	tt.need("b", 2)
	tt.have("a", 1, 2, 3, 4, 5, 6, 7, 8, 9)
	tt.have("b", 1, 2, 3, 4, 5, 6, 7, 8, 9)
	tt.forget()
}

func (tt *testTorrent) onParole(name string) bool {
	p := tt.tor.swarm.byID[tt.members[name].cfg.id]
	return p != nil && p.parole
}

func (tt *testTorrent) wantParole(why string, names ...string) {
	tt.t.Helper()
	for name := range tt.members {
		if tt.onParole(name) != slices.Contains(names, name) {
			tt.t.Errorf("%s: %s on parole: %v", why, name, tt.onParole(name))
		}
	}
}

func TestOfSeveralSendersTheLiarIsFound(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "nobody is banned on suspicion", "bad 0")
	tt.wantParole("it was one of them", "a", "b")

	tt.need("a", 4)
	tt.want("a", "on parole: the piece again, alone", "ask 0:0+4")
	tt.need("b", 9)
	tt.want("b", "whole pieces, alone", "ask 1:0+4", "ask 2:0+4", "ask 3:0+1")
	tt.deliver("a", "0:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.want("disk", "now there is something to compare with", "sum 0")
	tt.goodSums(0)
	tt.want("events", "", "verified 0", "banned b", "gone b")
	tt.wantParole("a is cleared")
}

func TestLiarOnParoleIsFoundByItsNextLie(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.need("b", 4)
	tt.need("a", 4)
	tt.lie("b", "0:0+4")
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "", "bad 0", "banned b", "gone b")
	tt.wantParole("nobody needs to prove anything any more")
	tt.need("a", 8)
	tt.deliver("a", "0:0+4", "1:0+4")
	tt.pieceOK(1)
	tt.pieceOK(0)
	tt.goodSums(0)
	if s := tt.stats(); s.Banned != 1 {
		t.Errorf("%d banned", s.Banned)
	}
}

func TestLiarThatLeftBeforeTheVerdictIsBanned(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.leave("b", errRemote)
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "", "bad 0")
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.pieceOK(0)
	tt.goodSums(0)
	tt.want("events", "by its address", "verified 0", "banned b")
	tt.knock("b")
	tt.want("b", "", "refused: banned: it sent bad data")
}

func TestBlocksOfAnEarlierRunBlameNobody(t *testing.T) {
	part := storage.Partial{Piece: 0, Blocks: setOf(4, 0, 1)}
	tt := leeching(t, func(tt *testTorrent) { tt.disk.opened.Partials = []storage.Partial{part} })
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.need("a", 4)
	tt.want("a", "only what is missing", "interested", "ask 0:2+2")
	tt.deliver("a", "0:2+2")
	tt.forget()
	tt.disk.marks[0][0] = 7 // the disk has lost a bit
	tt.pieceBad(0)
	tt.want("events", "it may have been the disk", "bad 0")
	tt.wantParole("so nobody is suspected")
	tt.need("b", 4)
	tt.deliver("b", "0:0+4")
	tt.pieceOK(0)
	tt.goodSums(0)
	tt.want("events", "and it was", "verified 0")
}

func TestLieBesideTheDiskIsFoundAllTheSame(t *testing.T) {
	part := storage.Partial{Piece: 0, Blocks: setOf(4, 0, 1)}
	tt := leeching(t, func(tt *testTorrent) { tt.disk.opened.Partials = []storage.Partial{part} })
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.need("a", 4)
	tt.lie("a", "0:2")
	tt.deliver("a", "0:3")
	tt.pieceBad(0)
	tt.need("b", 4)
	tt.deliver("b", "0:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.goodSums(0)
	tt.want("events", "its block differs", "verified 0", "banned a", "gone a")
}

// When a liar is found out, other pieces in progress hold its blocks, too, and fail in
// their turn. Whoever has helped with those is not to suffer for it.
func TestFailuresAfterTheBanHurtNobody(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0, 1, 2)
	tt.peer("b", 0, 1)
	tt.need("b", 6) // 0:0+4 and 1:0+2, alone
	tt.need("a", 12)
	tt.want("a", "", "interested", "ask 2:0+4", "ask 1:2+2")
	tt.lie("b", "1:0")
	tt.deliver("b", "1:1")
	tt.deliver("a", "1:2+2", "2:0+4")
	tt.lie("b", "0:0+4")
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "", "bad 0", "banned b", "gone b")
	tt.pieceBad(1)
	tt.want("events", "it held a lie of b's", "bad 1")
	tt.wantParole("so a is not suspected")
	tt.pieceOK(2)
	tt.need("a", 8)
	tt.deliver("a", "0:0+4", "1:0+4")
	tt.pieceOK(0, 1)
	tt.goodSums(1)
	if s := tt.stats(); s.Banned != 1 || s.Have != 3 {
		t.Errorf("%d banned, %d pieces", s.Banned, s.Have)
	}
}

// A peer that waits for a verdict is freed as soon as the liar is found elsewhere.
func TestParoleEndsWhenTheLiarIsFoundElsewhere(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.need("b", 8)
	tt.want("b", "", "ask 0:0+4", "ask 1:0+4")
	tt.need("a", 4)
	tt.lie("b", "1:0+4")
	tt.wantParole("the verdict is open", "a", "b")
	tt.forget()
	tt.pieceBad(1)
	tt.want("events", "", "bad 1", "banned b", "gone b")
	tt.wantParole("that explains piece 0, too")
}

func TestTwoLiarsInOnePieceAreBothFound(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.lie("a", "0:0")
	tt.deliver("a", "0:1")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.seed("c")
	tt.need("c", 4)
	tt.deliver("c", "0:0+4")
	tt.forget()
	tt.pieceOK(0)
	tt.goodSums(0)
	tt.want("events", "", "verified 0", "banned a", "banned b", "gone a", "gone b")
}

func TestVerdictThatCanNotBeHadEndsParole(t *testing.T) {
	tt := leeching(t)
	mixed(tt)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.pieceOK(0)
	tt.answer(storage.Sums{Piece: 0, Err: errRemote})
	tt.wantParole("nothing is known for certain")
	if s := tt.stats(); s.Banned != 0 {
		t.Error("somebody was banned")
	}
}

func TestPeersOnParoleFinishWhatIsLeft(t *testing.T) {
	tt := leeching(t, having(1, 2, 3, 4, 5, 6, 7))
	tt.peer("a", 0, 8)
	tt.peer("b", 0, 8)
	tt.need("a", 2) // 0:0+2
	tt.need("b", 4) // 8:0+4
	tt.need("b", 2)
	tt.want("b", "", "interested", "ask 8:0+4", "ask 0:2+2")
	tt.deliver("a", "0:0+2")
	tt.deliver("b", "8:0")
	tt.giveBack("b", "8:1+3")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.need("a", 4)
	tt.want("a", "the piece that has failed, alone", "interested", "ask 0:0+2", "ask 0:0+4")
	tt.deliver("a", "0:0+4")
	tt.need("a", 4)
	tt.want("a", "nothing is left that nobody has touched, so what has been will do", "ask 8:1+3")
}

func TestPeerOnParoleCanNotHoldAPieceForever(t *testing.T) {
	tt := leeching(t, having(1, 2, 3, 4, 5, 6, 7, 8, 9))
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.need("a", 2)
	tt.need("b", 2)
	tt.deliver("a", "0:0+2")
	tt.lie("b", "0:2+2")
	tt.pieceBad(0)
	tt.need("b", 1)
	tt.seed("c")
	tt.need("c", 4)
	tt.want("c", "b is to prove itself", "interested")
	tt.pass(paroleTime)
	tt.want("c", "but not for longer than this", "ask 0:1+3", "ask 0:0+1")
}

// Who has proved nothing yet has no part in the pieces of others, for a while: its first
// lie names it, and spoils nobody's work.
func TestStrangersFetchAloneFirst(t *testing.T) {
	tt := leeching(t, having(4, 5, 6, 7, 8, 9), func(tt *testTorrent) { tt.unknown = true })
	tt.peer("a", 0, 1, 2, 3)
	tt.peer("b", 0, 1, 2, 3)
	tt.peer("c", 0, 1, 2, 3)
	tt.forget()
	tt.need("a", 6)
	tt.want("a", "", "ask 0:0+4", "ask 1:0+2")
	tt.need("b", 8)
	tt.want("b", "not a's, though half of one is free", "ask 2:0+4", "ask 3:0+4")
	tt.need("c", 2)
	tt.wantIdle("nothing is left that nobody has begun", "c")
	tt.deliver("b", "2:0+4")
	tt.pieceOK(2)
	tt.need("b", 3)
	tt.want("b", "b has proved itself, and in endgame helps, too, but in one of a's only", "have 2", "ask 1:2+2", "ask 1:0+1")
	tt.want("c", "c has not", "have 2")
	tt.need("a", 2)
	tt.want("a", "it begins no other piece because one is shared now", "have 2")
	tt.pass(joinAfter)
	tt.want("c", "but it does not wait for ever", "ask 0:0+1", "ask 0:1+1")
}

// A liar that has its hand in a piece of others is suspected first and named by the next
// piece, which is left to it: the second bad one is the last.
func TestLiarIsNamedByItsSecondBadPiece(t *testing.T) {
	tt := leeching(t, having(3, 4, 5, 6, 7, 8, 9), func(tt *testTorrent) { tt.unknown = true })
	tt.peer("liar", 0, 1, 2)
	tt.peer("b", 0, 1, 2)
	tt.forget()
	tt.need("liar", 8)
	tt.want("liar", "", "ask 0:0+4", "ask 1:0+4")
	tt.need("b", 4)
	tt.want("b", "", "ask 2:0+4")
	tt.deliver("b", "2:0+4")
	tt.pieceOK(2)
	tt.need("b", 2)
	tt.want("b", "the end is near", "have 2", "ask 0:0+1", "ask 0:1+1")
	tt.deliver("b", "0:0+1", "0:1+1")
	tt.lie("liar", "0:2+2")
	tt.pieceBad(0)
	tt.wantParole("either may have lied", "liar", "b")
	tt.lie("liar", "1:0+4")
	tt.forget()
	tt.pieceBad(1)
	tt.want("events", "piece 1 was the liar's alone", "bad 1", "banned liar", "gone liar")
}

func TestOrphansThatNobodyTouchedAreAsGoodAsNew(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.unknown = true })
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.forget()
	tt.need("a", 4)
	tt.leave("a", errRemote)
	tt.need("b", 4)
	tt.want("b", "nothing of a's is in it", "ask 0:0+4")
	if a := tt.tor.pieces.partial(0); a.owner != tt.members["b"].cfg.id {
		t.Error("it is b's alone")
	}
}

func TestBansAreOfAddressesNotOfClaimedIDs(t *testing.T) {
	tt := leeching(t)
	tt.knock("a")
	tt.shakeAs("a", ttID("b")) // the liar calls itself b
	tt.report("a", func(r *report) { r.has = setOf(ttPieces) })
	tt.need("a", 4)
	tt.lie("a", "0:0+4")
	tt.pieceBad(0)
	tt.forget()
	tt.peer("b", 0)
	tt.want("events", "b is innocent", "connected b")
}

func TestBanAtAPrivateAddressIsOfOnePeer(t *testing.T) {
	tt := leeching(t)
	tt.place("a", "192.168.1.5:1000")
	tt.place("b", "192.168.1.5:2000")
	tt.seed("a")
	tt.state("a", func(s *peerState) { s.listen = 6881 })
	tt.seed("b")
	tt.need("a", 4)
	tt.lie("a", "0:0+4")
	tt.forget()
	tt.pieceBad(0)
	tt.want("events", "its neighbour stays", "bad 0", "banned a", "gone a")
	tt.place("a", "192.168.1.5:1001")
	tt.knock("a")
	tt.want("a", "another port, the same peer", "end: banned: it sent bad data", "refused: banned: it sent bad data")
	tt.tell(found{[]netip.AddrPort{ap("192.168.1.5:6881")}, SourceTracker})
	tt.want("governor", "where it listens is known", "lost")
}

func TestEvidenceIsBounded(t *testing.T) {
	const pieces = maxSuspectPieces + 10
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.meta = ttMeta(tt.t, pieces*2*block.Size, 2*block.Size) })
	for round := range maxSuspects + 2 {
		for i := range pieces {
			a := tt.tor.pieces.begin(metainfo.PieceIndex(i))
			tt.tor.pieces.arrive(a, 0, peerID(1000+round))
			tt.tor.pieces.arrive(a, 1, peerID(2000+round))
			tt.disk.marks[a.piece] = map[int]uint64{0: 0, 1: 5}
			tt.pieceBad(a.piece)
		}
	}
	b := &tt.tor.blame
	if len(b.suspects) != maxSuspectPieces || len(b.suspects[0]) != maxSuspects {
		t.Errorf("evidence of %d pieces, %d failures of one", len(b.suspects), len(b.suspects[0]))
	}
	for i := range maxBans + 10 {
		b.add(sender{id: peerID(i + 1), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, byte(i >> 8), byte(i)}), 1)}, false)
		b.leave(sender{id: peerID(i + 1)})
	}
	if len(b.bans) != maxBans || len(b.guilty) != maxBans || len(b.left) != maxLeft {
		t.Errorf("%d bans, %d guilty, %d left", len(b.bans), len(b.guilty), len(b.left))
	}
	if b.isBanned(ap("9.9.0.0:1"), [20]byte{}) || !b.isBanned(ap("9.9.0.20:7"), [20]byte{}) {
		t.Error("the oldest bans are forgotten, the others hold")
	}
}

// An honest seed and a liar with one bad block in 50: the download completes, the liar
// is banned within two failed pieces and the honest one never; also when the liar is
// ten times faster.
func TestLiarBesideAnHonestSeed(t *testing.T) {
	for _, pieceLen := range []int64{256 << 10, 4 << 20} {
		for _, liar := range []int64{4 << 20, 40 << 20, 400 << 10} {
			for seed := range 3 {
				name := fmt.Sprintf("%dKiB pieces, liar at %d KiB/s, %d", pieceLen>>10, liar>>10, seed)
				t.Run(name, func(t *testing.T) { lieAndComplete(t, pieceLen, liar, int64(seed)) })
			}
		}
	}
}

func lieAndComplete(t *testing.T, pieceLen, liar, phase int64) {
	tt := newTestTorrent(t, func(tt *testTorrent) {
		tt.cfg.meta = ttMeta(t, 48<<20+12345, pieceLen)
		tt.cfg.picker = "rarest"
		tt.disk.judge, tt.disk.delay, tt.unknown = true, 5*time.Millisecond, true
	})
	tt.seed("h")
	tt.seed("l")
	tt.runs("h", 4<<20, nil)
	tt.runs("l", liar, func(n int64, _ blockRef) bool { return (n+phase*7)%50 == 0 })
	answer := 0 // sums asked for and answered
	tt.w.RunUntil(tt.w.Now().Add(20*time.Minute), func() bool {
		for ; answer < len(tt.heard["disk"]); answer++ {
			var piece metainfo.PieceIndex
			if n, _ := fmt.Sscanf(tt.heard["disk"][answer], "sum %d", &piece); n == 1 {
				sums := slices.Repeat([]uint64{goodSum}, int(tt.cfg.lengths.Blocks(piece)))
				tt.disk.reply.Tell(storage.Sums{Piece: piece, Sums: sums})
			}
		}
		return slices.Contains(tt.heard["events"], "completed")
	})
	tt.checkNow()
	var fails int
	for _, ev := range tt.heard["events"] {
		switch {
		case strings.HasPrefix(ev, "bad "):
			fails++
		case ev == "banned l" && fails > 2:
			t.Errorf("the liar was banned after %d failed pieces", fails)
		case ev == "banned h":
			t.Error("the honest one was banned")
		}
	}
	if s := tt.stats(); s.State != Seeding || s.Banned != 1 {
		t.Errorf("%v, %d of %d pieces, %d banned, %d failures", s.State, s.Have, s.Pieces, s.Banned, s.HashFails)
	}
}

func TestLiarAloneNeverCompletes(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) {
		tt.cfg.meta = ttMeta(t, 32<<20, 256<<10)
		tt.disk.judge, tt.unknown = true, true
	})
	tt.seed("l")
	tt.runs("l", 4<<20, func(n int64, _ blockRef) bool { return n%50 == 0 })
	tt.pass(5 * time.Minute)
	if s := tt.stats(); s.State != Downloading || s.Banned != 1 || s.HashFails == 0 || s.Peers != 0 {
		t.Errorf("%v, %d pieces, %d banned, %d failures", s.State, s.Have, s.Banned, s.HashFails)
	}
}

func TestPartialContributors(t *testing.T) {
	var p partial
	p.reset(3, 5)
	p.arrive(0, 9)
	p.arrive(1, 0)
	p.arrive(2, 4)
	p.arrive(3, 9)
	p.ask(77, 1, func(run) {})
	if who := p.contributors(); !slices.Equal(who, []peerID{9, 4}) || !p.from(0) || p.from(77) {
		t.Errorf("contributors %v", who)
	}
}
