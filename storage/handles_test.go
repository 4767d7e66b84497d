package storage

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// countedFile knows whether it is open.
type countedFile struct {
	File
	open *atomic.Int32
	done atomic.Bool
}

func (f *countedFile) Close() error {
	if f.done.Swap(true) {
		panic("closed twice")
	}
	f.open.Add(-1)
	return nil
}

type fileCounter struct {
	open, opened atomic.Int32
	limit        int32
}

func (c *fileCounter) get() (File, error) {
	if c.limit > 0 && c.open.Load() >= c.limit {
		return nil, syscall.EMFILE
	}
	c.opened.Add(1)
	c.open.Add(1)
	return &countedFile{open: &c.open}, nil
}

func TestHandlesKeepTheLatest(t *testing.T) {
	p, c, s := newHandles(3), &fileCounter{}, &store{}
	use := func(file int32, write bool) {
		h, err := p.get(handleKey{s, file, write}, c.get)
		if err != nil {
			t.Fatal(err)
		}
		p.put(h)
	}
	for _, file := range []int32{1, 2, 3, 1, 4, 1} {
		use(file, false)
	}
	if c.open.Load() != 3 || c.opened.Load() != 4 {
		t.Errorf("%d files are open, %d were opened", c.open.Load(), c.opened.Load())
	}
	use(1, false)
	use(3, false)
	use(4, false)
	if c.opened.Load() != 4 {
		t.Errorf("files used last were closed: %d were opened", c.opened.Load())
	}
	use(4, true)
	use(4, false) // the one for writing will do
	if c.opened.Load() != 5 {
		t.Errorf("%d were opened", c.opened.Load())
	}
	if err := p.closeAll(); err != nil || c.open.Load() != 0 {
		t.Errorf("%d are left open, %v", c.open.Load(), err)
	}
}

func TestHandlesInUseAreNotClosed(t *testing.T) {
	p, c, s := newHandles(1), &fileCounter{}, &store{}
	a, _ := p.get(handleKey{s, 1, false}, c.get)
	b, _ := p.get(handleKey{s, 2, false}, c.get)
	if c.open.Load() != 2 {
		t.Errorf("%d are open", c.open.Load())
	}
	_ = p.forget(s, func(int32) bool { return true })
	if c.open.Load() != 2 {
		t.Error("a file in use was closed")
	}
	p.put(a)
	p.put(b)
	if c.open.Load() != 0 {
		t.Errorf("%d are left open", c.open.Load())
	}
}

func TestHandlesShrinkWhenThereAreTooMany(t *testing.T) {
	p, c, s := newHandles(100), &fileCounter{limit: 5}, &store{}
	for file := range int32(20) {
		h, err := p.get(handleKey{s, file, false}, c.get)
		if err != nil {
			t.Fatalf("file %d: %v", file, err)
		}
		p.put(h)
	}
	var held []*handle
	for file := range int32(5) {
		h, err := p.get(handleKey{s, 100 + file, false}, c.get)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	if _, err := p.get(handleKey{s, 200, false}, c.get); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("all are in use: %v", err)
	}
	for _, h := range held {
		p.put(h)
	}
	if err := p.closeAll(); err != nil || c.open.Load() != 0 {
		t.Errorf("%d are left open", c.open.Load())
	}
}

func TestHandlesUnderManyUsers(t *testing.T) {
	p, c := newHandles(4), &fileCounter{}
	stores := []*store{{}, {}}
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 1))
			for range 2000 {
				s := stores[rng.IntN(2)]
				if rng.IntN(50) == 0 {
					_ = p.forget(s, func(i int32) bool { return i%2 == 0 })
					continue
				}
				h, err := p.get(handleKey{s, int32(rng.IntN(8)), rng.IntN(3) == 0}, c.get)
				if err != nil {
					t.Error(err)
					return
				}
				if h.File.(*countedFile).done.Load() {
					t.Error("a closed file was handed out")
				}
				p.put(h)
			}
		})
	}
	wg.Wait()
	_ = p.closeAll()
	if c.open.Load() != 0 {
		t.Errorf("%d are left open", c.open.Load())
	}
}
