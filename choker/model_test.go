package choker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// client is a remote peer of the model: what it wants and how fast it is.
type client struct {
	Peer
	gives, takes int64 // bytes per second: to us always, from us while unchoked
	served       int64 // bytes it has had
	unchokes     int
	waits        Time // interested and choked since
	longest      Duration
}

// torrent runs a strategy as the engine does: it moves bytes, calls Decide when it
// is due or something changes, and carries out the grants.
type torrent struct {
	t       testing.TB
	s       Strategy
	v       View
	clients []*client // by id
	due     Time      // next Decide, 0 none
	free    bool      // the strategy may leave slots empty, and choke when it likes
	flips   []flip    // of the last decision
	log     []flip    // of all
}

// flip is a choke or unchoke.
type flip struct {
	id uint32
	on bool
}

func newTorrent(t testing.TB, name string, slots int32, seed uint64) *torrent {
	t.Helper()
	s, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return &torrent{t: t, s: s, v: View{
		Now: Time(time.Hour), Slots: slots, Pieces: 1000, PieceLen: 1 << 20, Rand: rand.New(rand.NewPCG(seed, 9)),
	}}
}

// join adds a client, connected now.
func (w *torrent) join(c client) *client {
	c.Since, c.Changed, c.waits = w.v.Now, w.v.Now, w.v.Now
	w.clients = append(w.clients, &c)
	slices.SortFunc(w.clients, func(a, b *client) int { return int(a.ID) - int(b.ID) })
	return &c
}

func (w *torrent) leave(id uint32) {
	w.clients = slices.DeleteFunc(w.clients, func(c *client) bool { return c.ID == id })
	w.s.Forget(id)
}

func (w *torrent) client(id uint32) *client {
	for _, c := range w.clients {
		if c.ID == id {
			return c
		}
	}
	w.t.Fatalf("no client %d", id)
	return nil
}

// decide asks the strategy, checks what every strategy must keep to, and carries
// out what it says.
func (w *torrent) decide() {
	w.t.Helper()
	wasDue := w.due != 0 && w.v.Now >= w.due
	w.v.Peers = w.v.Peers[:0]
	for _, c := range w.clients {
		w.v.Peers = append(w.v.Peers, c.Peer)
	}
	grants, again := w.s.Decide(&w.v, nil)
	w.check(grants, again)
	w.flips = nil
	for _, c := range w.clients {
		w.apply(c, slices.ContainsFunc(grants, func(g Grant) bool { return g.ID == c.ID }))
		if wasDue {
			c.RoundDown, c.RoundUp = 0, 0
		}
	}
	if w.due = 0; again > 0 {
		w.due = w.v.Now.Add(again)
	}
}

func (w *torrent) apply(c *client, on bool) {
	if on == c.Unchoked {
		return
	}
	if on {
		c.unchokes++
		c.longest = max(c.longest, w.v.Now.Sub(c.waits))
	}
	c.Unchoked, c.Changed, c.waits = on, w.v.Now, w.v.Now
	w.flips = append(w.flips, flip{c.ID, on})
	w.log = append(w.log, flip{c.ID, on})
}

// check holds what is true of every decision of every strategy.
func (w *torrent) check(grants []Grant, again Duration) {
	w.t.Helper()
	if len(grants) > int(max(w.v.Slots, 0)) {
		w.t.Fatalf("%d grants for %d slots", len(grants), w.v.Slots)
	}
	if again < 0 || again > Round {
		w.t.Fatalf("again in %v", again)
	}
	got := map[uint32]bool{}
	wanting, serving := 0, 0
	for _, g := range grants {
		c := w.client(g.ID)
		if got[g.ID] || g.Weight == 0 || g.Budget < 0 {
			w.t.Fatalf("grants %v", grants)
		}
		if c.Seed || !c.Interested && !c.Unchoked {
			w.t.Fatalf("a peer that wants nothing is unchoked: %+v", c.Peer)
		}
		got[g.ID] = true
	}
	for _, c := range w.clients {
		if c.wants() {
			wanting++
			serving += truth(c.Unchoked)
		}
	}
	if w.free {
		return
	}
	for _, c := range w.clients {
		if c.wants() && c.Unchoked && !got[c.ID] && w.v.Now.Sub(c.Changed) < Round && serving <= int(w.v.Slots) {
			w.t.Fatalf("choked after %v: %+v", w.v.Now.Sub(c.Changed), c.Peer)
		}
	}
	if len(grants) < min(wanting, int(w.v.Slots)) {
		w.t.Fatalf("%d grants, %d peers want one, %d slots", len(grants), wanting, w.v.Slots)
	}
}

// run passes time and decides whenever it is due.
func (w *torrent) run(d Duration) {
	w.t.Helper()
	for end := w.v.Now.Add(d); w.v.Now < end; {
		next := end
		if w.due != 0 && w.due < end {
			next = w.due
		}
		w.pass(next.Sub(w.v.Now))
		if w.due != 0 && w.v.Now >= w.due {
			w.decide()
		}
	}
}

func (w *torrent) pass(d Duration) {
	w.v.Now += Time(d)
	for _, c := range w.clients {
		down, up := c.gives*int64(d)/int64(time.Second), int64(0)
		if c.Unchoked && c.Interested {
			up = c.takes * int64(d) / int64(time.Second)
		}
		if c.Snubbed {
			down = 0
		}
		c.RoundDown, c.DownTotal, c.DownRate = c.RoundDown+down, c.DownTotal+down, c.gives
		c.RoundUp, c.UpTotal, c.UpRate = c.RoundUp+up, c.UpTotal+up, c.takes
		c.served += up
		if c.Unchoked || !c.Interested {
			c.waits = w.v.Now
		}
	}
}

func (w *torrent) unchoked() (ids []uint32) {
	for _, c := range w.clients {
		if c.Unchoked {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
