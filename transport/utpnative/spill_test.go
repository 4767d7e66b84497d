package utpnative

import (
	"errors"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/transport/utp"
	"github.com/shoal-bt/shoal/wire"
)

// askWithoutSlots has a link ask the remote for a block, for which there is no slot until
// hold is released.
func askWithoutSlots(t *testing.T, got *[]transport.Event) (s *stage, hold *block.Block) {
	slab := block.NewSlab(block.Size)
	s = newStage(t, Config{Env: transport.Env{Slab: slab}})
	l := s.connect(there)
	peer := actor.Root(s.w, actor.Spec{Name: "peer"}, actor.Actor[transport.Event](hears{got}), nil)
	l.Bind(peer.Inlet)
	l.Allow(transport.Unlimited)
	b := transport.NewBatch()
	b.Add(request(0))
	l.Send(b)
	s.run(0)
	return s, slab.Lease()
}

// What waits for a slot is not copied each time that there is still none.
func TestSpillStaysWhereItIs(t *testing.T) {
	var got []transport.Event
	s, hold := askWithoutSlots(t, &got)
	piece := append(wire.AppendPieceHeader(nil, 7, 0, block.Size), make([]byte, block.Size)...)
	m := s.x.all[0]
	for seq := uint16(12); len(piece) > 0; seq++ {
		n := min(len(piece), 1000)
		s.say(there, packetOf(utp.Data, m.m.RecvID(), seq, s.answered, piece[:n]...))
		piece = piece[n:]
	}
	s.run(0)
	if len(m.in.spill) < block.Size/2 {
		t.Fatalf("%d bytes wait", len(m.in.spill))
	}
	before := &m.in.spill[0]
	s.run(20 * time.Millisecond)
	if before != &m.in.spill[0] {
		t.Error("it has been copied")
	}
	hold.Release()
	s.run(20 * time.Millisecond)
	last, ok := got[len(got)-1].(*transport.Batch)
	if !ok || len(last.Frames) != 1 || show(last.Frames[0]) != "piece 7 0+16384" || m.in.spill != nil {
		t.Fatalf("then came %v, and %d bytes wait", got, len(m.in.spill))
	}
	last.Release()
}

// What is found wrong only when there is a slot again ends the connection at once.
func TestSpiltViolation(t *testing.T) {
	var got []transport.Event
	s, hold := askWithoutSlots(t, &got)
	bad := append(wire.AppendPieceHeader(nil, 7, 0, 100), make([]byte, 100)...)
	bad = append(bad, 255, 255, 255, 255, 1)
	s.say(there, packetOf(utp.Data, s.x.all[0].m.RecvID(), 12, s.answered, bad...))
	s.run(0)
	hold.Release()
	s.run(2 * time.Millisecond)
	last, ok := got[len(got)-1].(transport.Closed)
	if !ok || !errors.Is(last.Err, wire.ErrLength) {
		t.Errorf("then came %v", got)
	}
}
