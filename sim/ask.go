package sim

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
)

// Ask is [actor.Ask] for this world, whose one goroutine can't wait: it lets the
// world live until the answer has come, at the latest until the time given. It
// fails with [actor.ErrStopped] when the actor ends without having answered.
func Ask[M, R any](w *World, until clock.Time, to actor.Inlet[M], ask func(actor.Ref[R]) M) (R, error) {
	var answer R
	var have, over bool
	m := ask(actor.FuncRef(func(r R) {
		if over { // too late, or twice
			drop(r)
			return
		}
		answer, have, over = r, true, true
	}))
	sent := false
	w.RunUntil(until, func() bool {
		sent = sent || to.TryPut(m)
		return over || to.Ended()
	})
	if !sent {
		drop(m)
	}
	over = true
	switch {
	case have:
		return answer, nil
	case w.Err() != nil:
		return answer, w.Err()
	case to.Ended():
		return answer, actor.ErrStopped
	}
	return answer, fmt.Errorf("sim: no answer by %v", w.now)
}

// drop gives back what a message carries that nobody gets.
func drop(m any) {
	if d, ok := m.(actor.Dropper); ok {
		d.Drop()
	}
}
