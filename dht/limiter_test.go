package dht

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

func sec(s float64) clock.Time { return clock.Time(s * float64(time.Second)) }

func TestFiftyQueriesInTenSecondsAreAllowedAndNoMore(t *testing.T) {
	l := NewLimiter(LimiterOptions{}, 0)
	for i := range 50 {
		if !l.Query(alice, sec(float64(i)/10)) {
			t.Fatalf("query %d is refused", i)
		}
	}
	if l.Query(alice, sec(9)) || !l.Banned(alice, sec(9)) {
		t.Error("query 51 is allowed")
	}
	if !l.Query(bob, sec(9)) || l.Banned(bob, sec(9)) {
		t.Error("the neighbour suffers")
	}
	if l.Query(alice, sec(308)) {
		t.Error("the ban ended before its 5 minutes")
	}
	if !l.Query(alice, sec(310)) || l.Banned(alice, sec(310)) {
		t.Error("the ban never ends")
	}
}

func TestASteadyFiveASecondIsNoFlood(t *testing.T) {
	l := NewLimiter(LimiterOptions{}, 0)
	for i := range 5 * 3600 {
		if !l.Query(alice, sec(float64(i)/5)) {
			t.Fatalf("refused after %d queries", i)
		}
	}
}

func TestLocalAddressesAreNotLimited(t *testing.T) {
	l := NewLimiter(LimiterOptions{}, 0)
	for range 10_000 {
		if !l.Query(netip.MustParseAddr("192.168.1.2"), 0) {
			t.Fatal("refused")
		}
	}
	if len(l.sources) != 0 {
		t.Error("they take places")
	}
}

// A flood of forged addresses neither grows memory nor frees whoever is banned.
func TestForgedAddressesDoNotWashOutABan(t *testing.T) {
	l := NewLimiter(LimiterOptions{Sources: 64}, 0)
	for range 60 {
		l.Query(alice, 0)
	}
	rnd := random(1)
	for i := range 100_000 {
		l.Query(randomAddr(rnd).Addr(), sec(float64(i)/1000))
	}
	if len(l.sources) > 64 {
		t.Errorf("%d sources are kept", len(l.sources))
	}
	if !l.Banned(alice, sec(100)) || l.Query(alice, sec(100)) {
		t.Error("the ban is forgotten")
	}
}

func TestSourcesOfAQuietNodeTakeLittle(t *testing.T) {
	l := NewLimiter(LimiterOptions{}, 0)
	rnd := random(1)
	for i := range 10_000 { // one a second, each once
		l.Query(randomAddr(rnd).Addr(), sec(float64(i)))
	}
	if len(l.sources) > 32 {
		t.Errorf("%d sources are kept", len(l.sources))
	}
}

func TestUnverifiedSourcesGetThreeTimesWhatTheySent(t *testing.T) {
	l := NewLimiter(LimiterOptions{}, 0)
	for _, c := range []struct {
		from     string
		asked    int
		verified bool
		want     int
	}{
		{"45.1.2.3", 90, false, 270}, {"45.1.2.3", 90, true, MaxReceived}, {"45.1.2.3", 1400, false, MaxReceived},
		{"10.1.2.3", 90, false, MaxReceived}, {"2001:db8::1", 100, false, 300}, {"45.1.2.3", 0, false, 0},
	} {
		if got := l.Room(netip.MustParseAddr(c.from), c.asked, c.verified, 0); got != c.want {
			t.Errorf("%+v: room for %d bytes", c, got)
		}
	}
}

func TestRepliesStayWithinTheBudget(t *testing.T) {
	l := NewLimiter(LimiterOptions{Bytes: 8000, Burst: 16000}, 0)
	sent := 0
	for i := range 60_000 { // a minute of a query each millisecond
		n := min(l.Room(alice, 500, true, sec(float64(i)/1000)), 700)
		l.Sent(n)
		sent += n
	}
	if most := 16000 + 60*8000; sent > most || sent < most-8000 {
		t.Errorf("%d bytes were sent in a minute, %d may", sent, most)
	}
	if l.Room(alice, 500, true, sec(3600)) != MaxReceived {
		t.Error("the budget does not recover")
	}
	free := NewLimiter(LimiterOptions{Bytes: -1}, 0)
	for range 1000 {
		free.Sent(1500)
	}
	if free.Room(alice, 500, true, 0) != MaxReceived {
		t.Error("without a limit there is one")
	}
}
