package engine

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/block"
	"github.com/shoal-bt/shoal/lsd"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/storage"
	"github.com/shoal-bt/shoal/transport"
)

// village is a few sessions with production DHT nodes and LSD in a simulated world. All
// that leaves them by datagram is recorded. They live at private addresses, where BEP 42
// has no say: so few public nodes would not find out theirs.
type village struct {
	t     testing.TB
	w     *sim.World
	net   *sim.Network
	homes []*home
	sum   uint32 // of all that was sent, in order
}

// home is one session in it.
type home struct {
	v      *village
	host   *sim.Host
	ts     *testSession
	dials  []netip.AddrPort
	group  []actor.Ref[lsd.Datagram]
	sent   [][]byte // datagrams of the DHT
	spread [][]byte // of LSD
	kept   map[string][]byte
	ended  bool
	broken error // sockets can't be opened
}

func newVillage(t testing.TB, seed uint64, n int, change ...func(*Config)) *village {
	v := &village{t: t, w: sim.NewWorld(sim.Config{Seed: seed})}
	v.net = sim.NewNetwork(v.w, sim.NetConfig{Latency: 20 * time.Millisecond})
	for i := range n {
		v.move(i, change...)
	}
	v.pass(time.Minute)
	return v
}

// move lets a session move in; the first one is what the others begin with.
func (v *village) move(i int, change ...func(*Config)) *home {
	h := &home{v: v, host: v.net.Host(sim.HostConfig{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})}), kept: map[string][]byte{}}
	h.ts = &testSession{w: v.w, replies: map[storage.ID]actor.Ref[storage.Answer]{}}
	cfg := Config{DHTBootstrap: []string{}, Listen: ap("0.0.0.0:7000")}
	if i > 0 {
		cfg.DHTBootstrap = []string{netip.AddrPortFrom(v.homes[0].host.Addr(), 7000).String()}
	}
	for _, f := range change {
		f(&cfg)
	}
	deps := Deps{World: v.w, Slab: block.NewPhantomSlab(1 << 20), Disk: actor.FuncRef(h.ts.onDisk), Trackers: silentTrackers{},
		Transports: []transport.Transport{h}, Datagrams: h, Multicast: h, Keeper: h}
	h.ts.core = NewCore(deps, cfg, h.ts.onEvent, func(error) { h.ended = true })
	v.homes = append(v.homes, h)
	return h
}

func (v *village) pass(d time.Duration) {
	v.t.Helper()
	v.w.Run(v.w.Now().Add(d))
	if err := v.w.Err(); err != nil {
		v.t.Fatal(err)
	}
}

// add adds a torrent to a session.
func (h *home) add(opt AddOptions) *Torrent {
	h.v.t.Helper()
	var tor *Torrent
	h.ts.core.Add(opt, func(t *Torrent, err error) {
		if err != nil {
			h.v.t.Error(err)
		}
		tor = t
	})
	h.v.pass(0)
	return tor
}

// The home is a transport that connects to nobody.

func (h *home) Name() string { return "none" }
func (h *home) Close()       {}
func (h *home) Listen(a netip.AddrPort, _ actor.Inlet[transport.Accepted], reply actor.Ref[transport.Listening]) {
	reply.Tell(transport.Listening{Addr: a})
}
func (h *home) Dial(d transport.Dial) {
	h.dials = append(h.dials, d.Addr)
	h.v.w.After(time.Second, func() { d.Reply.Tell(transport.Dialed{Err: errRemote}) })
}

// The home keeps tables.

func (h *home) Load(name string, reply actor.Ref[Kept]) {
	h.v.w.After(time.Millisecond, func() { reply.Tell(Kept{h.kept[name]}) })
}
func (h *home) Save(name string, b []byte) { h.kept[name] = b }

// The home opens sockets, which record.

func (h *home) OpenDatagrams(addr netip.AddrPort, reply actor.Ref[transport.Opened]) {
	if h.broken != nil {
		h.v.w.After(time.Millisecond, func() { reply.Tell(transport.Opened{Err: h.broken}) })
		return
	}
	h.host.OpenDatagrams(addr, actor.FuncRef(func(o transport.Opened) {
		if o.Err == nil {
			o.Socket = recordedSocket{o.Socket, h}
		}
		reply.Tell(o)
	}))
}

