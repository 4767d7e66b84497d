package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/storage/memfs"
)

// payload reports whether a call is one of the payload's, not of the state.
func payload(c memfs.Call, ops ...string) bool {
	if strings.HasPrefix(c.Path, stateDir) {
		return false
	}
	for _, op := range ops {
		if c.Op == op {
			return true
		}
	}
	return len(ops) == 0
}

// TestEachCallFailsOnce lets one call after the other fail once, with errors of all
// kinds: the download goes on by itself and ends with the right files.
func TestEachCallFailsOnce(t *testing.T) {
	kinds := []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EACCES, syscall.EMFILE, syscall.EDQUOT}
	for n := int64(1); ; n++ {
		r := newRig(t, uint64(n))
		failed := false
		r.fs.Fault = func(c memfs.Call) error {
			if c.N != n || c.Op == "stat" {
				return nil
			}
			failed = true
			return &failure{c, kinds[n%int64(len(kinds))]}
		}
		r.start()
		if !r.throughTrouble(t) {
			return
		}
		if n > 3 && !failed {
			return // past the last call
		}
	}
}

type failure struct {
	call memfs.Call
	err  error
}

func (f *failure) Error() string { return fmt.Sprintf("%s: %v", f.call.Op, f.err) }
func (f *failure) Unwrap() error { return f.err }

// throughTrouble downloads a torrent, fetches again what is asked for again, and
// compares. Opening may fail, with a reason.
func (r *rig) throughTrouble(t *testing.T) bool {
	tt := twoFiles(t)
	opt := Options{IncompleteSuffix: ".part"}
	o := r.openAs(1, tt, payloadDir, opt)
	if o.Err != nil {
		o = r.openAs(2, tt, payloadDir, opt)
		if o.Err != nil { // the state folder: nothing can be opened
			return true
		}
		r.send(Close{ID: 2})
		want[Closed](r, "close")
		return true
	}
	for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
		r.blocks(tt, p)
	}
	for done := int32(0); done < tt.Lengths.Pieces(); {
		switch d := want[PieceDone](r, "every piece in the end"); {
		case d.OK:
			done++
		case d.Err == nil:
			t.Errorf("a good piece is said to be bad: %+v", d)
		case !d.Kept:
			r.run(30 * time.Second)
			r.blocks(tt, d.Piece)
		}
	}
	r.send(Sync{ID: 1, Cookie: 1})
	for d := want[Done](r, "sync"); d.Err != nil; d = want[Done](r, "sync") {
		r.run(20 * time.Second)
		r.send(Sync{ID: 1, Cookie: 1})
	}
	r.quiet()
	r.wantFiles(tt)
	if tr := drain[Trouble](r); len(tr) > 0 && tr[len(tr)-1].Err != nil {
		t.Errorf("trouble does not end: %v", tr[len(tr)-1].Err)
	}
	if c := r.close(Close{}); c.Err != nil {
		t.Errorf("close: %v", c.Err)
	}
	r.stop()
	r.start()
	if o := r.open(tt, opt); !o.Have.Full() && (o.Unknown == nil || o.Have.Count()+o.Unknown.Count() != tt.Lengths.Pieces()) {
		t.Errorf("after the restart %d of %d pieces are known", o.Have.Count(), tt.Lengths.Pieces())
	}
	r.close(Close{})
	r.stop()
	return !t.Failed()
}

func TestTroubleIsToldOnceAndTriedAgain(t *testing.T) {
	r := newRig(t, 1)
	var tries []clock.Time
	bad := true
	r.fs.Fault = func(c memfs.Call) error {
		if bad && payload(c, "write") {
			tries = append(tries, r.world.Now())
			return syscall.EIO
		}
		return nil
	}
	r.start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.blocks(tt, 0)
	if tr := want[Trouble](r, "told"); tr.Err == nil || tr.Space {
		t.Errorf("%+v", tr)
	}
	want[PieceDone](r, "kept")
	r.run(2 * time.Minute)
	none[Trouble](r, "told once")
	if len(tries) < 8 || tries[1].Sub(tries[0]) > 2*time.Second {
		t.Errorf("tried at %v", tries)
	}
	for i := 1; i < len(tries); i++ {
		if tries[i].Sub(tries[i-1]) > 16*time.Second {
			t.Errorf("a pause of %v", tries[i].Sub(tries[i-1]))
		}
	}
	bad = false
	if tr := want[Trouble](r, "well"); tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	if d := want[PieceDone](r, "written"); !d.OK {
		t.Errorf("%+v", d)
	}
	r.quiet()
}

