package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// chaos does to a torrent, at random, whatever peers, storage and people can do. After
// each step the torrent's counts are checked by the harness; in the end an honest seed
// comes, and the download must complete with nobody honest banned.
type chaos struct {
	*testTorrent
	rng     *rand.Rand
	alive   []string
	liars   map[string]bool
	old     map[string][]blockRef // once asked for: may come late
	have    bits.Set              // what storage has verified
	stalled bool
	names   int
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 2)), liars: map[string]bool{}, old: map[string][]blockRef{}}
	pickers := []string{"rarest", "sequential", "random"}
	c.testTorrent = leeching(t, withFiles(3, 1, 4, 2), func(tt *testTorrent) {
		tt.cfg.picker = pickers[c.rng.IntN(len(pickers))]
		tt.cfg.perIP, tt.unknown = false, c.rng.IntN(2) == 0
		tt.disk.judge, tt.disk.delay = true, time.Duration(c.rng.IntN(3))*time.Millisecond
	})
	c.have = bits.New(c.cfg.lengths.Pieces())
	return c
}

// step does one thing.
func (c *chaos) step() {
	name := ""
	if len(c.alive) > 0 {
		name = c.alive[c.rng.IntN(len(c.alive))]
	}
	switch op := c.rng.IntN(100); {
	case op < 8 || name == "":
		c.join()
	case op < 30:
		c.state(name, func(s *peerState) { s.need = c.rng.Int32N(12) })
	case op < 60:
		c.bringSome(name)
	case op < 66:
		c.giveSomeBack(name)
	case op < 69:
		c.state(name, func(s *peerState) { s.snubbed = !s.snubbed })
	case op < 72:
		c.choke(name)
	case op < 75:
		c.bringLate(name)
	case op < 78:
		c.part(name)
	case op < 82:
		c.testTorrent.have(name, metainfo.PieceIndex(c.rng.Int32N(c.cfg.lengths.Pieces())))
	case op < 85:
		c.wish(uint64(c.rng.IntN(3)+1), metainfo.PieceIndex(c.rng.IntN(10)), metainfo.PieceIndex(c.rng.IntN(10)))
	case op < 87:
		c.tell(urgent{reader: uint64(c.rng.IntN(3) + 1), end: true})
	case op < 90:
		c.begin(selecting(c.prio(), c.prio(), c.prio(), c.prio()))
	case op < 92:
		c.trouble()
	case op < 94:
		c.recheck()
	case op < 95:
		c.ask(pausing)
	case op < 97:
		c.ask(resuming)
	default:
		c.pass(time.Duration(c.rng.IntN(3000)) * time.Millisecond)
	}
	c.look()
}

func (c *chaos) prio() uint8 { return uint8(c.rng.IntN(3)) * 4 }

// look follows what storage has and who is still there.
func (c *chaos) look() {
	c.t.Helper()
	c.settle()
	for _, line := range c.heard["disk"] {
		var piece metainfo.PieceIndex
		if n, _ := fmt.Sscanf(line, "sum %d", &piece); n == 1 {
			c.goodSums(piece)
		}
		if line == "stall" {
			c.stalled = true
		}
	}
	for _, line := range c.heard["events"] {
		var i int32
		if n, _ := fmt.Sscanf(line, "verified %d", &i); n == 1 {
			c.have.Set(i)
		}
		var who string
		if n, _ := fmt.Sscanf(line, "banned %s", &who); n == 1 && !c.liars[who] {
			c.t.Fatalf("%s is honest and was banned", who)
		}
	}
	delete(c.heard, "disk")
	delete(c.heard, "events")
	c.alive = slices.DeleteFunc(c.alive, func(n string) bool { return c.members[n].hasEnded })
}

// join is a new peer, every third one a liar.
func (c *chaos) join() {
	if len(c.alive) > 8 {
		return
	}
	c.names++
	name := string(rune('A' + c.names))
	delete(c.members, name)
	c.knock(name)
	if c.members[name] == nil {
		return // refused
	}
	c.shake(name)
	c.alive = append(c.alive, name)
	c.liars[name] = c.rng.IntN(3) == 0
	n := c.cfg.lengths.Pieces()
	set := setOf(n)
	if c.rng.IntN(2) == 0 {
		for i := range n {
			if c.rng.IntN(2) == 0 {
				set.Clear(i)
			}
		}
	}
	c.report(name, func(r *report) { r.has, r.state.need = set, c.rng.Int32N(10) })
}

