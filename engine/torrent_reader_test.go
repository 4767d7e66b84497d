package engine

import (
	"errors"
	"testing"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// wish is a Reader's lease.
func (tt *testTorrent) wish(reader uint64, first, last metainfo.PieceIndex) {
	tt.t.Helper()
	tt.tell(urgent{reader: reader, first: first, last: last})
}

func (tt *testTorrent) await(piece metainfo.PieceIndex) error {
	tt.t.Helper()
	return tt.ask(func(r actor.Ref[error]) torrentMsg { return await{1, piece, r} })
}

func (tt *testTorrent) waitFor(reader uint64, piece metainfo.PieceIndex) *[]error {
	tt.t.Helper()
	return tt.begin(func(r actor.Ref[error]) torrentMsg { return await{reader, piece, r} })
}

func TestReadersComeFirst(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.cfg.picker = "rarest" })
	tt.seed("a")
	tt.forget()
	tt.wish(1, 6, 8)
	tt.need("a", 10)
	tt.want("a", "in the order of reading", "ask 6:0+4", "ask 7:0+4", "ask 8:0+2")
	there := tt.waitFor(1, 6)
	tt.deliver("a", "6:0+4")
	if len(*there) != 0 {
		t.Fatal("not verified yet")
	}
	tt.pieceOK(6)
	if len(*there) != 1 || (*there)[0] != nil {
		t.Fatalf("answers %v", *there)
	}
	if err := tt.await(6); err != nil {
		t.Error(err)
	}
}

func TestWhatAReaderCanNotWaitForIsAskedTwice(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.seed("b")
	tt.forget()
	tt.wish(1, 5, 5)
	tt.need("a", 4)
	tt.want("a", "", "ask 5:0+4")
	tt.need("b", 2)
	tt.want("b", "a has just been asked", "ask 0:0+2")
	tt.pass(hurryAfter)
	tt.need("b", 2)
	tt.want("b", "it should have come", "ask 5:0+1", "ask 5:1+1")
	tt.deliver("b", "5:0")
	tt.want("a", "", "cancel 5:0")
}

func TestReadersSelectNothing(t *testing.T) {
	tt := leeching(t, withFiles(1, 3), having(0))
	tt.peer("a", 0, 1, 2, 3)
	tt.ask(selecting(4, 0))
	tt.peer("a", 1, 2, 3) // seeds have parted
	tt.need("a", 20)
	tt.forget()
	tt.wish(1, 2, 2)
	tt.want("a", "what is read is fetched, and nothing else", "interested", "ask 2:0+4")
	tt.wantIdle("that is no news: all that is selected is there", "events")
	if s := tt.stats(); s.Wanted != ttPieceLen || s.Done != ttPieceLen || s.State != Seeding {
		t.Errorf("%v, wanted %d, done %d", s.State, s.Wanted, s.Done)
	}
	there := tt.waitFor(1, 2)
	tt.deliver("a", "2:0+4")
	tt.forget()
	tt.pieceOK(2)
	tt.want("events", "nor is this", "verified 2")
	if len(*there) != 1 || (*there)[0] != nil {
		t.Errorf("answers %v", *there)
	}
	if s := tt.stats(); s.Wanted != ttPieceLen || s.Done != ttPieceLen || s.Have != 2 {
		t.Errorf("wanted %d, done %d, %d pieces", s.Wanted, s.Done, s.Have)
	}
}

func TestEndOfALeaseCancels(t *testing.T) {
	tt := leeching(t, withFiles(1, 3), having(0))
	tt.ask(selecting(4, 0))
	tt.peer("a", 1, 2, 3)
	tt.wish(1, 2, 3)
	tt.wish(2, 3, 3)
	tt.need("a", 5)
	tt.forget()
	there := tt.waitFor(1, 2)
	tt.tell(urgent{reader: 1, end: true})
	tt.want("a", "the other Reader's piece stays", "cancel 2:0", "cancel 2:1", "cancel 2:2", "cancel 2:3")
	if len(*there) != 1 {
		t.Errorf("who waited: %d answers", len(*there))
	}
	tt.pass(leaseTime)
	tt.want("a", "a lease that is not renewed ends by itself", "not interested", "cancel 3:0")
	if n := len(tt.tor.reader.byReader) + len(tt.tor.pieces.lent) + len(tt.tor.pieces.deadline); n != 0 {
		t.Errorf("%d things are left of it", n)
	}
}

func TestRenewedLeasesLast(t *testing.T) {
	tt := leeching(t)
	tt.wish(1, 5, 5)
	since := tt.tor.reader.byReader[1].since
	for range 5 {
		tt.pass(leaseTime / 2)
		tt.wish(1, 5, 5)
	}
	if l := tt.tor.reader.byReader[1]; l.since != since {
		t.Error("the deadline of what is waited for must not move on")
	}
	tt.pass(leaseTime)
	if len(tt.tor.reader.byReader) != 0 {
		t.Error("the lease has not ended")
	}
}

func TestReadersAreBounded(t *testing.T) {
	tt := leeching(t)
	for i := range uint64(maxReaders + 5) {
		tt.wish(i+1, 1, 2)
	}
	if n := len(tt.tor.reader.byReader); n != maxReaders {
		t.Errorf("%d leases", n)
	}
	busy := 0
	for i := range uint64(maxWaiters + 5) {
		if got := tt.waitFor(i, 3); len(*got) == 1 && errors.Is((*got)[0], ErrBusy) {
			busy++
		}
	}
	if busy != 5 {
		t.Errorf("%d were refused", busy)
	}
}

func TestWaitersHearOfFailure(t *testing.T) {
	tt := leeching(t)
	got := tt.waitFor(1, 3)
	tt.begin(checking)
	if len(*got) != 0 {
		t.Error("a check is no failure")
	}
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1), Err: errRemote})
	if len(*got) != 1 || !errors.Is((*got)[0], errRemote) {
		t.Errorf("answers %v", *got)
	}
	if err := tt.await(1); !errors.Is(err, errRemote) {
		t.Errorf("of a torrent that has failed: %v", err)
	}
	if err := tt.await(99); err == nil {
		t.Error("there is no piece 99")
	}
}

func TestWaitersHearOfAChecksFindings(t *testing.T) {
	tt := leeching(t)
	got := tt.waitFor(1, 3)
	tt.begin(checking)
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 3)})
	if len(*got) != 1 || (*got)[0] != nil {
		t.Errorf("answers %v", *got)
	}
}

func TestDeadlinesFollowTheReaders(t *testing.T) {
	l := leases{byReader: map[uint64]lease{
		1: {first: 2, last: 4, since: 100},
		2: {first: 3, last: 30, since: 0},
	}}
	have := setOf(ttPieces, 4)
	got := l.deadlines(have, ttMeta(t, ttTotal, ttPieceLen).Lengths)
	for i, want := range map[metainfo.PieceIndex]actor.Time{
		2: actor.Time(100).Add(dueStep), 3: actor.Time(0).Add(dueStep), 5: actor.Time(0).Add(3 * dueStep), 9: actor.Time(0).Add(7 * dueStep),
	} {
		if got[i] != want {
			t.Errorf("piece %d is due at %v, want %v", i, got[i], want)
		}
	}
	if len(got) != 7 {
		t.Errorf("%d pieces are due: what is there and what is not a piece is not", len(got))
	}
}