type recordedSocket struct {
	transport.Datagrams
	h *home
}

func (s recordedSocket) Send(to netip.AddrPort, b []byte) error {
	s.h.sent = append(s.h.sent, bytes.Clone(b))
	s.h.v.record(fmt.Sprint(s.h.v.w.Now(), to), b)
	return s.Datagrams.Send(to, b)
}

func (v *village) record(what string, b []byte) {
	v.sum = crc32.Update(crc32.Update(v.sum, castagnoli, []byte(what)), castagnoli, b)
}

func (h *home) OpenMulticast(_ netip.AddrPort, to actor.Ref[lsd.Datagram], reply actor.Ref[lsd.Opened]) {
	h.group = append(h.group, to)
	reply.Tell(lsd.Opened{Socket: homeGroup{h}})
}

type homeGroup struct{ h *home }

func (g homeGroup) Close() {}
func (g homeGroup) Send(b []byte) error {
	b = bytes.Clone(b)
	g.h.spread = append(g.h.spread, b)
	g.h.v.record("lsd", b)
	for _, other := range g.h.v.homes {
		for _, to := range other.group {
			g.h.v.w.After(time.Millisecond, func() { to.Offer(lsd.Datagram{From: netip.AddrPortFrom(g.h.host.Addr(), 6771), Data: b}) })
		}
	}
	return nil
}

// naming counts the datagrams that name a hash: of the DHT, of LSD.
func (v *village) naming(hash metainfo.Hash) (udp, group int) {
	text := strings.ToLower(hex.EncodeToString(hash.V1[:]))
	for _, h := range v.homes {
		for _, b := range h.sent {
			if bytes.Contains(b, hash.V1[:]) || strings.Contains(strings.ToLower(string(b)), text) {
				udp++
			}
		}
		for _, b := range h.spread {
			if strings.Contains(strings.ToLower(string(b)), text) {
				group++
			}
		}
	}
	return udp, group
}

func (h *home) addr() netip.AddrPort { return netip.AddrPortFrom(h.host.Addr(), 7000) }

func TestTorrentsFindEachOtherByTheDHTAlone(t *testing.T) {
	v := newVillage(t, 5, 12, func(c *Config) { c.NoLSD = true })
	meta := small(t, "shared")
	a, b := v.homes[3], v.homes[9]
	a.add(AddOptions{Torrent: meta})
	v.pass(time.Minute)
	b.add(AddOptions{Torrent: meta})
	v.pass(10 * time.Second)
	if !slices.Contains(b.dials, a.addr()) {
		t.Errorf("dialed %v, want %v", b.dials, a.addr())
	}
	if _, group := v.naming(meta.Hash); group != 0 {
		t.Errorf("%d datagrams of LSD", group)
	}
}

func TestTorrentsFindEachOtherByTheLocalNetworkAlone(t *testing.T) {
	v := newVillage(t, 5, 3, func(c *Config) { c.NoDHT = true })
	meta := small(t, "shared")
	a, b := v.homes[1], v.homes[2]
	a.add(AddOptions{Torrent: meta})
	v.pass(time.Minute)
	b.add(AddOptions{Torrent: meta})
	v.pass(10 * time.Second)
	if !slices.Contains(b.dials, a.addr()) || !slices.Contains(a.dials, b.addr()) {
		t.Errorf("dialed %v and %v", a.dials, b.dials)
	}
	if udp, _ := v.naming(meta.Hash); udp != 0 {
		t.Errorf("%d datagrams of the DHT", udp)
	}
}

