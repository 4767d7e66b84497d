package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/pex"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// testPeer is a peer in a simulated world of its own, with the test as its remote,
// its torrent, its storage and its governor. Tests are dialogues:
//
//	tp.recv(msg(wire.Unchoke))
//	tp.assign(run{0, 0, 4})
//	tp.want("asks for four blocks", "request 0 0+16384", ...)
//	tp.wantIdle("nothing more until they come")
//
// When the test ends every slot must be back.
type testPeer struct {
	t     testing.TB
	w     *sim.World
	cfg   peerConfig
	child actor.Child[peerMsg]
	peer  *peer
	link  *tpLink
	slab  *block.Slab
	exit  *actor.Exit

	dial  *transport.Dial
	seen  tpReport
	reads []*storage.Read
	asks  []wantBytes

	noDisk     bool // reads wait for tp.serve
	noGovernor bool // wantBytes wait for tp.grant
}

// tpReport is what the torrent has heard since the test looked last.
type tpReport struct {
	n         int
	state     peerState
	shook     *shook
	has       *bits.Set
	haves     []metainfo.PieceIndex
	suggested []metainfo.PieceIndex
	fast      []metainfo.PieceIndex
	pex       []pex.Peer
	blocks    []blockRef
	back      []blockRef
	wasted    int64
	extended  *extended
	metadata  []metadataAnswer
	dhtPort   uint16
}

// tpLink is the link's near end: it keeps what is sent.
type tpLink struct {
	tp      *testPeer
	in      actor.Inlet[transport.Event]
	info    transport.Info
	sent    []string
	ext     []bencode.Value // payloads of extended messages
	batches int
	allowed int64
	grants  []int64
	closed  error
	stuck   bool // the kernel takes nothing
	pending transport.Flushed
}

func (l *tpLink) Bind(in actor.Inlet[transport.Event]) { l.in = in }
func (l *tpLink) Info() transport.Info                 { return l.info }
func (l *tpLink) Close(why error)                      { l.closed = why }

func (l *tpLink) Allow(n int64) {
	l.allowed += n
	l.grants = append(l.grants, n)
}

func (l *tpLink) Send(b *transport.Batch) {
	l.batches++
	if b.Handshake != nil {
		l.sent = append(l.sent, "handshake "+b.Handshake.Reserved.String())
		l.pending.Wire += wire.HandshakeLen
	}
	for i := range b.Frames {
		f := &b.Frames[i]
		l.sent = append(l.sent, l.tp.frame(f))
		l.pending.Wire += int64(f.WireLen())
		if f.ID == wire.Piece {
			l.pending.Wire += int64(f.Length)
			l.pending.Payload += int64(f.Length)
		}
	}
	l.pending.Batches++
	b.Release()
	if !l.stuck {
		l.tp.w.After(0, l.flush)
	}
}

// flush lets the kernel take all that was sent.
func (l *tpLink) flush() {
	if l.pending != (transport.Flushed{}) {
		f := l.pending
		l.pending = transport.Flushed{}
		l.in.TryPut(f)
	}
}

// frame prints a sent frame and checks that it is sound.
func (tp *testPeer) frame(f *transport.Frame) string {
	switch f.ID {
	case wire.Piece:
		n := f.Block.Len()
		for _, b := range f.More {
			n += b.Len()
		}
		if n != int(f.Length) {
			tp.t.Errorf("a piece of %d bytes says %d", n, f.Length)
		}
		return fmt.Sprintf("piece %d %d+%d", f.Index, f.Begin, n)
	case wire.Extended:
		if s := extendedFrame(f); s != "" {
			return s
		}
		v, err := bencode.Parse(slices.Clone(f.Payload), bencode.Options{Strict: true})
		if err != nil {
			tp.t.Errorf("extension handshake %q: %v", f.Payload, err)
		}
		tp.link.ext = append(tp.link.ext, v)
		return fmt.Sprintf("extended %d", f.Index)
	case wire.Bitfield:
		return fmt.Sprintf("bitfield %08b", f.Payload)
	}
	return f.Message.String()
}

// The ids that remotes of dialogues about extensions choose.
const (
	tpMetadata   = 11
	tpDontHave   = 12
	tpUploadOnly = 13
)

// extendedFrame prints messages under these ids.
func extendedFrame(f *transport.Frame) string {
	switch f.Index {
	case tpMetadata:
		m, err := wire.ParseMetadata(f.Payload)
		if err != nil {
			return err.Error()
		}
		if m.Kind == wire.MetadataData {
			return fmt.Sprintf("metadata data %d of %d: %d", m.Piece, m.Total, len(m.Data))
		}
		return fmt.Sprintf("metadata %v %d", m.Kind, m.Piece)
	case tpDontHave:
		i, err := wire.ParseDontHave(f.Payload)
		return fmt.Sprint("dont-have ", i, either(err == nil, "", "!"))
	case tpUploadOnly:
		return fmt.Sprintf("upload-only %v", f.Payload)
	}
	return ""
}

