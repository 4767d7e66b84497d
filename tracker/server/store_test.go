package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// check compares a swarm's indexes with each other.
func (s *swarm) check() error {
	var count [roles]int32
	placed := 0
	for id, p := range s.peers {
		if p.ident != id {
			return fmt.Errorf("peer %v is filed under %v", p.ident, id)
		}
		count[p.role]++
		homes := 0
		for f := range families {
			at := &p.at[f]
			if at.seen == 0 {
				continue
			}
			homes++
			if s.pools[f][p.role][at.pos] != p || s.homes[f][at.compact] != p {
				return fmt.Errorf("peer %v is not where it should be", id)
			}
		}
		if homes == 0 {
			return fmt.Errorf("peer %v is nowhere", id)
		}
		placed += homes
	}
	pooled, homes := 0, 0
	for f := range families {
		homes += len(s.homes[f])
		for role := range roles {
			pooled += len(s.pools[f][role])
		}
	}
	if count != s.count || pooled != placed || homes != placed {
		return fmt.Errorf("counts %v and %v; %d places, %d in pools, %d homes", s.count, count, placed, pooled, homes)
	}
	return nil
}

// A random life of a swarm, against a model that is a plain map.
func TestSwarmModel(t *testing.T) {
	type entry struct {
		id   ident
		addr netip.AddrPort
		seed bool
		seen int64
	}
	for s := range uint64(20) {
		rng := rand.New(rand.NewPCG(s, 7))
		w := newSwarm()
		model := map[netip.AddrPort]entry{}
		for now := int64(1); now < 600; now++ {
			id := ident{[20]byte{byte(rng.IntN(12))}, 1}
			a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.IntN(8))}), 1)
			if rng.IntN(2) == 0 {
				a = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 15: byte(rng.IntN(8))}), 1)
			}
			at := func(e entry) bool { return e.id == id && e.addr.Addr().Is4() == a.Addr().Is4() }
			switch rng.IntN(5) {
			case 0:
				r := &announce{addr: a}
				w.leave(id, r)
				maps.DeleteFunc(model, func(_ netip.AddrPort, e entry) bool { return at(e) })
			case 1:
				w.expire(now - 50)
				maps.DeleteFunc(model, func(_ netip.AddrPort, e entry) bool { return e.seen < now-50 })
			default:
				role := rng.IntN(roles)
				w.put(id, a, uint8(role), now, 1000)
				maps.DeleteFunc(model, func(_ netip.AddrPort, e entry) bool { return at(e) })
				for k, e := range model {
					if e.id == id {
						e.seed = role == seed
						model[k] = e
					}
				}
				model[a] = entry{id, a, role == seed, now}
			}
			if err := w.check(); err != nil {
				t.Fatalf("seed %d at %d: %v", s, now, err)
			}
			for f := range families {
				got := map[netip.AddrPort]bool{}
				w.pick(f, 1000, nil, leecher, func(p *peer) { got[p.at[f].addrPort(f)] = p.role == seed })
				want := map[netip.AddrPort]bool{}
				for _, e := range model {
					if familyOf(e.addr.Addr()) == f {
						want[e.addr] = e.seed
					}
				}
				if !maps.Equal(got, want) {
					t.Fatalf("seed %d at %d: family %d has %v, want %v", s, now, f, got, want)
				}
			}
		}
	}
}

func TestPickIsFair(t *testing.T) {
	const n = 30
	w := newSwarm()
	for i := range n {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1)
		w.put(ident{[20]byte{byte(i)}, 1}, a, uint8(i%2), 1, 1000)
	}
	self := w.peers[ident{[20]byte{0}, 1}]
	var drawn [n]int
	const rounds, each = 20_000, 5
	for range rounds {
		seen := map[byte]bool{}
		w.pick(v4, each, self, leecher, func(p *peer) {
			drawn[p.id[0]]++
			seen[p.id[0]] = true
		})
		if len(seen) != each {
			t.Fatalf("%d of %d peers are different", len(seen), each)
		}
	}
	for i, k := range drawn[1:] {
		// 3448 are expected, with a deviation of about 60.
		if mean := rounds * each / (n - 1); k < mean*9/10 || k > mean*11/10 {
			t.Errorf("peer %d was drawn %d times, want about %d", i+1, k, mean)
		}
	}
	if drawn[0] > 0 {
		t.Error("a peer was told of itself")
	}
}

