package netpath

import (
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

const ms = clock.Time(time.Millisecond)

// Packets wait for those before them, take their time on the link, then the delay.
func TestRateAndDelay(t *testing.T) {
	l := New(Config{Rate: 100_000, Delay: 5 * time.Millisecond}, 1) // 100 bytes take 1 ms
	for i, c := range []struct {
		now  clock.Time
		size int
		want clock.Time
	}{{0, 100, 6 * ms}, {0, 200, 8 * ms}, {2 * ms, 100, 9 * ms}, {50 * ms, 100, 56 * ms}} {
		if f := l.Carry(c.now, c.size); f.Copies != 1 || f.At[0] != c.want {
			t.Errorf("packet %d: %+v, want %v", i, f, c.want)
		}
	}
	if l.Wait(50*ms) != time.Millisecond || l.Queued(50*ms) != 100 || l.Wait(60*ms) != 0 {
		t.Errorf("waits %v, %d bytes", l.Wait(50*ms), l.Queued(50*ms))
	}
}

// What would exceed the buffer is dropped, whatever came before; as it drains, others
// find room. A link that is idle takes any packet.
func TestDropTail(t *testing.T) {
	l := New(Config{Rate: 100_000, Buffer: 1000}, 1)
	taken := 0
	for range 100 {
		if l.Carry(0, 100).Outcome == Delivered {
			taken++
		}
	}
	if taken != 10 || l.Stats().Dropped != 90 {
		t.Errorf("%d taken, %+v", taken, l.Stats())
	}
	if f := l.Carry(ms, 101); f.Outcome != Dropped {
		t.Errorf("%+v", f)
	}
	if f := l.Carry(ms, 100); f.At[0] != 11*ms {
		t.Errorf("%+v", f)
	}
	if f := l.Carry(100*ms, 1500); f.Outcome != Delivered {
		t.Errorf("an idle link: %+v", f)
	}
	if n := New(Config{Rate: 100_000}, 1); n.Queued(0) != 0 || fill(n) != 500 {
		t.Error("the default is half a second")
	}
}

func fill(l *Link) (n int) {
	for l.Carry(0, 100).Outcome == Delivered {
		n++
	}
	return n
}

// Chances come true as often as they should.
func TestChances(t *testing.T) {
	const sent = 100_000
	near := func(what string, got, want int64) {
		t.Helper()
		if got < want-want/20-5 || got > want+want/20+5 {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	l := New(Config{Delay: 10 * time.Millisecond, Loss: 10_000, Duplicate: 50_000, Reorder: 100_000}, 3)
	overtaken, last := int64(0), clock.Time(0)
	copies := 0
	for i := range sent {
		now := clock.Time(i) * ms / 10
		f := l.Carry(now, 1000)
		copies += f.Copies
		for _, at := range f.At[:f.Copies] {
			if at < last {
				t.Fatal("one that was not delayed was overtaken")
			}
			if at > now+10*ms {
				overtaken++
				if at > now+20*ms+ms {
					t.Fatalf("delayed by %v", at.Sub(now))
				}
			} else {
				last = at
			}
		}
	}
	s := l.Stats()
	near("lost", s.Lost, sent/100)
	near("twice", s.Duplicated, sent/20*99/100)
	near("late", s.Reordered, (sent*99/100+s.Duplicated)/10)
	if s.Delivered+s.Lost != sent || int64(copies) != s.Delivered+s.Duplicated || overtaken != s.Reordered || s.Bytes != sent*1000 {
		t.Errorf("%+v, %d copies, %d later than they left", s, copies, overtaken)
	}
}

// Jitter keeps the order.
func TestJitter(t *testing.T) {
	l := New(Config{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond}, 3)
	last, most := clock.Time(0), clock.Duration(0)
	for i := range 10_000 {
		now := clock.Time(i) * ms / 2
		at := l.Carry(now, 100).At[0]
		if at < last || at < now+10*ms || at > now+15*ms {
			t.Fatalf("sent %v, arrived %v, the one before %v", now, at, last)
		}
		last, most = at, max(most, at.Sub(now))
	}
	if most < 14*time.Millisecond {
		t.Errorf("at most %v", most)
	}
}

func TestMTU(t *testing.T) {
	hole, router := New(Config{MTU: 1280}, 1), New(Config{MTU: 1280, Refuse: true}, 1)
	for _, c := range []struct {
		l    *Link
		size int
		want Outcome
	}{{hole, 1280, Delivered}, {hole, 1281, Swallowed}, {router, 1280, Delivered}, {router, 1281, Refused}} {
		if f := c.l.Carry(0, c.size); f.Outcome != c.want || f.Copies > 0 != (c.want == Delivered) {
			t.Errorf("%d bytes: %+v, want %v", c.size, f, c.want)
		}
	}
	if hole.Stats().Swallowed != 1 || router.Stats().Refused != 1 {
		t.Errorf("%+v, %+v", hole.Stats(), router.Stats())
	}
}

// The same seed gives the same fates, another one others; nothing is allocated.
func TestSeeds(t *testing.T) {
	fates := func(seed uint64) (out []Fate) {
		l := New(Config{Rate: 1 << 20, Delay: time.Millisecond, Loss: 100_000, Duplicate: 100_000, Reorder: 100_000}, seed)
		for i := range 1000 {
			out = append(out, l.Carry(clock.Time(i)*ms, 1000))
		}
		return out
	}
	if !slices.Equal(fates(1), fates(1)) || slices.Equal(fates(1), fates(2)) {
		t.Error("the seed does not decide")
	}
	l := New(Config{Rate: 1 << 30, Loss: 1000, Reorder: 1000}, 1)
	if n := testing.AllocsPerRun(100, func() { l.Carry(0, 1000) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCarry(b *testing.B) {
	l := New(Config{Rate: 1 << 30, Buffer: 1 << 40, Delay: time.Millisecond, Loss: 1000, Duplicate: 1000, Reorder: 1000}, 1)
	now := clock.Time(0)
	for b.Loop() {
		now += 2000
		l.Carry(now, 1500)
	}
}
