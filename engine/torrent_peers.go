package engine

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/mse"
)

// Why a torrent ends a connection: none of these is the remote's fault.
var (
	errSelf      = errors.New("connected to ourselves")
	errTwice     = errors.New("already connected to this peer")
	errFull      = errors.New("no room for more peers")
	errBothSeeds = errors.New("both sides are seeds")
	errBanned    = errors.New("banned: it sent bad data")
	errPaused    = errors.New("torrent paused")
)

// swarm is a torrent's connections and the addresses it knows. Owner: the torrent.
type swarm struct {
	caps      Caps
	list      []*peerEntry // connected or connecting, in order of their ids
	byID      map[peerID]*peerEntry
	lastID    peerID
	book      addressBook
	live      int32 // of list: handshake done
	leaving   int32 // of list: told to go
	seeds     int32 // of live
	dialing   int32
	asked     int32      // dials that the governor was asked for
	nextDial  actor.Time // when to look for somebody to dial; Never: when something changes
	armedDial actor.Time // when tickDial comes, if it is armed
	pace      dialPace
	votes     addressVotes // for our address, of this torrent's peers
	byVote    bool         // book.own is their winner
	replaced  actor.Time   // when a peer last made way for another
	limits    limited
	failures  []string // the last reasons why no connection came about
}

// peerEntry is the torrent's side of one connection.
type peerEntry struct {
	id       peerID
	child    actor.Child[peerMsg]
	addr     netip.AddrPort // of the connection
	dial     netip.AddrPort // where it listens, if known
	source   Source
	trans    string
	way      way // of one that we have dialed
	crypto   mse.Method
	incoming bool
	dialing  bool // no connection yet
	live     bool // the handshake is done
	gone     bool // told to stop: nothing more counts
	remote   [20]byte

	state     peerState // as last reported
	has       *bits.Set // nil: not yet said
	seed      bool      // counted as a seed
	wants     int32     // pieces that it has and we want
	stance    stance    // as last told
	assigned  uint32    // assignments with runs sent
	asked     int32     // leases out, second ones not counted
	dups      int32     // second leases out
	mine      []*partial
	suggested []int32
	extended  extended
	dhtPort   uint16  // of ours, as it was told
	fields    int     // bitfields after the first that told of nothing new
	fast      []int32 // that it allows us to ask for while it chokes us
	hungry    bool    // in the list of those to serve
	waiting   bool    // its need could not be met
	parole    bool
	informed  bool        // it has sent metadata
	proven    bool        // some of its blocks are in a verified piece
	cancels   *assignment // of this turn

	since     actor.Time // connected
	changed   actor.Time // last choke or unchoke
	grant     choker.Grant
	grantedAt int64 // bytes sent before the grant
	lastDown  int64 // at the last choker round
	lastUp    int64
	meter     pairMeter
	news      newsTold // of other peers (BEP 11)
}

func (s *swarm) init(caps Caps) {
	s.caps = caps
	s.byID = map[peerID]*peerEntry{}
}

func (p *peerEntry) forget(a *partial) {
	for i, x := range p.mine {
		if x == a {
			p.mine = append(p.mine[:i], p.mine[i+1:]...)
			return
		}
	}
}

// maxSuggested of a peer's suggestions (BEP 6) are remembered.
const maxSuggested = 16

func (p *peerEntry) suggest(i int32) {
	if len(p.suggested) == maxSuggested {
		p.suggested = append(p.suggested[:0], p.suggested[1:]...)
	}
	p.suggested = append(p.suggested, i)
}

// allowFast remembers a piece of the remote's allowed-fast set; the peer bounds them.
func (p *peerEntry) allowFast(i int32) {
	if len(p.fast) < maxAllowedFast {
		p.fast = append(p.fast, i)
	}
}

func (t *torrent) newEntry(c *actor.Ctx[torrentMsg], addr netip.AddrPort, source Source) *peerEntry {
	t.swarm.lastID++
	p := &peerEntry{id: t.swarm.lastID, addr: addr, source: source, since: c.Now(), changed: c.Now()}
	t.swarm.list = append(t.swarm.list, p)
	t.swarm.byID[p.id] = p
	return p
}

