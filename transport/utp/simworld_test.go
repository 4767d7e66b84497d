package utp_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
)

const ms = time.Millisecond

// lab is a simulated network in which machines send to each other.
type lab struct {
	t testing.TB
	w *sim.World
	n *sim.Network
}

func newLab(t testing.TB, seed uint64) *lab {
	w := sim.NewWorld(sim.Config{Seed: seed})
	return &lab{t, w, sim.NewNetwork(w, sim.NetConfig{})}
}

func (l *lab) run(d clock.Duration) {
	l.t.Helper()
	l.w.Run(l.w.Now().Add(d))
	if err := l.w.Err(); err != nil {
		l.t.Fatal(err)
	}
}

// station is a host with one machine, and what its owner does: reads all, writes
// without end or not at all, and calls the machine when its time has come.
type station struct {
	l       *lab
	host    *sim.Host
	socket  transport.Datagrams
	peer    netip.AddrPort
	cfg     *utp.Config
	m       *utp.Machine
	endless bool
	got     int64
	lastAt  clock.Time     // when bytes came last
	silence clock.Duration // the longest time without
	armed   clock.Time     // the earliest wake-up to come
	out     [][]byte       // of this output
	spare   [][]byte
}

func (l *lab) station(cfg *utp.Config) *station {
	l.t.Helper()
	s := &station{l: l, host: l.n.Host(sim.HostConfig{}), cfg: cfg, armed: clock.Never}
	s.host.OpenDatagrams(netip.AddrPort{}, actor.FuncRef(func(o transport.Opened) {
		if o.Err != nil {
			l.t.Fatal(o.Err)
		}
		s.socket = o.Socket
	}))
	s.socket.Route(transport.PacketUTP, actor.FuncRef(s.hear))
	return s
}

// flow joins two new stations by the links; the first begins an endless upload. salt
// tells the flows of a seed apart.
func (l *lab) flow(cfg *utp.Config, there, back *netpath.Link, salt uint16) (from, to *station) {
	from, to = l.station(cfg), l.station(cfg)
	l.n.Join(from.host, to.host, there)
	l.n.Join(to.host, from.host, back)
	from.peer, to.peer = to.socket.Addr(), from.socket.Addr()
	from.endless = true
	from.m = utp.Dial(cfg, 7000+salt, 100*salt, l.w.Now())
	from.m.Allow(utp.Unlimited)
	from.speak()
	return from, to
}

func (s *station) hear(p *transport.Packet) {
	defer p.Release()
	packet, err := utp.Parse(p.Data)
	if err != nil {
		s.l.t.Fatal(err)
	}
	if s.m == nil {
		if packet.Type != utp.Syn {
			return
		}
		s.m = utp.Accept(s.cfg, &packet, 9000, s.l.w.Now())
		s.m.Allow(utp.Unlimited)
	} else {
		s.m.Receive(&packet, s.l.w.Now(), s.read)
	}
	s.speak()
}

func (s *station) read(b []byte) {
	s.got += int64(len(b))
	now := s.l.w.Now()
	if s.lastAt > 0 {
		s.silence = max(s.silence, now.Sub(s.lastAt))
	}
	s.lastAt = now
}

func (s *station) total() int64 { return s.got }

var payload [64 << 10]byte

// speak has the machine say what it has to, and asks to be woken at its deadline.
func (s *station) speak() {
	for s.endless && s.m.Pending() < 4<<20 && s.m.Phase() <= utp.Connected {
		s.m.Write(payload[:])
	}
	s.m.Output(s.l.w.Now(), s.lend)
	for _, b := range s.out {
		// A full uplink and a refused size are the path's affair.
		_ = s.socket.Send(s.peer, b)
	}
	s.spare, s.out = append(s.spare, s.out...), s.out[:0]
	s.arm()
}

func (s *station) lend(n int, _ bool) []byte {
	var b []byte
	if k := len(s.spare); k > 0 {
		b, s.spare = s.spare[k-1], s.spare[:k-1]
	}
	if cap(b) < n {
		b = make([]byte, n, max(n, 1500))
	}
	s.out = append(s.out, b[:n])
	return b[:n]
}

func (s *station) arm() {
	at := s.m.Deadline()
	if at >= s.armed {
		return
	}
	s.armed = at
	s.l.w.After(at.Sub(s.l.w.Now()), func() {
		if s.armed != at {
			return // an earlier one has replaced it
		}
		s.armed = clock.Never
		if s.m.Deadline() <= s.l.w.Now() {
			s.speak()
		} else {
			s.arm()
		}
	})
}
