package interop

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
	"github.com/shoal-bt/shoal/internal/relay"
)

// overPaths is small, since one of the paths brings little more than 100 KiB/s.
var overPaths = makeFixture(clients.MultiFile("over bad paths", 2<<20), 9)

// TestPaths sends a payload by uTP alone over each bad path, between shoal and itself
// and libtorrent both ways, and compares every byte.
func TestPaths(t *testing.T) {
	if shoal.Bin == "" {
		t.Fatal("no shoal binary")
	}
	utp := shoal
	utp.Flags = append(slices.Clone(shoal.Flags), "--transport", "utp", "--encryption", "off")
	lt := clients.Libtorrent{}
	for _, p := range relay.Profiles() {
		for _, pair := range [][2]clients.Client{{utp, utp}, {lt, utp}, {utp, lt}} {
			if p.There.MTU > 0 && pair[0].Name() == lt.Name() {
				continue // libtorrent does not find the way's packet size, whoever listens
			}
			t.Run(p.Name+", "+pair[0].Name()+" to "+pair[1].Name(), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, 3*time.Minute)
				f := mustFixture(t, overPaths)
				s.overPath(p, f, s.torrent(f, 64<<10), pair[0], pair[1])
			})
		}
	}
}

// overPath lets one client fetch everything from another by uTP through a relay, which
// each of them believes to be the other.
func (s *stage) overPath(p relay.Profile, f fixture, t *clients.Torrent, seed, leech clients.Client) {
	s.Helper()
	from, to := s.seedJob("seed", f, t), s.leechJob("leech", t)
	for _, x := range []struct {
		c clients.Client
		j *clients.Job
	}{{seed, &from}, {leech, &to}} {
		if x.c.Name() == "libtorrent" {
			x.j.Options = append(x.j.Options, clients.LibtorrentUTP...)
		}
	}
	s.ready(seed, from)
	r, err := relay.Listen(netip.AddrPortFrom(from.Addr.Addr(), 0), from.Addr, p, 1)
	s.must(err)
	s.Cleanup(r.Close)
	to.Peers = []netip.AddrPort{r.Addr()}
	began := time.Now()
	run := s.run(leech, to)
	s.must(clients.WaitDone(s.ctx, run))
	took := time.Since(began)
	run.Stop()
	s.must(f.Compare(from.Data, to.Data, false))
	there, back := r.Stats()
	s.Logf("%s: %s -> %s: %.0f KiB/s, %+v there, %+v back", p.Name, seed.Name(), leech.Name(),
		float64(f.Size)/1024/took.Seconds(), there, back)
	if there.Delivered == 0 || back.Delivered < f.Size/1500 {
		s.Errorf("it did not go through the relay")
	}
}
