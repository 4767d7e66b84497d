package ipclass

import (
	"net/netip"
	"slices"
	"testing"
)

func TestClassesAndWhoIsLocal(t *testing.T) {
	for class, texts := range map[Class][]string{
		Public: {"8.8.8.8", "45.1.2.3", "11.0.0.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "2606:4700::1111",
			"::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"},
		Private: {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.1.1", "fd00::1", "fc00::1",
			"::ffff:192.168.0.1", "64:ff9b::c0a8:101", "2002:c0a8:101::1"},
		Loopback:  {"127.0.0.1", "127.99.0.1", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "2002:7f00:1::"},
		LinkLocal: {"169.254.3.4", "fe80::1", "fe80::1%eth0", "febf::1", "64:ff9b::a9fe:304"},
		Metadata:  {"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"},
		Unusable: {"0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
			"ff02::1", "2001:db8::1", "fec0::1", "2002:e000:1::"},
	} {
		for _, s := range texts {
			a := netip.MustParseAddr(s)
			if got := Classify(a); got != class {
				t.Errorf("%s is %v, want %v", s, got, class)
			}
			if got, want := IsLocal(a), class == Private || class == Loopback || class == LinkLocal; got != want {
				t.Errorf("%s (%v) is local: %v", s, class, got)
			}
		}
	}
	if (Classify(netip.Addr{}) != Unusable || IsLocal(netip.Addr{})) {
		t.Error("no address is of some use")
	}
}

// FuzzClassify: however an address is written, what it leads to decides; and IsLocal,
// which takes a shorter way, agrees.
func FuzzClassify(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	for _, s := range []string{"64:ff9b::7f00:1", "2002:a9fe:a9fe::", "::10.0.0.1", "fd00:ec2::254", "fec0::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		c := Classify(a)
		if a.Is4() && Classify(netip.AddrFrom16(a.As16())) != c {
			t.Errorf("%v and its IPv6 form differ", a)
		}
		if c == Public && (a.IsLoopback() || a.IsPrivate() || a.IsMulticast() || a.IsUnspecified() || a.IsLinkLocalUnicast()) {
			t.Errorf("%v is no public address", a)
		}
		if IsLocal(a) != slices.Contains([]Class{Private, Loopback, LinkLocal}, c) {
			t.Errorf("%v is %v; local: %v", a, c, IsLocal(a))
		}
	})
}

func BenchmarkIsLocal(b *testing.B) {
	four, six := netip.MustParseAddr("45.1.2.3"), netip.MustParseAddr("2606:4700::1111")
	for b.Loop() {
		if IsLocal(four) || IsLocal(six) {
			b.Fatal("they are public")
		}
	}
}
