package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// little is what clients fetch that have to find each other first: finding is tested,
// not fetching. It is public.
var little = makeFixture(public(clients.MultiFile("little", 1<<20)), 4)

func public(p clients.Payload) clients.Payload {
	p.Public = true
	return p
}

// finders are the clients that find peers by themselves.
var finders = []clients.Client{clients.Libtorrent{}, clients.Transmission{}, clients.Aria2{}, clients.QBittorrent{}}

// dhtNetwork is a small DHT: a node that everybody begins with, and others.
type dhtNetwork struct {
	begin netip.AddrPort
	nodes *clients.DHTNodes
}

// crowd is how many nodes there are besides: transmission trusts no smaller network.
const crowd = 12

// lastNode counts the addresses of nodes. Each is in a /24 of its own: libtorrent keeps
// one node of each in a bucket.
var lastNode atomic.Int64

const firstNode = 50 // below are those of stage.addr

func (s *stage) nodeAddrs(n int) (out []netip.AddrPort) {
	for range n {
		out = append(out, clients.Addr((firstNode+int(lastNode.Add(1)))<<8+1, 6881))
	}
	return out
}

// newDHT makes a network around a node that libtorrent runs, or shoal.
func (s *stage) newDHT(by string) dhtNetwork {
	s.Helper()
	d := dhtNetwork{}
	at := s.nodeAddrs(crowd)
	var err error
	if by == "libtorrent" {
		d.begin = at[0]
		d.nodes, err = clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), nil, at, nil)
	} else {
		d.begin = s.nodeAddrs(1)[0]
		var p *clients.Proc
		p, err = shoal.DHTServe(s.ctx, filepath.Join(s.dir, "serve"), nil, d.begin)
		s.must(err)
		s.Cleanup(p.Kill)
		d.nodes, err = clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), nil, at, nil, d.begin)
	}
	s.must(err)
	s.Cleanup(d.nodes.Stop)
	s.must(d.nodes.Mesh(s.within(30*time.Second), crowd-2, d.begin))
	return d
}

// meet lets one client fetch a torrent by its link from another; neither is told of the
// other.
func (s *stage) meet(f fixture, t *clients.Torrent, seed, leech clients.Client, find clients.Find, change func(seed, leech *clients.Job)) time.Duration {
	s.Helper()
	from, to := s.seedJob("seed", f, t), s.leechJob("leech", t)
	from.Find, to.Find = find, find
	to.Magnet = t.Magnet()
	if change != nil {
		change(&from, &to)
	}
	var r clients.Run
	var began time.Time
	if find.LSD {
		// aria2 names what it seeds soon after its start and then after five minutes, and
		// does not dial: whoever fetches has to be there before.
		r = s.run(leech, to)
		began = time.Now()
		s.ready(seed, from)
	} else {
		s.ready(seed, from)
		began = time.Now()
		r = s.run(leech, to)
	}
	s.must(clients.WaitDone(s.ctx, r))
	took := time.Since(began)
	r.Stop()
	s.must(f.Compare(f.Dir, to.Data, leech.Name() == "transmission"))
	s.Logf("%s -> %s by %+v: %.1f s", seed.Name(), leech.Name(), find, took.Seconds())
	return took
}

// pairs calls f for shoal and each client, in both directions.
func pairs(t *testing.T, with []clients.Client, f func(t *testing.T, seed, leech clients.Client)) {
	for _, c := range with {
		for _, p := range [][2]clients.Client{{c, shoal}, {shoal, c}} {
			t.Run(fmt.Sprintf("%s to %s", p[0].Name(), p[1].Name()), func(t *testing.T) {
				t.Parallel()
				f(t, p[0], p[1])
			})
		}
	}
}

// TestFindDHT has clients that know nothing of each other but a node of the DHT.
func TestFindDHT(t *testing.T) {
	for _, by := range []string{"libtorrent", "shoal"} {
		t.Run("begun by "+by, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 4*time.Minute)
			d := s.newDHT(by)
			f := mustFixture(t, little)
			pairs(t, finders, func(t *testing.T, seed, leech clients.Client) {
				s := newStage(t, 3*time.Minute)
				s.meet(f, s.torrent(s.another(f), 64<<10), seed, leech, clients.Find{DHT: true, Nodes: []netip.AddrPort{d.begin}}, nil)
			})
		})
	}
}

// torrentNames makes info-hashes differ.
var torrentNames struct {
	sync.Mutex
	n int
}

// another is the same payload of another info-hash, as the DHT never forgets.
func (s *stage) another(f fixture) fixture {
	torrentNames.Lock()
	defer torrentNames.Unlock()
	torrentNames.n++
	f.Extra = fmt.Sprintf("6:source6:%06d", torrentNames.n)
	return f
}

