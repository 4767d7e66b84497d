package engine

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

func TestPeerDialsAndShakesHands(t *testing.T) {
	tp := newTestPeer(t)
	tp.wantIdle("the dial is under way")
	tp.connect()
	tp.want("speaks first", "handshake fast extension")
	if tp.link.allowed != transport.Unlimited {
		t.Fatalf("allowed %d", tp.link.allowed)
	}
	tp.pass(30 * time.Millisecond)
	tp.shake(wire.FlagFast | wire.FlagExtension)
	tp.want("says what it can and has", "extended 0", "have-none")
	got := tp.heard()
	if s := got.shook; s == nil || s.id != tpID || !s.fast || s.incoming || s.addr != tpRemote {
		t.Fatalf("shook %+v", got.shook)
	}
	if got.state.rtt != 30*time.Millisecond {
		t.Fatalf("round trip %v", got.state.rtt)
	}
}

func TestPeerAnswersIncoming(t *testing.T) {
	tp := newTestPeer(t, incoming(wire.FlagFast), seeding(0, 1, 19))
	tp.want("answers and says what it has", "handshake fast extension", "bitfield [11000000 00000000 00010000]")
	if got := tp.heard(); got.shook == nil || !got.shook.incoming || got.shook.addr.IsValid() {
		t.Fatalf("shook %+v", got.shook)
	}
}

func TestPeerDialFails(t *testing.T) {
	tp := newTestPeer(t)
	tp.dial.Reply.Tell(transport.Dialed{Addr: tpRemote, Err: errors.New("refused")})
	tp.settle()
	var e *peerError
	if !errors.As(tp.exit.Err, &e) || e.fault != faultDial || e.Error() != "peer 10.0.0.9:6881: refused" {
		t.Fatalf("ended by %v", tp.exit)
	}
	if tp.heard().n > 0 {
		t.Fatal("a report of a peer that was never there")
	}
}

// A link that comes when the peer is no more is closed, not leaked.
func TestPeerStoppedWhileDialing(t *testing.T) {
	tp := newTestPeer(t)
	tp.child.Stop(nil)
	tp.settle()
	tp.connect()
	if tp.link.closed == nil {
		t.Fatal("the link was not closed")
	}
}

// Stopped before its first turn, an incoming peer still closes its link.
func TestPeerStoppedAtOnce(t *testing.T) {
	tp := newTestPeer(t)
	link := &tpLink{tp: tp}
	cfg := tp.cfg
	cfg.link = link
	child := actor.Root(tp.w, actor.Spec{Name: "peer"}, newPeer(cfg), nil)
	child.Stop(errors.New("too many"))
	tp.settle()
	if link.closed == nil || link.closed.Error() != "too many" {
		t.Fatalf("closed with %v", link.closed)
	}
}

func TestPeerHandshakeFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		h     wire.Handshake
		fault peerFault
		words string
	}{
		{"another torrent", wire.Handshake{InfoHash: [20]byte{1}, PeerID: tpID}, faultWrong, "serves another torrent"},
		{"ourselves", wire.Handshake{InfoHash: tpHash, PeerID: tpOurID}, faultWrong, "ourselves"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := newTestPeer(t)
			tp.connect()
			b := transport.NewBatch()
			b.Handshake = &c.h
			tp.put(b)
			tp.wantGone(c.fault, c.words)
		})
	}
}

func TestPeerSelfIsRecognisable(t *testing.T) {
	tp := newTestPeer(t)
	tp.connect()
	b := transport.NewBatch()
	b.Handshake = &wire.Handshake{InfoHash: tpHash, PeerID: tpOurID}
	tp.put(b)
	if !errors.Is(tp.exit.Err, errSelf) {
		t.Fatalf("ended by %v", tp.exit.Err)
	}
}

func TestPeerHandshakeTimesOut(t *testing.T) {
	tp := newTestPeer(t)
	tp.pass(time.Minute) // the dial has its own time limit
	tp.alive("dialing")
	tp.connect()
	tp.pass(handshakeTime - time.Millisecond)
	tp.alive("there is still time")
	tp.pass(time.Millisecond)
	tp.wantGone(faultTimeout, "no handshake within 15s")
}

