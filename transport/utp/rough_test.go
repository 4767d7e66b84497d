package utp

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// check tests what must hold of a machine whatever came in.
func check(t *testing.T, m *Machine, queued int64) {
	t.Helper()
	var inflight, unacked int64
	lost := 0
	for seq := m.send.base; seq != m.send.nextSeq; seq++ {
		s := m.send.at(seq)
		switch {
		case s.acked:
			continue
		case s.lost:
			lost++
		default:
			inflight += int64(s.size)
		}
		unacked += int64(s.size)
	}
	if inflight != m.send.inflight || unacked != m.send.unacked || lost != m.send.lost {
		t.Fatalf("in flight %d, unacknowledged %d, lost %d; counted %d, %d, %d",
			m.send.inflight, m.send.unacked, m.send.lost, inflight, unacked, lost)
	}
	if m.send.count() > maxFlight+1 || m.recv.held > m.cfg.window() || len(m.recv.ring) > maxReorder {
		t.Fatalf("%d under way, %d bytes held, ring of %d", m.send.count(), m.recv.held, len(m.recv.ring))
	}
	if m.Acked() > queued || m.Acked() < 0 || m.cc.bytes() < 1 {
		t.Fatalf("acknowledged %d of %d, window %d", m.Acked(), queued, m.cc.bytes())
	}
}

// FuzzMachine drives a machine by a script: packets of all types with numbers near the
// right ones and far from them, writes, grants, closes, time.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 0, 20, 1, 9, 0, 1, 0, 0, 1, 30, 2, 2, 0, 0, 0, 1})
	f.Add([]byte{1, 0, 0, 0, 0, 5, 0, 0, 1, 0, 0, 5, 0, 1, 1, 0, 0, 1, 50, 2, 200})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(rng.Uint32() >> (rng.Uint32() % 8))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) { drive(t, script) })
}

// driver reads a script byte by byte; zeros follow its end.
type driver struct{ script []byte }

func (d *driver) byte() byte {
	if len(d.script) == 0 {
		return 0
	}
	b := d.script[0]
	d.script = d.script[1:]
	return b
}

// near is mostly close to n.
func (d *driver) near(n uint16) uint16 {
	switch b := d.byte(); {
	case b < 240:
		return n + uint16(int8(b<<1)>>3)
	default:
		return n + uint16(b)<<8 + uint16(d.byte())
	}
}

func drive(t *testing.T, script []byte) {
	d := &driver{script}
	now := Time(time.Hour)
	cfg := &Config{Window: 1 << 16}
	var m *Machine
	if d.byte()%2 == 0 {
		m = Dial(cfg, 77, 65530, now)
	} else {
		m = Accept(cfg, &Packet{Header: Header{Type: Syn, ConnID: 76, Seq: 65530}, Size: HeaderSize}, 65530, now)
	}
	m.Allow(Unlimited)
	queued, last := int64(0), int64(0)
	in, out := int64(HeaderSize), int64(0)
	lend := func(n int, _ bool) []byte { out += int64(n); return make([]byte, n) }
	for steps := 0; len(d.script) > 0 && steps < 2000; steps++ {
		switch op := d.byte(); {
		case op < 190:
			p := d.packet(m)
			in += int64(p.Size)
			m.Receive(&p, now, func([]byte) {})
		case op < 210:
			n := int64(d.byte()) * 100
			if m.Write(make([]byte, n)) {
				queued += n
			}
		case op < 240:
			now = now.Add(Duration(d.byte()) * Duration(d.byte()) * ms / 4)
		case op < 250:
			m.Allow(int64(d.byte())*64 - 100)
		case op < 252:
			m.Close(now)
		case op < 253:
			m.Abort()
		default:
			m.TooBig(int(d.byte()) * 8)
		}
		m.Output(now, lend)
		check(t, m, queued)
		if m.Acked() < last {
			t.Fatal("acknowledged bytes went back")
		}
		last = m.Acked()
		if m.phase == SynRecv && 2*out > 3*in {
			t.Fatalf("%d bytes out for %d in", out, in)
		}
		if at := m.Deadline(); at <= now && m.phase != Closed {
			t.Fatalf("%s: deadline %v after its output at %v", m.phase, at, now)
		}
	}
}

func (d *driver) packet(m *Machine) Packet {
	p := Packet{Header: Header{
		Type: Type(d.byte() % 5), ConnID: m.recvID, Timestamp: uint32(d.byte()) << 20, Diff: uint32(d.byte()) << 12,
		Seq: d.near(m.recv.ack + 1), Ack: d.near(m.send.nextSeq - 1), Window: uint32(d.byte()) << 8,
	}}
	if d.byte() > 250 {
		p.ConnID = m.sendID
	}
	if p.Type == Data {
		p.Payload = make([]byte, 1+int(d.byte())*8)
	}
	if n := int(d.byte()) % 24; n > 12 {
		p.SACK = make([]byte, n)
		for i := range p.SACK {
			p.SACK[i] = d.byte()
		}
	}
	p.Size = HeaderSize + len(p.Payload) + len(p.SACK)
	return p
}

