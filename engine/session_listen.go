package engine

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/transport"
)

// doors is where the session listens: with one transport after the other, all at the
// port that the first has found, since trackers and peers are told one only. Owner: the
// session.
type doors struct {
	opening bool
	next    int // transport that is asked now
	tries   int // ports in vain, of the first one
	strayed bool
	bound   []netip.AddrPort
	err     error
	askers  []actor.Ref[boundTo]
}

// listenNext asks the next transport to listen.
func (s *session) listenNext(c *actor.Ctx[sessionMsg]) {
	s.doors.opening = true
	at := s.cfg.Listen
	if p := s.port(); p != 0 {
		at = netip.AddrPortFrom(at.Addr(), p)
	}
	s.listen(c, at)
}

func (s *session) listen(c *actor.Ctx[sessionMsg], addr netip.AddrPort) {
	i := s.doors.next
	s.deps.Transports[i].Listen(addr,
		actor.AdaptInlet(s.self, func(a transport.Accepted) sessionMsg { return knock{a} }),
		actor.Adapt(c.Self(), func(l transport.Listening) sessionMsg { return bound{i, l} }))
}

// onBound takes one transport's listening address. A port that is taken is left for the
// next one, if the user did not insist on it and the address is ours; the other transports are better off
// anywhere than nowhere: their connections go out from there.
func (s *session) onBound(c *actor.Ctx[sessionMsg], m bound) {
	d := &s.doors
	if m.Err != nil && !errors.Is(m.Err, transport.ErrNotOurs) && len(d.bound) == 0 && s.nextPort() {
		s.listen(c, netip.AddrPortFrom(s.cfg.Listen.Addr(), s.cfg.Listen.Port()+uint16(d.tries)))
		return
	}
	if m.Err != nil && len(d.bound) > 0 && !d.strayed {
		d.strayed = true
		s.listen(c, netip.AddrPortFrom(s.cfg.Listen.Addr(), 0))
		return
	}
	if m.Err != nil {
		d.err = errors.Join(d.err, m.Err)
	} else if !slices.Contains(d.bound, m.Addr) { // several transports are at one address
		d.bound = append(d.bound, m.Addr)
		s.emit.Tell(Event{Kind: Listening, Addr: m.Addr})
	}
	d.next, d.tries, d.strayed = d.next+1, 0, false
	if d.next < len(s.deps.Transports) {
		s.listenNext(c)
		return
	}
	s.allBound(c)
}

// nextPort reports whether another port may be tried, and counts it.
func (s *session) nextPort() bool {
	d, port := &s.doors, s.cfg.Listen.Port()
	if d.tries >= s.cfg.NextPorts || port == 0 || int(port)+d.tries >= 1<<16-1 {
		return false
	}
	d.tries++
	return true
}

// allBound lets those go on who need to know the port.
func (s *session) allBound(c *actor.Ctx[sessionMsg]) {
	d := &s.doors
	d.opening = false
	s.startFinders(c)
	for _, r := range d.askers {
		r.Tell(boundTo{d.bound, d.err})
	}
	d.askers = nil
	early := s.early
	s.early = nil
	for _, a := range early {
		s.onAdd(c, a)
	}
}

// maxEarly torrents may wait for the listening.
const maxEarly = 10000

func (s *session) onWhereBound(m whereBound) {
	if s.doors.opening {
		s.doors.askers = append(s.doors.askers, m.reply)
		return
	}
	m.reply.Tell(boundTo{s.doors.bound, s.doors.err})
}

// port is what trackers and peers are told.
func (s *session) port() uint16 {
	if len(s.doors.bound) == 0 {
		return 0
	}
	return s.doors.bound[0].Port()
}
