package engine

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// testTorrent is a torrent in a simulated world of its own. Its peers, storage,
// governor and trackers are the test's. Tests are dialogues:
//
//	tt.peer("a", 0, 1)
//	tt.need("a", 10)
//	tt.want("a", "whole pieces, one after the other", "ask 0:0+4", "ask 1:0+4")
//	tt.deliver("a", "0:0+4")
//	tt.pieceOK(0)
//
// Blocks are written PIECE:BLOCK+COUNT. After every turn the torrent's own counts are
// checked; when the test ends it must end, too, with every slot back.
type testTorrent struct {
	t     testing.TB
	w     *sim.World
	cfg   torrentConfig
	slab  *block.Slab
	child actor.Child[torrentMsg]
	tor   *torrent
	exit  *actor.Exit

	heard   map[string][]string // by neighbour, since the test looked last
	members map[string]*fakePeer
	byAddr  map[netip.AddrPort]string
	disk    fakeDisk
	dials   int32 // granted at once; the rest waits
	nobody  bool  // trackers do not answer
	unknown bool  // of peers no piece has been verified; otherwise they have proved themselves
}

// fakeDisk is storage.
type fakeDisk struct {
	reply   actor.Ref[storage.Answer]
	opened  storage.Opened // the answer to Open
	lookErr error          // of Look
	noLook  bool           // Look is not answered
	marks   map[metainfo.PieceIndex]map[int]uint64
	judge   bool // pieces are judged by their blocks' marks, at once
	manual  bool // commands wait for tt.done
	wait    []uint64
	delay   time.Duration // of verdicts
}

// ttPieces pieces of four blocks, the last one of two and a half.
const (
	ttPieces   = 10
	ttPieceLen = 4 * block.Size
	ttTotal    = (ttPieces-1)*ttPieceLen + 2*block.Size + block.Size/2
)

var ttOurID = [20]byte([]byte("-SQ0100-mmmmmmmmmmmm"))

// newTestTorrent makes a torrent whose storage is open and empty. change may alter
// anything before it starts.
func newTestTorrent(t testing.TB, change ...func(*testTorrent)) *testTorrent {
	t.Helper()
	tt := &testTorrent{t: t, w: sim.NewWorld(sim.Config{Seed: 1}), slab: block.NewPhantomSlab(64 << 20),
		heard: map[string][]string{}, members: map[string]*fakePeer{}, byAddr: map[netip.AddrPort]string{}, dials: 100}
	tt.disk.marks = map[metainfo.PieceIndex]map[int]uint64{}
	tt.cfg = torrentConfig{
		governor: actor.FuncRef(tt.onGovernor), emit: actor.FuncRef(tt.onEvent), meta: ttMeta(t, ttTotal, ttPieceLen),
		store: 5, dir: "/downloads", ourID: ttOurID, version: "shoal test", port: 6881, key: 9,
		picker: "sequential", choker: "tit-for-tat", caps: Caps{}.withDefaults(), perIP: true,
		peerActor: tt.newFakePeer,
	}
	for _, f := range change {
		f(tt)
	}
	if tt.cfg.meta != nil {
		tt.cfg.lengths = tt.cfg.meta.Lengths
	}
	tt.cfg.deps = Deps{World: tt.w, Slab: tt.slab, Disk: actor.FuncRef(tt.onDisk), Trackers: ttTrackers{tt},
		Transports: []transport.Transport{ttTransport{}}}
	tor, err := newTorrent(tt.cfg)
	if err != nil {
		t.Fatal(err)
	}
	tt.tor = tor
	tt.child = actor.Root(tt.w, actor.Spec{Name: "torrent", Limit: torrentLimit(tt.cfg.caps), Pump: commandWindow}, tor,
		func(e actor.Exit) { tt.exit = &e })
	t.Cleanup(tt.end)
	tt.settle()
	return tt
}

