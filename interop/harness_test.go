package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// foreign are the clients of other people.
var foreign = []clients.Client{
	clients.Libtorrent{}, clients.Transmission{}, clients.Aria2{}, clients.QBittorrent{}, clients.RTorrent{},
}

// TestHarness proves the harness without shoal: every client seeds to and fetches
// from libtorrent.
func TestHarness(t *testing.T) {
	lt := clients.Libtorrent{}
	for _, c := range foreign {
		t.Run(c.Name()+" seeds", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, time.Minute)
			f := mustFixture(t, small)
			s.transfer(f, s.torrent(f, 64<<10), c, lt)
		})
		if c.Name() == lt.Name() {
			continue
		}
		t.Run(c.Name()+" fetches", func(t *testing.T) {
			t.Parallel()
			s := newStage(t, time.Minute)
			f := mustFixture(t, small)
			s.transfer(f, s.torrent(f, 64<<10), lt, c)
		})
	}
}

// TestHarnessTracker proves opentracker: clients that cannot be told a peer find each
// other through it.
func TestHarnessTracker(t *testing.T) {
	s := newStage(t, time.Minute)
	f := mustFixture(t, small)
	at := s.addr()
	tor := s.torrent(f, 64<<10, "http://"+at.String()+"/announce")
	p, err := clients.OpenTracker(s.ctx, filepath.Join(s.dir, "tracker"), at, tor.InfoHash)
	s.must(err)
	s.Cleanup(p.Kill)
	s.ready(clients.Transmission{}, s.seedJob("seed", f, tor))
	job := s.leechJob("leech", tor)
	to := s.ready(clients.Aria2{}, job)
	s.must(clients.WaitDone(s.ctx, to))
	to.Stop()
	s.must(f.Compare(f.Dir, job.Data, false))
}

// TestHarnessCompare shows that the comparison sees what it must see.
func TestHarnessCompare(t *testing.T) {
	s := newStage(t, time.Minute)
	f := mustFixture(t, small)
	dir := filepath.Join(s.dir, "copy")
	s.must(f.Write(dir, 1))
	s.must(f.Compare(f.Dir, dir, false))

	last := filepath.Join(dir, f.Name, "zz", "last.bin")
	info, err := os.Stat(last)
	s.must(err)
	out, err := os.OpenFile(last, os.O_RDWR, 0)
	s.must(err)
	s.Cleanup(func() { out.Close() })
	wants := func(what string) {
		s.Helper()
		if err := f.Compare(f.Dir, dir, false); err == nil || !strings.Contains(err.Error(), what) {
			s.Errorf("got %v, want an error with %q", err, what)
		}
	}
	orig := make([]byte, 1)
	_, err = out.ReadAt(orig, info.Size()-1)
	s.must(err)
	_, err = out.WriteAt([]byte{orig[0] ^ 1}, info.Size()-1)
	s.must(err)
	wants("differs at byte")
	s.must(out.Truncate(info.Size() - 1))
	wants("1 bytes too few")
	s.must(out.Truncate(info.Size()))
	_, err = out.WriteAt([]byte{orig[0], 7}, info.Size()-1)
	s.must(err)
	wants("1 bytes too many")

	s.must(out.Truncate(info.Size()))
	s.must(os.Remove(filepath.Join(dir, f.Name, "empty.bin")))
	wants("no such file")
	s.must(f.Compare(f.Dir, dir, true))
}
