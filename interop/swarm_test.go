package interop

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// TestSwarmOpenTracker is a mixed swarm that knows each other from opentracker.
func TestSwarmOpenTracker(t *testing.T) {
	s := newStage(t, 3*time.Minute)
	f := mustFixture(t, full)
	at := s.addr()
	tor := s.torrent(f, 256<<10, "http://"+at.String()+"/announce")
	p, err := clients.OpenTracker(s.ctx, filepath.Join(s.dir, "tracker"), at, tor.InfoHash)
	s.must(err)
	s.Cleanup(p.Kill)
	mixedSwarm(s, f, tor)
}

// TestSwarmOwnTracker is the same swarm at shoal's tracker, UDP before HTTP.
func TestSwarmOwnTracker(t *testing.T) {
	s := newStage(t, 3*time.Minute)
	f := mustFixture(t, full)
	at := s.addr()
	tor := s.torrent(f, 256<<10, "udp://"+at.String()+"/announce", "http://"+at.String()+"/announce")
	p, err := shoal.Tracker(s.ctx, filepath.Join(s.dir, "tracker"), at)
	s.must(err)
	s.Cleanup(p.Kill)
	mixedSwarm(s, f, tor)
}

// mixedSwarm lets three shoals, two libtorrents and an aria2 fetch from one
// transmission and from each other.
func mixedSwarm(s *stage, f fixture, tor *clients.Torrent) {
	limit := 3 * slowestTransfer(s.T, f)
	s.ready(clients.Transmission{}, s.seedJob("seed", f, tor))

	var runs []clients.Run
	var jobs []clients.Job
	var shoals []*clients.ShoalRun
	for i := range 3 {
		j := s.leechJob("shoal-"+strconv.Itoa(i), tor)
		r, err := shoal.Run(s.ctx, j)
		s.must(err)
		s.Cleanup(r.Stop)
		runs, jobs, shoals = append(runs, r), append(jobs, j), append(shoals, r)
	}
	for i, c := range []clients.Client{clients.Libtorrent{}, clients.Libtorrent{}, clients.Aria2{}} {
		j := s.leechJob(c.Name()+"-"+strconv.Itoa(i), tor)
		runs, jobs = append(runs, s.run(c, j)), append(jobs, j)
	}
	began := time.Now()
	for i, r := range runs {
		s.must(clients.WaitDone(s.ctx, r))
		s.Logf("%s done after %.1f s", filepath.Base(jobs[i].Dir), time.Since(began).Seconds())
	}
	if took := time.Since(began); took > limit {
		s.Errorf("the swarm took %v, more than 3 x the slowest transfer between two (%s), %v", took, slowest.what, limit)
	}
	s.inspectSwarm(shoals, runs)
	for i, r := range runs {
		r.Stop()
		s.must(f.Compare(f.Dir, jobs[i].Data, false))
	}
}

// inspectSwarm checks that every shoal has given something and that nobody was taken
// for a liar.
func (s *stage) inspectSwarm(shoals []*clients.ShoalRun, runs []clients.Run) {
	s.Helper()
	for _, r := range runs {
		st, err := r.Status(s.ctx)
		s.must(err)
		if st.Bans > 0 || st.Failed > 0 {
			s.Errorf("%s banned %d peers and saw %d bad pieces among honest peers", r.Proc().Name, st.Bans, st.Failed)
		}
	}
	for i, r := range shoals {
		sum, err := r.Finish(s.ctx)
		s.must(err)
		s.Logf("shoal-%d: %s", i, sum.Raw)
		if sum.BytesUp == 0 {
			s.Errorf("shoal-%d uploaded nothing", i)
		}
	}
}

// slowestTransfer returns how long the slowest transfer of the payload between two
// clients took; without TestPairs it measures the one that is known to be slowest.
func slowestTransfer(t *testing.T, f fixture) time.Duration {
	t.Helper()
	slowest.Lock()
	known := slowest.Duration
	slowest.Unlock()
	if known > 0 {
		return known
	}
	t.Run("slowest pair", func(t *testing.T) {
		s := newStage(t, 2*time.Minute)
		noteTransfer("transmission to shoal", s.transfer(f, s.torrent(f, 256<<10), clients.Transmission{}, shoal))
	})
	return slowest.Duration
}

// within returns a context that ends with the test's or after d.
func (s *stage) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	s.Cleanup(cancel)
	return ctx
}
