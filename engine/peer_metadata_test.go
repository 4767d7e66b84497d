package engine

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// unknown makes the configuration of a peer whose torrent does not know its metadata.
func unknown(cfg *peerConfig) { cfg.lengths, cfg.have, cfg.info = metainfo.Lengths{}, nil, nil }

// informed gives a peer metadata of n bytes to serve.
func informed(n int) func(*peerConfig) {
	return func(cfg *peerConfig) { cfg.info = payload(n) }
}

// known lets the metadata arrive.
func (tp *testPeer) known(n int) {
	tp.t.Helper()
	lengths, err := metainfo.NewLengths((tpPieces-1)*tpPieceLen+tpLast, tpPieceLen)
	if err != nil {
		tp.t.Fatal(err)
	}
	tp.cfg.lengths = lengths
	tp.notify(known{lengths, payload(n)})
}

func metadataMsg(kind wire.MetadataKind, piece int32) wire.Message {
	return wire.ExtendedMessage(extMetadata, wire.AppendMetadata(nil, wire.MetadataMsg{Kind: kind, Piece: piece}))
}

func metadataData(piece int32, total int64, data []byte) wire.Message {
	return wire.ExtendedMessage(extMetadata, wire.AppendMetadata(nil,
		wire.MetadataMsg{Kind: wire.MetadataData, Piece: piece, Total: total, Data: data}))
}

func bitfield(b ...byte) wire.Message { return wire.Message{ID: wire.Bitfield, Payload: b} }

// Before the metadata is here we say that we have nothing, and keep what the remote says
// until it can be judged.
func TestPeerBeforeItsMetadata(t *testing.T) {
	for _, c := range []struct {
		name string
		said []wire.Message
		want []int32 // nil: all
		none bool    // it has said nothing
	}{
		{"bitfield", []wire.Message{bitfield(0x80, 0, 0x10)}, []int32{0, 19}, false},
		{"bitfield and haves", []wire.Message{bitfield(0x80, 0, 0), msgIndex(wire.Have, 3), msgIndex(wire.Have, 19)}, []int32{0, 3, 19}, false},
		{"haves", []wire.Message{msgIndex(wire.Have, 3)}, []int32{3}, false},
		{"all", []wire.Message{msg(wire.HaveAll)}, nil, false},
		{"none", []wire.Message{msg(wire.HaveNone)}, []int32{}, false},
		{"taken back", []wire.Message{bitfield(0x82, 0, 0), wire.ExtendedMessage(extDontHave, wire.AppendDontHave(nil, 6))}, []int32{0}, false},
		{"nothing", nil, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := newTestPeer(t, unknown)
			tp.connect()
			tp.link.sent = nil
			tp.shake(fastExt | ltep)
			tp.want("we have nothing", "extended 0", "have-none")
			tp.recv(c.said...)
			if got := tp.heard(); got.has != nil || len(got.haves) > 0 {
				t.Fatalf("the torrent hears %v %v of pieces that nobody knows", got.has, got.haves)
			}
			tp.known(100)
			got := tp.heard()
			switch {
			case c.none:
				if got.has != nil {
					t.Fatalf("it has said nothing, the torrent heard %v", got.has)
				}
			case got.has == nil:
				t.Fatal("the torrent has not heard what it has")
			case c.want == nil:
				if !got.has.Full() {
					t.Fatalf("%v", got.has)
				}
			default:
				if all := slices.Collect(got.has.All()); !slices.Equal(all, c.want) {
					t.Fatalf("%v, want %v", all, c.want)
				}
			}
			tp.want("it hears that we can serve the metadata", "extended 0")
			tp.recv(msgIndex(wire.Have, 5))
			if got := tp.heard(); !slices.Equal(got.haves, []metainfo.PieceIndex{5}) {
				t.Fatalf("from now on as ever: %v", got.haves)
			}
		})
	}
}

// What can't be true of the torrent is a lie, as soon as that is known.
func TestPeerLiedBeforeItsMetadata(t *testing.T) {
	for _, m := range []wire.Message{
		bitfield(0x80, 0, 0, 0), bitfield(0x80, 0), bitfield(0, 0, 0x01), msgIndex(wire.Have, 20), msgIndex(wire.Have, 1<<20),
	} {
		tp := livePeer(t, fastExt|ltep, unknown)
		tp.recv(m)
		tp.alive("nobody knows yet")
		tp.known(100)
		tp.wantGone(faultProtocol, "")
	}
	tp := livePeer(t, fastExt|ltep, unknown)
	tp.recv(msgIndex(wire.Have, wire.MaxPieces))
	tp.wantGone(faultProtocol, "have of piece 2097152")
}

