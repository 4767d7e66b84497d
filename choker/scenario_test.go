package choker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/scenario"
)

// Commands:
//
//	new NAME slots=N [seed=1]   a torrent at time 0, downloading
//	peer IDS [gives=BYTES/S] [takes=BYTES/S] [class=] [interested|bored] [seed]
//	         [snubbed|delivers] connects a peer, or changes one, and decides
//	gone IDS                    a peer leaves; decides
//	slots N, seeding, leeching  changes the torrent; decides
//	run 30s                     passes time, decides when due
//	show                        prints who is unchoked
//
// Every decision that changes something prints its time and the changes.
type player struct{ *torrent }

func TestScenarios(t *testing.T) {
	scenario.Run(t, "testdata/*.txt", func() scenario.Player { return new(player) })
}

func (w *player) Do(t *testing.T, c scenario.Command) string {
	switch c.Name {
	case "new":
		w.torrent = newTorrent(t, c.Args[0], int32(c.Int(t, "slots", 4)), uint64(c.Int(t, "seed", 1)))
		return ""
	case "show":
		return w.show()
	case "run":
		return w.watch(t, c.Args[0])
	case "peer":
		for _, id := range scenario.Numbers(t, c.Args[0]) {
			w.change(t, uint32(id), c)
		}
	case "gone":
		for _, id := range scenario.Numbers(t, c.Args[0]) {
			w.leave(uint32(id))
		}
	case "slots":
		w.v.Slots = scenario.Numbers(t, c.Args[0])[0]
	case "seeding", "leeching":
		w.v.Seeding = c.Name == "seeding"
	default:
		t.Errorf("unknown command %q", c.Name)
	}
	w.decide()
	return w.changes()
}

func (w *player) change(t *testing.T, id uint32, c scenario.Command) {
	known := false
	for _, x := range w.clients {
		known = known || x.ID == id
	}
	if !known {
		w.join(client{Peer: Peer{ID: id, Interested: true}})
	}
	p := w.client(id)
	p.gives, p.takes = c.Int(t, "gives", p.gives), c.Int(t, "takes", p.takes)
	p.Class = uint8(c.Int(t, "class", int64(p.Class)))
	p.Interested = (p.Interested || c.Is("interested")) && !c.Is("bored")
	p.Snubbed = (p.Snubbed || c.Is("snubbed")) && !c.Is("delivers")
	p.Seed = p.Seed || c.Is("seed")
}

// watch passes time step by step, to print each decision.
func (w *player) watch(t *testing.T, span string) string {
	d, err := time.ParseDuration(span)
	if err != nil {
		t.Error(err)
	}
	var out []string
	for end := w.v.Now.Add(d); w.v.Now < end; {
		next := end
		if w.due != 0 {
			next = min(next, w.due)
		}
		w.flips = nil
		w.run(next.Sub(w.v.Now))
		out = append(out, w.changes())
	}
	return strings.TrimSpace(strings.Join(out, ""))
}

func (w *player) changes() string {
	if len(w.flips) == 0 {
		return ""
	}
	s := fmt.Sprintf("%v:", time.Duration(w.v.Now)-time.Hour)
	for _, f := range w.flips {
		sign := " -"
		if f.on {
			sign = " +"
		}
		s += fmt.Sprintf("%s%d", sign, f.id)
	}
	return s + "\n"
}

func (w *player) show() string {
	again := "nothing due"
	if w.due != 0 {
		again = "again in " + w.due.Sub(w.v.Now).String()
	}
	return fmt.Sprintf("unchoked %s, %s", strings.Trim(fmt.Sprint(w.unchoked()), "[]"), again)
}
