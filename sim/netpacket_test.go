package sim

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/transport"
)

// packetTest has a network and what sockets hear, with the time of its arrival.
type packetTest struct {
	t testing.TB
	w *World
	n *Network
}

// earshot is a socket and what it has heard.
type earshot struct {
	*socket
	heard []string // "1.5ms text"
}

func newPacketTest(t testing.TB, seed uint64, cfg NetConfig) *packetTest {
	w := NewWorld(Config{Seed: seed})
	return &packetTest{t, w, NewNetwork(w, cfg)}
}

func (pt *packetTest) open(h *Host, addr string) *earshot {
	pt.t.Helper()
	s, err := pt.tryOpen(h, addr)
	if err != nil {
		pt.t.Fatal(err)
	}
	e := &earshot{socket: s}
	for k := range s.routes {
		e.Route(transport.PacketKind(k), actor.FuncRef(func(p *transport.Packet) {
			e.heard = append(e.heard, fmt.Sprintf("%v %s", clock.Duration(pt.w.now), p.Data))
			p.Release()
		}))
	}
	return e
}

func (pt *packetTest) tryOpen(h *Host, addr string) (*socket, error) {
	var at netip.AddrPort
	if addr != "" {
		at = netip.MustParseAddrPort(addr)
	}
	var got transport.Opened
	h.OpenDatagrams(at, actor.FuncRef(func(o transport.Opened) { got = o }))
	if got.Err != nil {
		return nil, got.Err
	}
	return got.Socket.(*socket), nil
}

func (pt *packetTest) run(d clock.Duration) {
	pt.t.Helper()
	pt.w.After(d, func() {}) // the clock moves while something is to come
	pt.w.Run(pt.w.now.Add(d))
	if err := pt.w.Err(); err != nil {
		pt.t.Fatal(err)
	}
}

func (e *earshot) wants(t testing.TB, want ...string) {
	t.Helper()
	if !slices.Equal(e.heard, want) {
		t.Errorf("heard %q, want %q", e.heard, want)
	}
	e.heard = nil
}

func TestPacketsTakeTheLatencyOfTheirHosts(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: 10 * time.Millisecond})
	a := pt.open(pt.n.Host(HostConfig{Access: time.Millisecond}), "")
	b := pt.open(pt.n.Host(HostConfig{X: 3000, Y: 4000}), "")
	for _, text := range []string{"d1", "x", "d2"} {
		if err := a.Send(b.Addr(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	pt.run(time.Second)
	b.wants(t, "16ms d1", "16ms x", "16ms d2")
	if s := a.Stats(); s.Out != 3 || s.BytesOut != 5 {
		t.Errorf("sender counted %+v", s)
	}
	if s := b.Stats(); s.In != 3 || s.BytesIn != 5 {
		t.Errorf("receiver counted %+v", s)
	}
	if got, want := pt.n.Packets(), (PacketTotals{Sent: 3, Delivered: 3, Bytes: 5}); got != want {
		t.Errorf("network counted %+v", got)
	}
}

func TestPacketsWaitForTheLinks(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: 10 * time.Millisecond})
	// 100 bytes with headers take 1 ms up and 2 ms down.
	a := pt.open(pt.n.Host(HostConfig{Up: 100_000}), "")
	b := pt.open(pt.n.Host(HostConfig{Down: 50_000}), "")
	text := func(c string) []byte { return bytes.Repeat([]byte(c), 72) }
	for _, c := range []string{"1", "2", "3"} {
		if err := a.Send(b.Addr(), text(c)); err != nil {
			t.Fatal(err)
		}
	}
	pt.run(time.Second)
	b.wants(t, "13ms "+string(text("1")), "15ms "+string(text("2")), "17ms "+string(text("3")))
}

