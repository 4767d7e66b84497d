package dht

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

var (
	alice = netip.MustParseAddr("45.1.2.3")
	bob   = netip.MustParseAddr("45.1.2.4")
)

func TestTokenAllowsOneAddressToWriteUnderOneKey(t *testing.T) {
	tok := NewTokens(random(1), 0)
	a := tok.Make(alice, idA)
	if !tok.Check(a[:], alice, idA) {
		t.Error("the token is refused")
	}
	if tok.Check(a[:], bob, idA) || tok.Check(a[:], alice, idM) {
		t.Error("the token opens another door")
	}
	for _, forged := range [][]byte{nil, {}, a[:7], append(a[:], 0), make([]byte, TokenLen)} {
		if tok.Check(forged, alice, idA) {
			t.Errorf("%x is accepted", forged)
		}
	}
	if b := tok.Make(netip.AddrFrom16(alice.As16()), idA); a != b {
		t.Error("the address in IPv6 clothes has another token")
	}
	if other := NewTokens(random(2), 0); other.Check(a[:], alice, idA) {
		t.Error("another node accepts the token")
	}
}

// BEP 5: "tokens up to ten minutes old are accepted".
func TestTokensLiveFiveToTenMinutes(t *testing.T) {
	rnd := random(1)
	for _, c := range []struct {
		made, used time.Duration
		ok         bool
	}{
		{0, 0, true}, {0, 5 * time.Minute, true}, {0, 9*time.Minute + 59*time.Second, true}, {0, 10 * time.Minute, false},
		{4*time.Minute + 59*time.Second, 9*time.Minute + 50*time.Second, true}, {0, time.Hour, false},
	} {
		tok := NewTokens(rnd, 0)
		tok.Rotate(rnd, clock.Time(c.made))
		a := tok.Make(alice, idA)
		for at := c.made; at < c.used; at += time.Second {
			tok.Rotate(rnd, clock.Time(at))
		}
		tok.Rotate(rnd, clock.Time(c.used))
		if got := tok.Check(a[:], alice, idA); got != c.ok {
			t.Errorf("made at %v, used at %v: accepted: %v", c.made, c.used, got)
		}
	}
}

// A node that slept for long must not accept what it gave out before.
func TestTokensDoNotSurviveALongSilence(t *testing.T) {
	rnd := random(1)
	tok := NewTokens(rnd, 0)
	a := tok.Make(alice, idA)
	tok.Rotate(rnd, clock.Time(time.Hour))
	if tok.Check(a[:], alice, idA) {
		t.Error("a token is an hour old")
	}
}

// FuzzToken tries to forge one.
func FuzzToken(f *testing.F) {
	f.Add([]byte("12345678"), []byte{45, 1, 2, 3}, idA[:])
	f.Fuzz(func(t *testing.T, token, ip, key []byte) {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok || len(key) < IDLen {
			return
		}
		tok := NewTokens(random(9), 0)
		made := tok.Make(addr, ID(key))
		if got, want := tok.Check(token, addr, ID(key)), string(token) == string(made[:]); got != want {
			t.Fatalf("%x for %v: %v", token, addr, got)
		}
	})
}
