package engine

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
)

// ErrNoMetadata answers what can't be done before the metadata is there.
var ErrNoMetadata = errors.New("the metadata has not arrived yet")

// fetching is a torrent's part in finding its own metadata, when it began with a link.
// Owner: the torrent.
type fetching struct {
	f       *metaFetch               // nil: not under way
	err     error                    // why the metadata that was found is of no use, for good
	armed   clock.Time               // when tickMetadata comes, if it is armed
	asked   bool                     // the names of the link's peers have been looked up
	waiters []actor.Ref[gotMetadata] // who waits for it
	untold  bool                     // peers that came before it have not heard what we have
}

// askMetaInfo asks for the metadata. Answered when it is there, or will not come. From:
// outsiders.
type askMetaInfo struct{ reply actor.Ref[gotMetadata] }

// gotMetadata answers askMetaInfo.
type gotMetadata struct {
	meta *metainfo.Torrent
	err  error
}

// keptInfo: what an earlier run has kept of the metadata, or nothing. From: the keeper.
type keptInfo struct{ Kept }

// hostFound: where a peer of the link is that has a name. From: the resolver.
type hostFound struct{ dht.Resolved }

func (askMetaInfo) torrentMsg() {}
func (keptInfo) torrentMsg()    {}
func (hostFound) torrentMsg()   {}

// infoName is under which name the metadata of a link is kept.
func (t *torrent) infoName() string { return "info-" + t.cfg.hash.String() }

// findInfo looks whether an earlier run has kept the metadata; then no peer is needed
// for it.
func (t *torrent) findInfo(c *actor.Ctx[torrentMsg]) {
	if t.cfg.deps.Keeper == nil {
		t.startFetching(c)
		return
	}
	t.cfg.deps.Keeper.Load(t.infoName(), actor.Adapt(t.self, func(k Kept) torrentMsg { return keptInfo{k} }))
}

// onKeptInfo trusts what was kept as far as its hash does; what is damaged is fetched
// again.
func (t *torrent) onKeptInfo(c *actor.Ctx[torrentMsg], m keptInfo) {
	switch {
	case t.life.finishing || t.known() || t.life.state != Starting:
	case m.Data != nil && t.cfg.hash.Matches(m.Data):
		t.learn(c, m.Data)
	default:
		t.startFetching(c)
	}
}

// keepInfo keeps the metadata that has come from peers, for the next run.
func (t *torrent) keepInfo(raw []byte) {
	if t.cfg.deps.Keeper != nil && t.cfg.magnet != nil {
		t.cfg.deps.Keeper.Save(t.infoName(), raw)
	}
}

// findHosts looks up the link's peers that have names (BEP 9's x.pe), once.
func (t *torrent) findHosts() {
	if t.fetch.asked || t.cfg.magnet == nil || t.cfg.deps.Resolver == nil {
		return
	}
	t.fetch.asked = true
	reply := actor.Adapt(t.self, func(r dht.Resolved) torrentMsg { return hostFound{r} })
	for i, h := range t.cfg.magnet.Peers {
		if _, err := netip.ParseAddr(h.Host); err != nil {
			t.cfg.deps.Resolver.Resolve(h.Host, uint64(i), reply)
		}
	}
}

// maxHostAddrs addresses of one name are tried.
const maxHostAddrs = 8

func (t *torrent) onHostFound(c *actor.Ctx[torrentMsg], m hostFound) {
	peers := t.cfg.magnet.Peers
	if m.Err != nil || m.Cookie >= uint64(len(peers)) {
		if m.Err != nil {
			t.swarm.noteFailure(m.Err.Error())
		}
		return
	}
	var addrs []netip.AddrPort
	for _, ip := range m.Addrs[:min(len(m.Addrs), maxHostAddrs)] {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), peers[m.Cookie].Port))
	}
	t.onFound(c, found{addrs: addrs, source: SourceMagnet})
}

