//go:build unix && !linux

//pump: sends datagrams, without waiting.

package transport

import "golang.org/x/sys/unix"

// segmenter would let the system cut trains.
type segmenter struct{}

// sendto is the system call. It does not wait.
func (s *sender) sendto(fd int, to unix.Sockaddr) error {
	return unix.Sendto(fd, s.b, unix.MSG_DONTWAIT, to)
}
