package wire

import (
	"bytes"
	"slices"
	"testing"
)

// BEP 6: "7 piece allowed fast set for torrent with 1313 pieces and hex infohash
// aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa for node with IP 80.4.4.200:
// 1059,431,808,1217,287,376,1188", and 9 of them with 353,508.
func TestAllowedFastSetOfTheBEP(t *testing.T) {
	hash := [20]byte(bytes.Repeat([]byte{0xaa}, 20))
	nine := []int32{1059, 431, 808, 1217, 287, 376, 1188, 353, 508}
	for _, k := range []int{7, 9} {
		if got := AllowedFastSet([4]byte{80, 4, 4, 200}, hash, 1313, k); !slices.Equal(got, nine[:k]) {
			t.Errorf("%d pieces: %v, want %v", k, got, nine[:k])
		}
	}
	if got := AllowedFastSet([4]byte{80, 4, 4, 1}, hash, 1313, 9); !slices.Equal(got, nine) {
		t.Errorf("another address of the same /24 gets %v", got)
	}
	if got := AllowedFastSet([4]byte{80, 4, 5, 200}, hash, 1313, 9); slices.Equal(got, nine) {
		t.Error("another /24 gets the same set")
	}
}

func TestAllowedFastSetEndsAndHasNoDoubles(t *testing.T) {
	for pieces := range int32(40) {
		got := AllowedFastSet([4]byte{1, 2, 3, 4}, [20]byte{1}, pieces, AllowedFastCount)
		if want := min(int(pieces), AllowedFastCount); len(got) != want {
			t.Fatalf("%d of %d pieces", len(got), pieces)
		}
		sorted := slices.Sorted(slices.Values(got))
		if len(slices.Compact(sorted)) != len(got) || len(got) > 0 && sorted[len(got)-1] >= pieces {
			t.Fatalf("of %d pieces: %v", pieces, got)
		}
	}
	if AllowedFastSet([4]byte{}, [20]byte{}, 5, 0) != nil || AllowedFastSet([4]byte{}, [20]byte{}, -1, 10) != nil {
		t.Error("nothing to allow, and something is allowed")
	}
}
