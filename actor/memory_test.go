package actor

import (
	"testing"
	"testing/synctest"
	"unsafe"
)

// sink takes anything.
type sink struct {
	n    int
	echo int // so many messages it passes on to itself
}

func (s *sink) Handle(c *Ctx[any], m any) {
	s.n++
	if s.echo > 0 {
		s.echo--
		c.Self().Tell(m)
	}
}

// An idle actor keeps no large buffer, a busy one does.
func TestIdleBuffersAreSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewLive(LiveConfig{Workers: 1})
		p := newProc[any](w, Spec{Name: "sink", Limit: 10_000}, &sink{})
		child := start(p)
		synctest.Wait()
		if cap(p.box.in)+cap(p.batch.mail)+cap(p.box.signals)+cap(p.batch.signals) != 0 {
			t.Error("a newborn has buffers")
		}
		for burst := 1; burst < 2000; burst *= 3 {
			p.a.(*sink).echo = burst // each of a batch's messages leads to one of the next
			p.mu.Lock()              // as if many told at once
			for range burst {
				p.box.append(1)
			}
			p.unlockReady()
			synctest.Wait()
			if kept := cap(p.box.in) + cap(p.batch.mail); kept > 2*idleMail {
				t.Errorf("after a burst of %d room for %d is kept", burst, kept)
			}
		}
		child.Stop(nil)
		w.Close()
	})
}

// A busy actor reuses its two buffers: no allocation per batch.
func TestBusyBuffersAreReused(t *testing.T) {
	var box mailbox[any]
	var b batch[any]
	m := any(&sink{})
	turn := func() {
		for range 1000 {
			box.append(m)
		}
		b.take(&box, 0)
		b.next = b.end
		b.used()
	}
	turn()
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
}

// What has been handed out is not held any longer than its batch.
func TestBatchForgets(t *testing.T) {
	var box mailbox[*int]
	var b batch[*int]
	for range 10 {
		box.append(new(int))
	}
	_, _ = box.signal(0, nil)
	b.take(&box, 4)
	b.next, b.seen = b.end, 1
	b.used()
	box.append(new(int))
	b.take(&box, 0) // the rest, and the new one
	if len(b.mail) != 7 || b.next != 0 || b.end != 7 || len(box.in) != 0 {
		t.Fatalf("%d in the batch, %d:%d, %d in the box", len(b.mail), b.next, b.end, len(box.in))
	}
	b.next = b.end
	b.used()
	for _, half := range [][]*int{b.mail, box.in} {
		for i, m := range half[:cap(half)] {
			if m != nil {
				t.Errorf("message %d is still held", i)
			}
		}
	}
}

// A batch that is never quite emptied does not grow.
func TestBatchDoesNotCreep(t *testing.T) {
	var box mailbox[int]
	var b batch[int]
	for i := range 100_000 {
		box.append(i)
		box.append(i)
		b.take(&box, 2)
		if b.end-b.next != 2 {
			t.Fatalf("turn of %d", b.end-b.next)
		}
		b.next = b.end
		b.used()
	}
	if cap(b.mail)+cap(box.in) > 64 {
		t.Errorf("room for %d messages", cap(b.mail)+cap(box.in))
	}
}

// Watches end with the watcher, and are forgotten with the watched.
func TestWatchesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := NewLive(LiveConfig{Workers: 2})
		storage := newProc[any](w, Spec{Name: "storage"}, &sink{})
		root := start(storage)
		for range 100 {
			peer := Root(w, Spec{Name: "peer"}, &watching{root.Ref}, nil)
			synctest.Wait()
			peer.Stop(nil)
			synctest.Wait()
		}
		if n := storage.watchers.n; n != 0 {
			t.Errorf("%d watches of the dead", n)
		}
		session := &proc[any]{}
		for range 1000 {
			peer := newProc[any](w, Spec{Name: "peer"}, &sink{})
			c := start(peer)
			session.remember(peer.watch(func(Exit) {}))
			c.Stop(nil)
			synctest.Wait()
		}
		if n := cap(session.watching); n > 8 {
			t.Errorf("%d ended watches are remembered", n)
		}
		root.Stop(nil)
		w.Close()
	})
}

type watching struct{ of Ref[any] }

func (w *watching) Handle(*Ctx[any], any) {}

func (w *watching) Start(c *Ctx[any]) {
	for range 3 {
		Watch(c, w.of, func(e Exit) any { return e })
	}
}

// The cell of an actor is what most of an idle one's memory is.
func TestCellSize(t *testing.T) {
	if n := unsafe.Sizeof(proc[any]{}); n > 576 {
		t.Errorf("%d bytes", n)
	} else {
		t.Logf("%d bytes", n)
	}
}
