package engine

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// TestPeerPairs connects two peers that both have half of a torrent. Their torrents
// choke, pause, cancel and limit at random; in the end both must have everything, no
// block may be leased twice at once or lost, and no slot may leak. With the order of
// mail shuffled by the seed.
func TestPeerPairs(t *testing.T) {
	for seed := range uint64(12) {
		for _, mask := range []wire.Reserved{0, wire.FlagFast, wire.FlagFast | wire.FlagExtension} {
			t.Run(fmt.Sprintf("%d %v", seed, mask), func(t *testing.T) {
				first := runPair(t, seed, mask)
				if seed == 0 && runPair(t, seed, mask) != first {
					t.Fatal("the same seed gave another run")
				}
			})
		}
	}
}

func runPair(t *testing.T, seed uint64, mask wire.Reserved) (hash uint64) {
	pp := &peerPair{t: t, w: sim.NewWorld(sim.Config{Seed: seed, Order: sim.Shuffle}), rng: rand.New(rand.NewPCG(seed, 1)),
		slab: block.NewPhantomSlab(64 << 20), mask: mask}
	pp.lengths, _ = metainfo.NewLengths(39*10*block.Size+777, 10*block.Size)
	a, b := pp.side(0), pp.side(1)
	a.link.far, b.link.far = b.link, a.link
	a.start(nil)
	pp.meddle(0)
	pp.w.RunUntil(actor.Time(time.Hour), func() bool { return a.have.Full() && b.have.Full() })
	if err := pp.w.Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range pp.sides {
		if !s.have.Full() || s.exit != nil {
			t.Fatalf("side %d at %v: %d of %d pieces, leased %v, exit %v; state %+v",
				s.n, pp.w.Now(), s.have.Count(), s.have.Len(), s.leased, s.exit, s.state)
		}
	}
	pp.over = true
	pp.w.Run(pp.w.Now().Add(time.Minute))
	if err := errors.Join(pp.w.Err(), pp.w.Check()); err != nil {
		t.Fatal(err)
	}
	a.child.Stop(nil) // b hears of it from its link
	pp.w.Run(pp.w.Now().Add(time.Minute))
	if a.exit == nil || b.exit == nil || pp.slab.Used() != 0 {
		t.Fatalf("ended: %v, %v; %d slots are not back", a.exit, b.exit, pp.slab.Used())
	}
	return pp.w.Hash()
}

type peerPair struct {
	t       *testing.T
	w       *sim.World
	rng     *rand.Rand
	slab    *block.Slab
	lengths metainfo.Lengths
	mask    wire.Reserved
	sides   []*pairSide
	over    bool
}

// pairSide is one end: the torrent, storage and governor of one of the peers.
type pairSide struct {
	*peerPair
	n        int
	id       [20]byte
	child    actor.Child[peerMsg]
	link     *pairLink
	exit     *actor.Exit
	have     bits.Set
	log      []metainfo.PieceIndex
	got      map[blockRef]bool
	leased   map[blockRef]bool
	todo     []blockRef
	remote   bits.Set
	state    peerState
	assigned uint32
	need     int32
}

func (pp *peerPair) side(n int) *pairSide {
	s := &pairSide{peerPair: pp, n: n, got: map[blockRef]bool{}, leased: map[blockRef]bool{}}
	s.id[0] = byte(n)
	s.have, s.remote = bits.New(pp.lengths.Pieces()), bits.New(pp.lengths.Pieces())
	for i := range pp.lengths.Pieces() {
		if pp.rng.IntN(5) == 0 || int(i)%2 == n {
			s.have.Set(i)
			continue
		}
		for b := range pp.lengths.Blocks(metainfo.PieceIndex(i)) {
			s.todo = append(s.todo, blockRef{metainfo.PieceIndex(i), metainfo.BlockIndex(b)})
		}
	}
	s.link = &pairLink{side: s}
	pp.sides = append(pp.sides, s)
	return s
}

func (s *pairSide) start(theirs *wire.Handshake) {
	have := s.have.Clone()
	cfg := peerConfig{
		id: 1, torrentActor: 1,
		torrent:  actor.FuncRef(s.onReport),
		disk:     actor.FuncRef(s.onRead),
		governor: actor.FuncRef(s.onWantBytes),
		lengths:  s.lengths, infoHash: tpHash, ourID: s.id, addr: tpRemote,
		have: &have, log: s.log, theirs: theirs,
	}
	if theirs != nil {
		cfg.link = s.link
	}
	s.child = actor.Root(s.w, actor.Spec{Name: "peer", Limit: peerLimit, Pump: linkPump}, newPeer(cfg),
		func(e actor.Exit) { s.exit = &e })
	s.child.Ref.Tell(begin{events: actor.AdaptInlet(s.child.Inlet, peerEvent), transport: pairTransport{s: s}})
}

