package interop

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// Settings of libtorrent: pe_forced is 0, pe_disabled 2; pe_plaintext 1, pe_rc4 2.
var (
	forced   = []string{"in_enc_policy=0", "out_enc_policy=0"}
	onlyRC4  = append([]string{"allowed_enc_level=2", "prefer_rc4=true"}, forced...)
	onlyHead = append([]string{"allowed_enc_level=1"}, forced...)
	either   = append([]string{"allowed_enc_level=3"}, forced...)
	refuses  = []string{"in_enc_policy=2", "out_enc_policy=2"}
)

// TestEncryption has clients that refuse plain handshakes, or like others better, and
// fetches from them and they from us, whoever connects, by TCP and by uTP.
func TestEncryption(t *testing.T) {
	t.Parallel()
	both := []string{"tcp", "utp"}
	for _, c := range []struct {
		them   end
		policy string // ours
		method string
		by     []string
	}{
		{end{clients.Transmission{}, []string{"encryption=2"}}, "require", "rc4", both},
		{end{clients.Libtorrent{}, onlyRC4}, "require", "rc4", both},
		{end{clients.Libtorrent{}, onlyRC4}, "allow", "rc4", both[:1]},
		{end{clients.Libtorrent{}, onlyHead}, "prefer", "plaintext", both},
		{end{clients.Libtorrent{}, either}, "require", "rc4", both[:1]},
	} {
		for _, by := range c.by {
			us := end{shoal, []string{"--encryption", c.policy, "--transport", by}}
			for _, m := range directions(us, end{c.them.Client, append(transportOptions(c.them.Client, by), c.them.options...)}) {
				t.Run(fmt.Sprintf("%s, %s %s by %s", m.name(), c.policy, c.method, by), func(t *testing.T) {
					t.Parallel()
					m.stage, m.f = newStage(t, time.Minute), mustFixture(t, small)
					plain := m.transferAll()
					m.wantWay(by + " " + c.method)
					m.judgeHandshakes(plain, c.policy, c.method)
				})
			}
		}
	}
}

// TestEncryptionChosen: who can do without encryption is connected to by what both like.
func TestEncryptionChosen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		encryption  string // transmission's
		policy      string // ours
		way, method string
	}{
		{"1", "require", "tcp rc4", "rc4"},  // it prefers encryption
		{"0", "require", "tcp rc4", "rc4"},  // it tolerates it
		{"0", "prefer", "tcp", "plaintext"}, // and does not call it so
		{"0", "off", "tcp", "none"},
	} {
		us := end{shoal, []string{"--encryption", c.policy, "--transport", "tcp"}}
		for _, m := range directions(us, end{clients.Transmission{}, []string{"encryption=" + c.encryption}})[:2] {
			t.Run(fmt.Sprintf("%s, %s and %s", m.name(), c.policy, c.encryption), func(t *testing.T) {
				t.Parallel()
				m.stage, m.f = newStage(t, time.Minute), mustFixture(t, small)
				plain := m.transferAll()
				m.wantWay(c.way)
				m.judgeHandshakes(plain, c.policy, c.method)
			})
		}
	}
}

// TestEncryptionSelf is shoal with itself.
func TestEncryptionSelf(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"tcp", "utp"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			us := end{shoal, []string{"--encryption", "require", "--transport", by}}
			m := meeting{stage: newStage(t, time.Minute), f: mustFixture(t, small), seed: us, leech: us, dialler: shoal}
			m.judgeHandshakes(m.transferAll(), "require", "rc4")
		})
	}
}

// judgeHandshakes looks at the packets with plain handshakes. There are none with RC4, but
// where our own first attempt is plain. With plaintext there is the answer, behind an
// encrypted handshake.
func (m *meeting) judgeHandshakes(plain []clients.Packet, policy, method string) {
	m.Helper()
	tried := policy == "allow" && m.dialler.Name() == shoal.Name()
	switch {
	case method == "rc4" && !tried && len(plain) > 0:
		m.Errorf("a plain handshake was on the wire: %v", plain[0])
	case method != "rc4" && len(plain) == 0:
		m.Error("nothing in the clear was on the wire")
	}
}

// transportOptions let a client use one transport where it can be told so.
func transportOptions(c clients.Client, by string) []string {
	switch {
	case by == "tcp":
		return nil // nobody does more by itself
	case c.Name() == "libtorrent":
		return utpLibtorrent
	}
	return utpTransmission
}

