package tracker_test

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

// book is what one tracker has heard, by torrent.
type book struct {
	mu     sync.Mutex
	events map[string][]string
	at     map[string][]time.Duration
	begin  time.Time
}

func (b *book) write(r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := r.URL.Query()
	id := q.Get("info_hash")
	b.events[id] = append(b.events[id], q.Get("event"))
	b.at[id] = append(b.at[id], time.Since(b.begin))
}

// A thousand torrents at one tracker, for three hours: live actors, the live client
// and HTTP, in virtual time. Restarting does not flood the tracker, nobody announces
// late, and at the end everybody says good-bye within ten seconds.
func TestThousandTorrents(t *testing.T) {
	const torrents = 1000
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		b := &book{events: map[string][]string{}, at: map[string][]time.Duration{}, begin: time.Now()}
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) {
			b.write(r)
			time.Sleep(2 * time.Millisecond)
			say(w, 200, "", "d8:completei1e10:incompletei0e8:intervali1800e5:peers0:e")
		})
		client := tracker.NewLiveClient(tracker.ClientConfig{Network: n})
		defer client.Close()
		world := actor.NewLive(actor.LiveConfig{Workers: 2})
		defer world.Close()

		var kids []actor.Child[tracker.Message]
		var finished sync.WaitGroup
		for i := range torrents {
			a := tracker.NewAnnouncer(tracker.AnnouncerConfig{
				Client: client, Tiers: [][]string{{"http://5.5.5.5/announce"}}, Port: 1,
				InfoHash: metainfo.Hash{V1: [20]byte{byte(i), byte(i >> 8)}, HasV1: true},
				Reply: actor.FuncRef(func(a tracker.Answer) {
					if _, ok := a.(tracker.Finished); ok {
						finished.Done()
					}
				}),
			})
			kids = append(kids, actor.Root(world, tracker.Spec(16), a, func(actor.Exit) {}))
			kids[i].Ref.Tell(tracker.Start{Facts: leeching})
		}
		time.Sleep(3 * time.Hour)
		b.judge(t, torrents)

		begin := time.Now()
		finished.Add(torrents)
		for i := range kids {
			kids[i].Ref.Tell(tracker.Finish{Facts: leeching, Limit: 10 * time.Second})
		}
		finished.Wait()
		if d := time.Since(begin); d > 5*time.Second {
			t.Errorf("the good-byes took %v", d)
		}
		for id, ev := range b.events {
			if k := slices.Index(ev, "stopped"); k != len(ev)-1 || slices.Index(ev[1:], "started") >= 0 {
				t.Errorf("torrent %x: events %q", id[:2], ev)
			}
		}
		if n.peak > 2 {
			t.Errorf("%d connections at a time", n.peak)
		}
		for _, k := range kids {
			k.Stop(nil)
		}
	})
}

// judge checks rates and intervals.
func (b *book) judge(t *testing.T, torrents int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.at) != torrents {
		t.Errorf("%d of %d torrents were announced", len(b.at), torrents)
	}
	rate := map[time.Duration]int{}
	for id, at := range b.at {
		rate[at[0].Truncate(time.Second)]++
		if len(at) != 6 {
			t.Errorf("torrent %x was announced %d times in 3 h", id[:2], len(at))
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; d < half || d > half*11/10 {
				t.Errorf("torrent %x: %v between announces", id[:2], d)
			}
		}
	}
	for second, n := range rate {
		if n > 80 { // the first second has the burst
			t.Errorf("%d torrents began in second %v", n, second)
		}
	}
}
