package engine

import (
	"errors"
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport/mse"
)

// torrent is the actor of one torrent. It owns everything below; peers, storage
// and announcer own theirs and are reached by messages only.
type torrent struct {
	cfg  torrentConfig
	self actor.Ref[torrentMsg]

	life     life       // torrent_life.go: the state and what is pending in it
	pieces   *pieces    // pieces.go: what we have and want, who has it, what is in progress
	pick     picking    // torrent_assign.go: the strategy and who waits for work
	blame    blame      // torrent_blame.go: fingerprints of bad pieces, bans
	swarm    swarm      // torrent_peers.go: connected peers and known addresses
	choke    choking    // torrent_choke.go: the choker and its rounds
	disk     diskState  // torrent_storage.go: storage's window, trouble, stalls
	news     announcing // torrent_announce.go: the announcer
	exchange exchange   // torrent_pex.go: what peers are told of each other
	reader   leases     // torrent_reader.go: Readers' deadlines and waiters
	count    counters   // torrent_stats.go
	fetch    fetching   // torrent_metadata.go: how a torrent that began with a link finds its metadata
	disc     discovery  // torrent_discover.go: the DHT and the local network
	timer    [numTicks]actor.Timer
}

// torrentConfig is what a session gives a torrent.
type torrentConfig struct {
	deps     Deps
	session  actor.Ref[sessionMsg]
	governor actor.Ref[governorMsg]
	emit     actor.Ref[Event]
	hash     metainfo.Hash     // as it was added: names the torrent in the session
	meta     *metainfo.Torrent // nil: not known yet
	magnet   *metainfo.Magnet  // the link that it began with, or nil
	choose   func(*metainfo.Torrent) ([]uint8, error)
	selected bool // the link's selection of files has been taken
	publish  actor.Ref[*metainfo.Torrent]
	lengths  metainfo.Lengths
	store    storage.ID
	dir      string
	options  storage.Options
	ourID    [20]byte
	version  string // BEP 10's v
	port     uint16
	key      uint32 // towards trackers
	picker   string
	choker   string
	caps     Caps
	trackers [][]string // instead of the torrent file's, if not nil
	given    [][]string // trackers of AddOptions, in tiers
	extra    []string   // trackers added by hand
	peers    []found    // addresses known from the start
	limits   Limits
	paused   bool
	ways     ways      // nil: plain, by each transport
	methods  mse.Offer // of encrypted ways
	perIP    bool      // one connection an address; private and loopback ones are exempt
	seedOnly bool      // never download
	private  bool      // as the user says; see (*torrent).private
	noPEX    bool
	noDHT    bool
	noLSD    bool
	sources  sources // where peers can be looked for, to begin with

	peerActor func(peerConfig) actor.Actor[peerMsg] // nil: newPeer
}

func newTorrent(cfg torrentConfig) (*torrent, error) {
	strategy, err := picker.New(cfg.picker)
	if err != nil {
		return nil, err
	}
	choke, err := choker.New(cfg.choker)
	if err != nil {
		return nil, err
	}
	if cfg.meta != nil && cfg.hash.IsZero() {
		cfg.hash = cfg.meta.Hash
	}
	if cfg.ways == nil {
		cfg.ways = newWays(len(cfg.deps.Transports), false)
	}
	t := &torrent{cfg: cfg, pieces: newPieces(cfg.lengths)}
	t.pick.strategy = strategy
	t.choke.strategy = choke
	t.choke.slots = cfg.caps.UploadSlots
	t.life.paused = cfg.paused
	t.swarm.init(cfg.caps)
	t.swarm.book.manyPerIP = !cfg.perIP
	t.blame.init()
	t.disk.window.Max = storageWindow
	return t, nil
}

// Start opens the torrent's storage; everything else waits for it. Without metadata
// that is looked for first.
func (t *torrent) Start(c *actor.Ctx[torrentMsg]) {
	t.self = c.Self()
	t.pick.facts = facts{pieces: t.pieces, rand: c.Rand().Int32N}
	t.cfg.governor.Tell(enter{c.ID(), t.self, t.cfg.limits})
	actor.Watch(c, t.cfg.deps.Disk, func(e actor.Exit) torrentMsg { return diskDown{e} })
	t.startDiscovery(t.cfg.sources)
	for _, f := range t.cfg.peers {
		t.onFound(c, f)
	}
	if t.known() {
		t.openStorage()
	} else {
		t.findInfo(c)
	}
}

// Handle is the map of a torrent: what can happen to it, in the order of a life.
func (t *torrent) Handle(c *actor.Ctx[torrentMsg], m torrentMsg) {
	switch m := m.(type) {
	case stored:
		t.onStored(c, m.Answer)
	case announced:
		t.onAnnounced(c, m.Answer)
	case found:
		t.onFound(c, m)
	case dhtSays:
		t.onDHT(c, m)
	case yourTurn:
		t.onTurn(c)
	case sources:
		t.onSources(c, m)
	case dialsGranted:
		t.onDialsGranted(c, m)
	case arrived:
		t.onArrived(c, m)
	case *report:
		t.onReport(c, m)
	case peerDown:
		t.onPeerDown(c, m)
	case slots:
		t.onSlots(m)
	case limitsChanged:
		t.onLimitsChanged(m)
	case tick:
		t.onTick(c, m.kind)
	case pause:
		t.onPause(c, m)
	case resume:
		t.onResume(c, m)
	case setPriorities:
		t.onSetPriorities(c, m)
	case setStrategy:
		t.onSetStrategy(c, m)
	case recheck:
		t.onRecheck(c, m)
	case reannounce:
		t.onReannounce(m)
	case addTrackers:
		t.onAddTrackers(m)
	case move:
		t.onMove(m)
	case rename:
		t.onRename(m)
	case syncAll:
		t.onSync(m)
	case limitPeer:
		t.onLimitPeer(c, m)
	case urgent:
		t.onUrgent(c, m)
	case await:
		t.onAwait(m)
	case askMetaInfo:
		t.onAskMetaInfo(m)
	case keptInfo:
		t.onKeptInfo(c, m)
	case hostFound:
		t.onHostFound(c, m)
	case alsoSelect:
		t.onAlsoSelect(c, m)
	case askStats:
		m.reply.Tell(t.stats(c.Now()))
	case askPeers:
		m.reply.Tell(t.peerStats(c.Now()))
	case askTrackers:
		m.reply.Tell(t.news.stats(c.Now()))
	case askFiles:
		m.reply.Tell(t.fileStats())
	case announcerDown:
		t.onAnnouncerDown(c)
	case diskDown:
		t.onDiskDown(c, m.exit)
	case finish:
		t.onFinish(c, m)
	default:
		panic(fmt.Sprintf("torrent: unknown message %T", m))
	}
}

