package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
)

// EventKind says what has happened.
type EventKind uint8

// Kinds of events, and the fields of Event that each fills besides Kind, Hash and Time.
const (
	TorrentAdded    EventKind = iota // Path: its folder
	TorrentRemoved                   // Err: what went wrong, if anything
	TorrentFailed                    // Err
	StateChanged                     // State, Err
	PieceVerified                    // Piece; it is written, too
	PieceFailed                      // Piece: its hash was wrong
	FileCompleted                    // File, Path
	Completed                        // all that is wanted is verified on disk
	PeerConnected                    // Addr
	PeerGone                         // Addr, Err
	PeerBanned                       // Addr, Piece, Err
	TrackerReport                    // URL, Report
	DiskTrouble                      // Err (nil: over), NoSpace
	Listening                        // Addr; Hash is zero
	MetadataFetched                  // the metadata of a link is known, from peers or an earlier run
)

// Event is something that has happened. Fields that its kind does not name are zero.
type Event struct {
	Kind    EventKind
	Time    time.Time // of the calendar
	Hash    metainfo.Hash
	State   State
	Piece   metainfo.PieceIndex
	File    metainfo.FileIndex
	Path    string
	Addr    netip.AddrPort
	URL     string
	Report  TrackerStats
	NoSpace bool
	Err     error
}
