package storage_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	. "github.com/shoal-bt/shoal/storage"
)

// seeds is how many seeds a randomised test runs: a few, or SHOAL_SIM_SEEDS.
func seeds(few int) int {
	if n, err := strconv.Atoi(os.Getenv("SHOAL_SIM_SEEDS")); err == nil {
		few = n * few / 4
	}
	return max(few/raceFactor, 1)
}

// TestCrashAnywhere runs a torrent's life at random, switches the machine off at a
// random call of the file system, and looks at what is believed after the restart:
// after kill -9 exactly what had been answered, after a power cut at least what had
// been synced, and never a wrong piece.
func TestCrashAnywhere(t *testing.T) {
	for seed := range uint64(seeds(150)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { newCrashRun(t, seed).run() })
	}
}

// crashRun is one life with several crashes.
type crashRun struct {
	*rig
	rng *rand.Rand
	tt  *TestTorrent
	opt Options
	dir string // as the torrent knows it

	acked   map[metainfo.PieceIndex]bool // PieceDone has come
	durable map[metainfo.PieceIndex]bool // and a Sync since
	saved   [][]byte                     // values that may be found: the last one acked, and later ones
	syncing map[uint64][]metainfo.PieceIndex
	moving  map[uint64]string
	names   int
	cookie  uint64
}

func newCrashRun(t *testing.T, seed uint64) *crashRun {
	rng := rand.New(rand.NewPCG(seed, 5))
	c := &crashRun{rig: newRig(t, seed), rng: rng, dir: payloadDir, saved: [][]byte{nil}}
	c.fs.Mount("/other", 0)
	c.fs.NoAllocate = rng.IntN(2) == 0
	var files []TestFile
	for i := range 1 + rng.IntN(6) {
		f := TestFile{Path: fmt.Sprintf("d%d/f%d", rng.IntN(3), i), N: int64(rng.IntN(120_000))}
		switch rng.IntN(6) {
		case 0:
			f.N = 0
		case 1:
			f.Path, f.Attr = fmt.Sprintf(".pad/%d", i), "p"
		}
		files = append(files, f)
	}
	files = append(files, TestFile{Path: "last", N: 1 + int64(rng.IntN(90_000))})
	c.tt = MakeTorrent(t, 16384*int64(1+rng.IntN(3))+int64(rng.IntN(2)*1000), seed, files...)
	if rng.IntN(3) == 0 {
		c.opt.IncompleteSuffix = ".part"
	}
	if rng.IntN(4) == 0 {
		c.opt.IncompleteDir = []string{"/data/inc", "/other/inc"}[rng.IntN(2)]
	}
	if rng.IntN(3) == 0 {
		c.opt.Priority = c.priorities()
	}
	if rng.IntN(3) == 0 {
		c.shape = func(cfg *Config) { cfg.StateDir = "/data/state" }
	}
	c.acked, c.durable = map[metainfo.PieceIndex]bool{}, map[metainfo.PieceIndex]bool{}
	return c
}

func (c *crashRun) priorities() []uint8 {
	p := make([]uint8, len(c.tt.Files))
	for i := range p {
		p[i] = uint8(c.rng.IntN(2))
	}
	return p
}

func (c *crashRun) run() {
	for range 4 {
		c.life()
		power := c.rng.IntN(2) == 0
		if power {
			c.cut(c.rng)
		} else {
			c.kill()
		}
		c.restart(power)
		if c.t.Failed() {
			return
		}
	}
	c.finishAll()
}

// begin opens the torrent in a new session.
func (c *crashRun) begin() Opened {
	c.t.Helper()
	c.start()
	c.syncing, c.moving = map[uint64][]metainfo.PieceIndex{}, map[uint64]string{}
	c.send(Open{ID: 1, Info: c.tt.Torrent, Dir: c.dir, Options: c.opt, Reply: c.reply()})
	return want[Opened](c.rig, "open")
}

// life does things at random until the machine goes off.
func (c *crashRun) life() {
	if o := c.begin(); o.Err != nil {
		c.t.Fatalf("open before the crash: %v", o.Err)
	}
	c.fs.SwitchOff(1 + int64(c.rng.IntN(1+c.rng.IntN(400))))
	for range 60 {
		c.act()
		c.run1(clock.Duration(c.rng.IntN(20)) * time.Millisecond)
		if c.fs.Off() {
			return
		}
	}
}

// run1 lets time pass and takes in the answers.
func (c *crashRun) run1(d clock.Duration) {
	c.rig.run(d)
	for _, a := range drain[PieceDone](c.rig) {
		if a.OK {
			c.acked[a.Piece] = true
		}
	}
	for _, a := range drain[Done](c.rig) {
		if a.Err != nil {
			continue
		}
		for _, p := range c.syncing[a.Cookie] {
			c.durable[p] = true
		}
		if dir, ok := c.moving[a.Cookie]; ok {
			c.dir = dir
		}
		if i := slices.IndexFunc(c.saved, func(v []byte) bool { return string(v) == fmt.Sprint(a.Cookie) }); i >= 0 {
			c.saved = c.saved[i:]
		}
	}
	drain[Trouble](c.rig)
	drain[FileDone](c.rig)
	drain[Checked](c.rig)
}