// ttMeta describes one file, whose pieces nobody hashes.
func ttMeta(t testing.TB, total, pieceLen int64) *metainfo.Torrent {
	t.Helper()
	n := (total + pieceLen - 1) / pieceLen
	m, err := (&metainfo.Builder{Name: "file", Length: total, PieceLength: pieceLen, Pieces: make([]byte, 20*n)}).Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// leeching starts a torrent, forgetting how it began.
func leeching(t testing.TB, change ...func(*testTorrent)) *testTorrent {
	t.Helper()
	tt := newTestTorrent(t, change...)
	tt.forget()
	return tt
}

// having lets pieces be on disk from the beginning; all if there are none.
func having(pieces ...int32) func(*testTorrent) {
	return func(tt *testTorrent) { tt.disk.opened.Have = setOf(tt.cfg.meta.Lengths.Pieces(), pieces...) }
}

// setOf makes a set of these pieces, of all if there are none.
func setOf(n int32, pieces ...int32) *bits.Set {
	s := bits.New(n)
	if len(pieces) == 0 {
		s.SetAll()
	}
	for _, i := range pieces {
		s.Set(i)
	}
	return &s
}

// settle lets everything happen that happens at this instant.
func (tt *testTorrent) settle() { tt.t.Helper(); tt.pass(0) }

// pass lets time pass.
func (tt *testTorrent) pass(d time.Duration) {
	tt.t.Helper()
	tt.w.Run(tt.w.Now().Add(d))
	tt.checkNow()
}

func (tt *testTorrent) checkNow() {
	tt.t.Helper()
	if err := tt.w.Err(); err != nil {
		tt.t.Fatal(err)
	}
	if tt.exit == nil {
		if err := tt.tor.sound(); err != nil {
			tt.t.Fatal(err)
		}
	}
}

func (tt *testTorrent) say(who, format string, args ...any) {
	tt.heard[who] = append(tt.heard[who], fmt.Sprintf(format, args...))
}

// want compares all that a neighbour has heard since the test looked last.
func (tt *testTorrent) want(who, why string, lines ...string) {
	tt.t.Helper()
	tt.settle()
	got := tt.heard[who]
	delete(tt.heard, who)
	if !slices.Equal(got, lines) {
		tt.t.Fatalf("%s: %s:\n got  %s\n want %s", who, why, strings.Join(got, ", "), strings.Join(lines, ", "))
	}
}

// wantIdle: nobody of these has heard anything.
func (tt *testTorrent) wantIdle(why string, who ...string) {
	tt.t.Helper()
	for _, name := range who {
		tt.want(name, why)
	}
}

// has reports whether a neighbour has heard a line that begins like this, and
// forgets what it has heard.
func (tt *testTorrent) has(who, prefix string) bool {
	tt.t.Helper()
	tt.settle()
	got := tt.heard[who]
	delete(tt.heard, who)
	return slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// forget looks away from all that has happened.
func (tt *testTorrent) forget() {
	tt.t.Helper()
	tt.settle()
	clear(tt.heard)
}

// tell sends the torrent a message.
func (tt *testTorrent) tell(m torrentMsg) {
	tt.t.Helper()
	tt.child.Ref.Tell(m)
	tt.settle()
}

// ask sends a command and returns its answer, which must come at once.
func (tt *testTorrent) ask(m func(actor.Ref[error]) torrentMsg) error {
	tt.t.Helper()
	answer := tt.begin(m)
	tt.settle()
	if len(*answer) != 1 {
		tt.t.Fatalf("%T: %d answers", m(actor.Ref[error]{}), len(*answer))
	}
	return (*answer)[0]
}

// begin sends a command whose answers are collected.
func (tt *testTorrent) begin(m func(actor.Ref[error]) torrentMsg) *[]error {
	tt.t.Helper()
	var answers []error
	tt.child.Ref.Tell(m(actor.FuncRef(func(err error) { answers = append(answers, err) })))
	tt.settle()
	return &answers
}

func (tt *testTorrent) stats() TorrentStats { return tt.tor.stats(tt.w.Now()) }

// end finishes the torrent and looks for what it has left behind.
func (tt *testTorrent) end() {
	if tt.t.Failed() {
		return
	}
	if tt.exit == nil {
		tt.tell(finish{})
	}
	if tt.exit == nil {
		tt.t.Error("the torrent has not ended")
	}
	if n := tt.slab.Used(); n != 0 {
		tt.t.Errorf("%d slots are not back", n)
	}
}

// ---- peers

// fakePeer is one connection's actor: it does what the test says.
type fakePeer struct {
	tt       *testTorrent
	name     string
	cfg      peerConfig
	child    actor.Ref[peerMsg]
	dialing  bool
	told     stance
	haves    int
	out      []blockRef // asked for and not delivered
	state    peerState
	model    *modelPeer
	hasEnded bool
}

type fakeQuit struct{ why error }

func (fakeQuit) peerMsg() {}

func (tt *testTorrent) newFakePeer(cfg peerConfig) actor.Actor[peerMsg] {
	name := tt.byAddr[cfg.addr]
	if name == "" {
		name = cfg.addr.String()
	}
	p := &fakePeer{tt: tt, name: name, cfg: cfg, dialing: cfg.link == nil}
	p.haves = len(cfg.log)
	tt.members[name] = p
	return p
}

// Start notes the peer's address.
func (p *fakePeer) Start(c *actor.Ctx[peerMsg]) { p.child = c.Self() }

// Handle notes what the torrent says.
func (p *fakePeer) Handle(c *actor.Ctx[peerMsg], m peerMsg) {
	switch m := m.(type) {
	case begin:
		if p.dialing {
			p.tt.say(p.name, "dial %v", m.dial.Addr)
		}
	case *assignment:
		p.onAssignment(m)
	case stance:
		p.onStance(m)
	case haves:
		for _, i := range m.log[p.haves:] {
			p.tt.say(p.name, "have %d", i)
		}
		p.haves = len(m.log)
	case tellPEX:
		p.tt.say(p.name, "%s", p.tt.pexLine(m.payload))
	case rates:
		p.tt.say(p.name, "limited %v %v", m.lim.down, m.lim.up)
	case askMetadata:
		p.tt.say(p.name, "ask metadata %v", m.pieces)
	case known:
		p.tt.say(p.name, "known %d", m.lengths.Pieces())
	case pexAllowed:
		p.tt.say(p.name, "pex %v", m.on)
	case fakeQuit:
		c.Quit(m.why)
	}
}

// Stop notes why.
func (p *fakePeer) Stop(_ *actor.Ctx[peerMsg], why error) {
	p.hasEnded = true
	p.tt.say(p.name, "end: %v", why)
}

func (p *fakePeer) onAssignment(a *assignment) {
	if len(a.runs) > 0 {
		p.state.assigned++
		p.state.need, p.state.needFast = 0, 0
	}
	for _, r := range a.runs {
		p.tt.say(p.name, "ask %s", r)
		p.out = append(p.out, r.blocks()...)
	}
	for _, b := range a.cancels {
		p.tt.say(p.name, "cancel %d:%d", b.piece, b.block)
		p.out = slices.DeleteFunc(p.out, func(x blockRef) bool { return x == b })
	}
	assignments.Put(a)
	if p.model != nil {
		p.model.work()
	}
}

func (p *fakePeer) onStance(s stance) {
	for _, x := range []struct {
		was, is bool
		yes, no string
	}{
		{p.told.interested, s.interested, "interested", "not interested"},
		{p.told.unchoke, s.unchoke, "unchoke", "choke"},
		{p.told.noRequests, s.noRequests, "hold", "go on"},
	} {
		if x.is && !x.was {
			p.tt.say(p.name, "%s", x.yes)
		} else if x.was && !x.is {
			p.tt.say(p.name, "%s", x.no)
		}
	}
	p.told = s
}

func (r run) String() string { return fmt.Sprintf("%d:%d+%d", r.piece, r.first, r.n) }

func (r run) blocks() (out []blockRef) {
	for i := range r.n {
		out = append(out, blockRef{r.piece, r.first + metainfo.BlockIndex(i)})
	}
	return out
}

// runsOf reads "PIECE:BLOCK+COUNT" and "PIECE:BLOCK".
func runsOf(t testing.TB, texts ...string) (out []blockRef) {
	t.Helper()
	for _, s := range texts {
		r := run{n: 1}
		if n, _ := fmt.Sscanf(s, "%d:%d+%d", &r.piece, &r.first, &r.n); n < 2 {
			t.Fatalf("%q names no blocks", s)
		}
		out = append(out, r.blocks()...)
	}
	return out
}

// at gives a peer an address that is its own, and public. Names of one letter.
func (tt *testTorrent) at(name string) netip.AddrPort {
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{45, 13, name[0], 7}), 6881)
	for a, n := range tt.byAddr {
		if n == name {
			addr = a
		}
	}
	tt.byAddr[addr] = name
	return addr
}

