// Package actor is the runtime that every other part of shoal stands on: state
// machines with typed mailboxes, run either live, on a few goroutines and the
// real clock, or in the simulator, on one thread, a seed and a virtual clock.
// It knows nothing of BitTorrent.
//
// An actor's state belongs to the actor alone. [Actor.Handle] is called for one
// message at a time, never by two goroutines at once, and never waits. What must
// wait (a socket, a disk, a person) is a pump, a worker or an outsider: it lives
// outside and comes in through an [Inlet].
//
// # Seven rules that exclude deadlock and unbounded memory
//
//  1. A handler never waits: no channel, lock, I/O, sleep or Ask.
//  2. Only pumps, workers and outsiders wait, and nobody waits for them.
//  3. A request needs a [Window]; a reply needs nothing, since taking the slot
//     reserved its place. A mailbox's limit is the sum of the windows that end
//     there; an actor flooded far beyond it is stopped.
//  4. Every request is answered exactly once: done, failed or cancelled, also at
//     stop (see [Stopper]) and by [Exit]. What depends on a remote peer is a
//     lease with a deadline.
//  5. Requests go down the levels, answers and signals go up.
//  6. No hold-and-wait on budgets.
//  7. One owner per byte while it is writable: a message that carries payload
//     gives it away, and implements [Dropper] for the case that it can't be
//     delivered.
//
// By 1 no actor waits for anybody, by 2 nobody waits for a pump: the graph of who
// waits for whom has no cycle. Memory is bounded by the windows' sum (3) and the
// budgets of payload (6, 7).
//
// # Two worlds
//
// A [World] decides when a runnable actor takes its turn and what time it is:
// [Live] here, sim.World in package sim. No actor can tell which one it is in.
package actor
