//pump: connects, listens and resolves.

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// NetConfig configures a [Net]. The zero value is good.
type NetConfig struct {
	// Resolver looks up names; nil: the system's.
	Resolver *net.Resolver
	// Interfaces lists this machine's own addresses; nil: those of its network
	// interfaces.
	Interfaces func() ([]netip.Addr, error)
	// Bind is the local address that every socket uses which is given no other.
	// What can't be reached from it is not reached. Invalid: the system chooses.
	Bind netip.Addr
}

// Net is the one factory of sockets: every connection and datagram that leaves the
// program, and every listener, passes it. Here the dial policy is applied, on the
// resolved address; here binding and proxies will be, so that nothing can leak
// beside them. It is safe for concurrent use. Its methods wait: they are for pumps.
type Net struct {
	cfg NetConfig

	mu     sync.Mutex
	own    map[netip.Addr]bool // public addresses of this machine
	at     time.Time           // when own was read
	near   []netip.Prefix      // networks that it is in
	nearAt time.Time
}

// ownFor is how long the list of this machine's addresses is believed.
const ownFor = 30 * time.Second

// NewNet makes a factory.
func NewNet(cfg NetConfig) *Net {
	if cfg.Interfaces == nil {
		cfg.Interfaces = interfaces
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	return &Net{cfg: cfg}
}

// Check applies the dial policy to an address. UDP services ask it before each
// datagram to an address that they have not yet heard from.
func (n *Net) Check(addr netip.AddrPort, o Origin) error { return CheckAddr(addr, o, n.isOwn) }

// DialContext connects to "host:port" over "tcp", "tcp4", "tcp6" or the like for
// UDP. Names are resolved; each resolved address has to pass the policy for the
// origin of the name.
func (n *Net) DialContext(ctx context.Context, network, address string, o Origin) (net.Conn, error) {
	return n.dial(ctx, n.dialer(o, nil), network, address)
}

// dial binds the socket to the address that was configured.
func (n *Net) dial(ctx context.Context, d *net.Dialer, network, address string) (net.Conn, error) {
	if n.cfg.Bind.IsValid() {
		if strings.HasPrefix(network, "udp") {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(n.cfg.Bind, 0))
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(n.cfg.Bind, 0))
		}
	}
	return d.DialContext(ctx, network, address)
}

// Dialer returns DialContext for one origin, in the form that net/http wants.
func (n *Net) Dialer(o Origin) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return n.dial(ctx, n.dialer(o, nil), network, address)
	}
}

// dialer makes a dialer whose sockets connect only where the policy and more, if
// set, allow it.
func (n *Net) dialer(o Origin, more func(context.Context, netip.AddrPort) error) *net.Dialer {
	d := &net.Dialer{
		Resolver:  n.cfg.Resolver,
		KeepAlive: -1, // BEP 3 has its own; HTTP requests have deadlines
	}
	d.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
		addr, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("dial policy: %w", err)
		}
		if err := n.Check(addr, o); err != nil {
			return err
		}
		if more != nil {
			if err := more(ctx, addr); err != nil {
				return err
			}
		}
		return setSocket(network, c)
	}
	d.SetMultipathTCP(false) // costs throughput, and no peer speaks it
	return d
}

// Listen opens a TCP listener at "address:port" on "tcp", "tcp4" or "tcp6".
func (n *Net) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	lc := n.listenConfig()
	return lc.Listen(ctx, network, address)
}

// ListenPacket opens a UDP socket at "address:port" on "udp", "udp4" or "udp6".
func (n *Net) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "" && n.cfg.Bind.IsValid() {
		address = net.JoinHostPort(n.cfg.Bind.String(), port)
	}
	lc := n.listenConfig()
	return lc.ListenPacket(ctx, network, address)
}

func (n *Net) listenConfig() net.ListenConfig {
	lc := net.ListenConfig{
		KeepAlive: -1,
		// What is set here, accepted connections inherit.
		Control: func(network, _ string, c syscall.RawConn) error { return setSocket(network, c) },
	}
	lc.SetMultipathTCP(false)
	return lc
}

// Resolve looks up the addresses of "host:port", for services over UDP. network is
// "ip", "ip4" or "ip6". It returns those that pass the policy, in the resolver's
// order, or an error that says why there are none.
func (n *Net) Resolve(ctx context.Context, network, address string, o Origin) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q of %q: %w", service, address, err)
	}
	found, err := n.cfg.Resolver.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	var refused error
	for _, ip := range found {
		addr := netip.AddrPortFrom(ip.Unmap(), uint16(port))
		if err := n.Check(addr, o); err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		out = append(out, addr)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %w", host, errors.Join(refused, errNoAddress))
	}
	return out, nil
}

var errNoAddress = errors.New("no address to connect to")

// isOwn reports whether a public address is this machine's.
func (n *Net) isOwn(a netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.own == nil || time.Since(n.at) > ownFor {
		n.readOwnLocked()
	}
	return n.own[a]
}

// PublicIPs returns the public addresses of this machine's network interfaces.
func (n *Net) PublicIPs() (out []netip.Addr) {
	found, err := n.cfg.Interfaces()
	if err != nil {
		return nil // as if there was none
	}
	for _, a := range found {
		if a = a.Unmap().WithZone(""); Classify(a) == Public {
			out = append(out, a)
		}
	}
	return out
}

func (n *Net) readOwnLocked() {
	n.own, n.at = map[netip.Addr]bool{}, time.Now()
	for _, a := range n.PublicIPs() {
		n.own[a] = true
	}
}

func interfaces() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}