// place puts a peer at an address, where it was before it is not any more.
func (tt *testTorrent) place(name, addr string) {
	maps.DeleteFunc(tt.byAddr, func(_ netip.AddrPort, n string) bool { return n == name })
	tt.byAddr[netip.MustParseAddrPort(addr)] = name
}

// id is the peer id of a peer: by default in the order of the names.
func ttID(name string) [20]byte { return [20]byte([]byte(fmt.Sprintf("-RM0001-%012s", name))) }

// fakeLink is a connection that has come in.
type fakeLink struct {
	tt   *testTorrent
	name string
	addr netip.AddrPort
}

func (l *fakeLink) Bind(actor.Inlet[transport.Event]) {}
func (l *fakeLink) Send(b *transport.Batch)           { b.Release() }
func (l *fakeLink) Allow(int64)                       {}
func (l *fakeLink) Close(why error)                   { l.tt.say(l.name, "refused: %v", why) }
func (l *fakeLink) Info() transport.Info {
	return transport.Info{Transport: "test", Remote: l.addr, Incoming: true}
}

// knock is a connection that comes in; the handshake is not yet complete.
func (tt *testTorrent) knock(name string, crowded ...bool) {
	tt.t.Helper()
	link := &fakeLink{tt, name, tt.at(name)}
	tt.tell(arrived{transport.Accepted{Link: link, Handshake: wire.Handshake{PeerID: ttID(name)}}, len(crowded) > 0})
}

