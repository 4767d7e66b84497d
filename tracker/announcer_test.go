package tracker_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/sim"
	"github.com/shoal-bt/shoal/tracker"
)

const half = 30 * time.Minute

func TestPeriodic(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.wantIdle("before Start")
	k.start()
	k.wantState(urlA, tracker.Asking)
	r := k.want(urlA, tracker.Started)
	if r.Key == 0 || r.Port != 6881 || r.InfoHash != hash {
		t.Errorf("the request is %+v", r)
	}
	peer := netip.MustParseAddrPort("192.0.2.1:7000")
	k.answer(r, tracker.Response{Interval: half, TrackerID: "id1", Peers: []netip.AddrPort{peer}, Seeds: 3, Leechers: 4, Finished: 5})
	if rep := k.wantState(urlA, tracker.Working); rep.Seeds != 3 || rep.Leechers != 4 || rep.Finished != 5 || rep.Next != at(half) {
		t.Errorf("the report is %+v", rep)
	}
	if !slices.Equal(k.peers, []netip.AddrPort{peer}) {
		t.Errorf("found %v", k.peers)
	}

	k.run(half - time.Second)
	k.wantIdle("before the interval")
	k.run(time.Second)
	next := k.want(urlA, tracker.None)
	if next.Key != r.Key || next.TrackerID != "id1" {
		t.Errorf("key %x then %x, tracker id %q", r.Key, next.Key, next.TrackerID)
	}
	// BEP 3 on the tracker id: an answer without one leaves the old one standing.
	k.answer(next, every(half))
	k.run(half)
	if r := k.want(urlA, tracker.None); r.TrackerID != "id1" {
		t.Errorf("the tracker id has become %q", r.TrackerID)
	}
}

// BEP 12: "the trackers in the first tier ... will be tried before any in the
// second", and failures move on at once.
func TestTierFallback(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB}, []string{urlC})
	k.start()
	k.fail(k.want(urlA, tracker.Started))
	k.wantState(urlA, tracker.Failing)
	k.fail(k.want(urlB, tracker.Started))
	k.answer(k.want(urlC, tracker.Started), every(half))
	k.wantState(urlC, tracker.Working)
	k.run(half - 1)
	k.wantIdle("one tracker works")

	// At the next announce the order is the torrent's again; who has not heard
	// "started" hears it.
	k.run(1)
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.wantIdle("the first works again")
	k.run(half)
	k.fail(k.want(urlA, tracker.None))
	k.fail(k.want(urlB, tracker.Started))
	k.answer(k.want(urlC, tracker.None), every(half))
}

// BEP 12: "if a connection with a tracker is successful, it will be moved to the
// front of the tier."
func TestPromotion(t *testing.T) {
	tier := []string{urlA, urlB, urlD}
	k := newTalk(t, tracker.AnnouncerConfig{}, tier, []string{urlC})
	k.start()
	var order []string
	for range tier {
		r := k.asked[0]
		order = append(order, r.URL)
		k.asked = k.asked[1:]
		if len(order) < 3 {
			k.fail(r)
		} else {
			k.answer(r, every(half))
		}
	}
	if slices.Contains(order, urlC) {
		t.Fatalf("the second tier was asked before the first was through: %v", order)
	}
	k.run(half)
	k.answer(k.want(order[2], tracker.None), every(half))
	k.wantIdle("the promoted one works")
	k.run(half)
	k.fail(k.want(order[2], tracker.None))
	k.want(order[0], tracker.Started)
}

// BEP 12: "For each tier, the URLs will be processed in a random order".
func TestShuffle(t *testing.T) {
	first := map[string]int{}
	for seed := range uint64(40) {
		k := newTalkIn(t, sim.NewWorld(sim.Config{Seed: seed}), tracker.AnnouncerConfig{}, []string{urlA, urlB})
		k.start()
		first[k.asked[0].URL]++
	}
	if first[urlA] < 8 || first[urlB] < 8 {
		t.Errorf("of 40 torrents %d began with the first and %d with the second", first[urlA], first[urlB])
	}
}

