package swarm

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// lateDialer lets a node make its own connections only after a while: strangers, who come
// by themselves, have the first word.
type lateDialer struct {
	transport.Transport
	w     *sim.World
	delay time.Duration
}

func (l *lateDialer) Dial(d transport.Dial) {
	l.w.After(l.delay, func() { l.Transport.Dial(d) })
}

// Ids under which nodes take ut_metadata, and under which these strangers do.
const (
	nodeMetadata = 1
	metadataID   = 8
)

// offering says in an extension handshake that there is metadata, in whatever words.
func offering(size string) []byte {
	return fmt.Appendf(nil, "d1:md11:ut_metadatai%dee13:metadata_size%se", metadataID, size)
}

func (x *stranger) extended(id uint8, payload []byte) {
	if x.closed == nil {
		b := transport.NewBatch()
		b.Add(wire.ExtendedMessage(id, payload))
		x.link.Send(b)
	}
}

// metadataStranger offers metadata in these words and answers requests in its own way.
func (s *Swarm) metadataStranger(n *Node, number byte, size string, answer func(x *stranger, piece int32)) (x *stranger, asked *int) {
	asked = new(int)
	x = s.stranger(time.Second, n, number, func(x *stranger) { x.extended(0, offering(size)) })
	x.frame = func(x *stranger, f *transport.Frame) {
		if f.ID != wire.Extended || f.ExtendedID() != metadataID {
			return
		}
		if m, err := wire.ParseMetadata(f.Payload); err == nil && m.Kind == wire.MetadataRequest {
			*asked++
			answer(x, m.Piece)
		}
	}
	return x, asked
}

func (x *stranger) data(piece int32, total int64, data []byte) {
	x.extended(nodeMetadata, wire.AppendMetadata(nil, wire.MetadataMsg{Kind: wire.MetadataData, Piece: piece, Total: total, Data: data}))
}

// Strangers come first and offer metadata of size -1, 0 and 2^31, of a size that changes,
// refuse for ever, drip, and lie. The honest seed, which comes a minute later, is heard:
// the download completes soon, liars are banned, and nobody was asked without end.
func TestHostileMetadata(t *testing.T) {
	late := &lateDialer{delay: time.Minute}
	s, err := New(Config{Seed: 3, Leechers: 1, Size: 16 << 20, PieceLen: 4 << 10, Magnet: true, SeedUp: 10 << 20,
		Known: func(n int) []int { return []int{0}[:n] },
		Wrap: func(n int, tr transport.Transport) transport.Transport {
			if n == 0 {
				return tr
			}
			late.Transport = tr
			return late
		}})
	if err != nil {
		t.Fatal(err)
	}
	late.w = s.World
	node, info := s.Nodes[1], s.Meta.Info()
	size := int64(len(info))
	honest := fmt.Sprintf("i%de", size)
	piece := func(i int32) []byte {
		at := int(i) * wire.MetadataPiece
		return bytes.Clone(info[at : at+wire.MetadataPieceSize(size, i)])
	}
	silent := func(*stranger, int32) {}
	_, negative := s.metadataStranger(node, 1, "i-1e", silent)
	_, absurd := s.metadataStranger(node, 2, "i2147483648e", silent)
	_, zero := s.metadataStranger(node, 3, "i0e", silent)
	s.metadataStranger(node, 9, "i16777217e", func(*stranger, int32) { t.Errorf("somebody was asked for more than anybody takes") })
	_, refused := s.metadataStranger(node, 4, honest, func(x *stranger, i int32) {
		x.extended(nodeMetadata, wire.AppendMetadata(nil, wire.MetadataMsg{Kind: wire.MetadataReject, Piece: i}))
	})
	s.metadataStranger(node, 5, honest, func(x *stranger, i int32) {
		s.World.After(30*time.Second, func() { x.data(i, size, piece(i)) })
	})
	liar, _ := s.metadataStranger(node, 6, honest, func(x *stranger, i int32) {
		b := piece(i)
		b[0] ^= 1
		x.data(i, size, b)
	})
	total := size
	restless, _ := s.metadataStranger(node, 7, honest, func(x *stranger, i int32) {
		total++
		x.data(i, total, piece(i))
	})
	broken, _ := s.metadataStranger(node, 8, "i100000e", func(x *stranger, i int32) {
		x.extended(nodeMetadata, []byte("d8:msg_typei1e5:piecei0e10:total_sizei-1eex"))
	})
	if err := s.Run(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*stranger{"the liar": liar, "who changes its mind": restless, "who is broken": broken} { //order: irrelevant
		if x.closed == nil {
			t.Errorf("%s is still connected", name)
		}
	}
	if n := node.Events[engine.PeerBanned]; n != 2 {
		t.Errorf("%d were banned, want the liar and the one that changes its mind", n)
	}
	// Who names no size that can be is asked for the first piece now and then: its answer
	// would name one.
	for name, n := range map[string]int{"refuses": *refused, "says -1": *negative, "says 2^31": *absurd, "says 0": *zero} { //order: irrelevant
		if n > 20 {
			t.Errorf("asked %d times of one that %s", n, name)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