// tpExtended is the handshake of a remote that takes them.
func tpExtended() wire.Message {
	return wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{
		{Name: wire.ExtMetadata, ID: tpMetadata}, {Name: wire.ExtDontHave, ID: tpDontHave}, {Name: wire.ExtUploadOnly, ID: tpUploadOnly}}})
}

var (
	tpRemote = netip.MustParseAddrPort("10.0.0.9:6881")
	tpHash   = [20]byte([]byte("infohashinfohashinfo"))
	tpOurID  = [20]byte([]byte("-SH0001-ourselvesour"))
	tpID     = [20]byte([]byte("-RM0001-theremotepee"))
)

// tpPieces pieces of tpPieceLen bytes, the last one short.
const (
	tpPieces   = 20
	tpPieceLen = 20 * block.Size
	tpLast     = 3*block.Size + 100
)

// newTestPeer makes an outgoing peer of a torrent of which we have nothing, whose
// dial is under way. change may alter its configuration.
func newTestPeer(t testing.TB, change ...func(*peerConfig)) *testPeer {
	t.Helper()
	tp := &testPeer{t: t, w: sim.NewWorld(sim.Config{Seed: 1}), slab: block.NewPhantomSlab(64 << 20)}
	lengths, err := metainfo.NewLengths((tpPieces-1)*tpPieceLen+tpLast, tpPieceLen)
	if err != nil {
		t.Fatal(err)
	}
	have := bits.New(lengths.Pieces())
	tp.link = &tpLink{tp: tp, info: transport.Info{Transport: "test", Remote: tpRemote}}
	tp.cfg = peerConfig{
		id: 7, torrentActor: 1, store: 3,
		torrent:  actor.FuncRef(tp.onTorrent),
		disk:     actor.FuncRef(tp.onDisk),
		governor: actor.FuncRef(tp.onGovernor),
		lengths:  lengths, infoHash: tpHash, ourID: tpOurID, version: "shoal test", port: 51413,
		addr: tpRemote, have: &have,
	}
	for _, f := range change {
		f(&tp.cfg)
	}
	if tp.cfg.theirs != nil {
		tp.cfg.link, tp.link.info.Incoming = tp.link, true
	}
	tp.peer = newPeer(tp.cfg)
	tp.child = actor.Root(tp.w, actor.Spec{Name: "peer", Limit: peerLimit, Pump: linkPump}, tp.peer,
		func(e actor.Exit) { tp.exit = &e })
	tp.child.Ref.Tell(begin{
		events:    actor.AdaptInlet(tp.child.Inlet, peerEvent),
		transport: tpTransport{tp},
		dial:      transport.Dial{Addr: tpRemote},
	})
	t.Cleanup(tp.end)
	tp.settle()
	return tp
}

// incoming makes the configuration that of a connection that came in.
func incoming(reserved wire.Reserved) func(*peerConfig) {
	return func(cfg *peerConfig) {
		cfg.theirs = &wire.Handshake{Reserved: reserved, InfoHash: tpHash, PeerID: tpID}
	}
}

// seeding lets us have these pieces; all if there are none.
func seeding(pieces ...int32) func(*peerConfig) {
	return func(cfg *peerConfig) {
		if len(pieces) == 0 {
			cfg.have.SetAll()
		}
		for _, i := range pieces {
			cfg.have.Set(i)
		}
	}
}

// livePeer makes a peer whose handshake is over and forgets what led there.
func livePeer(t testing.TB, reserved wire.Reserved, change ...func(*peerConfig)) *testPeer {
	t.Helper()
	tp := newTestPeer(t, change...)
	tp.connect()
	tp.shake(reserved)
	tp.forget()
	return tp
}

// leechPeer is a livePeer that may ask.
func leechPeer(t testing.TB, reserved wire.Reserved, change ...func(*peerConfig)) *testPeer {
	t.Helper()
	tp := livePeer(t, reserved, change...)
	tp.recv(msg(wire.Unchoke))
	tp.forget()
	return tp
}

// seedPeer is a livePeer that has everything, which the remote may ask for.
func seedPeer(t testing.TB, reserved wire.Reserved, change ...func(*peerConfig)) *testPeer {
	t.Helper()
	tp := livePeer(t, reserved, append(change, seeding())...)
	tp.child.Ref.Notify(stance{unchoke: true})
	if reserved.Has(wire.FlagFast) {
		tp.recv(msg(wire.HaveAll)) // too much for an allowed-fast set
	}
	tp.recv(msg(wire.Interested))
	tp.forget()
	return tp
}

