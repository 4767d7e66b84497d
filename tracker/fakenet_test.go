package tracker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/tracker"
)

// fakeNet is a network in memory, for tests in virtual time (testing/synctest).
type fakeNet struct {
	mu      sync.Mutex
	names   map[string][]netip.Addr // DNS
	web     map[netip.AddrPort]func(net.Conn)
	dials   []string // network, address and origin of each
	open    int      // TCP connections, now
	peak    int
	packets func(s *fakeSocket, to netip.AddrPort, p []byte) // what a datagram causes
	sockets int
	noV6    bool // sending to IPv6 fails
}

func newFakeNet() *fakeNet {
	return &fakeNet{names: map[string][]netip.Addr{}, web: map[netip.AddrPort]func(net.Conn){}}
}

// host gives a name its addresses.
func (n *fakeNet) host(name string, addrs ...string) {
	for _, a := range addrs {
		n.names[name] = append(n.names[name], netip.MustParseAddr(a))
	}
}

// serve runs a web server of plain functions at an address.
func (n *fakeNet) serve(addr string, h func(w net.Conn, r *http.Request)) {
	n.raw(addr, func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			h(c, r)
		}
	})
}

// raw runs a server at an address; its connection is closed when it returns.
func (n *fakeNet) raw(addr string, h func(net.Conn)) {
	n.web[netip.MustParseAddrPort(addr)] = h
}

func (n *fakeNet) Resolve(_ context.Context, host string, _ tracker.Origin) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if all := n.names[host]; len(all) > 0 {
		return all, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, Server: "192.0.2.53:53", IsNotFound: true}
}

// Dial connects to the first address of the family, as the real factory would.
func (n *fakeNet) Dial(ctx context.Context, network, addr string, from tracker.Origin) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	all, err := n.Resolve(ctx, host, from)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(a netip.Addr) bool {
		return network == "tcp4" && !a.Is4() || network == "tcp6" && a.Is4()
	})
	to := netip.MustParseAddrPort(net.JoinHostPort(all[0].String(), port))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, fmt.Sprint(network, " ", to, " ", from))
	h := n.web[to]
	if h == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	n.open++
	n.peak = max(n.peak, n.open)
	go func() {
		defer func() {
			theirs.Close()
			n.mu.Lock()
			n.open--
			n.mu.Unlock()
		}()
		h(theirs)
	}()
	return &fakeConn{ours, to}, nil
}

// fakeConn is a pipe that leads to an address.
type fakeConn struct {
	net.Conn
	to netip.AddrPort
}

func (c *fakeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.to) }

func (n *fakeNet) ListenPacket(_ context.Context, network string) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sockets++
	return &fakeSocket{n: n, network: network, in: make(chan packet, 100), done: make(chan struct{})}, nil
}

type packet struct {
	from netip.AddrPort
	data []byte
	err  error
}

// fakeSocket is one end of the datagrams: fakeNet.packets is all others.
type fakeSocket struct {
	n       *fakeNet
	network string
	in      chan packet
	done    chan struct{}
	once    sync.Once
}

// from delivers a datagram to the client.
func (s *fakeSocket) from(a netip.AddrPort, p string) { s.in <- packet{from: a, data: []byte(p)} }

func (s *fakeSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case p := <-s.in:
		return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), p.err
	case <-s.done:
		return 0, nil, net.ErrClosed
	}
}

func (s *fakeSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	a := to.(*net.UDPAddr).AddrPort()
	if a.Addr().Is4() != (s.network == "udp4") {
		return 0, errors.New("an address of the other family")
	}
	if a.Addr().Is6() && s.n.noV6 {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: to, Err: syscall.ENETUNREACH}
	}
	s.n.packets(s, a, slices.Clone(b))
	return len(b), nil
}

func (s *fakeSocket) Close() error { s.once.Do(func() { close(s.done) }); return nil }

func (*fakeSocket) LocalAddr() net.Addr              { return &net.UDPAddr{} }
func (*fakeSocket) SetDeadline(time.Time) error      { return nil }
func (*fakeSocket) SetReadDeadline(time.Time) error  { return nil }
func (*fakeSocket) SetWriteDeadline(time.Time) error { return nil }

// asker asks through a client on a fakeNet.
type asker struct {
	t      *testing.T
	client *tracker.LiveClient
}

func ask(t *testing.T, n *fakeNet, cfg tracker.ClientConfig) *asker {
	cfg.Network = n
	a := &asker{t, tracker.NewLiveClient(cfg)}
	t.Cleanup(a.client.Close)
	return a
}

// begin sends an announce (or what f makes of it) and returns where its answer comes.
func (a *asker) begin(url string, f ...func(*tracker.Request)) <-chan tracker.Response {
	got := make(chan tracker.Response, 2)
	r := tracker.Request{URL: url, InfoHash: hash, Port: 6881, Cookie: 42}
	r.Reply = actor.FuncRef(func(r tracker.Response) { got <- r })
	for _, f := range f {
		f(&r)
	}
	a.client.Do(r)
	return got
}

func (a *asker) get(url string, f ...func(*tracker.Request)) tracker.Response {
	a.t.Helper()
	r := <-a.begin(url, f...)
	if r.Cookie != 42 {
		a.t.Errorf("the cookie has become %d", r.Cookie)
	}
	return r
}

// wantErr checks an error's whole text.
func (a *asker) wantErr(r tracker.Response, want string) {
	a.t.Helper()
	if r.Err == nil || r.Err.Error() != want {
		a.t.Errorf("error %v, want %s", r.Err, want)
	}
}
