//pump: HTTP requests wait for their answers.

package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Caps on HTTP exchanges. The body is for the caller to bound.
const (
	maxRedirects     = 5
	maxHTTPHeader    = 64 << 10
	tlsHandshakeTime = 10 * time.Second
)

// HTTPClient returns a client whose connections pass the dial policy, at every hop
// of a redirect again: a URL that a public server names counts as FromTracker, one
// that a local server names as FromLocal. It follows at most 5 redirects, none from
// https to http and none to other schemes. It uses no proxy of the environment and
// sets no time limit: give requests a context that has one.
//
// A URL written in a torrent may lead to a private or loopback address, where the
// services are that rely on nobody from outside asking: it gets there with the path
// of a tracker only, "/announce" or "/scrape".
func (n *Net) HTTPClient(o Origin) *http.Client {
	t := &hops{first: o}
	for o := range t.by {
		t.by[o] = n.roundTripper(Origin(o))
	}
	return &http.Client{Transport: t, CheckRedirect: checkRedirect}
}

func (n *Net) roundTripper(o Origin) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return n.dial(ctx, n.dialer(o, checkURL(o)), network, address)
		},
		TLSHandshakeTimeout:    tlsHandshakeTime,
		MaxResponseHeaderBytes: maxHTTPHeader,
		// A connection is never lent to another request: the policy has seen it
		// with the URL that it was made for.
		DisableKeepAlives: true,
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	switch s := req.URL.Scheme; {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case s != "http" && s != "https":
		return fmt.Errorf("redirect to a %q URL", s)
	case last.URL.Scheme == "https" && s == "http":
		return errors.New("redirect from https to http")
	}
	return nil
}

// hops sends each request with the origin of its URL.
type hops struct {
	first Origin
	by    [FromIncoming + 1]*http.Transport // a transport for each origin
}

// hop is what is remembered of one request for its redirect, in its context.
type hop struct {
	url   *url.URL
	local atomic.Bool // the server was at a private or loopback address
}

type hopKey struct{}

// RoundTrip implements http.RoundTripper.
func (t *hops) RoundTrip(req *http.Request) (*http.Response, error) {
	o := t.first
	if r := req.Response; r != nil && r.Request != nil {
		o = FromTracker
		if from, ok := r.Request.Context().Value(hopKey{}).(*hop); ok && from.local.Load() {
			o = FromLocal
		}
	}
	h := &hop{url: req.URL}
	ctx := context.WithValue(req.Context(), hopKey{}, h)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { h.local.Store(isLocalAddr(i.Conn.RemoteAddr())) },
	})
	return t.by[o].RoundTrip(req.WithContext(ctx))
}

// CloseIdleConnections is what http.Client asks for; there are none.
func (t *hops) CloseIdleConnections() {}

func isLocalAddr(a net.Addr) bool { return IsLocal(addrPortOf(a).Addr()) }

// checkURL returns the rule for what URLs of an origin may ask of local services, on
// the address that the request's connection is about to be made to.
func checkURL(o Origin) func(context.Context, netip.AddrPort) error {
	if o != FromTorrent {
		return nil
	}
	return func(ctx context.Context, addr netip.AddrPort) error {
		h, ok := ctx.Value(hopKey{}).(*hop)
		if !ok || !IsLocal(addr.Addr()) || trackerPath(h.url.Path) {
			return nil
		}
		return &PolicyError{addr, o, "a local service, and no tracker's path"}
	}
}

func trackerPath(p string) bool {
	return strings.HasPrefix(p, "/announce") || strings.HasPrefix(p, "/scrape")
}
