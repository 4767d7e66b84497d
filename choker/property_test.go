package choker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// builtin are the strategies of the package itself.
var builtin = []string{"fastest", "seed-round-robin", "tit-for-tat"}

// churn lets everything happen that can, in random order; every decision is checked
// by torrent.check.
func churn(w *torrent, steps int) []flip {
	rng := w.v.Rand
	next := uint32(0)
	for range steps {
		switch k := rng.IntN(10); {
		case k < 3 && len(w.clients) < 40:
			next++
			w.join(client{gives: rng.Int64N(1 << 20), takes: rng.Int64N(1 << 24), Peer: Peer{
				ID: next, Interested: rng.IntN(4) > 0, Seed: rng.IntN(20) == 0, Class: uint8(rng.IntN(20) / 19),
			}})
		case k == 3 && len(w.clients) > 0:
			w.leave(w.clients[rng.IntN(len(w.clients))].ID)
		case k < 6 && len(w.clients) > 0:
			c := w.clients[rng.IntN(len(w.clients))]
			switch rng.IntN(4) {
			case 0:
				c.Snubbed = !c.Snubbed
			case 1:
				c.Seed = c.Seed || rng.IntN(20) == 0
			default:
				c.Interested = !c.Interested
			}
		case k == 6 && rng.IntN(5) == 0:
			w.v.Slots = rng.Int32N(8) - 1
		case k == 7 && rng.IntN(5) == 0:
			w.v.Seeding = !w.v.Seeding
		default:
			w.run(Duration(rng.Int64N(int64(12 * time.Second))))
		}
		w.decide()
	}
	return w.log
}

func TestNeverMoreThanSlotsAndOtherPromises(t *testing.T) {
	for _, name := range builtin {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				churn(newTorrent(t, name, 4, seed), 400)
			})
		}
	}
}

func TestTheSameInputsGiveTheSameGrants(t *testing.T) {
	for _, name := range builtin {
		a := churn(newTorrent(t, name, 4, 7), 300)
		b := churn(newTorrent(t, name, 4, 7), 300)
		if len(a) < 30 || !slices.Equal(a, b) {
			t.Errorf("%s: %d and %d changes, equal %v", name, len(a), len(b), slices.Equal(a, b))
		}
	}
}

// crowd connects n peers that all want something; the first few give us much.
func crowd(w *torrent, n, givers int) {
	for i := range n {
		c := client{Peer: Peer{ID: uint32(i + 1), Interested: true}, takes: 1 << 20}
		if i < givers {
			c.gives = 1 << 20
		}
		w.join(c)
	}
	w.decide()
}

// longestWait is the longest that anybody has waited, those who still wait
// included.
func (w *torrent) longestWait() (longest Duration) {
	for _, c := range w.clients {
		longest = max(longest, c.longest)
		if !c.Unchoked {
			longest = max(longest, w.v.Now.Sub(c.waits))
		}
	}
	return longest
}

// A seed serves everybody: with n peers on s slots, in the time of n/s shares.
func TestRoundRobinServesEverybody(t *testing.T) {
	for _, c := range []struct{ peers, slots int }{{5, 4}, {20, 4}, {50, 7}, {9, 1}} {
		w := newTorrent(t, "seed-round-robin", int32(c.slots), 1)
		crowd(w, c.peers, 0)
		w.run(30 * time.Minute)
		turns := Duration((c.peers + c.slots - 1) / c.slots)
		if got, want := w.longestWait(), turns*(shareTime+Round); got > want {
			t.Errorf("%d peers, %d slots: somebody waited %v, want at most %v", c.peers, c.slots, got, want)
		}
		least, most := w.clients[0].served, int64(0)
		for _, x := range w.clients {
			least, most = min(least, x.served), max(most, x.served)
		}
		if least*10 < most*8 {
			t.Errorf("%d peers, %d slots: equal peers got %d to %d bytes", c.peers, c.slots, least, most)
		}
	}
}

// Slow ones cannot hold the slots of a seed, and fast ones get their turn among
// them.
func TestRoundRobinServesTheFastAmongTheSlow(t *testing.T) {
	w := newTorrent(t, "seed-round-robin", 4, 1)
	crowd(w, 21, 0)
	for _, c := range w.clients[1:] {
		c.takes = 100
	}
	w.clients[0].takes = 50 << 20
	w.run(20 * time.Minute)
	turns := Duration(21/4 + 1)
	if got, want := w.longestWait(), turns*(shareLong+Round); got > want {
		t.Errorf("somebody waited %v, want at most %v", got, want)
	}
	if n := w.clients[0].unchokes; n < 3 {
		t.Errorf("the fast one had %d turns in 20 minutes", n)
	}
}

