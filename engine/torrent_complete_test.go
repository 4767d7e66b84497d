package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/storage"
)

func TestCompletionIsToldAfterALook(t *testing.T) {
	tt := newTestTorrent(t, having(0, 1, 2, 3, 4, 5, 6, 7, 8))
	tt.seed("a")
	tt.need("a", 9)
	tt.deliver("a", "9:0+3")
	tt.disk.lookErr = storage.ErrReplaced
	tt.pieceOK(9)
	tt.want("events", "storage looks, and finds another file", "downloading", "connected a", "verified 9", "seeding", "gone a")
	tt.answer(storage.Trouble{Err: storage.ErrReplaced})
	tt.want("events", "", "trouble: another file has taken its place")
	tt.disk.lookErr = nil
	tt.answer(storage.Trouble{Lost: setOf(10, 3, 9)})
	tt.want("events", "it is not complete any more", "downloading", "trouble: <nil>")
	if s := tt.stats(); s.Have != 8 || s.Done >= s.Wanted {
		t.Errorf("stats say %d pieces, %d of %d bytes", s.Have, s.Done, s.Wanted)
	}
	tt.seed("b")
	tt.need("b", 9)
	tt.deliver("b", "3:0+4", "9:0+3")
	tt.pieceOK(3, 9)
	tt.want("events", "now it is", "connected b", "verified 3", "verified 9", "seeding", "gone b", "completed")
}

func TestPausedBeforeCompletionIsTold(t *testing.T) {
	tt := newTestTorrent(t, having(0, 1, 2, 3, 4, 5, 6, 7, 8))
	tt.seed("a")
	tt.need("a", 9)
	tt.deliver("a", "9:0+3")
	tt.disk.noLook = true
	tt.pieceOK(9)
	tt.forget()
	tt.ask(pausing)
	tt.answer(storage.Done{Cookie: lookCookie})
	tt.want("events", "not while it is paused", "paused")
	tt.disk.noLook = false
	tt.ask(resuming)
	tt.want("events", "afterwards", "seeding", "completed")
}

func TestLostPiecesAreFetchedAgain(t *testing.T) {
	tt := newTestTorrent(t, having(0, 1, 2, 3, 4, 5, 6))
	tt.peer("a", 0, 1, 2)
	tt.seed("b")
	tt.need("a", 4)
	tt.wantIdle("it has nothing for us", "a")
	tt.forget()
	tt.answer(storage.Trouble{Err: errRemote})
	tt.answer(storage.Trouble{Lost: setOf(10, 1)})
	tt.want("a", "it is asked for what is lost", "hold", "interested", "go on", fmt.Sprintf("have %d", ^1), "ask 1:0+4")
	tt.pass(time.Second)
	tt.want("b", "and all hear of it", "hold", "go on", fmt.Sprintf("have %d", ^1))
	tt.deliver("a", "1:0+4")
	tt.pieceOK(1)
	tt.pass(time.Second)
	tt.want("b", "", "have 1")
	if s := tt.stats(); s.Have != 7 {
		t.Errorf("%d pieces", s.Have)
	}
	tt.forget()
	tt.answer(storage.Trouble{Lost: setOf(10, 9)})
	tt.wantIdle("what we do not have can't be lost", "a")
}

func TestFilesThatOthersWriteAreNoPlaceForATorrent(t *testing.T) {
	for _, taken := range []error{storage.ErrLocked, storage.ErrShared} {
		tt := leeching(t)
		tt.seed("a")
		tt.forget()
		tt.answer(storage.Trouble{Err: &storage.Error{Op: "write", Path: "/x", Err: taken}})
		tt.want("events", "it fails at once", "failed", "failed: write /x: "+taken.Error(), "gone a")
		if tt.stats().State != Failed {
			t.Errorf("state %v", tt.stats().State)
		}
		tt.answer(storage.Trouble{})
		tt.want("events", "until they are given up", "downloading")
	}
}
