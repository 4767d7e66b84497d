//pump: resolves names of well-known nodes of the DHT.

package engine

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/transport"
)

const (
	// resolveTime is how long a resolver may take; some never answer.
	resolveTime = 15 * time.Second
	// resolveAtOnce names are looked up at a time.
	resolveAtOnce = 8
)

// liveResolver is the dht.Resolver of the real world.
type liveResolver struct {
	net   *transport.Net
	ctx   context.Context
	end   context.CancelFunc
	slots chan struct{}
}

func newLiveResolver(n *transport.Net) *liveResolver {
	r := &liveResolver{net: n, slots: make(chan struct{}, resolveAtOnce)}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r
}

// Resolve implements dht.Resolver. host may carry a port, which is ignored.
func (r *liveResolver) Resolve(host string, cookie uint64, reply actor.Ref[dht.Resolved]) {
	go func() {
		addrs, err := r.lookup(host)
		reply.Tell(dht.Resolved{Cookie: cookie, Addrs: addrs, Err: err})
	}()
}

func (r *liveResolver) lookup(host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(r.ctx, resolveTime)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	found, err := r.net.Resolve(ctx, "ip", net.JoinHostPort(host, strconv.Itoa(DefaultPort)), transport.FromUser)
	out := make([]netip.Addr, len(found))
	for i, a := range found {
		out[i] = a.Addr()
	}
	return out, err
}

func (r *liveResolver) close() { r.end() }
