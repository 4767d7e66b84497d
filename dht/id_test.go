package dht

import (
	"math/big"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/shoal-bt/shoal/internal/ipclass"
)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func mustID(t *testing.T, s string) ID {
	t.Helper()
	id, err := ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func distance(a, b ID) *big.Int {
	x := new(big.Int).SetBytes(a[:])
	return x.Xor(x, new(big.Int).SetBytes(b[:]))
}

// relatives are ids that share prefixes of any length.
func relatives(rnd *rand.Rand) (a, b, c ID) {
	a = RandomID(rnd)
	return a, RandomIn(a, rnd.IntN(IDBits+1), rnd), RandomIn(a, rnd.IntN(IDBits+1), rnd)
}

func TestCompareIsXORAsANumber(t *testing.T) {
	rnd := random(1)
	for range 5000 {
		target, a, b := relatives(rnd)
		want := distance(target, a).Cmp(distance(target, b))
		if got := Compare(target, a, b); got != want || Closer(target, a, b) != (want < 0) {
			t.Fatalf("Compare(%v, %v, %v) = %d, want %d", target, a, b, got, want)
		}
	}
}

func TestCommonPrefixIsWhatIsLeftOfTheDistance(t *testing.T) {
	rnd := random(2)
	for range 5000 {
		a, b, _ := relatives(rnd)
		if got, want := CommonPrefix(a, b), IDBits-distance(a, b).BitLen(); got != want {
			t.Fatalf("CommonPrefix(%v, %v) = %d, want %d", a, b, got, want)
		}
	}
}

func TestRandomInHasTheVeryPrefix(t *testing.T) {
	rnd := random(3)
	own := RandomID(rnd)
	for prefix := range IDBits + 1 {
		for range 20 {
			if got := CommonPrefix(own, RandomIn(own, prefix, rnd)); got != prefix {
				t.Fatalf("an id of prefix %d has prefix %d", prefix, got)
			}
		}
	}
	if RandomIn(own, IDBits+1, rnd) != own {
		t.Error("no id shares more than all bits")
	}
	if a, b := RandomIn(own, 4, rnd), RandomIn(own, 4, rnd); CommonPrefix(a, b) > 100 {
		t.Errorf("%v and %v do not look random", a, b)
	}
}

func TestParseID(t *testing.T) {
	const s = "0123456789abcdef0123456789abcdef01234567"
	if id := mustID(t, s); id.String() != s || id.IsZero() {
		t.Errorf("%s came back as %s", s, id)
	}
	for _, bad := range []string{"", s[1:], s + "0", "g" + s[1:]} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is an id", bad)
		}
	}
}

// The test vectors of BEP 42: "The bold parts of the node ID are the important parts."
var secureVectors = []struct{ ip, id string }{
	{"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"},
	{"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"},
	{"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"},
	{"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"},
	{"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"},
}

func TestSecureAcceptsTheVectorsOfBEP42(t *testing.T) {
	for _, v := range secureVectors {
		id, ip := mustID(t, v.id), netip.MustParseAddr(v.ip)
		if !Secure(id, ip) || !Secure(id, netip.AddrFrom16(ip.As16())) {
			t.Errorf("%s at %s is refused", id, ip)
		}
		for _, bit := range []int{0, 7, 20, 159} {
			other := id
			other[bit/8] ^= 0x80 >> (bit % 8)
			if Secure(other, ip) {
				t.Errorf("%s at %s is accepted with bit %d flipped", id, ip, bit)
			}
		}
		for _, bit := range []int{21, 80, 156} {
			other := id
			other[bit/8] ^= 0x80 >> (bit % 8)
			if !Secure(other, ip) {
				t.Errorf("%s at %s is refused for its bit %d, which is free", id, ip, bit)
			}
		}
		if Secure(id, ip.Next().Next()) {
			t.Errorf("%s is accepted at %s too", id, ip.Next().Next())
		}
	}
}