// shake completes a peer's handshake.
func (tt *testTorrent) shake(name string) {
	tt.t.Helper()
	tt.shakeAs(name, ttID(name))
}

func (tt *testTorrent) shakeAs(name string, id [20]byte) {
	tt.t.Helper()
	p := tt.members[name]
	p.dialing = false
	tt.report(name, func(r *report) { r.shook = &shook{id: id, fast: true, incoming: p.cfg.link != nil, addr: p.cfg.addr} })
	if e := tt.tor.swarm.byID[p.cfg.id]; e != nil {
		e.proven = !tt.unknown
	}
}

// peer is a connection that has come in, of a peer that has these pieces and does not
// choke us.
func (tt *testTorrent) peer(name string, pieces ...int32) *fakePeer {
	tt.t.Helper()
	tt.knock(name)
	tt.shake(name)
	if len(pieces) > 0 {
		tt.report(name, func(r *report) { r.has = setOf(tt.cfg.lengths.Pieces(), pieces...) })
	}
	return tt.members[name]
}

// seed is a peer that has everything.
func (tt *testTorrent) seed(name string) *fakePeer {
	tt.t.Helper()
	tt.peer(name)
	tt.report(name, func(r *report) { r.has = setOf(tt.cfg.lengths.Pieces()) })
	return tt.members[name]
}

// report is what one turn of a peer tells.
func (tt *testTorrent) report(name string, change func(*report)) {
	tt.t.Helper()
	p := tt.members[name]
	r := reports.Get()
	r.peer, r.state = p.cfg.id, p.state
	change(r)
	p.state = r.state
	p.cfg.torrent.Tell(r)
	tt.settle()
}

// state changes what a peer says of itself.
func (tt *testTorrent) state(name string, change func(*peerState)) {
	tt.t.Helper()
	tt.report(name, func(r *report) { change(&r.state) })
}

// need is a peer's offer to ask for n more blocks.
func (tt *testTorrent) need(name string, n int32) {
	tt.t.Helper()
	tt.state(name, func(s *peerState) { s.need = n })
}