// 10,000 connections are made, say something and end, while damaged copies of their
// packets fly about. Whatever is not closed in good order is closed by time.
func TestManyConnections(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	clean, ended := 0, 0
	cfg := &Config{Pool: new(Pool)}
	for i := range 10_000 {
		w := newWorld(t, uint64(i))
		path := &noisy{delay: 5 * ms, loss: 0.01, dup: 0.02}
		a, b := w.connect(cfg, path, path)
		if i%2 == 1 {
			a.path = &damaging{noisy: *path, rng: rng}
			a.unchecked, b.unchecked = true, true
		}
		a.toWrite, b.toWrite, a.closeAt, b.closeAt = 100, 3000, 1, 1
		w.run(10*time.Minute, func() bool { return a.m.Phase() == Closed && (b.m == nil || b.m.Phase() == Closed) })
		for _, e := range []*end{a, b} {
			if e.m != nil && e.m.Phase() != Closed {
				t.Fatalf("connection %d: %s is %s, %+v", i, e.name, e.m.Phase(), e.m.Stats())
			}
			if e.m != nil && (e.m.recv.ring != nil || e.m.send.ring != nil) {
				t.Fatalf("connection %d: %s keeps memory", i, e.name)
			}
		}
		ended++
		if a.m.Err() == nil && b.m != nil && b.m.Err() == nil {
			clean++
		}
		if i%2 == 0 && (a.got < 1 || b.m == nil || b.got != 100) {
			t.Fatalf("connection %d: a read %d, b %d", i, a.got, b.got)
		}
	}
	t.Logf("%d ended, %d in good order", ended, clean)
}

// damaging also sends copies with flipped bits of the header, and copies of nonsense.
type damaging struct {
	noisy
	rng *rand.Rand
}

func (p *damaging) carry(w *world, b []byte, probe bool) []Time {
	if p.rng.IntN(4) == 0 {
		n := 1 + p.rng.IntN(4)
		for range n {
			b[p.rng.IntN(min(len(b), HeaderSize+4))] ^= 1 << p.rng.IntN(8)
		}
	}
	return p.noisy.carry(w, b, probe)
}

// In a steady state nothing is allocated: neither for sending nor for receiving, in
// order or not.
func TestNoAllocations(t *testing.T) {
	cfg := &Config{Pool: new(Pool)}
	p := newPump(cfg)
	for range 200 {
		p.turn()
	}
	if n := testing.AllocsPerRun(200, p.turn); n > 0 {
		t.Errorf("%v allocations a turn", n)
	}
	if p.read == 0 {
		t.Error("nothing was read")
	}
}

// pump passes packets between two machines without a world: a turn is a millisecond in
// which a writes, b acknowledges; each fifth packet comes after its successor.
type pump struct {
	a, b     *Machine
	now      Time
	buf      []byte
	arena    []byte // memory of datagrams
	sizes    []int
	read     int64
	lend     Alloc
	take     func([]byte)
	straight bool
}

func newPump(cfg *Config) *pump {
	p := &pump{now: Time(time.Hour), buf: make([]byte, 64<<10), arena: make([]byte, 0, 4<<20)}
	p.lend = func(n int, _ bool) []byte {
		at := len(p.arena)
		p.arena = p.arena[:at+n]
		p.sizes = append(p.sizes, n)
		return p.arena[at:]
	}
	p.take = func(b []byte) { p.read += int64(len(b)) }
	p.a = Dial(cfg, 7, 65000, p.now)
	p.a.Output(p.now, p.lend)
	syn, _ := Parse(p.arena)
	p.b = Accept(cfg, &syn, 9, p.now)
	p.arena, p.sizes = p.arena[:0], p.sizes[:0]
	p.b.Allow(Unlimited)
	p.pass(p.b, p.a)
	p.pass(p.a, p.b)
	return p
}

// pass has one machine speak and the other listen.
func (p *pump) pass(from, to *Machine) {
	from.Output(p.now, p.lend)
	p.now = p.now.Add(ms / 2)
	at := 0
	for i, n := range p.sizes {
		if k := i % 5; k == 3 && i+1 < len(p.sizes) && !p.straight {
			p.give(to, at+n, p.sizes[i+1])
			p.give(to, at, n)
		} else if k != 4 || p.straight {
			p.give(to, at, n)
		}
		at += n
	}
	p.arena, p.sizes = p.arena[:0], p.sizes[:0]
}

func (p *pump) give(to *Machine, at, n int) {
	packet, err := Parse(p.arena[at : at+n])
	if err == nil {
		to.Receive(&packet, p.now, p.take)
	}
}

func (p *pump) turn() {
	if p.a.Pending() < 1<<20 {
		p.a.Write(p.buf)
	}
	p.pass(p.a, p.b)
	p.pass(p.b, p.a)
}

// What 1,000 idle connections cost: at most 2 KiB each, of the goal of 8.
func TestIdleMemory(t *testing.T) {
	size := unsafe.Sizeof(Machine{})
	p := newPump(&Config{Pool: new(Pool)})
	for range 100 {
		p.turn()
	}
	for p.a.Pending() > 0 {
		p.pass(p.a, p.b)
		p.pass(p.b, p.a)
	}
	p.now = p.now.Add(keepAlive)
	p.pass(p.a, p.b)
	p.pass(p.b, p.a)
	if p.a.send.ring != nil || p.a.send.chunks != nil || p.b.recv.ring != nil {
		t.Error("idle machines keep their rings")
	}
	t.Logf("a machine has %d bytes", size)
	if size > 2048 {
		t.Errorf("a machine has %d bytes", size)
	}
}

// BenchmarkMachine is the cost of a stream from one machine to another, both sides, by
// packet size.
func BenchmarkMachine(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1472", 1472}, {"9000", 8972}, {"65507", 65507}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPump(&Config{Pool: new(Pool), MaxPacket: c.size})
			p.straight = true
			for range 300 {
				p.turn()
			}
			began := p.read
			b.ReportAllocs()
			for b.Loop() {
				p.turn()
			}
			b.ReportMetric(float64(p.read-began)/(1<<20)/b.Elapsed().Seconds(), "MiB/s")
		})
	}
}
