package dht

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
)

// Message is what a Node takes. Requests carry an ID of the asker's choice, which
// comes back in every answer, and a Reply; each is answered by exactly one final
// Answer, also when the node stops. An asker has at most [Requests] in flight
// (one [actor.Window] of its own); all others are hints, to be sent by Offer.
type Message interface{ nodeMsg() }

// Answer is what a Node tells those who have asked. All but PeersFound and Updated
// are final.
type Answer interface{ nodeAnswer() }

// Received is one datagram that came in for the DHT.
//
//	from:     the socket's pump or model, by Offer: a full mailbox drops, as UDP does
//	answered: by nothing; Buffer is released once Data has been read, or by Drop
type Received struct {
	From   netip.AddrPort
	Data   []byte // valid until Buffer is released; at most MaxReceived are read
	Buffer Releaser
}

// Releaser takes back the memory of a datagram.
type Releaser interface{ Release() }

// Drop implements actor.Dropper.
func (r Received) Drop() {
	if r.Buffer != nil {
		r.Buffer.Release()
	}
}

// GetPeers looks for the peers of a torrent, and with Announce tells the 8 closest
// nodes that we are one (BEP 5). It begins at once, also before the node has found
// its way into the network.
//
//	from:     a torrent or the session
//	answered: PeersFound as they come, at most MaxPeersFound of them, then LookupDone
type GetPeers struct {
	ID       uint64
	Hash     [20]byte
	Announce bool   // never in read-only mode: then it is a plain lookup
	Port     uint16 // where peers reach us; 0: the port that the datagrams come from (implied_port)
	Seed     bool   // BEP 33: we announce as a seed
	NoSeed   bool   // BEP 33: seeds are of no use to us
	Scrape   bool   // BEP 33: ask for the bloom filters, see LookupDone
	Reply    actor.Ref[Answer]
}

// Lookup finds the 8 live nodes whose ids are closest to Target.
//
//	from:     anybody
//	answered: NodesFound
type Lookup struct {
	ID     uint64
	Target ID
	Reply  actor.Ref[Answer]
}

// GetItem looks for a BEP 44 item: an immutable one by its Target, a mutable one by
// its Key and Salt. Of mutable ones the newest that any of the 8 closest nodes
// has is found, after asking all of them.
//
//	from:     anybody
//	answered: ItemFound
type GetItem struct {
	ID      uint64
	Target  ID       // of an immutable item
	Mutable bool     // by Key and Salt; Target is ignored
	Key     [32]byte // ed25519
	Salt    []byte   // at most MaxSalt bytes
	Newer   bool     // only wanted if its sequence number is above Seq
	Seq     int64
	Reply   actor.Ref[Answer]
}

// PutItem stores a BEP 44 item at the 8 closest nodes. A mutable one must be signed,
// see [SignItem]: the node never sees a private key.
//
//	from:     anybody
//	answered: ItemStored
type PutItem struct {
	ID     uint64
	Item   Item
	HasCAS bool  // store only where the present sequence number is CAS
	CAS    int64 // BEP 44 "cas"
	Reply  actor.Ref[Answer]
}

// Sample asks one node which info-hashes it has stored (BEP 51).
//
//	from:     anybody
//	answered: Sampled
type Sample struct {
	ID     uint64
	Addr   netip.AddrPort
	Target ID // nodes close to it come with the answer
	Reply  actor.Ref[Answer]
}

// Ping asks one node for its id.
//
//	from:     anybody
//	answered: Ponged
type Ping struct {
	ID    uint64
	Addr  netip.AddrPort
	Reply actor.Ref[Answer]
}

// Cancel ends the requests of this ID and Reply; with a zero Reply those of this ID
// from anybody.
//
//	from:     whoever has asked
//	answered: by the final answer of what it cancels, with ErrCancelled; by nothing
//	          if that is on its way already
type Cancel struct {
	ID    uint64
	Reply actor.Ref[Answer]
}

// Forget silences an info-hash at once: a torrent turned out to be private. Its
// lookups end, what they have in flight is forgotten, and no datagram that names
// it is sent any more, also for later requests, until the node is made anew.
//
//	from:     the session, by Tell
//	answered: by the LookupDone of each lookup for it, with ErrForgotten
type Forget struct{ Hash [20]byte }

// AddNodes names addresses of nodes whose ids are not known, from PORT messages,
// torrent files or people. They are pinged, a few at a time.
//
//	from:     anybody, by Offer
//	answered: by nothing
type AddNodes struct{ Addrs []netip.AddrPort }

// AddHosts names nodes by host:port, as torrent files do (BEP 5 "nodes"). They are
// resolved if the node is short of contacts, else ignored.
//
//	from:     anybody, by Offer
//	answered: by nothing
type AddHosts struct{ Hosts []string }

// Hint names contacts of this node's family that the other family's node has
// learned of (BEP 32).
//
//	from:     the other node, by Offer, see Config.Other
//	answered: by nothing
type Hint struct{ Contacts []Contact }

// External says that somebody (a tracker, a peer, a gateway) sees us at Addr. It is
// a vote like those of nodes (BEP 42), unless Sure.
//
//	from:     the session, by Offer
//	answered: by nothing
type External struct {
	Addr netip.Addr
	From netip.Addr // who says so; votes are counted by their origin
	Sure bool       // a gateway or the user has said so
}

