//pump: waits for HTTP answers, on the goroutine of the request.

package tracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

// maxRedirects is how often one request may be sent elsewhere.
const maxRedirects = 5

// httpClient asks trackers over HTTP. Connections are kept for reuse, but never
// across origins or families: what one was allowed to reach another may not be.
type httpClient struct {
	cfg ClientConfig

	mu         sync.Mutex
	transports map[transportKey]*http.Transport
}

type transportKey struct {
	origin Origin
	family Family
	once   bool // no reuse: each connection's address has to be checked against the URL
}

func newHTTPClient(cfg ClientConfig) *httpClient {
	return &httpClient{cfg: cfg, transports: map[transportKey]*http.Transport{}}
}

func (h *httpClient) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.transports {
		t.CloseIdleConnections()
	}
}

// do sends one announce or scrape.
func (h *httpClient) do(ctx context.Context, j job) (resp Response, alive bool, err error) {
	resp = unknown()
	target := ""
	if j.Scrape {
		var ok bool
		if target, ok = ScrapesURL(j.URL, swarmID(j.InfoHash)); !ok {
			return resp, true, ErrNoScrape
		}
	} else {
		target = AnnounceURL(&j.Request)
	}
	t := &trip{http: h, job: j}
	status, body, err := t.get(ctx, target)
	if err != nil {
		return resp, t.answered.Load(), err
	}
	if j.Scrape {
		err = resp.scraped(ParseScrape(status, body, swarmID(j.InfoHash)))
	} else {
		resp, err = ParseAnnounce(status, body)
		if resp.RetryIn == 0 && err != nil {
			resp.RetryIn = t.retryAfter
		}
	}
	resp.Addr = t.addr
	return resp, true, err
}

// scraped takes the counts of a scrape of one torrent.
func (r *Response) scraped(counts []Counts, err error) error {
	if err == nil {
		r.Seeds, r.Leechers, r.Finished = counts[0].Seeds, counts[0].Leechers, counts[0].Finished
	}
	return err
}

// trip is one request with its redirects.
type trip struct {
	http       *httpClient
	job        job
	addr       netip.Addr  // of the hop that was asked last
	answered   atomic.Bool // a byte has come; the connection's reader says so, perhaps too late
	retryAfter time.Duration
}

func (t *trip) get(ctx context.Context, target string) (status int, body []byte, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(i httptrace.GotConnInfo) { t.addr = remoteAddr(i.Conn) },
		GotFirstResponseByte: func() { t.answered.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", t.http.cfg.UserAgent)
	c := http.Client{Transport: t, CheckRedirect: t.redirect} // no cookies
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if s := res.StatusCode; s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable {
		t.retryAfter = retryAfter(res.Header.Get("Retry-After"))
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if len(body) > MaxBody {
		return 0, nil, fmt.Errorf("answer of more than %d bytes", MaxBody)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("answer broke off: %w", err)
	}
	return res.StatusCode, body, nil
}

// retryAfter reads the seconds of RFC 9110's "Retry-After"; dates are not worth it.
func retryAfter(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return time.Duration(min(n, int64(MaxInterval/time.Second))) * time.Second
}

// redirect decides whether a redirect is followed.
func (t *trip) redirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("redirect to the scheme %q refused", clean([]byte(req.URL.Scheme)))
	case req.URL.Scheme == "http" && last.URL.Scheme == "https":
		return errors.New("redirect from https to http refused")
	}
	req.Header.Del("Referer") // it would tell the passkey
	return nil
}

// RoundTrip implements http.RoundTripper: it picks the connections that this hop
// may use.
func (t *trip) RoundTrip(req *http.Request) (*http.Response, error) {
	key := transportKey{origin: t.job.Origin, family: t.job.Family}
	first := req.Response == nil
	if !first && !ipclass.IsLocal(t.addr) {
		// What a public tracker points at is not what the user or torrent named.
		key.origin = FromRedirect
	}
	if key.origin != FromUser {
		strange := unusual(req.URL.EscapedPath()) || first && t.job.u.RawQuery != ""
		key.once = strange
	}
	return t.http.transport(key).RoundTrip(req)
}

func (h *httpClient) transport(key transportKey) *http.Transport {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.transports[key]
	if t == nil {
		t = &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				return h.dial(ctx, key, addr)
			},
			TLSClientConfig:        h.cfg.TLS.Clone(),
			TLSHandshakeTimeout:    h.cfg.HTTP,
			DisableKeepAlives:      key.once,
			MaxIdleConns:           16,
			MaxIdleConnsPerHost:    h.cfg.PerHost,
			IdleConnTimeout:        15 * time.Second,
			MaxResponseHeaderBytes: MaxHeader,
		}
		h.transports[key] = t
	}
	return t
}

// dial connects by the family asked for. A connection for a strange URL must not
// lead to this machine.
func (h *httpClient) dial(ctx context.Context, key transportKey, addr string) (net.Conn, error) {
	conn, err := h.connect(ctx, key, addr)
	if err != nil || !key.once || !remoteAddr(conn).IsLoopback() {
		return conn, err
	}
	conn.Close()
	return nil, errors.New("refused: a tracker on this machine needs a path that begins with /announce, and no query")
}

func (h *httpClient) connect(ctx context.Context, key transportKey, addr string) (net.Conn, error) {
	if key.family == AnyFamily {
		return h.cfg.Network.Dial(ctx, "tcp", addr, key.origin)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	addrs, err := resolve(ctx, h.cfg.Network, host, key.origin, key.family)
	if err != nil {
		return nil, err
	}
	network := map[Family]string{IPv4: "tcp4", IPv6: "tcp6"}[key.family]
	for _, a := range addrs {
		var conn net.Conn
		conn, err = h.cfg.Network.Dial(ctx, network, net.JoinHostPort(a.String(), port), key.origin)
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// resolve returns at least one address of the family, or an error.
func resolve(ctx context.Context, n Network, host string, from Origin, f Family) ([]netip.Addr, error) {
	all, err := n.Resolve(ctx, host, from)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range all {
		a = a.Unmap()
		if f == AnyFamily || a.Is4() == (f == IPv4) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, ErrNoAddress
	}
	return out, nil
}

func remoteAddr(c net.Conn) netip.Addr {
	a, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}