// have is a peer that has got a piece.
func (tt *testTorrent) have(name string, pieces ...metainfo.PieceIndex) {
	tt.t.Helper()
	tt.report(name, func(r *report) { r.haves = append(r.haves, pieces...) })
}

// deliver brings blocks, lie brings bad ones.
func (tt *testTorrent) deliver(name string, blocks ...string) {
	tt.t.Helper()
	tt.bring(name, 0, runsOf(tt.t, blocks...))
}

func (tt *testTorrent) lie(name string, blocks ...string) {
	tt.t.Helper()
	tt.bring(name, 666, runsOf(tt.t, blocks...))
}

func (tt *testTorrent) bring(name string, mark uint64, blocks []blockRef) {
	tt.t.Helper()
	tt.report(name, func(r *report) { tt.members[name].bring(r, mark, blocks) })
}

func (p *fakePeer) bring(r *report, mark uint64, blocks []blockRef) {
	for _, ref := range blocks {
		b := p.tt.slab.Lease()
		if b == nil {
			p.tt.t.Fatal("the slab is full")
			return
		}
		b.SetLen(int(p.cfg.lengths.BlockLen(ref.piece, ref.block)))
		b.Mark = mark
		r.blocks = append(r.blocks, storage.Entry{Piece: ref.piece, Block: ref.block, Data: b})
		r.state.down += int64(b.Len())
		p.out = slices.DeleteFunc(p.out, func(x blockRef) bool { return x == ref })
	}
}

// giveBack ends leases without a block.
func (tt *testTorrent) giveBack(name string, blocks ...string) {
	tt.t.Helper()
	refs := runsOf(tt.t, blocks...)
	p := tt.members[name]
	p.out = slices.DeleteFunc(p.out, func(x blockRef) bool { return slices.Contains(refs, x) })
	tt.report(name, func(r *report) { r.back = append(r.back, refs...) })
}

// leave ends a connection from the other side.
func (tt *testTorrent) leave(name string, why error) {
	tt.t.Helper()
	tt.members[name].child.Tell(fakeQuit{why})
	tt.settle()
}

// ---- storage

// onDisk is storage.
func (tt *testTorrent) onDisk(m storage.Message) {
	switch m := m.(type) {
	case storage.Open:
		tt.onOpen(m)
	case *storage.Blocks:
		tt.onBlocks(m)
	case storage.Sum:
		tt.say("disk", "sum %d", m.Piece)
	case storage.Stall:
		tt.say("disk", "stall")
	case storage.Verify:
		if m.Pieces == nil {
			tt.say("disk", "verify all")
		} else {
			tt.say("disk", "verify %v", slices.Collect(m.Pieces.All()))
		}
	case storage.Select:
		tt.say("disk", "select %v", m.Priority)
		tt.done(m.Cookie)
	case storage.Move:
		tt.say("disk", "move %s", m.Dir)
		tt.done(m.Cookie)
	case storage.Rename:
		tt.say("disk", "rename %d %s", m.File, m.Path)
		tt.done(m.Cookie)
	case storage.Save:
		tt.say("disk", "save")
		tt.disk.opened.Saved = m.Value
		tt.done(m.Cookie)
	case storage.Look:
		if tt.disk.noLook {
			return
		}
		tt.w.After(0, func() { tt.disk.reply.Tell(storage.Done{Cookie: m.Cookie, Err: tt.disk.lookErr}) })
	case storage.Sync:
		tt.say("disk", "sync")
		tt.done(m.Cookie)
	case storage.Close:
		tt.onClose(m)
	}
}

func (tt *testTorrent) onOpen(m storage.Open) {
	tt.say("disk", "open%s", map[bool]string{true: " check"}[m.Options.Check])
	tt.disk.reply = m.Reply
	a := tt.disk.opened
	if a.Have == nil {
		none := bits.New(m.Info.Lengths.Pieces())
		a.Have = &none
	}
	tt.w.After(0, func() { m.Reply.Tell(a) })
}

