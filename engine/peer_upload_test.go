package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

func (tp *testPeer) requests(r run) []wire.Message {
	var out []wire.Message
	for i := range r.n {
		out = append(out, tp.msgBlock(wire.Request, r.piece, r.first+metainfo.BlockIndex(i)))
	}
	return out
}

func request(piece, begin, length uint32) wire.Message {
	return wire.Message{ID: wire.Request, Index: piece, Begin: begin, Length: length}
}

func TestPeerUploads(t *testing.T) {
	tp := livePeer(t, plain, seeding())
	tp.recv(msg(wire.Interested))
	if got := tp.heard(); !got.state.interested {
		t.Fatalf("%+v", got)
	}
	tp.notify(stance{unchoke: true})
	tp.want("unchokes", "unchoke")
	tp.recv(tp.requests(run{19, 2, 2})...)
	tp.want("serves, also the short one", "piece 19 32768+16384", "piece 19 49152+100")
	tp.pass(statsEvery)
	if got := tp.heard(); got.state.up != block.Size+100 {
		t.Fatalf("uploaded %d", got.state.up)
	}
}

// Requests of one drain are read in runs of up to 256 KiB, at most four at a time.
func TestPeerMergesReads(t *testing.T) {
	tp := seedPeer(t, plain)
	tp.noDisk = true
	tp.recv(append(tp.requests(run{0, 0, 20}), tp.requests(run{2, 5, 2})...)...)
	var got []string
	for _, r := range tp.reads {
		got = append(got, fmt.Sprintf("%d: %d %d+%d", r.ID, r.Piece, r.Begin, r.Length))
	}
	want := []string{"3: 0 0+262144", "3: 0 262144+65536", "3: 2 81920+32768"}
	if !slices.Equal(got, want) {
		t.Fatalf("reads %v", got)
	}
	tp.wantIdle("nothing has been read")
	// Storage may answer in any order; the remote gets what it asked for first.
	tp.answer(tp.reads[2], nil)
	tp.reads = tp.reads[:2]
	tp.wantIdle("the first come first")
	tp.serve(2, nil)
	tp.settle()
	if n := len(tp.link.sent); n != 22 || tp.link.sent[0] != "piece 0 0+16384" || tp.link.sent[21] != "piece 2 98304+16384" {
		t.Fatalf("sent %d: %v", n, tp.link.sent)
	}
	tp.forget()
}

func TestPeerOddRequests(t *testing.T) {
	tp := seedPeer(t, fastExt)
	tp.recv(request(0, 5, 10), request(0, 0, 128<<10), request(1, 16384, 40000), request(1, 100, 16384))
	tp.want("each by itself", "piece 0 5+10", "piece 0 0+131072", "piece 1 16384+40000", "piece 1 100+16384")
	tp.recv(request(1, 100, 20000))
	tp.want("nobody asks so: long, and not at a block", "reject 1 100+20000")
}

func TestPeerRequestFaults(t *testing.T) {
	for _, m := range []wire.Message{
		request(0, 0, 0), request(0, 0, 128<<10+1), request(0, tpPieceLen, 1), request(19, tpLast-1, 2),
		request(20, 0, 1), request(0, 1<<32-1, 16384),
	} {
		tp := seedPeer(t, plain)
		tp.recv(m)
		tp.wantGone(faultProtocol, "broke the protocol: request")
	}
}

func TestPeerDoesNotServeTheChoked(t *testing.T) {
	tp := livePeer(t, plain, seeding())
	tp.recv(tp.requests(run{0, 0, 2})...)
	tp.wantIdle("without Fast a choked request is nobody's")
	if len(tp.reads) > 0 {
		t.Fatal("it was read")
	}
}

func TestPeerChokes(t *testing.T) {
	for _, c := range []struct {
		reserved wire.Reserved
		want     []string
	}{
		{plain, []string{"choke"}},
		{fastExt, []string{"choke", "reject 4 0+16384", "reject 4 16384+16384"}},
	} {
		tp := seedPeer(t, c.reserved)
		tp.noDisk = true
		for i := range metainfo.PieceIndex(4) {
			tp.recv(tp.msgBlock(wire.Request, i, 0)) // as many reads as may be out
		}
		tp.recv(tp.requests(run{4, 0, 2})...)
		tp.notify(stance{})
		tp.want("what waits is dropped", c.want...)
		tp.serve(4, nil)
		tp.want("what is being read is sent", "piece 0 0+16384", "piece 1 0+16384", "piece 2 0+16384", "piece 3 0+16384")
	}
}

func TestPeerCancelIn(t *testing.T) {
	for _, c := range []struct {
		reserved wire.Reserved
		want     []string
	}{
		{plain, nil},
		{fastExt, []string{"reject 4 16384+16384"}},
	} {
		tp := seedPeer(t, c.reserved)
		tp.noDisk = true
		for i := range metainfo.PieceIndex(4) {
			tp.recv(tp.msgBlock(wire.Request, i, 0))
		}
		tp.recv(tp.requests(run{4, 0, 3})...)
		tp.recv(tp.msgBlock(wire.Cancel, 4, 1), tp.msgBlock(wire.Cancel, 0, 0))
		tp.want("only what is not being read", c.want...)
		tp.serve(4, nil)
		tp.settle()
		tp.forget()
		tp.serve(2, nil)
		tp.want("the rest", "piece 4 0+16384", "piece 4 32768+16384")
	}
}