func TestExpiry(t *testing.T) {
	cfg := Config{PeerTTL: 100 * time.Second}.withDefaults()
	s := newStore(&cfg)
	var out answer
	join := func(n byte, now int64, ev event) {
		r := &announce{hash: [20]byte{1}, peer: [20]byte{n}, left: 1, event: ev, want: 9,
			addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 1)}
		if err := s.announce(r, &out, now); err != nil {
			t.Fatal(err)
		}
	}
	join(1, 10, started)
	join(2, 60, completed)
	s.sweep(110)
	if st := s.stats(); st.Leechers != 2 {
		t.Errorf("at 110: %+v", st)
	}
	s.sweep(111)
	if st := s.stats(); st.Leechers != 1 {
		t.Errorf("at 111: %+v", st)
	}
	s.sweep(1000)
	if st := s.stats(); st.Leechers != 0 || st.Torrents != 1 {
		t.Errorf("the torrent's count of downloads is forgotten too soon: %+v", st)
	}
	s.sweep(60 + seconds(swarmMemory) + 1)
	if st := s.stats(); st.Torrents != 0 {
		t.Errorf("the torrent is remembered for ever: %+v", st)
	}
	// A swarm that was left empty and never completed anything is gone at once.
	join(1, 10, started)
	join(1, 11, stopped)
	s.sweep(12)
	if st := s.stats(); st.Torrents != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCookies(t *testing.T) {
	key := newCookieKey()
	a, b, c6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")
	one, other := newCookies(key), newCookies(key)
	for _, ip := range []netip.Addr{a, c6} {
		for sent := int64(0); sent < 130; sent += 7 {
			id := one.issue(ip, sent)
			// BEP 15: accepted "until two minutes after they have been sent".
			for _, now := range []int64{sent, sent + 60, sent + 120} {
				if !other.valid(id, ip, now) {
					t.Errorf("an id of %d s is not valid at %d s", sent, now)
				}
			}
			if other.valid(id, ip, sent+180) || other.valid(id, b, sent) || other.valid(id^1, ip, sent) || other.valid(id^1<<63, ip, sent) {
				t.Error("a bad id is valid")
			}
			if newCookies(newCookieKey()).valid(id, ip, sent) {
				t.Error("an id of another key is valid")
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { one.valid(one.issue(a, 1), a, 61) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeys(t *testing.T) {
	cfg := Config{}.withDefaults()
	s := newStore(&cfg)
	if s.keyOf("0000BEEF") != 0xbeef || s.keyOf("beef") != 0xbeef {
		t.Error("a key by HTTP is not the same by UDP")
	}
	if s.keyOf("") != 0 || s.keyOf("hello") == s.keyOf("world") || s.keyOf("hello") == 0 {
		t.Error("keys of text")
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{"": "", "abc": "abc", "a%20b": "a b", "a+b": "a b", "%2B": "+", "%fF%Ff": "\xff\xff", "%%": "!", "%2": "!", "%": "!", "%g0": "!", "%0g": "!"} {
		got, err := unescape(in)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzParseAnnounce(f *testing.F) {
	f.Add("info_hash=%01%23Eg%89%ab%cd%ef%01%23Eg%89%AB%CD%EF%01%23Eg&peer_id=aaaaaaaaaaaaaaaaaaaa&port=6881&left=1&event=started&key=beef&numwant=5&compact=0&ipv6=[::1]:5&ip=1.2.3.4", true)
	f.Add("info_hash=&&==&%", false)
	from := netip.MustParseAddr("192.0.2.1")
	f.Fuzz(func(t *testing.T, query string, trust bool) {
		_, _ = parseScrape(query)
		r, err := parseAnnounce(query, from, trust)
		if err != nil {
			return
		}
		if r.want < 0 || r.want > maxWant || len(r.others) > 1 || !r.addr.IsValid() || r.addr.Addr().Is4In6() {
			t.Errorf("%+v", r)
		}
		if !trust && (r.addr.Addr() != from || len(r.others) > 0) {
			t.Errorf("a stranger's word is believed: %+v", r)
		}
		cfg := Config{MaxSwarms: 1 << 20}.withDefaults()
		s := &Server{cfg: cfg, store: newStore(&cfg)}
		var out answer
		if err := s.store.announce(r, &out, 1); err != nil {
			t.Fatal(err)
		}
		s.appendAnnounce(nil, r, &out)
		for _, w := range s.store.shard(&r.hash).swarms {
			if err := w.check(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzUDP(f *testing.F) {
	cfg := Config{MaxPeers: 100}.withDefaults()
	from := netip.MustParseAddrPort("192.0.2.1:5")
	f.Add([]byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd"), false)
	f.Add(slices.Concat(make([]byte, 8), []byte{0, 0, 0, 1}, make([]byte, 86)), true)
	f.Add(slices.Concat(make([]byte, 8), []byte{0, 0, 0, 2}, make([]byte, 44)), true)
	s := &Server{cfg: cfg}
	s.store = newStore(&s.cfg)
	u := &udpWorker{s: s, cookies: newCookies(newCookieKey())}
	f.Fuzz(func(t *testing.T, p []byte, genuine bool) {
		p = slices.Clone(p)
		if genuine && len(p) >= 8 {
			id := u.cookies.issue(from.Addr(), 1)
			for i := range 8 {
				p[i] = byte(id >> (56 - 8*i))
			}
		}
		out := u.handle(p, from, 1)
		if len(out) > 0 && (len(out) < 8 || string(out[4:8]) != string(p[12:16])) {
			t.Errorf("%x answers %x", out, p)
		}
		if !genuine && len(out) > max(len(p), 8+len("connection id is not valid")) {
			t.Errorf("%d bytes of an unknown client become %d", len(p), len(out))
		}
	})
}