func TestPeerMessageBeforeHandshake(t *testing.T) {
	tp := newTestPeer(t)
	tp.connect()
	tp.recv(msg(wire.Unchoke))
	tp.wantGone(faultProtocol, "broke the protocol: unchoke before its handshake")
}

func TestPeerSecondHandshake(t *testing.T) {
	tp := livePeer(t, plain)
	tp.shake(plain)
	tp.wantGone(faultProtocol, "second handshake")
}

func TestPeerLinkEnds(t *testing.T) {
	remote := &transport.LinkError{Remote: tpRemote, Fault: transport.RemoteFault, Err: wire.ErrLength}
	network := &transport.LinkError{Remote: tpRemote, Fault: transport.NetworkFault, Err: errors.New("reset")}
	for _, c := range []struct {
		err   error
		fault peerFault
		words string
	}{
		{io.EOF, faultClosed, "closed the connection"},
		{remote, faultProtocol, "broke the protocol: message has a wrong length"},
		{network, faultClosed, "connection lost: reset"},
		{&transport.LinkError{Fault: transport.RemoteFault, Err: io.ErrUnexpectedEOF}, faultClosed, "closed"},
	} {
		tp := livePeer(t, plain)
		tp.link.in.TryPut(transport.Closed{Err: c.err})
		tp.wantGone(c.fault, c.words)
	}
}

// What came with the last drain is not lost with the connection.
func TestPeerLastBlocksAreDelivered(t *testing.T) {
	tp := leechPeer(t, plain)
	tp.assign(run{0, 0, 2})
	tp.link.in.TryPut(tp.batchOf(tp.blocks(run{0, 0, 2})))
	tp.link.in.TryPut(transport.Closed{Err: io.EOF})
	tp.settle()
	if got := tp.heard(); len(got.blocks) != 2 || got.state.down != 2*metainfo.BlockSize {
		t.Fatalf("the torrent got %v, %d bytes", got.blocks, got.state.down)
	}
}

func TestPeerSaysWhatItHas(t *testing.T) {
	for _, c := range []struct {
		name     string
		reserved wire.Reserved
		change   func(*peerConfig)
		want     []string
	}{
		{"nothing, plain", plain, func(*peerConfig) {}, nil},
		{"some, plain", plain, seeding(1, 2), []string{"bitfield [01100000 00000000 00000000]"}},
		{"all, plain", plain, seeding(), []string{"bitfield [11111111 11111111 11110000]"}},
		{"all, fast", fastExt, seeding(), []string{"have-all"}},
		{"some, fast", fastExt, seeding(3), []string{"bitfield [00010000 00000000 00000000]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := newTestPeer(t, c.change)
			tp.connect()
			tp.link.sent = nil
			tp.shake(c.reserved)
			tp.want("says it", c.want...)
		})
	}
}

func TestPeerHavesWhileShaking(t *testing.T) {
	log := []metainfo.PieceIndex{1}
	tp := newTestPeer(t, seeding(1), func(cfg *peerConfig) { cfg.log = log })
	tp.connect()
	log = append(log, 4)
	tp.notify(haves{log})
	tp.link.sent = nil
	tp.shake(plain)
	tp.want("one bitfield for all", "bitfield [01001000 00000000 00000000]")
	log = append(log, 4, 5, 1, 6) // pieces that it has said already may come again
	tp.notify(haves{log})
	tp.want("and what came since", "have 5", "have 6")
}

// Pieces that were verified just before the last one arrive as one batch, and a peer
// that has become a seed keeps no set.
func TestPeerBecomesSeed(t *testing.T) {
	tp := livePeer(t, fastExt)
	var log []metainfo.PieceIndex
	for i := range metainfo.PieceIndex(tpPieces) {
		log = append(log, i)
	}
	before := tp.link.batches
	tp.notify(haves{log})
	if tp.link.batches != before+1 || len(tp.link.sent) != tpPieces {
		t.Fatalf("%d messages in %d batches", len(tp.link.sent), tp.link.batches-before)
	}
	if set := &tp.peer.ours.set; !set.full() || set.some != nil || !set.has(19) || set.has(20) {
		t.Fatalf("set %+v", set)
	}
}