// TestEncryptionRequired meets a client that knows no encryption. Nothing in the clear is
// ever said by a shoal that requires it; one that prefers it comes back without.
func TestEncryptionRequired(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"tcp", "utp"} {
		us := func(policy string) end {
			return end{shoal, []string{"--encryption", policy, "--transport", by}}
		}
		lt := clients.Libtorrent{}
		for _, m := range directions(us("require"), end{lt, append(transportOptions(lt, by), refuses...)}) {
			t.Run("require, "+m.name()+" by "+by, func(t *testing.T) {
				t.Parallel()
				m.stage, m.f = newStage(t, time.Minute), mustFixture(t, small)
				m.wantNothing(3 * time.Second)
			})
		}
		for _, m := range directions(us("prefer"), end{lt, append(transportOptions(lt, by), refuses...)}) {
			t.Run("prefer, "+m.name()+" by "+by, func(t *testing.T) {
				t.Parallel()
				m.stage, m.f = newStage(t, time.Minute), mustFixture(t, small)
				if plain := m.transferAll(); len(plain) == 0 {
					t.Error("no plain handshake was on the wire: the capture sees nothing")
				}
				m.wantWay(by)
			})
		}
		for _, m := range directions(us("off"), end{lt, append(transportOptions(lt, by), onlyRC4...)}) {
			t.Run("off, "+m.name()+" by "+by, func(t *testing.T) {
				t.Parallel()
				m.stage, m.f = newStage(t, time.Minute), mustFixture(t, small)
				m.wantNoTransfer(3 * time.Second)
			})
		}
	}
}

// wantNoTransfer lets both try for a while, in which nothing may be transferred. It
// returns the plain handshakes that were seen.
func (m *meeting) wantNoTransfer(d time.Duration) []clients.Packet {
	m.Helper()
	m.begin()
	ctx, cancel := context.WithTimeout(m.ctx, d)
	defer cancel()
	for ctx.Err() == nil {
		if _, err := m.look(); err != nil {
			m.Fatal(err)
		}
		<-time.After(100 * time.Millisecond)
	}
	for _, r := range []clients.Run{m.from, m.to} {
		st, err := r.Status(m.ctx)
		m.must(err)
		if st.Down > 0 || st.Up > 0 {
			m.Errorf("%s has received %d and sent %d bytes", r.Proc().Name, st.Down, st.Up)
		}
	}
	m.from.Stop()
	m.to.Stop()
	return append(m.tcp.Stop(), m.udp.Stop()...)
}

// wantNothing is wantNoTransfer with a shoal that says nothing in the clear. There must
// have been an attempt.
func (m *meeting) wantNothing(d time.Duration) {
	m.Helper()
	plain := m.wantNoTransfer(d)
	ours := m.fromJob.Addr
	if m.leech.Name() == shoal.Name() {
		ours = m.toJob.Addr
	}
	for _, p := range plain {
		if p.From.Addr() == ours.Addr() {
			m.Errorf("a plain handshake of ours was on the wire: %v", p)
		}
	}
	if len(m.segments) == 0 && m.dgram == 0 {
		m.Error("nobody has tried: the test shows nothing")
	}
}

// TestEncryptionReason: who can't reach anybody for a lack of encryption is told so.
func TestEncryptionReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		policy string
		them   []string
		want   string
	}{
		{"off", onlyRC4, "perhaps it wants encryption"},
		{"require", refuses, "perhaps it knows no encryption"},
	} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, time.Minute)
			f := mustFixture(t, small)
			tor := s.torrent(f, 256<<10)
			from, to := s.seedJob("seed", f, tor), s.leechJob("leech", tor)
			from.Options = c.them
			s.ready(clients.Libtorrent{}, from)
			to.Peers, to.Options = []netip.AddrPort{from.Addr}, []string{"--encryption", c.policy, "--transport", "tcp", "--timeout", "4s"}
			r := s.shoalRun(downloader(), to)
			code, err := r.Wait(s.ctx)
			s.must(err)
			said := r.Last("error").Raw + r.Last("diagnosis").Raw
			t.Logf("exit %d: %s", code, said)
			if code == 0 || !strings.Contains(said, c.want) {
				t.Errorf("exit %d, and %q does not say %q", code, said, c.want)
			}
		})
	}
}
