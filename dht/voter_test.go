package dht

import (
	"net/netip"
	"testing"

	"github.com/shoal-bt/shoal/internal/clock"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// from is a voter of a subnet of its own.
func from(i int) netip.Addr { return netip.AddrFrom4([4]byte{46, byte(i >> 8), byte(i), 1}) }

// poll lets voters a to b-1 vote and answers how often the result changed.
func poll(v *Voter, a, b int, saw string) (changes int) {
	for i := a; i < b; i++ {
		if v.Vote(from(i), addr(saw), clock.Time(i)) {
			changes++
		}
	}
	return changes
}

func TestAnAddressNeedsFourSubnets(t *testing.T) {
	var v Voter
	if poll(&v, 0, 3, "45.1.1.1") != 0 || v.External().IsValid() {
		t.Error("three decide")
	}
	for i := range 100 {
		if v.Vote(netip.AddrFrom4([4]byte{46, 0, 0, byte(i)}), addr("45.1.1.1"), 9) {
			t.Error("one subnet decides")
		}
	}
	if poll(&v, 3, 4, "45.1.1.1") != 1 || v.External() != addr("45.1.1.1") {
		t.Errorf("four do not decide: %v", v.External())
	}
	if poll(&v, 4, 20, "45.1.1.1") != 0 {
		t.Error("what does not change is told as a change")
	}
}

func TestOnlyAMajorityFlips(t *testing.T) {
	var v Voter
	poll(&v, 0, 10, "45.1.1.1")
	if poll(&v, 10, 20, "46.6.6.6") != 0 || v.External() != addr("45.1.1.1") {
		t.Errorf("half of the votes flip it to %v", v.External())
	}
	if poll(&v, 20, 21, "46.6.6.6") != 1 || v.External() != addr("46.6.6.6") {
		t.Errorf("more than half do not: %v", v.External())
	}
}

// After our address changed the old votes are forgotten as new ones come.
func TestOldVotesFade(t *testing.T) {
	var v Voter
	poll(&v, 0, 200, "45.1.1.1")
	if poll(&v, 200, 216, "45.2.2.2") != 0 {
		t.Error("16 of 32 flip")
	}
	if poll(&v, 216, 217, "45.2.2.2") != 1 || len(v.votes) > ballot {
		t.Errorf("17 of %d do not flip", len(v.votes))
	}
}

func TestAVoterMayChangeItsMind(t *testing.T) {
	var v Voter
	poll(&v, 0, 5, "45.1.1.1")
	if poll(&v, 0, 2, "45.2.2.2") != 0 || poll(&v, 2, 4, "45.2.2.2") != 1 {
		t.Errorf("five voters, four for 45.2.2.2: %v", v.External())
	}
	if len(v.votes) != 5 {
		t.Errorf("%d votes of five voters", len(v.votes))
	}
}

func TestVotesThatDoNotCount(t *testing.T) {
	for _, c := range [][2]string{
		{"192.168.1.1", "45.1.1.1"}, {"127.0.0.1", "45.1.1.1"}, {"fe80::1", "45.1.1.1"}, // who
		{"46.0.0.1", "192.168.1.1"}, {"46.0.0.1", "127.0.0.1"}, {"46.0.0.1", "0.0.0.0"}, // for what
		{"46.0.0.1", "224.0.0.1"}, {"46.0.0.1", "::1"}, {"46.0.0.1", "100.64.0.1"},
		{"46.0.0.1", "169.254.169.254"}, {"46.0.0.1", "168.63.129.16"}, {"46.0.0.1", "2001:db8::1"},
	} {
		var v Voter
		if v.Vote(addr(c[0]), addr(c[1]), 0) || len(v.votes) != 0 {
			t.Errorf("%s may vote for %s", c[0], c[1])
		}
	}
	var v Voter
	if v.Vote(from(1), netip.Addr{}, 0) {
		t.Error("a vote for nothing")
	}
}

func TestVotesForIPv6AndMappedAddresses(t *testing.T) {
	var v Voter
	if poll(&v, 0, 4, "::ffff:45.1.1.1") != 1 || v.External() != addr("45.1.1.1") {
		t.Errorf("%v", v.External())
	}
	var w Voter
	for i := range 8 {
		w.Vote(netip.AddrFrom16([16]byte{0x20, 1, 4, 0x70, 0, 0, 0, byte(i / 2), 0, 0, 0, 0, 0, 0, 0, byte(i)}), addr("2001:470:9::1"), clock.Time(i))
	}
	if len(w.votes) != 4 || w.External() != addr("2001:470:9::1") {
		t.Errorf("%d votes of four networks, %v", len(w.votes), w.External())
	}
}