// tpTransport keeps the dial for the test to answer.
type tpTransport struct{ tp *testPeer }

func (x tpTransport) Name() string          { return "test" }
func (x tpTransport) Dial(d transport.Dial) { x.tp.dial = &d }
func (x tpTransport) Close()                {}
func (x tpTransport) Listen(netip.AddrPort, actor.Inlet[transport.Accepted], actor.Ref[transport.Listening]) {
}

// connect answers the dial.
func (tp *testPeer) connect() {
	tp.dial.Reply.Tell(transport.Dialed{Addr: tpRemote, Link: tp.link})
	tp.settle()
}

// shake is the remote's handshake.
func (tp *testPeer) shake(reserved wire.Reserved) {
	b := transport.NewBatch()
	b.Handshake = &wire.Handshake{Reserved: reserved, InfoHash: tpHash, PeerID: tpID}
	b.Wire = wire.HandshakeLen
	tp.put(b)
}

// settle lets everything happen that happens at this instant.
func (tp *testPeer) settle() {
	tp.t.Helper()
	tp.w.Run(tp.w.Now())
	if err := tp.w.Err(); err != nil {
		tp.t.Fatal(err)
	}
}

// pass lets time pass.
func (tp *testPeer) pass(d time.Duration) {
	tp.t.Helper()
	tp.w.Run(tp.w.Now().Add(d))
	if err := tp.w.Err(); err != nil {
		tp.t.Fatal(err)
	}
}

// put is one drain of the socket.
func (tp *testPeer) put(b *transport.Batch) {
	tp.t.Helper()
	tp.link.allowed -= b.Wire
	if !tp.link.in.TryPut(b) {
		b.Release()
		tp.t.Fatal("the peer's door is full")
	}
	tp.settle()
}

// batchOf makes a drain of messages. Blocks come with their slots.
func (tp *testPeer) batchOf(msgs []wire.Message) *transport.Batch {
	b := transport.NewBatch()
	for _, m := range msgs {
		b.Wire += int64(m.WireLen())
		if m.ID != wire.Piece {
			b.Add(m)
			continue
		}
		b.Wire += int64(m.Length)
		b.Payload += int64(m.Length)
		var slot *block.Block
		if m.Length <= block.Size {
			slot = tp.slab.Lease()
			slot.SetLen(int(m.Length))
		}
		b.AddPiece(m, slot)
	}
	return b
}

// recv is one drain with these messages.
func (tp *testPeer) recv(msgs ...wire.Message) {
	tp.t.Helper()
	tp.put(tp.batchOf(msgs))
}

func msg(id wire.ID) wire.Message { return wire.Message{ID: id} }

func msgIndex(id wire.ID, i uint32) wire.Message { return wire.Message{ID: id, Index: i} }

// msgBlock names a block by piece and number: request, cancel, reject or piece.
func (tp *testPeer) msgBlock(id wire.ID, piece metainfo.PieceIndex, b metainfo.BlockIndex) wire.Message {
	return tp.peer.requestMessage(id, blockRef{piece, b})
}

// blocks is a run of pieces' worth of piece messages.
func (tp *testPeer) blocks(r run) []wire.Message {
	var out []wire.Message
	for i := range r.n {
		out = append(out, tp.msgBlock(wire.Piece, r.piece, r.first+metainfo.BlockIndex(i)))
	}
	return out
}

// assign is an answer of the torrent's.
func (tp *testPeer) assign(runs ...run) {
	tp.t.Helper()
	a := assignments.Get()
	a.runs = append(a.runs, runs...)
	tp.child.Ref.Tell(a)
	tp.settle()
}

func (tp *testPeer) cancel(refs ...blockRef) {
	tp.t.Helper()
	a := assignments.Get()
	a.cancels = append(a.cancels, refs...)
	tp.child.Ref.Tell(a)
	tp.settle()
}

func (tp *testPeer) notify(m peerMsg) {
	tp.t.Helper()
	tp.child.Ref.Notify(m)
	tp.settle()
}

