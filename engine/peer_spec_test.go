package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// Each test here quotes the sentence of the BEP that it holds the peer to.

// BEP 3: "Connections start out choked and not interested."
func TestSpecStartsChoked(t *testing.T) {
	tp := livePeer(t, plain, seeding())
	tp.recv(tp.msgBlock(wire.Request, 0, 0))
	tp.wantIdle("not served")
	if s := tp.heard().state; !s.chokesUs || s.interested || s.need != 0 {
		t.Fatalf("%+v", s)
	}
}

// BEP 3: "Downloaders which don't have anything yet may skip the 'bitfield' message."
func TestSpecMaySkipBitfield(t *testing.T) {
	tp := newTestPeer(t)
	tp.connect()
	tp.link.sent = nil
	tp.shake(plain)
	tp.want("skips it")
	tp.recv(msgIndex(wire.Have, 3))
	if got := tp.heard(); got.has != nil || !slices.Equal(got.haves, []metainfo.PieceIndex{3}) {
		t.Fatalf("the remote may skip it too: %+v", got)
	}
}

// BEP 3: "'bitfield' is only ever sent as the first message." aria2 does otherwise.
func TestSpecBitfieldFirst(t *testing.T) {
	field := wire.Message{ID: wire.Bitfield, Payload: []byte{0x40, 0, 0}}
	for _, before := range [][]wire.Message{
		{field}, {msgIndex(wire.Have, 0)}, {msg(wire.Unchoke)}, {msg(wire.KeepAlive), msg(wire.Interested)},
	} {
		tp := livePeer(t, plain)
		tp.recv(append(before, field)...)
		if got := tp.heard(); got.has == nil || !got.has.Has(1) || got.has.Count() != 1 {
			t.Fatalf("the late bitfield counts: %+v", got)
		}
	}
	tp := livePeer(t, ltep)
	tp.recv(msg(wire.KeepAlive), wire.ExtendedMessage(0, []byte("de")), wire.PortMessage(1), wire.Message{ID: 77}, field)
	tp.alive("what clients send before it")
}

// BEP 3: "The first byte of the bitfield corresponds to indices 0 - 7 from high bit to
// low bit, respectively. [...] Spare bits at the end are set to zero."
func TestSpecBitfieldShape(t *testing.T) {
	for _, c := range []struct {
		bytes []byte
		words string
	}{
		{[]byte{0, 0}, "wrong length"},
		{[]byte{0, 0, 0, 0}, "wrong length"},
		{[]byte{0, 0, 8}, "spare bits"},
	} {
		tp := livePeer(t, plain)
		tp.recv(wire.Message{ID: wire.Bitfield, Payload: c.bytes})
		tp.wantGone(faultProtocol, c.words)
	}
}

// BEP 3: "Messages of length zero are keepalives, and ignored. Keepalives are
// generally sent once every two minutes".
func TestSpecKeepAlive(t *testing.T) {
	tp := livePeer(t, plain)
	tp.recv(msg(wire.KeepAlive))
	tp.wantIdle("ignored")
	tp.pass(keepAlive)
	tp.want("after two minutes without a word of ours", "keep-alive")
	tp.recv(msg(wire.KeepAlive))
	tp.pass(time.Minute)
	tp.notify(stance{interested: true})
	tp.want("a message", "interested")
	tp.recv(msg(wire.KeepAlive))
	tp.pass(keepAlive - time.Second)
	tp.want("is as good")
	tp.pass(time.Second)
	tp.want("until it is over", "keep-alive")
	tp.pass(silentTime)
	tp.wantGone(faultTimeout, "silent for 3m0s")
}

// BEP 3: "Next comes the 20 byte truncated infohash. If both sides don't send the same
// value, they sever the connection." See TestPeerHandshakeFaults.

// BEP 3: 'choke', 'unchoke', 'interested', 'not interested' are told on change only,
// and hearing them twice does no harm.
func TestSpecStateMessages(t *testing.T) {
	tp := livePeer(t, plain)
	s := stance{interested: true, unchoke: true}
	tp.notify(s)
	tp.want("both", "interested", "unchoke")
	tp.notify(s)
	tp.wantIdle("no change")
	tp.notify(stance{})
	tp.want("both back", "not-interested", "choke")
	tp.recv(msg(wire.Unchoke), msg(wire.Unchoke), msg(wire.Interested), msg(wire.Interested))
	if s := tp.heard().state; s.chokesUs || !s.interested {
		t.Fatalf("%+v", s)
	}
	tp.recv(msg(wire.Choke), msg(wire.Choke), msg(wire.NotInterested), msg(wire.NotInterested))
	if s := tp.heard().state; !s.chokesUs || s.interested {
		t.Fatalf("%+v", s)
	}
}

