package engine

import (
	"log/slog"
	"net/netip"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// Version is the version of this engine, as peers (BEP 10's v) and trackers
// (User-Agent) see it.
const Version = "0.1.0"

// peerIDPrefix begins our peer ids, in the style of BEP 20: two letters that its
// list does not hold, and the version.
const peerIDPrefix = "-SQ0100-"

// DefaultPort is where an engine listens unless told otherwise.
const DefaultPort = 51413

// Config configures an Engine. The zero value listens on any free port of all
// addresses and has no limits.
type Config struct {
	// Listen is the address and port to listen on; port 0 is any free one, an
	// invalid address all interfaces.
	Listen netip.AddrPort
	// Bind is the local address that outgoing connections and datagrams use; the
	// zero value leaves it to the system.
	Bind netip.Addr
	// NextPorts is how many ports above Listen's are tried when it is taken.
	NextPorts int
	// NoListen makes an engine that only dials.
	NoListen bool

	StateDir string // for resume records; "" keeps none
	// SharedState lets several processes use StateDir at a time, each torrent in one
	// of them only.
	SharedState bool
	Caps        Caps
	Limits      Limits // of the whole session

	// Memory is the budget for payload on its way, in bytes (default 64 MiB).
	Memory int64
	// Version is sent to peers (default "shoal/" + Version).
	Version string
	// ManyPerIP allows several connections from one public address.
	ManyPerIP bool

	// NoDHT, NoPEX and NoLSD do without these ways to find peers (BEP 5, 11, 14). An
	// engine that listens on a loopback address, but is not bound to it, does without
	// LSD: nobody in the network could connect.
	NoDHT, NoPEX, NoLSD bool
	// DHTBootstrap are nodes to begin with, host:port. nil: DefaultBootstrap, or none if
	// the engine can be reached from this machine only; empty: none.
	DHTBootstrap []string

	// Transports are the ways to reach peers, the preferred first: each is made when the
	// engine starts. nil: DefaultTransports. See transport.Transport for how to write one.
	Transports []func(transport.Env) transport.Transport
	// Encryption says which connections are encrypted (Message Stream Encryption).
	// Transports that know nothing of it are always plain.
	Encryption mse.Policy

	Logger *slog.Logger // default: discards
}

// AddOptions says what to add and how.
type AddOptions struct {
	Torrent *metainfo.Torrent
	// Magnet, instead of Torrent: the metadata is fetched from peers (BEP 9). Its
	// trackers, peers, web seeds, name and selection of files are honoured.
	Magnet *metainfo.Magnet
	// Choose says of a Magnet how much each file of its torrent is wanted, as
	// Storage.Priority does of a Torrent: it is called once the metadata is known, before
	// anything is opened, and instead of the link's own selection. Its error ends the
	// torrent, as it is. It runs on the torrent's turn and must not wait. nil: the
	// link's selection.
	Choose  func(*metainfo.Torrent) ([]uint8, error)
	Dir     string // where its file or folder goes
	Storage storage.Options

	Picker, Choker string // by name; "" is the default
	Paused         bool
	Peers          []netip.AddrPort // known already
	Trackers       [][]string       // tiers of the user's own, announced to besides the torrent's
	NoTrackers     bool
	Limits         Limits // of this torrent
	MaxPeers       int32  // connections; 0: Config.Caps
	SeedOnly       bool   // never download: serve what is there

	// Private says of a Magnet that its torrent is private (BEP 27), before its
	// metadata does: from the first packet nobody is asked but its trackers and the
	// peers that are given here.
	Private             bool
	NoDHT, NoPEX, NoLSD bool // sources of peers that this torrent does without
}
