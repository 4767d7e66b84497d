package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

var errRemote = errors.New("the remote has gone")

func TestPiecesAreFetchedAloneWhileThereIsMemory(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.need("a", 10)
	tt.want("a", "whole pieces, and the beginning of a third", "ask 0:0+4", "ask 1:0+4", "ask 2:0+2")
	tt.need("b", 4)
	tt.want("b", "the third one is a's", "ask 3:0+4")
	tt.need("a", 4)
	tt.want("a", "first what it has begun", "ask 2:2+2", "ask 4:0+2")
}

func TestWithoutMemoryPiecesAreShared(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.slab = block.NewPhantomSlab(8 * block.Size) })
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.need("a", 5)
	tt.want("a", "half of the memory may be held by pieces that are begun alone", "ask 0:0+4", "ask 1:0+1")
	tt.need("b", 8)
	tt.want("b", "the other is everybody's, and no third one may be begun", "ask 1:1+3")
	tt.deliver("a", "0:0+4", "1:0")
	tt.deliver("b", "1:1+3")
	tt.need("b", 5)
	tt.wantIdle("not before there is room", "b")
	tt.pieceOK(0)
	tt.want("b", "who waits goes on by itself", "have 0", "ask 2:0+4")
}

func TestWhoHasNothingElseJoinsOthers(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.peer("b", 0)
	tt.forget()
	tt.need("a", 2)
	tt.need("b", 8)
	tt.want("a", "a begins", "ask 0:0+2")
	tt.want("b", "b has only that piece", "ask 0:2+2")
	tt.need("a", 1)
	tt.want("a", "it is not a's alone any more, but there is another", "ask 1:0+1")
}

func TestOrphansComeFirst(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.picker = "rarest" })
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.need("a", 3)
	begun := slices.Clone(tt.members["a"].out)
	tt.deliver("a", ref(begun[0]))
	tt.leave("a", errRemote)
	tt.need("b", 3)
	tt.want("b", "what a has begun, without the block that came", "ask "+run{begun[1].piece, begun[1].block, 3}.String())
}

func ref(b blockRef) string { return run{b.piece, b.block, 1}.String() }

func TestGivenBackBlocksGoToWhoWaits(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.forget()
	tt.need("a", 4)
	tt.want("a", "", "ask 0:0+4")
	tt.giveBack("a", "0:1+2")
	tt.wantIdle("nobody needs anything", "a", "b")
	tt.need("b", 1)
	tt.want("b", "what a has given back", "ask 0:1+1")
	tt.need("b", 9)
	tt.want("b", "and the rest", "ask 0:2+1")
	tt.giveBack("b", "0:1+1")
	tt.wantIdle("b's need is stale", "a", "b")
	tt.need("b", 1)
	tt.want("b", "it may try again", "ask 0:1+1")
}

func TestStaleNeedsAreNotServed(t *testing.T) {
	tt := leeching(t)
	p := tt.seed("a")
	tt.forget()
	tt.need("a", 2)
	tt.want("a", "", "ask 0:0+2")
	p.state.assigned-- // this report crosses the assignment
	tt.need("a", 2)
	tt.wantIdle("the peer did not know of the assignment when it said so", "a")
	p.state.assigned++
	tt.need("a", 2)
	tt.want("a", "now it does", "ask 0:2+2")
}

func TestLateBlocksAreTakenAndOthersCancelled(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.peer("b", 0)
	tt.forget()
	tt.need("a", 4)
	tt.giveBack("a", "0:0+2")
	tt.need("b", 2)
	tt.want("b", "", "ask 0:0+2")
	tt.forget()
	tt.deliver("a", "0:0")
	tt.want("disk", "late, but welcome", "block 0:0")
	tt.want("b", "b need not send it", "cancel 0:0")
	tt.deliver("b", "0:0")
	tt.wantIdle("the second copy is thrown away", "disk")
	if s := tt.stats(); s.Wasted != block.Size || s.Down != 2*block.Size {
		t.Errorf("wasted %d of %d", s.Wasted, s.Down)
	}
}