func TestEachTier(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Policy: tracker.EachTier}, []string{urlA}, []string{urlB}, []string{urlC})
	k.start()
	a, b, c := k.want(urlA, tracker.Started), k.want(urlB, tracker.Started), k.want(urlC, tracker.Started)
	k.answer(a, every(half))
	k.fail(b)
	k.answer(c, every(time.Hour))
	k.run(half)
	k.want(urlB, tracker.Started)
	if len(k.asked) > 2 {
		t.Errorf("%d more requests", len(k.asked))
	}
}

func TestEveryTracker(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Policy: tracker.EveryTracker}, []string{urlA, urlB}, []string{urlC, urlD})
	k.start()
	if len(k.asked) != 4 {
		t.Fatalf("%d of 4 trackers were asked", len(k.asked))
	}
	for _, r := range slices.Clone(k.asked) {
		k.answer(r, every(half))
	}
	k.asked = nil
	k.run(half)
	if len(k.asked) != 4 {
		t.Fatalf("%d of 4 trackers were asked again", len(k.asked))
	}
}

// A tracker that lets us wait does not keep us from the next one.
func TestImpatience(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB})
	k.start()
	slow := k.want(urlA, tracker.Started)
	k.run(9 * time.Second)
	k.wantIdle("the first one may still answer")
	k.run(time.Second)
	k.answer(k.want(urlB, tracker.Started), every(half))
	k.answer(slow, every(half))
	k.run(half)
	k.answer(k.want(urlA, tracker.None), every(half))
	k.wantIdle("the first one works")
	k.tell(tracker.Finish{Facts: leeching})
	k.want(urlA, tracker.Stopped)
	k.want(urlB, tracker.Stopped)
}

// BEP 27: "When switching between trackers, the peer MUST disconnect from all
// current peers": one at a time, so none is asked while another may still answer.
func TestPrivate(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{
		Private: true, Policy: tracker.EveryTracker, Families: []tracker.Family{tracker.IPv4, tracker.IPv6},
	}, []string{urlA}, []string{urlB})
	k.start()
	r := k.want(urlA, tracker.Started)
	k.wantIdle("one tracker, one family")
	k.run(time.Minute)
	k.wantIdle("still waiting for the first")
	k.fail(r)
	k.answer(k.want(urlB, tracker.Started), every(half))
	k.tell(tracker.Add{URLs: []string{urlD}})
	k.wantIdle("an added tracker is for the case that others fail")
}

// A link may turn out to lead to a private torrent when several trackers are asked already.
func TestTurnsOutPrivate(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.tell(tracker.Add{URLs: []string{urlB}})
	k.tell(tracker.Add{URLs: []string{urlD}})
	a, b, d := k.want(urlA, tracker.Started), k.want(urlB, tracker.Started), k.want(urlD, tracker.Started)
	k.answer(a, every(half))
	k.answer(b, every(half))
	k.tell(tracker.Private{})
	k.answer(k.want(urlB, tracker.Stopped), tracker.Response{})
	k.wantIdle("one is left, and one is under way")
	k.fail(d)
	k.run(half - time.Minute)
	k.wantIdle("the one that has failed is not tried again while another works")
	k.run(time.Minute)
	k.fail(k.want(urlA, tracker.None))
	r := k.want(urlB, tracker.Started)
	k.run(time.Minute)
	k.wantIdle("no other is tried beside it")
	k.answer(r, every(half))
	k.tell(tracker.Add{URLs: []string{urlC}})
	k.wantIdle("an added one is for the case that others fail")
	k.tell(tracker.Private{})
	k.wantIdle("it is so already")
}

