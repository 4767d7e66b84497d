//pump: sends to a multicast group and reads from it.

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// multicastHops is how far our datagrams travel. BEP 14: "Since the multicast
	// groups have a broader scope than lan-local implementations may want to set the
	// IP_MULTICAST_TTL socket option to a value above 1".
	multicastHops = 4
	// multicastQueue datagrams may wait to be sent.
	multicastQueue = 16
	// multicastRate bounds what is read, datagrams a second: what a storm brings
	// beyond it is thrown away here, before anything looks at it.
	multicastRate = 500
)

// Multicast is one socket of a multicast group, on every interface that serves: those
// that are up and can do it, or the one with the address that all sockets are bound
// to. Without any of these the loopback interface serves, so that programs of one
// machine find each other. Interfaces that come later are joined at the next Send.
// Its methods never wait.
type Multicast struct {
	net    *Net
	group  netip.AddrPort
	in     *net.UDPConn
	out    *net.UDPConn // in, unless sockets are bound to an address
	queue  chan []byte
	done   chan struct{}
	close  sync.Once
	joined map[multicastIf]bool // owner: whoever opens, then the sending goroutine
}

// multicastIf is an interface as far as it matters here.
type multicastIf struct {
	index int
	addr  netip.Addr // one of its addresses, of the group's family
}

// OpenMulticast opens a socket for a group's address and port, beside those of other
// programs. got is called by the reading goroutine with each datagram, ours among
// them; it must not wait, and b is the reader's again when it returns. It waits for
// system calls only.
func (n *Net) OpenMulticast(group netip.AddrPort, got func(from netip.AddrPort, b []byte)) (*Multicast, error) {
	v6 := group.Addr().Is6()
	if bind := n.cfg.Bind.Unmap(); bind.IsValid() && bind.Is6() != v6 {
		return nil, fmt.Errorf("multicast group %v: sockets are bound to %v: %w", group, bind, ErrFamily)
	}
	network, anywhere := "udp4", netip.IPv4Unspecified()
	if v6 {
		network, anywhere = "udp6", netip.IPv6Unspecified()
	}
	m := &Multicast{net: n, group: group, queue: make(chan []byte, multicastQueue), done: make(chan struct{}),
		joined: map[multicastIf]bool{}}
	var err error
	if m.in, err = m.listen(network, netip.AddrPortFrom(anywhere, group.Port())); err != nil {
		return nil, err
	}
	m.out = m.in
	if bind := n.cfg.Bind.Unmap(); bind.IsValid() {
		if m.out, err = m.listen(network, netip.AddrPortFrom(bind, 0)); err != nil {
			_ = m.in.Close() // err says more
			return nil, err
		}
	}
	m.interfaces()
	go m.read(got)
	go m.write()
	return m, nil
}

// listen opens a socket that shares its port with other programs'.
func (m *Multicast) listen(network string, at netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = prepareMulticast(fd, network == "udp6") })
		return errors.Join(err, failed)
	}}
	pc, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// Send sends a copy of b to the group, by every interface; what the system has no
// room for is lost. [ErrClosed] is its only error.
func (m *Multicast) Send(b []byte) error {
	select {
	case <-m.done:
		return ErrClosed
	default:
	}
	select {
	case m.queue <- append([]byte(nil), b...):
	default: // as if lost on its way
	}
	return nil
}

// Close ends the socket. Nothing is delivered afterwards but what is being delivered.
func (m *Multicast) Close() {
	m.close.Do(func() {
		close(m.done)
		_ = m.in.Close() // datagrams have no error to lose
		if m.out != m.in {
			_ = m.out.Close()
		}
	})
}

func (m *Multicast) write() {
	for {
		select {
		case <-m.done:
			return
		case b := <-m.queue:
			m.send(b)
		}
	}
}

// send sends by each interface. That one of them fails says nothing of the others.
func (m *Multicast) send(b []byte) {
	rc, err := m.out.SyscallConn()
	if err != nil {
		return
	}
	for _, i := range m.interfaces() {
		_ = rc.Control(func(fd uintptr) { err = sendMulticastBy(fd, i) })
		if err == nil {
			_, _ = m.out.WriteToUDPAddrPort(b, m.group)
		}
	}
}

// interfaces returns those that serve now, and joins the group on them.
func (m *Multicast) interfaces() []multicastIf {
	list := m.net.multicastIfs(m.group.Addr().Is6())
	rc, err := m.in.SyscallConn()
	if err != nil {
		return nil
	}
	for _, i := range list {
		if m.joined[i] {
			continue
		}
		_ = rc.Control(func(fd uintptr) { err = joinMulticast(fd, m.group.Addr(), i) })
		m.joined[i] = err == nil
	}
	return list
}

// multicastIfs lists the interfaces that serve. Tunnels do not: behind them is no
// local network, but whoever runs them.
func (n *Net) multicastIfs(v6 bool) []multicastIf {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out, loops []multicastIf
	bind := n.cfg.Bind.Unmap()
	for _, ifi := range all {
		if ifi.Flags&net.FlagUp == 0 {
			continue
		}
		addr := addrOf(&ifi, v6, bind)
		i := multicastIf{ifi.Index, addr}
		const needed = net.FlagMulticast | net.FlagRunning
		switch {
		case !addr.IsValid():
		case bind.IsValid():
			return []multicastIf{i}
		case ifi.Flags&net.FlagLoopback != 0:
			loops = append(loops, i)
		case ifi.Flags&needed == needed && ifi.Flags&net.FlagPointToPoint == 0:
			out = append(out, i)
		}
	}
	if len(out) == 0 && !bind.IsValid() {
		return loops
	}
	return out
}

// addrOf returns an interface's first address of a family, or bind if it has that.
func addrOf(ifi *net.Interface, v6 bool, bind netip.Addr) (first netip.Addr) {
	found, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, f := range found {
		p, err := netip.ParsePrefix(f.String())
		a := p.Addr().Unmap()
		switch {
		case err != nil || a.Is6() != v6:
		case bind.IsValid() && a != bind.WithZone(""):
		case !first.IsValid():
			first = a
		}
	}
	return first
}

// read hands on what comes in, as fast as multicastRate allows.
func (m *Multicast) read(got func(netip.AddrPort, []byte)) {
	buf := make([]byte, MaxDatagram+1)
	pause, second, n := readPause, time.Now(), 0
	for {
		size, from, err := m.in.ReadFromUDPAddrPort(buf)
		if now := time.Now(); now.Sub(second) >= time.Second {
			second, n = now, 0
		}
		n++
		select {
		case <-m.done:
			return
		default:
		}
		switch {
		case err == nil && size <= MaxDatagram:
			pause = readPause
			if n <= multicastRate {
				got(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:size])
			}
		case err == nil || tooLong(err) || passing(err):
		default:
			time.Sleep(pause)
			pause = min(2*pause, readPauseMax)
		}
	}
}

// IsNeighbour reports whether an address is of a local network: private, or of a
// network that an interface of this machine is in.
func (n *Net) IsNeighbour(a netip.Addr) bool {
	a = a.Unmap()
	if IsLocal(a) {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.near == nil || time.Since(n.nearAt) > ownFor {
		n.near, n.nearAt = networks(), time.Now()
	}
	return slices.ContainsFunc(n.near, func(p netip.Prefix) bool { return p.Contains(a) })
}

// networks lists those that this machine's interfaces are in.
func networks() []netip.Prefix {
	out := []netip.Prefix{}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return out
	}
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil && p.Bits() > 0 {
			out = append(out, p.Masked())
		}
	}
	return out
}
