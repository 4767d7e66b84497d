package utp

// maxReorder is how far ahead of the stream a packet may be to be kept, in packets;
// what a SACK of 128 bytes can tell.
const maxReorder = 1024

// Pool lends buffers for packets that came out of order. All machines of one socket
// may share one; it is not safe for concurrent use. The zero Pool is ready.
type Pool struct {
	free [len(poolClasses)][][]byte
}

// poolClasses are the sizes of buffers; keepFree is how many of each are kept.
var poolClasses = [...]int{512, 1536, 16 << 10, 64 << 10}

const keepFree = 64

func poolClass(n int) int {
	for i, size := range poolClasses {
		if n <= size {
			return i
		}
	}
	return len(poolClasses) - 1
}

func (p *Pool) get(n int) []byte {
	c := poolClass(n)
	if free := p.free[c]; len(free) > 0 {
		b := free[len(free)-1]
		p.free[c] = free[:len(free)-1]
		return b[:n]
	}
	return make([]byte, n, max(n, poolClasses[c]))
}

func (p *Pool) put(b []byte) {
	c := poolClass(cap(b))
	if cap(b) == poolClasses[c] && len(p.free[c]) < keepFree {
		p.free[c] = append(p.free[c], b)
	}
}

// recvQueue owns what has come from the remote: how far the stream is complete, and
// the packets beyond a gap.
type recvQueue struct {
	pool *Pool
	ring [][]byte // beyond a gap, by sequence number; nil until there is one
	held int64    // bytes of memory in ring
	kept int64    // bytes of payload in ring
	n    int      // packets in ring
	ack  uint16   // last sequence number in order
	high uint16   // highest sequence number in ring, while n > 0

	finSeq   uint16
	finKnown bool
	eof      bool // everything before the FIN was delivered

	granted   int64 // bytes that the owner allowed in all; Unlimited and above never end
	delivered int64 // bytes of the stream handed over or discarded
}

// ahead is how many packets are missing before seq, or a number of at least
// maxReorder if seq is old or out of reach.
func (q *recvQueue) ahead(seq uint16) int { return int(seq - q.ack - 1) }

// window is how many bytes may come, at most limit.
func (q *recvQueue) window(limit int64) int64 {
	return max(0, min(q.granted-q.delivered, limit)-q.kept)
}

// keep stores a copy of a packet that came before its turn, unless the caps forbid
// it. It reports whether the packet is there.
func (q *recvQueue) keep(seq uint16, payload []byte, limit int64) bool {
	if q.ring == nil {
		q.ring = make([][]byte, minRing)
	}
	for q.ahead(seq) >= len(q.ring) {
		q.grow()
	}
	slot := &q.ring[int(seq)&(len(q.ring)-1)]
	if *slot != nil {
		return true
	}
	cost := int64(poolClasses[poolClass(len(payload))])
	if q.held+cost > limit {
		return false
	}
	*slot = q.pool.get(len(payload))
	copy(*slot, payload)
	q.held += int64(cap(*slot))
	q.kept += int64(len(payload))
	if q.n == 0 || less(q.high, seq) {
		q.high = seq
	}
	q.n++
	return true
}

func (q *recvQueue) grow() {
	old := q.ring
	q.ring = make([][]byte, 2*len(old))
	for i := range len(old) {
		seq := q.ack + 1 + uint16(i)
		q.ring[int(seq)&(len(q.ring)-1)] = old[int(seq)&(len(old)-1)]
	}
}

// drain hands over what has become contiguous.
func (q *recvQueue) drain(deliver func([]byte)) {
	for q.n > 0 {
		slot := &q.ring[int(q.ack+1)&(len(q.ring)-1)]
		if *slot == nil {
			break
		}
		b := *slot
		q.take(b, deliver)
		q.drop(slot)
	}
	if q.finKnown && !q.eof && q.ack+1 == q.finSeq {
		// "This lets the socket wait for packets that might still be missing."
		q.ack++
		q.eof = true
		q.clear()
	}
}

func (q *recvQueue) drop(slot *[]byte) {
	b := *slot
	*slot = nil
	q.n--
	q.held -= int64(cap(b))
	q.kept -= int64(len(b))
	q.pool.put(b)
}

// take moves the stream on by one packet.
func (q *recvQueue) take(b []byte, deliver func([]byte)) {
	q.ack++
	q.delivered += int64(len(b))
	if deliver != nil {
		deliver(b)
	}
}

// clear gives back everything that is kept.
func (q *recvQueue) clear() {
	for i := range q.ring {
		if q.ring[i] != nil {
			q.drop(&q.ring[i])
		}
	}
	q.ring = nil
}

// has reports whether the packet seq, beyond the gap, is there.
func (q *recvQueue) has(seq uint16) bool {
	if q.finKnown && seq == q.finSeq {
		return true
	}
	return q.ahead(seq) < len(q.ring) && q.ring[int(seq)&(len(q.ring)-1)] != nil
}

// sackSize is how many bytes of bitmask tell what lies beyond the gap: none, or a
// multiple of 4.
func (q *recvQueue) sackSize() int {
	high, any := q.high, q.n > 0
	if q.finKnown && !q.eof && (!any || less(high, q.finSeq)) {
		high, any = q.finSeq, true
	}
	if !any {
		return 0
	}
	bits := int(high-q.ack) - 1
	return min((bits+31)/32*4, maxReorder/8)
}

// putSACK fills the bitmask b: "The first bit in the mask represents ack_nr + 2."
func (q *recvQueue) putSACK(b []byte) {
	clear(b)
	for i := range len(b) * 8 {
		if q.has(q.ack + 2 + uint16(i)) {
			b[i/8] |= 1 << (i % 8)
		}
	}
}