type pairTransport struct {
	tpTransport
	s *pairSide
}

func (x pairTransport) Dial(d transport.Dial) { d.Reply.Tell(transport.Dialed{Link: x.s.link}) }

// later happens after a while of the seed's choice.
func (pp *peerPair) later(f func()) { pp.w.After(time.Duration(pp.rng.IntN(20_000_000)), f) }

// meddle changes how the torrents stand, from time to time.
func (pp *peerPair) meddle(n int) {
	if pp.over {
		return
	}
	pp.w.After(time.Duration(pp.rng.IntN(300))*time.Millisecond, func() { pp.meddle(n + 1) })
	for _, s := range pp.sides {
		if s.child.IsZero() {
			continue
		}
		s.child.Ref.Notify(stance{
			interested: !s.have.Full(),
			unchoke:    pp.rng.IntN(4) > 0 || n > 200,
			noRequests: pp.rng.IntN(8) == 0 && n < 200,
		})
		if pp.rng.IntN(4) == 0 {
			s.child.Ref.Notify(rates{limited{pp.rng.IntN(2) == 0, pp.rng.IntN(2) == 0}})
		}
		if len(s.leased) > 0 && pp.rng.IntN(3) == 0 {
			s.cancelOne()
		}
		s.assign()
	}
}

// cancelOne takes back the lease of a block, as when it came from elsewhere, and
// asks for it again later.
func (s *pairSide) cancelOne() {
	ref := slices.MinFunc(keysOf(s.leased), func(x, y blockRef) int { return int(x.piece-y.piece)*1000 + int(x.block-y.block) })
	delete(s.leased, ref)
	s.todo = append(s.todo, ref)
	a := assignments.Get()
	a.cancels = append(a.cancels, ref)
	s.child.Ref.Tell(a)
}

func keysOf(m map[blockRef]bool) (keys []blockRef) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func (s *pairSide) onReport(m torrentMsg) {
	r := m.(*report)
	if r.has != nil {
		s.remote.Or(r.has)
	}
	for _, i := range r.haves {
		s.remote.Set(int32(i))
	}
	for _, ref := range r.back {
		if s.leased[ref] {
			delete(s.leased, ref)
			s.todo = append(s.todo, ref)
		}
	}
	for _, e := range r.blocks {
		s.arrive(blockRef{e.Piece, e.Block})
	}
	s.state, s.need = r.state, r.state.need
	if s.state.assigned != s.assigned {
		s.need = 0
	}
	if r.state.needFast > 0 && r.state.need > 0 {
		s.t.Error("both needs at once")
	}
	r.Drop()
	reports.Put(r)
	s.assign()
}

func (s *pairSide) arrive(ref blockRef) {
	delete(s.leased, ref)
	s.todo = slices.DeleteFunc(s.todo, func(x blockRef) bool { return x == ref })
	s.got[ref] = true
	for b := range s.lengths.Blocks(ref.piece) {
		if !s.got[blockRef{ref.piece, metainfo.BlockIndex(b)}] {
			return
		}
	}
	if s.have.Set(int32(ref.piece)) {
		s.log = append(s.log, ref.piece)
		s.child.Ref.Notify(haves{s.log})
	}
}

// assign gives out what the remote has, one block a run.
func (s *pairSide) assign() {
	if s.need == 0 {
		return
	}
	a := assignments.Get()
	s.todo = slices.DeleteFunc(s.todo, func(ref blockRef) bool {
		if int32(len(a.runs)) == s.need || !s.remote.Has(int32(ref.piece)) {
			return false
		}
		if s.leased[ref] {
			s.t.Errorf("%v leased twice", ref)
		}
		s.leased[ref] = true
		a.runs = append(a.runs, run{ref.piece, ref.block, 1})
		return true
	})
	if len(a.runs) == 0 {
		assignments.Put(a)
		return
	}
	s.need = 0
	s.assigned++
	s.child.Ref.Tell(a)
}

