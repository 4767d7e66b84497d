package mse

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// One address gets its burst, then so many a second, and others are not touched by it.
func TestOneAddress(t *testing.T) {
	var l Limiter
	now := clock.Time(5)
	count := func(a netip.Addr, tries int) (n int) {
		for range tries {
			if l.Admit(a, now) {
				n++
			}
		}
		return n
	}
	if n := count(address(1), 1000); n != oneBurst {
		t.Errorf("%d at once, want %d", n, oneBurst)
	}
	if n := count(address(2), 1000); n != oneBurst {
		t.Errorf("%d of another, want %d", n, oneBurst)
	}
	now = now.Add(time.Second)
	if n := count(address(1), 1000); n != int(time.Second/oneEvery) {
		t.Errorf("%d a second later, want %d", n, time.Second/oneEvery)
	}
	now = now.Add(time.Hour)
	if n := count(address(1), 1000); n != oneBurst {
		t.Errorf("%d an hour later, want %d", n, oneBurst)
	}
}

// All of them together get theirs.
func TestAllAddresses(t *testing.T) {
	var l Limiter
	n := 0
	for i := range uint32(100_000) { // 10 s of it
		if l.Admit(address(i), clock.Time(i)*clock.Time(100*time.Microsecond)) {
			n++
		}
		if len(l.one) > maxCallers+1 {
			t.Fatalf("%d addresses are remembered", len(l.one))
		}
	}
	if want := allBurst + int(10*time.Second/allEvery); n < want-5 || n > want+5 {
		t.Errorf("%d in 10 s, want %d", n, want)
	}
}

// An IPv6 host has a network of addresses, and counts once; IPv4 in IPv6 is IPv4.
func TestNetworks(t *testing.T) {
	var l Limiter
	n := 0
	for i := range 1000 {
		a := netip.MustParseAddr("2001:db8::").As16()
		a[15], a[14] = byte(i), byte(i>>8)
		if l.Admit(netip.AddrFrom16(a), 1) {
			n++
		}
	}
	if n != oneBurst {
		t.Errorf("%d of a /64 at once, want %d", n, oneBurst)
	}
	for range oneBurst {
		l.Admit(netip.MustParseAddr("::ffff:1.2.3.4"), 1)
	}
	if l.Admit(netip.MustParseAddr("1.2.3.4"), 1) {
		t.Error("IPv4 in IPv6 counts by itself")
	}
}

// Those who come when too many are remembered share one allowance.
func TestTooManyAddresses(t *testing.T) {
	l := Limiter{one: map[netip.Addr]clock.Time{}}
	now := clock.Time(time.Second)
	for i := range uint32(maxCallers) {
		l.one[address(i)] = now.Add(time.Minute)
	}
	n := 0
	for i := range uint32(1000) {
		if l.Admit(address(1<<24+i), now) {
			n++
		}
	}
	if n != oneBurst || len(l.one) != maxCallers+1 {
		t.Errorf("%d admitted, want %d; %d remembered", n, oneBurst, len(l.one))
	}
	if now = now.Add(2 * time.Minute); !l.Admit(address(7<<24), now) || len(l.one) > 2 {
		t.Errorf("later %d are remembered", len(l.one))
	}
}