// A round that is under way when the torrent turns out private goes on to its end.
func TestTurnsOutPrivateMeanwhile(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB})
	k.start()
	k.tell(tracker.Add{URLs: []string{urlD}})
	a, d := k.want(urlA, tracker.Started), k.want(urlD, tracker.Started)
	k.tell(tracker.Private{})
	k.run(time.Minute)
	k.wantIdle("none is tried beside those that are asked already")
	k.fail(a)
	k.wantIdle("one may still answer")
	k.fail(d)
	k.answer(k.want(urlB, tracker.Started), every(half))
	k.wantIdle("one works")
}

func TestCompletedExactlyOnce(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: half, MinInterval: half})
	k.run(time.Minute)
	done := tracker.Facts{Downloaded: 100, Connected: 1}
	k.tell(tracker.Complete{Facts: done})
	r := k.want(urlA, tracker.Completed) // bypasses the min interval
	if r.Facts != done {
		t.Errorf("facts %+v", r.Facts)
	}
	k.tell(tracker.Complete{Facts: done})
	k.wantIdle("it is on its way")
	k.answer(r, every(half))
	k.tell(tracker.Complete{Facts: done})
	k.wantIdle("it has been told")
	k.run(half)
	k.answer(k.want(urlA, tracker.None), every(half))
	k.tell(tracker.Finish{Facts: done})
	k.answer(k.want(urlA, tracker.Stopped), every(half))

	k.tell(tracker.Start{Facts: done})
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.wantIdle("told in the session before")
}

// "started" is heard before "completed", however late.
func TestCompletedAfterStarted(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	r := k.want(urlA, tracker.Started)
	k.tell(tracker.Complete{})
	k.wantIdle("it does not know us yet")
	k.fail(r)
	k.run(10 * time.Second)
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.fail(k.want(urlA, tracker.Completed))
	k.run(10 * time.Second)
	k.answer(k.want(urlA, tracker.Completed), every(half))
	k.wantIdle("all is said")
}

// BEP 3: "No completed is sent if the file was complete when started."
func TestSeedNeverCompletes(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.tell(tracker.Start{Facts: tracker.Facts{Left: 0}})
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.tell(tracker.Complete{})
	k.wantIdle("it was complete before")
}

// A backup tracker that has never heard of us gets no "completed" of its own
// accord, and no "stopped".
func TestEventsOnlyToThoseWhoKnowUs(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.tell(tracker.Complete{})
	k.answer(k.want(urlA, tracker.Completed), every(half))
	k.tell(tracker.Finish{})
	k.answer(k.want(urlA, tracker.Stopped), every(half))
	k.wantIdle("the other one knows nothing")
	if n := len(heard[tracker.Finished](k)); n != 1 {
		t.Errorf("Finished came %d times", n)
	}
}

// A one-shot download completes and leaves in one breath.
func TestCompleteThenFinish(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.ann.Ref.Tell(tracker.Complete{})
	k.tell(tracker.Finish{Limit: 3 * time.Second})
	k.answer(k.want(urlA, tracker.Completed), every(half))
	r := k.want(urlA, tracker.Stopped)
	if r.Timeout != 3*time.Second {
		t.Errorf("the good-bye may take %v", r.Timeout)
	}
	k.answer(r, every(half))
	if len(heard[tracker.Finished](k)) != 1 {
		t.Error("not finished")
	}
}

func TestStoppedIsBounded(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Policy: tracker.EveryTracker}, []string{urlA, urlB})
	k.start()
	for _, r := range slices.Clone(k.asked) {
		k.answer(r, every(half))
	}
	k.asked = nil
	begin := k.world.Now()
	k.tell(tracker.Finish{Limit: 3 * time.Second})
	if len(k.asked) != 2 {
		t.Fatalf("%d good-byes at once, want 2", len(k.asked))
	}
	dead := k.asked[0]
	k.answer(k.asked[1], every(half))
	k.run(3*time.Second - 1)
	if len(heard[tracker.Finished](k)) != 0 {
		t.Fatal("finished before the dead tracker's time was up")
	}
	k.run(1)
	if len(heard[tracker.Finished](k)) != 1 || k.world.Now() != begin.Add(3*time.Second) {
		t.Fatal("not finished after 3 s")
	}
	k.fail(dead)
	k.run(time.Hour)
	k.asked = k.asked[2:]
	k.wantIdle("the session is over")
}