// Indexes beyond the torrent are the remote's fault, whatever names them.
func TestSpecIndexes(t *testing.T) {
	for _, id := range []wire.ID{wire.Have, wire.Request, wire.Cancel, wire.Piece, wire.Suggest, wire.Reject, wire.AllowedFast} {
		tp := seedPeer(t, fastExt)
		tp.recv(wire.Message{ID: id, Index: tpPieces, Length: 16384})
		tp.wantGone(faultProtocol, fmt.Sprintf("%v of piece 20, there are 20", id))
	}
}

// BEP 6, of each of its messages: "When the fast extension is disabled, if a peer
// receives [one] then the peer MUST close the connection."
func TestSpecFastDisabled(t *testing.T) {
	for _, id := range []wire.ID{wire.Suggest, wire.HaveAll, wire.HaveNone, wire.Reject, wire.AllowedFast} {
		tp := livePeer(t, ltep)
		tp.recv(wire.Message{ID: id, Length: 16384})
		tp.wantGone(faultProtocol, "without the fast extension")
	}
}

// BEP 6: "Exactly one of Have All, Have None, or Have Bitfield MUST appear and only
// immediately after the handshake."
func TestSpecHaveAllNone(t *testing.T) {
	tp := livePeer(t, fastExt)
	tp.recv(msg(wire.HaveAll))
	if got := tp.heard(); got.has == nil || !got.has.Full() {
		t.Fatalf("%+v", got)
	}

	tp = livePeer(t, fastExt)
	tp.recv(msg(wire.HaveNone))
	if got := tp.heard(); got.has == nil || !got.has.None() {
		t.Fatalf("%+v", got)
	}
}

// BEP 6: "Suggest Piece is an advisory message".
func TestSpecSuggest(t *testing.T) {
	tp := livePeer(t, fastExt)
	for i := range uint32(tpPieces) {
		tp.recv(msgIndex(wire.Suggest, i))
	}
	if got := tp.heard(); len(got.suggested) != tpPieces || got.suggested[7] != 7 {
		t.Fatalf("%v", got.suggested)
	}
}

// BEP 6: "If a peer receives a reject for a request that was never sent then the peer
// SHOULD close the connection." Deliberately not at the first.
func TestSpecUnaskedReject(t *testing.T) {
	tp := leechPeer(t, fastExt)
	for range maxUnasked {
		tp.recv(tp.msgBlock(wire.Reject, 0, 0))
	}
	tp.alive("some are tolerated")
	tp.recv(request(0, 1, 1)) // nothing to do with it
	tp.recv(wire.Message{ID: wire.Reject, Index: 0, Begin: 1, Length: 1})
	tp.wantGone(faultProtocol, "never asked for")
}

// BEP 6: "every request is guaranteed to result in EXACTLY ONE response which is
// either the corresponding reject or corresponding piece message." Whatever happens
// in between.
func TestSpecExactlyOneResponse(t *testing.T) {
	tp := seedPeer(t, fastExt)
	asked := 0
	for i := range metainfo.PieceIndex(18) {
		tp.noDisk = i%3 == 0
		tp.recv(tp.requests(run{i, 0, 5})...)
		asked += 5
		tp.recv(tp.msgBlock(wire.Cancel, i, 4))
		tp.notify(stance{unchoke: i%4 != 0})
	}
	tp.noDisk = false
	tp.serve(len(tp.reads), nil)
	tp.pass(time.Second)
	answers := map[string]int{}
	for _, f := range tp.link.sent {
		var kind, rest string
		var piece int
		if n, _ := fmt.Sscanf(f, "%s %d %s", &kind, &piece, &rest); n == 3 && kind != "have" {
			answers[fmt.Sprint(piece, " ", rest)]++
		}
	}
	if len(answers) != asked {
		t.Fatalf("%d requests of %d answered", len(answers), asked)
	}
	for what, n := range answers {
		if n != 1 {
			t.Errorf("%s has %d answers", what, n)
		}
	}
}

// BEP 6: "Allowed Fast is an advisory message which means 'if you ask for this piece,
// I'll give it to you even if you're choked.'"
func TestSpecAllowedFastOut(t *testing.T) {
	tp := livePeer(t, fastExt, seeding())
	tp.recv(msg(wire.HaveNone))
	set := wire.AllowedFastSet([4]byte{10, 0, 0, 9}, tpHash, tpPieces, wire.AllowedFastCount)
	var want []string
	for _, i := range set {
		want = append(want, fmt.Sprintf("allowed-fast %d", i))
	}
	tp.want("the canonical set", want...)
	in, out := uint32(set[3]), uint32(0)
	for slices.Contains(set, int32(out)) {
		out++
	}
	tp.recv(request(in, 0, 16384), request(out, 0, 16384))
	tp.want("served while choked", fmt.Sprintf("reject %d 0+16384", out), fmt.Sprintf("piece %d 0+16384", in))
	tp.notify(stance{unchoke: true})
	tp.notify(stance{})
	tp.want("once", "unchoke", "choke")
	// "A peer MAY reject requests for already Allowed Fast pieces [...] if the requested
	// piece has already been sent to the requesting peer".
	served := 0
	for range 1000 {
		tp.recv(request(in, 0, 16384))
		served += len(tp.link.sent)
		if tp.link.sent[0] != fmt.Sprintf("piece %d 0+16384", in) {
			break
		}
		tp.link.sent = nil
	}
	tp.forget()
	if served < 200 || served > 10*20*fastTimes {
		t.Fatalf("served %d times", served)
	}
}

