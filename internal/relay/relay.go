package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/internal/netpath"
)

const (
	maxFlows     = 256 // addresses that may dial; others are not heard
	socketBuffer = 4 << 20
	largest      = 65507
)

var errFamily = errors.New("relay: front and target are of different families")

// Relay is a path between whoever dials its address and a target.
//
// Owners: the front's and each flow's reader goroutine read one socket each; the two
// lanes own what is on its way, one goroutine each. flows belongs to the front's
// reader alone until Close.
type Relay struct {
	target  netip.AddrPort
	front   *net.UDPConn
	there   *lane
	back    *lane
	headers int
	mu      sync.Mutex
	closed  bool
	flows   map[netip.AddrPort]*flow
	readers sync.WaitGroup
}

// flow is one address that dials, and the socket that speaks for it to the target.
type flow struct {
	client netip.AddrPort
	conn   *net.UDPConn
}

// Listen opens a relay at front, whose port may be 0, towards target. The seed decides
// each datagram's fate, in the order of their coming.
func Listen(front, target netip.AddrPort, p Profile, seed uint64) (*Relay, error) {
	if front.Addr().Is4() != target.Addr().Is4() {
		return nil, errFamily
	}
	c, err := listen(front)
	if err != nil {
		return nil, err
	}
	r := &Relay{target: target, front: c, flows: map[netip.AddrPort]*flow{}, headers: netpath.HeadersV4}
	if !front.Addr().Is4() {
		r.headers = netpath.HeadersV6
	}
	began := time.Now()
	r.there = newLane(netpath.New(p.There, 2*seed), began)
	r.back = newLane(netpath.New(p.Back, 2*seed+1), began)
	r.readers.Go(r.readFront)
	return r, nil
}

func listen(at netip.AddrPort) (*net.UDPConn, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	// A smaller buffer loses more; that is all.
	_, _ = c.SetReadBuffer(socketBuffer), c.SetWriteBuffer(socketBuffer)
	return c, nil
}

// Addr is what a side has to dial.
func (r *Relay) Addr() netip.AddrPort { return r.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// Stats returns what the two directions have done: to the target, and from it.
func (r *Relay) Stats() (there, back netpath.Stats) { return r.there.stats(), r.back.stats() }

// Close ends the relay. What is on its way is lost.
func (r *Relay) Close() {
	r.mu.Lock()
	r.closed = true
	_ = r.front.Close() // datagrams have no error to lose
	for _, f := range r.flows {
		_ = f.conn.Close()
	}
	r.mu.Unlock()
	r.readers.Wait()
	r.there.close()
	r.back.close()
}

func (r *Relay) readFront() {
	b := make([]byte, largest)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // somebody's port is closed, says ICMP
		}
		if f := r.flowOf(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())); f != nil {
			r.there.take(b[:n], r.headers, f.conn, r.target)
		}
	}
}

// flowOf finds who sent a datagram, or lets it in.
func (r *Relay) flowOf(client netip.AddrPort) *flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.flows[client]
	if f != nil || r.closed || len(r.flows) >= maxFlows {
		return f
	}
	own := r.Addr().Addr().Unmap()
	c, err := listen(netip.AddrPortFrom(own, 0))
	if err != nil {
		return nil
	}
	f = &flow{client: client, conn: c}
	r.flows[client] = f
	r.readers.Go(func() { r.readBack(f) })
	return f
}

// readBack takes what the target sends to a flow; others are not heard.
func (r *Relay) readBack(f *flow) {
	b := make([]byte, largest)
	for {
		n, from, err := f.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) == r.target {
			r.back.take(b[:n], r.headers, r.front, f.client)
		}
	}
}
