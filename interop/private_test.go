package interop

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// secret is little as a private torrent.
var secret = makeFixture(clients.MultiFile("secret", 1<<20), 6)

// watchAfter is how long a shoal is watched when it has everything.
const watchAfter = 4 * time.Second

// TestFindPrivate watches the wire while shoal has a private torrent, and DHT, PEX and
// LSD are on. Only trackers and those who are told by them may hear of it.
func TestFindPrivate(t *testing.T) {
	net, err := clients.NewSegment(netip.MustParsePrefix("10.79.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name    string
		payload func() (fixture, error)
		magnet  bool
		options []string
		// What may be seen: everything, nothing, or nothing once it is known that the
		// torrent is private.
		public, learns bool
	}{
		{"a torrent that is not", little, false, nil, true, false},
		{"a torrent", secret, false, nil, false, false},
		{"a link that says so", secret, true, []string{"--private"}, false, false},
		{"a link that turns out so", secret, true, nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, time.Minute)
			f := mustFixture(t, c.payload)
			var hosts []*clients.Host
			for n := range 4 {
				h, err := net.Host(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 79, byte(10*i + n + 1), 1}), 16))
				s.must(err)
				hosts = append(hosts, h)
			}
			node, tracker, seeder, me := hosts[0].Port(6881), hosts[1].Port(6969), hosts[2].Port(6881), hosts[3].Port(6881)
			announce := "http://" + tracker.String() + "/announce"
			tor := s.torrent(s.another(f), 64<<10, announce)

			wire, err := clients.Sniff(func(p clients.Packet) bool {
				return p.From.Addr() == me.Addr() && (p.UDP && p.Names(tor) || p.PEX())
			})
			s.must(err)
			dht, err := clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), hosts[0], []netip.AddrPort{node}, nil)
			s.must(err)
			s.Cleanup(dht.Stop)
			tr, err := shoal.TrackerOn(s.ctx, filepath.Join(s.dir, "tracker"), hosts[1], tracker)
			s.must(err)
			s.Cleanup(tr.Kill)
			find := clients.Find{DHT: true, PEX: true, LSD: true, Nodes: []netip.AddrPort{node}}
			from, to := s.seedJob("seed", f, tor), s.leechJob("leech", tor)
			from.Host, from.Addr, from.Find = hosts[2], seeder, find
			to.Host, to.Addr, to.Find, to.Options = hosts[3], me, find, c.options
			if c.magnet {
				to.Magnet = tor.Magnet() + "&tr=" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(announce)
			}
			var seed clients.Client = clients.Libtorrent{}
			if c.magnet && !c.public {
				seed = shoal // others keep the metadata of private torrents to themselves
			}
			if slices.Contains(c.options, "--private") {
				to.Find.Nodes = nil // there is no use for them, and it says so
			}
			s.ready(seed, from)
			r := s.shoalRun(shoal, to)
			s.must(clients.WaitDone(s.ctx, r))
			time.Sleep(watchAfter) // what is to be seen is that nothing comes
			seen := wire.Stop()
			r.Stop()
			s.must(f.Compare(f.Dir, to.Data, false))
			s.judgeWire(seen, r, c.public, c.learns)
		})
	}
}

// judgeWire says what must not have been on the wire, or must have been.
func (s *stage) judgeWire(seen []clients.Packet, r *clients.ShoalRun, public, learns bool) {
	s.Helper()
	var known time.Time
	if learns {
		e := r.Last("metadata")
		if e.Event == "" {
			s.Fatal("no metadata event")
		}
		known = time.UnixMicro(int64(e.T * 1e6))
	}
	udp, exchanged, late := 0, 0, 0
	for _, p := range seen {
		if p.UDP {
			udp++
		} else {
			exchanged++
		}
		if !public && p.At.After(known) {
			late++
			s.Errorf("on the wire: %v", p)
		}
	}
	s.Logf("%d datagrams named it, %d packets of peer exchange, %d where none may be", udp, exchanged, late)
	if public && (udp == 0 || exchanged == 0) {
		s.Errorf("the watch sees nothing even of a public torrent")
	}
	if learns && udp == 0 {
		s.Error("nothing was asked before it was known: the test shows nothing")
	}
}
