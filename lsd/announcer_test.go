package lsd

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
)

// bus is a local network of announcers in a simulated world: what one sends, all
// hear, itself too, as multicast does.
type bus struct {
	t     testing.TB
	w     *sim.World
	rng   *rand.Rand
	loss  float64
	down  error // sockets can't be opened
	hosts []*host
	log   []string
}

// host is one client in it.
type host struct {
	bus     *bus
	addr    netip.Addr
	child   actor.Child[Message]
	ins     []actor.Ref[Datagram]
	sent    []Announce
	sentAt  []time.Duration
	found   []string
	sendErr error
	closed  int
}

func newBus(t testing.TB, seed uint64) *bus {
	return &bus{t: t, w: sim.NewWorld(sim.Config{Seed: seed}), rng: rand.New(rand.NewPCG(seed, 1))}
}

// join starts an announcer at an address.
func (b *bus) join(addr string, port uint16, change ...func(*Config)) *host {
	h := &host{bus: b, addr: netip.MustParseAddr(addr)}
	cfg := Config{Open: h, Groups: []netip.AddrPort{Group4}, Port: port,
		Local: func(a netip.Addr) bool { return a.IsPrivate() }}
	for _, f := range change {
		f(&cfg)
	}
	b.hosts = append(b.hosts, h)
	h.child = actor.Root(b.w, actor.Spec{Name: "lsd", Limit: Limit(10000)}, New(cfg), func(actor.Exit) {})
	b.pass(0)
	return h
}

func (b *bus) pass(d time.Duration) {
	b.t.Helper()
	b.w.Run(b.w.Now().Add(d))
	if err := b.w.Err(); err != nil {
		b.t.Fatal(err)
	}
}

// OpenMulticast implements Opener.
func (h *host) OpenMulticast(group netip.AddrPort, to actor.Ref[Datagram], reply actor.Ref[Opened]) {
	h.bus.w.After(time.Millisecond, func() {
		if h.bus.down != nil {
			reply.Tell(Opened{Err: h.bus.down})
			return
		}
		h.ins = append(h.ins, to)
		reply.Tell(Opened{Socket: hostSocket{h, group}})
	})
}

type hostSocket struct {
	*host
	group netip.AddrPort
}

// Send implements Socket.
func (s hostSocket) Send(b []byte) error {
	h := s.host
	if h.sendErr != nil {
		return h.sendErr
	}
	a, err := Parse(b)
	if err != nil || len(b) > MaxDatagram {
		h.bus.t.Errorf("%v sends %d bytes, %q: %v", h.addr, len(b), b, err)
	}
	if s.group == Group4 {
		h.sent = append(h.sent, a)
		h.sentAt = append(h.sentAt, time.Duration(h.bus.w.Now()))
	}
	h.bus.log = append(h.bus.log, fmt.Sprintf("%v %v %s", h.bus.w.Now(), h.addr, b))
	for _, to := range h.bus.hosts {
		if h.bus.rng.Float64() >= h.bus.loss {
			to.hear(netip.AddrPortFrom(h.addr, 6771), string(b))
		}
	}
	return nil
}

// Close implements Socket.
func (s hostSocket) Close() { s.closed++; s.ins = nil }

// hear lets a datagram come in.
func (h *host) hear(from netip.AddrPort, text string) {
	h.bus.w.After(time.Millisecond, func() {
		for _, in := range h.ins {
			in.Offer(Datagram{from, []byte(text)})
		}
	})
}

func (h *host) add(hashes ...[20]byte) {
	for _, x := range hashes {
		h.child.Ref.Tell(Add{x, actor.FuncRef(func(f Found) {
			h.found = append(h.found, fmt.Sprintf("%x %v", f.Hash[0], f.Addr))
		})})
	}
	h.bus.pass(0)
}

func (h *host) stats() (s Stats) {
	h.child.Ref.Tell(AskStats{actor.FuncRef(func(x Stats) { s = x })})
	h.bus.pass(0)
	return s
}

// named counts in how many datagrams a hash was named.
func (h *host) named(x [20]byte) (n int) {
	for _, a := range h.sent {
		if slices.Contains(a.Hashes, x) {
			n++
		}
	}
	return n
}

func (h *host) want(why string, found ...string) {
	h.bus.t.Helper()
	got := h.found
	h.found = nil
	if !slices.Equal(got, found) {
		h.bus.t.Fatalf("%s: found %v, want %v", why, got, found)
	}
}

