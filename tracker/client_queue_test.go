package tracker

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// desk is a dialogue with a queue: jobs are named "host/number", their event by a
// letter before the number.
type desk struct {
	t   *testing.T
	q   queue
	now time.Time
	run map[string]job
}

func newDesk(t *testing.T, perHost, total int, pace time.Duration) *desk {
	return &desk{t: t, q: newQueue(perHost, total, pace), now: time.Unix(1e9, 0), run: map[string]job{}}
}

func (d *desk) push(names ...string) {
	for _, n := range names {
		host, rest, _ := strings.Cut(n, "/")
		j := job{Request{URL: n}, &url.URL{Host: host}}
		switch rest[0] {
		case 's':
			j.Event = Stopped
		case 'e':
			j.Event = Completed
		}
		d.q.push(j, d.now)
	}
}

// starts checks which jobs begin now, in this order.
func (d *desk) starts(want ...string) {
	d.t.Helper()
	var got []string
	for {
		j, ok := d.q.next(d.now)
		if !ok {
			break
		}
		d.run[j.URL] = j
		got = append(got, j.URL)
	}
	if !slices.Equal(got, want) {
		d.t.Errorf("%v began, want %v", got, want)
	}
}

// ends ends a job and returns what is given up.
func (d *desk) ends(name string, alive bool) (names []string) {
	j := d.run[name]
	delete(d.run, name)
	for _, g := range d.q.done(j, alive, d.now) {
		names = append(names, g.URL)
	}
	return names
}

func TestQueueOrder(t *testing.T) {
	d := newDesk(t, 2, 4, 0)
	d.push("a/1", "a/2", "a/e1", "a/s1", "A/3", "b/1", "b/2", "b/3", "c/1")
	d.starts("a/s1", "b/1", "c/1", "a/e1") // hosts take turns; the total is 4
	d.ends("c/1", true)
	d.starts("b/2")
	d.ends("a/s1", true)
	d.ends("a/e1", true)
	d.starts("a/1", "a/2")
	d.ends("b/1", true)
	d.ends("b/2", true)
	d.starts("b/3")
	d.ends("a/1", true)
	d.starts("A/3") // host names have no case
}

func TestQueueDeadHost(t *testing.T) {
	d := newDesk(t, 2, 9, 0)
	d.push("a/1", "a/2", "a/3", "a/e4", "a/s5")
	d.starts("a/s5", "a/e4")
	d.ends("a/s5", false)
	d.starts() // in doubt
	if got := d.ends("a/e4", false); !slices.Equal(got, []string{"a/1", "a/2", "a/3"}) {
		t.Errorf("given up: %v", got)
	}
	d.push("a/6", "a/7", "a/8")
	d.starts("a/6", "a/7")
	d.ends("a/6", false)
	d.starts()
	d.ends("a/7", true) // it lives
	d.starts("a/8")
}

func TestQueuePace(t *testing.T) {
	d := newDesk(t, 1000, 1000, time.Second)
	var names []string
	for i := range burst + 10 {
		names = append(names, fmt.Sprintf("a/%d", i))
	}
	d.push(names...)
	d.starts(names[:burst+1]...)
	at, ok := d.q.wake()
	if !ok || at.Sub(d.now) != time.Second {
		t.Fatalf("wakes after %v, %v", at.Sub(d.now), ok)
	}
	d.push("a/s")
	d.starts("a/s") // good-byes do not wait, but they count
	d.now = d.now.Add(2*time.Second - 1)
	d.starts()
	d.now = d.now.Add(1)
	d.starts(names[burst+1])
	d.now = d.now.Add(time.Hour)
	d.starts(names[burst+2:]...)
	if _, ok := d.q.wake(); ok {
		t.Error("wakes for nothing")
	}
}

func TestQueueForgetsHosts(t *testing.T) {
	d := newDesk(t, 2, 2, time.Second)
	for i := range 10_000 {
		n := fmt.Sprintf("%d/x", i)
		d.push(n)
		d.starts(n)
		d.ends(n, i%3 > 0)
		d.now = d.now.Add(time.Minute)
	}
	if n := len(d.q.hosts); n > 300 {
		t.Errorf("%d hosts are remembered", n)
	}
}

// Whatever happens, limits hold, order holds, and each job comes out exactly once.
func TestQueueRandom(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		d := newDesk(t, 1+rng.IntN(3), 1+rng.IntN(8), time.Duration(rng.IntN(2))*100*time.Millisecond)
		pushed, out := 0, map[string]int{}
		last := map[string]int{} // by host and kind
		start := func() {
			for {
				j, ok := d.q.next(d.now)
				if !ok {
					break
				}
				host, rest, _ := strings.Cut(j.URL, "/")
				var n int
				fmt.Sscan(rest[1:], &n)
				if kind := host + rest[:1]; n < last[kind] {
					t.Fatalf("seed %d: %s overtakes %d", seed, j.URL, last[kind])
				} else {
					last[kind] = n
				}
				d.run[j.URL] = j
				out[j.URL]++
				on := 0
				for u := range d.run {
					if strings.HasPrefix(u, host+"/") {
						on++
					}
				}
				if on > d.q.perHost || len(d.run) > d.q.total {
					t.Fatalf("seed %d: %d at a time at one host, %d in all", seed, on, len(d.run))
				}
			}
		}
		for range 2000 {
			switch rng.IntN(3) {
			case 0:
				pushed++
				d.push(fmt.Sprintf("%c/%c%d", 'a'+rng.IntN(4), "ser"[rng.IntN(3)], pushed))
			case 1:
				for u := range d.run {
					for _, g := range d.ends(u, rng.IntN(4) > 0) {
						out[g]++
					}
					break
				}
			case 2:
				d.now = d.now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
			}
			start()
		}
		for len(d.run) > 0 || len(d.q.resting) > 0 {
			for u := range d.run {
				d.ends(u, true)
			}
			d.now = d.now.Add(time.Second)
			start()
		}
		for u, n := range out {
			if n != 1 {
				t.Fatalf("seed %d: %s came out %d times", seed, u, n)
			}
		}
		if len(out) != pushed || d.q.running != 0 || len(d.q.turn) != 0 {
			t.Fatalf("seed %d: %d of %d came out, %d run, %d hosts are in turn", seed, len(out), pushed, d.q.running, len(d.q.turn))
		}
	}
}
