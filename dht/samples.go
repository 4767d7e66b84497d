package dht

import (
	"math/rand/v2"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
)

// Numbers of BEP 51.
const (
	// sampleSize is how many info-hashes a sample has at most; with 8 nodes of either
	// family it fits a datagram.
	sampleSize = 20
	// sampleLife is how long a sample stays the same when there are more hashes than
	// fit: "The fact that the precomputed set will not change within that interval
	// should discourage them". "The permissible range is between 0 and 21600 seconds".
	sampleLife = 10 * time.Minute
)

// samples is the subset of the info-hashes that askers get for now.
type samples struct {
	ids   []ID
	until clock.Time
}

// Samples answers sample_infohashes (BEP 51): hashes drawn at random, after how many
// seconds to ask again, and how many there are. The slice is the store's.
func (s *PeerStore) Samples(rnd *rand.Rand, now clock.Time) (ids []ID, interval, num int64) {
	if now >= s.samples.until || s.samples.ids == nil {
		s.draw(rnd)
		s.samples.until = now.Add(sampleLife)
	}
	if len(s.torrents) > sampleSize {
		interval = int64(s.samples.until.Sub(now) / time.Second)
	} else {
		s.samples.until = now // nothing is withheld, so there is nothing to wait for
	}
	return s.samples.ids, interval, int64(len(s.torrents))
}

// draw picks a sample: each hash is taken with the chance that the rest of the sample
// has of the rest of the hashes.
func (s *PeerStore) draw(rnd *rand.Rand) {
	s.samples.ids = s.samples.ids[:0]
	for i := range s.torrents {
		if rnd.IntN(len(s.torrents)-i) < sampleSize-len(s.samples.ids) {
			s.samples.ids = append(s.samples.ids, s.torrents[i].hash)
		}
	}
}
