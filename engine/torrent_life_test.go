package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

func pausing(r actor.Ref[error]) torrentMsg  { return pause{r} }
func resuming(r actor.Ref[error]) torrentMsg { return resume{r} }
func checking(r actor.Ref[error]) torrentMsg { return recheck{r} }
func announce(r actor.Ref[error]) torrentMsg { return reannounce{r} }
func selecting(prio ...uint8) func(actor.Ref[error]) torrentMsg {
	return func(r actor.Ref[error]) torrentMsg { return setPriorities{prio, r} }
}

// withTracker gives the torrent a tracker.
func withTracker(tt *testTorrent) { tt.cfg.trackers = [][]string{{"http://tracker.test/announce"}} }

// withFiles makes it a torrent of files of these many pieces each.
func withFiles(pieces ...int64) func(*testTorrent) {
	return func(tt *testTorrent) {
		b := metainfo.Builder{Name: "files", PieceLength: ttPieceLen}
		var total int64
		for i, n := range pieces {
			b.Files = append(b.Files, metainfo.BuildFile{Path: []string{fmt.Sprint("f", i)}, Length: n * ttPieceLen})
			total += n
		}
		b.Pieces = make([]byte, 20*total)
		m, err := b.Build()
		if err != nil {
			tt.t.Fatal(err)
		}
		tt.cfg.meta = m
	}
}

func TestLifeOfADownload(t *testing.T) {
	tt := newTestTorrent(t, withTracker, having(0, 1, 2, 3, 4, 5, 6, 7))
	tt.want("disk", "storage first", "open")
	tt.want("events", "", "downloading")
	tt.want("tracker", "", "started left 106496")
	tt.seed("a")
	tt.need("a", 9)
	tt.deliver("a", "8:0+4", "9:0+3")
	tt.forget()
	tt.pieceOK(8)
	tt.want("events", "", "verified 8")
	tt.pieceOK(9)
	tt.want("events", "", "verified 9", "seeding", "gone a", "completed")
	tt.want("tracker", "", "completed left 0")
	tt.tell(finish{limit: time.Second})
	tt.want("tracker", "", "stopped left 0")
	if tt.exit == nil || tt.exit.Err != nil {
		t.Errorf("exit %v", tt.exit)
	}
	if !tt.has("disk", "close") || !tt.has("governor", "leave") {
		t.Error("storage and governor must hear of the end")
	}
}

func TestWhatIsThereIsSeededAtOnce(t *testing.T) {
	tt := newTestTorrent(t, withTracker, having())
	tt.want("events", "", "seeding", "completed")
	tt.want("tracker", "nothing was downloaded, so nothing has been completed", "started left 0")
	tt.ask(pausing)
	tt.ask(resuming)
	tt.want("events", "completed once", "paused", "seeding")
}

func TestUnknownPiecesAreCheckedFirst(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Unknown = setOf(ttPieces, 1, 2) })
	tt.want("events", "", "checking")
	tt.want("disk", "", "open", "verify [1 2]")
	tt.answer(storage.Checked{Piece: 1, OK: true})
	if s := tt.stats(); s.Checked != 1 || s.CheckTotal != 2 || s.Rehashed != ttPieceLen {
		t.Errorf("%d of %d checked, %d bytes", s.Checked, s.CheckTotal, s.Rehashed)
	}
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1), Hashed: 2 * ttPieceLen})
	tt.want("events", "", "downloading")
	if s := tt.stats(); s.Have != 1 || s.Rehashed != 2*ttPieceLen || s.Done != ttPieceLen {
		t.Errorf("%d pieces, %d bytes hashed, %d done", s.Have, s.Rehashed, s.Done)
	}
}

func TestPauseAndResume(t *testing.T) {
	tt := leeching(t, withTracker)
	tt.seed("a")
	tt.need("a", 4)
	tt.deliver("a", "0:0")
	tt.forget()
	if err := tt.ask(pausing); err != nil {
		t.Fatal(err)
	}
	tt.want("events", "", "paused", "gone a")
	tt.want("a", "", "end: torrent paused")
	tt.want("tracker", "", "stopped left 630784")
	tt.want("disk", "counters are saved", "save")
	tt.knock("b")
	tt.want("b", "", "refused: torrent paused")
	if err := tt.ask(announce); !errors.Is(err, ErrPaused) {
		t.Errorf("announce while paused: %v", err)
	}
	tt.ask(pausing)
	tt.wantIdle("twice is once", "events", "tracker")
	tt.ask(resuming)
	tt.want("events", "", "downloading")
	tt.want("tracker", "", "started left 630784")
	tt.seed("c")
	tt.need("c", 3)
	tt.want("c", "the block that came is not asked for again", "interested", "ask 0:1+3")
}