// "stopped" waits for the announce under way: arriving first it would be undone.
func TestStoppedWaitsForStarted(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB})
	k.start()
	r := k.want(urlA, tracker.Started)
	k.tell(tracker.Finish{Limit: 3 * time.Second})
	k.wantIdle("it may or may not know us")
	k.answer(r, every(half))
	k.answer(k.want(urlA, tracker.Stopped), every(half))
	if len(heard[tracker.Finished](k)) != 1 {
		t.Error("not finished")
	}
}

func TestFinishUnheard(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.tell(tracker.Finish{})
	k.start()
	k.fail(k.want(urlA, tracker.Started))
	k.tell(tracker.Finish{})
	k.wantIdle("nobody knows us")
	if n := len(heard[tracker.Finished](k)); n != 2 {
		t.Errorf("Finished came %d times for 2 Finish", n)
	}
	k.start()
	k.want(urlA, tracker.Started)
	k.tell(tracker.Finish{})
	k.ann.Stop(nil)
	k.run(0)
	if n := len(heard[tracker.Finished](k)); n != 1 {
		t.Errorf("Finished came %d times when the announcer was stopped", n)
	}
}

// A good-bye gets through although every other tracker hangs.
func TestGoodByePastHangingTrackers(t *testing.T) {
	var tier []string
	for i := range 100 {
		tier = append(tier, fmt.Sprintf("http://%d.example/announce", i))
	}
	k := newTalk(t, tracker.AnnouncerConfig{Policy: tracker.EveryTracker}, tier)
	k.start()
	if n := len(k.asked); n == 0 || n >= tracker.Requests {
		t.Fatalf("%d requests at once", n)
	}
	good := k.asked[0]
	k.answer(good, every(half))
	k.asked = nil
	k.tell(tracker.Finish{Limit: time.Second})
	k.want(good.URL, tracker.Stopped)
	k.run(time.Second)
	if len(heard[tracker.Finished](k)) != 1 {
		t.Error("not finished")
	}
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		name      string
		connected int32
		most      time.Duration
	}{{"with peers", 1, half}, {"without peers", 0, 5 * time.Minute}} {
		k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
		k.tell(tracker.Start{Facts: tracker.Facts{Left: 1, Connected: c.connected}})
		expect := 5 * time.Second
		for range 14 {
			k.fail(k.want(urlA, tracker.Started))
			k.run(expect*3/4 - 1)
			k.wantIdle(c.name)
			k.run(expect/2 + 1)
			expect = min(2*expect, c.most)
		}
		k.want(urlA, tracker.Started)
	}
}

// The back-off never exceeds what the tracker itself had asked for.
func TestBackoffWithinInterval(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(10*time.Minute))
	k.run(10 * time.Minute)
	r := k.want(urlA, tracker.None)
	for range 20 {
		k.fail(r)
		k.run(10 * time.Minute * 5 / 4)
		r = k.want(urlA, tracker.None)
	}
}

// A tracker that refuses us is alive: it is not asked again within a minute.
func TestRefusal(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Err: &tracker.Failure{Reason: "unregistered torrent"}, Warning: "w"})
	if rep := k.wantState(urlA, tracker.Failing); rep.Err != "tracker refused: unregistered torrent" || rep.Warning != "w" {
		t.Errorf("the report is %+v", rep)
	}
	k.run(44 * time.Second)
	k.wantIdle("refused")
	k.run(31 * time.Second)
	k.want(urlA, tracker.Started)
}