func TestTwoFindEachOther(t *testing.T) {
	b := newBus(t, 1)
	ann, bob := b.join("192.168.0.1", 1001), b.join("192.168.0.2", 1002)
	ann.add(hash(0xa))
	b.pass(time.Second)
	bob.want("has no torrent yet")
	bob.add(hash(0xa), hash(0xb))
	b.pass(50 * time.Millisecond)
	ann.want("bob says it at once", "a 192.168.0.2:1002")
	bob.want("ann has said it before bob was there")
	b.pass(2 * time.Minute)
	bob.want("but answers one who is new, within her minute", "a 192.168.0.1:1001")
	ann.want("who is new to him, so he answers in turn", "a 192.168.0.2:1002")
	if n := ann.named(hash(0xa)); n != 2 {
		t.Errorf("ann has announced %d times in two minutes", n)
	}
	if len(bob.sent) != 2 || len(bob.sent[0].Hashes) != 2 {
		t.Errorf("bob's torrents share no datagram: %+v", bob.sent)
	}
	b.pass(18*time.Minute + 30*time.Second)
	if n := bob.named(hash(0xa)); n != 5 && n != 6 {
		t.Errorf("bob has announced %d times in 20 minutes", n)
	}
}

func TestWhatIsRemovedIsNamedNoMore(t *testing.T) {
	b := newBus(t, 1)
	ann, bob := b.join("192.168.0.1", 1001), b.join("192.168.0.2", 1002)
	ann.add(hash(1), hash(2))
	b.pass(time.Second)
	ann.child.Ref.Tell(Remove{hash(1)})
	bob.add(hash(1))
	b.pass(time.Hour)
	if n := ann.named(hash(1)); n != 1 {
		t.Errorf("named %d times", n)
	}
	ann.want("removed")
	if ann.named(hash(2)) < 10 {
		t.Errorf("the other one: %d times", ann.named(hash(2)))
	}
	// Before anything was sent of it: never.
	ann.child.Ref.Tell(Add{Hash: hash(3)})
	ann.child.Ref.Tell(Remove{hash(3)})
	b.pass(time.Hour)
	if n := ann.named(hash(3)); n != 0 {
		t.Errorf("named %d times", n)
	}
}

func TestNobodyListensNobodyIsToldToConnect(t *testing.T) {
	b := newBus(t, 1)
	ann, bob := b.join("192.168.0.1", 0), b.join("192.168.0.2", 1002)
	ann.add(hash(1))
	bob.add(hash(1))
	b.pass(10 * time.Minute)
	if len(ann.sent) != 0 {
		t.Errorf("announced %+v without a port", ann.sent)
	}
	ann.want("but hears", "1 192.168.0.2:1002", "1 192.168.0.2:1002")
	ann.child.Ref.Tell(SetPort{1001})
	b.pass(time.Second)
	bob.want("now it listens", "1 192.168.0.1:1001")
	ann.child.Ref.Tell(SetPort{1003})
	b.pass(time.Minute)
	bob.want("somewhere else, a minute later", "1 192.168.0.1:1003")
}

func TestSocketsComeAndGo(t *testing.T) {
	b := newBus(t, 1)
	b.down = errors.New("no interface")
	both := func(c *Config) { c.Groups = []netip.AddrPort{Group4, Group6} }
	ann := b.join("192.168.0.1", 1001, both)
	bob := b.join("192.168.0.2", 1002, both)
	ann.add(hash(1))
	bob.add(hash(1))
	b.pass(time.Minute)
	if s := ann.stats(); s.Sockets != 0 || len(s.Errs) != 2 || s.Sent != 0 || s.Torrents != 1 {
		t.Fatalf("%+v", s)
	}
	b.down = nil
	b.pass(time.Minute)
	if s := ann.stats(); s.Sockets != 2 || len(s.Errs) != 0 || s.Sent < 2 {
		t.Fatalf("%+v", s)
	}
	if len(ann.found) == 0 || len(bob.found) == 0 {
		t.Error("nobody was found when the network came")
	}
	ann.sendErr, b.down = errors.New("cable cut"), errors.New("cable cut")
	b.pass(5 * time.Minute)
	if s := ann.stats(); s.Sockets != 0 || len(s.Errs) != 2 || !strings.Contains(s.Errs[0], "cut") {
		t.Fatalf("%+v", s)
	}
	if ann.closed != 2 {
		t.Errorf("%d sockets closed", ann.closed)
	}
	ann.sendErr, b.down, ann.found = nil, nil, nil
	b.pass(10 * time.Minute)
	if s := ann.stats(); s.Sockets != 2 || len(ann.found) == 0 {
		t.Fatalf("%+v, found %v", s, ann.found)
	}
	ann.child.Stop(nil)
	b.pass(0)
	if ann.closed != 4 {
		t.Errorf("%d sockets closed at the end", ann.closed)
	}
}

func TestThousandsOfTorrentsAreSpaced(t *testing.T) {
	b := newBus(t, 1)
	ann := b.join("192.168.0.1", 1001)
	const n = 3000
	for i := range n {
		h := [20]byte{1, byte(i >> 8), byte(i)}
		ann.child.Ref.Tell(Add{Hash: h})
	}
	b.pass(20 * time.Minute)
	if d := len(ann.sent); d > burst+20*60/2 {
		t.Errorf("%d datagrams in 20 minutes", d)
	}
	for i := range ann.sentAt[:len(ann.sentAt)-15] {
		if d := ann.sentAt[i+15] - ann.sentAt[i]; d < 10*leastSpacing {
			t.Fatalf("15 datagrams within %v", d)
		}
	}
	least := 100
	for i := range n {
		least = min(least, ann.named([20]byte{1, byte(i >> 8), byte(i)}))
	}
	if least < 3 {
		t.Errorf("one was named %d times in 20 minutes", least)
	}
}

