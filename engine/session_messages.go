package engine

import (
	"net/netip"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
)

// sessionMsg is everything that can happen to a session.
type sessionMsg interface{ sessionMsg() }

// open begins: the session listens with every transport. From: whoever made it, first.
type open struct {
	self   actor.Inlet[sessionMsg]
	listen bool
}

// bound answers one Listen.
type bound struct {
	transport int
	transport.Listening
}

// knock: a connection has come in and said whom it wants. From: accept pumps, at
// most Spec.Pump waiting.
type knock struct{ transport.Accepted }

// add makes a torrent. From: outsiders. Answered when it exists, not when it is open.
type add struct {
	opt   AddOptions
	reply actor.Ref[added]
}

// added answers add.
type added struct {
	t   *Torrent
	err error
}

// remove ends a torrent. From: outsiders. Answered when it is gone.
type remove struct {
	hash  metainfo.Hash
	data  bool // with its files
	keep  bool // its record stays
	limit time.Duration
	reply actor.Ref[error]
}

// list asks for all torrents. From: outsiders.
type list struct{ reply actor.Ref[[]*Torrent] }

// whereBound asks for the listening addresses; answered when all Listens are.
type whereBound struct{ reply actor.Ref[boundTo] }

// boundTo answers whereBound.
type boundTo struct {
	addrs []netip.AddrPort
	err   error // of the first transport that could not listen
}

// closeAll ends the session in good order; trackers have limit to hear of it. Ended
// by the session's Exit.
type closeAll struct{ limit time.Duration }

// crowded is a signal of the governor: there are as many connections as there may be.
type crowded struct{ on bool }

// voted: a peer says what our address is. From: torrents. A hint.
type voted struct{ ip, by netip.Addr }

// learned: a torrent that was added by one of its hashes knows both now. From: torrents.
type learned struct{ hash, whole metainfo.Hash }

// torrentDown: a torrent has ended. Reserved by Spawn.
type torrentDown struct {
	hash metainfo.Hash
	exit actor.Exit
}

func (open) sessionMsg()        {}
func (bound) sessionMsg()       {}
func (knock) sessionMsg()       {}
func (add) sessionMsg()         {}
func (remove) sessionMsg()      {}
func (list) sessionMsg()        {}
func (whereBound) sessionMsg()  {}
func (closeAll) sessionMsg()    {}
func (torrentDown) sessionMsg() {}
func (crowded) sessionMsg()     {}
func (voted) sessionMsg()       {}
func (learned) sessionMsg()     {}

// SignalKind implements actor.Signal.
func (crowded) SignalKind() uint8 { return 0 }

// Drop closes a connection that nobody will take.
func (k knock) Drop() { k.Accepted.Drop() }
