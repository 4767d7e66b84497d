//pump: waits for connections to be made, and for those that come in.

package utpanacrolix

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// lib is the transport. Its goroutines: one per dial, one per socket that accepts, one
// per connection that has come in and not yet shaken hands, and those of the library:
// one per socket.
type lib struct {
	env    transport.Env
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	porch  *transport.Porch
	socks  sockets
}

// Make makes the transport of a session, with sockets of env.Datagrams and the policy
// of env.Net.
func Make(env transport.Env) transport.Transport {
	t := &lib{env: env, porch: transport.NewPorch(env)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Name implements transport.Transport.
func (t *lib) Name() string { return "utp" }

const (
	// dialTimeout stands for a Dial.Timeout of 0, halfOpen for an Env.MaxHalfOpen of 0.
	dialTimeout = 10 * time.Second
	halfOpen    = 128
)

func (t *lib) maxHalfOpen() int {
	if t.env.MaxHalfOpen <= 0 {
		return halfOpen
	}
	return t.env.MaxHalfOpen
}

// Dial implements transport.Transport.
func (t *lib) Dial(d transport.Dial) { go t.dial(d) }

func (t *lib) dial(d transport.Dial) {
	if d.Timeout <= 0 {
		d.Timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(t.ctx, d.Timeout)
	defer cancel()
	answer := transport.Dialed{Addr: d.Addr}
	c, info, err := t.connect(ctx, d)
	if err == nil {
		answer.Link, err = transport.Meet(ctx, c, info, d, t.env)
	}
	if err != nil && t.ctx.Err() != nil {
		err = transport.ErrClosed
	}
	answer.Err = err
	d.Reply.Tell(answer)
}

var errNoAddress = errors.New("utp: no address to dial")

func (t *lib) connect(ctx context.Context, d transport.Dial) (net.Conn, transport.Info, error) {
	addr := netip.AddrPortFrom(d.Addr.Addr().Unmap(), d.Addr.Port())
	info := transport.Info{Transport: t.Name(), Remote: addr}
	if !addr.IsValid() || addr.Port() == 0 {
		return nil, info, fmt.Errorf("%v: %w", d.Addr, errNoAddress)
	}
	if _, err := t.env.Offer(d); err != nil {
		return nil, info, err
	}
	if err := t.env.Net.Check(d.Addr, d.Origin); err != nil {
		return nil, info, err
	}
	s, err := t.socketFor(addr.Addr())
	if err != nil {
		return nil, info, err
	}
	info.Local = s.d.Addr()
	c, err := dial(ctx, s.lib, addr.String())
	if err != nil {
		return nil, info, &transport.LinkError{Remote: addr, Fault: transport.NetworkFault, Err: err}
	}
	return c, info, nil
}

// Listen implements transport.Transport. An unspecified or invalid address means every
// address of both families, at one port. A transport listens once.
func (t *lib) Listen(addr netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	go func() {
		found, err := t.listen(addr)
		if err != nil {
			reply.Tell(transport.Listening{Addr: addr, Err: err})
			return
		}
		ip := addr.Addr()
		if !ip.IsValid() {
			ip = netip.IPv6Unspecified()
		}
		reply.Tell(transport.Listening{Addr: netip.AddrPortFrom(ip, found[0].d.Addr().Port())})
		for _, s := range found {
			go t.accept(s, to)
		}
	}()
}

// acceptPause is how long a listener rests that could accept nothing.
const acceptPause = 100 * time.Millisecond

func (t *lib) accept(s *socket, to actor.Inlet[transport.Accepted]) {
	for t.ctx.Err() == nil {
		c, err := accept(s.lib)
		if err != nil {
			select {
			case <-time.After(acceptPause):
			case <-t.ctx.Done():
			}
			continue
		}
		remote, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // the library made it of such a thing
		info := transport.Info{
			Transport: t.Name(), Incoming: true, Local: s.d.Addr(),
			Remote: netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
		}
		go t.porch.Greet(t.ctx, c, info, to)
	}
}

// Close implements transport.Transport.
func (t *lib) Close() {
	t.cancel()
	t.socks.close()
	t.porch.Close()
}