func TestNobodyIsAskedForWhatItHasNot(t *testing.T) {
	tt := leeching(t)
	tt.peer("a")
	tt.need("a", 8)
	tt.wantIdle("it has said nothing yet", "a")
	tt.have("a", 3)
	tt.want("a", "that is all it has", "interested", "ask 3:0+4")
}

func TestEndgameAsksTwiceAndCancels(t *testing.T) {
	tt := leeching(t, having(0, 1, 2, 3, 4, 5, 6, 7))
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.need("a", 6)
	tt.want("a", "", "ask 8:0+4", "ask 9:0+2")
	tt.need("b", 1)
	tt.want("b", "there is a block that is not out: no endgame", "ask 9:2+1")
	tt.need("b", 3)
	tt.want("b", "now all are", "ask 8:0+1", "ask 8:1+1", "ask 8:2+1")
	tt.deliver("b", "8:0")
	tt.want("a", "the slower copy is not wanted", "cancel 8:0")
	tt.deliver("a", "8:1")
	tt.want("b", "likewise", "cancel 8:1")
	if a := tt.tor.pieces.partial(8); a.dups != 1 || a.asked != 2 {
		t.Errorf("%d of %d blocks are out twice, want 1 of 2", a.dups, a.asked)
	}
}

func TestEndgameDoesNotBeginBeforeAllBlocksAreOut(t *testing.T) {
	tt := leeching(t, having(0, 1, 2, 3, 4, 5, 6))
	tt.peer("a", 7, 8, 9)
	tt.peer("b", 7)
	tt.forget()
	tt.need("a", 4)
	tt.want("a", "", "ask 7:0+4")
	tt.need("b", 4)
	tt.wantIdle("8 and 9 are not out, though b has neither", "b")
	tt.need("a", 7)
	tt.want("a", "", "ask 8:0+4", "ask 9:0+3")
	tt.settle()
	tt.need("b", 4)
	tt.want("b", "now b helps", "ask 7:0+1", "ask 7:1+1", "ask 7:2+1", "ask 7:3+1")
}

func TestSecondLeaseBecomesTheFirst(t *testing.T) {
	tt := leeching(t, having(0, 1, 2, 3, 4, 5, 6, 7, 8))
	tt.seed("a")
	tt.seed("b")
	tt.seed("c")
	tt.forget()
	tt.need("a", 3)
	tt.need("b", 3)
	tt.want("b", "", "ask 9:0+1", "ask 9:1+1", "ask 9:2+1")
	tt.leave("a", errRemote)
	a := tt.tor.pieces.partial(9)
	if a.asked != 3 || a.free != 0 || a.holder(0) != tt.members["b"].cfg.id {
		t.Fatalf("the blocks are b's alone now: %+v", a)
	}
	tt.need("c", 1)
	tt.want("c", "and may be asked for a second time again", "ask 9:0+1")
	tt.giveBack("b", "9:0+3")
	if a.holder(0) != tt.members["c"].cfg.id || a.free != 2 {
		t.Fatalf("the first is c's, the others nobody's: %+v", a)
	}
	tt.giveBack("c", "9:0")
	if a.free != 3 {
		t.Fatalf("all are free: %+v", a)
	}
}

func TestEndgameIsBounded(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.meta = ttMeta(tt.t, 100*block.Size, 100*block.Size) })
	tt.seed("a")
	tt.seed("b")
	tt.need("a", 100)
	tt.need("b", 100)
	if n := len(tt.members["b"].out); n != endgameDepth {
		t.Errorf("b was asked for %d blocks a second time, want %d", n, endgameDepth)
	}
	tt.need("b", 100)
	if n := len(tt.members["b"].out); n != endgameDepth {
		t.Errorf("then for more, %d", n)
	}
}

func TestSnubbedPeersLoseTheirPrivilege(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.need("a", 4)
	tt.report("a", func(r *report) {
		r.state.snubbed, r.state.need = true, 1
		r.back = append(r.back, blockRef{0, 0}, blockRef{0, 1}, blockRef{0, 2})
	})
	tt.want("a", "there is b, who may deliver", "ask 0:0+4")
	tt.need("b", 5)
	tt.want("b", "what a was to fetch alone, also the block that it still owes", "ask 0:0+4", "ask 1:0+1")
	tt.deliver("a", "0:3")
	tt.want("b", "if that comes after all, it counts", "cancel 0:3")
	tt.state("b", func(s *peerState) { s.snubbed = true })
	tt.want("a", "nobody is left who serves: from the other end", "ask 9:0+1")
}

