package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// Source says how a peer's address became known.
type Source uint8

// Sources, best first: what ranks a candidate.
const (
	SourceUser Source = iota
	SourceResume
	SourceMagnet // a link's x.pe
	SourceTracker
	SourceLocalTracker // at a private address, which may name private ones
	SourceLSD
	SourceLocalPEX // a private address, named by a peer at one
	SourcePEX
	SourceLocalDHT // a private address, named by a node at one
	SourceDHT
	SourceIncoming

	sourceKinds = iota
)

// origin is what the dial policy needs to know of a source.
func (s Source) origin() transport.Origin {
	switch s {
	case SourceUser:
		return transport.FromUser
	case SourceMagnet:
		return transport.FromTorrent
	case SourceTracker:
		return transport.FromTracker
	case SourceLocalTracker, SourceLSD, SourceLocalPEX, SourceLocalDHT:
		return transport.FromLocal
	case SourceIncoming:
		return transport.FromIncoming
	}
	return transport.FromPeer
}

// Limits are rates in bytes a second, of payload; 0 is unlimited.
type Limits struct{ Down, Up int64 }

// Caps are counts that a session shares among its torrents.
type Caps struct {
	Peers        int32 // connections in all (default 500)
	TorrentPeers int32 // connections of one torrent (default 200)
	HalfOpen     int32 // connections being made (default 64)
	UploadSlots  int32 // unchoked peers of one torrent, at least (default 8); 0: default
}

// State of a torrent.
type State uint8

// States.
const (
	Starting    State = iota // storage is being opened
	Checking                 // pieces on disk are being hashed
	Downloading              // pieces are wanted
	Seeding                  // all that is wanted is there
	Paused
	Stopping
	Failed           // see TorrentStats.Err
	FetchingMetadata // of a link: peers are looked for and asked
)

var stateNames = [...]string{"starting", "checking", "downloading", "seeding", "paused", "stopping", "failed", "metadata"}

// String returns the state as one lower-case word.
func (s State) String() string { return stateNames[s] }

// TorrentStats is a snapshot of one torrent. Sizes and counters are in bytes,
// rates in bytes a second, averaged over some seconds.
type TorrentStats struct {
	InfoHash metainfo.Hash
	Name     string
	Dir      string // where its file or folder is
	State    State
	Err      string // why it is Failed, or the trouble with its disk
	NoSpace  bool   // the trouble is the lack of space

	Total, Wanted, Done int64 // of all files; of wanted files; of Wanted, verified
	Pieces, Have        int32
	Down, Up            int64 // payload of this run
	DownEver, UpEver    int64 // payload, all runs
	Wasted              int64 // payload fetched in vain: duplicates and bad pieces
	Rehashed            int64 // bytes on disk hashed in this run
	HashFails           int32
	Banned              int32 // peers found lying

	DownRate, UpRate int64
	Peers            int32         // connected, handshake done
	Seeds            int32         // of Peers
	Known            int32         // addresses
	Unchoked         int32         // by us
	ETA              time.Duration // negative: unknown
	Availability     float64       // whole copies among the peers, ours not counted
	Field            []byte        // have bitfield, BEP 3 order, for a piece bar
	Checked          int32         // pieces of CheckTotal that were hashed, while Checking
	CheckTotal       int32
	// MetadataDone of MetadataTotal pieces of the metadata are here (BEP 9); 0 of 0 while
	// its size is not known, and for a torrent that came with it.
	MetadataDone, MetadataTotal int32
	Failures                    []string      // the last reasons why no connection came about
	Sources                     []SourceStats // where peers were looked for, and what came of it
}

// PeerStats is a snapshot of one connection.
type PeerStats struct {
	Addr                            netip.AddrPort
	ID                              [20]byte
	Client                          string // untrusted
	Transport                       string
	Source                          Source
	Crypto                          mse.Method // RC4, or Plaintext behind an encrypted handshake
	Incoming                        bool
	Interested, Interesting         bool
	Choked, ChokesUs, Snubbed, Seed bool
	Down, Up, DownRate, UpRate      int64
	Pieces, Queued                  int32
}

// TrackerStats is a snapshot of one tracker.
type TrackerStats struct {
	URL                       string
	Tier                      int
	State                     string
	Err, Warning              string
	Seeds, Leechers, Finished int32         // -1: unknown
	Next                      time.Duration // until the next announce; negative: none
}

// FileStats is a snapshot of one file.
type FileStats struct {
	Path     string // below TorrentStats.Dir
	Length   int64
	Done     int64 // bytes verified
	Priority uint8 // 0: not wanted
	Pad      bool
}
