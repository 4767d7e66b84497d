package engine

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
)

// Errors of a session.
var (
	ErrExists  = errors.New("torrent already there")
	ErrUnknown = errors.New("no such torrent")
	ErrSSL     = errors.New("an SSL torrent: these come with a later version")
	ErrV2      = errors.New("a v2-only torrent: downloading these comes with a later version")
)

// errStranger: a connection that came in wants a torrent that we don't have.
var errStranger = errors.New("no such torrent here")

// session is the actor that owns the set of torrents and the listening, and routes
// connections that come in.
type session struct {
	cfg      Config
	deps     Deps
	emit     actor.Ref[Event]
	governor actor.Ref[governorMsg]
	ourID    [20]byte
	key      uint32
	self     actor.Inlet[sessionMsg]

	torrents map[metainfo.Hash]*member
	order    []*member // the same, in order of arrival
	byWire   map[[20]byte]*member
	nextID   storage.ID

	doors   doors        // session_listen.go
	early   []add        // came before the listening: they need to know the port
	votes   addressVotes // what peers say our address is
	find    finding      // session_finders.go
	crowded bool
	closing bool
}

// member is a torrent of the session.
type member struct {
	child   actor.Child[torrentMsg]
	t       *Torrent
	wire    [][20]byte // the keys in byWire that are its own
	removed []actor.Ref[error]
}

func newSession(deps Deps, cfg Config, gov actor.Ref[governorMsg], emit actor.Ref[Event]) *session {
	return &session{cfg: cfg, deps: deps, governor: gov, emit: emit,
		torrents: map[metainfo.Hash]*member{}, byWire: map[[20]byte]*member{}}
}

// Start draws the session's identity.
func (s *session) Start(c *actor.Ctx[sessionMsg]) {
	copy(s.ourID[:], peerIDPrefix)
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := len(peerIDPrefix); i < len(s.ourID); i++ {
		s.ourID[i] = digits[c.Rand().IntN(len(digits))]
	}
	s.key = c.Rand().Uint32()
	s.governor.Tell(serveSession{c.Self()})
}

// Handle is the map of a session.
func (s *session) Handle(c *actor.Ctx[sessionMsg], m sessionMsg) {
	switch m := m.(type) {
	case open:
		s.onOpen(c, m)
	case bound:
		s.onBound(c, m)
	case whereBound:
		s.onWhereBound(m)
	case add:
		s.onAdd(c, m)
	case knock:
		s.onKnock(m)
	case list:
		s.onList(m)
	case remove:
		s.onRemove(m)
	case crowded:
		s.crowded = m.on
	case learned:
		s.onLearned(m)
	case voted:
		s.onVoted(m)
	case sources:
		s.onSources(m)
	case askDHT:
		m.reply.Tell(s.find.child.Inlet)
	case startFinders:
		s.startFinders(c)
	case findersGone:
		s.onFindersGone(c)
	case torrentDown:
		s.onTorrentDown(c, m)
	case closeAll:
		s.onCloseAll(c, m)
	default:
		panic(fmt.Sprintf("session: unknown message %T", m))
	}
}

// Stop answers everybody who still waits.
func (s *session) Stop(c *actor.Ctx[sessionMsg], _ error) {
	for _, m := range s.order {
		for _, r := range m.removed {
			r.Tell(ErrClosed)
		}
	}
	for _, r := range s.doors.askers {
		r.Tell(boundTo{err: ErrClosed})
	}
	for _, a := range s.early {
		a.reply.Tell(added{nil, ErrClosed})
	}
}

func (s *session) onOpen(c *actor.Ctx[sessionMsg], m open) {
	s.self = m.self
	if !m.listen || len(s.deps.Transports) == 0 {
		s.startFinders(c)
		return
	}
	s.listenNext(c)
}

// onAdd makes a torrent's actor.
func (s *session) onAdd(c *actor.Ctx[sessionMsg], m add) {
	if s.doors.opening && !s.closing && len(s.early) < maxEarly {
		s.early = append(s.early, m)
		return
	}
	t, err := s.makeTorrent(c, &m.opt)
	m.reply.Tell(added{t, err})
}

