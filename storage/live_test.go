package storage_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// live is a storage on real files, as a session has it.
type live struct {
	t       testing.TB
	world   *actor.Live
	store   actor.Child[Message]
	workers *LiveWorkers
	slab    *block.Slab
	answers chan Answer
	ended   chan actor.Exit
}

func newLive(t testing.TB, state string, slab int64) *live {
	return newLiveWith(t, Config{StateDir: state}, slab)
}

func newLiveWith(t testing.TB, cfg Config, slab int64) *live {
	l := &live{
		t: t, world: actor.NewLive(actor.LiveConfig{}), workers: NewLiveWorkers(),
		slab: block.NewSlab(slab), answers: make(chan Answer, 1<<20), ended: make(chan actor.Exit, 1),
	}
	cfg.Workers, cfg.Slab, cfg.Lanes = l.workers, l.slab, l.workers.Lanes()
	s := New(cfg)
	l.store = actor.Root(l.world, actor.Spec{Name: "storage", Limit: 1 << 20}, s, func(e actor.Exit) { l.ended <- e })
	return l
}

func (l *live) close() {
	l.store.Stop(nil)
	if e := <-l.ended; e.Err != nil {
		l.t.Errorf("storage ended with %v", e.Err)
	}
	l.world.Close()
	if err := l.workers.Close(); err != nil {
		l.t.Errorf("closing files: %v", err)
	}
}

func (l *live) send(m Message) { l.store.Ref.Tell(m) }

// next waits for an answer of type A; others that come first are dropped.
func next[A Answer](l *live) A {
	l.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case a := <-l.answers:
			if a, ok := a.(A); ok {
				return a
			}
		case <-timeout:
			var a A
			l.t.Fatalf("no %T came", a)
			return a
		}
	}
}

func (l *live) open(tt *TestTorrent, dir string, opt Options) Opened {
	l.t.Helper()
	reply := actor.FuncRef(func(a Answer) { l.answers <- a })
	l.send(Open{ID: 1, Info: tt.Torrent, Dir: dir, Options: opt, Reply: reply})
	return next[Opened](l)
}

func (l *live) read(p metainfo.PieceIndex, begin, n int64) *Read {
	done := make(chan *Read, 1)
	l.send(&Read{ID: 1, Piece: p, Begin: begin, Length: n, Reply: actor.FuncRef(func(r *Read) { done <- r })})
	return <-done
}

func TestDownloadToRealFiles(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	tt := MakeTorrent(t, 100_000, 1, TestFile{Path: "a/b", N: 250_001}, TestFile{Path: "empty"}, TestFile{Path: "c", N: 333_333})
	l := newLive(t, state, 8<<20)
	if o := l.open(tt, dir, Options{}); o.Err != nil || !o.Have.None() || o.Unknown != nil {
		t.Fatalf("a new torrent opens empty, not %+v", o)
	}
	for p := range metainfo.PieceIndex(tt.Lengths.Pieces()) {
		l.send(&Blocks{ID: 1, Entries: tt.Entries(l.slab, p)})
	}
	for range tt.Lengths.Pieces() {
		if d := next[PieceDone](l); !d.OK {
			t.Fatalf("every piece is good: %+v", d)
		}
	}
	for i := range tt.Files {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(tt.Files[i].Path.String())))
		if err != nil || !bytes.Equal(got, tt.FileData(i)) {
			t.Errorf("file %d: %d bytes, %v", i, len(got), err)
		}
	}
	r := l.read(1, 16384, 50_000)
	var got []byte
	for _, b := range r.Blocks {
		got = append(got, b.Bytes()...)
	}
	if r.Err != nil || !bytes.Equal(got, tt.Piece(1)[16384:66384]) {
		t.Errorf("read: %v, %d bytes", r.Err, len(got))
	}
	r.Drop()
	l.send(Save{ID: 1, Value: []byte("facts"), Cookie: 7})
	if d := next[Done](l); d.Err != nil || d.Cookie != 7 {
		t.Errorf("save: %+v", d)
	}
	l.send(Sync{ID: 1})
	if d := next[Done](l); d.Err != nil {
		t.Errorf("sync: %+v", d)
	}
	l.send(Verify{ID: 1})
	if d := next[CheckDone](l); d.Err != nil || !d.Have.Full() || d.Hashed != int64(len(tt.Data)) {
		t.Errorf("verify: %+v", d)
	}
	l.send(Close{ID: 1})
	if c := next[Closed](l); c.Err != nil {
		t.Errorf("close: %v", c.Err)
	}
	if l.slab.Used() != 0 {
		t.Errorf("%d slots are still in use", l.slab.Used())
	}
	l.close()

	l = newLive(t, state, 8<<20)
	defer l.close()
	if o := l.open(tt, dir, Options{}); o.Err != nil || !o.Have.Full() || o.Unknown != nil || string(o.Saved) != "facts" {
		t.Fatalf("all is known after a restart: %+v", o)
	}
}
