package engine

import "github.com/shoal-bt/shoal/actor"

// governorMsg is everything that can happen to the governor, who owns what all
// torrents share: rate limits, connections, upload slots.
type governorMsg interface{ governorMsg() }

type direction uint8

const (
	down direction = iota
	up
)

// serveSession registers the session, which is told when there are too many
// connections. From: session, first.
type serveSession struct{ to actor.Ref[sessionMsg] }

// enter registers a torrent: its slots, limits and dials are told at to. From: torrent.
type enter struct {
	torrent uint64 // the torrent actor's id
	to      actor.Ref[torrentMsg]
	limits  Limits
}

// leave ends it; everything it held is free again. From: torrent, or its Exit.
type leave struct{ torrent uint64 }

// wantBytes asks for up to n bytes of a limited direction; answered by bytesGranted
// at reply when every bucket on the way has them. From: peer, one per direction.
type wantBytes struct {
	torrent, peer uint64
	dir           direction
	n             int64
	reply         actor.Ref[bytesGranted]
}

// peerLeft forgets a peer's bucket and its pending wantBytes. From: torrent.
type peerLeft struct{ torrent, peer uint64 }

// wantDials asks for leave to make n connections; answered by one dialsGranted with
// 1..n as soon as there are slots. From: torrent, one standing. A newer one
// replaces it; n = 0 withdraws it.
type wantDials struct {
	torrent uint64
	n       int32
}

// dialOver gives half-open slots back: connected (the connection slot stays taken)
// or failed (both are free). From: torrent.
type dialOver struct {
	torrent   uint64
	connected bool
}

// tookPeer counts a connection that came in; its slot is taken. From: torrent.
type tookPeer struct{ torrent uint64 }

// lostPeer gives a connection slot back. From: torrent.
type lostPeer struct{ torrent uint64 }

// demand says how fast a torrent uploads, bytes a second, so that upload slots can be
// apportioned. From: torrent, when it changes.
type demand struct {
	torrent uint64
	upRate  int64
}

// setLimits changes limits, at once. Zero means unlimited. From: outsiders, and
// torrents for a peer.
type setLimits struct {
	torrent uint64 // 0: the session's own
	peer    uint64 // 0: the torrent's own
	limits  Limits
}

func (serveSession) governorMsg() {}
func (enter) governorMsg()        {}
func (leave) governorMsg()        {}
func (wantBytes) governorMsg()    {}
func (peerLeft) governorMsg()     {}
func (wantDials) governorMsg()    {}
func (dialOver) governorMsg()     {}
func (tookPeer) governorMsg()     {}
func (lostPeer) governorMsg()     {}
func (demand) governorMsg()       {}
func (setLimits) governorMsg()    {}