// Requests before the metadata are rejected; pieces were never asked for.
func TestPeerIsAskedBeforeItsMetadata(t *testing.T) {
	tp := livePeer(t, fastExt|ltep, unknown)
	tp.recv(wire.Message{ID: wire.Request, Index: 3, Length: 16384}, msg(wire.Interested), msg(wire.Unchoke),
		wire.Message{ID: wire.Cancel, Index: 3, Length: 16384}, msgIndex(wire.Suggest, 9))
	tp.want("we have said that we have nothing", "reject 3 0+16384")
	for range maxUnasked + 1 {
		tp.recv(wire.Message{ID: wire.Reject, Index: 3, Length: 16384})
	}
	tp.wantGone(faultProtocol, "never asked for")
}

// What the remote allows us while it chokes us is not forgotten.
func TestPeerAllowedFastBeforeItsMetadata(t *testing.T) {
	tp := livePeer(t, fastExt|ltep, unknown)
	tp.recv(msg(wire.HaveAll), msgIndex(wire.AllowedFast, 4), msgIndex(wire.AllowedFast, 4000))
	tp.known(100)
	if got := tp.heard(); !slices.Equal(got.fast, []metainfo.PieceIndex{4}) {
		t.Fatalf("%v", got.fast)
	}
}

// Pieces that turn out to be here already are announced one by one.
func TestPeerAnnouncesWhatItFinds(t *testing.T) {
	tp := livePeer(t, fastExt|ltep, unknown)
	tp.notify(haves{[]metainfo.PieceIndex{1, 2}})
	tp.want("nobody knows what a piece is")
	tp.known(100)
	tp.want("now", "extended 0", "have 1", "have 2")
}

// BEP 9: "The response to this message, from a peer supporting the extension, is either a
// reject or a data message."
func TestPeerServesMetadata(t *testing.T) {
	tp := livePeer(t, ltep, informed(40_000))
	if size := tp.link.ext[0].Get("metadata_size"); string(size.Raw()) != "i40000e" {
		t.Fatalf("metadata_size %s", size.Raw())
	}
	tp.recv(tpExtended())
	tp.recv(metadataMsg(wire.MetadataRequest, 2), metadataMsg(wire.MetadataRequest, 0), metadataMsg(wire.MetadataRequest, 3))
	tp.want("what there is", "metadata reject 3", "metadata data 2 of 40000: 7232", "metadata data 0 of 40000: 16384")
	tp.recv(metadataMsg(9, 0))
	tp.want("an unrecognized message ID MUST be ignored")
}

// The metadata, and that the torrent is private, may come in any phase of a connection.
func TestPeerHearsWhileItConnects(t *testing.T) {
	tp := newTestPeer(t, unknown, func(cfg *peerConfig) { cfg.pex = true })
	tp.notify(pexAllowed{false})
	tp.known(100)
	tp.connect()
	tp.link.sent = nil
	tp.shake(fastExt | ltep)
	tp.want("said once", "extended 0", "have-none")
	if got := tp.lastM(); got != "d11:lt_donthavei3e11:upload_onlyi4e11:ut_metadatai1ee" {
		t.Fatal(got)
	}
}

func TestPeerHasNoMetadata(t *testing.T) {
	tp := livePeer(t, ltep, unknown)
	if tp.link.ext[0].Get("metadata_size").Raw() != nil {
		t.Fatal("a size that nobody knows")
	}
	tp.recv(tpExtended(), metadataMsg(wire.MetadataRequest, 0))
	tp.want("rejected", "metadata reject 0")
}

// Metadata that nobody would take is not announced.
func TestPeerHasLongMetadata(t *testing.T) {
	tp := livePeer(t, ltep, func(cfg *peerConfig) { cfg.info = make([]byte, maxMetadata+1) })
	if tp.link.ext[0].Get("metadata_size").Raw() != nil {
		t.Fatal("announced")
	}
}