// TestNothingNamesAPrivateTorrent looks into every datagram.
func TestNothingNamesAPrivateTorrent(t *testing.T) {
	run := func(seed uint64) uint32 {
		v := newVillage(t, seed, 8)
		public, private := small(t, "public"), small(t, "private")
		private.Private = true
		hinted := metainfo.Magnet{Hash: small(t, "hinted").Hash}
		without := small(t, "without")
		for _, h := range v.homes[2:5] {
			h.add(AddOptions{Torrent: public})
			h.add(AddOptions{Torrent: private})
			h.add(AddOptions{Magnet: &hinted, Private: true})
			h.add(AddOptions{Torrent: without, NoDHT: true, NoLSD: true})
		}
		v.pass(2 * time.Hour)
		if udp, group := v.naming(public.Hash); udp == 0 || group == 0 {
			t.Fatalf("the public one is named by %d and %d datagrams", udp, group)
		}
		for name, hash := range map[string]metainfo.Hash{"private": private.Hash, "hinted": hinted.Hash, "without": without.Hash} {
			if udp, group := v.naming(hash); udp+group != 0 {
				t.Errorf("%s: named by %d and %d datagrams", name, udp, group)
			}
		}
		return v.sum
	}
	if a, b := run(3), run(3); a != b {
		t.Errorf("the same seed: %x, then %x", a, b)
	}
	if !t.Failed() && run(3) == run(4) {
		t.Error("another seed is the same run")
	}
}

func TestNodesComeBackWithTheirTable(t *testing.T) {
	v := newVillage(t, 5, 6)
	h := v.homes[4]
	var doors dhtDoors
	ask := func() {
		h.ts.core.session.Ref.Tell(askDHT{actor.FuncRef(func(in actor.Inlet[findersMsg]) {
			in.TryPut(askNodes{actor.FuncRef(func(d dhtDoors) { doors = d })})
		})})
		v.pass(0)
	}
	ask()
	if len(doors.inlets) != 1 || doors.addrs[0].Port() != 7000 {
		t.Fatalf("doors %+v", doors)
	}
	h.ts.core.Close(0)
	v.pass(time.Second)
	if !h.ended || len(h.kept["dht4"]) == 0 {
		t.Errorf("ended %v, kept %d bytes", h.ended, len(h.kept["dht4"]))
	}
}

func TestWithoutSocketsTheReasonIsTold(t *testing.T) {
	v := &village{t: t, w: sim.NewWorld(sim.Config{Seed: 1})}
	v.net = sim.NewNetwork(v.w, sim.NetConfig{Latency: 20 * time.Millisecond})
	h := v.move(0, func(c *Config) { c.NoLSD = true })
	h.broken = errors.New("no UDP here")
	tor := h.add(AddOptions{Torrent: small(t, "a")})
	v.pass(20 * time.Second)
	dhtState := func() (s SourceStats) {
		tor.in.TryPut(askStats{actor.FuncRef(func(st TorrentStats) { s = st.Sources[1] })})
		v.pass(0)
		return s
	}
	if s := dhtState(); s.Name != "dht" || !strings.Contains(s.State, "no UDP here") {
		t.Errorf("%+v", s)
	}
	h.broken = nil
	v.pass(5 * time.Minute)
	if s := dhtState(); strings.Contains(s.State, "no UDP here") {
		t.Errorf("later %+v", s)
	}
}

func TestTurnsMakeNoStorm(t *testing.T) {
	var q turns
	q.init(0)
	var got []uint64
	for i := range uint64(1000) {
		q.add(wantTurn{torrent: i, urgent: i >= 500})
	}
	now, running := actor.Time(0), 0
	for now < actor.Time(60*time.Second) {
		m, ok, when := q.next(now)
		if ok {
			got = append(got, m.torrent)
			running++
			continue
		}
		if running > turnsAtOnce {
			t.Fatalf("%d at a time", running)
		}
		if when == actor.Never {
			for _, id := range got[len(got)-running:] {
				q.remove(id)
			}
			running = 0
			now = now.Add(time.Second)
			continue
		}
		now = when
	}
	if n := len(got); n < 100 || n > turnBurst+130 {
		t.Errorf("%d turns in a minute", n)
	}
	calm := 0
	for _, id := range got {
		if id < 500 {
			calm++
		}
	}
	if calm < len(got)/5 || calm > len(got)/3 {
		t.Errorf("%d of %d went to those who were not short", calm, len(got))
	}
	if got[0] != 500 || got[3] != 0 {
		t.Errorf("the first were %v", got[:4])
	}
}