// spawnPeer starts the peer's actor; in is the connection if it came in.
func (t *torrent) spawnPeer(c *actor.Ctx[torrentMsg], p *peerEntry, in *transport.Accepted, b begin) {
	var have *bits.Set // nil: nobody knows how many pieces there are
	if t.known() {
		set := t.pieces.have.Clone()
		have = &set
	}
	p.stance.uploadOnly = t.uploadOnly()
	p.dhtPort = t.dhtPort(p.addr.Addr())
	cfg := peerConfig{
		id: p.id, torrent: t.self, torrentActor: c.ID(), governor: t.cfg.governor,
		disk: t.cfg.deps.Disk, store: t.cfg.store,
		lengths: t.cfg.lengths, infoHash: t.cfg.hash.V1, ourID: t.cfg.ourID,
		version: t.cfg.version, port: t.cfg.port, addr: p.addr,
		have: have, log: t.pieces.log, lim: t.swarm.limits, stance: p.stance, info: t.info(), pex: t.mayPEX(), dhtPort: p.dhtPort,
		encrypts: len(t.cfg.ways) > 0 && t.cfg.ways[0].encrypted,
	}
	if in != nil {
		cfg.link, cfg.theirs = in.Link, &in.Handshake
	}
	id := p.id
	spec := actor.Spec{Name: "peer", Limit: peerLimit, Pump: linkPump}
	p.child = actor.Spawn(c, spec, t.newPeer(cfg), func(e actor.Exit) torrentMsg { return peerDown{id, e} })
	b.events = actor.AdaptInlet(p.child.Inlet, peerEvent)
	p.child.Ref.Tell(b)
}

func (t *torrent) newPeer(cfg peerConfig) actor.Actor[peerMsg] {
	if t.cfg.peerActor != nil {
		return t.cfg.peerActor(cfg)
	}
	return newPeer(cfg)
}

// onArrived takes a connection that came in, if there is room.
func (t *torrent) onArrived(c *actor.Ctx[torrentMsg], m arrived) {
	info := m.Link.Info()
	if why := t.refuse(c, m, info.Remote); why != nil {
		m.Link.Close(why)
		return
	}
	p := t.newEntry(c, info.Remote, SourceIncoming)
	p.incoming, p.trans = true, info.Transport
	t.cfg.governor.Tell(tookPeer{c.ID()})
	t.spawnPeer(c, p, &m.Accepted, begin{})
}

// refuse says why a connection that came in is not wanted.
func (t *torrent) refuse(c *actor.Ctx[torrentMsg], m arrived, from netip.AddrPort) error {
	switch {
	case !t.mayConnect():
		return errPaused
	case t.blame.isBanned(from, m.Handshake.PeerID):
		return errBanned
	case m.Handshake.PeerID == t.cfg.ourID:
		return errSelf
	case t.takenIP(from.Addr(), (*peerEntry).admitted):
		return errTwice
	case (m.crowded || t.full()) && !t.makeRoom(c.Now()) && !t.makeWay(c.Now(), from):
		return errFull
	}
	return nil
}

// full reports whether the torrent has all the connections it may have.
func (t *torrent) full() bool {
	return int32(len(t.swarm.list))-t.swarm.leaving >= t.swarm.caps.TorrentPeers
}

// redundantAfter is how long a connection may be of no use to either side before it
// makes room for another.
const redundantAfter = time.Minute

// makeRoom ends the oldest connection that is of no use to either side.
func (t *torrent) makeRoom(now actor.Time) bool {
	if !t.known() {
		return false // nobody can tell yet who is of use
	}
	for _, p := range t.swarm.list {
		if p.live && !p.gone && p.wants == 0 && !p.state.interested && p.since.Add(redundantAfter) <= now {
			t.drop(p, errFull)
			return true
		}
	}
	return false
}

// onShook admits a peer whose handshake is complete.
func (t *torrent) onShook(c *actor.Ctx[torrentMsg], p *peerEntry, s *shook) {
	if p.dialing {
		t.dialEnded(c, p, true)
	}
	p.remote, p.crypto = s.id, s.crypto
	if why := t.unwelcome(c, p); why != nil {
		t.drop(p, why)
		return
	}
	p.live, p.since = true, c.Now()
	t.swarm.live++
	t.swarm.book.connected(p.dial)
	if !p.incoming {
		t.swarm.book.worked(t.cfg.ways, p.dial, p.way)
	}
	if !p.incoming && transport.IsLocal(p.addr.Addr()) {
		t.swarm.pace.worked(p.addr.Addr()) // there may be others at this address
		t.swarm.book.wakeIP(p.addr.Addr(), c.Now())
	}
	t.exchange.changed(p)
	p.child.Ref.Notify(haves{t.pieces.log})
	t.choke.due = true
	if !t.armed(tickSave) {
		t.after(c, saveEvery, tickSave)
	}
	t.cfg.emit.Tell(Event{Kind: PeerConnected, Hash: t.cfg.hash, Addr: p.addr})
}