func TestPauseBeforeStorageIsOpen(t *testing.T) {
	tt := newTestTorrent(t, withTracker, func(tt *testTorrent) {
		tt.cfg.paused = true
		tt.disk.opened.Unknown = setOf(ttPieces)
	})
	tt.want("events", "what is there is looked at all the same", "checking")
	tt.ask(resuming)
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1)})
	tt.want("events", "resumed meanwhile", "downloading")
	tt.begin(checking)
	tt.ask(pausing)
	tt.want("events", "", "checking")
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1)})
	tt.want("events", "paused meanwhile", "paused")
}

func TestQuickPauseResumePauseTellsTrackersTheTruth(t *testing.T) {
	tt := newTestTorrent(t, withTracker, func(tt *testTorrent) { tt.nobody = true })
	for range 3 {
		tt.ask(pausing)
		tt.ask(resuming)
	}
	tt.ask(pausing)
	if tt.tor.news.started || tt.tor.news.ending == 0 {
		t.Errorf("paused: started %v, %d good-byes", tt.tor.news.started, tt.tor.news.ending)
	}
	tt.pass(time.Minute)
	if n := tt.tor.news.ending; n != 0 {
		t.Errorf("%d good-byes unanswered", n)
	}
}

func TestSelectionCancelsWhatIsNotWanted(t *testing.T) {
	tt := leeching(t, withFiles(2, 2, 2))
	tt.seed("a")
	tt.seed("b")
	tt.need("a", 8)
	tt.need("b", 6)
	tt.deliver("a", "0:0")
	tt.forget()
	if err := tt.ask(selecting(0, 0, 4)); err != nil {
		t.Fatal(err)
	}
	tt.want("disk", "", "select [0 0 4]")
	tt.want("a", "", "cancel 0:1", "cancel 0:2", "cancel 0:3", "cancel 1:0", "cancel 1:1", "cancel 1:2", "cancel 1:3")
	tt.want("b", "", "cancel 2:0", "cancel 2:1", "cancel 2:2", "cancel 2:3", "cancel 3:0", "cancel 3:1")
	if s := tt.stats(); s.Wanted != 2*ttPieceLen || s.Done != 0 {
		t.Errorf("wanted %d, done %d", s.Wanted, s.Done)
	}
	tt.need("a", 4)
	tt.want("a", "", "ask 4:0+4")
	tt.deliver("b", "2:0")
	tt.want("disk", "what was on its way is taken", "block 2:0")
	tt.ask(selecting(4, 4, 4))
	tt.need("b", 10)
	tt.want("b", "nothing is asked for twice", "ask 0:1+3", "ask 1:0+4", "ask 2:1+3")
}

func TestSelectionCompletesAndGoesOn(t *testing.T) {
	tt := leeching(t, withFiles(1, 1, 1), having(0))
	tt.peer("a", 0, 1, 2)
	tt.need("a", 3)
	tt.forget()
	tt.ask(selecting(4, 0, 0))
	tt.want("events", "all that is wanted is there", "seeding", "gone a", "completed")
	tt.ask(selecting(5, 0, 0))
	tt.wantIdle("no news", "events")
	tt.ask(selecting(4, 4, 0))
	tt.want("events", "", "downloading")
	tt.peer("b", 1, 2)
	tt.need("b", 4)
	tt.want("b", "only what is wanted", "interested", "ask 1:0+4")
	tt.deliver("b", "1:0+4")
	tt.forget()
	tt.pieceOK(1)
	tt.want("events", "completed again", "verified 1", "seeding", "completed")
	tt.begin(checking)
	tt.answer(storage.CheckDone{Have: setOf(3, 0, 1)})
	tt.want("events", "a check that finds all is no completion", "checking", "gone b", "seeding")
	tt.begin(checking)
	tt.answer(storage.CheckDone{Have: setOf(3, 0)})
	tt.want("events", "something is lost", "checking", "downloading")
	tt.peer("c", 1)
	tt.need("c", 4)
	tt.deliver("c", "1:0+4")
	tt.forget()
	tt.pieceOK(1)
	tt.want("events", "and fetched again", "verified 1", "seeding", "completed")
}