func TestOneTorrentsTroubleIsNotTheOthers(t *testing.T) {
	r := newRig(t, 2)
	r.fs.Mount("/full", 4096)
	r.start()
	tt, two := twoFiles(t), MakeTorrent(t, 32<<10, 2, TestFile{Path: "x", N: 400_000})
	r.open(tt, Options{})
	if o := r.openAs(2, two, "/full", Options{}); o.Err != nil {
		t.Fatal(o.Err)
	}
	for p := range metainfo.PieceIndex(8) {
		r.send(&Blocks{ID: 2, Entries: two.Entries(r.slab, p)})
	}
	if tr := want[Trouble](r, "full"); tr.ID != 2 || !tr.Space {
		t.Errorf("%+v", tr)
	}
	drain[PieceDone](r)
	r.run(time.Second)
	for _, d := range drain[PieceDone](r) {
		if d.ID != 2 || !d.Kept && d.Err == nil {
			t.Errorf("%+v", d)
		}
	}
	r.fetch(tt, all(tt)...)
	r.wantFiles(tt)
	if c := r.close(Close{}); c.Err != nil {
		t.Errorf("close: %v", c.Err)
	}
	r.send(Close{ID: 2})
	if c := want[Closed](r, "close"); c.Err == nil {
		t.Error("what could not be written is told at the end")
	}
	r.stop()
}

func TestTooMuchKeptIsLetGo(t *testing.T) {
	r := newRig(t, 3)
	r.fs.Mount("/data/downloads", 4096)
	r.start()
	tt := MakeTorrent(t, 256<<10, 1, TestFile{Path: "x", N: 4 << 20}) // the slab's size
	r.open(tt, Options{})
	for p := range metainfo.PieceIndex(10) {
		r.blocks(tt, p)
	}
	r.run(time.Minute)
	kept, gone := 0, 0
	for _, d := range drain[PieceDone](r) {
		switch {
		case d.OK:
			t.Errorf("%+v", d)
		case d.Kept:
			kept++
		default:
			gone++
		}
	}
	if kept == 0 || gone == 0 || kept+gone != 10 || r.slab.Used() > 64 {
		t.Errorf("%d pieces are kept, %d let go, %d slots used", kept, gone, r.slab.Used())
	}
	r.close(Close{})
	r.stop()
}

func TestAfterAFailedSyncPiecesAreWrittenAgain(t *testing.T) {
	r := newRig(t, 4)
	fails, rewritten := 1, 0
	after := false
	r.fs.Fault = func(c memfs.Call) error {
		if payload(c, "sync") && fails > 0 {
			fails--
			after = true
			return syscall.EIO
		}
		if after && payload(c, "write") {
			rewritten++
		}
		return nil
	}
	r.start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1, 2)
	if tr := want[Trouble](r, "sync failed"); tr.Err == nil {
		t.Errorf("%+v", tr)
	}
	if tr := want[Trouble](r, "well again"); tr.Err != nil || tr.Lost != nil {
		t.Errorf("%+v", tr)
	}
	if rewritten == 0 {
		t.Error("nothing was written again: the next sync would succeed without the data")
	}
	r.quiet()
	r.close(Close{})
	r.stop()
}

func TestPiecesThatAFailedSyncDroppedAreLost(t *testing.T) {
	r := newRig(t, 5)
	tt := twoFiles(t)
	fails := 1
	r.fs.Fault = func(c memfs.Call) error {
		if payload(c, "sync") && fails > 0 {
			fails--
			return syscall.EIO
		}
		return nil
	}
	r.start()
	r.open(tt, Options{})
	r.fetch(tt, 0, 1, 2)
	want[Trouble](r, "sync failed")
	// The system has dropped a page: the file has zeros there.
	r.manual = true
	b, _ := r.fs.ReadFile(pathOf(tt, 0))
	clear(b[40_000:41_000])
	r.fs.Overwrite(pathOf(tt, 0), b)
	r.manual = false
	if tr := want[Trouble](r, "well again"); tr.Err != nil || tr.Lost == nil {
		t.Errorf("%+v", tr)
	} else {
		wantPieces(t, "lost", tr.Lost, 1)
	}
	if _, err := r.read(1, 0, 16384); !errors.Is(err, ErrNotHave) {
		t.Errorf("read of a lost piece: %v", err)
	}
	r.fetch(tt, 1)
	r.wantRead(tt, 1)
	r.quiet()
}

