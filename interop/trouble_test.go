package interop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// medium is the payload of the tests in which things go wrong on purpose.
var medium = makeFixture(clients.MultiFile("medium", 160<<20), 3)

// seeder starts a seed of our own making.
func (s *stage) seeder(f fixture, tor *clients.Torrent, rate, lieEvery int64) *clients.Seeder {
	s.Helper()
	p := &clients.Seeder{Addr: s.addr(), Torrent: tor, Dir: f.Dir, Rate: rate, LieEvery: lieEvery}
	s.must(p.Start(s.ctx))
	return p
}

// shoalRun starts a shoal; it is stopped with the test.
func (s *stage) shoalRun(c clients.Shoal, j clients.Job) *clients.ShoalRun {
	s.Helper()
	r, err := c.Run(s.ctx, j)
	s.must(err)
	s.Cleanup(r.Stop)
	return r
}

// downloader is shoal as a plain download runs: it exits when done.
func downloader() clients.Shoal { return clients.Shoal{Bin: shoal.Bin, Flags: shoal.Flags, Exit: true} }

// TestKill kills a download twenty times at random moments and starts it again. No
// verified piece may be fetched or hashed twice.
func TestKill(t *testing.T) {
	const kills = 20
	const inMemory = 64 << 20 // what one kill may cost: unverified data in memory
	s := newStage(t, 3*time.Minute)
	f := mustFixture(t, medium)
	tor := s.torrent(f, 1<<20)
	seed := s.seeder(f, tor, 24<<20, 0)
	job := s.leechJob("leech", tor, seed.Addr)

	rng := rand.New(rand.NewPCG(20, 9))
	at := make([]int64, kills)
	for i := range at {
		at[i] = 1 + rng.Int64N(f.Size-1)
	}
	slices.Sort(at)

	var down, rehashed int64
	for _, limit := range append(at, -1) {
		r := s.shoalRun(downloader(), job)
		if limit >= 0 {
			s.must(clients.Poll(s.ctx, r.Proc(), "bytes", func() (bool, error) {
				return seed.Sent() >= limit, nil
			}))
			r.Stop()
			<-r.Proc().Done()
		}
		code, err := r.Wait(s.ctx)
		s.must(err)
		if limit < 0 && code != 0 {
			s.Fatalf("the last run ended with exit %d\n%s", code, r.Proc().Tail())
		}
		last := r.Last("progress")
		down += last.BytesDown
		rehashed += last.BytesRehashed
	}
	s.must(f.Compare(f.Dir, job.Data, false))
	s.Logf("payload %d, sum of bytes_down %d, sent by the seed %d (excess %d), rehashed %d",
		f.Size, down, seed.Sent(), seed.Sent()-f.Size, rehashed)
	if over := max(down, seed.Sent()) - f.Size; over > kills*inMemory {
		s.Errorf("%d bytes too many were fetched", over)
	}
	if rehashed != 0 {
		s.Errorf("%d bytes were hashed again, within one boot", rehashed)
	}
}

// TestDiskFull downloads to a file system of half the size, first to the end, then
// with --seed, which waits for space.
func TestDiskFull(t *testing.T) {
	s := newStage(t, 2*time.Minute)
	f := mustFixture(t, full)
	tor := s.torrent(f, 256<<10)
	seed := s.seeder(f, tor, 0, 0)
	job := s.leechJob("leech", tor, seed.Addr)
	s.must(clients.MountTmpfs(job.Data, f.Size/2))

	r := s.shoalRun(downloader(), job)
	code, err := r.Wait(s.within(time.Minute))
	s.must(err)
	if code != 6 {
		s.Fatalf("exit %d, want 6\n%s", code, r.Proc().Tail())
	}
	claimed := r.Last("progress").BytesDone
	good, err := tor.GoodBytes(job.Data)
	s.must(err)
	s.Logf("disk full: %d of %d bytes claimed, %d are good", claimed, f.Size, good)
	if good < claimed || good == 0 {
		s.Errorf("%d bytes were claimed but only %d are good", claimed, good)
	}

	r = s.shoalRun(shoal, job)
	s.must(r.Ready(s.within(time.Minute)))
	s.stalls(r)
	s.must(clients.ResizeTmpfs(job.Data, f.Size+32<<20))
	s.must(clients.WaitDone(s.within(30*time.Second), r))
	s.must(f.Compare(f.Dir, job.Data, false))
}

// stalls waits until a run that has no space says the same thing for a while, and
// has not given up.
func (s *stage) stalls(r *clients.ShoalRun) {
	s.Helper()
	var last int64 = -1
	var since time.Time
	s.must(clients.Poll(s.within(time.Minute), r.Proc(), "stand-still", func() (bool, error) {
		if have := r.Last("progress").BytesDone; have != last {
			last, since = have, time.Now()
		}
		return time.Since(since) > 3*time.Second, nil
	}))
}