func TestSelectionIsRefusedWhenItDoesNotFit(t *testing.T) {
	tt := leeching(t, withFiles(1, 1, 1))
	if err := tt.ask(selecting(4, 4)); err == nil {
		t.Error("two priorities for three files")
	}
	if s := tt.stats(); s.Wanted != 3*ttPieceLen {
		t.Errorf("wanted %d", s.Wanted)
	}
}

func TestUnwantedPieceThatIsBeingHashedStays(t *testing.T) {
	tt := leeching(t, withFiles(1, 1))
	tt.peer("a", 0)
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.forget()
	tt.ask(selecting(0, 4))
	tt.pieceOK(0)
	tt.want("events", "it is there, wanted or not", "verified 0")
	if s := tt.stats(); s.Have != 1 || s.Done != 0 {
		t.Errorf("%d pieces, %d done", s.Have, s.Done)
	}
}

func TestRecheckWhileRunning(t *testing.T) {
	tt := leeching(t, withTracker, having(0, 1))
	tt.seed("a")
	tt.need("a", 6)
	tt.deliver("a", "2:0", "2:1")
	tt.forget()
	answer := tt.begin(checking)
	tt.want("a", "transfer rests", "end: torrent is being checked")
	tt.want("disk", "", "verify all")
	second := tt.begin(checking)
	tt.wantIdle("one check is enough", "disk", "tracker")
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 0), Hashed: 5})
	if len(*answer) != 1 || len(*second) != 1 || (*answer)[0] != nil {
		t.Fatalf("answers %v %v", *answer, *second)
	}
	tt.seed("b")
	tt.need("b", 12)
	tt.want("b", "what was lost, and the rest of what was begun", "interested", "ask 1:0+4", "ask 2:2+2", "ask 3:0+4", "ask 4:0+2")
}

func TestPieceVerifiedDuringACheckIsNotLost(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.begin(checking)
	tt.pieceOK(0)
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 0)})
	if s := tt.stats(); s.Have != 1 || s.State != Downloading {
		t.Errorf("%d pieces, %v", s.Have, s.State)
	}
}

func TestFailedCheckIsTakenUpAgain(t *testing.T) {
	tt := leeching(t, withTracker)
	answer := tt.begin(checking)
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 3), Err: errRemote})
	if !errors.Is((*answer)[0], errRemote) {
		t.Errorf("the check ended with %v", (*answer)[0])
	}
	tt.want("events", "", "checking", "failed", "failed: the remote has gone")
	tt.want("tracker", "nobody shall come", "stopped left 565248")
	if s := tt.stats(); s.State != Failed || s.Err == "" {
		t.Errorf("%v %q", s.State, s.Err)
	}
	tt.forget()
	tt.ask(resuming)
	tt.want("disk", "the check again", "verify all")
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 3)})
	tt.want("events", "", "checking", "downloading")
	if s := tt.stats(); s.Err != "" {
		t.Errorf("error %q", s.Err)
	}
}

func TestStorageThatCanNotBeOpened(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Err = errRemote })
	tt.want("events", "", "failed", "failed: the remote has gone")
	if err := tt.ask(func(r actor.Ref[error]) torrentMsg { return move{"/x", r} }); !errors.Is(err, ErrBusy) {
		t.Errorf("move: %v", err)
	}
	tt.pass(time.Hour)
	tt.want("disk", "this does not heal by itself", "open")
	tt.disk.opened.Err = nil
	tt.ask(resuming)
	tt.want("events", "a person has seen to it", "starting", "downloading")
}

