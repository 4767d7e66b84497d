package actor

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// check fails the test unless the heap is one, and every cell knows its place.
func (a *alarm) check(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, e := range a.heap {
		if e.c.pos != i {
			t.Fatalf("cell at %d believes it is at %d", i, e.c.pos)
		}
		if parent := (i - 1) / 2; i > 0 && a.heap[parent].at > e.at {
			t.Fatalf("%d is before its parent %d", i, parent)
		}
	}
}

// armed returns what the alarm stands at, by cell.
func (a *alarm) armed() map[*Cell]Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := map[*Cell]Time{}
	for _, e := range a.heap {
		m[e.c] = e.at
	}
	return m
}

// A random life of an alarm against a plain map.
func TestAlarmAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			w := NewLive(LiveConfig{Workers: 1})
			cells := make([]*proc[any], 30)
			for i := range cells {
				cells[i] = newProc[any](w, Spec{}, &sink{})
				cells[i].state = dead // so that Wake does not run it
			}
			model := map[*Cell]Time{}
			for range 500 {
				c := &cells[rng.IntN(len(cells))].Cell
				switch rng.IntN(4) {
				case 0:
					w.alarm.disarm(c)
					delete(model, c)
				case 1:
					time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				default:
					model[c] = w.Now().Add(time.Duration(rng.IntN(100)) * time.Millisecond)
					w.alarm.arm(c, model[c])
				}
				synctest.Wait()
				w.alarm.check(t)
				maps.DeleteFunc(model, func(_ *Cell, at Time) bool { return at <= w.Now() })
				if got := w.alarm.armed(); !maps.Equal(got, model) {
					t.Fatalf("armed: %v, want %v", got, model)
				}
			}
			w.Close()
		})
	}
}

// A random life of an actor's timers against a sorted list.
func TestTimersAgainstModel(t *testing.T) {
	type entry struct {
		at Time
		id Timer
	}
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var ts timers[Timer] // its own name is the message
		var model []entry
		now := Time(0)
		for range 300 {
			switch rng.IntN(5) {
			case 0:
				if len(model) == 0 {
					continue
				}
				i := rng.IntN(len(model))
				if m, ok := ts.remove(model[i].id); !ok || m != model[i].id {
					t.Fatalf("removed %v, %v; want %v", m, ok, model[i].id)
				}
				model = slices.Delete(model, i, i+1)
			case 1:
				now += Time(rng.IntN(10))
				for len(model) > 0 && model[0].at <= now {
					if m, ok := ts.due(now, ts.seq); !ok || m != model[0].id {
						t.Fatalf("due is %v, %v; want %v", m, ok, model[0].id)
					}
					model = model[1:]
				}
				if m, ok := ts.due(now, ts.seq); ok {
					t.Fatalf("%v is not due", m)
				}
			default:
				e := entry{now + Time(rng.IntN(20)), Timer{ts.seq + 1}}
				if got := ts.add(e.at, e.id); got != e.id {
					t.Fatalf("named %v, want %v", got, e.id)
				}
				model = append(model, e)
				slices.SortStableFunc(model, func(a, b entry) int { return int(a.at - b.at) })
			}
			if len(model) == 0 && ts.next() != Never || len(model) > 0 && ts.next() != model[0].at {
				t.Fatalf("next at %v", ts.next())
			}
		}
		if rest := ts.rest(); len(rest) != len(model) || ts.next() != Never {
			t.Errorf("%d left, want %d", len(rest), len(model))
		}
	}
}

// Whoever ends does not stay in the alarm.
func TestTheDeadAreDisarmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewLive(LiveConfig{Workers: 1})
		p := newProc[any](w, Spec{Name: "one"}, &sink{})
		p.flusher = flushFunc(func(c *Ctx[any]) { c.After(time.Hour, 1) })
		child := start(p)
		synctest.Wait()
		if n := len(w.alarm.armed()); n != 1 {
			t.Errorf("%d armed", n)
		}
		child.Stop(nil)
		synctest.Wait()
		if n := len(w.alarm.armed()); n != 0 {
			t.Errorf("%d armed after the end", n)
		}
		w.Close()
	})
}

// A wake-up that comes while the turn that relies on it is ending leads to another.
func TestWakeDuringATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewLive(LiveConfig{Workers: 1})
		p := newProc[any](w, Spec{Name: "one"}, &sink{})
		started := false
		p.flusher = flushFunc(func(c *Ctx[any]) {
			if !started {
				started = true
				p.armed.Store(int64(c.Now().Add(time.Second))) // set earlier, and just ringing
				c.After(2*time.Second, "timer")
				return
			}
		})
		p.body = &lateWaker{p: p}
		child := start(p)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := p.a.(*sink).n; n != 1 {
			t.Errorf("the timer came %d times", n)
		}
		child.Stop(nil)
		w.Close()
	})
}

type flushFunc func(*Ctx[any])

func (f flushFunc) Flush(c *Ctx[any]) { f(c) }

// lateWaker rings just after the first turn has decided to rely on the alarm.
type lateWaker struct {
	p    *proc[any]
	rung bool
}

func (l *lateWaker) turn() {
	l.p.turn()
	if !l.rung {
		l.rung = true
		l.p.Wake()
	}
}

func (l *lateWaker) takeLocked(limit int)       { l.p.takeLocked(limit) }
func (l *lateWaker) settleLocked() bool         { return l.p.settleLocked() }
func (l *lateWaker) closeLocked() (drop func()) { return l.p.closeLocked() }
func (l *lateWaker) actor() any                 { return l.p.a }

func TestRunQueue(t *testing.T) {
	var q runQueue
	cells := make([]Cell, 1000)
	in, out := 0, 0
	rng := rand.New(rand.NewPCG(1, 1))
	for out < len(cells) {
		if in < len(cells) && rng.IntN(3) > 0 {
			q.push(&cells[in])
			in++
		} else if q.n > 0 {
			if q.pop() != &cells[out] {
				t.Fatalf("not the %d-th", out)
			}
			out++
		}
	}
}