// BEP 6: "A peer SHOULD send Allowed Fast messages to any starting peer", and "Our
// current implementation rejects requests for Allowed Fast messages whenever the
// requesting peer has more than k pieces."
func TestSpecAllowedFastNotForAll(t *testing.T) {
	tp := livePeer(t, fastExt, seeding())
	tp.recv(wire.Message{ID: wire.Bitfield, Payload: []byte{0xff, 0xe0, 0}})
	tp.want("eleven pieces are enough to trade")
	tp = livePeer(t, fastExt, seeding())
	tp.recv(wire.Message{ID: wire.Bitfield, Payload: []byte{0xff, 0xc0, 0}})
	set := tp.peer.up.fast
	tp.recv(request(uint32(set[0]), 0, 16384))
	if got := tp.link.sent; len(got) != 11 || got[10] != fmt.Sprintf("piece %d 0+16384", set[0]) {
		t.Fatalf("ten are not: %v", got)
	}
	tp.forget()
	tp.recv(msgIndex(wire.Have, 19), request(uint32(set[0]), 0, 16384))
	tp.want("now it has", fmt.Sprintf("reject %d 0+16384", set[0]))
	tp = livePeer(t, fastExt)
	tp.recv(msg(wire.HaveNone))
	tp.want("we have nothing to give")
}

// BEP 10: "All items in the dictionary are optional. Any unknown names should be
// ignored by the client." "It is valid to send the handshake message more than once".
func TestSpecExtensionHandshake(t *testing.T) {
	tp := livePeer(t, ltep, func(cfg *peerConfig) { cfg.stance.uploadOnly = true })
	const want = "d1:md11:lt_donthavei3e11:upload_onlyi4e11:ut_metadatai1ee1:pi51413e4:reqqi2000e11:upload_onlyi1e1:v10:shoal test6:yourip4:\x0a\x00\x00\x09e"
	if got := string(tp.link.ext[0].Raw()); got != want {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	tp.recv(wire.ExtendedMessage(0, []byte("d1:md6:ut_pexi1ee1:pi6889e4:reqqi5e11:upload_onlyi1e1:v13:Other 1.0 \xff\xfe\x00e")))
	s := tp.heard().state
	if s.listen != 6889 || !s.uploadOnly || s.client != "Other 1.0 " || tp.peer.mostRequests() != 5 {
		t.Fatalf("%+v", s)
	}
	tp.recv(wire.ExtendedMessage(0, []byte("d11:upload_onlyi0e4:reqqi99999ee")))
	s = tp.heard().state
	if s.listen != 6889 || s.uploadOnly || s.client == "" || tp.peer.mostRequests() != requestsOut {
		t.Fatalf("a second one changes what it names: %+v", s)
	}
	tp.recv(wire.ExtendedMessage(9, []byte("whatever")), wire.ExtendedMessage(0, []byte("d1:p3:abc4:reqqi-1ee")))
	tp.wantIdle("nobody's message, and values of the wrong kind")
	tp.recv(wire.ExtendedMessage(0, []byte("le")), wire.ExtendedMessage(0, []byte("d1:x")))
	tp.wantGone(faultProtocol, "extension handshake")
}

// A client's name is as long as it likes, but not here.
func TestSpecClientNameIsCut(t *testing.T) {
	tp := livePeer(t, ltep)
	name := fmt.Sprintf("%0*d", 500, 7)
	tp.recv(wire.ExtendedMessage(0, []byte("d1:v500:"+name+"e")))
	if got := tp.heard().state.client; got != name[:64] {
		t.Fatalf("%q", got)
	}
}

func TestSpecUnknownMessages(t *testing.T) {
	tp := livePeer(t, plain)
	tp.recv(wire.Message{ID: 200, Payload: []byte("?")}, wire.PortMessage(6881), wire.Message{ID: wire.HashRequest},
		wire.ExtendedMessage(0, []byte("not bencoded, but not announced either")))
	tp.wantIdle("ignored")
}