// known says whether the torrent has its metadata.
func (t *torrent) known() bool { return t.cfg.meta != nil }

// name is what the torrent is called: by itself, by its link, or by its hash.
func (t *torrent) name() string {
	switch {
	case t.known():
		return t.cfg.meta.Name
	case t.cfg.magnet != nil && t.cfg.magnet.Name != "":
		return t.cfg.magnet.Name
	}
	return t.cfg.hash.String()
}

// startFetching goes to look for the metadata among peers.
func (t *torrent) startFetching(c *actor.Ctx[torrentMsg]) {
	if t.life.paused {
		t.setState(Paused)
		return
	}
	if t.fetch.f == nil {
		t.fetch.f = newMetaFetch(t.cfg.hash)
	}
	t.setState(FetchingMetadata)
	t.swarm.nextDial = c.Now()
	if !t.news.started {
		t.startAnnouncing(c)
	}
	for _, p := range t.swarm.list {
		t.offersMetadata(p)
	}
}

// offersMetadata follows what a peer says of the metadata.
func (t *torrent) offersMetadata(p *peerEntry) {
	switch {
	case t.fetch.f == nil || !p.live || p.gone:
	case p.extended.metadata:
		t.fetch.f.offer(p.id, p.extended.size)
	default:
		t.fetch.f.gone(p.id)
	}
}

// onMetadata takes what a peer has answered.
func (t *torrent) onMetadata(now clock.Time, p *peerEntry, answers []metadataAnswer) {
	for _, a := range answers {
		switch {
		case t.fetch.f == nil || p.gone:
		case a.data == nil:
			t.fetch.f.refused(now, p.id, a.piece)
		default:
			p.informed = true
			t.fetch.f.data(now, p.id, a.piece, a.total, a.data)
		}
	}
}

// fetchMetadata asks for what is missing, once a turn, and sees whether it is all there.
func (t *torrent) fetchMetadata(c *actor.Ctx[torrentMsg]) {
	f := t.fetch.f
	if f == nil || t.life.state != FetchingMetadata {
		return
	}
	asks, again := f.next(c.Now())
	t.banLiars(f)
	if f.raw != nil {
		t.keepInfo(f.raw)
		t.learn(c, f.raw)
		return
	}
	for _, a := range asks {
		if p := t.swarm.byID[a.id]; p != nil && !p.gone {
			p.child.Ref.Tell(askMetadata{a.pieces})
		}
	}
	if again != clock.Never && (!t.armed(tickMetadata) || again < t.fetch.armed) {
		t.fetch.armed = again
		t.after(c, again.Sub(c.Now()), tickMetadata)
	}
}

// banLiars ends those who have sent wrong metadata.
func (t *torrent) banLiars(f *metaFetch) {
	for _, id := range f.takeLiars() {
		s := t.senderOf(id)
		t.ban(s, Event{Kind: PeerBanned, Err: fmt.Errorf("%v sent wrong metadata", s.addr)})
	}
}

// learn takes the info dictionary, whose hash is right. From here on the torrent is as if
// it had been added with it: it passes the one loader, and the same checks.
func (t *torrent) learn(c *actor.Ctx[torrentMsg], raw []byte) {
	t.fetch.f = nil
	meta, err := metainfo.LoadInfo(raw)
	if err == nil {
		err = acceptable(meta)
	}
	if err != nil {
		t.fetch.err = fmt.Errorf("metadata of %v: %w", t.cfg.hash, err)
		t.fail(c, t.fetch.err)
		return
	}
	t.cfg.meta = meta.With(t.outer())
	t.cfg.lengths = meta.Lengths
	if meta.Private {
		t.becamePrivate()
	}
	*t.pieces = *newPieces(t.cfg.lengths)
	t.pick.rebuild = true
	if err := t.choose(); err != nil {
		t.fetch.err = err
		t.tellMetadata()
		t.fail(c, err)
		return
	}
	t.tellMetadata()
	t.fetch.untold = len(t.swarm.list) > 0
	for _, p := range t.swarm.list {
		if !p.gone {
			p.child.Ref.Notify(known{t.cfg.lengths, t.info()})
		}
	}
	t.setState(Starting)
	t.openStorage()
}