// TestLiar has an honest seed and one that lies in one block of 50.
func TestLiar(t *testing.T) {
	const rate = 12 << 20
	for _, pieceLen := range []int64{256 << 10, 4 << 20} {
		for _, faster := range []int64{1, 10} {
			t.Run(fmt.Sprintf("%d KiB, liar %d x", pieceLen>>10, faster), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, time.Minute)
				f := mustFixture(t, full)
				tor := s.torrent(f, pieceLen)
				honest, liar := s.seeder(f, tor, rate, 0), s.seeder(f, tor, faster*rate, 50)
				job := s.leechJob("leech", tor, honest.Addr, liar.Addr)
				r := s.shoalRun(downloader(), job)
				code, err := r.Wait(s.ctx)
				s.must(err)
				if code != 0 {
					s.Fatalf("exit %d\n%s", code, r.Proc().Tail())
				}
				s.must(f.Compare(f.Dir, job.Data, false))
				s.judge(r, liar)
			})
		}
	}
}

// judge checks who was banned, and when.
func (s *stage) judge(r *clients.ShoalRun, liar *clients.Seeder) {
	s.Helper()
	failed, banned := 0, false
	for _, e := range r.Events("") {
		switch {
		case e.Event == "piece_failed" && !banned:
			failed++
		case e.Event == "banned" && e.Peer == liar.Addr.String():
			banned = true
		case e.Event == "banned":
			s.Errorf("an honest peer was banned: %s", e.Raw)
		}
	}
	s.Logf("%d lies told, %d failed pieces before the ban", liar.Lies(), failed)
	if !banned && liar.Lies() > 0 {
		s.Error("the liar was not banned")
	}
	if failed > 2 {
		s.Errorf("the liar was banned after %d failed pieces, want at most 2", failed)
	}

}

// TestLiarAlone: nothing wrong may be claimed right.
func TestLiarAlone(t *testing.T) {
	s := newStage(t, time.Minute)
	f := mustFixture(t, full)
	tor := s.torrent(f, 4<<20)
	liar := s.seeder(f, tor, 0, 50)
	job := s.leechJob("leech", tor, liar.Addr)
	job.Options = []string{"--timeout", "5s"}
	r := s.shoalRun(downloader(), job)
	code, err := r.Wait(s.within(45 * time.Second))
	s.must(err)
	if code != 7 && code != 9 {
		s.Errorf("exit %d, want 7 or 9\n%s", code, r.Proc().Tail())
	}
	good, err := tor.GoodBytes(job.Data)
	s.must(err)
	claimed := r.Last("progress").BytesDone
	s.Logf("%d of %d bytes claimed, %d are good", claimed, f.Size, good)
	if claimed > good {
		s.Errorf("%d bytes were claimed but only %d are good", claimed, good)
	}
	// An honest seed finishes what the liar began.
	honest := s.seeder(f, tor, 0, 0)
	job.Peers, job.Options = []netip.AddrPort{honest.Addr}, nil
	r = s.shoalRun(downloader(), job)
	code, err = r.Wait(s.within(30 * time.Second))
	s.must(err)
	if code != 0 {
		s.Errorf("with an honest seed: exit %d\n%s", code, r.Proc().Tail())
	}
	s.must(f.Compare(f.Dir, job.Data, false))
}

// TestHarnessSeeder proves the seeder of these tests with a client that is known to work,
// the honest one and the liar.
func TestHarnessSeeder(t *testing.T) {
	s := newStage(t, time.Minute)
	f := mustFixture(t, small)
	tor := s.torrent(f, 64<<10)
	honest, liar := s.seeder(f, tor, 0, 0), s.seeder(f, tor, 2<<20, 50)
	job := s.leechJob("leech", tor)
	r := s.ready(clients.Libtorrent{}, job)
	s.must(r.Dial(s.ctx, liar.Addr))
	s.must(clients.Poll(s.ctx, r.Proc(), "the first lie to be seen", func() (bool, error) {
		st, err := r.Status(s.ctx)
		return err == nil && st.Failed > 0, err
	}))
	s.must(r.Dial(s.ctx, honest.Addr))
	s.must(clients.WaitDone(s.ctx, r))
	st, err := r.Status(s.ctx)
	s.must(err)
	s.Logf("libtorrent: %d failed pieces, %d banned; %d lies told", st.Failed, st.Bans, liar.Lies())
	s.must(f.Compare(f.Dir, job.Data, false))
	good, err := tor.GoodBytes(job.Data)
	s.must(err)
	if good != f.Size || honest.Sent() == 0 || liar.Lies() == 0 {
		s.Errorf("good %d of %d, honest sent %d, %d lies", good, f.Size, honest.Sent(), liar.Lies())
	}
	good, err = tor.GoodBytes(filepath.Join(s.dir, "nothing"))
	s.must(err)
	if good != 0 {
		s.Errorf("%d bytes of nothing are good", good)
	}
}