func (tt *testTorrent) onClose(m storage.Close) {
	what := "close"
	if m.Delete {
		what += " delete"
	}
	if m.Forget {
		what += " forget"
	}
	tt.say("disk", "%s", what)
	tt.w.After(0, func() {
		for _, k := range tt.disk.wait {
			tt.disk.reply.Tell(storage.Done{Cookie: k})
		}
		tt.disk.reply.Tell(storage.Closed{})
	})
}

func (tt *testTorrent) done(cookie uint64) {
	if tt.disk.manual {
		tt.disk.wait = append(tt.disk.wait, cookie)
		return
	}
	tt.w.After(0, func() { tt.disk.reply.Tell(storage.Done{Cookie: cookie}) })
}

// onBlocks takes blocks, each at most once a piece's life.
func (tt *testTorrent) onBlocks(m *storage.Blocks) {
	for _, e := range m.Entries {
		marks := tt.disk.marks[e.Piece]
		if marks == nil {
			marks = map[int]uint64{}
			tt.disk.marks[e.Piece] = marks
		}
		if _, twice := marks[int(e.Block)]; twice {
			tt.t.Errorf("block %d:%d came twice", e.Piece, e.Block)
		}
		marks[int(e.Block)] = e.Data.Mark
		tt.say("disk", "block %d:%d", e.Piece, e.Block)
		if tt.disk.judge && int32(len(marks)) == tt.cfg.lengths.Blocks(e.Piece) {
			tt.w.After(tt.disk.delay, func() { tt.verdict(e.Piece) })
		}
	}
	m.Drop()
}

// verdict judges a piece by its blocks' marks.
func (tt *testTorrent) verdict(piece metainfo.PieceIndex) {
	sums, good := tt.sumsOf(piece), true
	for _, s := range sums {
		good = good && s == goodSum
	}
	delete(tt.disk.marks, piece)
	if good {
		tt.disk.reply.Tell(storage.PieceDone{Piece: piece, OK: true})
	} else {
		tt.disk.reply.Tell(storage.PieceDone{Piece: piece, Sums: sums})
	}
}

// goodSum stands for the fingerprint of a good block.
const goodSum = 1000

func (tt *testTorrent) sumsOf(piece metainfo.PieceIndex) []uint64 {
	sums := make([]uint64, tt.cfg.lengths.Blocks(piece))
	for i := range sums {
		sums[i] = goodSum + tt.disk.marks[piece][i]
	}
	return sums
}

// answer is storage saying something.
func (tt *testTorrent) answer(a storage.Answer) {
	tt.t.Helper()
	tt.disk.reply.Tell(a)
	tt.settle()
}

// pieceOK and pieceBad are storage's verdicts.
func (tt *testTorrent) pieceOK(pieces ...metainfo.PieceIndex) {
	tt.t.Helper()
	for _, i := range pieces {
		delete(tt.disk.marks, i)
		tt.answer(storage.PieceDone{Piece: i, OK: true})
	}
}

func (tt *testTorrent) pieceBad(piece metainfo.PieceIndex) {
	tt.t.Helper()
	sums := tt.sumsOf(piece)
	delete(tt.disk.marks, piece)
	tt.answer(storage.PieceDone{Piece: piece, Sums: sums})
}

// goodSums answers a Sum: the verified piece's blocks.
func (tt *testTorrent) goodSums(piece metainfo.PieceIndex) {
	tt.t.Helper()
	sums := make([]uint64, tt.cfg.lengths.Blocks(piece))
	for i := range sums {
		sums[i] = goodSum
	}
	tt.answer(storage.Sums{Piece: piece, Sums: sums})
}

// ---- governor, events, trackers

// onGovernor is the governor, who grants dials while there are some.
func (tt *testTorrent) onGovernor(m governorMsg) {
	switch m := m.(type) {
	case wantDials:
		tt.say("governor", "dials %d", m.n)
		if n := min(m.n, tt.dials); n > 0 {
			tt.dials -= n
			tt.w.After(0, func() { tt.child.Ref.Tell(dialsGranted{n}) })
		}
	case dialOver:
		tt.say("governor", "over %v", m.connected)
	case tookPeer:
		tt.say("governor", "took")
	case lostPeer:
		tt.say("governor", "lost")
	case setLimits:
		tt.say("governor", "limit peer %v", m.limits)
	case leave:
		tt.say("governor", "leave")
	}
}