func TestAFileRemovedWhileSeeding(t *testing.T) {
	r, tt := downloaded(t, 6)
	r.start()
	r.open(tt, Options{})
	saved, _ := r.fs.ReadFile(pathOf(tt, 1))
	r.fs.Remove(pathOf(tt, 1))
	if _, err := r.read(7, 0, 16384); err == nil {
		t.Error("the read must fail")
	}
	if tr := want[Trouble](r, "missing"); !tr.Missing || !errors.Is(tr.Err, ErrMissing) {
		t.Errorf("%+v", tr)
	}
	r.wantRead(tt, 0) // the other file is seeded still
	r.run(time.Minute)
	if r.fs.Exists(pathOf(tt, 1)) {
		t.Error("the file was made anew")
	}
	none[Trouble](r, "it stays so")
	_ = r.fs.WriteFile(pathOf(tt, 1), saved)
	if tr := want[Trouble](r, "back again"); tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	r.wantRead(tt, 7)
	r.quiet()
}

func TestAFolderThatComesBackAsAnother(t *testing.T) {
	r, tt := downloaded(t, 20)
	r.start()
	r.open(tt, Options{})
	saved := [][]byte{tt.FileData(0), tt.FileData(1)}
	r.fs.Remove(payloadDir)
	if _, err := r.read(7, 0, 16384); err == nil {
		t.Error("the read must fail")
	}
	if tr := want[Trouble](r, "missing"); !tr.Missing {
		t.Errorf("%+v", tr)
	}
	r.run(time.Minute)
	if r.fs.Exists(payloadDir) {
		t.Error("the folder was made anew")
	}
	for i := range saved {
		_ = r.fs.WriteFile(pathOf(tt, i), saved[i])
	}
	if tr := want[Trouble](r, "mounted again"); tr.Err != nil {
		t.Errorf("%+v", tr)
	}
	r.wantRead(tt, 7)
	r.quiet()
	r.close(Close{})
	r.stop()
}

func TestAFileRemovedWhileDownloading(t *testing.T) {
	r := newRig(t, 7).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	r.fs.Remove(pathOf(tt, 0))
	r.blocks(tt, 2) // goes to a file without a name
	if tr := want[Trouble](r, "the next sync sees it"); !tr.Missing {
		t.Errorf("%+v", tr)
	}
	r.run(time.Minute)
	if r.fs.Exists(pathOf(tt, 0)) {
		t.Error("the file was made anew, with holes for what it had")
	}
	r.close(Close{})
	r.stop()
}

func TestAFolderInTheFilesPlace(t *testing.T) {
	r := newRig(t, 8)
	_ = r.fs.WriteFile(pathOf(twoFiles(t), 0)+"/theirs", nil)
	r.start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.blocks(tt, 0)
	if tr := want[Trouble](r, "can't be written"); tr.Err == nil || !strings.Contains(tr.Err.Error(), "t/a") {
		t.Errorf("the error names the file: %v", tr.Err)
	}
	r.close(Close{})
	r.stop()
}

func TestStopAnswersWhoWaits(t *testing.T) {
	r := newRig(t, 9).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	r.manual = true
	r.blocks(tt, 2)
	r.blocks(tt, 3, 0)
	r.run(time.Millisecond)
	answered := 0
	for range 20 {
		r.send(&Read{ID: 1, Piece: 0, Begin: 0, Length: 16384, Reply: actor.FuncRef(func(x *Read) {
			x.Drop()
			answered++
		})})
	}
	r.send(Close{ID: 1})
	r.run(time.Millisecond)
	r.store.Stop(nil)
	r.run(time.Millisecond)
	if !r.ended {
		t.Fatal("storage did not end")
	}
	if len(drain[Closed](r)) != 1 {
		t.Error("Close is answered")
	}
	r.manual = false
	for len(r.jobs) > 0 {
		r.step("")
	}
	if answered != 20 {
		t.Errorf("%d of 20 reads were answered", answered)
	}
	r.noLeaks()
}

