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

// addr45 is one of many public addresses, each at an IP of its own.
func addr45(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, byte(i >> 16), byte(i >> 8), byte(i)}), 1000)
}

// named counts the addresses that a source vouches for.
func (b *addressBook) named(s Source) (n int) {
	for _, c := range b.list {
		if c.mask.best() == s {
			n++
		}
	}
	return n
}

func TestAddressBookIsBounded(t *testing.T) {
	var b addressBook
	for i := range maxCandidates {
		b.add(addr45(i), Source(i%4)+SourceTracker)
	}
	if len(b.list) != maxCandidates || b.named(SourceLSD) != sourceShare {
		t.Fatalf("%d addresses, %d of LSD", len(b.list), b.named(SourceLSD))
	}
	if b.add(ap("9.9.9.9:9"), SourceDHT) {
		t.Error("a worse source must not push out a better one that has no more than its share")
	}
	if !b.add(ap("9.9.9.9:9"), SourceMagnet) || len(b.list) != maxCandidates || len(b.byAddr) != maxCandidates {
		t.Errorf("a better one takes the worst one's place: %d, %d", len(b.list), len(b.byAddr))
	}
}

// TestFloodOfOneSourceHurtsItselfOnly is a part of case X1 of the torture list.
func TestFloodOfOneSourceHurtsItselfOnly(t *testing.T) {
	var b addressBook
	for i := range 50 {
		b.add(addr45(i), SourceTracker)
		b.add(addr45(1000+i), SourceDHT)
		b.add(addr45(2000+i), SourceUser)
	}
	for i := range 10 * maxCandidates {
		b.add(addr45(10000+i), SourcePEX)
	}
	if len(b.list) != maxCandidates || b.named(SourceTracker) != 50 || b.named(SourceDHT) != 50 || b.named(SourceUser) != 50 {
		t.Fatalf("of %d: tracker %d, DHT %d, user %d", len(b.list), b.named(SourceTracker), b.named(SourceDHT), b.named(SourceUser))
	}
	for i := range 2 * maxCandidates {
		b.add(addr45(100000+i), SourceDHT)
	}
	if b.named(SourcePEX) < sourceShare || b.named(SourceTracker) != 50 || len(b.list) != maxCandidates {
		t.Errorf("then another: PEX %d, DHT %d", b.named(SourcePEX), b.named(SourceDHT))
	}
	for i := range 2 * maxCandidates {
		b.add(netip.AddrPortFrom(netip.MustParseAddr("9.9.9.9"), uint16(i+1)), SourcePEX)
		b.add(netip.AddrPortFrom(netip.MustParseAddr("192.168.7.7"), uint16(i+1)), SourceLSD)
	}
	if n := b.perIP[netip.MustParseAddr("9.9.9.9")]; n == 0 || n > maxPerIP {
		t.Errorf("%d addresses of one IP", n)
	}
	if n := b.perIP[netip.MustParseAddr("192.168.7.7")]; n <= maxPerIP {
		t.Errorf("%d of a household", n)
	}
	if len(b.list) != maxCandidates || len(b.byAddr) != maxCandidates {
		t.Errorf("%d, %d", len(b.list), len(b.byAddr))
	}
	n := 0
	for _, k := range b.perIP { //order: irrelevant
		n += k
	}
	if n != len(b.list) {
		t.Errorf("%d addresses by IP, there are %d", n, len(b.list))
	}
}

func TestAddressesAreRankedBySource(t *testing.T) {
	var b addressBook
	b.own = ap("45.0.0.1:1")
	order := []struct {
		addr    string
		sources []Source
	}{
		{"1.1.1.1:1", []Source{SourceUser}},
		{"1.1.1.2:1", []Source{SourceResume, SourcePEX}},
		{"1.1.1.3:1", []Source{SourceResume}},
		{"1.1.1.4:1", []Source{SourcePEX, SourceTracker}},
		{"1.1.1.5:1", []Source{SourceDHT, SourceTracker}},
		{"1.1.1.6:1", []Source{SourceTracker}},
		{"10.1.1.7:1", []Source{SourceLSD}},
		{"1.1.1.8:1", []Source{SourceDHT, SourcePEX}},
		{"1.1.1.9:1", []Source{SourcePEX}},
		{"1.1.1.10:1", []Source{SourceDHT}},
	}
	for i := len(order) - 1; i >= 0; i-- {
		for _, s := range order[i].sources {
			b.add(ap(order[i].addr), s)
		}
	}
	for _, want := range order {
		if c, _ := b.next(0); c == nil || c.addr != ap(want.addr) {
			t.Fatalf("got %+v, want %v", c, want.addr)
		}
	}
	for _, x := range order {
		b.over(ap(x.addr), 0, x.addr == "1.1.1.1:1")
	}
	b.wakeIP(netip.MustParseAddr("1.1.1.10"), 0)
	if c, _ := b.next(clock.Time(time.Minute)); c == nil || c.addr != ap("1.1.1.2:1") {
		t.Errorf("one that has failed comes first: %v", c)
	}
}

func TestWhoVouchesForAnAddress(t *testing.T) {
	for letters, want := range map[string]struct {
		best    Source
		foreign bool
	}{
		"": {SourceResume, false}, "d": {SourceDHT, true}, "dp": {SourcePEX, true}, "lPD": {SourceLSD, true},
		"td": {SourceTracker, false}, "m": {SourceMagnet, false}, "pi": {SourcePEX, false}, "u?": {SourceUser, false},
	} {
		m := sourcesOf(letters).with(SourceResume)
		if m.best() != want.best || m.foreign() != want.foreign {
			t.Errorf("%q: %v, foreign %v", letters, m.best(), m.foreign())
		}
		if again := sourcesOf(m.letters()); again != m.without(SourceResume) {
			t.Errorf("%q came back as %b", letters, again)
		}
	}
	if len(sourceLetters) != sourceKinds {
		t.Error("a source has no letter")
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