// AskStats asks for numbers.
//
//	from:     anybody
//	answered: Stats, once
type AskStats struct{ Reply actor.Ref[Stats] }

// AskTable asks for the routing table.
//
//	from:     anybody
//	answered: TableView, once
type AskTable struct{ Reply actor.Ref[TableView] }

// PeersFound brings peers of a GetPeers, each address once in a lookup.
type PeersFound struct {
	ID    uint64
	Addrs []netip.AddrPort // 1 to MaxValues
	// Local says that the node which named them is itself at a private or loopback
	// address, and may therefore name others there. Without it all are public.
	Local bool
}

// Effort is what a lookup has cost.
type Effort struct {
	Queried int           // nodes asked
	Replied int           // of them, those whose answer was in order
	Lied    int           // those whose answer was not
	Hops    int           // from our own table (0) to where the closest node was learned of
	Took    time.Duration // from request to answer
}

// LookupDone ends a GetPeers.
type LookupDone struct {
	ID      uint64
	Err     error // nil also when nobody had peers
	Effort  Effort
	Closest []Contact // the closest nodes that replied, at most 8, closest first
	Peers   int       // different addresses found
	Stored  int       // nodes that accepted the announce
	// Seeds and Leechers are BEP 33's estimates; -1 if there was no filter.
	Seeds, Leechers int
}

// NodesFound ends a Lookup.
type NodesFound struct {
	ID     uint64
	Err    error // ErrNoNodes when nobody replied
	Effort Effort
	Nodes  []Contact // at most 8, closest first
}

// ItemFound ends a GetItem.
type ItemFound struct {
	ID     uint64
	Err    error // ErrNotFound when nobody has it, or nothing newer than Seq
	Effort Effort
	Item   Item // verified: by its hash or by its signature
	// Copies is how many nodes have this very item, Closest how many of the 8
	// closest. BEP 44 asks subscribers to republish while Copies is 8 or
	// less or Closest is below 8.
	Copies, Closest int
}

// ItemStored ends a PutItem.
type ItemStored struct {
	ID     uint64
	Err    error // a *RemoteError if every node refused; ErrNotStored if nobody answered
	Effort Effort
	Target ID
	Stored int // nodes that accepted it
}

// Sampled ends a Sample.
type Sampled struct {
	ID       uint64
	Err      error // ErrTimeout, a *RemoteError, or ErrNoSamples if the node doesn't know BEP 51
	Node     Contact
	Hashes   [][20]byte
	Num      int64         // info-hashes that the node holds
	Interval time.Duration // ask it no sooner again
	Nodes    []Contact
}

// Ponged ends a Ping.
type Ponged struct {
	ID   uint64
	Err  error // ErrTimeout or a *RemoteError
	Node Contact
	RTT  time.Duration
}

// Stats are a node's numbers.
type Stats struct {
	Self         ID
	External     netip.AddrPort // as most others see us; zero while unknown
	ReadOnly     bool
	Bootstrapped bool // a lookup of our own id has reached other nodes
	// LastError says in words why there are no nodes, "" if there are.
	LastError string

	Good, Questionable, Replacements, Buckets int // of the table

	Torrents, Peers, Items int // stored for others
	Lookups, Waiting       int // of ours, running and queued
	InFlight               int // queries

	BytesIn, BytesOut      int64
	QueriesIn, QueriesOut  int64
	RepliesIn, RepliesOut  int64
	ErrorsIn, ErrorsOut    int64
	Timeouts, Dropped      int64 // Dropped: datagrams in, garbage or over the limits
	RTT                    time.Duration
	LookupsDone, SaveCount int64
}

// TableView is the routing table, bucket by bucket, the farthest first.
type TableView struct {
	Self    ID
	Buckets []BucketView
}

// BucketView is one bucket. Prefix is how many leading bits its nodes share with us,
// at least, in the last bucket.
type BucketView struct {
	Prefix       int
	Nodes        []NodeView
	Replacements int
}

// NodeView is one node of the table.
type NodeView struct {
	Contact Contact
	RTT     time.Duration // 0: not known
	Fails   int           // queries in a row that it has not answered
	Good    bool          // BEP 5's "good node"
	Secure  bool          // its id agrees with its address (BEP 42)
}

func (Received) nodeMsg() {}
func (GetPeers) nodeMsg() {}
func (Lookup) nodeMsg()   {}
func (GetItem) nodeMsg()  {}
func (PutItem) nodeMsg()  {}
func (Sample) nodeMsg()   {}
func (Ping) nodeMsg()     {}
func (Cancel) nodeMsg()   {}
func (Forget) nodeMsg()   {}
func (AddNodes) nodeMsg() {}
func (AddHosts) nodeMsg() {}
func (Hint) nodeMsg()     {}
func (External) nodeMsg() {}
func (AskStats) nodeMsg() {}
func (AskTable) nodeMsg() {}

func (PeersFound) nodeAnswer() {}
func (LookupDone) nodeAnswer() {}
func (NodesFound) nodeAnswer() {}
func (ItemFound) nodeAnswer()  {}
func (ItemStored) nodeAnswer() {}
func (Sampled) nodeAnswer()    {}
func (Ponged) nodeAnswer()     {}
