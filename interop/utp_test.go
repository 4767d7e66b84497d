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
