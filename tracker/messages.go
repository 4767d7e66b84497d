package tracker

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
)

// Message is what an Announcer takes, all from its torrent.
type Message interface{ announcerMsg() }

// Answer is what an Announcer tells its torrent.
type Answer interface{ announcerAnswer() }

// Facts are the torrent's counters as trackers want them. BEP 3: "uploaded",
// "downloaded", "left", in bytes. Left is negative while it is not known, before
// the metadata of a magnet has come. Wanted is how many peers are welcome; a seed
// (Left 0) is given as many but asks no earlier for it.
type Facts struct {
	Uploaded, Downloaded, Left int64
	Wanted                     int32
	Corrupt                    int64 // bytes that failed their hash
	Connected                  int32 // peers at present: with none, failures are retried sooner
}

// Start begins announcing: "started" to the first tracker of each tier that answers.
type Start struct{ Facts Facts }

// Update brings new counters; nothing is sent for it, except that Wanted > 0 may
// bring the next announce forward, never below a tracker's min interval.
type Update struct{ Facts Facts }

// Complete sends "completed", exactly once and only after a download.
type Complete struct{ Facts Facts }

// Finish sends "stopped" to every tracker that has heard "started", and answers
// Finished when they have answered or the time is up, whichever is first.
type Finish struct {
	Facts Facts
	Limit time.Duration
}

// Now announces to all trackers as soon as their min interval allows; a person asked.
type Now struct{ Facts Facts }

// Add adds trackers as a tier of their own; known URLs are ignored. Unless the
// torrent is private they are announced to as well, and not only if all others fail.
type Add struct {
	URLs   []string
	Origin Origin
}

// Remove forgets trackers. Those that have heard "started" hear "stopped".
type Remove struct{ URLs []string }

// Private says that the torrent has turned out to have BEP 27's flag, as one that began
// with a link may: all is from now on as with [AnnouncerConfig.Private], except that
// families that are told of separately stay so. Trackers that have heard "started", but
// for one, hear "stopped".
type Private struct{}

// Moved brings the port and addresses that trackers shall tell others from now on.
// They hear of it as soon as their min interval allows.
type Moved struct {
	Port               uint16
	Address4, Address6 netip.Addr
}

// Scrape asks all trackers that can be scraped for their numbers, which come in
// Reports. It is not answered otherwise.
type Scrape struct{}

// Found brings peers. Answered by nothing.
type Found struct {
	Peers []netip.AddrPort
	// Local says that the tracker itself is at a private or loopback address,
	// and may therefore name others there.
	Local bool
	URL   string
	// ExternalIP is our address as the tracker sees it (BEP 24), if it said so.
	ExternalIP netip.Addr
}

// Report is the state of one tracker, sent whenever it changes.
type Report struct {
	URL      string
	Tier     int
	State    State
	Err      string     // why it failed, or the tracker's failure reason
	Warning  string     // the tracker's warning message
	Seeds    int32      // -1: not known
	Leechers int32      // -1: not known
	Finished int32      // downloads completed, -1: not known
	Next     actor.Time // of the next announce; Never if none is planned
}

// State of one tracker.
type State uint8

// States.
const (
	Idle    State = iota // not tried yet, or not its turn in the tier
	Asking               // a request is on its way
	Working              // the last announce succeeded
	Failing              // the last announce failed
)

// Finished answers Finish.
type Finished struct{}

func (Start) announcerMsg()    {}
func (Update) announcerMsg()   {}
func (Complete) announcerMsg() {}
func (Finish) announcerMsg()   {}
func (Now) announcerMsg()      {}
func (Add) announcerMsg()      {}
func (Remove) announcerMsg()   {}
func (Private) announcerMsg()  {}
func (Moved) announcerMsg()    {}
func (Scrape) announcerMsg()   {}

func (Found) announcerAnswer()    {}
func (Report) announcerAnswer()   {}
func (Finished) announcerAnswer() {}

// Event of an announce.
type Event uint8

// Events; the values are those of BEP 15.
const (
	None Event = iota
	Completed
	Started
	Stopped
)

// Family selects the addresses by which a tracker is asked. BEP 7 (2020): a peer
// with both families announces once by each, with the same key.
type Family uint8

// Families of addresses.
const (
	AnyFamily Family = iota // whichever connects first
	IPv4
	IPv6
)

// Origin says who named a tracker: what may be reached depends on it.
type Origin uint8

// Origins of tracker URLs.
const (
	FromTorrent  Origin = iota // a torrent file or magnet
	FromUser                   // the person at the machine
	FromRedirect               // a redirect of a tracker at a public address
)

// Request is one announce, or one scrape.
type Request struct {
	URL       string
	Scrape    bool // URL is still the announce URL
	Family    Family
	Origin    Origin
	InfoHash  metainfo.Hash
	PeerID    [20]byte
	Facts     Facts
	Event     Event
	Port      uint16
	Key       uint32
	TrackerID string     // BEP 3's "tracker id" of its last answer
	Address4  netip.Addr // our own addresses, if known (BEP 7)
	Address6  netip.Addr
	Timeout   time.Duration // of the request itself, waiting for its turn not counted; 0: the client's default
	Reply     actor.Ref[Response]
	Cookie    uint64
}

// Response answers a Request.
type Response struct {
	Cookie      uint64
	Err         error // of the network or of the codec; a *Failure if the tracker refused
	Peers       []netip.AddrPort
	Interval    time.Duration
	MinInterval time.Duration
	TrackerID   string
	Warning     string
	Seeds       int32 // -1: not said
	Leechers    int32
	Finished    int32
	ExternalIP  netip.Addr
	Addr        netip.Addr    // of the tracker
	RetryIn     time.Duration // BEP 31; negative: never
}

// Client sends requests. Do never waits; Reply gets exactly one Response, also
// after the client is closed. Live: goroutines and sockets. Sim: a model.
type Client interface {
	Do(Request)
}
