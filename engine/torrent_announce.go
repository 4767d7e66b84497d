package engine

import (
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/tracker"
)

// announcing is a torrent's side of its announcer. Owner: the torrent.
type announcing struct {
	child   actor.Child[tracker.Message]
	started bool             // trackers count us in
	ending  int              // Finishes unanswered
	reports []tracker.Report // by tracker, in order of the tiers
}

// startAnnouncing spawns the announcer at the first start, and says Start.
func (t *torrent) startAnnouncing(c *actor.Ctx[torrentMsg]) {
	tiers := t.tiers()
	if t.news.child.IsZero() {
		a := tracker.NewAnnouncer(tracker.AnnouncerConfig{
			Client: t.cfg.deps.Trackers, InfoHash: t.cfg.hash, PeerID: t.cfg.ourID,
			Port: t.cfg.port, Key: t.cfg.key, Tiers: tiers, Private: t.private(),
			Reply: actor.Adapt(t.self, announcedMsg),
		})
		t.news.child = actor.Spawn(c, tracker.Spec(announcerWindow), a,
			func(e actor.Exit) torrentMsg { return announcerDown{e} })
	}
	t.news.started = true
	t.findHosts()
	for _, urls := range firstTiers(t.cfg.given) {
		t.tellAnnouncer(tracker.Add{URLs: urls, Origin: tracker.FromUser})
	}
	if len(t.cfg.extra) > 0 {
		t.tellAnnouncer(tracker.Add{URLs: t.cfg.extra, Origin: tracker.FromUser})
	}
	t.tellAnnouncer(tracker.Start{Facts: t.facts()})
}

// tiers are the trackers that the torrent comes with, or its link.
func (t *torrent) tiers() [][]string {
	switch {
	case t.cfg.trackers != nil:
		return t.cfg.trackers
	case t.known():
		return t.cfg.meta.Trackers
	}
	return t.outer().Trackers
}

// givenTiers is how many tiers of trackers a user may give: there is room for as many
// messages to the announcer at once.
const givenTiers = announcerWindow / 2

// firstTiers joins what is beyond givenTiers to the last of these.
func firstTiers(tiers [][]string) [][]string {
	if len(tiers) <= givenTiers {
		return tiers
	}
	out := slices.Clone(tiers[:givenTiers])
	out[givenTiers-1] = slices.Concat(tiers[givenTiers-1:]...)
	return out
}

// stopAnnouncing lets trackers hear "stopped", for up to limit.
func (t *torrent) stopAnnouncing(limit time.Duration) {
	if t.news.started {
		t.news.started = false
		t.news.ending++
		t.tellAnnouncer(tracker.Finish{Facts: t.facts(), Limit: limit})
	}
}

func (t *torrent) tellAnnouncer(m tracker.Message) {
	if !t.news.child.IsZero() {
		t.news.child.Ref.Tell(m)
	}
}

// facts are our counters as trackers want them.
func (t *torrent) facts() tracker.Facts {
	return tracker.Facts{
		Uploaded: t.count.up, Downloaded: t.count.down, Left: t.left(),
		Wanted: t.wantedPeers(), Corrupt: t.count.wasted, Connected: t.swarm.live,
	}
}

// left is what is missing of the whole torrent, for "left" means "needed to be a seed".
// Negative: nobody knows yet.
func (t *torrent) left() int64 {
	if !t.known() {
		return -1
	}
	have := t.pieces.have.Count()
	if have == 0 {
		return t.pieces.l.Total()
	}
	n := int64(have) * t.pieces.l.PieceLen()
	last := pieceIndex(t.pieces.l.Pieces() - 1)
	if t.pieces.have.Has(int32(last)) {
		n -= t.pieces.l.PieceLen() - t.pieces.l.PieceSize(last)
	}
	return t.pieces.l.Total() - n
}

// wantedPeers is how many more peers would be of use.
func (t *torrent) wantedPeers() int32 {
	if !t.mayConnect() {
		return 0
	}
	room := t.swarm.caps.TorrentPeers - int32(len(t.swarm.list))
	if t.life.state == Seeding {
		return min(room, 50)
	}
	return max(min(room, 200), 0)
}

// updateAnnouncer tells the counters: a hint, since newer ones follow.
func (t *torrent) updateAnnouncer() {
	if t.news.started {
		t.news.child.Ref.Offer(tracker.Update{Facts: t.facts()})
	}
}

// onAnnounced takes peers and news of trackers.
func (t *torrent) onAnnounced(c *actor.Ctx[torrentMsg], a tracker.Answer) {
	switch a := a.(type) {
	case tracker.Found:
		source := SourceTracker
		if a.Local {
			source = SourceLocalTracker
		}
		t.knowOwn(a.ExternalIP)
		t.onFound(c, found{a.Peers, source})
	case tracker.Report:
		t.news.note(a)
		t.cfg.emit.Tell(Event{Kind: TrackerReport, Hash: t.cfg.hash, URL: a.URL, Report: trackerStats(a, c.Now())})
	case tracker.Finished:
		t.news.ending--
		t.maybeEnd(c)
	}
}

// knowOwn takes our address as a tracker sees it (BEP 24), or most peers, which ranks
// candidates.
func (t *torrent) knowOwn(ip netip.Addr) {
	if own := netip.AddrPortFrom(ip.Unmap(), t.cfg.port); ip.IsValid() && own != t.swarm.book.own {
		t.swarm.book.rankBy(own)
	}
}

func (n *announcing) note(r tracker.Report) {
	for i := range n.reports {
		if n.reports[i].URL == r.URL {
			n.reports[i] = r
			return
		}
	}
	n.reports = append(n.reports, r)
}

func (n *announcing) stats(now actor.Time) []TrackerStats {
	out := make([]TrackerStats, len(n.reports))
	for i, r := range n.reports {
		out[i] = trackerStats(r, now)
	}
	return out
}

var trackerStates = [...]string{"idle", "asking", "working", "failing"}

func trackerStats(r tracker.Report, now actor.Time) TrackerStats {
	next := time.Duration(-1)
	if r.Next != actor.Never {
		next = max(r.Next.Sub(now), 0)
	}
	return TrackerStats{URL: r.URL, Tier: r.Tier, State: trackerStates[r.State], Err: r.Err, Warning: r.Warning,
		Seeds: r.Seeds, Leechers: r.Leechers, Finished: r.Finished, Next: next}
}

// onAnnouncerDown: the announcer is gone, by a bug or at the end.
func (t *torrent) onAnnouncerDown(c *actor.Ctx[torrentMsg]) {
	t.news = announcing{reports: t.news.reports}
	t.maybeEnd(c)
}

// onFarewell: the time for trackers to hear "stopped" is up.
func (t *torrent) onFarewell() {
	if t.news.ending > 0 {
		t.news.child.Stop(nil)
	}
}