func TestPeerRequestTwice(t *testing.T) {
	tp := seedPeer(t, fastExt)
	tp.noDisk = true
	tp.recv(tp.requests(run{0, 0, 1})...)
	tp.recv(append(tp.requests(run{1, 0, 2}), tp.requests(run{1, 0, 2})...)...)
	tp.serve(2, nil)
	tp.want("each once", "piece 0 0+16384", "piece 1 0+16384", "piece 1 16384+16384")
}

func TestPeerRequestQueueIsBounded(t *testing.T) {
	tp := seedPeer(t, fastExt)
	tp.noDisk = true
	var all []wire.Message
	for len(all) < requestsIn+1 {
		all = append(all, request(0, uint32(len(all)), 16))
	}
	tp.recv(all...)
	tp.want("the last one is too many", fmt.Sprintf("reject 0 %d+16", requestsIn))
	tp.child.Stop(nil)
}

func TestPeerRequestForWhatWeLack(t *testing.T) {
	tp := livePeer(t, fastExt, seeding(1))
	tp.notify(stance{unchoke: true})
	tp.forget()
	tp.recv(tp.msgBlock(wire.Request, 2, 0))
	tp.want("not ours to give", "reject 2 0+16384")
	tp.notify(haves{[]metainfo.PieceIndex{2}})
	tp.recv(tp.msgBlock(wire.Request, 2, 0))
	tp.want("now it is", "have 2", "piece 2 0+16384")
}

func TestPeerReadErrors(t *testing.T) {
	tp := seedPeer(t, fastExt)
	tp.noDisk = true
	tp.recv(append(tp.requests(run{19, 1, 3}), request(0, 0, 100000))...)
	tp.serve(1, errors.New("I/O error"))
	tp.want("each is answered", "reject 19 16384+16384", "reject 19 32768+16384", "reject 19 49152+100")
	tp.serve(1, errors.New("I/O error"))
	tp.want("as it was asked", "reject 0 0+100000")
	for i := range maxReadErrors - 2 {
		tp.alive("it may pass")
		tp.recv(tp.msgBlock(wire.Request, metainfo.PieceIndex(i), 0))
		tp.serve(1, errors.New("I/O error"))
	}
	tp.wantGone(faultDisk, "I/O error")
}

// Not more is read than the remote takes.
func TestPeerUploadWaitsForTheKernel(t *testing.T) {
	tp := seedPeer(t, plain)
	tp.link.stuck = true
	for i := range metainfo.PieceIndex(10) {
		tp.recv(tp.requests(run{i, 0, 16})...)
	}
	if got := int64(len(tp.link.sent)) * block.Size; got < unsentMark || got > unsentMark+uploadRun {
		t.Fatalf("%d bytes wait for a kernel that takes none", got)
	}
	tp.link.stuck = false
	tp.link.flush()
	tp.pass(time.Second)
	if n := len(tp.link.sent); n != 160 {
		t.Fatalf("%d of 160 pieces", n)
	}
}

func TestPeerStoppedWhileUploading(t *testing.T) {
	tp := seedPeer(t, plain)
	tp.noDisk = true
	tp.recv(append(tp.requests(run{0, 0, 3}), tp.requests(run{3, 0, 1})...)...)
	tp.answer(tp.reads[1], nil) // ready, but not its turn; the other comes after the end
	tp.reads = tp.reads[:1]
	tp.settle()
	tp.child.Stop(nil)
	tp.settle()
}

// A remote that makes us answer and does not read must not fill our memory.
func TestPeerAnswersPileUp(t *testing.T) {
	tp := livePeer(t, fastExt, seeding(1))
	tp.link.stuck = true
	for range controlMax/17 + 1 {
		tp.recv(tp.msgBlock(wire.Request, 0, 0))
		if tp.exit != nil {
			break
		}
	}
	tp.wantGone(faultProtocol, "does not read")
}

// Haves wait for a remote that does not read, and come when it does.
func TestPeerHavesWaitForTheKernel(t *testing.T) {
	const pieces = 40_000
	tp := livePeer(t, plain, func(cfg *peerConfig) {
		cfg.lengths, _ = metainfo.NewLengths(pieces*block.Size, block.Size)
		cfg.have = nil
	})
	var log []metainfo.PieceIndex
	for i := range metainfo.PieceIndex(pieces) {
		log = append(log, i)
	}
	tp.link.stuck = true
	tp.notify(haves{log})
	if n := len(tp.link.sent) * 9; n < controlMark || n > controlMark+9 {
		t.Fatalf("%d bytes of haves wait", n)
	}
	tp.link.stuck = false
	tp.link.flush()
	tp.pass(time.Second)
	if n := len(tp.link.sent); n != pieces {
		t.Fatalf("%d of %d haves", n, pieces)
	}
}
