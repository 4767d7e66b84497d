package metainfo

import (
	"strings"
	"testing"
)

func TestParseHash(t *testing.T) {
	hex40 := "0123456789abcdef0123456789abcdef01234567"
	base := "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH" // of the same bytes
	hex64 := strings.Repeat("0123456789abcdef", 4)
	for in, want := range map[string]string{
		hex40: hex40, strings.ToUpper(hex40): hex40, " " + hex40 + "\n": hex40, base: hex40, strings.ToLower(base): hex40,
		hex64: hex64, "1220" + hex64: hex64, strings.ToUpper("1220" + hex64): hex64,
	} {
		if h, err := ParseHash(in); err != nil || h.String() != want || h.HasV1 == h.HasV2 {
			t.Errorf("%s: %v %v", in, h, err)
		}
	}
	for _, in := range []string{"", "x", hex40[1:], hex40 + "0", "g" + hex40[1:], base[1:] + "1", "=" + base[1:], base[2:] + "==",
		hex64[1:] + "g", "1320" + hex64, strings.Repeat("é", 20)} {
		if h, err := ParseHash(in); CodeOf(err) != InvalidInfoHash || !h.IsZero() {
			t.Errorf("%q: %v %v", in, h, err)
		}
	}
}

func TestHash(t *testing.T) {
	v1, v2 := HashV1([20]byte{1}), HashV2([32]byte{2})
	both := v1.Merge(v2)
	if both != v2.Merge(v1) || both.Merge(HashV1([20]byte{9})) != both {
		t.Error("merge")
	}
	if w := both.Wire(); len(w) != 2 || w[0] != v1.V1 || w[1][0] != 2 || len(v2.Wire()) != 1 || (Hash{}).Wire() != nil {
		t.Errorf("on the wire: %v", w)
	}
	if both.String() != v1.String() || len(v2.String()) != 64 || (Hash{}).String() != "" {
		t.Errorf("strings are %q %q", both, v2)
	}
	for _, c := range []struct {
		a, b Hash
		want bool
	}{{v1, v1, true}, {v1, both, true}, {both, v2, true}, {v1, v2, false}, {Hash{}, Hash{}, false}, {v1, HashV1([20]byte{9}), false},
		{both, HashV1([20]byte{1}).Merge(HashV2([32]byte{9})), false}} {
		if c.a.Same(c.b) != c.want || c.b.Same(c.a) != c.want {
			t.Errorf("%v and %v: want %v", c.a, c.b, c.want)
		}
	}
}
