package utpnative

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utp"
)

// errIDs: 65,536 connections to one address would be needed.
var errIDs = errors.New("no connection id is free")

// dialing is a connection that is being made.
type dialing struct {
	reply   actor.Ref[transport.Dialed]
	until   actor.Time
	encrypt *mse.Outgoing // to begin with once the connection stands; nil: plain
	hello   bool          // which takes our handshake along
}

func (d *dialing) fail(l *link, err error) {
	d.reply.Tell(transport.Dialed{Addr: l.info.Remote, Err: err})
}

// dial is Transport.Dial: it begins at once if there is a socket, else when there is.
func (x *mux) dial(d dialMsg) {
	ip := d.Addr.Addr().Unmap()
	addr := netip.AddrPortFrom(ip, d.Addr.Port())
	switch err := x.check(addr, d.Origin); {
	case x.closed:
		d.refuse(transport.ErrClosed)
	case err != nil:
		d.refuse(err)
	default:
		if s := x.socketFor(d, ip.Is6()); s != nil {
			x.begin(d, addr, s)
		}
	}
}

func (x *mux) check(addr netip.AddrPort, o transport.Origin) error {
	switch {
	case !addr.IsValid() || addr.Port() == 0:
		return fmt.Errorf("%v: %w", addr, transport.ErrFamily)
	case x.cfg.Check != nil:
		return x.cfg.Check(addr, o)
	}
	return nil
}

// begin asks the remote.
func (x *mux) begin(d dialMsg, addr netip.AddrPort, s *socket) {
	id, ok := x.freeID(addr)
	if !ok {
		d.refuse(fmt.Errorf("%v: %w", addr, errIDs))
		return
	}
	if d.Timeout <= 0 {
		d.Timeout = dialTimeout
	}
	now := x.c.Now()
	l := x.newLink(addr, s, false)
	l.key.id = id
	l.dial = &dialing{reply: d.Reply, until: now.Add(d.Timeout), hello: d.Hello != nil}
	if err := x.prepare(l.dial, d); err != nil {
		d.refuse(err)
		return
	}
	l.m = utp.Dial(x.kinds[s.family()], id, uint16(x.c.Rand().Uint32()), now)
	l.m.Grant(firstGrant)
	x.add(l)
}

// prepare readies the encrypted handshake of a dial, if there is to be one.
func (x *mux) prepare(to *dialing, d dialMsg) error {
	offer, err := x.cfg.Env.Offer(d.Dial)
	if err != nil || offer == 0 {
		return err
	}
	out, err := d.Outgoing(offer, x.c.Rand())
	if err == nil {
		to.encrypt = &out
	}
	return err
}

func (x *mux) newLink(addr netip.AddrPort, s *socket, incoming bool) *link {
	l := &link{
		to: x.c.Self(), sock: s, key: key{from: addr},
		info: transport.Info{Transport: "utp", Remote: addr, Local: s.d.Addr(), Incoming: incoming},
	}
	l.in.framer.Init(x.cfg.Env.Slab, incoming)
	return l
}

// freeID draws a connection id. RESETs may bear the id of either direction, which are
// neighbours: those of other connections must be at least two away.
func (x *mux) freeID(addr netip.AddrPort) (uint16, bool) {
	for range 64 {
		id := uint16(x.c.Rand().Uint32())
		if x.links[key{addr, id}] == nil && x.links[key{addr, id + 1}] == nil && x.links[key{addr, id - 1}] == nil {
			return id, true
		}
	}
	return 0, false
}

// onDialed looks at a connection that is being made.
func (x *mux) onDialed(l *link, now actor.Time) {
	switch {
	case l.m.Phase() == utp.Closed:
		x.end(l, l.undone(l.m.Err()))
	case now >= l.dial.until:
		x.end(l, l.undone(fmt.Errorf("dial: %w", context.DeadlineExceeded)))
	case l.m.Phase() < utp.Connected:
	case l.dial.encrypt != nil:
		m := l.dial.encrypt.Start()
		l.dial.encrypt = nil
		l.out.greeted = l.dial.hello
		x.parley(l, m)
	case l.sec != nil:
		if l.m.EOF() {
			x.end(l, l.broken(transport.RemoteFault, errParley))
		}
	default:
		reply := l.dial.reply
		l.dial = nil
		reply.Tell(transport.Dialed{Addr: l.info.Remote, Link: l})
	}
}

// undone says what it means that a dial has come to nothing. Within the encrypted handshake
// the remote is there, and does not want it: plain, it may want to be dialed again.
func (l *link) undone(err error) error {
	if err != nil && l.sec != nil {
		return l.broken(transport.RemoteFault, err)
	}
	return l.ending(err)
}
