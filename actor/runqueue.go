package actor

// runQueue is a FIFO ring that grows by doubling.
type runQueue struct {
	ring    []*Cell // its length is a power of two
	head, n int
}

func (q *runQueue) push(c *Cell) {
	if q.n == len(q.ring) {
		grown := make([]*Cell, max(64, 2*len(q.ring)))
		for i := range q.n {
			grown[i] = q.ring[q.at(i)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[q.at(q.n)] = c
	q.n++
}

func (q *runQueue) at(i int) int { return (q.head + i) & (len(q.ring) - 1) }

// pop takes who has waited longest; there must be one.
func (q *runQueue) pop() *Cell {
	c := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = q.at(1)
	q.n--
	return c
}