// TestFindPEX has a leecher that knows one peer, which has nothing, and a seed that knows
// the same one: they meet by what it says of them.
func TestFindPEX(t *testing.T) {
	f := mustFixture(t, little)
	pairs(t, finders, func(t *testing.T, seed, leech clients.Client) {
		s := newStage(t, 3*time.Minute)
		tor := s.torrent(s.another(f), 64<<10)
		// The one that all know: shoal dials, libtorrent is told in the middle.
		middle := s.leechJob("middle", tor)
		middle.Find.PEX = true
		// It fetches little itself, else the leecher has everything from there.
		middle.Options = []string{"download_rate_limit=4000"}
		hub := s.ready(clients.Libtorrent{}, middle)
		s.meet(f, tor, seed, leech, clients.Find{PEX: true}, func(from, to *clients.Job) {
			for _, j := range []*clients.Job{from, to} {
				if (j == from && seed.Name() == shoal.Name()) || (j == to && leech.Name() == shoal.Name()) {
					j.Peers = []netip.AddrPort{middle.Addr}
				} else {
					s.dialWhenUp(hub, j.Addr)
				}
			}
		})
	})
}

// dialWhenUp lets a client connect to an address again and again until somebody is there.
func (s *stage) dialWhenUp(r clients.Run, at netip.AddrPort) {
	go func() {
		for s.ctx.Err() == nil {
			if c, err := net.DialTimeout("tcp", at.String(), time.Second); err == nil {
				c.Close()
				_ = r.Dial(s.ctx, at)
			}
			select {
			case <-time.After(time.Second):
			case <-s.ctx.Done():
			}
		}
	}()
}

// TestFindLSD has clients on one segment that know nothing of each other.
func TestFindLSD(t *testing.T) {
	f := mustFixture(t, little)
	with := []clients.Client{clients.Libtorrent{}, clients.Aria2{}, clients.QBittorrent{}}
	net, err := clients.NewSegment(netip.MustParsePrefix("10.78.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	var last atomic.Int32
	host := func() *clients.Host {
		n := byte(last.Add(1) + 1)
		h, err := net.Host(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 78, 0, n}), 16))
		if err != nil {
			t.Error(err)
		}
		return h
	}
	pairs(t, with, func(t *testing.T, seed, leech clients.Client) {
		s := newStage(t, 2*time.Minute)
		s.meet(f, s.torrent(s.another(f), 64<<10), seed, leech, clients.Find{LSD: true}, func(from, to *clients.Job) {
			for _, j := range []*clients.Job{from, to} {
				j.Host = host()
				j.Addr = j.Host.Port(6881)
			}
		})
	})
}

// TestFindLSD6 is TestFindLSD by IPv6 with libtorrent, which needs a default route for it.
func TestFindLSD6(t *testing.T) {
	f := mustFixture(t, little)
	net, err := clients.NewSegment(netip.MustParsePrefix("fd78::1/64"))
	if err != nil {
		t.Fatal(err)
	}
	var last atomic.Int32
	pairs(t, []clients.Client{clients.Libtorrent{}}, func(t *testing.T, seed, leech clients.Client) {
		s := newStage(t, 2*time.Minute)
		s.meet(f, s.torrent(s.another(f), 64<<10), seed, leech, clients.Find{LSD: true}, func(from, to *clients.Job) {
			for _, j := range []*clients.Job{from, to} {
				a := netip.MustParseAddr(fmt.Sprintf("fd78::1:%x", last.Add(1)))
				h, err := net.Host(netip.PrefixFrom(a, 64))
				s.must(err)
				j.Host, j.Addr = h, h.Port(6881)
			}
		})
	})
}

// TestFindBigMetadata fetches a large info dictionary by the link alone.
func TestFindBigMetadata(t *testing.T) {
	f := mustFixture(t, little)
	// Many files would do as well, but cost their making.
	var key [32]byte
	big := make([]byte, 5<<20)
	rand.NewChaCha8(key).Read(big)
	f.Extra = fmt.Sprintf("6:source%d:%s", len(big), big)
	pairs(t, []clients.Client{clients.Libtorrent{}}, func(t *testing.T, seed, leech clients.Client) {
		s := newStage(t, 2*time.Minute)
		tor := s.torrent(f, 64<<10)
		if info, err := os.Stat(tor.Path); err != nil || info.Size() < 5<<20 {
			t.Fatalf("the torrent file has %d bytes, %v", info.Size(), err)
		}
		s.meet(f, tor, seed, leech, clients.Find{}, func(from, to *clients.Job) {
			to.Peers = []netip.AddrPort{from.Addr}
		})
	})
}
