package utpnative_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
	"github.com/shoal-bt/shoal/transport/utpnative"
	"github.com/shoal-bt/shoal/wire"
)

var (
	simHello = wire.Handshake{InfoHash: [20]byte{4, 5}}
	errBye   = errors.New("bye")
)

// party is a host of the simulator with a transport.
type party struct {
	tr   transport.Transport
	mux  *utpnative.Mux
	slab *block.Slab
	addr netip.AddrPort
}

// pairIn makes two hosts; the second listens, and gives what comes in to door.
func pairIn(t testing.TB, w *sim.World, cfg sim.NetConfig, env transport.Env, wrap func(transport.Opener) transport.Opener, door actor.Inlet[transport.Accepted]) (a, b *party) {
	n := sim.NewNetwork(w, cfg)
	make := func() *party {
		p := &party{slab: block.NewSlab(512 * block.Size)}
		h := n.Host(sim.HostConfig{})
		env.Slab = p.slab
		p.tr, p.mux = utpnative.NewSeen(w, utpnative.Config{Env: env, Open: wrap(h)})
		p.addr = netip.AddrPortFrom(h.Addr(), 6881)
		return p
	}
	a, b = make(), make()
	b.tr.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 6881), door, actor.FuncRef(func(l transport.Listening) {
		if l.Err != nil || l.Addr.Port() != 6881 {
			t.Errorf("listens at %v: %v", l.Addr, l.Err)
		}
	}))
	runFor(t, w, time.Second)
	return a, b
}

func runFor(t testing.TB, w *sim.World, d clock.Duration) {
	t.Helper()
	w.After(d, func() {}) // the clock moves while something is to come
	w.Run(w.Now().Add(d))
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
}

func plainly(o transport.Opener) transport.Opener { return o }

// doorman gives what comes in to a function.
type doorman func(transport.Accepted)

func (f doorman) Handle(_ *actor.Ctx[transport.Accepted], a transport.Accepted) { f(a) }

func newDoor(w actor.World, f doorman) actor.Inlet[transport.Accepted] {
	return actor.Root(w, actor.Spec{Name: "door"}, actor.Actor[transport.Accepted](f), nil).Inlet
}

func sayHello(l transport.Link) {
	b := transport.NewBatch()
	b.Handshake = &simHello
	l.Send(b)
}

// badPath trades over a network that loses, repeats and reorders. It returns the
// hash of everything that happened.
func badPath(t testing.TB, seed uint64, blocks int, offer mse.Offer) uint64 {
	w := sim.NewWorld(sim.Config{Seed: seed})
	var a, b *party
	var mine transport.Link
	var closed []error
	done := 0
	env := transport.Env{Keys: new(transport.Keys), Encryption: mse.Allow}
	env.Keys.Add(metainfo.HashV1(simHello.InfoHash))
	door := newDoor(w, func(in transport.Accepted) {
		sayHello(in.Link)
		utpnative.Trade(t, w, mine, in.Link, a.slab, b.slab, blocks, func() {
			if done++; done == 2 {
				mine.Close(errBye)
			}
		}, func(err error) { closed = append(closed, err) })
	})
	a, b = pairIn(t, w, sim.NetConfig{
		Latency: 25 * time.Millisecond, Jitter: 2 * time.Millisecond,
		Loss: 10_000, Duplicate: 50_000, Reorder: 100_000,
	}, env, plainly, door)
	a.tr.Dial(transport.Dial{Addr: b.addr, Encrypt: offer, InfoHash: metainfo.HashV1(simHello.InfoHash),
		Reply: actor.FuncRef(func(d transport.Dialed) {
			if d.Err != nil {
				t.Error(d.Err)
				return
			}
			mine = d.Link
			sayHello(mine)
		})})
	runFor(t, w, 5*time.Minute)
	if done != 2 || len(closed) != 2 {
		t.Fatalf("%d of 2 have all, closed %v", done, closed)
	}
	utpnative.WantNothing(t, a.mux)
	utpnative.WantNothing(t, b.mux)
	if a.slab.Used()+b.slab.Used() > 0 {
		t.Errorf("%d and %d slots are in use", a.slab.Used(), b.slab.Used())
	}
	return w.Hash()
}

// The simulator runs the very same code, every byte arrives, and the same seed gives
// the same run.
func TestBadPathInTheSimulator(t *testing.T) {
	for _, offer := range []mse.Offer{0, mse.OfferRC4} {
		first, again := badPath(t, 1, 64, offer), badPath(t, 1, 64, offer)
		if first != again {
			t.Errorf("%v: two runs of one seed: %x and %x", offer, first, again)
		}
		if other := badPath(t, 2, 64, offer); other == first {
			t.Errorf("%v: two seeds, one run", offer)
		}
	}
}

// noisy damages what is sent: bits of headers or of payload, lengths, whole datagrams;
// it sends old ones again, and ones that nobody has made.
type noisy struct {
	transport.Datagrams
	rng *rand.Rand
	old [16][]byte
}

type noisyOpener struct {
	transport.Opener
	rng *rand.Rand
}

func (o noisyOpener) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[transport.Opened]) {
	o.Opener.OpenDatagrams(addr, actor.FuncRef(func(r transport.Opened) {
		if r.Err == nil {
			r.Socket = &noisy{Datagrams: r.Socket, rng: o.rng}
		}
		reply.Tell(r)
	}))
}