// BEP 31: "retry in" is a number of minutes, or "never".
func TestRetryIn(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	refusal := tracker.Response{Err: &tracker.Failure{Reason: "busy"}, RetryIn: 42 * time.Minute}
	k.answer(k.want(urlA, tracker.Started), refusal)
	k.run(42*time.Minute - 1)
	k.wantIdle("told to wait")
	k.run(1)
	refusal.RetryIn = -1
	k.answer(k.want(urlA, tracker.Started), refusal)
	k.run(100 * time.Hour)
	k.wantIdle("told to go away")
	if rep := k.wantState(urlA, tracker.Failing); rep.Next != actor.Never {
		t.Errorf("the next announce is planned for %v", rep.Next)
	}
	k.tell(tracker.Now{Facts: leeching})
	k.want(urlA, tracker.Started) // a person insists
}

func TestIntervalsAreClamped(t *testing.T) {
	for _, c := range []struct{ interval, minimum, want time.Duration }{
		{0, 0, half},
		{1, 0, time.Minute},
		{time.Second, 0, time.Minute},
		{1 << 62, 0, tracker.MaxInterval},
		{time.Minute, 10 * time.Minute, 10 * time.Minute},
		{half, 1 << 62, tracker.MaxInterval},
	} {
		k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
		k.start()
		k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: c.interval, MinInterval: c.minimum})
		k.run(c.want - 1)
		k.wantIdle(fmt.Sprint(c))
		k.run(1)
		k.want(urlA, tracker.None)
	}
}

// Wanting peers brings the announce forward, but not below the min interval.
func TestWanted(t *testing.T) {
	for _, c := range []struct{ interval, minimum, want time.Duration }{
		{half, 10 * time.Minute, 10 * time.Minute},
		{half, time.Second, time.Minute},
		{half, 0, 15 * time.Minute},
		{6 * time.Minute, 0, 5 * time.Minute},
	} {
		k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
		k.start()
		k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: c.interval, MinInterval: c.minimum})
		k.run(time.Second)
		k.tell(tracker.Update{Facts: tracker.Facts{Left: 1, Wanted: 30, Connected: 1}})
		k.run(c.want - time.Second - 1)
		k.wantIdle(fmt.Sprint(c))
		k.run(1)
		if r := k.want(urlA, tracker.None); r.Facts.Wanted != 30 {
			t.Errorf("asked for %d peers", r.Facts.Wanted)
		}
	}
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.tell(tracker.Update{Facts: tracker.Facts{Left: 0, Wanted: 30}})
	k.run(half - 1)
	k.wantIdle("a seed is in no hurry")
}

func TestNow(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: half, MinInterval: 2 * time.Minute})
	k.run(time.Minute)
	k.tell(tracker.Now{Facts: leeching})
	k.wantIdle("within the min interval")
	k.run(time.Minute)
	r := k.want(urlA, tracker.None)
	k.fail(r)
	k.tell(tracker.Now{Facts: leeching})
	k.want(urlA, tracker.None) // back-off is let go of
}

func TestAddAndRemove(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.tell(tracker.Add{URLs: []string{urlA, " " + urlB + " ", "", urlB}, Origin: tracker.FromUser})
	r := k.want(urlB, tracker.Started)
	if r.Origin != tracker.FromUser {
		t.Error("the origin is lost")
	}
	k.wantIdle("known URLs are ignored")
	k.tell(tracker.Remove{URLs: []string{urlB, "http://unknown.example/announce"}})
	k.wantIdle("it may not know us yet")
	k.answer(r, every(half))
	k.answer(k.want(urlB, tracker.Stopped), every(half))
	k.tell(tracker.Remove{URLs: []string{urlA}})
	k.fail(k.want(urlA, tracker.Stopped))
	k.run(100 * time.Hour)
	k.wantIdle("no trackers are left")
	k.tell(tracker.Add{URLs: []string{urlD}})
	k.want(urlD, tracker.Started)
}

