package engine

import (
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// benchPeer is a peer between a link, a torrent and a storage that cost next to
// nothing, so that what is measured is the peer and the runtime beneath it.
type benchPeer struct {
	w     *sim.World
	slab  *block.Slab
	peer  *peer
	in    actor.Inlet[transport.Event]
	self  actor.Ref[peerMsg]
	exit  error
	next  run // the torrent's next assignment
	asks  []wire.Message
	sent  int64 // pieces
	n     int64 // blocks that the torrent has got
	flush transport.Flushed
}

func (b *benchPeer) Bind(in actor.Inlet[transport.Event]) { b.in = in }
func (b *benchPeer) Allow(int64)                          {}
func (b *benchPeer) Close(error)                          {}
func (b *benchPeer) Info() transport.Info                 { return transport.Info{Remote: tpRemote} }

func (b *benchPeer) Send(out *transport.Batch) {
	for i := range out.Frames {
		switch f := &out.Frames[i]; f.ID {
		case wire.Request:
			m := f.Message
			m.ID = wire.Piece
			b.asks = append(b.asks, m)
		case wire.Piece:
			b.sent++
			b.flush.Payload += int64(f.Length)
			b.flush.Wire += int64(f.Length)
		}
		b.flush.Wire += int64(out.Frames[i].WireLen())
	}
	out.Release()
}

const benchPieces, benchPieceBlocks = 4096, 64

func newBenchPeer(t testing.TB, change func(*peerConfig)) *benchPeer {
	b := &benchPeer{w: sim.NewWorld(sim.Config{}), slab: block.NewPhantomSlab(64 << 20)}
	lengths, _ := metainfo.NewLengths(benchPieces*benchPieceBlocks*block.Size, benchPieceBlocks*block.Size)
	cfg := peerConfig{
		torrent: actor.FuncRef(b.onReport),
		disk:    actor.FuncRef(b.onRead),
		lengths: lengths, infoHash: tpHash, addr: tpRemote, link: b,
		theirs: &wire.Handshake{Reserved: wire.FlagExtension, InfoHash: tpHash, PeerID: tpID},
	}
	change(&cfg)
	b.peer = newPeer(cfg)
	child := actor.Root(b.w, actor.Spec{Name: "peer", Limit: peerLimit, Pump: linkPump}, b.peer,
		func(e actor.Exit) { b.exit = e.Err })
	b.self = child.Ref
	child.Ref.Tell(begin{events: actor.AdaptInlet(child.Inlet, peerEvent)})
	t.Cleanup(func() {
		child.Stop(nil)
		b.w.Run(b.w.Now())
		if err := b.w.Err(); err != nil || b.slab.Used() > 0 {
			t.Errorf("%v, %d slots used", err, b.slab.Used())
		}
	})
	b.run()
	batch := transport.NewBatch()
	batch.Add(wire.ExtendedMessage(0, []byte("d4:reqqi1000ee")))
	batch.Add(msg(wire.Unchoke))
	b.in.TryPut(batch)
	b.run()
	return b
}

// taken is what the kernel has taken since it was asked last.
func (b *benchPeer) taken() transport.Flushed {
	f := b.flush
	b.flush = transport.Flushed{}
	return f
}

// run lets one millisecond pass in which everything happens.
func (b *benchPeer) run() { b.w.Run(b.w.Now().Add(1e6)) }

// onReport is a torrent with endless work.
func (b *benchPeer) onReport(m torrentMsg) {
	r := m.(*report)
	b.n += int64(len(r.blocks))
	if n := r.state.need; n > 0 {
		a := assignments.Get()
		for n > 0 {
			k := min(n, benchPieceBlocks-int32(b.next.first))
			a.runs = append(a.runs, run{b.next.piece, b.next.first, k})
			if b.next.first += metainfo.BlockIndex(k); b.next.first == benchPieceBlocks {
				b.next.first, b.next.piece = 0, (b.next.piece+1)%benchPieces
			}
			n -= k
		}
		b.self.Tell(a)
	}
	r.Drop()
	reports.Put(r)
}

func allPieces(n int32) *bits.Set {
	s := bits.New(n)
	s.SetAll()
	return &s
}

// onRead is a storage that has everything at hand.
func (b *benchPeer) onRead(m storage.Message) {
	r := m.(*storage.Read)
	for left := r.Length; left > 0; left -= block.Size {
		r.Blocks = append(r.Blocks, b.slab.Lease().Seal())
	}
	r.Reply.Tell(r)
}

// perDrain blocks come with each drain of the socket.
func BenchmarkPeerDownload(b *testing.B) {
	for _, perDrain := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%d-per-drain", perDrain), func(b *testing.B) {
			p := newBenchPeer(b, func(*peerConfig) {})
			deliver := func() {
				in := transport.NewBatch()
				for range min(perDrain, len(p.asks)) {
					in.AddPiece(p.asks[len(in.Frames)], p.slab.Lease())
				}
				p.asks = slices.Delete(p.asks, 0, len(in.Frames))
				p.in.TryPut(in)
				p.in.TryPut(p.taken())
				p.run()
			}
			for range 2000 {
				deliver()
			}
			p.n = 0
			b.ReportAllocs()
			b.SetBytes(block.Size)
			b.ResetTimer()
			for p.n < int64(b.N) {
				deliver()
			}
		})
	}
}

// perDrain requests come with each drain, and all that is sent is taken at once.
func BenchmarkPeerUpload(b *testing.B) {
	for _, perDrain := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d-per-drain", perDrain), func(b *testing.B) {
			p := newBenchPeer(b, func(cfg *peerConfig) { cfg.stance.unchoke = true; cfg.have = allPieces(cfg.lengths.Pieces()) })
			at := uint32(0)
			request := func() {
				in := transport.NewBatch()
				for range perDrain {
					in.Add(wire.Message{ID: wire.Request, Index: at / benchPieceBlocks % benchPieces,
						Begin: at % benchPieceBlocks * block.Size, Length: block.Size})
					at++
				}
				p.in.TryPut(in)
				p.run()
				p.in.TryPut(p.taken())
				p.run()
			}
			for range 500 {
				request()
			}
			p.sent = 0
			b.ReportAllocs()
			b.SetBytes(block.Size)
			b.ResetTimer()
			for p.sent < int64(b.N) {
				request()
			}
		})
	}
}

// An idle connection's state must stay small: there are thousands.
func TestPeerIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(peer{}); n > 1400 {
		t.Errorf("a peer takes %d bytes", n)
	}
}
