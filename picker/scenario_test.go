package picker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/bits"
	"github.com/shoal-bt/shoal/internal/scenario"
)

// Commands:
//
//	new NAME pieces=N [blocks=4] [seed=1]   a torrent, all pieces wanted, none owned
//	set PIECES [avail=] [prio=] [missing=] [deadline=3s|none] [have|lack] [busy|idle]
//	at 12s                                  the time
//	order [has=PIECES] [suggested=PIECES] [rate=] [snubbed] [parole] [limit=N]
//	take n=N [...]                          an engine that requests N blocks, one by one
//	use NAME                                another strategy, on the same facts
//
// order prints what is offered, equal ranks in braces, w for whole, u for urgent.
type player struct {
	*torrent
	s      Strategy
	rule   rule
	blocks int32
}

func TestScenarios(t *testing.T) {
	scenario.Run(t, "testdata/*.txt", func() scenario.Player { return new(player) })
}

func (w *player) Do(t *testing.T, c scenario.Command) string {
	switch c.Name {
	case "new":
		w.torrent = newTorrent(int(c.Int(t, "pieces", 0)), uint64(c.Int(t, "seed", 1)))
		w.blocks = int32(c.Int(t, "blocks", 4))
		for i := range w.pieces {
			w.pieces[i].Missing = w.blocks
		}
		w.use(t, c.Args[0])
	case "use":
		w.use(t, c.Args[0])
	case "set":
		for _, i := range scenario.Numbers(t, c.Args[0]) {
			w.set(w.s, i, w.change(t, w.pieces[i], c))
		}
	case "at":
		w.now = Time(time.Hour) + Time(duration(t, c.Args[0]))
	case "order":
		return w.print(order(w.s, w, w.peer(t, c), int(c.Int(t, "limit", 1<<30))), w.peer(t, c))
	case "take":
		return w.take(t, c)
	default:
		t.Errorf("unknown command %q", c.Name)
	}
	return ""
}

func (w *player) use(t *testing.T, name string) {
	w.s = mustNew(t, name)
	w.s.Rebuild(w)
	for _, r := range rules {
		if r.name == name {
			w.rule = r.rule
		}
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Error(err)
	}
	return d
}

func (w *player) change(t *testing.T, p Piece, c scenario.Command) Piece {
	p.Avail = int32(c.Int(t, "avail", int64(p.Avail)))
	p.Prio = uint8(c.Int(t, "prio", int64(p.Prio)))
	p.Missing = int32(c.Int(t, "missing", int64(p.Missing)))
	if d, ok := c.Get("deadline"); ok && d == "none" {
		p.Deadline = 0
	} else if ok {
		p.Deadline = Time(time.Hour) + Time(duration(t, d))
	}
	p.Have = p.Have && !c.Is("lack") || c.Is("have")
	p.Busy = p.Busy && !c.Is("idle") && !p.Have || c.Is("busy")
	return p
}

func (w *player) peer(t *testing.T, c scenario.Command) *Peer {
	p := &Peer{ID: 1, Snubbed: c.Is("snubbed"), Parole: c.Is("parole"), Rate: c.Int(t, "rate", 0)}
	if v, ok := c.Get("has"); ok {
		has := bits.New(w.Pieces())
		for _, i := range scenario.Numbers(t, v) {
			has.Set(i)
		}
		p.Has = &has
	}
	v, _ := c.Get("suggested")
	p.Suggested = scenario.Numbers(t, v)
	return p
}

// take requests block after block, each where the strategy says.
func (w *player) take(t *testing.T, c scenario.Command) string {
	var out []string
	for range c.Int(t, "n", 1) {
		got := order(w.s, w, w.peer(t, c), 1)
		if len(got) == 0 {
			out = append(out, "-")
			break
		}
		i := got[0].piece
		p := w.pieces[i]
		p.Busy, p.Missing = true, p.Missing-1
		w.set(w.s, i, p)
		out = append(out, strconv.Itoa(int(i)))
	}
	return strings.Join(out, " ")
}

// print shows groups of equal rank, each sorted.
func (w *player) print(got []offered, p *Peer) string {
	var out []string
	for len(got) > 0 {
		rank, n := w.rule(w.torrent, p, got[0].piece), 1
		for n < len(got) && got[n].hint == got[0].hint && slices.Equal(rank, w.rule(w.torrent, p, got[n].piece)) {
			n++
		}
		out = append(out, group(got[:n]))
		got = got[n:]
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

func group(got []offered) string {
	var ids []int32
	for _, o := range got {
		ids = append(ids, o.piece)
	}
	slices.Sort(ids)
	s := strings.Trim(fmt.Sprint(ids), "[]")
	if len(ids) > 1 {
		s = "{" + s + "}"
	}
	if got[0].hint&Whole != 0 {
		s += "w"
	}
	if got[0].hint&Urgent != 0 {
		s += "u"
	}
	return s
}
