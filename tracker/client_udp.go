//pump: waits for datagrams of trackers, on the goroutine of the request.

package tracker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

const (
	// firstWait and maxResend: BEP 15, "If a response is not received after 15 * 2
	// ^ n seconds, the client should retransmit the request, where n starts at 0
	// and is increased up to 8 (3840 seconds) after every retransmission."
	firstWait = 15 * time.Second
	maxResend = 8

	// connectionLife: BEP 15, "a client can use a connection ID until one minute
	// after it has received it."
	connectionLife = time.Minute

	// maxConnections bounds the connection ids that are remembered.
	maxConnections = 1024
)

// udpClient asks trackers over UDP, with one socket for each address family.
type udpClient struct {
	ctx context.Context
	net Network

	mu          sync.Mutex
	sockets     map[string]*udpSocket // by network
	connections map[netip.AddrPort]connection
}

// connection is what a tracker's address lets us ask with.
type connection struct {
	id uint64
	at time.Time
}

func newUDPClient(ctx context.Context, n Network) *udpClient {
	return &udpClient{ctx: ctx, net: n, sockets: map[string]*udpSocket{}, connections: map[netip.AddrPort]connection{}}
}

func (u *udpClient) close() {
	u.mu.Lock()
	all := u.sockets
	u.sockets = nil
	u.mu.Unlock()
	for _, s := range all {
		s.close()
	}
}

// socket returns the socket for an address, made at its first use.
func (u *udpClient) socket(a netip.Addr) (*udpSocket, error) {
	network := "udp6"
	if a.Is4() {
		network = "udp4"
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sockets == nil {
		return nil, ErrClosed
	}
	if s := u.sockets[network]; s != nil && !s.broken() {
		return s, nil
	}
	pc, err := u.net.ListenPacket(u.ctx, network)
	if err != nil {
		return nil, err
	}
	clear(u.connections) // ids may be bound to our address and port
	s := newUDPSocket(pc)
	u.sockets[network] = s
	return s, nil
}

func (u *udpClient) connection(a netip.AddrPort) (uint64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	c, ok := u.connections[a]
	if ok && time.Since(c.at) >= connectionLife {
		delete(u.connections, a)
		return 0, false
	}
	return c.id, ok
}

func (u *udpClient) remember(a netip.AddrPort, id uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.connections) >= maxConnections {
		clear(u.connections) // each is good for a minute only
	}
	u.connections[a] = connection{id, time.Now()}
}

func (u *udpClient) forget(a netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.connections, a)
}

// do sends one announce or scrape, to the host's addresses in turn.
func (u *udpClient) do(ctx context.Context, j job) (resp Response, alive bool, err error) {
	port, err := strconv.ParseUint(j.u.Port(), 10, 16)
	if err != nil || port == 0 {
		return unknown(), true, fmt.Errorf("port %q is none", j.u.Port())
	}
	addrs, err := resolve(ctx, u.net, j.u.Hostname(), j.Origin, j.Family)
	if err != nil {
		return unknown(), false, err
	}
	e := exchange{udp: u, job: j}
	for _, a := range addrs {
		e.ends = append(e.ends, &udpEnd{addr: netip.AddrPortFrom(a, uint16(port))})
	}
	return e.run(ctx)
}

// exchange is one request to a tracker's addresses.
type exchange struct {
	udp  *udpClient
	job  job
	ends []*udpEnd // not yet known to be out of reach
}

// udpEnd is one address of the tracker. Resent packets keep their transaction, so
// that a late answer counts.
type udpEnd struct {
	addr     netip.AddrPort
	connect  uint32 // transactions
	announce uint32
	usedID   uint64 // connection of the announce transaction
}

// errSilent says that an address has not answered in time.
var errSilent = errors.New("no answer")

func (e *exchange) run(ctx context.Context) (resp Response, alive bool, err error) {
	for n := 0; ; n++ {
		i := n % len(e.ends)
		wait := firstWait << min(n/len(e.ends), maxResend)
		resp, err = e.ask(ctx, e.ends[i], wait)
		var refused *Failure
		switch {
		case err == nil || errors.As(err, &refused):
			resp.Addr = e.ends[i].addr.Addr()
			return resp, true, err
		case ctx.Err() != nil:
			return resp, false, ctx.Err()
		case errors.Is(err, errSilent):
			continue
		}
		if len(e.ends) == 1 {
			return resp, false, err
		}
		e.ends = append(e.ends[:i], e.ends[i+1:]...)
		n = -1
	}
}

// ask makes one attempt at one address: it connects if need be, and asks.
func (e *exchange) ask(ctx context.Context, end *udpEnd, wait time.Duration) (Response, error) {
	s, err := e.udp.socket(end.addr.Addr())
	if err != nil {
		return unknown(), err
	}
	id, known := e.udp.connection(end.addr)
	if !known {
		if id, err = e.connect(ctx, s, end, wait); err != nil {
			return unknown(), err
		}
	}
	resp, err := e.request(ctx, s, end, id, wait)
	var refused *Failure
	if !errors.As(err, &refused) {
		return resp, err
	}
	e.udp.forget(end.addr)
	if !known {
		return resp, err
	}
	// The id may have been the reason, if the tracker has forgotten it or us.
	if id, err = e.connect(ctx, s, end, wait); err != nil {
		return unknown(), err
	}
	return e.request(ctx, s, end, id, wait)
}

func (e *exchange) connect(ctx context.Context, s *udpSocket, end *udpEnd, wait time.Duration) (id uint64, err error) {
	if end.connect == 0 {
		end.connect = newTransaction()
	}
	err = s.exchange(ctx, end.addr, end.connect, AppendConnect(nil, end.connect), wait, func(p []byte) (err error) {
		id, err = ParseConnect(p, end.connect)
		return err
	})
	if err == nil {
		end.connect = 0
		e.udp.remember(end.addr, id)
	}
	return id, err
}

func (e *exchange) request(ctx context.Context, s *udpSocket, end *udpEnd, id uint64, wait time.Duration) (Response, error) {
	if end.announce == 0 || end.usedID != id {
		end.announce, end.usedID = newTransaction(), id
	}
	t, resp := end.announce, unknown()
	if e.job.Scrape {
		packet := AppendScrape(nil, id, t, swarmID(e.job.InfoHash))
		err := s.exchange(ctx, end.addr, t, packet, wait, func(p []byte) error {
			return resp.scraped(ParseScrapePacket(p, t, 1))
		})
		return resp, err
	}
	packet := AppendAnnounce(nil, id, t, &e.job.Request)
	err := s.exchange(ctx, end.addr, t, packet, wait, func(p []byte) (err error) {
		resp, err = ParseAnnouncePacket(p, t, end.addr.Addr().Is6())
		return err
	})
	return resp, err
}

// newTransaction draws a transaction id. BEP 15: "Pick a random transaction ID";
// guessing it is all that a forger from the tracker's address has to do.
func newTransaction() uint32 {
	var b [4]byte
	for {
		_, _ = rand.Read(b[:]) // never fails, says its documentation
		if t := binary.BigEndian.Uint32(b[:]); t != 0 {
			return t
		}
	}
}
