package utpnative

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// stageWorld is a world of one thread whose time the test moves. (That of package sim
// can't be used by tests in here: it knows the engine, which knows this package.)
type stageWorld struct {
	now   actor.Time
	ready []*actor.Cell
	armed []armed
	ids   uint64
}

type armed struct {
	c  *actor.Cell
	at actor.Time
}

func (w *stageWorld) Now() actor.Time                { return w.now }
func (w *stageWorld) Rand(id uint64) *rand.Rand      { return rand.New(rand.NewPCG(id, 7)) }
func (w *stageWorld) Logger() *slog.Logger           { return slog.New(slog.DiscardHandler) }
func (w *stageWorld) Gone(*actor.Cell)               {}
func (w *stageWorld) Ready(c *actor.Cell)            { w.ready = append(w.ready, c) }
func (w *stageWorld) Born(*actor.Cell) uint64        { w.ids++; return w.ids }
func (w *stageWorld) Overflow(*actor.Cell, int, int) { panic("a mailbox is over its limit") }

func (w *stageWorld) Crashed(c *actor.Cell, v any, stack []byte) {
	panic(fmt.Sprintf("%v: %v\n%s", c, v, stack))
}

func (w *stageWorld) Arm(c *actor.Cell, at actor.Time) { w.armed = append(w.armed, armed{c, at}) }

// settle lets everybody take turns until nobody wants one.
func (w *stageWorld) settle() {
	for len(w.ready) > 0 {
		c := w.ready[0]
		w.ready = w.ready[1:]
		if c.Step(256) {
			w.ready = append(w.ready, c)
		}
	}
}

// run moves time on by d.
func (w *stageWorld) run(d time.Duration) {
	until := w.now.Add(d)
	for turns := 0; ; turns++ {
		if w.settle(); turns > 1_000_000 {
			panic("it does not come to rest")
		}
		first := -1
		for i := range w.armed {
			if first < 0 || w.armed[i].at < w.armed[first].at {
				first = i
			}
		}
		if first < 0 || w.armed[first].at > until {
			w.now = until
			return
		}
		a := w.armed[first]
		w.armed = append(w.armed[:first], w.armed[first+1:]...)
		w.now = max(w.now, a.at)
		a.c.Wake()
	}
}
