package interop

import (
	"os"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// fullSize says that payloads are to be as large as acceptance asks for.
var fullSize = os.Getenv("SHOAL_INTEROP_FULL") != ""

// Payloads of uTP by who is on the other end. transmission's seeds give 12 MiB/s.
var (
	flood  = makeFixture(clients.MultiFile("flood", sized(1<<30)), 7)
	stream = makeFixture(clients.MultiFile("stream", sized(256<<20)), 8)
)

// sized is the payload's size, or enough of it to be a test.
func sized(full int64) int64 {
	if fullSize {
		return full
	}
	return 48 << 20
}

// Ends of which only uTP is used: by what they are told, or because nothing else leads
// to the other one.
var (
	utpShoal        = []string{"--transport", "utp", "--encryption", "off"}
	utpLibtorrent   = []string{"enable_incoming_utp=true", "enable_outgoing_utp=true"}
	utpTransmission = []string{"utp-enabled=true"}
)

// TestUTP sends payloads both ways, whoever connects, while shoal has no TCP. A capture
// shows that none is used.
func TestUTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		end
		large func() (fixture, error)
	}{
		{end{clients.Libtorrent{}, utpLibtorrent}, flood},
		{end{clients.Transmission{}, utpTransmission}, stream},
	} {
		for i, m := range directions(end{shoal, utpShoal}, c.end) {
			t.Run(m.name(), func(t *testing.T) {
				t.Parallel()
				limit, payload := time.Minute, small
				if i < 2 {
					payload = c.large
				}
				if fullSize {
					limit = 10 * time.Minute
				}
				m.stage, m.f = newStage(t, limit), mustFixture(t, payload)
				m.transferAll()
				m.wantWay("utp")
				m.wantUTP()
			})
		}
	}
}

// wantUTP checks that there was no segment of TCP between the two.
func (m *meeting) wantUTP() {
	m.Helper()
	if len(m.segments) > 0 || m.dgram == 0 {
		m.Errorf("%d datagrams were on the wire, and by TCP %q", m.dgram, m.segments)
	}
}

// Settings of libtorrent: one transport and nothing else.
var onlyTCP = []string{"enable_incoming_utp=false", "enable_outgoing_utp=false"}

// TestUTPBridge is a swarm whose seed has uTP alone, as have some who fetch; others have
// TCP alone. They know nobody but one shoal that has both, and all get everything.
func TestUTPBridge(t *testing.T) {
	t.Parallel()
	s := newStage(t, time.Minute)
	f := mustFixture(t, small)
	tor := s.torrent(f, 256<<10)
	type member struct {
		name string
		end
		utp bool
		job clients.Job
		run clients.Run
	}
	bridge := s.leechJob("bridge", tor)
	members := []*member{
		{name: "seed", end: end{clients.Libtorrent{}, clients.LibtorrentUTP}, utp: true},
		{name: "libtorrent-utp", end: end{clients.Libtorrent{}, clients.LibtorrentUTP}, utp: true},
		{name: "libtorrent-tcp", end: end{clients.Libtorrent{}, onlyTCP}},
		{name: "transmission-tcp", end: end{clients.Transmission{}, []string{"utp-enabled=false"}}},
		{name: "shoal-utp", end: end{shoal, []string{"--transport", "utp"}}, utp: true},
		{name: "shoal-tcp", end: end{shoal, []string{"--transport", "tcp"}}},
	}
	// What the transport may have carried that is not used: libtorrent listens for TCP
	// even if it lets nobody in.
	const attempts = 16 << 10
	wires := map[*member][2]*clients.Sniffer{}
	for i, m := range members {
		m.job = s.leechJob(m.name, tor)
		if i == 0 {
			m.job = s.seedJob(m.name, f, tor)
		}
		m.job.Options = m.options
		all := func(clients.Packet) bool { return true }
		tcp, err := clients.SniffTCP(bridge.Addr.Addr(), m.job.Addr.Addr(), all)
		s.must(err)
		udp, err := clients.SniffUDP(bridge.Addr.Addr(), m.job.Addr.Addr(), func(p clients.Packet) bool { return len(p.Payload) > 100 })
		s.must(err)
		wires[m] = [2]*clients.Sniffer{tcp, udp}
		m.run = s.ready(m.Client, m.job)
		bridge.Peers = append(bridge.Peers, m.job.Addr)
	}
	began := time.Now()
	hub := s.run(shoal, bridge)
	for _, m := range members[1:] {
		s.must(clients.WaitDone(s.ctx, m.run))
		s.Logf("%s done after %.1f s", m.name, time.Since(began).Seconds())
	}
	s.must(clients.WaitDone(s.ctx, hub))
	s.must(f.Compare(f.Dir, bridge.Data, false))
	for _, m := range members {
		m.run.Stop()
		s.must(f.Compare(f.Dir, m.job.Data, m.Name() == "transmission"))
		var carried [2]int // bytes by TCP and by UDP
		for i, w := range wires[m] {
			for _, p := range w.Stop() {
				carried[i] += len(p.Payload)
			}
		}
		uses, other := carried[0], carried[1]
		if m.utp {
			uses, other = other, uses
		}
		if int64(uses) < f.Size || other > attempts {
			s.Errorf("%s: %d bytes by TCP, %d by UDP", m.name, carried[0], carried[1])
		}
	}
}