func TestSecureIDsAreSecureThereAndHardlyElsewhere(t *testing.T) {
	rnd := random(4)
	for _, s := range []string{"45.12.34.1", "8.8.8.8", "2001:db8:85a3::7334", "2a01:4f8::1"} {
		ip := netip.MustParseAddr(s)
		seen, elsewhere := map[byte]bool{}, 0
		for range 500 {
			id := SecureID(ip, rnd)
			if !Secure(id, ip) {
				t.Fatalf("%v is not secure at %v", id, ip)
			}
			seen[id[19]&7] = true
			if Secure(id, netip.MustParseAddr("98.76.54.32")) {
				elsewhere++
			}
		}
		if len(seen) != 8 || elsewhere > 1 {
			t.Errorf("%v: %d of 8 ids a host may have, %d of 500 fit elsewhere", ip, len(seen), elsewhere)
		}
	}
}

func TestSecureOfIPv6LooksAtTheNetworkOnly(t *testing.T) {
	rnd := random(5)
	id := SecureID(netip.MustParseAddr("2001:470:1f0b:2::1"), rnd)
	if !Secure(id, netip.MustParseAddr("2001:470:1f0b:2:ffff::2")) {
		t.Error("a privacy address of the same network is refused")
	}
	if Secure(id, netip.MustParseAddr("2001:470:1f0b:3::1")) {
		t.Error("the network next door is accepted")
	}
}

func TestLocalAddressesAreExempt(t *testing.T) {
	rnd := random(6)
	for s, exempt := range map[string]bool{
		"10.1.2.3": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.7.7": true,
		"169.254.3.4": true, "127.0.0.1": true, "::1": true, "fe80::1": true, "fd00::1": true, "100.64.1.1": true,
		"::ffff:192.168.0.1": true,
		"172.32.0.1":         false, "11.0.0.1": false, "2001:db8::1": false, "::ffff:45.1.2.3": false,
	} {
		ip := netip.MustParseAddr(s)
		if got := Secure(RandomID(rnd), ip); got != exempt || ipclass.IsLocal(ip) != exempt {
			t.Errorf("%v: a random id is accepted: %v, local: %v; want %v", ip, got, ipclass.IsLocal(ip), exempt)
		}
	}
}

func TestSubnet(t *testing.T) {
	for s, want := range map[string]string{
		"45.1.2.3":           "45.1.2.0/24",
		"::ffff:45.1.2.3":    "45.1.2.0/24",
		"2001:db8:1:2:3::4":  "2001:db8:1:2::/64",
		"192.168.1.2":        "192.168.1.2/32",
		"fe80::1%eth0":       "fe80::1/128",
		"2001:db8:1:2:3::4%": "",
	} {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			continue
		}
		if got := Subnet(ip).String(); got != want {
			t.Errorf("Subnet(%s) = %s, want %s", s, got, want)
		}
	}
}

func TestPlaceOfAnAddressGivesItBack(t *testing.T) {
	for _, s := range []string{"1.2.3.4:5", "[2001:db8::1]:65535", "0.0.0.0:1", "[::]:0", "[::1]:9"} {
		a := netip.MustParseAddrPort(s)
		p := placeOf(a)
		if p.addrPort() != a {
			t.Errorf("%v came back as %v", a, p.addrPort())
		}
	}
}

func TestUsable(t *testing.T) {
	for s, want := range map[string]bool{
		"45.1.2.3:6881": true, "45.1.2.3:0": false, "0.0.0.0:1": false, "[::]:1": false,
		"224.0.0.1:1": false, "[ff02::1]:1": false, "255.255.255.255:1": false, "127.0.0.1:1": true,
	} {
		if usable(netip.MustParseAddrPort(s)) != want {
			t.Errorf("usable(%s) is %v", s, !want)
		}
	}
	if usable(netip.AddrPort{}) {
		t.Error("no address is usable")
	}
}