// users: an unmounted disk must not make the torrent forget what it has, nor write to
// the empty mount point; when the disk is back all goes on by itself.
func TestFilesThatDisappearedAreWaitedFor(t *testing.T) {
	gone := fmt.Errorf("open /mnt/x: %w", storage.ErrMissing)
	tt := newTestTorrent(t, having(), func(tt *testTorrent) { tt.disk.opened.Err = gone })
	tt.want("events", "", "failed", "failed: open /mnt/x: the files of this torrent are missing")
	tt.want("disk", "", "open")
	tt.pass(missingEvery)
	tt.want("disk", "it is looked for again", "open")
	tt.wantIdle("which is no news", "events")
	tt.disk.opened.Err = nil
	tt.pass(missingEvery)
	tt.want("events", "and found", "seeding", "completed")
}

func TestRecheckTakesMissingFilesForLost(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Err = storage.ErrMissing })
	tt.forget()
	tt.disk.opened.Err = nil
	answer := tt.begin(checking)
	tt.want("disk", "on a person's word", "open check")
	tt.want("events", "", "starting", "downloading")
	if len(*answer) != 1 || (*answer)[0] != nil {
		t.Errorf("answers %v", *answer)
	}
	if tt.tor.cfg.options.Check {
		t.Error("once is enough")
	}
}

func TestSeedOnlyServesWhatIsThere(t *testing.T) {
	tt := newTestTorrent(t, having(0, 1), func(tt *testTorrent) { tt.cfg.seedOnly = true })
	tt.want("events", "", "seeding")
	tt.peer("a", 2, 3)
	tt.need("a", 9)
	tt.want("a", "it asks for nothing")
	tt.seed("b")
	tt.want("b", "and has no use for seeds", "end: both sides are seeds")
	if err := tt.await(1); err != nil {
		t.Error(err)
	}
	if err := tt.await(2); !errors.Is(err, ErrNotThere) {
		t.Errorf("a Reader must not wait for ever: %v", err)
	}
}

func TestFinishEndsWithinItsLimit(t *testing.T) {
	tt := newTestTorrent(t, withTracker)
	tt.nobody = true
	tt.forget()
	tt.child.Ref.Tell(finish{limit: 3 * time.Second})
	tt.pass(3*time.Second - 1)
	tt.want("tracker", "", "stopped left 630784")
	if tt.exit != nil {
		t.Error("trackers have their time")
	}
	tt.pass(1)
	if tt.exit == nil {
		t.Error("but no more")
	}
}

func TestFinishWithoutALimitWaitsForNobody(t *testing.T) {
	tt := newTestTorrent(t, withTracker)
	tt.nobody = true
	tt.ask(pausing) // a good-bye is under way
	tt.tell(finish{})
	if tt.exit == nil {
		t.Error("it has not ended")
	}
}

func TestFinishAnswersEverybodyOnce(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.disk.manual = true })
	tt.seed("a")
	tt.need("a", 4)
	tt.deliver("a", "0:0")
	tt.known(SourceTracker, "b") // being dialed
	answers := map[string]*[]error{
		"move":   tt.begin(func(r actor.Ref[error]) torrentMsg { return move{"/x", r} }),
		"sync":   tt.begin(func(r actor.Ref[error]) torrentMsg { return syncAll{r} }),
		"select": tt.begin(selecting(4)),
		"await":  tt.begin(func(r actor.Ref[error]) torrentMsg { return await{1, 3, r} }),
		"check":  tt.begin(checking),
		"check2": tt.begin(checking),
	}
	tt.tell(finish{remove: true})
	tt.answer(storage.CheckDone{Err: storage.ErrClosed})
	tt.settle()
	if tt.exit == nil || tt.exit.Err != nil {
		t.Fatalf("exit %v", tt.exit)
	}
	for what, got := range answers {
		if len(*got) != 1 {
			t.Errorf("%s: %d answers", what, len(*got))
		}
	}
	for _, name := range []string{"a", "b"} {
		if !tt.members[name].hasEnded {
			t.Errorf("%s lives", name)
		}
	}
}

func TestStopAnswersEverybodyOnce(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.disk.manual = true })
	a := tt.begin(func(r actor.Ref[error]) torrentMsg { return move{"/x", r} })
	b := tt.begin(func(r actor.Ref[error]) torrentMsg { return await{1, 3, r} })
	c := tt.begin(checking)
	tt.child.Stop(errRemote) // its session has crashed
	tt.settle()
	for i, got := range []*[]error{a, b, c} {
		if len(*got) != 1 || (*got)[0] == nil {
			t.Errorf("%d: answers %v", i, *got)
		}
	}
}

