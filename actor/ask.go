package actor

import (
	"context"
	"sync"
)

// Ask sends a request from outside and waits for its answer, which the request
// carries the address for. Actors must not use it. It fails with [ErrStopped] when
// the actor ends without having answered. An answer that comes after the context
// has ended is dropped.
func Ask[M, R any](ctx context.Context, to Inlet[M], ask func(Ref[R]) M) (R, error) {
	var zero R
	if to.to == nil || to.to.cell() == nil {
		return zero, ErrStopped
	}
	gone := make(chan struct{})
	w := to.to.cell().watch(func(Exit) { close(gone) })
	defer w.unwatch()
	q := question[R]{answered: make(chan struct{})}
	err := to.Put(ctx, ask(FuncRef(q.answer)))
	if err == nil {
		select {
		case <-q.answered:
		case <-gone:
			err = ErrStopped
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if r, ok := q.take(); ok { // also with its last breath
		return r, nil
	}
	return zero, err
}

// question is what Ask waits on. mu guards all but the channel.
type question[R any] struct {
	answered chan struct{}
	mu       sync.Mutex
	r        R
	have     bool
	over     bool // answered, or nobody waits any more
}

// answer takes the first answer that comes in time. A second one is a bug of the
// other side, but not ours to die of.
func (q *question[R]) answer(r R) {
	q.mu.Lock()
	late := q.over
	if !late {
		q.r, q.have, q.over = r, true, true
		close(q.answered)
	}
	q.mu.Unlock()
	if late {
		drop(r)
	}
}

func (q *question[R]) take() (R, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	return q.r, q.have
}
