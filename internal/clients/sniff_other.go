//go:build !linux

package clients

import (
	"net/netip"
	"time"
)

// Packet needs Linux.
type Packet struct {
	At       time.Time
	From, To netip.AddrPort
	UDP      bool
	Flags    byte
	Payload  []byte
}

// The flags of TCP.
const (
	SYN = 1 << 1
	RST = 1 << 2
	ACK = 1 << 4
)

// Sniffer needs Linux.
type Sniffer struct{}

// Sniff needs Linux.
func Sniff(func(Packet) bool) (*Sniffer, error) { return nil, errLinux }

// SniffTCP needs Linux.
func SniffTCP(a, b netip.Addr, keep func(Packet) bool) (*Sniffer, error) { return nil, errLinux }

// SniffUDP needs Linux.
func SniffUDP(a, b netip.Addr, keep func(Packet) bool) (*Sniffer, error) { return nil, errLinux }

// Stop needs Linux.
func (*Sniffer) Stop() []Packet { return nil }

// Seen needs Linux.
func (*Sniffer) Seen() []Packet { return nil }

// Names needs Linux.
func (Packet) Names(*Torrent) bool { return false }

// PEX needs Linux.
func (Packet) PEX() bool { return false }
