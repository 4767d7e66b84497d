//pump: guards the list of open sockets, which any goroutine may ask for one.

package transport

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shoal-bt/shoal/actor"
)

// Share makes an opener whose sockets are shared: who asks for an address and port
// that is open already gets the same socket, so that the DHT, uTP and trackers leave
// by one port and one mapping of a NAT. Each who asks gets a handle of its own: what
// it routes ends with it, and the socket ends with its last handle. A kind that
// several handles route goes to the one that asked last. Port 0 opens a new socket
// each time; its port can be asked for afterwards.
func Share(o Opener) Opener { return &sharer{inner: o} }

// binder is an Opener that can tell which address it would bind.
type binder interface {
	bindAddr(addr netip.AddrPort) (netip.Addr, error)
}

// sharer owns the list of sockets that are open or being opened.
type sharer struct {
	inner Opener

	mu   sync.Mutex // guards all below, and all of sharedSocket and the handles' routes
	all  []*sharedSocket
	last uint64 // stamp of a route
}

// sharedSocket is one socket and its handles.
type sharedSocket struct {
	by      *sharer
	asked   netip.AddrPort // port 0: the system chooses
	socket  Datagrams      // nil while it is being opened
	waiting []actor.Ref[Opened]
	handles []*handle
}

// OpenDatagrams implements [Opener].
func (r *sharer) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[Opened]) {
	asked := r.asked(addr)
	r.mu.Lock()
	s := r.findLocked(asked)
	if s != nil && s.socket != nil {
		h := s.handleLocked()
		r.mu.Unlock()
		reply.Tell(Opened{Socket: h})
		return
	}
	opens := s == nil
	if opens {
		s = &sharedSocket{by: r, asked: asked}
		r.all = append(r.all, s)
	}
	s.waiting = append(s.waiting, reply)
	r.mu.Unlock()
	if opens {
		r.inner.OpenDatagrams(addr, actor.FuncRef(s.opened))
	}
}

// asked returns what an address stands for, as far as it can be told.
func (r *sharer) asked(addr netip.AddrPort) netip.AddrPort {
	ip := addr.Addr().Unmap()
	if b, ok := r.inner.(binder); ok {
		if bound, err := b.bindAddr(addr); err == nil {
			ip = bound
		}
	}
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, addr.Port())
}

func (r *sharer) findLocked(asked netip.AddrPort) *sharedSocket {
	if asked.Port() == 0 {
		return nil
	}
	for _, s := range r.all {
		if s.isLocked(asked) {
			return s
		}
	}
	return nil
}

// isLocked reports whether an address means this socket: by the name it was opened
// under, or by what that has become.
func (s *sharedSocket) isLocked(asked netip.AddrPort) bool {
	if s.asked == asked {
		return true
	}
	if s.socket == nil {
		return false
	}
	at := s.socket.Addr()
	return at.Port() == asked.Port() && (at.Addr() == asked.Addr() || s.asked.Addr() == asked.Addr())
}

// opened gets the inner opener's answer, and passes it on to all who wait for it.
func (s *sharedSocket) opened(o Opened) {
	s.by.mu.Lock()
	waiting := s.waiting
	s.waiting, s.socket = nil, o.Socket
	answers := make([]Opened, len(waiting))
	if o.Socket == nil {
		s.by.forgetLocked(s)
	}
	for i := range answers {
		answers[i].Err = o.Err
		if o.Socket != nil {
			answers[i].Socket = s.handleLocked()
		}
	}
	s.by.mu.Unlock()
	for i, reply := range waiting {
		reply.Tell(answers[i])
	}
}

func (r *sharer) forgetLocked(s *sharedSocket) {
	r.all = slices.DeleteFunc(r.all, func(x *sharedSocket) bool { return x == s })
}

func (s *sharedSocket) handleLocked() *handle {
	h := &handle{Datagrams: s.socket, of: s}
	s.handles = append(s.handles, h)
	return h
}

// applyLocked tells the socket where a kind goes now.
func (s *sharedSocket) applyLocked(k PacketKind) {
	var newest handleRoute
	for _, h := range s.handles {
		if r := h.routes[k]; !r.to.IsZero() && r.stamp > newest.stamp {
			newest = r
		}
	}
	if newest.trains {
		s.socket.RouteTrains(k, newest.to)
	} else {
		s.socket.Route(k, newest.to)
	}
}

// handle is a shared socket as one of its users has it.
type handle struct {
	Datagrams // the socket
	of        *sharedSocket
	closed    atomic.Bool
	routes    [packetKinds]handleRoute
}

type handleRoute struct {
	to     actor.Ref[*Packet]
	trains bool
	stamp  uint64 // later ones are higher
}

// Route implements Datagrams.
func (h *handle) Route(k PacketKind, to actor.Ref[*Packet]) { h.route(k, to, false) }

// RouteTrains implements Datagrams.
func (h *handle) RouteTrains(k PacketKind, to actor.Ref[*Packet]) { h.route(k, to, true) }

func (h *handle) route(k PacketKind, to actor.Ref[*Packet], trains bool) {
	r := h.of.by
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.closed.Load() {
		return
	}
	r.last++
	h.routes[k] = handleRoute{to: to, trains: trains, stamp: r.last}
	h.of.applyLocked(k)
}

// Send implements Datagrams.
func (h *handle) Send(to netip.AddrPort, b []byte) error {
	if h.closed.Load() {
		return ErrClosed
	}
	return h.Datagrams.Send(to, b)
}

// SendTrain implements Datagrams.
func (h *handle) SendTrain(to netip.AddrPort, b []byte, segment int) (int, error) {
	if h.closed.Load() {
		return 0, ErrClosed
	}
	return h.Datagrams.SendTrain(to, b, segment)
}

// Close implements Datagrams. It ends the socket before the list forgets it: who
// opens the port again finds it free.
func (h *handle) Close() {
	s := h.of
	s.by.mu.Lock()
	defer s.by.mu.Unlock()
	if h.closed.Swap(true) {
		return
	}
	s.handles = slices.DeleteFunc(s.handles, func(x *handle) bool { return x == h })
	if len(s.handles) == 0 {
		s.by.forgetLocked(s)
		s.socket.Close()
		return
	}
	for k, r := range h.routes {
		if !r.to.IsZero() {
			s.applyLocked(PacketKind(k))
		}
	}
}

// Stats returns what has passed the socket, if it counts: for all its users.
func (h *handle) Stats() DatagramStats {
	if s, ok := h.Datagrams.(interface{ Stats() DatagramStats }); ok {
		return s.Stats()
	}
	return DatagramStats{}
}