func TestUselessURLs(t *testing.T) {
	bad := []string{"wss://a.example/announce", "http://", "udp://a.example", "garbage", "http://x/announce?info_hash=1", "http://a b/"}
	k := newTalk(t, tracker.AnnouncerConfig{}, bad, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	for _, u := range bad {
		if rep := k.wantState(u, tracker.Failing); rep.Err == "" || rep.Next != actor.Never {
			t.Errorf("%s: the report is %+v", u, rep)
		}
	}
	k = newTalk(t, tracker.AnnouncerConfig{}, bad)
	k.start()
	k.run(1000 * time.Hour)
	k.wantIdle("no URL is usable")
}

func TestTooManyTrackers(t *testing.T) {
	var tiers [][]string
	for i := range 1000 {
		tiers = append(tiers, []string{fmt.Sprintf("http://%d.example/announce", i)})
	}
	k := newTalk(t, tracker.AnnouncerConfig{}, tiers...)
	if len(k.last) != tracker.MaxTrackers {
		t.Errorf("%d trackers were taken", len(k.last))
	}
}

// BEP 7: one announce for each family, with the same key.
func TestFamilies(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Families: []tracker.Family{tracker.IPv4, tracker.IPv6}}, []string{urlA}, []string{urlB})
	k.start()
	v4, v6 := k.want(urlA, tracker.Started), k.want(urlA, tracker.Started)
	if v4.Family != tracker.IPv4 || v6.Family != tracker.IPv6 || v4.Key != v6.Key {
		t.Fatalf("families %d and %d, keys %x and %x", v4.Family, v6.Family, v4.Key, v6.Key)
	}
	k.answer(v4, every(half))
	k.wantState(urlA, tracker.Working)
	k.answer(v6, tracker.Response{Err: fmt.Errorf("x: %w", tracker.ErrNoAddress)})
	k.wantState(urlA, tracker.Working)
	k.wantIdle("one family is enough")
	k.run(half)
	k.answer(k.want(urlA, tracker.None), every(half))
	k.wantIdle("it has no IPv6")
	k.tell(tracker.Complete{})
	k.answer(k.want(urlA, tracker.Completed), every(half))
	k.run(half)
	k.answer(k.want(urlA, tracker.None), every(half))
	k.want(urlA, tracker.Started) // an hour has passed: it may have IPv6 now
}

// "completed" is one download, by whichever family it is told.
func TestCompletedByOneFamily(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Families: []tracker.Family{tracker.IPv4, tracker.IPv6}}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.answer(k.want(urlA, tracker.Started), every(half))
	k.tell(tracker.Complete{})
	k.answer(k.want(urlA, tracker.Completed), every(half))
	k.answer(k.want(urlA, tracker.None), every(half))
	k.tell(tracker.Finish{})
	k.answer(k.want(urlA, tracker.Stopped), every(half))
	k.answer(k.want(urlA, tracker.Stopped), every(half))
	if len(heard[tracker.Finished](k)) != 1 {
		t.Error("not finished")
	}
}

// A tracker without any address of ours is down like any other.
func TestNoFamilyAtAll(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Families: []tracker.Family{tracker.IPv6}}, []string{urlA}, []string{urlB})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Err: tracker.ErrNoAddress})
	k.answer(k.want(urlB, tracker.Started), tracker.Response{Err: tracker.ErrNoAddress})
	if rep := k.wantState(urlB, tracker.Failing); rep.Err != tracker.ErrNoAddress.Error() {
		t.Errorf("the report is %+v", rep)
	}
	k.run(time.Hour - 1)
	k.wantIdle("both lack the family")
	k.run(time.Hour)
	k.want(urlA, tracker.Started)
}

