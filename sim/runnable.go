package sim

import (
	"math/rand/v2"

	"github.com/shoal-bt/shoal/actor"
)

// runnable is the queue of actors that want a turn: a ring that grows by doubling.
type runnable struct {
	ring    []*actor.Cell
	head, n int
}

func (q *runnable) push(c *actor.Cell) {
	if q.n == len(q.ring) {
		grown := make([]*actor.Cell, max(64, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[q.at(i)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[q.at(q.n)] = c
	q.n++
}

// at returns the place of the i-th in line; the ring's length is a power of two.
func (q *runnable) at(i int) int { return (q.head + i) & (len(q.ring) - 1) }

// first takes who has waited longest.
func (q *runnable) first() *actor.Cell {
	c := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = q.at(1)
	q.n--
	return c
}

// any takes one by lot; the longest waiting takes its place in line.
func (q *runnable) any(r *rand.Rand) *actor.Cell {
	i := q.at(r.IntN(q.n))
	q.ring[i], q.ring[q.head] = q.ring[q.head], q.ring[i]
	return q.first()
}