func TestPacketsBeyondTheQueueAreDropped(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{})
	a, b := pt.open(pt.n.Host(HostConfig{Up: 100_000}), ""), pt.open(pt.n.Host(HostConfig{}), "")
	sent := 0
	for range 1000 { // a second's worth
		switch err := a.Send(b.Addr(), make([]byte, 72)); {
		case err == nil:
			sent++
		case !errors.Is(err, transport.ErrDropped):
			t.Fatal(err)
		}
	}
	pt.run(time.Minute)
	if sent != 501 || len(b.heard) != sent || a.Stats().Dropped != 499 {
		t.Errorf("%d sent, %d heard, counted %+v", sent, len(b.heard), a.Stats())
	}
	slow := pt.open(pt.n.Host(HostConfig{Down: 100_000}), "")
	for range 1000 {
		if err := b.Send(slow.Addr(), make([]byte, 72)); err != nil {
			t.Fatal(err)
		}
	}
	pt.run(time.Minute)
	if len(slow.heard) != 501 {
		t.Errorf("%d passed the downlink", len(slow.heard))
	}
}

// TestPacketsHaveFates counts what is lost, doubled and overtaken against the odds.
func TestPacketsHaveFates(t *testing.T) {
	const sent = 20_000
	for _, c := range []struct {
		name                   string
		cfg                    NetConfig
		host                   HostConfig
		least, most            int // heard
		leastLate, mostLate    int // later than the latency
		leastAgain, mostAgains int
	}{
		{name: "ideal", least: sent, most: sent},
		{name: "loss", cfg: NetConfig{Loss: 100_000}, least: 17_800, most: 18_200},
		{name: "loss of both links", host: HostConfig{Loss: 100_000}, least: 16_000, most: 16_400},
		{name: "all lost", cfg: NetConfig{Loss: 1_000_000}},
		{name: "duplicates", cfg: NetConfig{Duplicate: 50_000}, least: 20_900, most: 21_100, leastAgain: 900, mostAgains: 1100},
		{name: "reordering", cfg: NetConfig{Reorder: 50_000}, least: sent, most: sent, leastLate: 900, mostLate: 1100},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Latency = 5 * time.Millisecond
			pt := newPacketTest(t, 7, c.cfg)
			a, b := pt.open(pt.n.Host(c.host), ""), pt.open(pt.n.Host(c.host), "")
			heard, late, again := 0, 0, 0
			for i := range sent {
				b.heard = b.heard[:0]
				if err := a.Send(b.Addr(), fmt.Append(nil, i)); err != nil {
					t.Fatal(err)
				}
				begun := pt.w.now
				pt.run(time.Second)
				heard += len(b.heard)
				again += max(len(b.heard)-1, 0)
				if len(b.heard) == 1 && b.heard[0] != fmt.Sprintf("%v %d", clock.Duration(begun)+5*time.Millisecond, i) {
					late++
				}
			}
			if heard < c.least || heard > c.most || late < c.leastLate || late > c.mostLate || again < c.leastAgain || again > c.mostAgains {
				t.Errorf("%d heard, %d late, %d twice", heard, late, again)
			}
		})
	}
}

func TestPacketsToNowhereAreLost(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: time.Millisecond})
	ha, hb := pt.n.Host(HostConfig{}), pt.n.Host(HostConfig{})
	a, b := pt.open(ha, ""), pt.open(hb, "")
	say := func(to netip.AddrPort, text string) {
		t.Helper()
		if err := a.Send(to, []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		pt.run(time.Second)
	}
	say(netip.MustParseAddrPort("9.9.9.9:9"), "nobody")
	say(netip.AddrPortFrom(hb.Addr(), 1), "no port")
	hb.SetOnline(false)
	say(b.Addr(), "they are offline")
	hb.SetOnline(true)
	ha.SetOnline(false)
	say(b.Addr(), "we are offline")
	ha.SetOnline(true)
	say(b.Addr(), string(make([]byte, 1501)))
	b.wants(t)
	say(b.Addr(), "d")
	b.wants(t, "5.001s d")
	if err := a.Send(b.Addr(), []byte("on its way")); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b.Close()
	pt.run(time.Second)
	b.wants(t)
	if got := pt.n.Packets(); got.Sent != 7 || got.Delivered != 1 || got.Lost != 6 {
		t.Errorf("counted %+v", got)
	}
	if err := b.Send(a.Addr(), []byte("d")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := a.Send(a.Addr(), make([]byte, 65508)); err == nil {
		t.Error("65,508 bytes were sent")
	}
}

func TestPacketsPassNATsAsAnswers(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: time.Millisecond})
	inside := pt.open(pt.n.Host(HostConfig{Unreachable: true}), "")
	a, b := pt.open(pt.n.Host(HostConfig{}), ""), pt.open(pt.n.Host(HostConfig{}), "")
	say := func(from, to *earshot, text string) {
		t.Helper()
		if err := from.Send(to.Addr(), []byte(text)); err != nil {
			t.Error(err)
		}
		pt.run(time.Second)
	}
	say(a, inside, "unasked")
	inside.wants(t)
	say(inside, a, "hello")
	a.wants(t, "1.001s hello")
	say(a, inside, "answer")
	say(b, inside, "from another")
	inside.wants(t, "2.001s answer")
	pt.run(time.Minute)
	say(a, inside, "late")
	inside.wants(t)
}