// unwelcome says why a peer that has shaken hands must go.
func (t *torrent) unwelcome(c *actor.Ctx[torrentMsg], p *peerEntry) error {
	switch {
	case p.remote == t.cfg.ourID:
		t.swarm.book.isSelf(p.dial)
		return errSelf
	case t.blame.isBanned(p.addr, p.remote):
		t.swarm.book.remove(p.dial)
		return errBanned
	}
	for _, q := range t.swarm.list {
		if q != p && q.live && !q.gone && q.remote == p.remote {
			return t.settleTwice(c.Now(), q, p)
		}
	}
	// One that has not shaken hands may be the same peer's: it is judged when it has.
	if t.takenIP(p.addr.Addr(), func(q *peerEntry) bool { return q != p && q.live }) {
		return errTwice
	}
	return nil
}

// bothDialing is how long after a connection was made another one to the same peer
// can have been begun at the same time.
const bothDialing = dialTime + handshakeTime

// settleTwice chooses between two connections to the same peer. When both ends dial
// each other at once, both must keep the same one: the one that the smaller peer id
// has made. Otherwise the old one stays.
func (t *torrent) settleTwice(now actor.Time, old, fresh *peerEntry) error {
	mine := string(t.cfg.ourID[:]) < string(fresh.remote[:])
	if old.incoming != fresh.incoming && fresh.incoming != mine && now < old.since.Add(bothDialing) {
		fresh.inherit(old)
		t.drop(old, errTwice)
		return nil
	}
	old.inherit(fresh)
	return errTwice
}

// inherit takes over where the same peer listens: it is not to be dialed again while
// it is connected.
func (p *peerEntry) inherit(from *peerEntry) {
	if !p.dial.IsValid() {
		p.dial = from.dial
	}
}

// drop tells a peer to go. Its leases are over at once: nothing that still comes
// from it counts.
func (t *torrent) drop(p *peerEntry, why error) {
	if p.gone {
		return
	}
	t.rememberParted(p, why)
	p.gone = true
	t.swarm.leaving++
	t.release(p)
	p.child.Stop(why)
}

// release takes a peer out of everything but the list of connections.
func (t *torrent) release(p *peerEntry) {
	t.setWaiting(p, false)
	if p.live {
		t.swarm.live--
		t.exchange.changed(p)
	}
	if p.seed {
		t.swarm.book.isSeed(p.dial)
	}
	t.uncountPeer(p)
	p.has = nil
	t.disownAll(p)
	t.endLeases(p)
	if t.fetch.f != nil {
		t.fetch.f.gone(p.id)
	}
	if p.state.down > 0 || p.informed {
		t.blame.leave(p.sender())
	}
	t.choke.forget(p)
	t.choke.due = true
}

// onPeerDown is the end of a connection, or of the try to make one.
func (t *torrent) onPeerDown(c *actor.Ctx[torrentMsg], m peerDown) {
	p := t.swarm.byID[m.peer]
	if p == nil {
		return
	}
	if p.gone {
		t.swarm.leaving--
	} else {
		p.gone = true
		t.release(p)
	}
	delete(t.swarm.byID, p.id)
	t.swarm.list = slices.DeleteFunc(t.swarm.list, func(q *peerEntry) bool { return q == p })
	t.noteAddress(c.Now(), p, m.exit.Err)
	hint := ""
	if p.dialing {
		hint = t.cfg.ways.hint(wayFailureOf(m.exit.Err))
		t.dialEnded(c, p, false)
	} else {
		t.cfg.governor.Tell(lostPeer{c.ID()})
	}
	t.cfg.governor.Tell(peerLeft{c.ID(), p.child.Ref.ID()})
	for _, a := range t.alternatives(p) {
		t.swarm.book.add(a, SourcePEX)
	}
	t.swarm.nextDial = c.Now()
	if p.live {
		t.cfg.emit.Tell(Event{Kind: PeerGone, Hash: t.cfg.hash, Addr: p.addr, Err: m.exit.Err})
	} else if m.exit.Err != nil {
		t.swarm.noteFailure(failureOf(p.addr, m.exit.Err) + hint)
	}
	t.maybeEnd(c)
}

// dropAll ends every connection.
func (t *torrent) dropAll(why error) {
	for _, p := range t.swarm.list {
		t.drop(p, why)
	}
}

// dropSeeds ends the connections that serve nobody: both sides have everything.
func (t *torrent) dropSeeds() {
	for _, p := range t.swarm.list {
		if !p.gone {
			t.parted(p)
		}
	}
}

func (t *torrent) onLimitsChanged(m limitsChanged) {
	t.choke.upCap = m.upCap
	if t.swarm.limits == m.lim {
		return
	}
	t.swarm.limits = m.lim
	for _, p := range t.swarm.list {
		if !p.gone {
			p.child.Ref.Notify(rates{m.lim})
		}
	}
}
