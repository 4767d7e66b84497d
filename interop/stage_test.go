package interop

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// stage is one test's place: a folder, addresses that nobody else has, a deadline.
type stage struct {
	*testing.T
	ctx context.Context
	dir string
}

// lastAddr counts the addresses given out; the first is the private network's own.
var lastAddr atomic.Int64

func newStage(t *testing.T, limit time.Duration) *stage {
	t.Helper()
	if d, err := time.ParseDuration(os.Getenv("SHOAL_INTEROP_LIMIT")); err == nil {
		limit = d
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	name := strings.NewReplacer("/", "-", " ", "_", ",", "").Replace(t.Name())
	s := &stage{T: t, ctx: ctx, dir: filepath.Join(lab.Scratch, name)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.keepLogs(name)
		os.RemoveAll(s.dir)
	})
	return s
}

// keepLogs saves what the programs printed in a test that failed.
func (s *stage) keepLogs(name string) {
	keep := os.Getenv("SHOAL_INTEROP_KEEP")
	if keep == "" || !s.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*", "*.*"))
	for _, log := range logs {
		if ext := filepath.Ext(log); ext != ".log" && ext != ".ndjson" {
			continue
		}
		to := filepath.Join(keep, name, filepath.Base(filepath.Dir(log)))
		if os.MkdirAll(to, 0o755) == nil {
			b, _ := os.ReadFile(log)
			os.WriteFile(filepath.Join(to, filepath.Base(log)), b, 0o644)
		}
	}
}

func (s *stage) addr() netip.AddrPort {
	return clients.Addr(int(lastAddr.Add(1))+1, 6881)
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// deadTracker refuses connections. rtorrent takes no torrent without a tracker, and
// the others must bear one that does not answer.
const deadTracker = "http://10.77.0.1:1/announce"

// torrent makes a torrent of a fixture, with a dead tracker unless it gets others.
func (s *stage) torrent(f fixture, pieceLen int64, trackers ...string) *clients.Torrent {
	s.Helper()
	if trackers == nil {
		trackers = []string{deadTracker}
	}
	t, err := f.MakeTorrent(f.Dir, filepath.Join(s.dir, "x.torrent"), pieceLen, trackers...)
	s.must(err)
	return t
}

// seedJob and leechJob are jobs with an address of their own.
func (s *stage) seedJob(name string, f fixture, t *clients.Torrent, peers ...netip.AddrPort) clients.Job {
	return clients.Job{Dir: filepath.Join(s.dir, name), Addr: s.addr(), Torrent: t,
		Data: f.Dir, Seed: true, Peers: peers}
}

func (s *stage) leechJob(name string, t *clients.Torrent, peers ...netip.AddrPort) clients.Job {
	s.Helper()
	data := filepath.Join(s.dir, name, "data")
	s.must(os.MkdirAll(data, 0o755))
	return clients.Job{Dir: filepath.Join(s.dir, name), Addr: s.addr(), Torrent: t,
		Data: data, Peers: peers}
}

// run starts a client; it is stopped with the test.
func (s *stage) run(c clients.Client, j clients.Job) clients.Run {
	s.Helper()
	r, err := c.Start(s.ctx, j)
	s.must(err)
	s.Cleanup(r.Stop)
	return r
}

// ready starts a client and waits until it is ready.
func (s *stage) ready(c clients.Client, j clients.Job) clients.Run {
	s.Helper()
	r := s.run(c, j)
	s.must(r.Ready(s.ctx))
	return r
}

// transfer lets one client fetch everything from another, compares the bytes and
// returns the time between the first connection and completion.
func (s *stage) transfer(f fixture, t *clients.Torrent, seed, leech clients.Client) time.Duration {
	s.Helper()
	seedJob, leechJob := s.seedJob("seed", f, t), s.leechJob("leech", t)
	var from, to clients.Run
	var began time.Time
	switch {
	case leech.Name() == "shoal":
		from = s.ready(seed, seedJob)
		leechJob.Peers = []netip.AddrPort{seedJob.Addr}
		began = time.Now()
		to = s.run(leech, leechJob)
	case seed.Name() == "shoal":
		to = s.ready(leech, leechJob)
		seedJob.Peers = []netip.AddrPort{leechJob.Addr}
		began = time.Now()
		from = s.run(seed, seedJob)
	default:
		from, to = s.ready(seed, seedJob), s.ready(leech, leechJob)
		began = time.Now()
		if err := from.Dial(s.ctx, leechJob.Addr); err != nil {
			s.must(to.Dial(s.ctx, seedJob.Addr))
		}
	}
	s.must(clients.WaitDone(s.ctx, to))
	took := time.Since(began)
	from.Stop()
	to.Stop()
	s.must(f.Compare(seedJob.Data, leechJob.Data, leech.Name() == "transmission"))
	mib := float64(f.Size) / (1 << 20)
	s.Logf("%s -> %s: %.0f MiB in %.1f s, %.0f MiB/s", seed.Name(), leech.Name(), mib, took.Seconds(), mib/took.Seconds())
	s.must(os.RemoveAll(leechJob.Data))
	return took
}
