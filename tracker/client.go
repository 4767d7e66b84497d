//pump: workers that wait for a tracker's answer, started on demand and bounded by ClientConfig.Total.

package tracker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Network opens all sockets of a LiveClient. It stands for the program's one dialer
// factory, which knows what may be reached, from which address and through which
// proxy. Errors name what was refused and why.
type Network interface {
	// Dial opens a TCP connection; network is tcp, tcp4 or tcp6, addr a host and
	// port. Every address that the host resolves to is checked for its origin.
	Dial(ctx context.Context, network, addr string, from Origin) (net.Conn, error)
	// ListenPacket opens a UDP socket on any port; network is udp4 or udp6.
	ListenPacket(ctx context.Context, network string) (net.PacketConn, error)
	// Resolve returns the addresses of a host that may be reached for this origin,
	// best first. A host that is an address resolves to itself.
	Resolve(ctx context.Context, host string, from Origin) ([]netip.Addr, error)
}

// ClientConfig configures a LiveClient. Zero values mean the default.
type ClientConfig struct {
	Network   Network       // required
	UserAgent string        // "shoal/1.2.3"
	TLS       *tls.Config   // for https; nil: the system's roots
	PerHost   int           // requests at a time to one host and port; default 2
	Total     int           // requests at a time; default 50
	PerSecond int           // requests that may begin at one host, on average; default 25, negative: any
	HTTP      time.Duration // limit of one HTTP request; default 30 s
	UDP       time.Duration // limit of one UDP request; default 60 s, which is three sendings
}

// LiveClient is the Client with sockets. It owns the queue of requests; each one
// under way has a goroutine, an idle client has none of its own but the readers of
// UDP sockets that were used.
type LiveClient struct {
	cfg    ClientConfig
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	http   *httpClient
	udp    *udpClient

	mu     sync.Mutex // guards all below
	closed bool
	queue  queue
	alarm  *time.Timer // when a host that rests may go on
}

// NewLiveClient makes a client. It must be closed.
func NewLiveClient(cfg ClientConfig) *LiveClient {
	if cfg.Network == nil {
		panic("tracker: a client needs a Network")
	}
	cfg.PerHost = orDefault(cfg.PerHost, 2)
	cfg.Total = orDefault(cfg.Total, 50)
	fill(&cfg.HTTP, 30*time.Second)
	fill(&cfg.UDP, time.Minute)
	if cfg.UserAgent == "" {
		cfg.UserAgent = "shoal"
	}
	c := &LiveClient{cfg: cfg, queue: newQueue(cfg.PerHost, cfg.Total, pace(cfg.PerSecond))}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.http = newHTTPClient(cfg)
	c.udp = newUDPClient(c.ctx, cfg.Network)
	return c
}

// pace is the time between two requests to one host.
func pace(perSecond int) time.Duration {
	switch {
	case perSecond < 0:
		return 0
	case perSecond == 0:
		perSecond = 25
	}
	return time.Second / time.Duration(perSecond)
}

func orDefault(n, d int) int {
	if n <= 0 {
		return d
	}
	return n
}

// Do implements Client.
func (c *LiveClient) Do(r Request) {
	u, err := ParseURL(r.URL)
	if err != nil {
		refuse(r, err)
		return
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		refuse(r, ErrClosed)
		return
	}
	c.queue.push(job{r, u}, time.Now())
	c.dispatch()
	c.mu.Unlock()
}

// dispatch starts what may run, and sets the alarm for what may run later.
func (c *LiveClient) dispatch() {
	for {
		j, ok := c.queue.next(time.Now())
		if !ok {
			break
		}
		c.wg.Go(func() { c.work(j) })
	}
	c.setAlarm()
}

func (c *LiveClient) setAlarm() {
	at, ok := c.queue.wake()
	switch {
	case !ok || c.closed:
	case c.alarm == nil:
		c.alarm = time.AfterFunc(time.Until(at), c.wake)
	default:
		c.alarm.Reset(time.Until(at))
	}
}

func (c *LiveClient) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.dispatch()
	}
}

// Close aborts what is under way and waits until every request is answered.
func (c *LiveClient) Close() {
	c.mu.Lock()
	c.closed = true
	waiting := c.queue.clear(time.Now())
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.mu.Unlock()
	for _, j := range waiting {
		refuse(j.Request, ErrClosed)
	}
	c.cancel()
	c.wg.Wait()
	c.udp.close()
	c.http.close()
}

// refuse answers a request that has not been sent.
func refuse(r Request, err error) {
	resp := unknown()
	resp.Cookie, resp.Err = r.Cookie, err
	r.Reply.Tell(resp)
}

// work runs one job after another until there is none that may run.
func (c *LiveClient) work(j job) {
	for more := true; more; {
		resp, alive := c.perform(j)
		c.mu.Lock()
		now := time.Now()
		given := c.queue.done(j, alive, now)
		next, ok := c.queue.next(now)
		c.setAlarm()
		c.mu.Unlock()
		j.Reply.Tell(resp)
		for _, g := range given {
			// The host is down: whoever waits for it can go elsewhere at once.
			refuse(g.Request, resp.Err)
		}
		j, more = next, ok
	}
}

// perform does one request. alive says that the host has been reached or is not to
// blame.
func (c *LiveClient) perform(j job) (resp Response, alive bool) {
	limit, do := c.cfg.HTTP, c.http.do
	if j.u.Scheme == "udp" {
		limit, do = c.cfg.UDP, c.udp.do
	}
	if j.Timeout > 0 {
		limit = min(limit, j.Timeout)
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	resp, alive, err := do(ctx, j)
	if err != nil {
		resp.Err = &HostError{Host: j.u.Host, Err: c.plain(ctx, err, limit)}
	}
	if errors.Is(err, ErrNoAddress) {
		alive = true
	}
	resp.Cookie = j.Cookie
	return resp, alive
}

// plain puts errors of the network into words for people.
func (c *LiveClient) plain(ctx context.Context, err error, limit time.Duration) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, which may hold a passkey
	}
	var dns *net.DNSError
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("host name %q not found", dns.Name)
	case errors.As(err, &dns):
		return fmt.Errorf("host name %q could not be resolved: %s", dns.Name, dns.Err)
	case ctx.Err() != nil:
		return fmt.Errorf("no answer within %v", limit)
	}
	if _, why, ok := strings.Cut(err.Error(), "transport connection broken: "); ok {
		return fmt.Errorf("broken HTTP answer: %s", strings.TrimPrefix(why, "net/http: "))
	}
	return err
}
