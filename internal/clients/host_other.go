//go:build !linux

package clients

import "net/netip"

// Host needs Linux.
type Host struct{ Addrs []netip.Addr }

// Segment needs Linux.
type Segment struct{}

// NewSegment needs Linux.
func NewSegment(netip.Prefix, ...netip.Prefix) (*Segment, error) { return nil, errLinux }

// Host needs Linux.
func (*Segment) Host(...netip.Prefix) (*Host, error) { return nil, errLinux }

// Port needs Linux.
func (h *Host) Port(uint16) netip.AddrPort { return netip.AddrPort{} }

func (h *Host) wrap(args []string) []string { return args }
