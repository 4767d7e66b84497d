package tracker

import "time"

// Caps on what comes from outside.
const (
	// MaxBody bounds an HTTP answer, in bytes after decompression. A full answer
	// of MaxPeers dictionaries is about 150 kB.
	MaxBody = 1 << 20
	// MaxHeader bounds an HTTP answer's header, in bytes.
	MaxHeader = 64 << 10
	// MaxPeers bounds the peers taken from one answer; further ones are ignored.
	MaxPeers = 2000
	// MaxTrackers bounds the trackers of one torrent; further ones are ignored.
	MaxTrackers = 256
	// MaxURL bounds a tracker's URL, in bytes.
	MaxURL = 2048
	// MaxTrackerID bounds the "tracker id" that we carry around, in bytes.
	MaxTrackerID = 256
	// MaxText bounds a tracker's words (failure reason, warning), in bytes.
	MaxText = 300
	// MaxWant bounds "numwant": more would not fit a datagram.
	MaxWant = 200
	// MaxScrape bounds the info-hashes of one scrape. BEP 15: "Up to about 74
	// torrents can be scraped at once."
	MaxScrape = 74
	// MaxInterval bounds every interval that a tracker may ask for.
	MaxInterval = 24 * time.Hour

	maxDepth  = 8       // levels of bencoding in an answer; a scrape has 4
	maxTokens = 200_000 // items of bencoding in an answer
)