func TestScrape(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{"http://b.example/x"})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: half, Seeds: -1, Leechers: -1, Finished: -1})
	scrape := func() tracker.Request {
		t.Helper()
		if len(k.asked) != 1 || !k.asked[0].Scrape || k.asked[0].URL != urlA {
			t.Fatalf("no scrape: %v", k.asked)
		}
		r := k.asked[0]
		k.asked = nil
		return r
	}
	k.answer(scrape(), tracker.Response{Seeds: 7, Leechers: 8, Finished: 9})
	if rep := k.wantState(urlA, tracker.Working); rep.Seeds != 7 || rep.Leechers != 8 || rep.Finished != 9 {
		t.Errorf("the report is %+v", rep)
	}
	k.tell(tracker.Scrape{})
	r := scrape()
	k.tell(tracker.Scrape{})
	k.wantIdle("it is on its way")
	k.fail(r)
	k.wantState(urlA, tracker.Working) // says nothing of announces
	k.run(half)
	k.answer(k.want(urlA, tracker.None), tracker.Response{Interval: half, Seeds: -1, Leechers: -1, Finished: -1})
	k.answer(scrape(), tracker.Response{Seeds: -1, Leechers: -1, Finished: -1})
	if rep := k.last[urlA]; rep.Seeds != 7 {
		t.Error("a silent scrape has erased what was known")
	}
}

func TestFound(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{Address4: netip.MustParseAddr("198.51.100.7")}, []string{urlA})
	k.start()
	peer, us := netip.MustParseAddrPort("10.0.0.1:7000"), netip.MustParseAddrPort("198.51.100.7:6881")
	us2 := netip.MustParseAddrPort("203.0.113.9:6881")
	k.answer(k.want(urlA, tracker.Started), tracker.Response{
		Peers: []netip.AddrPort{us, peer, us2}, ExternalIP: us2.Addr(), Addr: netip.MustParseAddr("192.168.1.1"),
	})
	found := heard[tracker.Found](k)
	if len(found) != 1 || !found[0].Local || found[0].ExternalIP != us2.Addr() || found[0].URL != urlA ||
		!slices.Equal(found[0].Peers, []netip.AddrPort{peer}) {
		t.Errorf("found %+v", found)
	}
}

func TestMoved(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA})
	k.start()
	k.answer(k.want(urlA, tracker.Started), tracker.Response{Interval: half, MinInterval: time.Minute})
	k.tell(tracker.Moved{Port: 7777})
	k.run(time.Minute)
	if r := k.want(urlA, tracker.None); r.Port != 7777 {
		t.Errorf("announced port %d", r.Port)
	}
}

func TestStartJitter(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{StartJitter: time.Minute}, []string{urlA})
	k.start()
	k.wantIdle("spread over a minute") // seed 1 does not draw 0
	k.run(time.Minute)
	k.want(urlA, tracker.Started)
}

// Reports do not repeat themselves.
func TestReportsOnChange(t *testing.T) {
	k := newTalk(t, tracker.AnnouncerConfig{}, []string{urlA}, []string{urlB})
	k.start()
	k.answer(k.want(urlA, tracker.Started), every(half))
	heard[tracker.Report](k)
	for range 10 {
		k.run(time.Second)
		k.tell(tracker.Update{Facts: tracker.Facts{Downloaded: 5, Connected: 1}})
	}
	if r := heard[tracker.Report](k); len(r) > 0 {
		t.Errorf("%d reports of nothing: %+v", len(r), r)
	}
}

// Whatever happens, in whatever order: every request is answered, rules of events
// hold for each tracker, the mailbox stays bounded and the run repeats.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(60) {
		one, two := randomLife(t, seed), randomLife(t, seed)
		if one != two {
			t.Fatalf("seed %d: hashes %x and %x differ", seed, one, two)
		}
	}
}

