package engine

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/bencode"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/wire"
)

// byLink makes a torrent begin with a link to info.
func byLink(info []byte, change ...func(*torrentConfig)) func(*testTorrent) {
	return func(tt *testTorrent) {
		v1, _ := metainfo.SumInfo(info)
		tt.cfg.meta = nil
		tt.cfg.magnet = &metainfo.Magnet{Hash: metainfo.HashV1(v1), Name: "a link"}
		tt.cfg.hash = tt.cfg.magnet.Hash
		for _, f := range change {
			f(&tt.cfg)
		}
	}
}

// offers: a peer says in its extension handshake that it has metadata of so many bytes.
func (tt *testTorrent) offers(name string, size int64) {
	tt.t.Helper()
	tt.report(name, func(r *report) { r.extended = &extended{metadata: true, size: size} })
}

// provides: a peer sends pieces of info.
func (tt *testTorrent) provides(name string, info []byte, pieces ...int32) {
	tt.t.Helper()
	tt.report(name, func(r *report) {
		for _, i := range pieces {
			at := int(i) * wire.MetadataPiece
			r.metadata = append(r.metadata, metadataAnswer{i, int64(len(info)),
				slices.Clone(info[at : at+wire.MetadataPieceSize(int64(len(info)), i)])})
		}
	})
}

// waits is somebody who waits for the metadata.
func (tt *testTorrent) waits() *[]gotMetadata {
	tt.t.Helper()
	var got []gotMetadata
	tt.tell(askMetaInfo{actor.FuncRef(func(g gotMetadata) { got = append(got, g) })})
	return &got
}

