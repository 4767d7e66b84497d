package actor

import "fmt"

// Window counts this actor's requests in flight at another one. It is a plain
// value in the state of whoever asks. Misuse is a bug and panics: taking more
// than Max means an unbounded mailbox, giving below zero an answer nobody asked for.
type Window struct {
	Max, Used int
}

// Open returns how many requests may still be sent: 0 also while Max has been
// lowered beneath what is in flight.
func (w *Window) Open() int { return max(w.Max-w.Used, 0) }

// Take reserves the place of n replies.
func (w *Window) Take(n int) {
	if n < 0 || w.Used+n > w.Max {
		panic(fmt.Sprintf("actor: window taken beyond its bound: %d + %d > %d", w.Used, n, w.Max))
	}
	w.Used += n
}

// Give returns n places after n replies.
func (w *Window) Give(n int) {
	if n < 0 || w.Used < n {
		panic(fmt.Sprintf("actor: window given more than was taken: %d - %d", w.Used, n))
	}
	w.Used -= n
}
