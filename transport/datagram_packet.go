package transport

import (
	"iter"
	"net/netip"
	"sync"
)

// Packet is what has come in: a datagram, or a train of them for those who take
// trains. It is pooled: whoever gets it calls Release once, and does not touch it
// afterwards.
type Packet struct {
	From netip.AddrPort // never IPv4 inside IPv6
	// Data is the receiver's until Release: at most MaxDatagram bytes (MaxOther for
	// PacketOther), or the datagrams of a train one behind the other.
	Data []byte
	// Segment is not 0 for a train: the bytes of each datagram in Data, but the last,
	// which may have fewer. It is at most MaxDatagram. See [Datagrams.RouteTrains].
	Segment int
}

// Datagrams yields each datagram of a train, or the one that the packet is.
func (p *Packet) Datagrams() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if p.Segment <= 0 {
			yield(p.Data)
			return
		}
		for b := p.Data; len(b) > 0; {
			n := min(p.Segment, len(b))
			if !yield(b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// The sizes of packets, bytes. The simulator has many small ones on their way, a
// train may come in one of the larger.
const (
	smallPacket = 384         // queries and most answers of the DHT
	largePacket = MaxDatagram // any one datagram of the DHT and of uTP
	shortTrain  = 16 << 10
	longTrain   = 64 << 10 // more than what a system delivers at once
)

var packetPools = [...]struct {
	size int
	pool *sync.Pool
}{
	{smallPacket, packetPool(smallPacket)},
	{largePacket, packetPool(largePacket)},
	{shortTrain, packetPool(shortTrain)},
	{longTrain, packetPool(longTrain)},
}

func packetPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return &Packet{Data: make([]byte, 0, size)} }}
}

// newPacket returns an empty packet with room for so many bytes, longTrain at most.
func newPacket(room int) *Packet {
	for i := range packetPools {
		if room <= packetPools[i].size {
			return packetPools[i].pool.Get().(*Packet)
		}
	}
	panic("transport: no packet is that large")
}

// NewPacket makes a packet with a copy of data, which is cut at MaxDatagram. Models
// and tests use it too.
func NewPacket(from netip.AddrPort, data []byte) *Packet {
	return copyPacket(from, data[:min(len(data), MaxDatagram)])
}

// copyPacket makes a packet with a copy of data: longTrain bytes at most.
func copyPacket(from netip.AddrPort, data []byte) *Packet {
	p := newPacket(len(data))
	p.From, p.Data = from, append(p.Data, data...)
	return p
}

// NewTrain makes a train with a copy of data, which is cut at what a system would
// deliver at once: 64 KiB.
func NewTrain(from netip.AddrPort, data []byte, segment int) *Packet {
	p := copyPacket(from, data[:min(len(data), longTrain)])
	p.Segment = min(segment, MaxDatagram)
	return p
}

// Release gives the packet back.
func (p *Packet) Release() {
	if p.Data == nil {
		panic("transport: packet released twice")
	}
	size := cap(p.Data)
	*p = Packet{Data: p.Data[:0]}
	for i := range packetPools {
		if size == packetPools[i].size {
			packetPools[i].pool.Put(p)
			return
		}
	}
}

// Drop implements actor.Dropper.
func (p *Packet) Drop() { p.Release() }