// Two copies a minute, and no more; a remote that does not read is waited for.
func TestPeerServesMetadataInMeasure(t *testing.T) {
	tp := livePeer(t, ltep, informed(20*wire.MetadataPiece))
	tp.recv(tpExtended())
	tp.forget()
	tp.link.stuck = true
	for i := range int32(50) {
		tp.recv(metadataMsg(wire.MetadataRequest, i%20))
	}
	data, rejects := tp.countMetadata()
	if data > 4 || rejects != 10 {
		t.Fatalf("%d sent to one that does not read, %d refused", data, rejects)
	}
	tp.link.stuck = false
	tp.link.flush()
	tp.settle()
	if data, _ := tp.countMetadata(); data < 36 {
		t.Fatalf("%d more were sent when it read on", data)
	}
	tp.pass(time.Minute)
	tp.recv(metadataMsg(wire.MetadataRequest, 7))
	tp.want("a minute later", "metadata data 7 of 327680: 16384")
}

func (tp *testPeer) countMetadata() (data, rejects int) {
	tp.settle()
	for _, s := range tp.link.sent {
		switch {
		case bytes.HasPrefix([]byte(s), []byte("metadata data")):
			data++
		case bytes.HasPrefix([]byte(s), []byte("metadata reject")):
			rejects++
		}
	}
	tp.link.sent = nil
	return data, rejects
}

// We ask under the remote's id, and answers to what we have not asked are nobody's.
func TestPeerAsksForMetadata(t *testing.T) {
	tp := livePeer(t, ltep, unknown)
	tp.recv(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtMetadata, ID: tpMetadata}}, MetadataSize: 40_000}))
	if e := tp.heard().extended; e == nil || !e.metadata || e.size != 40_000 || e.pex {
		t.Fatalf("%+v", e)
	}
	tp.tellAsk(0, 2)
	tp.want("asks", "metadata request 0", "metadata request 2")
	piece := payload(wire.MetadataPiece)
	tp.recv(metadataData(1, 40_000, piece), metadataData(2, 40_000, piece[:7232]), metadataMsg(wire.MetadataReject, 0), metadataData(2, 40_000, piece))
	got := tp.heard().metadata
	if len(got) != 2 || got[0].piece != 2 || len(got[0].data) != 7232 || got[0].total != 40_000 || got[1].piece != 0 || got[1].data != nil {
		t.Fatalf("the torrent heard of %d answers", len(got))
	}
	tp.recv(wire.ExtHandshakeMessage(wire.ExtHandshake{M: wire.Extensions{{Name: wire.ExtMetadata}}}))
	if e := tp.heard().extended; e.metadata {
		t.Fatal("it takes no more of these")
	}
	tp.tellAsk(1)
	tp.want("nothing is sent")
	if got := tp.heard().metadata; len(got) != 1 || got[0].data != nil {
		t.Fatalf("%d answers, want a refusal", len(got))
	}
}

func (tp *testPeer) tellAsk(pieces ...int32) {
	tp.t.Helper()
	tp.child.Ref.Tell(askMetadata{pieces})
	tp.settle()
}

func TestPeerHostileMetadata(t *testing.T) {
	for _, b := range []string{
		"", "de", "d8:msg_typei1e5:piecei0e10:total_sizei-1eex", "d8:msg_typei1e5:piecei0e10:total_sizei2147483648eex",
		"d8:msg_typei0e5:piecei-1ee", "d8:msg_typei1e5:piecei0ee" + string(make([]byte, wire.MetadataPiece+1)),
	} {
		tp := livePeer(t, ltep, unknown)
		tp.recv(wire.ExtendedMessage(extMetadata, []byte(b)))
		tp.wantGone(faultProtocol, "bad metadata message")
	}
}

// PEX is taken back when it may not be used any more: "The value 0 is used to turn off an
// extension" (BEP 10).
func TestPeerTakesPEXBack(t *testing.T) {
	tp := livePeer(t, ltep, func(cfg *peerConfig) { cfg.pex = true })
	tp.notify(pexAllowed{false})
	tp.want("says so", "extended 0")
	if got := tp.lastM(); got != "d11:lt_donthavei3e11:upload_onlyi4e11:ut_metadatai1e6:ut_pexi0ee" {
		t.Fatal(got)
	}
	tp.notify(pexAllowed{false})
	tp.want("once")
}