// hashOf is what a torrent is known by, or why it can't be added.
func (s *session) hashOf(opt *AddOptions) (metainfo.Hash, error) {
	var hash metainfo.Hash
	switch {
	case s.closing:
		return hash, ErrClosed
	case opt.Torrent != nil:
		hash = opt.Torrent.Hash
	case opt.Magnet != nil:
		hash = opt.Magnet.Hash
	default:
		return hash, errors.New("engine: neither AddOptions.Torrent nor Magnet")
	}
	switch {
	case s.there(hash) != nil:
		return hash, fmt.Errorf("%w: %v", ErrExists, hash)
	case opt.Torrent != nil:
		return hash, acceptable(opt.Torrent)
	case !hash.HasV1:
		return hash, ErrV2
	}
	return hash, nil
}

// there returns the torrent that any of the hashes names, or nil.
func (s *session) there(hash metainfo.Hash) *member {
	for _, w := range hash.Wire() {
		if m := s.byWire[w]; m != nil {
			return m
		}
	}
	return nil
}

func (s *session) makeTorrent(c *actor.Ctx[sessionMsg], opt *AddOptions) (*Torrent, error) {
	hash, err := s.hashOf(opt)
	if err != nil {
		if errors.Is(err, ErrExists) && opt.Torrent == nil && len(opt.Magnet.Select) > 0 {
			s.there(hash).child.Ref.Offer(alsoSelect{opt.Magnet.Select})
		}
		return nil, err
	}
	s.nextID++
	mem := &member{t: &Torrent{hash: hash, governor: s.governor, session: s.self, disk: s.deps.Disk, store: s.nextID}}
	mem.t.meta.Store(opt.Torrent)
	cfg := s.torrentConfig(opt)
	cfg.hash, cfg.session = hash, c.Self()
	cfg.publish = actor.FuncRef(mem.t.meta.Store)
	a, err := newTorrent(cfg)
	if err != nil {
		return nil, err
	}
	// Before the torrent can say anything itself.
	s.emit.Tell(Event{Kind: TorrentAdded, Hash: hash, Path: opt.Dir})
	mem.child = actor.Spawn(c, actor.Spec{Name: "torrent", Limit: torrentLimit(cfg.caps), Pump: commandWindow}, a,
		func(e actor.Exit) sessionMsg { return torrentDown{hash, e} })
	mem.t.in, mem.t.id = mem.child.Inlet, mem.child.Ref.ID()
	s.torrents[hash] = mem
	s.order = append(s.order, mem)
	s.route(mem, hash)
	return mem.t, nil
}

// route lets connections that ask for any of the hashes find the torrent.
func (s *session) route(mem *member, hash metainfo.Hash) {
	for _, w := range hash.Wire() {
		if s.byWire[w] == nil {
			s.byWire[w] = mem
			mem.wire = append(mem.wire, w)
			if s.deps.Keys != nil {
				s.deps.Keys.Add(keyOf(w))
			}
		}
	}
}

// keyOf is the hash that goes by one key on the wire.
func keyOf(wire [20]byte) metainfo.Hash { return metainfo.Hash{V1: wire, HasV1: true} }

// onLearned routes by the other hash of a hybrid as well, once that is known.
func (s *session) onLearned(m learned) {
	if mem := s.torrents[m.hash]; mem != nil {
		s.route(mem, m.whole)
	}
}

