package actor_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// Ten thousand actors that have had a message and wait for the next, half of them
// with a timer: no goroutine, no buffer worth the name.
func TestTenThousandIdleActors(t *testing.T) {
	const n = 10_000
	bytes, goroutines := idleCost(n)
	t.Logf("%.0f bytes each", bytes)
	if bytes > 1024 {
		t.Errorf("%.0f bytes each", bytes)
	}
	if goroutines > 0 {
		t.Errorf("%d goroutines more", goroutines)
	}
}

// sleeper may have a long timer, and tells when it has had a message.
type sleeper struct {
	done  chan struct{}
	timed bool
}

func (s *sleeper) Start(c *actor.Ctx[hop]) {
	if s.timed {
		c.After(time.Hour, hop{})
	}
}

func (s *sleeper) Handle(*actor.Ctx[hop], hop) { s.done <- struct{}{} }

// idleCost returns the heap per idle actor and the goroutines that they have added.
func idleCost(n int) (bytes float64, goroutines int) {
	w := actor.NewLive(actor.LiveConfig{Workers: 2})
	done := make(chan struct{}, 1)
	before, g := heap(), runtime.NumGoroutine()
	children := make([]actor.Child[hop], n)
	for i := range children {
		children[i] = actor.Root(w, actor.Spec{Name: "idle"}, &sleeper{done, i%2 == 0}, nil)
		children[i].Ref.Tell(hop{})
		<-done
	}
	after := heap()
	goroutines = runtime.NumGoroutine() - g
	for _, c := range children {
		c.Stop(nil)
	}
	w.Close()
	return float64(after-before) / float64(n), goroutines
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