func TestTorrentFetchesItsMetadata(t *testing.T) {
	info := ttMeta(t, ttTotal, ttPieceLen).Info()
	tt := newTestTorrent(t, byLink(info))
	tt.want("events", "it looks for peers at once", "metadata")
	tt.wantIdle("nothing is known that could be opened", "disk")
	if s := tt.stats(); s.State != FetchingMetadata || s.Name != "a link" || s.Total != 0 || s.MetadataTotal != 0 {
		t.Fatalf("%+v", s)
	}
	waiter := tt.waits()
	for name, err := range map[string]error{
		"priorities": tt.ask(func(r actor.Ref[error]) torrentMsg { return setPriorities{nil, r} }),
		"recheck":    tt.ask(func(r actor.Ref[error]) torrentMsg { return recheck{r} }),
		"rename":     tt.ask(func(r actor.Ref[error]) torrentMsg { return rename{0, "x", r} }),
	} {
		if !errors.Is(err, ErrNoMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tt.peer("a")
	tt.need("a", 4)
	tt.wantIdle("nothing to ask of one that has no metadata", "a")
	tt.offers("a", int64(len(info)))
	tt.want("a", "it is asked", "ask metadata [0]")
	tt.forget()
	tt.provides("a", info, 0)
	tt.want("a", "it stays, and hears how many pieces there are", "known 10")
	tt.want("events", "storage is opened as ever", "metadata", "starting", "downloading")
	tt.want("disk", "", "open")
	if len(*waiter) != 1 || (*waiter)[0].err != nil || string((*waiter)[0].meta.Info()) != string(info) {
		t.Fatalf("the waiter got %v", *waiter)
	}
	tt.cfg.lengths = tt.tor.cfg.lengths
	tt.report("a", func(r *report) { r.has = setOf(10) })
	tt.need("a", 3)
	tt.want("a", "and is asked for pieces", "interested", "ask 0:0+4", "ask 1:0+3")
	if s := tt.stats(); s.Name != "file" || s.Total != ttTotal {
		t.Fatalf("%+v", s)
	}
}

// What is on disk already is announced to peers that came before the metadata.
func TestTorrentTellsEarlyPeers(t *testing.T) {
	meta := ttMeta(t, ttTotal, ttPieceLen)
	tt := newTestTorrent(t, func(tt *testTorrent) { tt.disk.opened.Have = setOf(10, 2, 5) }, byLink(meta.Info()))
	tt.peer("a")
	tt.offers("a", int64(len(meta.Info())))
	tt.forget()
	tt.provides("a", meta.Info(), 0)
	tt.want("a", "", "known 10", "have 2", "have 5")
}

// M8 of a torrent: sizes that nobody can want, endless rejects, a liar. Nobody holds it up
// but liars are banned.
func TestTorrentHostileProviders(t *testing.T) {
	info := ttMeta(t, ttTotal, ttPieceLen).Info()
	size := int64(len(info))
	tt := newTestTorrent(t, byLink(info))
	for name, n := range map[string]int64{"a": -1, "b": 1 << 31, "c": maxMetadata + 1} { //order: irrelevant
		tt.peer(name)
		tt.forget()
		tt.offers(name, n)
		tt.wantIdle("nobody can want that", name)
	}
	tt.peer("r")
	tt.offers("r", size)
	asked := 0
	for range 100 {
		if !tt.has("r", "ask metadata") {
			tt.pass(10 * time.Second)
			continue
		}
		asked++
		tt.report("r", func(r *report) { r.metadata = []metadataAnswer{{piece: 0}} })
	}
	if asked == 0 || asked > 40 {
		t.Fatalf("asked %d times for what it refuses", asked)
	}
	tt.peer("l")
	tt.forget()
	tt.offers("l", size)
	lie := slices.Clone(info)
	lie[5] ^= 1
	tt.provides("l", lie, 0)
	tt.want("events", "the liar goes", "banned l", "gone l")
	tt.peer("h")
	tt.offers("h", size)
	tt.forget()
	tt.provides("h", info, 0)
	tt.want("events", "an honest one is enough", "metadata", "starting", "downloading")
	if s := tt.stats(); s.Banned != 1 {
		t.Fatalf("%d banned", s.Banned)
	}
}

// A provider that leaves owes nothing: its pieces are asked of others at once.
func TestTorrentProviderLeaves(t *testing.T) {
	info := ttMeta(t, 10_000*16, 16).Info() // 13 pieces
	tt := newTestTorrent(t, byLink(info))
	tt.peer("a")
	tt.offers("a", int64(len(info)))
	tt.want("a", "the first", "ask metadata [0 1 2 3]")
	tt.provides("a", info, 1)
	tt.forget()
	tt.peer("b")
	tt.offers("b", int64(len(info)))
	tt.forget()
	tt.leave("a", errRemote)
	if s := tt.stats(); s.MetadataDone != 1 || s.MetadataTotal != 13 {
		t.Fatalf("%d of %d", s.MetadataDone, s.MetadataTotal)
	}
	for range 20 {
		tt.provides("b", info, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	}
	tt.want("events", "", "gone a", "metadata", "starting", "downloading")
}

// Metadata that turns out private: who is known by foreign sources only goes, and nobody
// is told of others, before the torrent goes on.
func TestTorrentTurnsOutPrivate(t *testing.T) {
	info := fatTorrent(t, "file", payload(100_000), 10_000, 10, bencode.M{"private": int64(1)}).Info()
	tt := newTestTorrent(t, byLink(info))
	tt.peer("u")
	tt.offers("u", int64(len(info)))
	foreign := netip.MustParseAddrPort("45.1.2.3:6881")
	tracked := netip.MustParseAddrPort("45.1.2.4:6881")
	tt.dials = 0
	tt.tell(found{addrs: []netip.AddrPort{foreign}, source: SourceDHT})
	tt.tell(found{addrs: []netip.AddrPort{tracked}, source: SourceTracker})
	tt.forget()
	tt.provides("u", info, 0)
	if got := tt.heard["u"]; len(got) < 2 || got[0] != "pex false" {
		t.Fatalf("%v", got)
	}
	if book := tt.tor.swarm.book.byAddr; book[foreign] != nil || book[tracked] == nil {
		t.Fatal("the wrong addresses are kept")
	}
}

// A link that is said to be private offers no PEX from the first packet.
func TestTorrentPrivateByHint(t *testing.T) {
	info := ttMeta(t, ttTotal, ttPieceLen).Info()
	tt := newTestTorrent(t, byLink(info, func(cfg *torrentConfig) { cfg.private = true }))
	if p := tt.peer("a"); p.cfg.pex {
		t.Fatal("PEX is offered")
	}
}

// Paused it asks nobody; what is there stays.
func TestTorrentPausesBeforeItsMetadata(t *testing.T) {
	info := ttMeta(t, ttTotal, ttPieceLen).Info()
	tt := newTestTorrent(t, byLink(info))
	tt.peer("a")
	tt.offers("a", int64(len(info)))
	tt.forget()
	check(t, tt.ask(func(r actor.Ref[error]) torrentMsg { return pause{r} }))
	tt.want("events", "", "paused", "gone a")
	check(t, tt.ask(func(r actor.Ref[error]) torrentMsg { return resume{r} }))
	tt.want("events", "", "metadata")
	tt.peer("b")
	tt.offers("b", int64(len(info)))
	tt.provides("b", info, 0)
	if s := tt.stats(); s.State != Downloading {
		t.Fatalf("%v", s.State)
	}
}

func TestTorrentEndsBeforeItsMetadata(t *testing.T) {
	tt := newTestTorrent(t, byLink([]byte("de")))
	waiter := tt.waits()
	tt.tell(finish{})
	if tt.exit == nil || len(*waiter) != 1 || !errors.Is((*waiter)[0].err, ErrClosed) {
		t.Fatalf("%v, the waiter got %v", tt.exit, *waiter)
	}
}

// A torrent says the same of metadata that a peer sends as of a file with it: it opens, or
// it fails for the same reason, and stays so.
func TestMetadataFromAPeerGetsTheVerdictOfAFile(t *testing.T) {
	names, err := filepath.Glob("../metainfo/testdata/torrents/*.torrent")
	check(t, err)
	opened, refused := 0, 0
	for _, name := range names {
		raw, err := os.ReadFile(name)
		check(t, err)
		top, _, err := bencode.ParsePrefix(raw, bencode.Options{})
		if err != nil || top.Get("info").Kind() == bencode.None {
			continue
		}
		info := top.Get("info").Raw()
		file, fileErr := metainfo.LoadInfo(info)
		if fileErr == nil {
			fileErr = acceptable(file)
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			tt := newTestTorrent(t, byLink(info))
			tt.peer("a")
			tt.offers("a", int64(len(info)))
			for i := range wire.MetadataPieces(int64(len(info))) {
				tt.provides("a", info, i)
			}
			s := tt.stats()
			switch fileErr {
			case nil:
				opened++
				if s.State == Failed || s.Name != file.Name || !tt.has("disk", "open") {
					t.Fatalf("%v %s: the file is good", s.State, s.Err)
				}
			default:
				refused++
				if s.State != Failed || !strings.HasSuffix(s.Err, fileErr.Error()) {
					t.Fatalf("%v %s, the file: %v", s.State, s.Err, fileErr)
				}
				check(t, tt.ask(func(r actor.Ref[error]) torrentMsg { return resume{r} }))
				if got := *tt.waits(); tt.stats().State != Failed || len(got) != 1 || got[0].err == nil {
					t.Fatal("it comes to the same when it is tried again")
				}
			}
		})
	}
	if opened < 20 || refused < 10 {
		t.Fatalf("%d opened, %d refused: is that the corpus?", opened, refused)
	}
}
