//pump: waits in Read of connections whose readiness cannot be asked.

package transport

import (
	"errors"
	"os"
	"time"
)

const (
	// plainBuf is what an idle connection holds to wait in Read.
	plainBuf = 512
	// plainHold is how long a read with the big scratch may wait for what is
	// probably there already: the remote had filled plainBuf.
	plainHold = 20 * time.Millisecond
)

// plainSource reads from any net.Conn: it waits with a small buffer, and takes the
// scratch when that came back full.
type plainSource struct {
	c     *conn
	small []byte
	big   *scratch
	more  bool // the last read filled its buffer
	timed bool // a read deadline is set
}

func (s *plainSource) next(wait bool) ([]byte, bool, error) {
	if !s.more && !wait {
		return nil, false, nil
	}
	limit := s.c.allowance()
	if wait && limit <= 0 {
		limit = s.c.awaitGrant()
	}
	if limit <= 0 {
		return nil, false, nil
	}
	buf := s.buffer()
	buf = buf[:min(int64(len(buf)), limit)]
	n, err := s.c.nc.Read(buf)
	if s.timed && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	s.more = n == len(buf)
	if n > 0 {
		err = nil // it will come again
	}
	return buf[:n], s.more, err
}

// buffer returns what to read into, and sets the deadline that goes with it.
func (s *plainSource) buffer() []byte {
	if s.more {
		if s.big == nil {
			s.big = scratches.Get().(*scratch)
		}
		s.timed = s.c.nc.SetReadDeadline(time.Now().Add(plainHold)) == nil
		return s.big[:]
	}
	if s.timed {
		_ = s.c.nc.SetReadDeadline(time.Time{})
		s.timed = false
	}
	if s.small == nil {
		s.small = make([]byte, plainBuf)
	}
	return s.small
}

func (s *plainSource) free() {
	if s.big != nil {
		scratches.Put(s.big)
		s.big = nil
	}
}
