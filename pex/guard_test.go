package pex

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// names makes the payload of a message that adds these.
func names(addrs ...string) []byte {
	var m Message
	for _, a := range addrs {
		m.Added = append(m.Added, Peer{Addr: at(a)})
	}
	return m.Append(nil)
}

// crowd makes a message that adds n peers from number first on.
func crowd(first, n int) []byte {
	var m Message
	for i := range n {
		m.Added = append(m.Added, peer(first+i))
	}
	return m.Append(nil)
}

func believed(t *testing.T, g *Guard, now Time, payload []byte) []string {
	t.Helper()
	news, err := g.Take(payload, now)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range news {
		out = append(out, p.Addr.String())
	}
	return out
}

func TestGuardBelievesWhatMayBeReached(t *testing.T) {
	all := []string{"45.1.1.1:6881", "10.0.0.1:6881", "127.0.0.1:6881", "224.0.0.1:6881", "0.0.0.0:6881", "45.1.1.2:0", "[2a00::1]:6881", "[::1]:6881"}
	for scope, want := range map[Scope][]string{ //order: irrelevant
		Public:   {"45.1.1.1:6881", "[2a00::1]:6881"},
		Private:  {"45.1.1.1:6881", "10.0.0.1:6881", "[2a00::1]:6881"},
		Loopback: {"45.1.1.1:6881", "10.0.0.1:6881", "127.0.0.1:6881", "[2a00::1]:6881", "[::1]:6881"},
		Nowhere:  {"45.1.1.1:6881", "[2a00::1]:6881"},
	} {
		if got := believed(t, NewGuard(scope, testScope), 0, names(all...)); !slices.Equal(got, want) {
			t.Errorf("from scope %d: %v, want %v", scope, got, want)
		}
	}
}

func TestGuardTakesOnePortOfAnIP(t *testing.T) {
	g := NewGuard(Public, testScope)
	if got := believed(t, g, 0, names("45.1.1.1:1", "45.1.1.1:2", "45.1.1.1:1")); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := believed(t, g, 1, names("45.1.1.1:3", "45.1.1.2:3")); !slices.Equal(got, []string{"45.1.1.2:3"}) {
		t.Errorf("%v", got)
	}
	drop := Message{Dropped: []netip.AddrPort{at("45.1.1.1:1"), at("45.7.7.7:7")}}
	if got := believed(t, g, 2, drop.Append(nil)); got != nil {
		t.Errorf("%v", got)
	}
	if got := believed(t, g, 3, names("45.1.1.1:3")); !slices.Equal(got, []string{"45.1.1.1:3"}) {
		t.Errorf("after it was dropped: %v", got)
	}
	home := NewGuard(Loopback, testScope) // many programs share one address here
	if got := believed(t, home, 0, names("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:2")); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

func TestGuardBoundsWhatItBelieves(t *testing.T) {
	g := NewGuard(Public, testScope)
	if got := believed(t, g, 0, crowd(0, 500)); len(got) != believeAtOnce {
		t.Errorf("%d believed at once", len(got))
	}
	drop := Message{}
	for n := range 500 {
		drop.Dropped = append(drop.Dropped, peer(n).Addr)
	}
	believed(t, g, 0, drop.Append(nil))
	if got := believed(t, g, Time(time.Minute), crowd(1000, 500)); len(got) != believePerMinute {
		t.Errorf("%d believed a minute later", len(got))
	}
	if got := believed(t, g, Time(90*time.Second), crowd(2000, 500)); len(got) != believePerMinute/2 {
		t.Errorf("%d believed half a minute later", len(got))
	}
	if got := believed(t, g, Time(1000*time.Hour), crowd(3000, 500)); len(got) != maxBelieved-75 {
		t.Errorf("%d believed of one that drops nobody", len(got))
	}
}

func TestGuardEndsFloods(t *testing.T) {
	g := NewGuard(Public, testScope)
	now := Time(0)
	for i := range 30 { // in time, whatever the jitter
		if _, err := g.Take(names(), now); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		now = now.Add(55 * time.Second)
	}
	now = now.Add(time.Hour)
	for i := range burst {
		if _, err := g.Take(names(), now); err != nil {
			t.Fatalf("message %d of a burst: %v", i, err)
		}
		now = now.Add(9 * time.Second)
	}
	if _, err := g.Take(names(), now); !errors.Is(err, ErrFlood) {
		t.Errorf("a flood: %v", err)
	}
	if _, err := g.Take(names(), now.Add(6*time.Second)); err != nil {
		t.Errorf("the first is a minute old: %v", err)
	}
	if _, err := g.Take([]byte(strings.Repeat("x", MaxMessage+1)), now.Add(time.Hour)); !errors.Is(err, ErrLarge) {
		t.Errorf("a large one: %v", err)
	}
	if _, err := g.Take([]byte("le"), now.Add(time.Hour)); err == nil {
		t.Error("a list is taken")
	}
}

func TestGuardForgetsUnknownFlags(t *testing.T) {
	m := Message{Added: []Peer{{peer(1).Addr, 0xff}}}
	news, err := NewGuard(Public, testScope).Take(m.Append(nil), 0)
	if err != nil || len(news) != 1 || news[0].Flags != knownFlags {
		t.Errorf("%v, %v", news, err)
	}
}

// What one sender can make us keep and try is bounded, whatever it sends.
func FuzzGuard(f *testing.F) {
	f.Add(crowd(0, 60), crowd(30, 60), uint8(1), int64(time.Minute))
	f.Add(names("45.1.1.1:1", "45.1.1.1:2"), names("10.0.0.1:1"), uint8(0), int64(time.Second))
	f.Fuzz(func(t *testing.T, first, second []byte, scope uint8, gap int64) {
		g := NewGuard(Scope(scope%4), testScope)
		now := Time(0)
		gap &= 1<<40 - 1
		total := 0
		for i := range 12 {
			payload := first
			if i%2 == 1 {
				payload = second
			}
			news, err := g.Take(payload, now)
			if err != nil {
				return
			}
			total += len(news)
			for _, p := range news {
				if p.Addr.Port() == 0 || testScope(p.Addr.Addr()) == Nowhere || !g.from.may(testScope(p.Addr.Addr())) {
					t.Fatalf("%v believed", p.Addr)
				}
			}
			if g.named.len() > maxBelieved || g.left < 0 {
				t.Fatalf("%d kept, %d left", g.named.len(), g.left)
			}
			now = now.Add(time.Duration(gap))
		}
		if most := believeAtOnce + int64(now)*believePerMinute/int64(Interval); int64(total) > most {
			t.Fatalf("%d believed in %v", total, now)
		}
	})
}
