package actor

const (
	// floodFactor times the limit is accepted, and reported, before a flooded actor
	// is stopped: a miscounted window should not take a torrent down at once.
	floodFactor = 4
	// idleMail is how many messages' room an actor without work may keep, in each of
	// its two buffers. A busy one keeps all it has grown, and allocates nothing.
	idleMail = 16
	// firstMail is the least room that a first message makes, lastMail the most: as
	// much as the last batch took.
	firstMail, lastMail = 4, 256
)

// mailbox holds what waits for one actor. Everything here is under the cell's mu.
type mailbox[M any] struct {
	limit, pumpMax, offerMax int32

	told    int32 // of in: requests and replies
	pumped  int32 // of in: from pumps and outsiders
	offered int32 // of in: hints
	last    int32 // messages in the last batch
	over    bool  // the limit has been passed and reported

	in      []M           // FIFO
	signals []M           // newest of each kind
	room    chan struct{} // closed when pumps may go on; nil while none waits
}

func (b *mailbox[M]) any() bool { return len(b.in) > 0 || len(b.signals) > 0 }

func (b *mailbox[M]) append(m M) {
	if b.in == nil {
		b.in = make([]M, 0, min(max(firstMail, b.last), lastMail))
	}
	b.in = append(b.in, m)
}

func (b *mailbox[M]) openRoom() {
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// signal adds m, or puts it in the place of an older one of its kind.
func (b *mailbox[M]) signal(kind uint8, m M) (old M, replaced bool) {
	for i := range b.signals {
		if any(b.signals[i]).(Signal).SignalKind() == kind {
			old, b.signals[i] = b.signals[i], m
			return old, true
		}
	}
	b.signals = append(b.signals, m)
	return old, false
}

// batch is the mail that has left the box for the actor's turn. Owner: whoever
// runs the turn.
type batch[M any] struct {
	signals []M
	seen    int // signals[seen:] have not been handed out
	mail    []M
	next    int // mail[next:] has not been handed out
	end     int // of this turn's part of mail
}

// take moves all that waits from the box into the batch, of which this turn hands
// out at most limit messages (0: all), and lets the pumps in again.
func (t *batch[M]) take(b *mailbox[M], limit int) {
	t.signals, b.signals, t.seen = b.signals, t.signals[:0], 0
	switch rest := len(t.mail) - t.next; {
	case rest == 0:
		t.mail, b.in, t.next = b.in, t.mail[:0], 0
		b.last = int32(len(t.mail))
		b.emptied()
	case limit == 0 || rest < limit:
		n := copy(t.mail, t.mail[t.next:])
		clear(t.mail[n:])
		t.mail, t.next = append(t.mail[:n], b.in...), 0
		clear(b.in)
		b.in = b.in[:0]
		b.emptied()
	}
	t.end = len(t.mail)
	if limit > 0 {
		t.end = min(t.end, t.next+limit)
	}
}

func (b *mailbox[M]) emptied() {
	b.told, b.pumped, b.offered = 0, 0, 0
	b.openRoom()
}

// used forgets what has been handed out.
func (t *batch[M]) used() {
	clear(t.signals)
	t.signals, t.seen = t.signals[:0], 0
	if t.next == len(t.mail) {
		clear(t.mail)
		t.mail, t.next = t.mail[:0], 0
	}
}

// rest returns what has not been handed out, and forgets it.
func (t *batch[M]) rest() (signals, mail []M) {
	signals, mail = t.signals[t.seen:], t.mail[t.next:]
	*t = batch[M]{}
	return signals, mail
}

// shrink lets large buffers go when there is no work.
func (t *batch[M]) shrink(b *mailbox[M]) {
	if cap(t.mail) > idleMail {
		t.mail = nil
	}
	if cap(b.in) > idleMail {
		b.in = nil
	}
}

// drop gives back what an undelivered message carries.
func drop[M any](m M) {
	if d, ok := any(m).(Dropper); ok {
		d.Drop()
	}
}

// dropAll drops mail on the last turn of a cell, each message once, whatever their
// Drop does.
func dropAll[M any](c *Cell, mail []M) {
	for len(mail) > 0 {
		c.guard(func() {
			for len(mail) > 0 {
				m := mail[0]
				mail = mail[1:]
				drop(m)
			}
		})
	}
}