func TestOurOwnAndStrangersAreIgnored(t *testing.T) {
	b := newBus(t, 1)
	ann := b.join("192.168.0.1", 1001)
	ann.add(hash(0xaa))
	b.pass(time.Second)
	own := ann.sent[0]
	text := func(port uint16, cookie string, h ...[20]byte) string {
		a := Announce{Port: port, Hashes: h, Cookie: cookie}
		return string(a.Append(nil, Group4))
	}
	from := netip.MustParseAddrPort("192.168.0.66:6771")
	ann.want("our own came back over the loop of the group")
	ann.hear(from, text(1, own.Cookie, hash(0xaa)))
	ann.hear(netip.MustParseAddrPort("8.8.8.8:6771"), text(2, "x", hash(0xaa)))
	ann.hear(from, text(3, "x", hash(0xbb)))
	ann.hear(from, "BT-SEARCH?")
	b.pass(time.Second)
	ann.want("our cookie, a public address, a torrent that we do not have, garbage")
	ann.hear(netip.MustParseAddrPort("[::ffff:192.168.0.66]:6771"), text(4, "x", hash(0xaa)))
	b.pass(time.Second)
	ann.want("a neighbour", "aa 192.168.0.66:4")
	if s := ann.stats(); s.Ignored != 2 || s.Heard != 2 {
		t.Errorf("%+v", s)
	}
}

// TestStorm is case X2 of the torture list: somebody floods the group.
func TestStorm(t *testing.T) {
	b := newBus(t, 1)
	ann, bob := b.join("192.168.0.1", 1001), b.join("192.168.0.2", 1002)
	ann.add(hash(1))
	b.pass(10 * time.Second)
	flood := func(seconds int, source func(i int) netip.Addr) {
		for ms := range seconds * 1000 {
			b.w.After(time.Duration(ms)*time.Millisecond, func() {
				a := Announce{Port: uint16(ms%60000 + 1), Hashes: [][20]byte{hash(1)}}
				ann.hear(netip.AddrPortFrom(source(ms), 6771), string(a.Append(nil, Group4)))
			})
		}
	}
	flood(10, func(int) netip.Addr { return netip.MustParseAddr("192.168.0.66") })
	b.pass(5 * time.Second)
	bob.add(hash(1))
	b.pass(5 * time.Second)
	if n := len(ann.found); n < sourceBurst || n > sourceBurst+10*sourceRate+2 {
		t.Errorf("of 10,000 announces of one source %d were taken", n)
	}
	if !slices.Contains(ann.found, "1 192.168.0.2:1002") {
		t.Error("the flood has hidden a neighbour")
	}
	ann.found = nil
	flood(10, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) })
	b.pass(11 * time.Second)
	if n := len(ann.found); n > allBurst+10*allRate {
		t.Errorf("of 10,000 announces of as many sources %d were taken", n)
	}
	if n := ann.named(hash(1)); n > 2 {
		t.Errorf("the flood was answered %d times in half a minute", n)
	}
	b.pass(time.Hour)
	if n := ann.named(hash(1)); n > 16 {
		t.Errorf("announced %d times in an hour", n)
	}
}

// TestManyNeighbours: the answers of many to one who is new are no storm.
func TestManyNeighbours(t *testing.T) {
	b := newBus(t, 7)
	b.loss = 0.2
	for i := range 50 {
		b.join(fmt.Sprintf("192.168.1.%d", i+1), 1000).add(hash(1))
	}
	b.pass(30 * time.Minute)
	total := 0
	for _, h := range b.hosts {
		total += len(h.sent)
		if n := len(h.sent); n < 6 || n > 13 {
			t.Errorf("%v has sent %d datagrams in half an hour", h.addr, n)
		}
		if len(h.found) < 6*49/2 {
			t.Errorf("%v has heard %d", h.addr, len(h.found))
		}
	}
	t.Logf("50 clients sent %d datagrams in 30 minutes", total)
}

func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64) uint32 {
		b := newBus(t, seed)
		b.loss = 0.3
		for i := range 8 {
			h := b.join(fmt.Sprintf("10.0.0.%d", i+1), 1000)
			h.add(hash(byte(i/2+1)), hash(9))
			b.pass(time.Duration(b.rng.IntN(1e9)))
		}
		b.pass(20 * time.Minute)
		return crc32.ChecksumIEEE([]byte(strings.Join(b.log, "\n")))
	}
	if a, b := run(3), run(3); a != b {
		t.Errorf("%x, then %x", a, b)
	}
	if a, b := run(3), run(4); a == b {
		t.Error("another seed is the same run")
	}
}
