package storage

// queue is a FIFO that reuses its memory.
type queue[T any] struct {
	list []T
	head int
}

func (q *queue[T]) len() int { return len(q.list) - q.head }

func (q *queue[T]) push(v T) { q.list = append(q.list, v) }

func (q *queue[T]) front() T { return q.list[q.head] }

func (q *queue[T]) pop() T {
	v := q.list[q.head]
	var zero T
	q.list[q.head] = zero
	q.head++
	switch {
	case q.head == len(q.list):
		q.list, q.head = q.list[:0], 0
	case q.head >= 32 && q.head*2 >= len(q.list):
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	return v
}

// remove takes out what match says.
func (q *queue[T]) remove(match func(T) bool) {
	kept := q.list[:0]
	for _, v := range q.list[q.head:] {
		if !match(v) {
			kept = append(kept, v)
		}
	}
	clear(q.list[len(kept):])
	q.list, q.head = kept, 0
}

// rota lets torrents with work of one kind take turns.
type rota struct {
	queue[*torrent]
	which uint8 // its bit in torrent.queued
}

// add makes t take part.
func (r *rota) add(t *torrent) {
	if t.queued&r.which == 0 {
		t.queued |= r.which
		r.push(t)
	}
}

// next takes the torrent whose turn it is; nil if there is none.
func (r *rota) next() *torrent {
	if r.len() == 0 {
		return nil
	}
	t := r.pop()
	t.queued &^= r.which
	return t
}
