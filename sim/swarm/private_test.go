package swarm

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
	"github.com/shoal-bt/shoal/wire"
)

// lan is a few engines with everything that finds peers, in one network: a DHT, a
// multicast group, peer exchange. It hears every word that is said about one info-hash.
type lan struct {
	t     *testing.T
	w     *sim.World
	net   *sim.Network
	hash  metainfo.Hash
	nodes []*lanNode
	group []actor.Ref[lsd.Datagram]
	words []word
	// access is added to the latency of the nodes to come.
	access time.Duration
}

// word is a datagram or message that names the hash, or is part of peer exchange.
type word struct {
	at   clock.Time
	node int
	how  string // "dht", "lsd", "pex"
}

type lanNode struct {
	l       *lan
	number  int
	host    *sim.Host
	core    *engine.Core
	slabs   [2]*block.Slab
	disk    actor.Child[storage.Message]
	events  []engine.Event
	at      []clock.Time // of events
	ended   bool
	learned clock.Time // when it had the metadata of a link; 0: not
	done    clock.Time
}

func newLAN(t *testing.T, hash metainfo.Hash) *lan {
	w := sim.NewWorld(sim.Config{Seed: 11})
	return &lan{t: t, w: w, hash: hash, net: sim.NewNetwork(w, sim.NetConfig{Latency: 10 * time.Millisecond})}
}

// node starts an engine.
func (l *lan) node(seed bool) *lanNode {
	l.t.Helper()
	n := &lanNode{l: l, number: len(l.nodes), host: l.net.Host(sim.HostConfig{
		Addr: netip.AddrFrom4([4]byte{192, 168, 7, byte(1 + len(l.nodes))}), Up: 1 << 20, Down: 1 << 20, Access: l.access})}
	l.nodes = append(l.nodes, n)
	n.slabs = [2]*block.Slab{block.NewPhantomSlab(8 << 20), block.NewPhantomSlab(4 << 20)}
	n.disk = actor.Root(l.w, actor.Spec{Name: "storage", Limit: 1 << 16},
		storage.New(storage.Config{Workers: sim.NewPhantomDisk(l.w, sim.FastDisk, seed), Slab: n.slabs[0], Uploads: n.slabs[1]}), func(actor.Exit) {})
	deps := engine.Deps{World: l.w, Slab: n.slabs[0], Disk: n.disk.Ref, Trackers: sim.NewTracker(l.w).Client(n.host.Addr()),
		Transports: []transport.Transport{&lanTransport{l.net.Transport(n.host, transport.Env{Slab: n.slabs[0]}), n}},
		Datagrams:  lanDatagrams{n}, Multicast: lanMulticast{n}}
	cfg := engine.Config{Listen: n.addr(), DHTBootstrap: []string{l.nodes[0].addr().String()}}
	n.core = engine.NewCore(deps, cfg, n.onEvent, func(error) { n.ended = true; n.disk.Stop(nil) })
	l.pass(0)
	return n
}

func (n *lanNode) addr() netip.AddrPort { return netip.AddrPortFrom(n.host.Addr(), nodePort) }

func (n *lanNode) onEvent(ev engine.Event) {
	n.events, n.at = append(n.events, ev), append(n.at, n.l.w.Now())
	switch ev.Kind {
	case engine.MetadataFetched:
		n.learned = n.l.w.Now()
	case engine.Completed:
		n.done = n.l.w.Now()
	case engine.TorrentFailed:
		n.l.t.Errorf("node %d: %v", n.number, ev.Err)
	}
}

func (n *lanNode) add(opt engine.AddOptions) {
	opt.Dir, opt.NoTrackers = "/", true
	n.core.Add(opt, func(_ *engine.Torrent, err error) {
		if err != nil {
			n.l.t.Errorf("node %d: %v", n.number, err)
		}
	})
	n.l.pass(0)
}

func (l *lan) pass(d time.Duration) {
	l.t.Helper()
	l.w.Run(l.w.Now().Add(d))
	if err := l.w.Err(); err != nil {
		l.t.Fatal(err)
	}
}

// said counts the words of nodes (all if there are none) since a moment, by how.
func (l *lan) said(since clock.Time, nodes ...*lanNode) string {
	count := map[string]int{}
	for _, w := range l.words {
		of := len(nodes) == 0
		for _, n := range nodes {
			of = of || n.number == w.node
		}
		if of && w.at >= since {
			count[w.how]++
		}
	}
	var parts []string
	for _, how := range []string{"dht", "lsd", "pex"} {
		if count[how] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", how, count[how]))
		}
	}
	return strings.Join(parts, ", ")
}

