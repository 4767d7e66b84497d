package server

import (
	"log/slog"
	"time"
)

// Caps on what strangers can make the tracker hold or send.
const (
	maxWant      = 200     // peers in one answer
	maxWantUDP6  = 74      // IPv6 peers in one datagram: 20 + 74 × 18 bytes stay below 1400
	maxScrape    = 74      // torrents in one scrape, BEP 15's number
	maxQuery     = 8 << 10 // bytes of a request's header, query included
	maxURLData   = 1024    // bytes of BEP 41 options
	defaultWant  = 50      // peers in an answer if nobody says how many
	swarmMemory  = 24 * time.Hour
	sweepAtLeast = time.Minute
)

// Config configures a Server. Zero values mean the default.
type Config struct {
	Interval    time.Duration // between announces; default 30 min
	MinInterval time.Duration // what clients may go down to; default a sixth of Interval
	PeerTTL     time.Duration // a peer that is silent for so long is gone; default 2 × Interval + 1 min
	MaxSwarms   int           // torrents; default 1,000,000
	MaxPeers    int           // of one torrent; default 100,000; further ones get peers but are not listed

	// Allow says which torrents are tracked, nil: all. It is called for every
	// announce, from many goroutines.
	Allow func(infohash [20]byte) bool
	// TrustAddresses believes the parameters ip, ipv4 and ipv6, with which anybody
	// can point a swarm at anybody. For labs.
	TrustAddresses bool

	NoHTTP, NoUDP bool
	Logger        *slog.Logger // default: discards
}

func (c Config) withDefaults() Config {
	fill(&c.Interval, 30*time.Minute)
	fill(&c.MinInterval, c.Interval/6)
	fill(&c.PeerTTL, 2*c.Interval+time.Minute)
	fill(&c.MaxSwarms, 1_000_000)
	fill(&c.MaxPeers, 100_000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func fill[N ~int | ~int64](n *N, by N) {
	if *n <= 0 {
		*n = by
	}
}