func (c *chaos) bringSome(name string) {
	p := c.members[name]
	n := min(len(p.out), 1+c.rng.IntN(8))
	var good, bad []blockRef
	for _, i := range c.rng.Perm(len(p.out))[:n] {
		if c.liars[name] && c.rng.IntN(6) == 0 {
			bad = append(bad, p.out[i])
		} else {
			good = append(good, p.out[i])
		}
	}
	c.bring(name, 0, good)
	if !p.hasEnded {
		c.bring(name, 1+c.rng.Uint64N(1000), bad)
	}
}

func (c *chaos) giveSomeBack(name string) {
	p := c.members[name]
	if len(p.out) == 0 {
		return
	}
	from := c.rng.IntN(len(p.out))
	back := slices.Clone(p.out[from:])
	c.old[name] = append(c.old[name], back...)
	p.out = p.out[:from]
	c.report(name, func(r *report) { r.back = append(r.back, back...) })
}

func (c *chaos) choke(name string) {
	c.giveSomeBack(name)
	if p := c.members[name]; !p.hasEnded {
		c.state(name, func(s *peerState) {
			s.chokesUs, s.need = !s.chokesUs, 0
			s.interested = !s.interested
		})
	}
}

// bringLate delivers what a peer was once asked for.
func (c *chaos) bringLate(name string) {
	late := c.old[name]
	delete(c.old, name)
	mark := uint64(0)
	if c.liars[name] {
		mark = 7
	}
	c.bring(name, mark, late)
}

func (c *chaos) part(name string) {
	c.leave(name, errRemote)
	c.look()
}

func (c *chaos) trouble() {
	c.answer(storage.Trouble{Err: errRemote})
	c.pass(time.Duration(c.rng.IntN(100)) * time.Millisecond)
	c.answer(storage.Trouble{})
}

// recheck finds all that is there, but for a piece that is lost now and then.
func (c *chaos) recheck() {
	c.begin(checking)
	c.look()
	if !c.tor.disk.check.running {
		return
	}
	c.pass(10 * time.Millisecond) // pieces under way are judged
	c.look()
	if c.rng.IntN(3) == 0 {
		c.have.Clear(c.rng.Int32N(c.have.Len()))
	}
	have := c.have.Clone()
	c.answer(storage.CheckDone{Have: &have})
}

// finishHonestly lets an honest seed bring the rest.
func (c *chaos) finishHonestly() {
	c.t.Helper()
	c.ask(resuming)
	for i := range uint64(3) {
		c.tell(urgent{reader: i + 1, end: true})
	}
	if c.stalled {
		c.answer(storage.Resume{})
	}
	c.ask(selecting(4, 4, 4, 4))
	for _, name := range slices.Clone(c.alive) {
		if !c.members[name].hasEnded {
			c.leave(name, errRemote)
		}
	}
	c.at("h")
	c.knock("h")
	c.shake("h")
	c.report("h", func(r *report) { r.has = setOf(c.cfg.lengths.Pieces()) })
	if c.members["h"].hasEnded {
		return // there was nothing left to do
	}
	c.runs("h", 4<<20, nil)
	for range 100 {
		c.pass(100 * time.Millisecond)
		c.look()
	}
}

func TestChaos(t *testing.T) {
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			c := newChaos(t, seed)
			for range 150 {
				c.step()
			}
			c.finishHonestly()
			if s := c.stats(); s.State != Seeding || s.Have != s.Pieces {
				t.Fatalf("%v, %d of %d pieces", s.State, s.Have, s.Pieces)
			}
			if n := len(c.tor.pieces.open); n != 0 {
				t.Errorf("%d pieces are still in progress", n)
			}
			for _, p := range c.tor.swarm.list {
				if p.parole {
					t.Error("somebody is still on parole")
				}
			}
		})
	}
}