func (s *session) torrentConfig(opt *AddOptions) torrentConfig {
	caps := s.cfg.Caps.withDefaults()
	if opt.MaxPeers > 0 {
		caps.TorrentPeers = opt.MaxPeers
	}
	cfg := torrentConfig{
		deps: s.deps, governor: s.governor, emit: s.emit,
		store: s.nextID, dir: opt.Dir, options: opt.Storage, ourID: s.ourID, version: s.cfg.Version,
		port: s.port(), key: s.key, picker: orString(opt.Picker, picker.Default), choker: orString(opt.Choker, choker.Default),
		caps: caps, limits: opt.Limits, paused: opt.Paused, seedOnly: opt.SeedOnly, perIP: !s.cfg.ManyPerIP,
		ways: waysOf(s.cfg.Encryption, len(s.deps.Transports)), methods: s.cfg.Encryption.Methods(),
		private: opt.Private, noPEX: opt.NoPEX || s.cfg.NoPEX,
		noDHT: opt.NoDHT || s.cfg.NoDHT, noLSD: opt.NoLSD || s.cfg.NoLSD, sources: s.find.at,
	}
	if opt.Torrent != nil {
		cfg.meta, cfg.lengths = opt.Torrent, opt.Torrent.Lengths
	} else {
		cfg.magnet, cfg.choose = opt.Magnet, opt.Choose
		cfg.peers = append(cfg.peers, found{literal(opt.Magnet.Peers), SourceMagnet})
	}
	if opt.NoTrackers {
		cfg.trackers = [][]string{}
	} else {
		cfg.given = opt.Trackers
	}
	if len(opt.Peers) > 0 {
		cfg.peers = append(cfg.peers, found{opt.Peers, SourceUser})
	}
	return cfg
}

// literal are the addresses among hosts that are no names.
func literal(hosts []metainfo.HostPort) (out []netip.AddrPort) {
	for _, h := range hosts {
		if ip, err := netip.ParseAddr(h.Host); err == nil {
			out = append(out, netip.AddrPortFrom(ip.Unmap(), h.Port))
		}
	}
	return out
}

func orString(v, d string) string {
	if v == "" {
		return d
	}
	return v
}

// onKnock routes a connection to the torrent that it wants.
func (s *session) onKnock(m knock) {
	mem := s.byWire[m.Handshake.InfoHash]
	if mem == nil || s.closing {
		m.Link.Close(errStranger)
		return
	}
	mem.child.Ref.Offer(arrived{m.Accepted, s.crowded})
}

func (s *session) onList(m list) {
	out := make([]*Torrent, len(s.order))
	for i, mem := range s.order {
		out[i] = mem.t
	}
	m.reply.Tell(out)
}

func (s *session) onRemove(m remove) {
	mem := s.torrents[m.hash]
	if mem == nil {
		m.reply.Tell(ErrUnknown)
		return
	}
	mem.removed = append(mem.removed, m.reply)
	mem.child.Ref.Tell(finish{limit: m.limit, remove: !m.keep, data: m.data})
}

func (s *session) onTorrentDown(c *actor.Ctx[sessionMsg], m torrentDown) {
	mem := s.torrents[m.hash]
	if mem == nil {
		return
	}
	delete(s.torrents, m.hash)
	for _, w := range mem.wire {
		delete(s.byWire, w)
		if s.deps.Keys != nil {
			s.deps.Keys.Remove(keyOf(w))
		}
	}
	for i, x := range s.order {
		if x == mem {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	s.find.child.Ref.Tell(turnOver{mem.t.id})
	if m.exit.Err != nil { // it may not have said good-bye, after a crash
		s.governor.Tell(leave{mem.t.id})
		s.deps.Disk.Tell(storage.Close{ID: mem.t.store})
	}
	s.emit.Tell(Event{Kind: TorrentRemoved, Hash: m.hash, Err: m.exit.Err})
	for _, r := range mem.removed {
		r.Tell(m.exit.Err)
	}
	s.maybeEnd(c)
}

func (s *session) onCloseAll(c *actor.Ctx[sessionMsg], m closeAll) {
	if s.closing {
		return
	}
	s.closing = true
	for _, t := range s.deps.Transports {
		t.Close()
	}
	early := s.early
	s.early = nil
	for _, a := range early {
		a.reply.Tell(added{nil, ErrClosed})
	}
	for _, mem := range s.order {
		mem.child.Ref.Tell(finish{limit: m.limit})
	}
	s.maybeEnd(c)
}

func (s *session) maybeEnd(c *actor.Ctx[sessionMsg]) {
	if s.closing && len(s.torrents) == 0 {
		c.Quit(nil)
	}
}