func (c *crashRun) act() {
	p := metainfo.PieceIndex(c.rng.IntN(int(c.tt.Lengths.Pieces())))
	c.cookie++
	switch c.rng.IntN(14) {
	case 0:
		c.blocks(c.tt, p, metainfo.BlockIndex(c.rng.IntN(int(c.tt.Lengths.Blocks(p)))))
	case 1:
		e := c.tt.Entries(c.slab, p)
		e[0].Data.Bytes()[0]++
		c.send(&Blocks{ID: 1, Entries: e})
	case 2:
		for q := range c.acked {
			c.syncing[c.cookie] = append(c.syncing[c.cookie], q)
		}
		c.send(Sync{ID: 1, Cookie: c.cookie})
	case 3:
		v := []byte(fmt.Sprint(c.cookie))
		c.saved = append(c.saved, v)
		c.send(Save{ID: 1, Value: v, Cookie: c.cookie})
	case 4:
		c.opt.Priority = c.priorities()
		c.send(Select{ID: 1, Priority: c.opt.Priority, Cookie: c.cookie})
	case 5:
		c.names++
		i := c.rng.IntN(len(c.tt.Files))
		c.send(Rename{ID: 1, File: metainfo.FileIndex(i), Path: fmt.Sprintf("t/renamed/%d", c.names), Cookie: c.cookie})
	case 6:
		dir := []string{payloadDir, "/data/second", "/other/third"}[c.rng.IntN(3)]
		if dir != c.dir && len(c.moving) == 0 {
			c.moving[c.cookie] = dir
			c.send(Move{ID: 1, Dir: dir, Cookie: c.cookie})
		}
	case 7:
		c.send(Verify{ID: 1})
	default:
		c.blocks(c.tt, p)
	}
}

// restart looks at what is believed after the crash.
func (c *crashRun) restart(power bool) {
	o := c.begin()
	if o.Err != nil {
		c.t.Fatalf("open after the crash (power cut: %v): %v; files %v", power, o.Err, c.fs.List("/"))
	}
	c.dir = o.Dir
	c.checkSaved(o.Saved, power)
	must := c.acked
	if power {
		must = c.durable
	} else if o.Unknown != nil {
		c.t.Errorf("pieces %v are to be hashed after kill -9", o.Unknown.Count())
	}
	for p := range must {
		if !o.Have.Has(int32(p)) {
			c.t.Errorf("piece %d is lost (power cut: %v); files %v", p, power, c.fs.List("/"))
		}
	}
	for p := range o.Have.All() {
		c.wantRead(c.tt, metainfo.PieceIndex(p))
	}
	if o.Unknown != nil {
		c.send(Verify{ID: 1, Pieces: o.Unknown})
		o.Have = want[CheckDone](c.rig, "what is not known is hashed").Have
	}
	c.acked = map[metainfo.PieceIndex]bool{}
	for p := range o.Have.All() {
		c.acked[metainfo.PieceIndex(p)] = true
	}
	c.close(Close{})
	c.durable = maps.Clone(c.acked)
	c.stop()
}

func (c *crashRun) checkSaved(got []byte, power bool) {
	ok := false
	for _, v := range c.saved {
		ok = ok || bytes.Equal(v, got)
	}
	if !ok && !power {
		c.t.Errorf("Save: found %q, want one of %q", got, c.saved)
	}
	c.saved = [][]byte{got}
}

// finishAll downloads the rest and compares all files.
func (c *crashRun) finishAll() {
	c.opt.Priority = nil
	o := c.begin()
	if o.Err != nil || o.Unknown != nil {
		c.t.Fatalf("open at the end: %v, unknown %v", o.Err, o.Unknown)
	}
	for p := range c.tt.Lengths.Pieces() {
		if !o.Have.Has(p) {
			c.blocks(c.tt, metainfo.PieceIndex(p), c.missing(o, metainfo.PieceIndex(p))...)
			if d := want[PieceDone](c.rig, "the rest"); !d.OK {
				// Stored blocks may be of a bad piece.
				c.blocks(c.tt, d.Piece)
				if d := want[PieceDone](c.rig, "once more"); !d.OK {
					c.t.Errorf("%+v", d)
				}
			}
		}
	}
	c.quiet()
	for p := range metainfo.PieceIndex(c.tt.Lengths.Pieces()) {
		c.wantRead(c.tt, p)
	}
	c.close(Close{Delete: true})
	c.stop()
	for _, dir := range []string{"/data", "/other"} {
		for _, left := range c.fs.List(dir) {
			if left != "/data/state/lock" {
				c.t.Errorf("left after deletion: %s", left)
			}
		}
	}
}

func (c *crashRun) missing(o Opened, p metainfo.PieceIndex) (out []metainfo.BlockIndex) {
	for b := range metainfo.BlockIndex(c.tt.Lengths.Blocks(p)) {
		stored := false
		for _, x := range o.Partials {
			stored = stored || x.Piece == p && x.Blocks.Has(int32(b))
		}
		if !stored {
			out = append(out, b)
		}
	}
	return out
}
