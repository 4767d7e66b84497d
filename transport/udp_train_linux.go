//pump: sends trains of datagrams, without waiting.

package transport

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments is UDP_MAX_SEGMENTS of the first kernels that had UDP_SEGMENT.
	maxSegments = 64
	// maxTrain is what IPv6 leaves of 64 KiB for a train's payload, in bytes; IPv4
	// has 20 more.
	maxTrain = 65_487
	// singleTrains is how many trains go as single datagrams once the system has
	// refused one. Another way may lead over a device that can.
	singleTrains = 1024
)

// segmenter is the sender's part that lets the system cut trains. The sender's mutex
// guards it.
type segmenter struct {
	size    int       // of the datagrams of what is being sent; 0: it is one
	single  int       // so many trains go as single datagrams
	control [4]uint64 // a control message, aligned
}

// oob returns the control message that says how large the datagrams are.
func (g *segmenter) oob() []byte {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&g.control)), unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&g.control))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], uint16(g.size))
	return b
}

// sendto is the system call. It does not wait.
func (s *sender) sendto(fd int, to unix.Sockaddr) error {
	if s.seg.size == 0 {
		return unix.Sendto(fd, s.b, unix.MSG_DONTWAIT, to)
	}
	_, err := unix.SendmsgN(fd, s.b, s.seg.oob(), to, unix.MSG_DONTWAIT)
	return err
}

// train sends the datagrams of a train, as many as the system takes.
func (s *sender) train(to netip.AddrPort, b []byte, segment int) (sent int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aimLocked(to)
	if s.seg.single > 0 {
		s.seg.single--
	}
	for sent < len(b) {
		n := s.seg.part(len(b)-sent, segment)
		err = s.partLocked(b[sent:sent+n], segment)
		switch {
		case err == nil:
			sent += n
		case n > segment && refusesTrains(err):
			s.seg.single = singleTrains
		default:
			return sent, err
		}
	}
	return sent, nil
}

// part returns how much of n bytes goes with the next system call.
func (g *segmenter) part(n, segment int) int {
	if g.single > 0 {
		return min(n, segment)
	}
	return min(n, segment*max(1, min(maxSegments, maxTrain/segment)))
}

// partLocked sends with one system call. If a single datagram fails as well, then
// the train before it did not fail for being one.
func (s *sender) partLocked(b []byte, segment int) error {
	if len(b) > segment {
		s.seg.size = segment
	}
	err := s.putLocked(b)
	s.seg.size = 0
	if err != nil && len(b) <= segment && s.seg.single == singleTrains {
		s.seg.single = 0
	}
	return err
}

// refusesTrains reports whether an error may be due to a train: the device or the
// kernel can't cut it, or its datagrams are larger than the link's.
func refusesTrains(err error) bool { return errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) }
