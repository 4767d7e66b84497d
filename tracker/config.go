package tracker

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// Policy says how many trackers of a torrent are announced to.
type Policy uint8

// Policies. Each tries as many trackers as it takes until one answers.
const (
	// FirstWorking announces to one tracker: BEP 12, "if the first tier's trackers
	// fail, the next tier's are tried".
	FirstWorking Policy = iota
	// EachTier announces to one tracker of each tier.
	EachTier
	// EveryTracker announces to all.
	EveryTracker
)

// AnnouncerConfig configures an announcer. Zero durations mean the default.
type AnnouncerConfig struct {
	Client Client
	// Reply gets the Answers: per turn at most one Report for each tracker whose
	// state has changed, and one Found for each answered request (see Requests).
	Reply actor.Ref[Answer]

	Tiers    [][]string // announce URLs, BEP 12; a lone "announce" is one tier of one
	Origin   Origin     // of Tiers
	InfoHash metainfo.Hash
	PeerID   [20]byte
	Port     uint16
	Key      uint32 // constant for the life of the session; 0: drawn at random

	// Address4 and Address6 are our own addresses, if they are known for certain
	// and trackers shall be told of them (BEP 7).
	Address4, Address6 netip.Addr
	// Families lists the families to announce by, each separately, for a host that
	// has both. Empty: one announce by whichever family connects.
	Families []Family
	Policy   Policy
	// Private is for torrents with BEP 27's flag: one tracker at a time, by one
	// family, so that counters are not counted twice.
	Private bool

	MinInterval time.Duration // never announce more often unasked; default 60 s
	Interval    time.Duration // for trackers that name none; default 30 min
	MinBackoff  time.Duration // after the first failure; default 5 s
	MaxBackoff  time.Duration // after many; default 30 min
	Impatience  time.Duration // how long one tracker is waited for before the next is tried too; default 10 s
	StartJitter time.Duration // the first announce is up to this late, at random; default 0
}

// Requests is how many requests an announcer has in flight at its client at most.
const Requests = 32

// Spec returns the actor.Spec for an announcer: parent is the window of its
// parent's messages.
func Spec(parent int) actor.Spec { return actor.Spec{Name: "announcer", Limit: Requests + parent} }

func (c AnnouncerConfig) withDefaults() AnnouncerConfig {
	fill(&c.MinInterval, time.Minute)
	fill(&c.Interval, 30*time.Minute)
	fill(&c.MinBackoff, 5*time.Second)
	fill(&c.MaxBackoff, 30*time.Minute)
	fill(&c.Impatience, 10*time.Second)
	if c.Private {
		c.Policy, c.Families = FirstWorking, nil
	}
	if len(c.Families) == 0 {
		c.Families = []Family{AnyFamily}
	}
	return c
}

func fill(d *time.Duration, by time.Duration) {
	if *d <= 0 {
		*d = by
	}
}
