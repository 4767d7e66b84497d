package dht

import (
	"net/netip"
	"testing"
)

func TestGuessHoldsUntilVotesSayOtherwise(t *testing.T) {
	guess, voted, sure := netip.MustParseAddr("45.1.2.3"), netip.MustParseAddr("52.9.9.9"), netip.MustParseAddr("80.1.1.1")
	n := New(Config{Guess: guess})
	if n.external() != guess {
		t.Errorf("at first we are at %v", n.external())
	}
	for i := range byte(quorum) {
		n.self.voter.Vote(netip.AddrFrom4([4]byte{60 + i, 1, 1, 1}), voted, 0)
	}
	if n.external() != voted {
		t.Errorf("%v is what all others see, we say %v", voted, n.external())
	}
	n.self.sure = sure
	if n.external() != sure {
		t.Errorf("we are told %v for certain, we say %v", sure, n.external())
	}
}