func TestReadsWaitForUploadSlots(t *testing.T) {
	r := newRig(t, 10)
	r.start()
	tt := MakeTorrent(t, 256<<10, 1, TestFile{Path: "x", N: 1 << 20})
	r.open(tt, Options{})
	r.fetch(tt, all(tt)...)
	var got []*Read
	for i := range 12 { // 3 MiB; there is room for 1
		r.send(&Read{ID: 1, Piece: metainfo.PieceIndex(i % 4), Length: 256 << 10, Reply: actor.FuncRef(func(x *Read) {
			if x.Err != nil {
				t.Error(x.Err)
			}
			got = append(got, x)
		})})
	}
	for n := 0; n < 12; {
		r.run(time.Second)
		if len(got) == 0 || len(got) > 4 {
			t.Fatalf("%d reads hold slots, room is for 4", len(got))
		}
		for _, x := range got {
			x.Drop()
			n++
		}
		got = nil
	}
	r.quiet()
}

func TestTorrentsTakeTurns(t *testing.T) {
	r := newRig(t, 11)
	r.start()
	big, small := MakeTorrent(t, 64<<10, 1, TestFile{Path: "big", N: 2 << 20}), MakeTorrent(t, 64<<10, 2, TestFile{Path: "small", N: 64 << 10})
	r.open(big, Options{})
	r.openAs(2, small, payloadDir, Options{})
	r.manual = true
	for p := range metainfo.PieceIndex(32) {
		r.blocks(big, p)
	}
	r.send(&Blocks{ID: 2, Entries: small.Entries(r.slab, 0)})
	r.settle()
	for n := 0; len(drain[PieceDone](r)) == 0 || n < 3; n++ {
		r.step("")
		for _, a := range r.answers {
			if d, ok := a.(PieceDone); ok && d.ID == 2 {
				if n > 16 {
					t.Errorf("the small torrent's only piece took %d jobs", n)
				}
				r.manual = false
				for len(r.jobs) > 0 {
					r.step("")
				}
				r.quiet()
				return
			}
		}
	}
}

func TestCloseDuringACheck(t *testing.T) {
	r := newRig(t, 12)
	tt := MakeTorrent(t, 16<<10, 1, TestFile{Path: "x", N: 20 << 20})
	_ = r.fs.WriteFile(pathOf(tt, 0), tt.Data)
	r.start()
	o := r.open(tt, Options{})
	r.manual = true
	r.send(Verify{ID: 1, Pieces: o.Unknown})
	r.settle()
	r.step("verify")
	r.send(Close{ID: 1})
	r.settle()
	jobs := 0
	for r.step("") {
		jobs++
	}
	if d := want[CheckDone](r, "the check is answered"); !errors.Is(d.Err, ErrClosed) {
		t.Errorf("%+v", d)
	}
	want[Closed](r, "closed")
	if jobs > 8 {
		t.Errorf("%d jobs were done after Close", jobs)
	}
	r.manual = false
	r.stop()
}

func TestRequestsBeforeOpenedWait(t *testing.T) {
	r := newRig(t, 13)
	r.start()
	tt := twoFiles(t)
	r.send(Open{ID: 1, Info: tt.Torrent, Dir: payloadDir, Reply: r.reply()})
	r.send(Save{ID: 1, Value: []byte("v"), Cookie: 1})
	r.send(Close{ID: 1})
	want[Closed](r, "closed")
	if d := drain[Done](r); len(d) != 1 || d[0].Err != nil {
		t.Errorf("%+v", d)
	}
	r.stop()
	r.start()
	if o := r.open(tt, Options{}); string(o.Saved) != "v" {
		t.Errorf("%q", o.Saved)
	}
}

func TestLongLogsAreCompacted(t *testing.T) {
	r := newRig(t, 14).start()
	tt := twoFiles(t)
	r.open(tt, Options{})
	r.fetch(tt, 0, 1)
	for i := range 200 {
		r.send(Save{ID: 1, Value: make([]byte, 10_000), Cookie: uint64(i)})
		if d := want[Done](r, "saved"); d.Err != nil {
			t.Fatal(d.Err)
		}
	}
	b, _ := r.fs.ReadFile(stateDir + "/" + tt.Hash.String() + ".state")
	if len(b) > 600_000 {
		t.Errorf("the state file has %d bytes", len(b))
	}
	r.kill()
	r.start()
	o := r.open(tt, Options{})
	wantPieces(t, "have", o.Have, 0, 1)
	if len(o.Saved) != 10_000 {
		t.Errorf("%d bytes saved", len(o.Saved))
	}
}
