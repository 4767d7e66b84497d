package utpnative

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// Links come up when they are due, rounded up to a tick, if somebody turns the wheel
// whenever it asks for that; before that it asks no more often than its slots need.
func TestWheelBringsUpWhatIsDue(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 8))
		var w wheel
		now := actor.Time(rng.Int64N(int64(time.Hour)))
		w.advance(now, nil)
		due := map[*link]actor.Time{}
		draw := func() actor.Time { return now.Add(time.Duration(rng.Int64N(int64(time.Millisecond) << rng.IntN(18)))) }
		for range 300 {
			l := new(link)
			due[l] = draw()
			w.set(l, due[l])
		}
		turns := 0
		for w.n > 0 {
			next := w.next()
			if next <= now {
				t.Fatalf("at %v it asks for %v", now, next)
			}
			now = next
			turns++
			w.advance(now, func(l *link) {
				if late := now.Sub(due[l]); late >= 0 {
					if late > 2*wheelTick {
						t.Errorf("came up %v late", late)
					}
					delete(due, l)
					return
				}
				w.set(l, due[l]) // it was in the outer wheel, or has been put off
			})
			for l := range due { //order: irrelevant
				switch rng.IntN(200) {
				case 0: // put off: the wheel is not told
					due[l] = max(due[l], draw())
				case 1: // sooner
					if at := draw(); at < due[l] && at > now {
						due[l] = at
						w.set(l, at)
					}
				case 2:
					w.remove(l)
					delete(due, l)
				}
			}
		}
		if len(due) > 0 {
			t.Errorf("%d never came up", len(due))
		}
		if turns > 3000 {
			t.Errorf("%d turns for 300 deadlines", turns)
		}
		if w.next() != actor.Never {
			t.Errorf("an empty wheel asks for %v", w.next())
		}
	}
}

// A wheel that stood still for long brings everything up at once.
func TestWheelCatchesUp(t *testing.T) {
	var w wheel
	for i := range 100 {
		w.set(new(link), actor.Time(time.Duration(i)*time.Second))
	}
	n := 0
	w.advance(actor.Time(time.Hour), func(*link) { n++ })
	if n != 100 || w.n != 0 {
		t.Errorf("%d of 100 came up, %d are left", n, w.n)
	}
}
