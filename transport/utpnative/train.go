package utpnative

import (
	"errors"

	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

// trainSize is the most that one call of the system takes, as UDP_SEGMENT has it, in
// bytes; trainLen is the same in datagrams.
const (
	trainSize = 63 << 10
	trainLen  = 64
)

// train is what one link has to say, made ready for one call: datagrams of the same
// size, the last perhaps shorter. Owner: its socket.
type train struct {
	buf     []byte // trainSize bytes, while somebody speaks
	n       int    // of buf, bytes in use
	segment int    // bytes of a datagram; 0: it is empty
	count   int    // datagrams
	short   bool   // the last is shorter: no other follows
	link    *link  // whose it is
}

// fits reports whether a datagram of n bytes can follow.
func (t *train) fits(n int) bool {
	return t.segment == 0 || n <= t.segment && !t.short && t.count < trainLen && t.n+n <= len(t.buf)
}

// add makes room for a datagram that fits.
func (t *train) add(n int) []byte {
	if t.segment == 0 {
		t.segment = n
	}
	t.short = n < t.segment
	t.n += n
	t.count++
	return t.buf[t.n-n : t.n : t.n]
}

// speak sends what a link has to say now.
func (x *mux) speak(l *link) {
	if l.sock.full {
		x.wait(l)
		return
	}
	x.cur = l
	l.sock.train.link = l
	l.m.Output(x.c.Now(), x.lend)
	x.depart(l.sock)
	if l.sock.full {
		x.wait(l)
	}
}

// borrow lends the current link's machine the memory of a datagram. The one before it
// is filled by now.
func (x *mux) borrow(n int, _ bool) []byte {
	s := x.cur.sock
	if s.full {
		return nil
	}
	t := &s.train
	if t.buf == nil {
		t.buf = make([]byte, trainSize)
	}
	if !t.fits(n) {
		if x.depart(s); s.full {
			return nil
		}
	}
	return t.add(n)
}

// depart sends a socket's train. What the system has no room for waits in it, and
// meanwhile nobody else speaks: dropped, it would look like congestion of the way.
func (x *mux) depart(s *socket) {
	t := &s.train
	for sent := 0; t.segment > 0; {
		n, err := s.d.SendTrain(t.link.key.from, t.buf[sent:t.n], t.segment)
		sent += n
		switch {
		case sent >= t.n: // all of it
		case errors.Is(err, transport.ErrDropped):
			t.n = copy(t.buf, t.buf[sent:t.n])
			t.count = (t.n + t.segment - 1) / t.segment
			s.full = true
			return
		case err == nil && n > 0:
			continue
		default:
			sent += x.refused(t, min(t.segment, t.n-sent), err)
		}
		if sent >= t.n {
			t.n, t.segment, t.count, t.short = 0, 0, 0, false
		}
	}
}

// refused: the system does not send the next datagram, of n bytes. It counts as lost;
// who has only just begun learns at once.
func (x *mux) refused(t *train, n int, err error) int {
	l := t.link
	switch {
	case l.m == nil:
	case errors.Is(err, transport.ErrTooBig):
		l.m.TooBig(n)
	case l.m.Phase() == utp.SynSent && l.why == nil:
		l.fault = l.broken(transport.NetworkFault, err)
		x.touch(l)
	}
	return n
}
