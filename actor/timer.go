package actor

// Timer names a message that an actor has sent to its own future. The zero Timer
// names none.
type Timer struct{ seq uint64 }

// timers is an actor's own future: a binary heap by (at, seq), so that equal
// deadlines fire in the order in which they were set. Owner: the actor.
type timers[M any] struct {
	heap []timerEntry[M]
	seq  uint64
}

type timerEntry[M any] struct {
	at  Time
	seq uint64
	m   M
}

func (e *timerEntry[M]) less(o *timerEntry[M]) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

func (t *timers[M]) next() Time {
	if len(t.heap) == 0 {
		return Never
	}
	return t.heap[0].at
}

func (t *timers[M]) add(at Time, m M) Timer {
	t.seq++
	t.heap = append(t.heap, timerEntry[M]{at, t.seq, m})
	t.up(len(t.heap) - 1)
	return Timer{t.seq}
}

// due takes the first timer if its time has come and it was set no later than
// newest: what a batch sets must wait for the next, or an actor that sets a timer
// for at once would never see its mail.
func (t *timers[M]) due(now Time, newest uint64) (m M, ok bool) {
	if len(t.heap) == 0 || t.heap[0].at > now || t.heap[0].seq > newest {
		return m, false
	}
	m = t.heap[0].m
	t.removeAt(0)
	return m, true
}

// remove looks through the whole heap: an actor has a handful of timers.
func (t *timers[M]) remove(id Timer) (m M, ok bool) {
	for i := range t.heap {
		if t.heap[i].seq == id.seq {
			m = t.heap[i].m
			t.removeAt(i)
			return m, true
		}
	}
	return m, false
}

// rest returns the messages of all timers, in the order in which they would have
// fired, and forgets them.
func (t *timers[M]) rest() []M {
	var rest []M
	for len(t.heap) > 0 {
		rest = append(rest, t.heap[0].m)
		t.removeAt(0)
	}
	return rest
}

func (t *timers[M]) removeAt(i int) {
	last := len(t.heap) - 1
	t.heap[i] = t.heap[last]
	t.heap[last] = timerEntry[M]{}
	t.heap = t.heap[:last]
	if i < last {
		t.down(i)
		t.up(i)
	}
}

func (t *timers[M]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.heap[i].less(&t.heap[parent]) {
			return
		}
		t.heap[i], t.heap[parent] = t.heap[parent], t.heap[i]
		i = parent
	}
}

func (t *timers[M]) down(i int) {
	for {
		small := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.heap); child++ {
			if t.heap[child].less(&t.heap[small]) {
				small = child
			}
		}
		if small == i {
			return
		}
		t.heap[i], t.heap[small] = t.heap[small], t.heap[i]
		i = small
	}
}
