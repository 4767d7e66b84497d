package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
)

// counters are a torrent's own sums, in bytes of payload. Owner: the torrent.
type counters struct {
	down, up         int64 // this run
	downEver, upEver int64 // runs before
	wasted           int64
	rehashed         int64
	done             int64 // of wanted pieces, verified
	hashFails        int32
	banned           int32
	meter            pairMeter
	lastDown, lastUp int64 // as the announcer knows them
}

// pairMeter measures both directions.
type pairMeter struct{ down, up rateMeter }

// onSecond tells the announcer the counters, every newsEvery while something moves.
func (t *torrent) onSecond(*actor.Ctx[torrentMsg]) {
	if t.count.down != t.count.lastDown || t.count.up != t.count.lastUp {
		t.count.lastDown, t.count.lastUp = t.count.down, t.count.up
		t.updateAnnouncer()
	}
}

// armSecond runs the tick while something moves; an idle torrent has no periodic timer.
func (t *torrent) armSecond(c *actor.Ctx[torrentMsg]) {
	if !t.armed(tickSecond) && t.count.down+t.count.up != t.count.lastDown+t.count.lastUp {
		t.after(c, newsEvery, tickSecond)
	}
}

// countDone sums the wanted bytes that are verified.
func (t *torrent) countDone() (n int64) {
	for i := range t.pieces.have.All() {
		if t.pieces.prio[i] > 0 {
			n += t.pieces.l.PieceSize(pieceIndex(i))
		}
	}
	return n
}

// wantedBytes sums the selected pieces.
func (t *torrent) wantedBytes() (n int64) {
	if t.cfg.options.Priority == nil {
		return t.pieces.l.Total()
	}
	for i, prio := range t.pieces.prio {
		if prio > 0 && !t.pieces.isLent(pieceIndex(int32(i))) {
			n += t.pieces.l.PieceSize(pieceIndex(int32(i)))
		}
	}
	return n
}

// stats makes a snapshot.
func (t *torrent) stats(now clock.Time) TorrentStats {
	s := TorrentStats{
		InfoHash: t.cfg.hash, Name: t.name(), Dir: t.cfg.dir, State: t.life.state,
		Total: t.pieces.l.Total(), Wanted: t.wantedBytes(), Done: t.count.done,
		Pieces: t.pieces.l.Pieces(), Have: t.pieces.have.Count(),
		Down: t.count.down, Up: t.count.up,
		DownEver: t.count.downEver + t.count.down, UpEver: t.count.upEver + t.count.up,
		Wasted: t.count.wasted, Rehashed: t.count.rehashed, HashFails: t.count.hashFails, Banned: t.count.banned,
		DownRate: t.count.meter.down.rate(now), UpRate: t.count.meter.up.rate(now),
		Peers: t.swarm.live, Seeds: t.swarm.seeds, Known: int32(len(t.swarm.book.list)), Unchoked: t.choke.unchoked,
		NoSpace: t.disk.space, ETA: -1, Availability: t.availability(),
		Checked: t.disk.check.done, CheckTotal: t.disk.check.total,
		Field: t.pieces.have.AppendWire(nil), Failures: t.swarm.failures, Sources: t.sourceStats(now),
	}
	if t.fetch.f != nil {
		s.MetadataDone, s.MetadataTotal = t.fetch.f.progress()
	}
	switch {
	case t.life.err != nil:
		s.Err = t.life.err.Error()
	case t.disk.trouble != nil:
		s.Err = t.disk.trouble.Error()
	}
	if left := s.Wanted - s.Done; s.DownRate > 0 && left >= 0 {
		s.ETA = time.Duration(left/s.DownRate) * time.Second
	}
	return s
}

// availability is how many whole copies the peers have together: the least piece's
// count, and the share of pieces that have more.
func (t *torrent) availability() float64 {
	if t.pieces.avail == nil {
		return float64(t.pieces.seeds)
	}
	least, more := t.pieces.avail[0], 0
	for _, n := range t.pieces.avail {
		least = min(least, n)
	}
	for _, n := range t.pieces.avail {
		if n > least {
			more++
		}
	}
	return float64(t.pieces.seeds+least) + float64(more)/float64(len(t.pieces.avail))
}

func (t *torrent) peerStats(now clock.Time) []PeerStats {
	out := make([]PeerStats, 0, len(t.swarm.list))
	for _, p := range t.swarm.list {
		if !p.live || p.gone {
			continue
		}
		out = append(out, PeerStats{
			Addr: p.addr, ID: p.remote, Client: p.state.client, Transport: p.trans, Crypto: p.crypto, Source: p.source,
			Incoming: p.incoming, Interested: p.state.interested, Interesting: p.wants > 0,
			Choked: !p.stance.unchoke, ChokesUs: p.state.chokesUs, Snubbed: p.state.snubbed, Seed: p.seed,
			Down: p.state.down, Up: p.state.up, DownRate: p.meter.down.rate(now), UpRate: p.meter.up.rate(now),
			Pieces: p.piecesHad(), Queued: p.state.queued,
		})
	}
	return out
}

func (t *torrent) fileStats() []FileStats {
	if !t.known() {
		return nil
	}
	out := make([]FileStats, len(t.cfg.meta.Files))
	for i := range t.cfg.meta.Files {
		f := &t.cfg.meta.Files[i]
		out[i] = FileStats{Path: t.pathOf(i), Length: f.Length, Done: t.fileDone(f),
			Priority: t.filePriority(i), Pad: f.Pad()}
	}
	return out
}

// pathOf is where a file lies below the torrent's folder.
func (t *torrent) pathOf(i int) string {
	if path, ok := t.cfg.options.Renamed[metainfo.FileIndex(i)]; ok {
		return path
	}
	return t.cfg.meta.Files[i].Path.String()
}

func (t *torrent) filePriority(i int) uint8 {
	if t.cfg.options.Priority == nil {
		return normalPriority
	}
	return t.cfg.options.Priority[i]
}

// fileDone counts the verified bytes of one file.
func (t *torrent) fileDone(f *metainfo.File) (n int64) {
	if f.Length == 0 {
		return 0
	}
	first, last := t.pieces.l.PiecesOf(f.Offset, f.Length)
	for p := first; p <= last; p++ {
		if t.pieces.have.Has(int32(p)) {
			from := max(t.pieces.l.PieceOffset(p), f.Offset)
			to := min(t.pieces.l.PieceOffset(p)+t.pieces.l.PieceSize(p), f.Offset+f.Length)
			n += to - from
		}
	}
	return n
}

// noteFailure keeps the last reasons why no connection came about, for whoever asks
// why there is no peer, each once.
func (s *swarm) noteFailure(why string) {
	if i := slices.Index(s.failures, why); i >= 0 { // others may still read the old list
		s.failures = append(slices.Concat(s.failures[:i], s.failures[i+1:]), why)
		return
	}
	if len(s.failures) == keepFailures {
		s.failures = append(s.failures[:0:0], s.failures[1:]...)
	}
	s.failures = append(s.failures[:len(s.failures):len(s.failures)], why)
}

const keepFailures = 8

// failureOf says why no connection to an address came about.
func failureOf(addr netip.AddrPort, err error) string {
	var e *peerError
	if errors.As(err, &e) {
		return e.said()
	}
	return fmt.Sprintf("%v: %v", addr, err)
}
