package engine

import (
	"fmt"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
)

// torrent is the actor of one torrent. It owns everything below; peers, storage
// and announcer own theirs and are reached by messages only.
type torrent struct {
	cfg  torrentConfig
	self actor.Ref[torrentMsg]

	life   life       // torrent_life.go: the state and what is pending in it
	pieces *pieces    // pieces.go: what we have and want, who has it, what is in progress
	pick   picking    // torrent_assign.go: the strategy and who waits for work
	blame  blame      // torrent_blame.go: fingerprints of bad pieces, bans
	swarm  swarm      // torrent_peers.go: connected peers and known addresses
	choke  choking    // torrent_choke.go: the choker and its rounds
	disk   diskState  // torrent_storage.go: storage's window, trouble, stalls
	news   announcing // torrent_announce.go: the announcer
	reader leases     // torrent_reader.go: Readers' deadlines and waiters
	count  counters   // torrent_stats.go
	timer  [numTicks]actor.Timer
}

// torrentConfig is what a session gives a torrent.
type torrentConfig struct {
	deps     Deps
	governor actor.Ref[governorMsg]
	emit     actor.Ref[Event]
	meta     *metainfo.Torrent
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
	extra    []string   // trackers added by hand
	peers    []found    // addresses known from the start
	paused   bool
	perIP    bool // one connection an address; private and loopback ones are exempt
	seedOnly bool // never download
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
	t := &torrent{cfg: cfg, pieces: newPieces(cfg.lengths)}
	t.pick.strategy = strategy
	t.choke.strategy = choke
	t.choke.slots = cfg.caps.UploadSlots
	t.swarm.init(cfg.caps)
	t.blame.init()
	t.disk.window.Max = storageWindow
	return t, nil
}

// Start opens the torrent's storage; everything else waits for it.
func (t *torrent) Start(c *actor.Ctx[torrentMsg]) {
	t.self = c.Self()
	t.pick.facts = facts{pieces: t.pieces, rand: c.Rand().Int32N}
	t.cfg.governor.Tell(enter{c.ID(), t.self})
	for _, f := range t.cfg.peers {
		t.onFound(c, f)
	}
	t.openStorage()
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
	case urgent:
		t.onUrgent(c, m)
	case await:
		t.onAwait(m)
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
	t.disk.send(t.cfg.deps.Disk)
	t.tellStances()
	t.serveHungry(c)
	t.tellHaves(c)
	t.runChoker(c)
	t.askDials(c)
	t.armSecond(c)
}

// Stop answers everybody who still waits.
func (t *torrent) Stop(c *actor.Ctx[torrentMsg], why error) {
	if why == nil {
		why = ErrClosed
	}
	t.disk.drop()
	t.disk.failAll(why)
	t.reader.failAll(why)
	t.life.failAll(why)
	t.cfg.governor.Tell(leave{c.ID()})
}

// Check implements actor.Checker: nothing is pending at quiescence.
func (t *torrent) Check() error {
	if t.disk.window.Used != 0 {
		return fmt.Errorf("%d requests at storage unanswered", t.disk.window.Used)
	}
	var free int32
	for _, a := range t.pieces.open {
		if int(a.free+a.asked+a.got) != len(a.state) {
			return fmt.Errorf("piece %d: %d free, %d asked, %d got of %d blocks", a.piece, a.free, a.asked, a.got, len(a.state))
		}
		if t.pieces.wants(a.piece) {
			free += a.free
		}
	}
	if free != t.pieces.freeBlocks {
		return fmt.Errorf("%d free blocks counted, there are %d", t.pieces.freeBlocks, free)
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
		t.changedDeadlines()
	}
}

// trackerMsg wraps an announcer's answers; made once per edge.
func announcedMsg(a tracker.Answer) torrentMsg { return announced{a} }
func storedMsg(a storage.Answer) torrentMsg    { return stored{a} }
