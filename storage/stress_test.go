package storage_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// stressed is one torrent among several on real files and real goroutines. Its
// answers come in on any goroutine.
type stressed struct {
	t     *testing.T
	l     *live
	id    ID
	tt    *TestTorrent
	dir   string
	mu    sync.Mutex
	have  []metainfo.PieceIndex
	pend  map[metainfo.PieceIndex]bool
	dones chan Done
	other chan Answer
}

func (s *stressed) answer(a Answer) {
	switch a := a.(type) {
	case PieceDone:
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.pend, a.Piece)
		if !a.OK {
			s.t.Errorf("torrent %d: %+v", s.id, a)
			return
		}
		s.have = append(s.have, a.Piece)
	case Done:
		s.dones <- a
	case Trouble:
		s.t.Errorf("torrent %d: %+v", s.id, a)
	default:
		s.other <- a
	}
}

// stressAnswer waits for an answer of a kind.
func stressAnswer[A Answer](s *stressed) A {
	timeout := time.After(60 * time.Second)
	for {
		select {
		case a := <-s.other:
			if a, ok := a.(A); ok {
				return a
			}
		case <-timeout:
			var a A
			s.t.Errorf("torrent %d: no %T came", s.id, a)
			return a
		}
	}
}

func (s *stressed) done(m Message) {
	s.l.send(m)
	if d := <-s.dones; d.Err != nil {
		s.t.Errorf("torrent %d: %T: %v", s.id, m, d.Err)
	}
}

// live downloads, reads, moves, renames and checks, all at once with the others.
func (s *stressed) live(rng *rand.Rand) {
	s.l.send(Open{ID: s.id, Info: s.tt.Torrent, Dir: s.dir, Options: Options{IncompleteSuffix: ".part", Allocation: Allocation(s.id % 2)}, Reply: actor.FuncRef(s.answer)})
	if o := stressAnswer[Opened](s); o.Err != nil {
		s.t.Errorf("open: %v", o.Err)
		return
	}
	names := []string{"t/renamed/a", "t/a", "t/b/c/d"}
	for n, p := range rng.Perm(int(s.tt.Lengths.Pieces())) {
		s.fetch(metainfo.PieceIndex(p))
		s.readSome(rng)
		switch n % 40 {
		case 7:
			s.done(Sync{ID: s.id})
		case 17:
			s.done(Rename{ID: s.id, File: 0, Path: names[n%3]})
		case 27:
			s.dir = filepath.Join(filepath.Dir(s.dir), names[n%3])
			s.done(Move{ID: s.id, Dir: s.dir})
		case 37:
			s.done(Save{ID: s.id, Value: []byte("value")})
		}
	}
	s.await(0)
	s.done(Sync{ID: s.id})
	s.l.send(Verify{ID: s.id})
	if d := stressAnswer[CheckDone](s); d.Have == nil || !d.Have.Full() {
		s.t.Errorf("torrent %d: %+v", s.id, d)
	}
	s.l.send(Close{ID: s.id})
	if c := stressAnswer[Closed](s); c.Err != nil {
		s.t.Errorf("close: %v", c.Err)
	}
}

// fetch sends a piece, block by block in random batches, with few pieces under way.
func (s *stressed) fetch(p metainfo.PieceIndex) {
	s.mu.Lock()
	s.pend[p] = true
	s.mu.Unlock()
	e := s.tt.Entries(s.l.slab, p)
	rand.Shuffle(len(e), func(i, j int) { e[i], e[j] = e[j], e[i] })
	for len(e) > 0 {
		n := 1 + rand.IntN(len(e))
		b := NewBlocks(s.id)
		b.Entries = append(b.Entries, e[:n]...)
		s.l.send(b)
		e = e[n:]
	}
	s.await(3)
}

// await waits until at most n pieces are under way.
func (s *stressed) await(n int) {
	for {
		s.mu.Lock()
		pending := len(s.pend)
		s.mu.Unlock()
		if pending <= n {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func (s *stressed) readSome(rng *rand.Rand) {
	s.mu.Lock()
	if len(s.have) == 0 {
		s.mu.Unlock()
		return
	}
	p := s.have[rng.IntN(len(s.have))]
	s.mu.Unlock()
	size := s.tt.Lengths.PieceSize(p)
	begin := rng.Int64N((size+block.Size-1)/block.Size) * block.Size
	n := 1 + rng.Int64N(size-begin)
	answer := make(chan *Read, 1)
	s.l.send(&Read{ID: s.id, Piece: p, Begin: begin, Length: n, Reply: actor.FuncRef(func(r *Read) { answer <- r })})
	r := <-answer
	var got []byte
	for _, b := range r.Blocks {
		got = append(got, b.Bytes()...)
	}
	if r.Err != nil || !bytes.Equal(got, s.tt.Piece(p)[begin:begin+n]) {
		s.t.Errorf("torrent %d: read of piece %d: %d bytes, %v", s.id, p, len(got), r.Err)
	}
	r.Drop()
}

func TestManyTorrentsAtOnce(t *testing.T) {
	dir := t.TempDir()
	l := newLive(t, filepath.Join(dir, "state"), 4<<20)
	var wg sync.WaitGroup
	var torrents []*stressed
	for i := range 4 {
		s := &stressed{
			t: t, l: l, id: ID(i + 1), dir: filepath.Join(dir, string(rune('a'+i)), "first"),
			tt:   MakeTorrent(t, 48_000, uint64(i), TestFile{Path: "a", N: 1_500_000}, TestFile{Path: "b/b", N: 333}, TestFile{Path: "c", N: 900_000}),
			pend: map[metainfo.PieceIndex]bool{}, dones: make(chan Done, 100), other: make(chan Answer, 10_000),
		}
		torrents = append(torrents, s)
		wg.Go(func() { s.live(rand.New(rand.NewPCG(uint64(i), 9))) })
	}
	wg.Wait()
	if n := l.slab.Used(); n != 0 {
		t.Errorf("%d slots are in use", n)
	}
	l.close()
	for _, s := range torrents {
		got, err := os.ReadFile(filepath.Join(s.dir, "t", "c"))
		if err != nil || !bytes.Equal(got, s.tt.FileData(2)) {
			t.Errorf("torrent %d: %d bytes, %v", s.id, len(got), err)
		}
	}
}