// outer is what a link says besides the hash.
func (t *torrent) outer() (o metainfo.Outer) {
	if m := t.cfg.magnet; m != nil {
		o.Trackers, o.WebSeeds, o.Nodes = m.Trackers, m.WebSeeds, m.Nodes
	}
	return o
}

// acceptable says why a torrent can't be downloaded by us.
func acceptable(meta *metainfo.Torrent) error {
	switch {
	case !meta.Hash.HasV1:
		return ErrV2
	case meta.SSL:
		return ErrSSL
	}
	return nil
}

// choose selects the files that the user has chosen, or the link: BEP 53's so.
func (t *torrent) choose() error {
	switch m := t.cfg.magnet; {
	case t.cfg.choose != nil:
		prio, err := t.cfg.choose(t.cfg.meta)
		if err != nil {
			return err
		}
		if prio != nil && len(prio) != len(t.cfg.meta.Files) {
			return fmt.Errorf("%d priorities for %d files", len(prio), len(t.cfg.meta.Files))
		}
		t.cfg.options.Priority = prio
	case t.cfg.options.Priority != nil && len(t.cfg.options.Priority) != len(t.cfg.meta.Files):
		return fmt.Errorf("%d priorities for %d files", len(t.cfg.options.Priority), len(t.cfg.meta.Files))
	case m != nil && len(m.Select) > 0 && t.cfg.options.Priority == nil:
		t.cfg.options.Priority = t.selection(m.Select, make([]uint8, len(t.cfg.meta.Files)))
		t.cfg.selected = true
	}
	return nil
}

// selection adds files to those that are wanted. BEP 53: "should add any currently
// not-downloading file indices, and set their priority to normal."
func (t *torrent) selection(ranges []metainfo.FileRange, prio []uint8) []uint8 {
	for _, r := range ranges {
		for i := r.First; i <= r.Last && int(i) < len(prio); i++ {
			if prio[i] == 0 {
				prio[i] = normalPriority
			}
		}
	}
	return prio
}

// tellMetadata tells everybody who waits for it.
func (t *torrent) tellMetadata() {
	t.cfg.publish.Tell(t.cfg.meta)
	t.cfg.session.Tell(learned{t.cfg.hash, t.cfg.meta.Hash})
	t.cfg.emit.Tell(Event{Kind: MetadataFetched, Hash: t.cfg.hash})
	t.answerWaiters(gotMetadata{meta: t.cfg.meta})
}

func (t *torrent) answerWaiters(a gotMetadata) {
	waiters := t.fetch.waiters
	t.fetch.waiters = nil
	for _, r := range waiters {
		r.Tell(a)
	}
}

// onAskMetaInfo answers when the metadata is there.
func (t *torrent) onAskMetaInfo(m askMetaInfo) {
	switch {
	case t.known():
		m.reply.Tell(gotMetadata{meta: t.cfg.meta})
	case t.fetch.err != nil:
		m.reply.Tell(gotMetadata{err: t.fetch.err})
	case t.life.finishing:
		m.reply.Tell(gotMetadata{err: ErrClosed})
	case len(t.fetch.waiters) >= maxWaiters:
		m.reply.Tell(gotMetadata{err: ErrBusy})
	default:
		t.fetch.waiters = append(t.fetch.waiters, m.reply)
	}
}

// tellEarlyPeers lets peers that came before the metadata hear what turned out to be on
// disk already: to them it is as if it had been verified just now.
func (t *torrent) tellEarlyPeers() {
	if !t.fetch.untold {
		return
	}
	t.fetch.untold = false
	for i := range t.pieces.have.All() {
		t.pieces.log = append(t.pieces.log, pieceIndex(i))
	}
}
