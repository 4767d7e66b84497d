package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/wire"
)

// pushAll pushes a stream in pieces of random size, as a reader does that takes what
// is full and gives slots back at once. It returns the frames as text.
func pushAll(t *testing.T, f *Framer, stream []byte, rng *rand.Rand) (got []string, total int64) {
	t.Helper()
	take := func() {
		if b := f.Take(); b != nil {
			total += b.Wire
			for i := range b.Frames {
				fr := b.Frames[i]
				got = append(got, show(fr))
				if fr.Block != nil && !bytes.Equal(fr.Block.Bytes(), bytes.Repeat([]byte{byte(fr.Begin)}, fr.Block.Len())) {
					t.Errorf("%s holds other bytes", show(fr))
				}
			}
			b.Release()
		}
	}
	for len(stream) > 0 {
		n := min(1+rng.IntN(20_000), len(stream))
		chunk := bytes.Clone(stream[:n])
		stream = stream[n:]
		for {
			rest, need, err := f.Push(chunk)
			if err != nil {
				t.Fatal(err)
			}
			if need == NeedBytes {
				break
			}
			take()
			chunk = rest
		}
		if rng.IntN(2) == 0 {
			f.PutAside()
		}
		if f.Due(rng.IntN(2) == 0) {
			take()
		}
		clear(chunk) // it keeps no reference
	}
	take()
	return got, total
}

// Whatever the boundaries of the chunks, and however scarce the slots, the same frames
// come out, and every byte is counted.
func TestFramerTakesAnyChunks(t *testing.T) {
	stream := wire.AppendHandshake(nil, hello)
	want := []string{"unchoke"}
	stream = wire.Append(stream, wire.Message{ID: wire.Unchoke})
	ask := NewBatch()
	defer ask.Release()
	for i := range 20 {
		if i < 18 {
			ask.Add(request(i))
		}
		data := bytes.Repeat([]byte{byte(i)}, block.Size-i)
		stream = append(stream, piece(7, uint32(i), data)...)
		f := Frame{Message: wire.Message{ID: wire.Piece, Index: 7, Begin: uint32(i), Length: uint32(len(data))}}
		text := show(f)
		if i < 18 {
			text = text[:len(text)-len(" discarded")] // nobody asked for the last two
		}
		want = append(want, text)
		stream = wire.Append(stream, wire.Message{ID: wire.Have, Index: uint32(i)})
		want = append(want, wire.Message{ID: wire.Have, Index: uint32(i)}.String())
	}
	for seed := range uint64(50) {
		slab := block.NewSlab(2 * block.Size)
		var f Framer
		f.Init(slab, false)
		f.Ask(ask)
		got, total := pushAll(t, &f, stream, rand.New(rand.NewPCG(seed, 1)))
		if len(got) != len(want) {
			t.Fatalf("%d frames, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("frame %d is %q, want %q", i, got[i], want[i])
			}
		}
		if total != int64(len(stream)) {
			t.Errorf("%d bytes were counted of %d", total, len(stream))
		}
		if err := f.End(); !errors.Is(err, io.EOF) {
			t.Errorf("the end: %v", err)
		}
		if slab.Used() > 0 {
			t.Errorf("%d slots are in use", slab.Used())
		}
	}
}

// Without a slot it says so, keeps what it has, and goes on where it was.
func TestFramerWaitsForASlot(t *testing.T) {
	slab := block.NewSlab(block.Size)
	var f Framer
	f.Init(slab, true)
	b := NewBatch()
	b.Add(request(0))
	f.Ask(b)
	b.Release()
	held := slab.Lease()
	stream := append(wire.Append(nil, wire.Message{ID: wire.Have, Index: 1}), piece(7, 0, make([]byte, block.Size))...)
	rest, need, err := f.Push(stream)
	if err != nil || need != NeedSlot || len(rest) != block.Size {
		t.Fatalf("%d bytes rest, need %v, %v", len(rest), need, err)
	}
	first := f.Take()
	if first == nil || len(first.Frames) != 1 || first.Wire != 9+13 {
		t.Fatalf("took %+v", first)
	}
	first.Release()
	if again, need, _ := f.Push(rest); need != NeedSlot || len(again) != len(rest) {
		t.Fatalf("%d bytes rest, need %v", len(again), need)
	}
	if err := f.End(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an end within a message: %v", err)
	}
	f.Give(held)
	if rest, need, err = f.Push(rest); err != nil || need != NeedBytes || len(rest) != 0 {
		t.Fatalf("%d bytes rest, need %v, %v", len(rest), need, err)
	}
	last := f.Take()
	if got := show(last.Frames[0]); got != "piece 7 0+16384" {
		t.Errorf("took %s", got)
	}
	last.Release()
	f.Drop()
	if slab.Used() > 0 {
		t.Error("the slot is still in use")
	}
}
