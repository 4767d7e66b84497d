package actor

import "context"

// Ref is the address of something that takes messages of type M. It is a small
// comparable value; none of its methods waits. The zero Ref takes nothing.
type Ref[M any] struct{ to target[M] }

// target is what an address leads to. The methods of its types have exported names
// because they are called through generic interfaces only, which linters can't see.
type target[M any] interface {
	celled
	Tell(M)
	Offer(M) bool
	Notify(M)
}

// celled finds the actor behind a door, nil if it is none.
type celled interface{ cell() *Cell }

// Tell sends a reply, or a request inside a [Window]. Messages of one sender
// arrive in order. If the receiver has ended, m is dropped.
func (r Ref[M]) Tell(m M) {
	if r.to == nil {
		drop(m)
		return
	}
	r.to.Tell(m)
}

// Notify sends a whole state, from parent to child only: it replaces an
// undelivered one of the same [Signal] kind, and may overtake told messages.
func (r Ref[M]) Notify(m M) {
	if r.to == nil {
		drop(m)
		return
	}
	r.to.Notify(m)
}

// Offer sends a hint, and reports false when it was dropped because the receiver
// has enough of them or has ended.
func (r Ref[M]) Offer(m M) bool {
	if r.to == nil {
		drop(m)
		return false
	}
	return r.to.Offer(m)
}

// ID returns the receiver's number, 0 if it is no actor. Use it for total orders.
func (r Ref[M]) ID() uint64 {
	if r.to == nil || r.to.cell() == nil {
		return 0
	}
	return r.to.cell().id
}

// IsZero reports whether r addresses nothing.
func (r Ref[M]) IsZero() bool { return r.to == nil }

func (c *Cell) cell() *Cell { return c }

// Inlet is the door for pumps and outsiders, who may wait. Actors must not use it.
type Inlet[M any] struct{ to inTarget[M] }

type inTarget[M any] interface {
	celled
	Put(context.Context, M) error
	TryPut(M) bool
}

// Put delivers m, waiting while too many messages of pumps wait there. After
// [ErrStopped] or the context's error m has been dropped.
func (in Inlet[M]) Put(ctx context.Context, m M) error {
	if in.to == nil {
		drop(m)
		return ErrStopped
	}
	return in.to.Put(ctx, m)
}

// TryPut delivers m unless it would have to wait, which it reports as false; m is
// then still the caller's. A receiver that has ended drops m and counts as true.
func (in Inlet[M]) TryPut(m M) bool {
	if in.to == nil {
		drop(m)
		return true
	}
	return in.to.TryPut(m)
}

// IsZero reports whether in leads nowhere.
func (in Inlet[M]) IsZero() bool { return in.to == nil }

// Ended reports whether the actor behind in has ended, or never was.
func (in Inlet[M]) Ended() bool {
	if in.to == nil || in.to.cell() == nil {
		return true
	}
	return in.to.cell().ended()
}

// Adapt makes an address for A out of one for B, so that a service can answer in
// its own words. Make it once per edge, not per message.
func Adapt[A, B any](r Ref[B], f func(A) B) Ref[A] { return Ref[A]{&adapted[A, B]{r, f}} }

type adapted[A, B any] struct {
	r Ref[B]
	f func(A) B
}

func (a *adapted[A, B]) Tell(m A)       { a.r.Tell(a.f(m)) }
func (a *adapted[A, B]) Offer(m A) bool { return a.r.Offer(a.f(m)) }
func (a *adapted[A, B]) Notify(m A)     { a.r.Notify(a.f(m)) }
func (a *adapted[A, B]) cell() *Cell {
	if a.r.to == nil {
		return nil
	}
	return a.r.to.cell()
}

// AdaptInlet makes a door for A out of one for B.
func AdaptInlet[A, B any](in Inlet[B], f func(A) B) Inlet[A] {
	return Inlet[A]{&adaptedInlet[A, B]{in, f}}
}

type adaptedInlet[A, B any] struct {
	in Inlet[B]
	f  func(A) B
}

func (a *adaptedInlet[A, B]) Put(ctx context.Context, m A) error { return a.in.Put(ctx, a.f(m)) }
func (a *adaptedInlet[A, B]) TryPut(m A) bool                    { return a.in.TryPut(a.f(m)) }
func (a *adaptedInlet[A, B]) cell() *Cell {
	if a.in.to == nil {
		return nil
	}
	return a.in.to.cell()
}

// FuncRef addresses a plain function, for outsiders and tests. f is called on the
// sender's turn: it must not wait.
func FuncRef[M any](f func(M)) Ref[M] { return Ref[M]{&funcTarget[M]{f}} }

type funcTarget[M any] struct{ f func(M) }

func (f *funcTarget[M]) Tell(m M)       { f.f(m) }
func (f *funcTarget[M]) Offer(m M) bool { f.f(m); return true }
func (f *funcTarget[M]) Notify(m M)     { f.f(m) }
func (f *funcTarget[M]) cell() *Cell    { return nil }
