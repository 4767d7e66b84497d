package utp

const (
	// maxFlight is how many packets may be unacknowledged at once. libutp keeps
	// up to 1,024 that came out of order and drops what lies beyond.
	maxFlight = 1023
	minRing   = 16 // slots of a ring when first used; a power of two
)

// segment is a packet that has been sent and not yet passed by the cumulative
// acknowledgement. "uTP cannot repackage data when resending it."
type segment struct {
	off    int64  // offset of its payload in the stream
	sentAt Time   // last transmission
	order  uint64 // number of its last transmission among all of the connection
	size   uint16 // bytes of payload
	tx     uint8  // transmissions, saturating
	acked  bool   // by SACK
	lost   bool   // to be sent again; not counted as in flight
	fin    bool
	probe  bool // padded to search for the MTU; cleared when sent again
}

// chunk is one buffer of the caller's.
type chunk struct {
	off int64 // offset of its first byte in the stream
	b   []byte
}

// sendQueue owns the stream that is to be sent, as references to the caller's bytes,
// and the segments that are under way.
type sendQueue struct {
	chunks []chunk
	first  int   // chunks before it are acknowledged and forgotten
	cursor int   // chunk that holds the byte next
	next   int64 // offset of the first byte that is in no segment yet
	end    int64 // offset behind the last byte written

	ring    []segment // by sequence number
	base    uint16    // oldest unacknowledged
	nextSeq uint16

	inflight int64 // bytes of payload under way: sent, not acknowledged, not lost
	unacked  int64 // bytes of payload not acknowledged, lost ones too
	lost     int   // segments marked lost
}

func (q *sendQueue) count() int     { return int(q.nextSeq - q.base) }
func (q *sendQueue) pending() int64 { return q.end - q.next }

func (q *sendQueue) at(seq uint16) *segment { return &q.ring[int(seq)&(len(q.ring)-1)] }

// write appends b; the queue keeps the reference until all of b is acknowledged.
func (q *sendQueue) write(b []byte) {
	if len(b) == 0 {
		return
	}
	if len(q.chunks) == cap(q.chunks) && q.first > len(q.chunks)/2 {
		q.compact()
	}
	q.chunks = append(q.chunks, chunk{q.end, b})
	q.end += int64(len(b))
}

func (q *sendQueue) compact() {
	n := copy(q.chunks, q.chunks[q.first:])
	clear(q.chunks[n:])
	q.chunks = q.chunks[:n]
	q.cursor -= q.first
	q.first = 0
}

// push makes a segment of the next size bytes. The caller has checked that there are
// so many, and room.
func (q *sendQueue) push(size int) *segment {
	if q.count() == len(q.ring) {
		q.grow()
	}
	s := q.at(q.nextSeq)
	*s = segment{off: q.next, size: uint16(size)}
	q.nextSeq++
	q.next += int64(size)
	q.unacked += int64(size)
	return s
}

func (q *sendQueue) grow() {
	old := q.ring
	q.ring = make([]segment, max(minRing, 2*len(old)))
	for s := q.base; s != q.nextSeq; s++ {
		*q.at(s) = old[int(s)&(len(old)-1)]
	}
}

// copyTo copies the payload at offset off into b.
func (q *sendQueue) copyTo(b []byte, off int64) {
	i := q.find(off)
	sequential := off+int64(len(b)) == q.next
	for len(b) > 0 {
		c := &q.chunks[i]
		n := copy(b, c.b[off-c.off:])
		b, off = b[n:], off+int64(n)
		if off == c.off+int64(len(c.b)) {
			i++
		}
	}
	if sequential {
		q.cursor = i
	}
}

// find returns the chunk that holds the byte at off.
func (q *sendQueue) find(off int64) int {
	if c := q.cursor; c < len(q.chunks) && c >= q.first && q.chunks[c].off <= off &&
		off < q.chunks[c].off+int64(len(q.chunks[c].b)) {
		return c
	}
	lo, hi := q.first, len(q.chunks)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; q.chunks[mid].off <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// release forgets the chunks that lie wholly before off, the first byte that may still
// have to be sent.
func (q *sendQueue) release(off int64) {
	for q.first < len(q.chunks) {
		c := &q.chunks[q.first]
		if c.off+int64(len(c.b)) > off {
			return
		}
		*c = chunk{}
		q.first++
	}
	q.chunks, q.first, q.cursor = q.chunks[:0], 0, 0
}

// ackedTo is the offset before which everything has been acknowledged.
func (q *sendQueue) ackedTo() int64 {
	if q.base == q.nextSeq {
		return q.next
	}
	return q.at(q.base).off
}

// shrink gives memory back when nothing is under way or waiting.
func (q *sendQueue) shrink() {
	if q.base == q.nextSeq && q.next == q.end {
		q.ring, q.chunks, q.first, q.cursor = nil, nil, 0, 0
	}
}
