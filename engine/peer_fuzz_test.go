package engine

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// FuzzPeer plays a script of what remotes, torrents, disks and clocks can do, in any
// order. No peer may panic, leak a slot, end a lease twice or lose one.
func FuzzPeer(f *testing.F) {
	f.Add([]byte{0, 0x14, 1, 0, 0, 1, 0, 0, 20, 3, 0, 16, 7, 3, 0, 0, 7, 3, 1, 0, 21, 9, 16, 16, 16, 3})
	f.Add([]byte{1, 0x04, 14, 0, 0, 22, 2, 0, 6, 1, 2, 6, 1, 3, 24, 24, 24, 0, 0, 8, 1, 2, 22, 0, 0, 25})
	f.Add([]byte{2, 0x10, 5, 255, 255, 20, 1, 1, 23, 0, 0, 26, 3, 0, 27, 0, 0, 28, 0, 0})
	f.Add([]byte{3, 0x14, 13, 1, 0, 17, 2, 0, 20, 2, 9, 0, 0, 0, 16, 2, 2, 29, 200, 0, 29, 255, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) < 2 || len(script) > 3000 {
			return
		}
		runPeerScript(t, script)
	})
}

// peerScript is a script being played.
type peerScript struct {
	*testPeer
	leased map[blockRef]bool
	log    []metainfo.PieceIndex
}

func runPeerScript(t *testing.T, script []byte) {
	setup := func(cfg *peerConfig) {
		cfg.lim = limited{script[0]&1 != 0, script[0]&2 != 0}
		if script[0]&4 != 0 {
			cfg.have.SetRange(3, 12)
		}
		if script[0]&8 != 0 {
			cfg.have.SetAll()
		}
	}
	s := &peerScript{testPeer: livePeer(t, wire.Reserved(script[1]&4)|wire.Reserved(script[1]&16)<<16, setup)}
	s.leased = map[blockRef]bool{}
	s.noDisk, s.noGovernor = true, true
	for at := 2; at+2 < len(script) && s.exit == nil; at += 3 {
		s.step(script[at], script[at+1], script[at+2])
		s.settle()
		s.checkLeases()
	}
}

// step does one thing.
func (s *peerScript) step(op, a, b byte) {
	piece, blk := metainfo.PieceIndex(a%(tpPieces+1)), metainfo.BlockIndex(b%21)
	switch op % 32 {
	default: // a message with fields that mostly make sense
		s.recv(s.scriptMessage(wire.ID(op%18), piece, blk, b))
	case 18:
		s.recv(wire.ExtendedMessage(a%2, []byte("d4:reqqi"+string('0'+rune(b%10))+"ee")))
	case 19:
		s.recv(msg(wire.Unchoke), s.msgBlock(wire.Piece, piece%tpPieces, blk), msg(wire.Choke))
	case 20, 21:
		s.lease(run{piece % tpPieces, blk, int32(b % 7)})
	case 22:
		s.child.Ref.Notify(stance{interested: a&1 != 0, unchoke: a&2 != 0, noRequests: a&4 != 0})
	case 23:
		s.log = append(s.log, piece%tpPieces, metainfo.PieceIndex(b%tpPieces))
		s.child.Ref.Notify(haves{s.log})
	case 24:
		if n := len(s.reads); n > 0 {
			i := int(a) % n
			r := s.reads[i]
			s.reads = append(s.reads[:i], s.reads[i+1:]...)
			s.answer(r, [...]error{nil, nil, nil, errors.New("disk")}[b%4])
		}
	case 25:
		if len(s.asks) > 0 {
			s.grant(1 + int64(a)*int64(b))
		}
	case 26:
		ref := blockRef{piece % tpPieces, blk}
		delete(s.leased, ref)
		s.cancel(ref)
	case 27:
		s.child.Ref.Notify(rates{limited{a&1 != 0, a&2 != 0}})
	case 28:
		s.link.stuck = !s.link.stuck
		s.link.flush()
	case 29:
		s.pass(time.Duration(a) * time.Second / 4)
	case 30:
		if a == 255 {
			s.link.in.TryPut(transport.Closed{Err: io.EOF})
		}
	case 31:
		s.shake(wire.FlagFast)
	}
}

func (s *peerScript) scriptMessage(id wire.ID, piece metainfo.PieceIndex, blk metainfo.BlockIndex, b byte) wire.Message {
	m := wire.Message{ID: id, Index: uint32(piece)}
	switch id {
	case wire.Bitfield:
		m.Payload = []byte{b, byte(piece), b << 4}
	case wire.Request, wire.Piece, wire.Cancel, wire.Reject:
		m.Begin = uint32(blk) * block.Size
		m.Length = uint32(s.cfg.lengths.BlockLen(piece, blk))
		if b == 255 {
			m.Begin, m.Length = m.Begin+1, m.Length*2+1
		}
	}
	return m
}

// lease assigns what is not leased yet.
func (s *peerScript) lease(r run) {
	for b := r.first; b < r.first+metainfo.BlockIndex(r.n); b++ {
		ref := blockRef{r.piece, b}
		if s.leased[ref] || s.cfg.lengths.BlockLen(r.piece, b) == 0 {
			return
		}
	}
	for b := r.first; b < r.first+metainfo.BlockIndex(r.n); b++ {
		s.leased[blockRef{r.piece, b}] = true
	}
	s.assign(r)
}

// checkLeases compares what the torrent thinks is leased with what the peer does.
func (s *peerScript) checkLeases() {
	got := s.heard()
	for _, ref := range got.back {
		if !s.leased[ref] {
			s.t.Fatalf("%v was given back, but not leased", ref)
		}
		delete(s.leased, ref)
	}
	for _, ref := range got.blocks {
		delete(s.leased, ref) // or it comes late
	}
	if s.exit != nil {
		return
	}
	d := &s.peer.down
	held := int32(0)
	for _, r := range d.runs {
		held += r.n
	}
	if held != d.unsent || int(held+d.out.n) != len(s.leased) && s.peer.out.report == nil {
		s.t.Fatalf("%d blocks out, %d to be asked for (%d), but leased %v", d.out.n, d.unsent, held, s.leased)
	}
}
