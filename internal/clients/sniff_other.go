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
	Payload  []byte
}

// Sniffer needs Linux.
type Sniffer struct{}

// Sniff needs Linux.
func Sniff(func(Packet) bool) (*Sniffer, error) { return nil, errLinux }

// Stop needs Linux.
func (*Sniffer) Stop() []Packet { return nil }

// Seen needs Linux.
func (*Sniffer) Seen() []Packet { return nil }

// Names needs Linux.
func (Packet) Names(*Torrent) bool { return false }

// PEX needs Linux.
func (Packet) PEX() bool { return false }
