package engine

import (
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/transport"
)

// findersMsg is everything that can happen to the finders.
type findersMsg interface{ findersMsg() }

// sources says where torrents can look for peers now. It is a signal, from the finders
// to the session and on to its torrents.
type sources struct {
	finders actor.Ref[findersMsg]     // whose turn it is: wantTurn
	dht     [2]actor.Ref[dht.Message] // by family, IPv4 first; zero: not there at present
	lsd     actor.Ref[lsd.Message]    // zero: not there
	dhtPort [2]uint16                 // where our nodes listen; 0: nowhere
	dhtWhy  string                    // why nobody answers there, in words; "": somebody does
	dhtOff  bool                      // the session has none, and will not
	dhtUp   bool                      // a node has found others
	lsdOff  bool
	lsdWhy  string // why nobody can be heard there
}

// begin them: the port of the session's listening is known; 0: it only dials.
// From: the session or whoever made the finders, once.
type listensAt struct{ port uint16 }

// wantTurn asks for a turn to look up peers, answered by a turn when it has come. From:
// a torrent, one at a time.
type wantTurn struct {
	torrent uint64
	urgent  bool // it is short of peers
	reply   actor.Ref[turn]
}

// turnOver gives a turn back, or withdraws a wantTurn. From: the torrent, or the session
// when the torrent has ended. A second one does nothing.
type turnOver struct{ torrent uint64 }

// turn is a torrent's turn to look up its peers.
type turn struct{}

// askNodes asks for the doors of the DHT's nodes. Answered when they are open or have
// failed to open. From: outsiders.
type askNodes struct{ reply actor.Ref[dhtDoors] }

// dhtDoors answers askNodes.
type dhtDoors struct {
	inlets []actor.Inlet[dht.Message]
	addrs  []netip.AddrPort
	err    error // why there is none
}

// externalVote passes on what somebody says our address is. From: the session, by Offer.
type externalVote struct {
	addr, by netip.Addr
	sure     bool
}

// Answers from below.

// udpOpened answers OpenDatagrams.
type udpOpened struct {
	family int
	transport.Opened
}

// tableKept answers Keeper.Load.
type tableKept struct {
	family int
	Kept
}

// hinted is what one family's node has learned of the other's. From: the nodes.
type hinted struct {
	family int
	m      dht.Message
}

// nodeDown: a DHT node has ended. Reserved by Spawn.
type nodeDown struct {
	family int
	exit   actor.Exit
}

// lsdDown: the announcer of LSD has ended. Reserved by Spawn.
type lsdDown struct{ exit actor.Exit }

// nodeStats answers AskStats.
type nodeStats struct {
	family int
	dht.Stats
}

// lsdStats answers AskStats.
type lsdStats struct{ lsd.Stats }

// findersTick is a timer of the finders.
type findersTick struct {
	kind   findersTimer
	family int
}

type findersTimer uint8

const (
	tickAgain findersTimer = iota // a node or its socket is made anew
	tickLSD                       // LSD is made anew
	tickHeard                     // LSD is asked how it is
	tickStats                     // the nodes are asked how they are
	tickTurns                     // there may be a turn to give
)

func (listensAt) findersMsg()    {}
func (wantTurn) findersMsg()     {}
func (turnOver) findersMsg()     {}
func (askNodes) findersMsg()     {}
func (externalVote) findersMsg() {}
func (udpOpened) findersMsg()    {}
func (tableKept) findersMsg()    {}
func (hinted) findersMsg()       {}
func (nodeDown) findersMsg()     {}
func (lsdDown) findersMsg()      {}
func (lsdStats) findersMsg()     {}
func (nodeStats) findersMsg()    {}
func (findersTick) findersMsg()  {}

// Drop closes a socket that nobody will take.
func (m udpOpened) Drop() { m.Opened.Drop() }