func (s *pairSide) onRead(m storage.Message) {
	r := m.(*storage.Read)
	if !s.have.Has(int32(r.Piece)) {
		s.t.Errorf("reads piece %d, which it lacks", r.Piece)
	}
	s.later(func() {
		if s.rng.IntN(30) == 0 {
			r.Err = errors.New("disk")
			r.Reply.Tell(r)
			return
		}
		for left := r.Length; left > 0; left -= block.Size {
			b := s.slab.Lease()
			b.SetLen(int(min(left, block.Size)))
			r.Blocks = append(r.Blocks, b.Seal())
		}
		r.Reply.Tell(r)
	})
}

func (s *pairSide) onWantBytes(m governorMsg) {
	w := m.(wantBytes)
	s.later(func() { w.reply.Tell(bytesGranted{w.dir, min(w.n, 1+s.rng.Int64N(2*w.n))}) })
}

// pairLink is one end of a connection that delivers frame by frame, within what
// Allow lets it, some milliseconds late.
type pairLink struct {
	side    *pairSide
	far     *pairLink
	in      actor.Inlet[transport.Event]
	queue   []transport.Frame // towards us
	hello   *wire.Handshake   // towards us
	grant   int64
	forever bool
	credit  int // pieces that may come
	busy    bool
	closed  bool
}

func (l *pairLink) Bind(in actor.Inlet[transport.Event]) { l.in = in }
func (l *pairLink) Info() transport.Info                 { return transport.Info{Remote: tpRemote} }

func (l *pairLink) Allow(n int64) {
	switch {
	case n >= transport.Unlimited:
		l.forever = true
	case n <= 0 && l.forever:
		l.forever, l.grant = false, min(l.grant, 0)
	case !l.forever:
		l.grant += n
	}
	l.wake()
}

func (l *pairLink) Send(b *transport.Batch) {
	f := transport.Flushed{Batches: 1}
	if b.Handshake != nil {
		h := *b.Handshake
		h.Reserved &= l.side.mask
		l.far.hello = &h
	}
	for i := range b.Frames {
		fr := b.Frames[i]
		fr.Payload = slices.Clone(fr.Payload)
		if fr.ID == wire.Request {
			l.credit++
		}
		f.Wire += int64(fr.WireLen())
		if fr.ID == wire.Piece {
			f.Payload += int64(fr.Length)
			f.Wire += int64(fr.Length)
			fr.Block = b.Take(i)
		}
		l.far.queue = append(l.far.queue, fr)
	}
	b.Release()
	l.far.wake()
	l.side.later(func() { l.put(f) })
}

// put waits for room at the door like a pump.
func (l *pairLink) put(e transport.Event) {
	if l.closed {
		if b, ok := e.(*transport.Batch); ok {
			b.Release()
		}
		return
	}
	if !l.in.TryPut(e) {
		l.side.w.After(1000, func() { l.put(e) })
		return
	}
	if _, ok := e.(*transport.Batch); ok {
		l.busy = false
		l.wake()
	}
}

func (l *pairLink) wake() {
	if !l.busy && !l.closed && (l.hello != nil || len(l.queue) > 0) {
		l.busy = true
		l.side.later(l.deliver)
	}
}

// deliver is one drain of the socket.
func (l *pairLink) deliver() {
	if l.closed {
		return
	}
	if l.in.IsZero() { // nobody there yet: the session gives the link to its torrent
		h := *l.hello
		l.hello = nil
		l.busy = false
		l.side.start(&h)
		l.side.w.After(0, l.wake)
		return
	}
	b := transport.NewBatch()
	b.Handshake, l.hello = l.hello, nil
	for len(l.queue) > 0 && len(b.Frames) < 1+l.side.rng.IntN(30) {
		f := l.queue[0]
		n := int64(f.WireLen())
		if f.ID == wire.Piece {
			n += int64(f.Length)
		}
		if !l.forever && l.grant < n {
			break
		}
		l.queue = l.queue[1:]
		if !l.forever {
			l.grant -= n
		}
		b.Wire += n
		if f.ID == wire.Piece {
			b.Payload += int64(f.Length)
			if l.credit--; l.credit < 0 {
				l.side.t.Error("a piece that was never asked for")
			}
		}
		b.Frames = append(b.Frames, f)
	}
	if len(b.Frames) == 0 && b.Handshake == nil {
		b.Release()
		l.busy = false // Allow wakes us
		return
	}
	l.put(b)
}

func (l *pairLink) Close(error) {
	if l.closed {
		return
	}
	l.closed = true
	for _, f := range l.queue {
		if f.Block != nil {
			f.Block.Release()
		}
	}
	l.queue = nil
	l.far.side.later(func() { l.far.put(transport.Closed{Err: io.EOF}) })
}
