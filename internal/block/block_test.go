package block

import (
	"sync"
	"testing"
)

func TestBudgetBoundsLeases(t *testing.T) {
	s := NewSlab(3 * Size)
	got := make([]*Block, 5)
	if n := s.LeaseN(got); n != 3 || s.Used() != 3 || s.Lease() != nil {
		t.Fatalf("leased %d of a budget of 3, used %d", n, s.Used())
	}
	got[1].Release()
	if b := s.Lease(); b == nil || s.Used() != 3 {
		t.Fatalf("a released slot must be leased again, used %d", s.Used())
	}
}

func TestSharesOfASealedBlock(t *testing.T) {
	s := NewSlab(Size)
	b := s.Lease()
	b.SetLen(5)
	copy(b.Bytes(), "hello")
	b.Seal().Retain()
	b.Release()
	if string(b.Bytes()) != "hello" || s.Used() != 1 {
		t.Fatal("the slot must live until its last holder releases it")
	}
	b.Release()
	if s.Used() != 0 {
		t.Fatalf("used %d after the last release", s.Used())
	}
}

func TestMisusePanics(t *testing.T) {
	s := NewSlab(2 * Size)
	for name, f := range map[string]func(){
		"retain before seal": func() { s.Lease().Retain() },
		"double release":     func() { b := s.Lease(); b.Release(); b.Release() },
		"length":             func() { (&Block{}).SetLen(Size + 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s must panic", name)
				}
			}()
			f()
		}()
	}
}

func TestLeaseWaitTakesWhatIsReleased(t *testing.T) {
	s := NewSlab(Size)
	first := s.Lease()
	stop := make(chan struct{})
	got := make(chan *Block)
	go func() { got <- s.LeaseWait(stop) }()
	first.Release()
	if b := <-got; b == nil {
		t.Fatal("the waiting pump must get the slot")
	}
	go func() { got <- s.LeaseWait(stop) }()
	close(stop)
	if b := <-got; b != nil {
		t.Fatal("no slot is free: stop must end the wait")
	}
}

func TestPhantomBlocksHaveNoBytes(t *testing.T) {
	b := NewPhantomSlab(Size).Lease()
	if !b.Phantom() || b.Bytes() != nil || b.Len() != Size {
		t.Fatalf("phantom: %v %d", b.Bytes(), b.Len())
	}
}

func TestManyLeaseAndRelease(t *testing.T) {
	s := NewSlab(16 * Size)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if b := s.LeaseWait(nil); b != nil {
					b.Release()
				}
			}
		})
	}
	wg.Wait()
	if s.Used() != 0 {
		t.Fatalf("used %d", s.Used())
	}
}

func BenchmarkLeaseRelease(b *testing.B) {
	s := NewSlab(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s.Lease().Release()
	}
}
