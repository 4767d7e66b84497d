//pump: waits for packets of a shared socket, for code that speaks to a net.PacketConn.

package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// packetConnQueue is how many packets, datagrams or trains, wait for a reader of a
// [PacketConn]; what comes beyond is lost.
const packetConnQueue = 256

// PacketConn is one kind of a socket's datagrams as a net.PacketConn: a virtual socket
// for code that waits in reads. Closing it closes d, which may be a handle of a shared
// socket. It is safe for concurrent use.
type PacketConn struct {
	d        Datagrams
	kind     PacketKind
	queue    chan *Packet
	done     chan struct{}
	end      sync.Once
	deadline deadline

	reading sync.Mutex // guards all below; held by the one who waits
	p       *Packet    // a train, partly read
	rest    []byte     // of it
	from    *net.UDPAddr
}

// NewPacketConn routes a kind of d's datagrams to a PacketConn.
func NewPacketConn(d Datagrams, k PacketKind) *PacketConn {
	c := &PacketConn{d: d, kind: k, queue: make(chan *Packet, packetConnQueue), done: make(chan struct{})}
	c.deadline.init()
	d.RouteTrains(k, actor.FuncRef(c.arrive))
	return c
}

func (c *PacketConn) arrive(p *Packet) {
	select {
	case c.queue <- p:
	default:
		p.Release()
	}
}

// ReadFrom waits for a datagram. The address is a *net.UDPAddr, and not to be changed.
func (c *PacketConn) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if err := c.awaitLocked(); err != nil {
		return 0, nil, c.failed("read", err)
	}
	size := len(c.rest)
	if c.p.Segment > 0 {
		size = min(size, c.p.Segment)
	}
	n = copy(b, c.rest[:size])
	c.rest = c.rest[size:]
	from = c.from
	if len(c.rest) == 0 {
		c.p.Release()
		c.p = nil
	}
	return n, from, nil
}

// awaitLocked waits until there is a packet to read from.
func (c *PacketConn) awaitLocked() error {
	select {
	case <-c.done:
		return net.ErrClosed
	case <-c.deadline.passed():
		return os.ErrDeadlineExceeded
	default:
	}
	if c.p != nil {
		return nil
	}
	select {
	case p := <-c.queue:
		c.p, c.rest = p, p.Data
		if c.from == nil || c.from.AddrPort() != p.From {
			c.from = net.UDPAddrFromAddrPort(p.From)
		}
		return nil
	case <-c.done:
		return net.ErrClosed
	case <-c.deadline.passed():
		return os.ErrDeadlineExceeded
	}
}

// WriteTo sends a datagram, without waiting: one that the system has no room for counts
// as sent, and is lost.
func (c *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	err := c.d.Send(udpAddrPort(to), b)
	switch {
	case err == nil || errors.Is(err, ErrDropped):
		return len(b), nil
	case errors.Is(err, ErrClosed):
		err = net.ErrClosed
	}
	return 0, c.failed("write", err)
}

// udpAddrPort reads an address of UDP; what is none becomes one that nothing goes to.
func udpAddrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort()
	}
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return at
}

func (c *PacketConn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: c.LocalAddr(), Err: err}
}

// Close ends the virtual socket.
func (c *PacketConn) Close() error {
	c.end.Do(func() {
		close(c.done)
		c.d.Route(c.kind, actor.Ref[*Packet]{})
		c.d.Close()
	})
	return nil
}

// LocalAddr returns what the socket is bound to.
func (c *PacketConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(c.d.Addr()) }

// SetDeadline sets the deadline of reads.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.deadline.set(t)
	return nil
}

// SetWriteDeadline does nothing: writes do not wait.
func (c *PacketConn) SetWriteDeadline(time.Time) error { return nil }

// deadline closes a channel when a time has come.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	turn  int // of setting it
	gone  chan struct{}
	past  bool // gone is closed
}

func (d *deadline) init() { d.gone = make(chan struct{}) }

// passed returns a channel that is closed from the deadline on. Who waits for it hears
// of a deadline that is set meanwhile, too.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.past {
		d.gone, d.past = make(chan struct{}), false
	}
	d.turn++
	turn, wait := d.turn, time.Until(t)
	switch {
	case t.IsZero():
	case wait > 0:
		d.timer = time.AfterFunc(wait, func() { d.expire(turn) })
	default:
		d.expireLocked()
	}
}

func (d *deadline) expire(turn int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn == turn {
		d.expireLocked()
	}
}

func (d *deadline) expireLocked() {
	d.past = true
	close(d.gone)
}
