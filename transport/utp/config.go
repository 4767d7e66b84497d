package utp

import "time"

// Config is what machines of one socket have in common. It must not change while they
// live. The zero Config is usable.
type Config struct {
	// MaxPacket is the largest UDP payload that the interface sends unfragmented,
	// in bytes: its MTU less 28 (IPv4) or 48 (IPv6). 0 means Ethernet's.
	MaxPacket int
	// V6 says that packets go by IPv6, where every link carries 1,280 bytes.
	V6 bool
	// Window caps the window that is advertised, and the memory of packets that
	// came out of order, in bytes. 0 means 1 MiB.
	Window int64
	// Target is the queueing delay to aim at. 0 means 100 ms (RFC 6817, TARGET).
	Target Duration
	// Gain is how many bytes the congestion window grows in a round trip without
	// queueing delay. 0 means 3,000, as in libutp and libtorrent.
	Gain int64
	// NoDelay turns Nagle's algorithm off.
	NoDelay bool
	// Plain makes congestion control RFC 6817 and nothing more: no slowdowns, no
	// multiplicative decrease by delay. Late-comers then take the lot.
	Plain bool
	// Pool lends memory for packets out of order; machines of one goroutine share
	// it. Nil gives each machine its own.
	Pool *Pool
}

const (
	defaultWindow = 1 << 20
	defaultTarget = 100 * time.Millisecond
	defaultGain   = 3000

	// overhead of IP and UDP in bytes, and the MTU that every path has to carry
	// (RFC 791: 576; RFC 8200: 1,280).
	overheadV4, overheadV6 = 28, 48
	leastMTUv4, leastMTUv6 = 576, 1280
	ethernetMTU            = 1500
	largestUDP             = 65507
)

func (c *Config) window() int64    { return orDefault(c.Window, defaultWindow) }
func (c *Config) target() Duration { return orDefault(c.Target, defaultTarget) }
func (c *Config) gain() int64      { return orDefault(c.Gain, defaultGain) }

func orDefault[T int | int64 | Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// packetSizes are the bounds of the search for the largest packet.
func (c *Config) packetSizes() (least, most int) {
	least, most = leastMTUv4-overheadV4, ethernetMTU-overheadV4
	if c.V6 {
		least, most = leastMTUv6-overheadV6, ethernetMTU-overheadV6
	}
	most = min(orDefault(c.MaxPacket, most), largestUDP)
	return max(min(least, most), HeaderSize+1), max(most, HeaderSize+1)
}