func TestPressureStopsAskingUntilThereIsRoom(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.slab = block.NewPhantomSlab(16 * block.Size) })
	tt.seed("a")
	var held []*block.Block
	for range 12 {
		held = append(held, tt.slab.Lease())
	}
	tt.forget()
	tt.need("a", 4)
	tt.want("disk", "above the high mark storage is asked for a word", "stall")
	tt.need("a", 4)
	tt.wantIdle("once", "disk", "a")
	for _, b := range held {
		b.Release()
	}
	tt.wantIdle("the torrent does not look by itself", "a")
	tt.answer(storage.Resume{})
	tt.want("a", "there is room", "ask 0:0+4")
}

func TestTroubleStopsAskingAndIsOverByItself(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.seed("b")
	tt.need("a", 8)
	tt.forget()
	tt.answer(storage.Trouble{Err: errRemote, Space: true})
	tt.want("a", "what has not been asked for yet shall not be", "hold")
	tt.want("events", "", "trouble: the remote has gone")
	tt.need("b", 4)
	tt.want("b", "nothing is asked for", "hold")
	if s := tt.stats(); !s.NoSpace || s.Err == "" || s.State != Downloading {
		t.Errorf("stats say %v %q %v", s.NoSpace, s.Err, s.State)
	}
	tt.deliver("a", "0:0+4")
	tt.want("disk", "what comes is kept", "block 0:0", "block 0:1", "block 0:2", "block 0:3")
	tt.answer(storage.PieceDone{Piece: 0, Err: errRemote, Kept: true})
	tt.wantIdle("storage will write it", "events")
	tt.answer(storage.Trouble{})
	tt.want("b", "the disk is well again", "go on", "ask 2:0+4")
	tt.pieceOK(0)
	if s := tt.stats(); s.NoSpace || s.Err != "" || s.Have != 1 {
		t.Errorf("stats say %v %q %d", s.NoSpace, s.Err, s.Have)
	}
}

func TestPieceThatCouldNotBeStoredIsFetchedAgain(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.forget()
	delete(tt.disk.marks, 0)
	tt.answer(storage.PieceDone{Piece: 0, Err: errRemote})
	tt.need("a", 4)
	tt.want("a", "all of it", "ask 0:0+4")
	if s := tt.stats(); s.HashFails != 0 || s.Banned != 0 {
		t.Error("that was the disk's fault")
	}
}

func TestAllowedFastPiecesAreAskedForWhileChoked(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.picker = "rarest" })
	tt.seed("a")
	tt.forget()
	tt.report("a", func(r *report) {
		r.state.chokesUs, r.state.needFast = true, 2
		r.fast = []metainfo.PieceIndex{3, 7}
	})
	tt.want("a", "only those that it allows", "ask 3:0+2")
	tt.state("a", func(s *peerState) { s.needFast = 4 })
	tt.want("a", "", "ask 3:2+2", "ask 7:0+2")
	tt.state("a", func(s *peerState) { s.needFast = 0 })
	tt.wantIdle("no more room", "a")
}

func TestAllowedFastDoesNotOverruleASequentialPicker(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.forget()
	tt.report("a", func(r *report) {
		r.state.chokesUs, r.state.needFast = true, 8
		r.fast = []metainfo.PieceIndex{3, 1}
	})
	tt.wantIdle("piece 0 comes first", "a")
	tt.seed("b")
	tt.need("b", 4)
	tt.state("a", func(s *peerState) { s.needFast = 8 })
	tt.want("a", "b fetches that, so 1 is next", "ask 1:0+4")
}

func TestSuggestedPiecesAreBounded(t *testing.T) {
	tt := leeching(t)
	p := tt.seed("a")
	for range 100 {
		tt.report("a", func(r *report) { r.suggested = []metainfo.PieceIndex{1, 2} })
		tt.report("a", func(r *report) { r.fast = []metainfo.PieceIndex{1, 2} })
	}
	e := tt.tor.swarm.byID[p.cfg.id]
	if len(e.suggested) != maxSuggested || len(e.fast) != maxAllowedFast {
		t.Errorf("%d suggestions and %d allowed-fast pieces are remembered", len(e.suggested), len(e.fast))
	}
}