func TestSecondFinishAsksForMore(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Err = errRemote })
	tt.disk.opened.Err = nil
	tt.forget()
	tt.child.Ref.Tell(resume{})
	tt.child.Ref.Tell(finish{})
	tt.child.Ref.Tell(finish{remove: true, data: true})
	tt.want("disk", "", "open", "save", "close delete forget")
	if tt.exit == nil {
		t.Fatal("it has not ended")
	}
}

func TestFinishWhileStorageOpens(t *testing.T) {
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Err = errRemote })
	tt.forget()
	tt.child.Ref.Tell(resume{})
	tt.child.Ref.Tell(finish{})
	tt.settle()
	if tt.exit == nil || tt.exit.Err != nil {
		t.Errorf("exit %v: a torrent that could not be opened can be removed", tt.exit)
	}
}

func TestFailureToCloseIsTold(t *testing.T) {
	tt := leeching(t)
	tt.tor.life.closing = true // storage is asked by the test
	tt.tor.disk.window.Take(1)
	tt.child.Ref.Tell(finish{})
	tt.answer(storage.Closed{Err: errRemote})
	if tt.exit == nil || !errors.Is(tt.exit.Err, errRemote) {
		t.Errorf("exit %v", tt.exit)
	}
}

func TestStorageThatEndsIsTheTorrentsFailure(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.disk.manual = true })
	tt.seed("a")
	tt.need("a", 4)
	moved := tt.begin(func(r actor.Ref[error]) torrentMsg { return move{"/x", r} })
	tt.tell(diskDown{actor.Exit{Name: "storage", Err: errRemote}})
	if len(*moved) != 1 || !errors.Is((*moved)[0], errRemote) {
		t.Errorf("move: %v", *moved)
	}
	if s := tt.stats(); s.State != Failed {
		t.Errorf("%v", s.State)
	}
	tt.tell(finish{})
	if tt.exit == nil {
		t.Error("it can still end")
	}
}

func TestCommandsAreRefusedWhenTooManyWait(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) { tt.disk.manual = true })
	var waiting, refused int
	for range 2 * storageWindow {
		got := tt.begin(func(r actor.Ref[error]) torrentMsg { return syncAll{r} })
		if len(*got) == 0 {
			waiting++
		} else if errors.Is((*got)[0], ErrBusy) {
			refused++
		}
	}
	if waiting != storageWindow-storageReserve || waiting+refused != 2*storageWindow {
		t.Errorf("%d wait, %d were refused", waiting, refused)
	}
	tt.begin(checking) // there is room for this, and for the end
	tt.answer(storage.CheckDone{Have: setOf(ttPieces, 1)})
}

func TestMoveAndRenameAreRemembered(t *testing.T) {
	tt := leeching(t, withFiles(1, 1))
	if err := tt.ask(func(r actor.Ref[error]) torrentMsg { return move{"/elsewhere", r} }); err != nil {
		t.Fatal(err)
	}
	if err := tt.ask(func(r actor.Ref[error]) torrentMsg { return rename{1, "files/other", r} }); err != nil {
		t.Fatal(err)
	}
	tt.want("disk", "", "move /elsewhere", "rename 1 files/other")
	if d, f := tt.stats().Dir, tt.tor.fileStats(); d != "/elsewhere" || f[0].Path != "files/f0" || f[1].Path != "files/other" {
		t.Errorf("in %s: %+v", d, f)
	}
	saved := tt.lastSave()
	again := leeching(t, withFiles(1, 1), func(tt *testTorrent) {
		tt.disk.opened.Saved, tt.disk.opened.Dir = saved, "/elsewhere"
	})
	if d, f := again.stats().Dir, again.tor.fileStats(); d != "/elsewhere" || f[1].Path != "files/other" {
		t.Errorf("after a restart: in %s: %+v", d, f)
	}
}

// lastSave ends the torrent and returns what it has saved.
func (tt *testTorrent) lastSave() []byte {
	tt.t.Helper()
	tt.tell(finish{})
	return tt.disk.opened.Saved
}