// onEvent takes the torrent's events.
func (tt *testTorrent) onEvent(ev Event) {
	who := tt.byAddr[ev.Addr]
	switch ev.Kind {
	case StateChanged:
		tt.say("events", "%v", ev.State)
	case PieceVerified:
		tt.say("events", "verified %d", ev.Piece)
	case PieceFailed:
		tt.say("events", "bad %d", ev.Piece)
	case Completed:
		tt.say("events", "completed")
	case MetadataFetched:
		tt.say("events", "metadata")
	case TorrentFailed:
		tt.say("events", "failed: %v", ev.Err)
	case DiskTrouble:
		tt.say("events", "trouble: %v", ev.Err)
	case PeerConnected:
		tt.say("events", "connected %s", who)
	case PeerGone:
		tt.say("events", "gone %s", who)
	case PeerBanned:
		tt.say("events", "banned %s", who)
	case FileCompleted:
		tt.say("events", "file %s", ev.Path)
	}
}

type ttTransport struct{}

func (ttTransport) Name() string        { return "test" }
func (ttTransport) Dial(transport.Dial) {}
func (ttTransport) Close()              {}
func (ttTransport) Listen(netip.AddrPort, actor.Inlet[transport.Accepted], actor.Ref[transport.Listening]) {
}

// ttTrackers answers every announce with nobody, or not at all.
type ttTrackers struct{ tt *testTorrent }

func (c ttTrackers) Do(r tracker.Request) {
	c.tt.say("tracker", "%s left %d", [...]string{"none", "completed", "started", "stopped"}[r.Event], r.Facts.Left)
	if !c.tt.nobody {
		c.tt.w.After(0, func() {
			r.Reply.Tell(tracker.Response{Cookie: r.Cookie, Seeds: 1, Leechers: 1, Finished: -1, Interval: time.Hour})
		})
	}
}

// ---- models of peers that work by themselves

// modelPeer delivers what its peer is asked for, at a rate, and asks for more.
type modelPeer struct {
	p     *fakePeer
	rate  int64 // bytes a second
	depth int32
	bad   func(n int64, ref blockRef) bool // whether the n-th block is a lie
	n     int64
	busy  bool
}

// runs lets a peer work by itself.
func (tt *testTorrent) runs(name string, rate int64, bad func(n int64, ref blockRef) bool) *modelPeer {
	tt.t.Helper()
	p := tt.members[name]
	m := &modelPeer{p: p, rate: rate, bad: bad, depth: int32(min(max(rate/block.Size, 4), 500))}
	p.model = m
	tt.need(name, m.depth)
	return m
}

// work begins on the next block, if there is one.
func (m *modelPeer) work() {
	if m.busy || len(m.p.out) == 0 || m.p.hasEnded {
		return
	}
	m.busy = true
	ref := m.p.out[0]
	m.p.tt.w.After(time.Duration(block.Size*int64(time.Second)/m.rate), func() { m.bring(ref) })
}

func (m *modelPeer) bring(ref blockRef) {
	m.busy = false
	if m.p.hasEnded {
		return
	}
	if slices.Contains(m.p.out, ref) {
		m.n++
		mark := uint64(0)
		if m.bad != nil && m.bad(m.n, ref) {
			mark = uint64(m.n)
		}
		r := reports.Get()
		r.peer, r.state = m.p.cfg.id, m.p.state
		m.p.bring(r, mark, []blockRef{ref})
		m.send(r)
	} else {
		r := reports.Get() // cancelled meanwhile
		r.peer, r.state = m.p.cfg.id, m.p.state
		m.send(r)
	}
	m.work()
}

func (m *modelPeer) send(r *report) {
	r.state.rate = m.rate
	if room := m.depth - int32(len(m.p.out)); room >= m.depth/4 {
		r.state.need = room
	}
	m.p.state = r.state
	m.p.cfg.torrent.Tell(r)
}