func TestSocketsOfTwoFamilies(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{})
	six := func(s string) HostConfig { return HostConfig{Addr6: netip.MustParseAddr(s)} }
	ha, hb := pt.n.Host(six("2a01::1")), pt.n.Host(six("2a01::2"))
	a4, a6 := pt.open(ha, "0.0.0.0:6881"), pt.open(ha, "[::]:6881")
	b6 := pt.open(hb, "[2a01::2]:6881")
	if err := b6.Send(a6.Addr(), []byte("six")); err != nil {
		t.Error(err)
	}
	if err := b6.Send(a4.Addr(), []byte("four")); !errors.Is(err, transport.ErrFamily) {
		t.Errorf("to the other family: %v", err)
	}
	pt.run(time.Second)
	a6.wants(t, "0s six")
	a4.wants(t)
	for _, addr := range []string{"0.0.0.0:6881", "[2a01::2]:1", "9.9.9.9:0"} {
		if s, err := pt.tryOpen(ha, addr); err == nil {
			t.Errorf("opened %v", s.Addr())
		}
	}
	if _, err := pt.tryOpen(pt.n.Host(HostConfig{}), "[::]:0"); err == nil {
		t.Error("a host without IPv6 opened a socket of it")
	}
}

// gossip answers each datagram with another, to a neighbour that the seed chooses.
type gossip struct {
	s    transport.Datagrams
	all  []netip.AddrPort
	left int
}

type gossipStart struct{ s transport.Datagrams }
type gossipPacket struct{ *transport.Packet }

func (c *gossip) Handle(x *actor.Ctx[any], m any) {
	switch m := m.(type) {
	case gossipStart:
		c.s = m.s
	case gossipPacket:
		m.Release()
	}
	if c.left--; c.left >= 0 {
		_ = c.s.Send(c.all[x.Rand().IntN(len(c.all))], []byte("d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re"))
	}
}

// gossips runs n sockets that keep k datagrams each in the air.
func gossips(t testing.TB, seed uint64, n, k int, cfg NetConfig) (hash uint64, total PacketTotals) {
	pt := newPacketTest(t, seed, cfg)
	all := make([]netip.AddrPort, n)
	for i := range n {
		s, err := pt.tryOpen(pt.n.Host(HostConfig{X: int64(i % 97 * 300), Y: int64(i % 89 * 300)}), "")
		if err != nil {
			t.Fatal(err)
		}
		all[i] = s.Addr()
		ref := actor.Root(pt.w, actor.Spec{Name: "gossip"}, actor.Actor[any](&gossip{all: all, left: k}), nil).Ref
		s.Route(transport.PacketDHT, actor.Adapt(ref, func(p *transport.Packet) any { return gossipPacket{p} }))
		ref.Tell(gossipStart{s})
	}
	pt.run(time.Hour)
	return pt.w.Hash(), pt.n.Packets()
}

func TestPacketsFollowTheSeed(t *testing.T) {
	cfg := NetConfig{Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 10_000, Duplicate: 10_000, Reorder: 10_000}
	a, total := gossips(t, 3, 50, 200, cfg)
	b, _ := gossips(t, 3, 50, 200, cfg)
	c, _ := gossips(t, 4, 50, 200, cfg)
	if a != b {
		t.Errorf("the same seed gave %x and %x", a, b)
	}
	if a == c {
		t.Error("another seed gave the same run")
	}
	if total.Sent < 1000 || total.Lost == 0 {
		t.Errorf("%+v", total)
	}
}