func TestCountersAndAddressesOutliveTheRun(t *testing.T) {
	tt := leeching(t, withFiles(1, 1))
	tt.known(SourceTracker, "a", "b", "c")
	tt.shake("a")
	tt.leave("b", errRemote)
	tt.report("a", func(r *report) { r.has = setOf(2) })
	tt.need("a", 4)
	tt.deliver("a", "0:0+4")
	tt.state("a", func(s *peerState) { s.up = 77 })
	tt.ask(selecting(4, 0))
	tt.ask(func(r actor.Ref[error]) torrentMsg { return addTrackers{[]string{"http://more.test/a"}, r} })
	saved := tt.lastSave()

	again := leeching(t, withFiles(1, 1), func(tt *testTorrent) { tt.disk.opened.Saved = saved })
	s := again.stats()
	if s.DownEver != ttPieceLen || s.UpEver != 77 || s.Down != 0 || s.Wanted != ttPieceLen {
		t.Errorf("down %d and up %d ever, %d wanted", s.DownEver, s.UpEver, s.Wanted)
	}
	if s.Known != 1 || len(again.tor.cfg.extra) != 1 {
		t.Errorf("%d addresses, trackers %q", s.Known, again.tor.cfg.extra)
	}
	again.ask(pausing)
	again.tor.life.state, again.tor.disk.open = Failed, false
	again.ask(resuming)
	if s := again.stats(); s.DownEver != ttPieceLen {
		t.Errorf("opened again, %d bytes: the record is taken once", s.DownEver)
	}
}

func TestRecordsOfOtherVersionsAreNoReasonToFail(t *testing.T) {
	for _, raw := range []string{"", "x", "de", "d4:down1:xe", "d5:peersl3:foo9:1.2.3.4:5ee", "d7:renamedd1:xi3eee", "d7:renamedd2:-11:x1:91:yee", "d8:priority1:ae"} {
		tt := leeching(t, withFiles(1, 1), func(tt *testTorrent) { tt.disk.opened.Saved = []byte(raw) })
		if s := tt.stats(); s.State != Downloading || s.Wanted != 2*ttPieceLen {
			t.Errorf("%q: %v, wanted %d", raw, s.State, s.Wanted)
		}
	}
}

func TestIdleTorrentIsQuiet(t *testing.T) {
	tt := leeching(t, having())
	tt.pass(2 * saveEvery)
	steps := tt.w.Steps()
	if quiet := tt.w.Run(tt.w.Now().Add(24 * time.Hour)); !quiet || tt.w.Steps() != steps {
		t.Errorf("quiet %v, %d turns in a day without peers", quiet, tt.w.Steps()-steps)
	}
}

func TestStrategiesAreSwitchedWhileRunning(t *testing.T) {
	tt := leeching(t)
	tt.seed("a")
	tt.need("a", 1)
	tt.forget()
	set := func(pick, choke string) error {
		return tt.ask(func(r actor.Ref[error]) torrentMsg { return setStrategy{pick, choke, r} })
	}
	if err := set("random", "fastest"); err != nil {
		t.Fatal(err)
	}
	tt.need("a", 3)
	tt.want("a", "what is begun is known to the new one", "ask 0:1+3")
	for _, bad := range [][2]string{{"nonsense", ""}, {"", "nonsense"}} {
		if err := set(bad[0], bad[1]); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if tt.tor.cfg.picker != "random" || tt.tor.cfg.choker != "fastest" {
		t.Errorf("now %s and %s", tt.tor.cfg.picker, tt.tor.cfg.choker)
	}
}

func TestLongPiecesOnLittleMemory(t *testing.T) {
	tt := leeching(t, func(tt *testTorrent) {
		tt.cfg.meta = ttMeta(tt.t, 6*64*block.Size, 64*block.Size)
		tt.slab = block.NewPhantomSlab(32 * block.Size)
		tt.disk.judge = true
	})
	tt.seed("a")
	tt.runs("a", 1<<20, nil)
	tt.pass(time.Minute)
	if s := tt.stats(); s.State != Seeding {
		t.Errorf("%v, %d of %d pieces", s.State, s.Have, s.Pieces)
	}
}