func randomLife(t *testing.T, seed uint64) uint64 {
	rng := rand.New(rand.NewPCG(seed, 99))
	w := sim.NewWorld(sim.Config{Seed: seed, Order: sim.Shuffle})
	cfg := tracker.AnnouncerConfig{Policy: tracker.Policy(rng.IntN(3)), Private: rng.IntN(4) == 0}
	if rng.IntN(2) == 0 {
		cfg.Families = []tracker.Family{tracker.IPv4, tracker.IPv6}
	}
	m := &model{t: t, w: w, rng: rng, known: map[string]bool{}, seed: seed}
	cfg.Client, cfg.Reply, cfg.InfoHash = m, actor.FuncRef(func(a tracker.Answer) {
		if _, ok := a.(tracker.Finished); ok {
			m.finished++
		}
	}), hash
	cfg.Tiers = [][]string{{urlA, urlB}, {urlC}, {urlD}}
	ann := actor.Root(w, tracker.Spec(16), tracker.NewAnnouncer(cfg), func(actor.Exit) {})
	finishes := 0
	for range 60 {
		facts := tracker.Facts{Left: int64(rng.IntN(2)), Wanted: int32(rng.IntN(2)), Connected: int32(rng.IntN(2))}
		switch rng.IntN(9) {
		case 0, 1, 2:
			ann.Ref.Tell(tracker.Start{Facts: facts})
		case 3:
			ann.Ref.Tell(tracker.Complete{Facts: facts})
		case 4:
			ann.Ref.Tell(tracker.Now{Facts: facts})
		case 5:
			ann.Ref.Tell(tracker.Add{URLs: []string{fmt.Sprintf("http://%d.example/announce", rng.IntN(20))}})
		case 6:
			ann.Ref.Tell(tracker.Remove{URLs: []string{fmt.Sprintf("http://%d.example/announce", rng.IntN(20))}})
		case 7:
			ann.Ref.Tell(tracker.Scrape{})
		case 8:
			ann.Ref.Tell(tracker.Finish{Facts: facts, Limit: time.Duration(rng.IntN(5)) * time.Second})
			until := w.Now().Add(10 * time.Second)
			w.At(until, func() {})
			w.Run(until)
			if finishes++; m.finished < finishes {
				t.Fatalf("seed %d: a Finish was not answered in 10 s", seed)
			}
			finishes = m.finished
		}
		until := w.Now().Add(time.Duration(rng.Int64N(int64(20 * time.Minute))))
		w.At(until, func() {})
		w.Run(until)
	}
	ann.Ref.Tell(tracker.Finish{})
	if !w.Run(actor.Never - 1) {
		t.Fatalf("seed %d: the world does not come to rest", seed)
	}
	if err := w.Check(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if err := w.Err(); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return w.Hash()
}

// model is a client in front of trackers that are slow, down, silent or refuse.
type model struct {
	t        *testing.T
	w        *sim.World
	rng      *rand.Rand
	known    map[string]bool // trackers, by family, that know us
	finished int
	seed     uint64
}

func (m *model) Do(r tracker.Request) {
	key := fmt.Sprint(r.URL, r.Family)
	if (r.Event == tracker.Completed || r.Event == tracker.Stopped) && !m.known[key] {
		m.t.Errorf("seed %d: %s, which does not know us", m.seed, show(r))
	}
	delay := time.Duration(m.rng.Int64N(int64(50 * time.Second)))
	if r.Timeout > 0 {
		delay = min(delay, r.Timeout)
	}
	resp := tracker.Response{Cookie: r.Cookie, Seeds: -1, Leechers: -1, Finished: -1}
	switch m.rng.IntN(6) {
	case 0:
		resp.Err = errDown
	case 1:
		resp.Err = &tracker.Failure{Reason: "no"}
		resp.RetryIn = time.Duration(m.rng.IntN(3)-1) * time.Minute
	case 2:
		if r.Family == tracker.IPv6 {
			resp.Err = tracker.ErrNoAddress
			break
		}
		fallthrough
	default:
		resp.Interval = time.Duration(m.rng.IntN(4000)) * time.Second
		resp.MinInterval = time.Duration(m.rng.IntN(100)) * time.Second
	}
	m.w.After(delay, func() {
		if resp.Err == nil && r.Event == tracker.Started {
			m.known[key] = true
		}
		r.Reply.Tell(resp)
	})
}