// close ends all engines and looks for what is left behind.
func (l *lan) close() {
	l.t.Helper()
	for _, n := range l.nodes {
		n.core.Close(time.Second)
	}
	l.pass(time.Hour)
	if err := l.w.Check(); err != nil {
		l.t.Error(err)
	}
	for _, n := range l.nodes {
		if used := n.slabs[0].Used() + n.slabs[1].Used(); !n.ended || used != 0 {
			l.t.Errorf("node %d: ended %v, %d slots in use", n.number, n.ended, used)
		}
	}
	if n := l.w.Alive(); n != 0 {
		l.t.Errorf("%d actors are left", n)
	}
}

func (n *lanNode) says(how string, b []byte) {
	h := n.l.hash.V1
	if how == "pex" || bytes.Contains(b, h[:]) || bytes.Contains(bytes.ToLower(b), []byte(hex.EncodeToString(h[:]))) {
		n.l.words = append(n.l.words, word{n.l.w.Now(), n.number, how})
	}
}

// lanDatagrams opens sockets whose datagrams are read on their way.
type lanDatagrams struct{ n *lanNode }

func (d lanDatagrams) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[transport.Opened]) {
	d.n.host.OpenDatagrams(addr, actor.Adapt(reply, func(o transport.Opened) transport.Opened {
		if o.Socket != nil {
			o.Socket = lanSocket{o.Socket, d.n}
		}
		return o
	}))
}

type lanSocket struct {
	transport.Datagrams
	n *lanNode
}

func (s lanSocket) Send(to netip.AddrPort, b []byte) error {
	s.n.says("dht", b)
	return s.Datagrams.Send(to, b)
}

// lanMulticast is the group: what one says all hear, itself too.
type lanMulticast struct{ n *lanNode }

func (m lanMulticast) OpenMulticast(_ netip.AddrPort, to actor.Ref[lsd.Datagram], reply actor.Ref[lsd.Opened]) {
	l := m.n.l
	l.w.After(0, func() {
		l.group = append(l.group, to)
		reply.Tell(lsd.Opened{Socket: lanVoice(m)})
	})
}

type lanVoice struct{ n *lanNode }

func (v lanVoice) Close() {}
func (v lanVoice) Send(b []byte) error {
	v.n.says("lsd", b)
	from, data := v.n.addr(), bytes.Clone(b)
	v.n.l.w.After(time.Millisecond, func() {
		for _, to := range v.n.l.group {
			to.Offer(lsd.Datagram{From: from, Data: bytes.Clone(data)})
		}
	})
	return nil
}

// lanTransport makes links whose ut_pex messages are noticed.
type lanTransport struct {
	transport.Transport
	n *lanNode
}

func (x *lanTransport) Dial(d transport.Dial) {
	d.Reply = actor.Adapt(d.Reply, func(a transport.Dialed) transport.Dialed {
		if a.Link != nil {
			a.Link = &lanLink{a.Link, x.n}
		}
		return a
	})
	x.Transport.Dial(d)
}

func (x *lanTransport) Listen(addr netip.AddrPort, to actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	x.Transport.Listen(addr, actor.AdaptInlet(to, func(a transport.Accepted) transport.Accepted {
		a.Link = &lanLink{a.Link, x.n}
		return a
	}), reply)
}

type lanLink struct {
	transport.Link
	n *lanNode
}

func (l *lanLink) Send(b *transport.Batch) {
	for i := range b.Frames {
		if f := &b.Frames[i]; f.ID == wire.Extended && f.ExtendedID() == pexID {
			l.n.says("pex", f.Payload)
		}
	}
	l.Link.Send(b)
}

// secret describes a torrent of 4 MiB, private or not.
func secret(t *testing.T, private bool) *metainfo.Torrent {
	t.Helper()
	const size, piece = 4 << 20, 64 << 10
	m, err := (&metainfo.Builder{Name: "secret", Length: size, PieceLength: piece, Private: private,
		Pieces: make([]byte, 20*size/piece)}).Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func link(m *metainfo.Torrent) *metainfo.Magnet { return &metainfo.Magnet{Hash: m.Hash} }

// What is said about a torrent that is not private: the others are compared with it.
func TestPublicTorrentIsNamed(t *testing.T) {
	m := secret(t, false)
	l := newLAN(t, m.Hash)
	seed, leech, other := l.node(true), l.node(false), l.node(false)
	seed.add(engine.AddOptions{Torrent: m})
	leech.add(engine.AddOptions{Magnet: link(m), Peers: []netip.AddrPort{seed.addr()}})
	other.add(engine.AddOptions{Magnet: link(m)})
	l.pass(5 * time.Minute)
	said := l.said(0)
	t.Log(said)
	for _, how := range []string{"dht", "lsd", "pex"} {
		if !strings.Contains(said, how) {
			t.Errorf("nothing was said by %s: the test tests nothing", how)
		}
	}
	if leech.done == 0 || other.done == 0 {
		t.Errorf("complete at %v, %v", leech.done, other.done)
	}
	l.close()
}

// Case D5: of a private torrent, and of a link that is said to be private, nothing is
// said from the first moment on, and the download works.
func TestPrivateTorrentIsNotNamed(t *testing.T) {
	m := secret(t, true)
	for name, opt := range map[string]engine.AddOptions{ //order: irrelevant
		"torrent file":       {Torrent: m},
		"link with the hint": {Magnet: link(m), Private: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLAN(t, m.Hash)
			seed, leech, third := l.node(true), l.node(false), l.node(false)
			seed.add(engine.AddOptions{Torrent: m})
			opt.Peers = []netip.AddrPort{seed.addr()}
			leech.add(opt)
			third.add(opt)
			l.pass(5 * time.Minute)
			if said := l.said(0); said != "" {
				t.Errorf("said: %s", said)
			}
			if leech.done == 0 || third.done == 0 {
				t.Error("not complete")
			}
			l.close()
		})
	}
}