// lt_donthave (BEP 54), received: requests are over, unless the remote will reject them
// itself.
func TestPeerHearsDontHave(t *testing.T) {
	lost := wire.ExtendedMessage(extDontHave, wire.AppendDontHave(nil, 3))
	tp := leechPeer(t, ltep)
	tp.assign(run{3, 0, 2}, run{4, 0, 1})
	tp.recv(lost)
	got := tp.heard()
	if !slices.Equal(got.haves, []metainfo.PieceIndex{^metainfo.PieceIndex(3)}) || !slices.Equal(got.back, []blockRef{{3, 0}, {3, 1}}) {
		t.Fatalf("lost %v, back %v", got.haves, got.back)
	}
	tp = leechPeer(t, ltep|fastExt)
	tp.assign(run{3, 0, 2})
	tp.recv(lost)
	if got := tp.heard(); len(got.haves) != 1 || len(got.back) != 0 {
		t.Fatalf("with Fast they are rejected one by one: back %v", got.back)
	}
	tp.recv(tp.msgBlock(wire.Reject, 3, 0))
	if got := tp.heard(); !slices.Equal(got.back, []blockRef{{3, 0}}) {
		t.Fatalf("back %v", got.back)
	}
	tp.recv(wire.ExtendedMessage(extDontHave, wire.AppendDontHave(nil, 20)))
	tp.wantGone(faultProtocol, "lt_donthave of piece 20")
}

// lt_donthave, sent: to whoever takes it and has been told of the piece; what was asked of
// it is rejected.
func TestPeerSaysDontHave(t *testing.T) {
	tp := seedPeer(t, ltep|fastExt)
	tp.noDisk = true
	tp.recv(tpExtended())
	tp.forget()
	tp.notify(haves{[]metainfo.PieceIndex{^metainfo.PieceIndex(5)}})
	tp.want("says so", "dont-have 5")
	tp.recv(tp.msgBlock(wire.Request, 5, 0), tp.msgBlock(wire.Request, 6, 0))
	tp.want("and serves it no more", "reject 5 0+16384")
	tp.notify(haves{[]metainfo.PieceIndex{^metainfo.PieceIndex(5), 5}})
	tp.want("until it is back", "have 5")

	tp = seedPeer(t, plain)
	tp.notify(haves{[]metainfo.PieceIndex{^metainfo.PieceIndex(5)}})
	tp.want("others can't be told")
}

// BEP 21, while the connection lives: by the message if the remote takes it, or else by
// another handshake.
func TestPeerSaysUploadOnly(t *testing.T) {
	tp := livePeer(t, ltep)
	tp.recv(tpExtended())
	tp.forget()
	tp.notify(stance{uploadOnly: true})
	tp.want("wants nothing more", "upload-only [1]")
	tp.notify(stance{})
	tp.want("wants something again", "upload-only [0]")
	tp.recv(wire.ExtendedMessage(extUploadOnly, []byte{1}))
	if !tp.heard().state.uploadOnly {
		t.Fatal("not heard")
	}

	tp = livePeer(t, ltep)
	tp.notify(stance{uploadOnly: true})
	tp.want("in a handshake", "extended 0")
	h := tp.link.ext[len(tp.link.ext)-1]
	if n, _ := h.Get("upload_only").Int(); n != 1 || tp.lastM() != string(tp.link.ext[0].Get("m").Raw()) {
		t.Fatalf("%s: clients take what is not named for turned off", h.Raw())
	}
	tp.notify(stance{})
	tp.want("and again", "extended 0")
	if got := string(tp.link.ext[len(tp.link.ext)-1].Get("upload_only").Raw()); got != "i0e" {
		t.Fatalf("upload_only %q", got)
	}
}

// TestPeerSaysItWantsNothingLast: libtorrent leaves who wants nothing and has nothing for
// it, so that it must know before what it can have.
func TestPeerSaysItWantsNothingLast(t *testing.T) {
	tp := livePeer(t, ltep)
	tp.recv(tpExtended())
	tp.forget()
	tp.child.Ref.Notify(stance{uploadOnly: true})
	tp.notify(haves{[]metainfo.PieceIndex{5}})
	tp.want("behind what it has", "have 5", "upload-only [1]")
}

// lastM is the m of our last extension handshake.
func (tp *testPeer) lastM() string { return string(tp.link.ext[len(tp.link.ext)-1].Get("m").Raw()) }
