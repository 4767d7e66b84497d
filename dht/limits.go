package dht

import "time"

// The numbers of the protocol, and the caps on what others can make us keep or do.
const (
	// K is the size of buckets and of lookups' results (BEP 5).
	K = 8
	// Alpha is how many queries a lookup has in flight, beyond those that are slow.
	Alpha = 4

	// Requests is how many requests one asker may have in flight at a node.
	Requests = 64
	// MaxPeersFound bounds the PeersFound answers of one GetPeers.
	MaxPeersFound = 64
	// SaveInterval is how often the table is saved.
	SaveInterval = 10 * time.Minute
)

// Limits bounds what a node spends. Zero fields mean the default.
type Limits struct {
	Lookups    int // running at once, in all; further ones wait; default 32
	Waiting    int // lookups that wait, beyond them ErrBusy; default 1024
	InFlight   int // queries of ours without a reply; default 512
	UploadRate int // bytes per second for answers to queries; default 16 KiB
}
