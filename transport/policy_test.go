package transport

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestPolicyTable(t *testing.T) {
	text, err := os.ReadFile("testdata/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	own := func(a netip.Addr) bool { return a == netip.MustParseAddr("9.9.9.9") }
	lines := 0
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		lines++
		addr := netip.MustParseAddrPort(f[0])
		if got := Classify(addr.Addr()).String(); !strings.HasSuffix(got, f[1]) {
			t.Errorf("%v is %s, want %s", addr, got, f[1])
		}
		verdict := ""
		for o, letter := range []string{"u", "t", "p", "l", "e", "i"} {
			err := CheckAddr(addr, Origin(o), own)
			var refused *PolicyError
			if err != nil && !errors.As(err, &refused) {
				t.Errorf("%v: %T", addr, err)
			}
			if err != nil {
				letter = strings.ToUpper(letter)
			}
			verdict += letter
		}
		if verdict != f[2] {
			t.Errorf("%v: %s, want %s", addr, verdict, f[2])
		}
	}
	if lines < 40 {
		t.Errorf("only %d lines were read", lines)
	}
}

func TestUnknownOriginIsTheStrictest(t *testing.T) {
	if CheckAddr(loopback(6881), Origin(200), nil) == nil {
		t.Error("loopback must be refused")
	}
}

func TestBadPortsAreSorted(t *testing.T) {
	if !slices.IsSorted(badPorts[:]) {
		t.Error("the list is searched by halving")
	}
}

func TestOwnAddressesAreRead(t *testing.T) {
	n := NewNet(NetConfig{Interfaces: func() ([]netip.Addr, error) {
		var own []netip.Addr
		for _, a := range []string{"8.8.4.4", "192.168.1.7", "::ffff:8.8.4.5", "fe80::1%eth0"} {
			own = append(own, netip.MustParseAddr(a))
		}
		return own, nil
	}})
	for addr, refused := range map[string]bool{"8.8.4.4:6881": true, "8.8.4.5:6881": true, "8.8.4.6:6881": false} {
		if err := n.Check(netip.MustParseAddrPort(addr), FromPeer); (err != nil) != refused {
			t.Errorf("%s: %v", addr, err)
		}
	}
}