func TestIdlePeersAreServedWhenWorkComes(t *testing.T) {
	tt := leeching(t)
	tt.peer("a", 0)
	tt.peer("b")
	tt.need("b", 3)
	tt.forget()
	tt.have("b", 4)
	tt.want("b", "interesting from the first piece on", "interested", "ask 4:0+3")
	tt.need("a", 9)
	tt.want("a", "", "ask 0:0+4")
	tt.have("a", 1)
	tt.wantIdle("its need was answered", "a")
}

// skewed is a torrent whose pieces are at 1 to 10 peers, and a seed.
func skewed(t *testing.T, picker string) *testTorrent {
	const pieces = 300
	tt := leeching(t, func(tt *testTorrent) {
		tt.cfg.picker = picker
		tt.cfg.meta = ttMeta(t, pieces*ttPieceLen, ttPieceLen)
		tt.disk.judge = true
	})
	for n := range int32(10) {
		var has []int32
		for i := range int32(pieces) {
			if i%10 >= n {
				has = append(has, i)
			}
		}
		tt.peer(string('a'+n), has...)
	}
	tt.seed("S")
	return tt
}

// rarestChosen lets the seed choose piece after piece, and counts how often none of the
// others was rarer.
func rarestChosen(tt *testTorrent) (chosen, rarest int) {
	wanted := map[metainfo.PieceIndex]bool{}
	for i := range tt.cfg.lengths.Pieces() {
		wanted[metainfo.PieceIndex(i)] = true
	}
	for len(wanted) > 0 {
		tt.need("S", 4)
		out := slices.Clone(tt.members["S"].out)
		least := int32(100)
		for i := range wanted {
			least = min(least, tt.tor.pieces.avail[i])
		}
		chosen++
		if tt.tor.pieces.avail[out[0].piece] == least {
			rarest++
		}
		delete(wanted, out[0].piece)
		tt.bring("S", 0, out)
	}
	return chosen, rarest
}

func TestRarestPiecesAreChosenFirst(t *testing.T) {
	if n, rarest := rarestChosen(skewed(t, "rarest")); n != 300 || rarest*100 < n*95 {
		t.Errorf("rarest: %d of %d choices", rarest, n)
	}
	if n, rarest := rarestChosen(skewed(t, "random")); n != 300 || rarest*100 > n*60 {
		t.Errorf("random: %d of %d choices", rarest, n)
	}
}

// BenchmarkEndgameAmongManyIdlePeers gives a block back among 180 peers that have
// nothing to do.
func BenchmarkEndgameAmongManyIdlePeers(b *testing.B) {
	const pieces, blocks, idle = 40, 64, 180
	tt := leeching(b, func(tt *testTorrent) {
		tt.cfg.meta = ttMeta(tt.t, pieces*blocks*block.Size, blocks*block.Size)
		tt.cfg.perIP = false
		tt.slab = block.NewPhantomSlab(256 << 20)
	})
	tt.seed("A")
	tt.need("A", pieces*blocks)
	for i := range idle {
		tt.seed(string(rune('B' + i)))
		tt.need(string(rune('B'+i)), 2000)
	}
	for b.Loop() {
		tt.giveBack("A", "39:5")
		tt.need("A", 1)
		tt.forget()
	}
}

func TestWhoHasProvedNothingBeginsTwoPieces(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.unknown = true })
	tt.seed("a")
	tt.forget()
	tt.need("a", 12)
	tt.want("a", "two pieces are a stranger's trial", "ask 0:0+4", "ask 1:0+4")
	tt.need("a", 8)
	tt.wantIdle("there is no third", "a")
	tt.deliver("a", "0:0+4", "1:0+2")
	tt.wantIdle("one that is complete has not been judged", "a")
	tt.pieceOK(0)
	tt.want("a", "it has proved itself, and goes on by itself", "have 0", "ask 2:0+4", "ask 3:0+4")
}
