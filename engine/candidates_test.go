package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// BEP 40's own test vectors: "the priority of 123.213.32.10 and 98.76.54.32 is
// 0xec2d7224, of 123.213.32.10 and 123.213.32.234 0x99568189".
func TestPeerPriorityVectors(t *testing.T) {
	for _, v := range []struct {
		a, b string
		want uint32
	}{
		{"123.213.32.10:0", "98.76.54.32:0", 0xec2d7224},
		{"123.213.32.10:0", "123.213.32.234:0", 0x99568189},
	} {
		if got := peerPriority(ap(v.a), ap(v.b)); got != v.want {
			t.Errorf("%s and %s: %#x, want %#x", v.a, v.b, got, v.want)
		}
		if got := peerPriority(ap(v.b), ap(v.a)); got != v.want {
			t.Errorf("%s and %s the other way round: %#x", v.a, v.b, got)
		}
	}
}

func TestAddressBookTriesTheBestFirst(t *testing.T) {
	var b addressBook
	b.add(ap("1.2.3.4:1000"), SourceDHT)
	b.add(ap("1.2.3.5:1000"), SourceUser)
	c, _ := b.next(0)
	if c == nil || c.addr != ap("1.2.3.5:1000") {
		t.Fatalf("what the user said comes first, got %v", c)
	}
	if c, _ = b.next(0); c == nil || c.addr != ap("1.2.3.4:1000") {
		t.Fatalf("then the other, got %v", c)
	}
	if c, when := b.next(0); c != nil || when != clock.Never {
		t.Fatalf("both are busy, got %v at %v", c, when)
	}
}

func TestFailedAddressesRestLongerEachTime(t *testing.T) {
	var b addressBook
	addr := ap("1.2.3.4:1000")
	b.add(addr, SourceTracker)
	now, rest := clock.Time(0), clock.Duration(0)
	for try := 1; try < 9; try++ {
		if c, _ := b.next(now); c == nil {
			t.Fatalf("try %d: not offered", try)
		}
		b.over(addr, now, true)
		c, when := b.next(now)
		if c != nil || when.Sub(now) <= rest {
			t.Fatalf("try %d: next after %v, the rest before was %v", try, when.Sub(now), rest)
		}
		rest = when.Sub(now)
		now = when
	}
	for range 300 {
		b.next(now)
		b.over(addr, now, true)
		now = now.Add(20 * time.Minute)
	}
	if c, _ := b.next(now); c == nil {
		t.Fatal("an address is never given up: it may be the only one")
	}
}

func TestWhatAPersonTypedIsTriedSoon(t *testing.T) {
	var b addressBook
	addr := ap("1.2.3.4:1000")
	b.add(addr, SourceUser)
	for range 20 {
		b.next(0)
		b.over(addr, 0, true)
	}
	if _, when := b.next(0); when > clock.Time(30*time.Second) {
		t.Fatalf("next try at %v", when)
	}
}

func TestAddressBookIsBounded(t *testing.T) {
	var b addressBook
	for i := range maxCandidates {
		b.add(netip.AddrPortFrom(netip.AddrFrom4([4]byte{5, 0, byte(i >> 8), byte(i)}), 1000), SourcePEX)
	}
	if b.add(ap("9.9.9.9:9"), SourceDHT) {
		t.Error("a worse source must not push out a better one")
	}
	if !b.add(ap("9.9.9.9:9"), SourceTracker) || len(b.list) != maxCandidates || len(b.byAddr) != maxCandidates {
		t.Errorf("a better one takes the worst one's place: %d, %d", len(b.list), len(b.byAddr))
	}
}

func TestAddressBookRefusesNonsense(t *testing.T) {
	var b addressBook
	for _, s := range []string{"0.0.0.0:5", "1.2.3.4:0", "224.0.0.1:5", "[::]:5"} {
		if b.add(ap(s), SourceUser) {
			t.Errorf("%s was taken for a peer", s)
		}
	}
	if !b.add(ap("[::ffff:1.2.3.4]:7"), SourceUser) || b.add(ap("1.2.3.4:7"), SourceUser) {
		t.Error("a mapped address is the same as the plain one")
	}
}