// onTorrent is the torrent.
func (tp *testPeer) onTorrent(m torrentMsg) {
	r := m.(*report)
	s := &tp.seen
	s.n++
	if r.peer != tp.cfg.id {
		tp.t.Errorf("a report of peer %d", r.peer)
	}
	s.state = r.state
	if r.shook != nil {
		s.shook = r.shook
	}
	if r.has != nil {
		s.has = r.has
	}
	s.haves = append(s.haves, r.haves...)
	s.suggested = append(s.suggested, r.suggested...)
	s.fast = append(s.fast, r.fast...)
	s.pex = append(s.pex, r.pex...)
	s.back = append(s.back, r.back...)
	s.wasted += r.wasted
	if r.dhtPort != 0 {
		s.dhtPort = r.dhtPort
	}
	if r.extended != nil {
		s.extended = r.extended
	}
	s.metadata = append(s.metadata, r.metadata...)
	for _, e := range r.blocks {
		s.blocks = append(s.blocks, blockRef{e.Piece, e.Block})
		if n := tp.cfg.lengths.BlockLen(e.Piece, e.Block); e.Data.Len() != int(n) {
			tp.t.Errorf("a block of %d bytes, want %d", e.Data.Len(), n)
		}
	}
	r.Drop()
	reports.Put(r)
}

// onDisk is storage.
func (tp *testPeer) onDisk(m storage.Message) {
	tp.reads = append(tp.reads, m.(*storage.Read))
	if !tp.noDisk {
		tp.w.After(0, func() { tp.serve(1, nil) })
	}
}

// serve answers the n oldest reads.
func (tp *testPeer) serve(n int, err error) {
	for range n {
		r := tp.reads[0]
		tp.reads = tp.reads[1:]
		tp.answer(r, err)
	}
}

func (tp *testPeer) answer(r *storage.Read, err error) {
	if r.Err = err; err == nil {
		for left := r.Length; left > 0; left -= block.Size {
			b := tp.slab.Lease()
			b.SetLen(int(min(left, block.Size)))
			r.Blocks = append(r.Blocks, b.Seal())
		}
	}
	r.Reply.Tell(r)
}

// onGovernor is the governor.
func (tp *testPeer) onGovernor(m governorMsg) {
	w := m.(wantBytes)
	tp.asks = append(tp.asks, w)
	if !tp.noGovernor {
		tp.w.After(0, func() { tp.grant(w.n) })
	}
}

// grant answers the oldest wantBytes.
func (tp *testPeer) grant(n int64) {
	w := tp.asks[0]
	tp.asks = tp.asks[1:]
	w.reply.Tell(bytesGranted{w.dir, n})
}

// want compares all that was sent since the last look.
func (tp *testPeer) want(what string, frames ...string) {
	tp.t.Helper()
	tp.settle()
	got := tp.link.sent
	tp.link.sent = nil
	if !slices.Equal(got, frames) {
		tp.t.Fatalf("%s:\n got  %s\n want %s", what, strings.Join(got, ", "), strings.Join(frames, ", "))
	}
}

// wantIdle: nothing was sent and the torrent has heard nothing.
func (tp *testPeer) wantIdle(why string) {
	tp.t.Helper()
	tp.want(why)
	if tp.seen.n > 0 {
		tp.t.Fatalf("%s: the torrent heard %+v", why, tp.seen)
	}
}

// heard returns what the torrent has heard since the last look.
func (tp *testPeer) heard() tpReport {
	tp.t.Helper()
	tp.settle()
	s := tp.seen
	tp.seen = tpReport{state: s.state}
	return s
}

// forget looks away from all that has happened.
func (tp *testPeer) forget() {
	tp.t.Helper()
	tp.heard()
	tp.link.sent, tp.link.grants = nil, nil
}

// wantGone: the peer has ended with an error that contains these words.
func (tp *testPeer) wantGone(fault peerFault, words string) {
	tp.t.Helper()
	tp.settle()
	if tp.exit == nil {
		tp.t.Fatalf("still there, should have ended: %s", words)
	}
	var e *peerError
	if !errors.As(tp.exit.Err, &e) || e.fault != fault || !strings.Contains(e.Error(), words) || !strings.Contains(e.Error(), tpRemote.String()) {
		tp.t.Fatalf("ended by %v, want fault %d and %q", tp.exit.Err, fault, words)
	}
	if tp.link.in.IsZero() || tp.link.closed == nil {
		tp.t.Fatal("the link was not closed")
	}
}

// alive: the peer has not ended.
func (tp *testPeer) alive(why string) {
	tp.t.Helper()
	tp.settle()
	if tp.exit != nil {
		tp.t.Fatalf("%s: ended by %v", why, tp.exit.Err)
	}
}

// end stops the peer and looks for what it has left behind.
func (tp *testPeer) end() {
	if tp.exit == nil {
		tp.child.Stop(nil)
	}
	tp.settle()
	for len(tp.reads) > 0 {
		tp.serve(1, nil)
	}
	tp.settle()
	if tp.exit == nil {
		tp.t.Error("the peer has not ended")
	}
	if n := tp.slab.Used(); n != 0 {
		tp.t.Errorf("%d slots are not back", n)
	}
}

const (
	plain   = wire.Reserved(0)
	fastExt = wire.FlagFast
	ltep    = wire.FlagExtension
)