func (n *noisy) SendTrain(to netip.AddrPort, b []byte, segment int) (int, error) {
	for at := 0; at < len(b); at += segment {
		d := append([]byte(nil), b[at:min(at+segment, len(b))]...)
		n.old[n.rng.IntN(len(n.old))] = d
		for _, d := range n.damage(d) {
			_ = n.Datagrams.Send(to, d)
		}
	}
	return len(b), nil
}

func (n *noisy) damage(d []byte) [][]byte {
	d = append([]byte(nil), d...)
	flip := func(b []byte) {
		if len(b) > 0 {
			b[n.rng.IntN(len(b))] ^= 1 << n.rng.IntN(8)
		}
	}
	switch n.rng.IntN(40) {
	case 0:
		flip(d[:min(20, len(d))])
	case 1:
		flip(d[min(20, len(d)):])
	case 2:
		d = d[:n.rng.IntN(len(d)+1)]
	case 3:
		return [][]byte{d, n.old[n.rng.IntN(len(n.old))]}
	case 4:
		junk := make([]byte, n.rng.IntN(200))
		for i := range junk {
			junk[i] = byte(n.rng.Uint32())
		}
		if len(junk) > 1 {
			junk[0] = byte(n.rng.IntN(5))<<4 | 1
			junk[1] = byte(n.rng.IntN(3))
		}
		return [][]byte{d, junk}
	case 5:
		for range 8 {
			flip(d[:min(20, len(d))])
		}
	}
	return [][]byte{d}
}

// visitor is a peer that comes, says a little and goes.
type visitor struct {
	link transport.Link
	slab *block.Slab
	done func()
}

func (v *visitor) Start(c *actor.Ctx[transport.Event]) {
	sayHello(v.link)
	v.link.Allow(transport.Unlimited)
	b := transport.NewBatch()
	for range max(c.Rand().IntN(6)-3, 0) {
		b.Add(wire.Message{ID: wire.Request, Length: block.Size})
	}
	v.link.Send(b)
	c.After(time.Duration(c.Rand().Int64N(int64(2*time.Second))), transport.Flushed{}) // it goes then
}

func (v *visitor) Handle(c *actor.Ctx[transport.Event], e transport.Event) {
	switch e := e.(type) {
	case *transport.Batch:
		for _, f := range e.Frames {
			if f.ID == wire.Request {
				if blk := v.slab.Lease(); blk != nil {
					b := transport.NewBatch()
					b.AddPiece(wire.Message{ID: wire.Piece}, blk)
					v.link.Send(b)
				}
			}
		}
		e.Release()
	case transport.Flushed:
		if e == (transport.Flushed{}) {
			v.link.Close(errBye)
		}
	case transport.Closed:
		v.done()
		c.Quit(nil)
	}
}

func visit(w actor.World, l transport.Link, slab *block.Slab, done func()) {
	a := actor.Root(w, actor.Spec{Name: "visitor"}, actor.Actor[transport.Event](&visitor{l, slab, done}), nil)
	l.Bind(a.Inlet)
}

// Connections come and go while every twentieth datagram or so is damaged: nothing
// panics, nothing is left, and every link ends with Closed.
func TestTenThousandVisits(t *testing.T) {
	visits := 10_000
	if utpnative.RaceEnabled {
		visits = 500
	}
	w := sim.NewWorld(sim.Config{Seed: 29})
	rng := rand.New(rand.NewPCG(29, 29))
	noise := func(o transport.Opener) transport.Opener { return noisyOpener{o, rng} }
	var a, b *party
	begun, failed, in, out, open := 0, 0, 0, 0, 0
	door := newDoor(w, func(v transport.Accepted) {
		in++
		open++
		visit(w, v.Link, b.slab, func() { open-- })
	})
	env := transport.Env{Keys: new(transport.Keys), Encryption: mse.Allow}
	env.Keys.Add(metainfo.HashV1(simHello.InfoHash))
	a, b = pairIn(t, w, sim.NetConfig{Latency: 10 * time.Millisecond, Jitter: time.Millisecond}, env, noise, door)
	var next func()
	next = func() {
		if begun == visits {
			return
		}
		begun++
		d := transport.Dial{Addr: b.addr, InfoHash: metainfo.HashV1(simHello.InfoHash), Timeout: 3 * time.Second}
		if begun%20 == 0 {
			d.Encrypt = mse.OfferAny
		}
		d.Reply = actor.FuncRef(func(d transport.Dialed) {
			if d.Err != nil {
				failed++
				next()
				return
			}
			out++
			open++
			visit(w, d.Link, a.slab, func() { open--; next() })
		})
		a.tr.Dial(d)
	}
	for range 50 {
		next()
	}
	runFor(t, w, time.Hour)
	t.Logf("%d dialed, %d failed, %d came in", out, failed, in)
	if open != 0 || out+failed != visits || failed > visits/10 {
		t.Errorf("%d visitors have not left, %d of %d dials were answered well, %d badly", open, out, visits, failed)
	}
	utpnative.WantNothing(t, a.mux)
	utpnative.WantNothing(t, b.mux)
	if a.slab.Used()+b.slab.Used() > 0 {
		t.Errorf("%d and %d slots are in use", a.slab.Used(), b.slab.Used())
	}
	a.tr.Close()
	b.tr.Close()
	runFor(t, w, 2*time.Second)
}
