//pump: reads datagrams of trackers from one socket and hands each to its request.

package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxDatagram bounds what is read of a tracker's packet: MaxWant IPv6 peers and
// room to spare, in bytes.
const maxDatagram = 8192

// maxReadErrors is how many failed reads in a row a socket survives. Windows reports
// a remote's closed port as an error of our read.
const maxReadErrors = 100

// udpSocket is a socket that many requests share, told apart by transaction and
// source address.
type udpSocket struct {
	pc   net.PacketConn
	done chan struct{}

	mu      sync.Mutex
	waiters map[waiterKey]chan []byte
	failed  bool
}

type waiterKey struct {
	from        netip.AddrPort
	transaction uint32
}

func newUDPSocket(pc net.PacketConn) *udpSocket {
	s := &udpSocket{pc: pc, done: make(chan struct{}), waiters: map[waiterKey]chan []byte{}}
	go s.read()
	return s
}

func (s *udpSocket) close() {
	s.pc.Close()
	<-s.done
}

func (s *udpSocket) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// read runs until the socket is closed.
func (s *udpSocket) read() {
	defer close(s.done)
	defer s.fail()
	buf := make([]byte, maxDatagram)
	for errs := 0; errs < maxReadErrors; {
		n, from, err := s.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			errs++
			continue
		}
		errs = 0
		s.deliver(from, buf[:n])
	}
	s.pc.Close()
}

func (s *udpSocket) fail() {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
}

// deliver hands a packet to whoever waits for it, from there. Others are ignored.
func (s *udpSocket) deliver(from net.Addr, p []byte) {
	a, err := netip.ParseAddrPort(from.String())
	t, ok := Transaction(p)
	if err != nil || !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.waiters[waiterKey{unmap(a), t}]
	if ch == nil {
		return
	}
	select {
	case ch <- append([]byte(nil), p...):
	default: // the request has enough of them to look at
	}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// exchange sends a packet and waits for one that parse accepts. What parse calls
// ErrNotOurs is ignored; errSilent means that the wait is over.
func (s *udpSocket) exchange(ctx context.Context, to netip.AddrPort, transaction uint32, packet []byte,
	wait time.Duration, parse func([]byte) error) error {
	key := waiterKey{unmap(to), transaction}
	ch := make(chan []byte, 4)
	s.mu.Lock()
	s.waiters[key] = ch
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiters, key)
		s.mu.Unlock()
	}()
	if _, err := s.pc.WriteTo(packet, net.UDPAddrFromAddrPort(to)); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case p := <-ch:
			if err := parse(p); !errors.Is(err, ErrNotOurs) {
				return err
			}
		case <-timer.C:
			return errSilent
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errors.New("the socket was closed")
		}
	}
}
