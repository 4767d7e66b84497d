//go:build !linux

//pump: sends trains of datagrams one by one.

package transport

import "net/netip"

// train sends the datagrams of a train, as many as the system takes.
func (s *sender) train(to netip.AddrPort, b []byte, segment int) (sent int, err error) {
	for sent < len(b) {
		n := min(segment, len(b)-sent)
		if err := s.send(to, b[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}