// Flush decides, once a batch, what goes out: blocks to storage, work to peers,
// news of our pieces, who is unchoked, whom to dial.
func (t *torrent) Flush(c *actor.Ctx[torrentMsg]) {
	t.pick.facts.now = c.Now()
	t.fetchMetadata(c)
	t.disk.send(t.cfg.deps.Disk)
	t.tellStances()
	t.sendCancels()
	t.serveHungry(c)
	t.tellHaves(c)
	t.runChoker(c)
	t.discover(c)
	t.askDials(c)
	t.armPEX(c)
	t.armSecond(c)
}

// Stop answers everybody who still waits.
func (t *torrent) Stop(c *actor.Ctx[torrentMsg], why error) {
	if why == nil {
		why = ErrClosed
	}
	t.disk.drop()
	t.disk.failAll(why)
	t.answerWaiters(gotMetadata{err: why})
	t.reader.failAll(why)
	t.endDiscovery()
	t.cfg.governor.Tell(leave{c.ID()})
}

// Check implements actor.Checker: nothing is pending at quiescence.
func (t *torrent) Check() error {
	if t.disk.window.Used != 0 {
		return fmt.Errorf("%d requests at storage unanswered", t.disk.window.Used)
	}
	return t.sound()
}

// sound checks what holds after every turn.
func (t *torrent) sound() error {
	if t.disk.out != nil || len(t.pick.hungry)+len(t.pick.cancels) > 0 || t.pick.freed {
		return errors.New("something was left undecided")
	}
	if err := t.checkLeases(); err != nil {
		return err
	}
	p := t.pieces
	kept := [4]int32{p.missing, p.unopened, p.freeBlocks, p.lonely}
	if p.recount(); kept != [4]int32{p.missing, p.unopened, p.freeBlocks, p.lonely} {
		return fmt.Errorf("counted missing, unopened, free, lonely %v, there are %d %d %d %d",
			kept, p.missing, p.unopened, p.freeBlocks, p.lonely)
	}
	return nil
}

// checkLeases counts every peer's leases.
func (t *torrent) checkLeases() error {
	asked, dups := map[peerID]int32{}, map[peerID]int32{}
	for _, a := range t.pieces.open {
		if int(a.free+a.asked+a.got) != len(a.state) {
			return fmt.Errorf("piece %d: %d free, %d asked, %d got of %d blocks", a.piece, a.free, a.asked, a.got, len(a.state))
		}
		for b := range a.state {
			i := blockIndex(int32(b))
			asked[a.holder(i)]++
			dups[a.doubled(i)]++
		}
	}
	for _, p := range t.swarm.list {
		if p.asked != asked[p.id] || p.dups != dups[p.id] {
			return fmt.Errorf("peer %d has %d and %d leases, there are %d and %d", p.id, p.asked, p.dups, asked[p.id], dups[p.id])
		}
		delete(asked, p.id)
		delete(dups, p.id)
	}
	delete(asked, 0)
	delete(dups, 0)
	if len(asked)+len(dups) > 0 {
		return fmt.Errorf("leases of peers that are gone: %v %v", asked, dups)
	}
	return nil
}

// after arms the timer of a kind; an earlier one of the kind is replaced.
func (t *torrent) after(c *actor.Ctx[torrentMsg], d actor.Duration, kind tickKind) {
	c.Cancel(t.timer[kind])
	t.timer[kind] = c.After(d, tick{kind})
}

func (t *torrent) armed(kind tickKind) bool { return t.timer[kind] != actor.Timer{} }

func (t *torrent) onTick(c *actor.Ctx[torrentMsg], kind tickKind) {
	t.timer[kind] = actor.Timer{}
	switch kind {
	case tickChoke:
		t.choke.due = true
	case tickHaves: // Flush sees that it is time
	case tickDial: // likewise
	case tickSecond:
		t.onSecond(c)
	case tickSave:
		t.save(c)
	case tickLease:
		t.reader.expire(c.Now())
		t.changedDeadlines(c)
	case tickHungry:
		t.feedAll()
	case tickOpen:
		t.lookAgain()
	case tickMetadata: // Flush sees what is due
	case tickFarewell:
		t.onFarewell()
	case tickDiscover:
		t.onDiscoverTick(c)
	case tickPEX:
		t.sweepPEX(c)
	}
}

// announcedMsg and storedMsg wrap the answers from below; made once per edge.
func announcedMsg(a tracker.Answer) torrentMsg { return announced{a} }
func storedMsg(a storage.Answer) torrentMsg    { return stored{a} }
