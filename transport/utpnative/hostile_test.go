package utpnative

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
	"github.com/shoal-bt/shoal/wire"
)

// packetOf is a datagram as a remote makes it by hand.
func packetOf(typ utp.Type, id, seq, ack uint16, payload ...byte) []byte {
	b := make([]byte, utp.HeaderSize, utp.HeaderSize+len(payload))
	b[0] = byte(typ)<<4 | 1
	binary.BigEndian.PutUint16(b[2:], id)
	binary.BigEndian.PutUint32(b[12:], 1<<20)
	binary.BigEndian.PutUint16(b[16:], seq)
	binary.BigEndian.PutUint16(b[18:], ack)
	return append(b, payload...)
}

// recorder is an Opener whose sockets send nothing, and remember what they would have;
// what comes in is up to the test.
type recorder struct {
	addr  netip.AddrPort
	route actor.Ref[*transport.Packet]
	sent  []sent
	err   error // of sending
	room  int   // bytes that are taken before err; 0: none while err is set
}

type sent struct {
	to netip.AddrPort
	b  []byte
}

func (r *recorder) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[transport.Opened]) {
	reply.Tell(transport.Opened{Socket: r})
}
func (r *recorder) Addr() netip.AddrPort { return r.addr }

func (r *recorder) Route(transport.PacketKind, actor.Ref[*transport.Packet]) {}

func (r *recorder) RouteTrains(_ transport.PacketKind, to actor.Ref[*transport.Packet]) { r.route = to }

func (r *recorder) Close() {}

func (r *recorder) Send(to netip.AddrPort, b []byte) error {
	_, err := r.SendTrain(to, b, len(b))
	return err
}

func (r *recorder) SendTrain(to netip.AddrPort, b []byte, segment int) (n int, err error) {
	for n < len(b) {
		d := b[n:min(n+segment, len(b))]
		if r.err != nil && len(d) > r.room {
			return n, r.err
		}
		r.room -= len(d)
		r.sent = append(r.sent, sent{to, slices.Clone(d)})
		n += len(d)
	}
	return n, nil
}

// heard takes what was sent.
func (r *recorder) heard() []sent {
	s := r.sent
	r.sent = nil
	return s
}

// stage is a mux in a world that takes turns when the test says so.
type stage struct {
	t   testing.TB
	w   *stageWorld
	r   *recorder
	x   *mux
	tr  *handle
	got []transport.Accepted

	answered uint16 // what the remote of connect acknowledges
}

var (
	here  = netip.MustParseAddrPort("192.0.2.1:6881")
	there = netip.MustParseAddrPort("198.51.100.7:6881")
)

func newStage(t testing.TB, cfg Config) *stage {
	s := &stage{t: t, w: &stageWorld{now: actor.Time(time.Hour)}, r: &recorder{addr: here}}
	cfg.Open = s.r
	if cfg.Env.Slab == nil {
		cfg.Env.Slab = block.NewSlab(64 * block.Size)
	}
	s.x = newMux(cfg)
	s.tr = start(s.w, s.x)
	in := actor.Root(s.w, actor.Spec{Name: "door"}, actor.Actor[transport.Accepted](doorOf{s}), nil)
	s.tr.Listen(here, in.Inlet, actor.Ref[transport.Listening]{})
	s.run(0)
	return s
}

type doorOf struct{ s *stage }

func (d doorOf) Handle(_ *actor.Ctx[transport.Accepted], a transport.Accepted) {
	d.s.got = append(d.s.got, a)
}

func (s *stage) run(d time.Duration) { s.w.run(d) }

func (s *stage) say(from netip.AddrPort, b []byte) { s.r.route.Offer(transport.NewPacket(from, b)) }

func hostAddr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 6881)
}

// A flood of SYNs from forged addresses is answered with less than it brings, takes
// bounded memory, and keeps nobody out.
func TestFloodOfSYNs(t *testing.T) {
	s := newStage(t, Config{})
	in, out := 0, 0
	flood := 20_000
	if raceEnabled {
		flood = 2000
	}
	for i := range flood {
		syn := packetOf(utp.Syn, uint16(i), uint16(i), 0)
		in += len(syn)
		s.say(hostAddr(i), syn)
		if i%100 == 0 {
			s.run(time.Millisecond)
		}
	}
	s.run(time.Minute)
	for _, d := range s.r.heard() {
		out += len(d.b)
	}
	if out > in {
		t.Errorf("%d bytes out for %d", out, in)
	}
	s.run(0)
	if n := len(s.x.all); n > 0 {
		t.Errorf("%d connections are left a minute later", n)
	}
	for i := range flood {
		s.say(hostAddr(i), packetOf(utp.Syn, uint16(i), uint16(i), 0))
		s.run(0)
		if n := len(s.x.all); n > 4*halfOpen {
			t.Fatalf("%d connections are half open", n)
		}
	}
	s.r.heard()
	s.say(there, packetOf(utp.Syn, 5, 10, 0))
	s.run(0)
	answer, err := utp.Parse(s.r.heard()[0].b)
	if err != nil || answer.Type != utp.State {
		t.Fatalf("the honest one is answered %v, %v", answer, err)
	}
	s.say(there, packetOf(utp.Data, 6, 11, answer.Seq-1, wire.AppendHandshake(nil, *hello())...))
	s.run(0)
	if len(s.got) != 1 || s.got[0].Link.Info().Remote != there {
		t.Errorf("%d came in", len(s.got))
	}
}

