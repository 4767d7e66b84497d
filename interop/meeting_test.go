package interop

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// end is a client in a meeting, with options.
type end struct {
	clients.Client
	options []string
}

// meeting is one transfer between two clients on a watched wire. Ways of the foreign one
// say how they were connected.
type meeting struct {
	*stage
	f           fixture
	seed, leech end
	dialler     clients.Client // the one of both that connects

	from, to       clients.Run
	fromJob, toJob clients.Job
	tcp, udp       *clients.Sniffer
	segments       []string // of connections by TCP, even empty ones
	dgram          int      // datagrams
	ways           []string // how the clients say that they were connected
	took           time.Duration
}

// trackerOf serves a tracker that knows these peers.
func (s *stage) trackerOf(peers ...netip.AddrPort) string {
	s.Helper()
	l, err := net.Listen("tcp", s.addr().String())
	s.must(err)
	var list []byte
	for _, p := range peers {
		list = append(list, p.Addr().AsSlice()...)
		list = append(list, byte(p.Port()>>8), byte(p.Port()))
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "d8:intervali60e5:peers%d:%se", len(list), list)
	})}
	go func() { _ = srv.Serve(l) }()
	s.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String() + "/announce"
}

// begin starts both, first the one that waits to be connected to.
func (m *meeting) begin() {
	m.Helper()
	tor := m.torrent(m.f, 256<<10)
	m.fromJob, m.toJob = m.seedJob("seed", m.f, tor), m.leechJob("leech", tor)
	m.fromJob.Options, m.toJob.Options = m.paced(m.seed), m.paced(m.leech)
	m.watch()
	type part struct {
		c   clients.Client
		job *clients.Job
		run *clients.Run
	}
	first, second := part{m.seed, &m.fromJob, &m.from}, part{m.leech, &m.toJob, &m.to}
	if m.dialler.Name() == m.seed.Name() {
		first, second = second, first
	}
	*first.run = m.ready(first.c, *first.job)
	at := first.job.Addr
	switch second.c.Name() {
	case "libtorrent":
		*second.run = m.ready(second.c, *second.job)
		m.must((*second.run).Dial(m.ctx, at))
	case "transmission":
		t, err := m.f.MakeTorrent(m.f.Dir, filepath.Join(m.dir, "dialler.torrent"), 256<<10, m.trackerOf(at))
		m.must(err)
		second.job.Torrent = t
		*second.run = m.run(second.c, *second.job)
	default:
		second.job.Peers = []netip.AddrPort{at}
		*second.run = m.run(second.c, *second.job)
	}
}

// paced are an end's options. What is fetched in no time is fetched slower, so that the
// clients can be asked meanwhile how they are connected.
func (m *meeting) paced(e end) []string {
	if e.Name() != shoal.Name() || m.f.Size > 16<<20 {
		return e.options
	}
	return append([]string{"--down-limit", "6MiB", "--up-limit", "6MiB"}, e.options...)
}

// watch looks at the wire between the two. Only plain handshakes are kept.
func (m *meeting) watch() {
	m.Helper()
	var err error
	a, b := m.fromJob.Addr.Addr(), m.toJob.Addr.Addr()
	m.tcp, err = clients.SniffTCP(a, b, func(p clients.Packet) bool {
		if m.ofConnection(p) {
			m.segments = append(m.segments, fmt.Sprintf("%v -> %v, flags %#x, %d bytes", p.From, p.To, p.Flags, len(p.Payload)))
		}
		return greets(p)
	})
	m.must(err)
	m.udp, err = clients.SniffUDP(a, b, func(p clients.Packet) bool {
		m.dgram++
		return greets(p)
	})
	m.must(err)
}

// ofConnection reports whether a segment has to do with a connection by TCP: all have, but
// the foreign client's wish for one and its refusal.
func (m *meeting) ofConnection(p clients.Packet) bool {
	ours := m.fromJob.Addr.Addr()
	if m.leech.Name() == shoal.Name() {
		ours = m.toJob.Addr.Addr()
	}
	wish := p.From.Addr() != ours && p.Flags&(clients.SYN|clients.ACK) == clients.SYN
	return !wish && p.Flags&clients.RST == 0
}

// greets reports whether a plain handshake can be read in a packet.
func greets(p clients.Packet) bool { return bytes.Contains(p.Payload, []byte("BitTorrent protocol")) }

// look asks both how they are connected, and reports whether the leecher has everything.
func (m *meeting) look() (done bool, err error) {
	for _, r := range []clients.Run{m.from, m.to} {
		st, err := r.Status(m.ctx)
		if err != nil {
			return false, err
		}
		for _, w := range st.Ways {
			if !slices.Contains(m.ways, w) {
				m.ways = append(m.ways, w)
			}
		}
		done = st.Done
	}
	return done, nil
}

// transferAll fetches everything, compares it and ends both. It returns the packets with
// plain handshakes.
func (m *meeting) transferAll() []clients.Packet {
	m.Helper()
	began := time.Now()
	m.begin()
	m.must(clients.Poll(m.ctx, m.to.Proc(), "completion", m.look))
	m.took = time.Since(began)
	m.from.Stop()
	m.to.Stop()
	plain := append(m.tcp.Stop(), m.udp.Stop()...)
	m.must(m.f.Compare(m.fromJob.Data, m.toJob.Data, m.leech.Name() == "transmission"))
	mib := float64(m.f.Size) / (1 << 20)
	m.Logf("%s -> %s, %s dials, by %s: %.0f MiB in %.1f s with their start, %.0f MiB/s; %d datagrams, %d segments of TCP", m.seed.Name(), m.leech.Name(),
		m.dialler.Name(), strings.Join(m.ways, ", "), mib, m.took.Seconds(), mib/m.took.Seconds(), m.dgram, len(m.segments))
	return plain
}

// wantWay checks how the two were connected.
func (m *meeting) wantWay(want string) {
	m.Helper()
	if len(m.ways) != 1 || m.ways[0] != want {
		m.Errorf("connected by %q, want %q", m.ways, want)
	}
}

// directions are the four meetings of shoal and another client: who has it, and who
// connects.
func directions(us, them end) []meeting {
	return []meeting{
		{seed: them, leech: us, dialler: us.Client},
		{seed: us, leech: them, dialler: us.Client},
		{seed: them, leech: us, dialler: them.Client},
		{seed: us, leech: them, dialler: them.Client},
	}
}

// name is for subtests.
func (m *meeting) name() string {
	return fmt.Sprintf("%s to %s, %s dials", m.seed.Name(), m.leech.Name(), m.dialler.Name())
}
