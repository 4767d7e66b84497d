// Package freelist keeps values that are made and thrown away all the time, such as
// messages that carry a batch. It is sync.Pool with a type: handlers may use it,
// since it neither waits nor decides anything.
package freelist

import "sync"

// List holds values of type T for reuse. Make one with New. It is safe for
// concurrent use.
type List[T any] struct {
	pool  sync.Pool
	make  func() *T
	reset func(*T)
}

// New returns an empty list. make makes a value when none is left; reset empties
// one that comes back, since what it points to would stay alive with it.
func New[T any](make func() *T, reset func(*T)) *List[T] {
	return &List[T]{make: make, reset: reset}
}

// Get returns a value that is as New's make or reset has left it.
func (l *List[T]) Get() *T {
	if v, ok := l.pool.Get().(*T); ok {
		return v
	}
	return l.make()
}

// Put resets v, which nobody else may hold any more, and keeps it.
func (l *List[T]) Put(v *T) {
	l.reset(v)
	l.pool.Put(v)
}

// Empty cuts s to length 0 with its elements cleared, and lets its memory go when
// it holds more than keep elements.
func Empty[E any](s []E, keep int) []E {
	if cap(s) > keep {
		return nil
	}
	clear(s)
	return s[:0]
}