// The optimistic slot comes round to everybody, although chance decides.
func TestOptimisticServesEverybody(t *testing.T) {
	for _, name := range []string{"tit-for-tat", "fastest"} {
		for seed := range uint64(5) {
			const peers = 30
			w := newTorrent(t, name, 4, seed)
			crowd(w, peers, 3)
			w.run(2 * time.Hour)
			for _, c := range w.clients {
				if c.unchokes == 0 {
					t.Errorf("%s: %d was never unchoked", name, c.ID)
				}
			}
			if got, want := w.longestWait(), 2*peers*Rotation+2*Round; got > want {
				t.Errorf("%s: somebody waited %v, want at most %v", name, got, want)
			}
		}
	}
}

// Those that give keep their slots, and get most of what we upload.
func TestTitForTatPaysThoseThatGive(t *testing.T) {
	w := newTorrent(t, "tit-for-tat", 4, 1)
	crowd(w, 30, 3)
	w.run(20 * time.Minute) // found out
	for _, c := range w.clients {
		c.served = 0
	}
	w.run(time.Hour)
	var givers, all int64
	for _, c := range w.clients {
		all += c.served
		if c.gives > 0 {
			givers += c.served
		}
	}
	if share := givers * 100 / all; share < 74 || share > 76 {
		t.Errorf("three that give got %d %% of four slots", share)
	}
}

// BEP 3: "new connections are three times as likely to start as the current
// optimistic unchoke as anywhere else in the rotation."
func TestNewPeersAreThreeTimesAsLikely(t *testing.T) {
	const rounds = 4000
	fresh := 0
	for seed := range uint64(rounds) {
		v := &View{Now: Time(time.Hour), Slots: 1, Rand: rand.New(rand.NewPCG(seed, 1))}
		for id := range uint32(6) {
			v.Peers = append(v.Peers, Peer{ID: id, Interested: true})
		}
		v.Peers[4].Since = v.Now - Time(59*time.Second)
		s, _ := New("tit-for-tat")
		if g, _ := s.Decide(v, nil); g[0].ID == 4 {
			fresh++
		}
	}
	if fresh < rounds*3/8*9/10 || fresh > rounds*3/8*11/10 {
		t.Errorf("one new among five old ones was first %d times of %d, want three eighths", fresh, rounds)
	}
}

// Decide appends, keeps what was there, and holds nothing of the view.
func TestDecideAppends(t *testing.T) {
	for _, name := range builtin {
		s, _ := New(name)
		v := &View{Slots: 2, Rand: rand.New(rand.NewPCG(1, 1)), Peers: []Peer{{ID: 7, Interested: true, Class: 3}}}
		got, again := s.Decide(v, []Grant{{ID: 99}})
		if len(got) != 2 || got[0].ID != 99 || got[1] != (Grant{ID: 7, Weight: 4}) || again != Round {
			t.Errorf("%s: %v, again in %v", name, got, again)
		}
		v.Peers = nil
		if got, again = s.Decide(v, nil); len(got) != 0 || again != 0 {
			t.Errorf("%s: %v, again in %v, with nobody there", name, got, again)
		}
		s.Forget(7)
		s.Forget(8)
	}
}

// A peer that has left leaves nothing behind.
func TestForgottenPeersLeaveNothing(t *testing.T) {
	for _, seeding := range []bool{false, true} {
		w := newTorrent(t, "tit-for-tat", 2, 1)
		w.v.Seeding = seeding
		crowd(w, 10, 2)
		w.run(time.Minute)
		for id := range uint32(11) {
			w.s.Forget(id)
		}
		s := w.s.(*titForTat)
		if n := len(s.since) + len(s.seeding.since) + len(s.seeding.terms); n != 0 {
			t.Errorf("seeding %v: %d entries left", seeding, n)
		}
	}
}

func TestRegistry(t *testing.T) {
	if got := Names(); !slices.IsSorted(got) || !slices.Contains(got, Default) {
		t.Errorf("names %v", got)
	}
	if _, err := New("nobody"); err == nil {
		t.Error("an unknown name gives a strategy")
	}
	a, _ := New("tit-for-tat")
	if b, _ := New("tit-for-tat"); a == b {
		t.Error("two torrents share a strategy")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name is taken twice")
		}
	}()
	Register("fastest", func() Strategy { return new(fastest) })
}

func BenchmarkDecide(b *testing.B) {
	for _, name := range builtin {
		for _, slots := range []int32{8, 1000} {
			b.Run(fmt.Sprintf("%s/peers=500,slots=%d", name, slots), func(b *testing.B) {
				w := newTorrent(b, name, slots, 1)
				crowd(w, 500, 50)
				var out []Grant
				b.ReportAllocs()
				for b.Loop() {
					w.v.Now += Time(Round)
					out, _ = w.s.Decide(&w.v, out[:0])
				}
			})
		}
	}
}
