package engine

import (
	"net/netip"
	"testing"
)

func TestGuessOfThePublicAddress(t *testing.T) {
	list := func(texts ...string) (out []netip.Addr) {
		for _, s := range texts {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	for _, c := range []struct {
		have  []netip.Addr
		bound string
		want  string
	}{
		{nil, "0.0.0.0", ""},
		{list("45.1.1.1"), "10.0.0.1", ""},
		{list("45.1.1.1"), "0.0.0.0", "45.1.1.1"},
		{list("45.1.1.1", "2a00::1"), "0.0.0.0", "45.1.1.1"},
		{list("45.1.1.1", "2a00::1"), "::", "2a00::1"},
		{list("45.1.1.1", "46.1.1.1"), "0.0.0.0", ""},
		{list("45.1.1.1", "46.1.1.1"), "46.1.1.1", "46.1.1.1"},
	} {
		f := finders{cfg: findersConfig{deps: Deps{PublicIPs: c.have}}}
		got := f.guess(netip.MustParseAddr(c.bound))
		if got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want {
			t.Errorf("%v, bound to %s: %v, want %q", c.have, c.bound, got, c.want)
		}
	}
}