// One host alone can't fill the porch.
func TestFloodOfOneHost(t *testing.T) {
	s := newStage(t, Config{})
	s.say(there, packetOf(utp.Syn, 5, 10, 0))
	s.run(0)
	for i := range 1000 {
		s.say(netip.AddrPortFrom(hostAddr(1).Addr(), uint16(i+1)), packetOf(utp.Syn, uint16(i), 1, 0))
		s.run(0)
	}
	if n := len(s.x.all); n != halfOpen/2+1 {
		t.Errorf("%d connections are half open", n)
	}
}

// Packets of no connection are answered by a RESET now and then, and RESETs never.
func TestRESETsInModeration(t *testing.T) {
	s := newStage(t, Config{})
	for i := range 1000 {
		s.say(there, packetOf(utp.Data, uint16(i), 1, 1, 'x'))
		s.say(hostAddr(i), packetOf(utp.State, uint16(i), 1, 1))
		s.say(there, packetOf(utp.Reset, uint16(i), 1, 1))
	}
	s.run(500 * time.Millisecond)
	count := map[netip.AddrPort]int{}
	out := s.r.heard()
	for _, d := range out {
		p, err := utp.Parse(d.b)
		if err != nil || p.Type != utp.Reset || len(d.b) != utp.HeaderSize {
			t.Errorf("answered %v, %v", p.Type, err)
		}
		count[d.to]++
	}
	if len(out) != resetRate || count[there] != resetPerHost || count[hostAddr(5)] != 1 {
		t.Errorf("%d RESETs, %d to one host, %d to another", len(out), count[there], count[hostAddr(5)])
	}
	s.run(time.Second)
	s.say(there, packetOf(utp.Fin, 7, 1, 1))
	s.run(0)
	if len(s.r.heard()) != 1 {
		t.Error("a second later there is none")
	}
}

// What the system has no room for goes a little later, and counts for no loss.
func TestFullSocketWaits(t *testing.T) {
	s := newStage(t, Config{})
	l := s.connect(there)
	s.r.err, s.r.room = transport.ErrDropped, 3000
	b := transport.NewBatch()
	b.Add(wire.Message{ID: wire.Extended, Payload: make([]byte, 20_000)})
	l.Send(b)
	s.run(0)
	first := len(s.r.heard())
	s.run(10 * time.Millisecond)
	if n := len(s.r.heard()); n != 0 || first > 3 {
		t.Errorf("%d left, and then %d through a full socket", first, n)
	}
	s.r.err = nil
	s.run(2 * time.Millisecond)
	seqs := map[uint16]bool{}
	for _, d := range s.r.heard() {
		p, err := utp.Parse(d.b)
		if err != nil || seqs[p.Seq] && p.Type == utp.Data {
			t.Errorf("%v, or sent twice: %d", err, p.Seq)
		}
		seqs[p.Seq] = true
	}
	if len(seqs)+first < 2 || s.x.all[0].m.Stats().Resent > 0 {
		t.Errorf("%d left later, %+v", len(seqs), s.x.all[0].m.Stats())
	}
}

// What happens before Bind is told after it, also when a full socket has the link try
// again meanwhile.
func TestFullSocketBeforeBind(t *testing.T) {
	s := newStage(t, Config{})
	l := s.connect(there)
	m := s.x.all[0].m
	s.r.err, s.r.room = transport.ErrDropped, 0
	s.say(there, packetOf(utp.Data, m.RecvID(), 12, s.answered, wire.Append(nil, wire.Message{ID: wire.Interested})...))
	s.run(0) // to be acknowledged
	s.say(there, packetOf(utp.Reset, m.RecvID(), 1, s.answered))
	s.run(10 * time.Millisecond)
	s.r.err = nil
	var got []transport.Event
	peer := actor.Root(s.w, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](hears{&got}), nil)
	l.Bind(peer.Inlet)
	s.run(0)
	if len(got) != 1 {
		t.Fatalf("heard %v", got)
	}
	if c, ok := got[0].(transport.Closed); !ok || !errors.Is(c.Err, utp.ErrReset) {
		t.Errorf("heard %v", got)
	}
}

// hears keeps events.
type hears struct{ all *[]transport.Event }

func (h hears) Handle(_ *actor.Ctx[transport.Event], e transport.Event) { *h.all = append(*h.all, e) }