// Case D5: a link whose metadata turns out to be private. Until then peers are looked for
// everywhere; from that moment on nothing is said, and those who are known from there
// have to go.
func TestLinkThatTurnsOutPrivate(t *testing.T) {
	m := secret(t, true)
	l := newLAN(t, m.Hash)
	router, leech, stranger, seed := l.node(false), l.node(false), l.node(false), l.node(true)
	_ = router
	leech.add(engine.AddOptions{Magnet: link(m), Peers: []netip.AddrPort{seed.addr()}})
	stranger.add(engine.AddOptions{Magnet: link(m)})
	l.pass(time.Minute)
	before := l.said(0, leech)
	if !strings.Contains(before, "dht") || !strings.Contains(before, "lsd") {
		t.Fatalf("before: %q", before)
	}
	if leech.count(engine.PeerConnected) == 0 {
		t.Fatal("the stranger has not been found")
	}
	seed.add(engine.AddOptions{Torrent: m}) // now somebody has the metadata
	for range 600 {
		l.pass(time.Second)
	}
	if leech.learned == 0 || leech.done == 0 {
		t.Fatalf("metadata at %v, complete at %v", leech.learned, leech.done)
	}
	t.Logf("before %v: %s", leech.learned, before)
	if after := l.said(leech.learned, leech, seed); after != "" {
		t.Errorf("said after the metadata was known: %s", after)
	}
	if !leech.dropped(stranger.addr()) && !stranger.dropped(leech.addr()) {
		t.Error("the one that was found in the DHT or the local network is still connected")
	}
	if stranger.learned != 0 {
		if after := l.said(stranger.learned, stranger); after != "" {
			t.Errorf("the stranger, who knows as well: %s", after)
		}
	}
	l.close()
}

// The same, with the metadata coming while lookups, announces and answers are under way.
func TestLinkThatTurnsOutPrivateAtAnyMoment(t *testing.T) {
	m := secret(t, true)
	began, step := 0, 3
	if raceEnabled {
		step = 9
	}
	for ms := 0; ms < 90; ms += step {
		l := newLAN(t, m.Hash)
		l.access = time.Duration(ms) * time.Millisecond // which puts the metadata off
		seed := l.node(true)
		l.access = 0
		leech := l.node(false)
		l.access = 50 * time.Millisecond // and the lookup takes its time
		for range 4 {
			l.node(false)
		}
		stranger := l.nodes[2]
		l.pass(time.Minute) // the nodes of the DHT know each other
		stranger.add(engine.AddOptions{Magnet: link(m)})
		l.pass(time.Second)
		seed.add(engine.AddOptions{Torrent: m})
		leech.add(engine.AddOptions{Magnet: link(m), Peers: []netip.AddrPort{seed.addr()}})
		l.pass(40 * time.Minute)
		if leech.learned == 0 {
			t.Fatalf("%d ms: no metadata", ms)
		}
		if n := len(l.words); n > 0 && l.words[n-1].at > leech.learned-clock.Time(40*time.Millisecond) {
			began++
		}
		if after := l.said(leech.learned+1, leech); after != "" {
			t.Errorf("%d ms: said after the metadata was known: %s", ms, after)
		}
		l.close()
	}
	t.Logf("in %d of %d runs somebody had named it shortly before", began, 90/step)
	if began < 2 {
		t.Error("hardly ever was a lookup under way")
	}
}

func (n *lanNode) count(kind engine.EventKind) (c int) {
	for _, ev := range n.events {
		if ev.Kind == kind {
			c++
		}
	}
	return c
}

// dropped reports whether a node has ended a connection to an address because the torrent
// is private.
func (n *lanNode) dropped(to netip.AddrPort) bool {
	for _, ev := range n.events {
		if ev.Kind == engine.PeerGone && ev.Addr.Addr() == to.Addr() && ev.Err != nil && strings.Contains(ev.Err.Error(), "private") {
			return true
		}
	}
	return false
}
