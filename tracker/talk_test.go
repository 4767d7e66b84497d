package tracker_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/tracker"
)

// talk is a dialogue with one announcer in virtual time: the test plays both its
// torrent and its client.
type talk struct {
	t      *testing.T
	world  *sim.World
	ann    actor.Child[tracker.Message]
	asked  []tracker.Request // not yet looked at
	said   []tracker.Answer  // not yet looked at
	last   map[string]tracker.Report
	peers  []netip.AddrPort
	cookie map[uint64]bool // requests without an answer
}

var hash = metainfo.Hash{V1: [20]byte{1, 2, 3}, HasV1: true}

// leeching is the state of a torrent that wants no more peers than it has: only
// intervals make it announce.
var leeching = tracker.Facts{Left: 100, Connected: 1}

func newTalk(t *testing.T, cfg tracker.AnnouncerConfig, tiers ...[]string) *talk {
	t.Helper()
	return newTalkIn(t, sim.NewWorld(sim.Config{Seed: 1}), cfg, tiers...)
}

func newTalkIn(t *testing.T, w *sim.World, cfg tracker.AnnouncerConfig, tiers ...[]string) *talk {
	t.Helper()
	k := &talk{t: t, world: w, last: map[string]tracker.Report{}, cookie: map[uint64]bool{}}
	cfg.Client, cfg.Tiers, cfg.InfoHash, cfg.Port = k, tiers, hash, 6881
	cfg.Reply = actor.FuncRef(k.hear)
	k.ann = actor.Root(w, tracker.Spec(16), tracker.NewAnnouncer(cfg), func(actor.Exit) {})
	t.Cleanup(func() {
		if err := w.Err(); err != nil {
			t.Error(err)
		}
	})
	k.run(0)
	return k
}

// Do implements tracker.Client.
func (k *talk) Do(r tracker.Request) {
	k.asked = append(k.asked, r)
	k.cookie[r.Cookie] = true
}

func (k *talk) hear(a tracker.Answer) {
	switch a := a.(type) {
	case tracker.Report:
		k.last[a.URL] = a
	case tracker.Found:
		k.peers = append(k.peers, a.Peers...)
	}
	k.said = append(k.said, a)
}

// run lets d of virtual time pass.
func (k *talk) run(d time.Duration) {
	until := k.world.Now().Add(d)
	k.world.At(until, func() {})
	k.world.Run(until)
}

// tell sends a message to the announcer and lets it act.
func (k *talk) tell(m tracker.Message) {
	k.ann.Ref.Tell(m)
	k.run(0)
}

func (k *talk) start() { k.tell(tracker.Start{Facts: leeching}) }

// want takes the next request, which must be this one.
func (k *talk) want(url string, e tracker.Event) tracker.Request {
	k.t.Helper()
	if len(k.asked) == 0 {
		k.t.Fatalf("at %v: want %q to %s, got silence", k.world.Now(), e, url)
	}
	r := k.asked[0]
	if r.URL != url || r.Event != e || r.Scrape {
		k.t.Fatalf("at %v: want %q to %s, got %s", k.world.Now(), e, url, show(r))
	}
	k.asked = k.asked[1:]
	return r
}

// wantIdle says that nothing is asked.
func (k *talk) wantIdle(why string) {
	k.t.Helper()
	for _, r := range k.asked {
		k.t.Errorf("at %v: %s: unwanted %s", k.world.Now(), why, show(r))
	}
}

func show(r tracker.Request) string {
	if r.Scrape {
		return "scrape of " + r.URL
	}
	return fmt.Sprintf("%q to %s by family %d", r.Event, r.URL, r.Family)
}

// answer answers a request.
func (k *talk) answer(r tracker.Request, a tracker.Response) {
	k.t.Helper()
	if !k.cookie[r.Cookie] {
		k.t.Fatal("the test answers twice")
	}
	delete(k.cookie, r.Cookie)
	a.Cookie = r.Cookie
	r.Reply.Tell(a)
	k.run(0)
}

func (k *talk) fail(r tracker.Request) {
	k.t.Helper()
	k.answer(r, tracker.Response{Err: errDown})
}

var errDown = errors.New("connection refused")

// every is a good answer without peers.
func every(interval time.Duration) tracker.Response {
	return tracker.Response{Interval: interval, Seeds: 1, Leechers: 2, Finished: -1}
}

// wantState checks the last report of a tracker.
func (k *talk) wantState(url string, s tracker.State) tracker.Report {
	k.t.Helper()
	if k.last[url].State != s {
		k.t.Errorf("at %v: %s is in state %d, want %d", k.world.Now(), url, k.last[url].State, s)
	}
	return k.last[url]
}

// heard counts the answers of one kind and forgets them.
func heard[A tracker.Answer](k *talk) (out []A) {
	k.said = slices.DeleteFunc(k.said, func(a tracker.Answer) bool {
		x, ok := a.(A)
		if ok {
			out = append(out, x)
		}
		return ok
	})
	return out
}

const (
	urlA = "http://a.example/announce"
	urlB = "http://b.example/announce"
	urlC = "udp://c.example:80"
	urlD = "http://d.example/announce"
)

func at(d time.Duration) clock.Time { return clock.Time(d) }