// connect makes a connection of a remote that the test plays.
func (s *stage) connect(from netip.AddrPort) transport.Link {
	s.t.Helper()
	s.say(from, packetOf(utp.Syn, 5, 10, 0))
	s.run(0)
	answer, err := utp.Parse(s.r.heard()[0].b)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answered = answer.Seq - 1
	s.say(from, packetOf(utp.Data, 6, 11, s.answered, wire.AppendHandshake(nil, *hello())...))
	s.run(0)
	s.r.heard()
	if len(s.got) == 0 {
		s.t.Fatal("nothing came in")
	}
	return s.got[len(s.got)-1].Link
}

// A system that refuses large datagrams has the machine send smaller ones.
func TestTooBigDatagrams(t *testing.T) {
	s := newStage(t, Config{})
	l := s.connect(there)
	s.r.err, s.r.room = transport.ErrTooBig, 0
	b := transport.NewBatch()
	b.Add(wire.Message{ID: wire.Extended, Payload: make([]byte, 2000)})
	l.Send(b)
	s.run(0)
	if got := s.r.heard(); len(got) != 0 {
		t.Fatalf("%d datagrams", len(got))
	}
	s.r.err = nil
	s.run(3 * time.Second)
	if len(s.r.heard()) == 0 {
		t.Error("nothing was sent again")
	}
}

// Whatever comes, the mux lives.
func FuzzMux(f *testing.F) {
	f.Add(packetOf(utp.Syn, 5, 10, 0), uint64(1))
	f.Add(packetOf(utp.Data, 6, 11, 1, wire.AppendHandshake(nil, *hello())...), uint64(2))
	f.Add(append(packetOf(utp.State, 6, 12, 1), 1, 0, 4, 255, 255, 255, 255), uint64(3))
	f.Add(packetOf(utp.Reset, 6, 12, 1), uint64(4))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		b = b[:min(len(b), 4<<10)]
		s := newStage(t, Config{})
		rng := rand.New(rand.NewPCG(seed, 1))
		l := s.connect(there)
		peer := actor.Root(s.w, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](deaf{}), nil)
		l.Bind(peer.Inlet)
		l.Allow(transport.Unlimited)
		s.tr.Dial(transport.Dial{Addr: hostAddr(1)})
		s.run(0)
		for len(b) > 0 {
			n := min(1+rng.IntN(100), len(b))
			d := slices.Clone(b[:n])
			b = b[n:]
			from := there
			if rng.IntN(4) == 0 {
				from = hostAddr(1)
			}
			if rng.IntN(2) == 0 && len(s.x.all) > 0 { // near the mark
				m := s.x.all[rng.IntN(len(s.x.all))]
				d = append(packetOf(utp.Type(rng.IntN(5)), m.m.RecvID(), uint16(11+rng.IntN(4)), uint16(rng.IntN(1<<16))), d...)
				from = m.key.from
			}
			s.say(from, d)
			s.run(time.Duration(rng.IntN(int(time.Second))))
		}
		l.Close(nil)
		s.tr.Close()
		s.run(2 * time.Minute)
		if len(s.x.all) > 0 {
			t.Errorf("%d connections are left", len(s.x.all))
		}
		if used := s.x.cfg.Env.Slab.Used(); used > 0 {
			t.Errorf("%d slots are in use", used)
		}
	})
}

// deaf takes events and gives back what they carry.
type deaf struct{}

func (deaf) Handle(_ *actor.Ctx[transport.Event], e transport.Event) {
	if b, ok := e.(*transport.Batch); ok {
		b.Release()
	}
}

// Junk from the network ends no connection and stops nothing.
func TestJunkBetweenDatagrams(t *testing.T) {
	x, y := pair(t)
	a, b := x.connect(y)
	junk, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(y.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer junk.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		d := make([]byte, rng.IntN(1600))
		for j := range d {
			d[j] = byte(rng.Uint32())
		}
		if len(d) > 2 && i%2 == 0 {
			d[0], d[1] = byte(rng.IntN(5))<<4|1, byte(rng.IntN(3))
		}
		_, _ = junk.Write(d)
		if i%100 == 0 {
			a.send(request(i))
			b.want(request(i).String())
		}
	}
	a.link.Close(errBye)
	a.wantClosed("bye")
	b.wantClosed("EOF")
}

// Hundreds of connections come and go, and nothing is left of them.
func TestComeAndGo(t *testing.T) {
	x, y := pair(t)
	for range 12 {
		var ends []*end
		for range 25 {
			a, b := x.connect(y)
			ends = append(ends, a, b)
		}
		for i, e := range ends {
			if i%4 == 0 || i%4 == 3 {
				e.link.Close(errBye)
			}
		}
		for _, e := range ends {
			e.wantClosed("")
		}
	}
	x.wantNothing()
	y.wantNothing()
}