// maxSimSocket is what a host with one socket may cost the simulator, bytes: there
// are to be 100,000 nodes of the DHT one day.
const maxSimSocket = 1200

func TestSocketsAreSmall(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{})
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const n = 5000
	for range n {
		if _, err := pt.tryOpen(pt.n.Host(HostConfig{}), ""); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / n
	t.Logf("%d bytes per host and socket", each)
	if each > maxSimSocket || each < 100 {
		t.Errorf("a host with a socket costs %d bytes, want at most %d", each, maxSimSocket)
	}
	runtime.KeepAlive(pt)
}

// BenchmarkPackets is one datagram between 10,000 sockets, with the turn of the actor
// that gets it and sends the next.
func BenchmarkPackets(b *testing.B) {
	const sockets = 10_000
	k := max(b.N/sockets, 1)
	b.ReportAllocs()
	_, total := gossips(b, 1, sockets, k, NetConfig{Latency: 20 * time.Millisecond, Jitter: 5 * time.Millisecond})
	b.ReportMetric(float64(total.Delivered)/b.Elapsed().Seconds(), "datagrams/s")
}

func TestTrainsAreDatagramsOneByOne(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{Latency: time.Millisecond})
	a, b := pt.open(pt.n.Host(HostConfig{}), ""), pt.open(pt.n.Host(HostConfig{}), "")
	b.RouteTrains(transport.PacketDHT, actor.FuncRef(func(p *transport.Packet) {
		for d := range p.Datagrams() {
			b.heard = append(b.heard, "train: "+string(d))
		}
		p.Release()
	}))
	for _, c := range []struct {
		data    string
		segment int
		want    []string
	}{
		{"d1d2d", 2, []string{"train: d1", "train: d2", "train: d"}},
		{"d1x2", 2, []string{"train: d1", "1.001s x2"}},
		{"d1d2", 0, []string{"train: d1d2"}},
		{"", 2, nil},
	} {
		if sent, err := a.SendTrain(b.Addr(), []byte(c.data), c.segment); sent != len(c.data) || err != nil {
			t.Errorf("%q by %d: sent %d, %v", c.data, c.segment, sent, err)
		}
		pt.run(time.Second)
		b.wants(t, c.want...)
	}
	a.Close()
	if sent, err := a.SendTrain(b.Addr(), []byte("d1d2"), 2); sent != 0 || !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after Close: sent %d, %v", sent, err)
	}
}

// TestSharedSocketsOfAHost: its address has several names.
func TestSharedSocketsOfAHost(t *testing.T) {
	pt := newPacketTest(t, 1, NetConfig{})
	h := pt.n.Host(HostConfig{})
	shared := transport.Share(h)
	var all []transport.Datagrams
	for _, at := range []netip.AddrPort{
		netip.MustParseAddrPort("0.0.0.0:6881"), netip.AddrPortFrom(h.Addr(), 6881), netip.AddrPortFrom(netip.Addr{}, 6881),
	} {
		shared.OpenDatagrams(at, actor.FuncRef(func(o transport.Opened) {
			if o.Err != nil {
				t.Fatalf("%v: %v", at, o.Err)
			}
			all = append(all, o.Socket)
		}))
	}
	if len(all) != 3 || len(h.sockets) != 1 {
		t.Fatalf("%d handles of %d sockets", len(all), len(h.sockets))
	}
	a, heard := pt.open(pt.n.Host(HostConfig{}), ""), 0
	all[1].Route(transport.PacketDHT, actor.FuncRef(func(p *transport.Packet) { heard++; p.Release() }))
	for i, left := range []int{1, 1, 0} { // once it is routed, then no more
		if err := a.Send(all[0].Addr(), []byte("de")); err != nil {
			t.Fatal(err)
		}
		pt.run(time.Second)
		all[(i+1)%3].Close()
		if len(h.sockets) != left {
			t.Errorf("%d sockets after %d handles", len(h.sockets), i+1)
		}
	}
	if heard != 1 {
		t.Errorf("%d datagrams came", heard)
	}
}
