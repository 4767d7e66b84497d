package dht

import "time"

// The numbers of the protocol, and the caps on what others can make us keep or do.
const (
	// K is the size of buckets and of lookups' results (BEP 5).
	K = 8
	// Alpha is how many queries a lookup has in flight, beyond those that are slow,
	// unless Limits says otherwise.
	Alpha = 4

	// Requests is how many requests one asker may have in flight at a node.
	Requests = 64
	// MaxPeersFound bounds the PeersFound answers of one GetPeers.
	MaxPeersFound = 64
	// AnnounceLife is how long an announce holds at most of the nodes that took it:
	// announce anew before.
	AnnounceLife = PeerLife
	// SaveInterval is how often the table is saved.
	SaveInterval = 10 * time.Minute
)

const (
	// finalTimeout is when a query counts as lost; until then an answer is welcome.
	finalTimeout = 10 * time.Second
	// firstRTT is what is expected of nodes before any has answered.
	firstRTT = 200 * time.Millisecond
	// minSlow and maxSlow bound when a query lets another one start in its place,
	// minOverdue and maxOverdue when a lookup no longer waits for it.
	minSlow, maxSlow       = 50 * time.Millisecond, time.Second
	minOverdue, maxOverdue = 250 * time.Millisecond, 2 * time.Second

	// tick is how often a node looks after its table, eagerTick while it has few
	// nodes.
	tick, eagerTick = 5 * time.Second, 500 * time.Millisecond
	// pingsPerTick are sent at most to nodes that are questionable or only heard of.
	pingsPerTick = 4
	// Our own id is looked up anew so long after joining, and then at intervals that
	// double.
	firstSelf, lastSelf = time.Minute, 15 * time.Minute
	// savedPerTick nodes of the last run's table are pinged at a time.
	savedPerTick = 8
	// expireInterval is how often the stores forget what is too old.
	expireInterval = time.Minute
	// minRetry and maxRetry bound the waiting between attempts to get into the
	// network, which doubles.
	minRetry, maxRetry = 5 * time.Second, 5 * time.Minute
	// patience is how long a lookup waits for the first node to be known.
	patience = 20 * time.Second
	// moveInterval is how long an id is kept at least, whatever the votes say.
	moveInterval = 5 * time.Minute

	maxNewAddrs   = 64 // addresses without ids that wait for a ping
	maxHosts      = 32 // hosts that are resolved in one attempt
	maxHostAddrs  = 4  // addresses used of one host
	maxRecent     = 16 // lookups whose results start others
	recentLife    = 15 * time.Minute
	maxLookupPeer = 2000 // addresses that one lookup finds
	maxStartAddrs = 16   // addresses without ids that start a lookup
)

// Limits bounds what a node spends. Zero fields mean the default.
type Limits struct {
	Alpha      int // queries of one lookup in flight; default 4
	Lookups    int // running at once, in all; further ones wait; default 32
	Waiting    int // lookups that wait, beyond them ErrBusy; default 1024
	InFlight   int // queries of ours without a reply; default 512
	UploadRate int // bytes per second for answers to queries; default 16 KiB
	Sources    int // addresses whose queries are counted, 48 bytes each; default 256
}
