//pump: sends datagrams from a queue.

package transport

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/windows"
)

// sendQueue is how many datagrams may wait to be sent.
const sendQueue = 256

// sender hands datagrams to a goroutine: here a write may wait.
type sender struct {
	queue chan *Packet
	done  chan struct{}
}

func (s *sender) init(u *udp) error {
	s.queue, s.done = make(chan *Packet, sendQueue), make(chan struct{})
	go s.run(u)
	return nil
}

func (s *sender) run(u *udp) {
	for {
		select {
		case p := <-s.queue:
			_, _ = u.conn.WriteToUDPAddrPort(p.Data, p.From)
			p.Release()
		case <-s.done:
			return
		}
	}
}

func (s *sender) close() { close(s.done) }

func (s *sender) send(to netip.AddrPort, b []byte) error {
	if len(b) > MaxDatagram {
		return ErrTooBig
	}
	p := NewPacket(to, b)
	select {
	case <-s.done:
		p.Release()
		return ErrClosed
	default:
	}
	select {
	case s.queue <- p:
		return nil
	default:
		p.Release()
		return ErrDropped
	}
}

// tooLong reports whether a read failed because the datagram was larger than its
// buffer.
func tooLong(err error) bool { return errors.Is(err, windows.WSAEMSGSIZE) }

// passing reports whether a read's error is about one datagram that was sent before.
func passing(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAENETRESET)
}
