package utp

import (
	"container/heap"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

const never = clock.Never

// world is a number of ends and the datagrams between them, in virtual time.
type world struct {
	t     *testing.T
	now   Time
	rng   *rand.Rand
	queue packets
	count int64 // datagrams sent: the order among those of one moment
	ends  []*end

	pending []outgoing  // sent in this moment
	trace   hash.Hash64 // of the header and size of every datagram that was sent, and when
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{t: t, now: Time(time.Second), rng: rand.New(rand.NewPCG(seed, 29)), trace: fnv.New64a()}
}

type outgoing struct {
	from  *end
	b     []byte
	probe bool
}

// path decides what becomes of a datagram: its times of arrival, none if it is lost.
type path interface {
	carry(w *world, b []byte, probe bool) []Time
}

// end is one side of a connection: a machine, a program that writes and reads a known
// stream, and the path to the other side.
type end struct {
	w     *world
	name  string
	m     *Machine
	other *end
	path  path
	cfg   *Config

	toWrite   int64 // bytes yet to be written
	salt      byte  // of the stream that it writes
	written   int64
	got       int64
	closeAt   int64 // closes when it has read so much and written all; -1 never
	closing   bool
	atOutput  func()   // called before each output
	lastAt    Time     // when bytes came last
	silence   Duration // the longest between two times that bytes came
	touched   bool     // something came in this moment
	unchecked bool     // the bytes do not matter, or are damaged on their way
}

// stream is the byte at offset off of the stream with the salt.
func stream(salt byte, off int64) byte { return byte(off>>16)*31 + byte(off>>8)*7 + byte(off) + salt }

type packet struct {
	at Time
	n  int64
	to *end
	b  []byte
}

type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	return p[i].at < p[j].at || p[i].at == p[j].at && p[i].n < p[j].n
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	old := *p
	x := old[len(old)-1]
	*p = old[:len(old)-1]
	return x
}

// connect makes two ends; the first dials.
func (w *world) connect(cfg *Config, there, back path) (*end, *end) {
	a := &end{w: w, name: "a", path: there, cfg: cfg, salt: 1, closeAt: -1}
	b := &end{w: w, name: "b", path: back, cfg: cfg, salt: 101, closeAt: -1}
	a.other, b.other = b, a
	a.m = Dial(cfg, uint16(w.rng.Uint32()), uint16(w.rng.Uint32()), w.now)
	a.m.Allow(Unlimited)
	w.ends = append(w.ends, a, b)
	return a, b
}

// output lets an end write, close and send.
func (e *end) output() {
	if e.m == nil {
		return
	}
	if e.atOutput != nil {
		e.atOutput()
	}
	e.feed()
	if !e.closing && e.closeAt >= 0 && e.got >= e.closeAt && e.toWrite == 0 && e.m.Phase() == Connected {
		e.closing = true
		e.m.Close(e.w.now)
	}
	e.m.Output(e.w.now, e.lend)
}

var zeros [16 << 10]byte

// feed keeps up to 1 MiB in the machine's hands.
func (e *end) feed() {
	for e.toWrite > 0 && e.m.Pending() < 1<<20 {
		b := zeros[:min(e.toWrite, int64(len(zeros)))]
		if !e.unchecked {
			b = make([]byte, len(b))
			for i := range b {
				b[i] = stream(e.salt, e.written+int64(i))
			}
		}
		if !e.m.Write(b[:len(b)/3], b[len(b)/3:]) {
			return
		}
		e.written += int64(len(b))
		e.toWrite -= int64(len(b))
	}
}

// lend gives the memory of a datagram and sends it when the machine comes back for the
// next one; here it is queued at once and filled before anybody looks.
func (e *end) lend(n int, probe bool) []byte {
	b := make([]byte, n)
	e.w.pending = append(e.w.pending, outgoing{e, b, probe})
	return b
}

func (e *end) deliver(b []byte) {
	if !e.unchecked {
		e.compare(b)
	}
	e.got += int64(len(b))
	if e.lastAt > 0 {
		e.silence = max(e.silence, e.w.now.Sub(e.lastAt))
	}
	e.lastAt = e.w.now
}

func (e *end) compare(b []byte) {
	for i, x := range b {
		if want := stream(e.other.salt, e.got+int64(i)); x != want {
			e.w.t.Fatalf("%s: byte %d of the stream is %d, want %d", e.name, e.got+int64(i), x, want)
		}
	}
}

// receive is the socket of an end: it accepts SYNs.
func (e *end) receive(b []byte) {
	p, err := Parse(b)
	if err != nil {
		if !e.unchecked {
			e.w.t.Fatalf("%s: %v", e.name, err)
		}
		return
	}
	if e.m == nil {
		if p.Type != Syn {
			return
		}
		e.m = Accept(e.cfg, &p, uint16(e.w.rng.Uint32()), e.w.now)
		e.m.Allow(Unlimited)
		return
	}
	if e.m.Phase() == Closed {
		if p.Type != Reset {
			PutReset(e.lend(HeaderSize, false), &p, uint16(e.w.rng.Uint32()), e.w.now)
		}
		return
	}
	e.m.Receive(&p, e.w.now, e.deliver)
}

// flush has the paths carry what was sent.
func (w *world) flush() {
	for _, o := range w.pending {
		var stamp [8]byte
		for i := range stamp {
			stamp[i] = byte(w.now >> (8 * i))
		}
		w.trace.Write(stamp[:])
		w.trace.Write(o.b[:HeaderSize])
		w.trace.Write([]byte{byte(len(o.b)), byte(len(o.b) >> 8)})
		for _, at := range o.from.path.carry(w, o.b, o.probe) {
			w.count++
			heap.Push(&w.queue, packet{at, w.count, o.from.other, o.b})
		}
	}
	w.pending = w.pending[:0]
}

// step moves time to the next event and lets it happen. It reports whether there was
// one before the end of time.
func (w *world) step(until Time) bool {
	next := never
	if len(w.queue) > 0 {
		next = w.queue[0].at
	}
	for _, e := range w.ends {
		if e.m != nil {
			next = min(next, e.m.Deadline())
		}
	}
	if next > until {
		w.now = until
		return false
	}
	w.now = max(w.now, next)
	for len(w.queue) > 0 && w.queue[0].at <= w.now {
		p := heap.Pop(&w.queue).(packet)
		p.to.receive(p.b)
		p.to.touched = true
	}
	for _, e := range w.ends {
		if e.m != nil && (e.touched || e.m.Deadline() <= w.now) {
			e.touched = false
			e.output()
		}
	}
	w.flush()
	return true
}

// run lets time pass until done says so or d is over; it reports whether done did.
func (w *world) run(d Duration, done func() bool) bool {
	until := w.now.Add(d)
	for _, e := range w.ends {
		e.output()
	}
	w.flush()
	for !done() {
		if !w.step(until) {
			return done()
		}
	}
	return true
}
