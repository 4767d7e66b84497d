package metainfo

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
)

// TestMutableMagnet: the test vectors of BEP 46, from the link to the item's name in
// the DHT.
func TestMutableMagnet(t *testing.T) {
	const key = "8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e"
	for in, target := range map[string]string{
		"magnet:?xs=urn:btpk:" + key:                                           "cc3f9d90b572172053626f9980ce261a850d050b",
		"magnet:?xs=urn:btpk:" + key + "&s=6e":                                 "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f",
		"magnet:?s=6E&xs=URN:BTPK:" + strings.ToUpper(key):                     "59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f",
		"magnet:?" + btih + "&xs=http%3A%2F%2Fs&xs=urn%3Abtpk%3A" + key + "&s": "cc3f9d90b572172053626f9980ce261a850d050b",
	} {
		m := mustMagnet(t, in)
		sum := sha1.Sum([]byte(string(m.Mutable.Key[:]) + m.Mutable.Salt))
		if got := hex.EncodeToString(sum[:]); got != target {
			t.Errorf("%s: target %s, want %s", in, got, target)
		}
		if again := mustMagnet(t, m.String()); *again.Mutable != *m.Mutable || again.Hash != m.Hash || len(again.Sources) != len(m.Sources) {
			t.Errorf("%s is written %s", in, m)
		}
	}
	if m := mustMagnet(t, "magnet:?"+btih+"&s=zz"); m.Mutable != nil {
		t.Errorf("a salt without a key: %+v", m.Mutable)
	}
	other := strings.Replace(key, "8", "9", 1)
	for _, in := range []string{
		"magnet:?xs=urn:btpk:", "magnet:?xs=urn:btpk:" + key[1:], "magnet:?xs=urn:btpk:" + key + "00", "magnet:?xs=urn:btpk:x" + key[1:],
		"magnet:?xs=urn:btpk:" + key + "&s=6", "magnet:?xs=urn:btpk:" + key + "&s=" + strings.Repeat("00", 65),
		"magnet:?xs=urn:btpk:" + key + "&xs=urn:btpk:" + other,
	} {
		if m, err := ParseMagnet(in); CodeOf(err) != InvalidMagnet || m != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}
