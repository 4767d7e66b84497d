package tracker_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// udpTracker answers datagrams like a good tracker, as far as its script lets it.
type udpTracker struct {
	begin  time.Time
	log    []string // what came, and when
	silent func(what string, nth int) bool
	seen   map[string]int
	reply  func(s *fakeSocket, from netip.AddrPort, transaction, answer string) // nil: as it should be
	forgot byte                                                                 // ids up to this are no longer good
	lastID byte
	body   string // of announces
}

const udpBody = "\x00\x00\x07\x08\x00\x00\x00\x04\x00\x00\x00\x03\x01\x02\x03\x04\x1a\xe1"

func newUDPTracker(n *fakeNet) *udpTracker {
	u := &udpTracker{begin: time.Now(), seen: map[string]int{}, body: udpBody}
	n.packets = u.packet
	return u
}

func (u *udpTracker) packet(s *fakeSocket, to netip.AddrPort, p []byte) {
	what := [...]string{"connect", "announce", "scrape"}[binary.BigEndian.Uint32(p[8:])]
	u.log = append(u.log, fmt.Sprintf("%s@%v", what, time.Since(u.begin)))
	u.seen[what]++
	if u.silent != nil && u.silent(what, u.seen[what]) {
		return
	}
	tr := string(p[12:16])
	answer := ""
	switch {
	case what == "connect":
		u.lastID++
		answer = "\x00\x00\x00\x00" + tr + "1234567" + string([]byte{u.lastID})
	case p[7] > u.lastID || p[7] <= u.forgot:
		answer = "\x00\x00\x00\x03" + tr + "bad connection id"
	case what == "scrape":
		answer = "\x00\x00\x00\x02" + tr + "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"
	default:
		answer = "\x00\x00\x00\x01" + tr + u.body
	}
	if u.reply != nil {
		u.reply(s, to, tr, answer)
		return
	}
	s.from(to, answer)
}

func (u *udpTracker) want(t *testing.T, log ...string) {
	t.Helper()
	if !slices.Equal(u.log, log) {
		t.Errorf("the tracker has seen %q, want %q", u.log, log)
	}
	u.log = nil
}

const udpURL = "udp://5.5.5.5:80/announce"

// BEP 15: "a client can use a connection ID until one minute after it has received it."
func TestUDPConnectionReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		a := ask(t, n, tracker.ClientConfig{})
		r := a.get(udpURL)
		if r.Err != nil || r.Interval != half || r.Seeds != 3 || r.Leechers != 4 || r.Addr.String() != "5.5.5.5" ||
			!slices.Equal(r.Peers, []netip.AddrPort{netip.MustParseAddrPort("1.2.3.4:6881")}) {
			t.Errorf("%+v", r)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		a.get(udpURL)
		time.Sleep(time.Nanosecond)
		r = a.get(udpURL, func(r *tracker.Request) { r.Scrape = true })
		if r.Err != nil || r.Seeds != 1 || r.Finished != 2 || r.Leechers != 3 {
			t.Errorf("%+v", r)
		}
		u.want(t, "connect@0s", "announce@0s", "announce@59.999999999s", "connect@1m0s", "scrape@1m0s")
		if n.sockets != 1 {
			t.Errorf("%d sockets", n.sockets)
		}
	})
}

// BEP 15's schedule: "after 15 * 2 ^ n seconds"; an id that has run out is renewed.
func TestUDPResend(t *testing.T) {
	for _, c := range []struct {
		name   string
		silent func(what string, nth int) bool
		limit  time.Duration
		want   []string
		err    string
	}{
		{"connect lost twice", func(w string, n int) bool { return w == "connect" && n < 3 }, time.Minute,
			[]string{"connect@0s", "connect@15s", "connect@45s", "announce@45s"}, ""},
		{"announce lost", func(w string, n int) bool { return w == "announce" && n < 4 }, time.Hour,
			[]string{"connect@0s", "announce@0s", "announce@15s", "announce@45s", "connect@1m45s", "announce@1m45s"}, ""},
		{"dead", func(string, int) bool { return true }, time.Minute,
			[]string{"connect@0s", "connect@15s", "connect@45s"}, "5.5.5.5:80: no answer within 1m0s"},
		{"dead for hours", func(string, int) bool { return true }, 3 * time.Hour, []string{
			"connect@0s", "connect@15s", "connect@45s", "connect@1m45s", "connect@3m45s", "connect@7m45s", "connect@15m45s",
			"connect@31m45s", "connect@1h3m45s", "connect@2h7m45s"}, "5.5.5.5:80: no answer within 3h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newFakeNet()
				u := newUDPTracker(n)
				u.silent = c.silent
				a := ask(t, n, tracker.ClientConfig{UDP: c.limit})
				r := a.get(udpURL)
				if c.err != "" {
					a.wantErr(r, c.err)
				} else if r.Err != nil {
					t.Error(r.Err)
				}
				u.want(t, c.want...)
			})
		})
	}
}

// T4: packets that are no answer change nothing, neither the outcome nor the schedule.
func TestUDPForgeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		evil := netip.MustParseAddrPort("6.6.6.6:80")
		u.reply = func(s *fakeSocket, from netip.AddrPort, tr, answer string) {
			forged := strings.Replace(answer, "\x01\x02\x03\x04", "\x06\x06\x06\x06", 1)
			s.from(evil, forged)                                            // wrong source
			s.from(netip.AddrPortFrom(from.Addr(), 81), forged)             // wrong port
			s.from(from, forged[:4]+"xxxx"+forged[8:])                      // wrong transaction
			s.from(from, "")                                                // nothing
			s.from(from, forged[:7])                                        // cut
			s.from(from, forged[:9])                                        // cut
			s.from(from, "\x00\x00\x00\x09"+forged[4:])                     // another action
			s.from(evil, "\x00\x00\x00\x03"+tr+"go away")                   // an error from elsewhere
			s.in <- packet{err: errors.New("port unreachable"), from: from} // as Windows has it
			if u.seen["announce"] != 1 {
				s.from(from, answer) // the first announce's answer is lost
			}
		}
		a := ask(t, n, tracker.ClientConfig{})
		r := a.get(udpURL)
		if r.Err != nil || len(r.Peers) != 1 || r.Peers[0].Addr().String() != "1.2.3.4" {
			t.Errorf("%+v", r)
		}
		u.want(t, "connect@0s", "announce@0s", "announce@15s")
	})
}

// A late answer to the first sending counts.
func TestUDPLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		u.reply = func(s *fakeSocket, from netip.AddrPort, _, answer string) {
			go func() {
				time.Sleep(20 * time.Second)
				s.from(from, answer)
			}()
		}
		a := ask(t, n, tracker.ClientConfig{})
		begin := time.Now()
		if r := a.get(udpURL); r.Err != nil || time.Since(begin) != 40*time.Second {
			t.Errorf("%v after %v", r.Err, time.Since(begin))
		}
		time.Sleep(time.Minute) // the rest of the answers finds nobody
	})
}

// A tracker that was restarted has forgotten its ids: we connect anew, once.
func TestUDPForgottenID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		a := ask(t, n, tracker.ClientConfig{})
		a.get(udpURL)
		u.forgot = u.lastID
		if r := a.get(udpURL); r.Err != nil {
			t.Error(r.Err)
		}
		u.want(t, "connect@0s", "announce@0s", "announce@0s", "connect@0s", "announce@0s")

		u.reply = func(s *fakeSocket, from netip.AddrPort, tr, _ string) { s.from(from, "\x00\x00\x00\x03"+tr+"closed") }
		r := a.get(udpURL)
		a.wantErr(r, "5.5.5.5:80: tracker refused: closed")
		var f *tracker.Failure
		if !errors.As(r.Err, &f) {
			t.Error("the error is no Failure")
		}
		u.want(t, "announce@0s", "connect@0s")
	})
}

// BEP 15 on IPv6: the socket's family decides, ids are for each address.
func TestUDPFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		n.host("both.example", "2a00::5", "5.5.5.5")
		a := ask(t, n, tracker.ClientConfig{})
		by := func(f tracker.Family) func(*tracker.Request) { return func(r *tracker.Request) { r.Family = f } }
		if r := a.get("udp://both.example:80", by(tracker.IPv4)); r.Err != nil || r.Addr.String() != "5.5.5.5" {
			t.Errorf("%+v", r)
		}
		u.body = "\x00\x00\x07\x08\x00\x00\x00\x04\x00\x00\x00\x03\x2a\x00" + strings.Repeat("\x00", 13) + "\x01\x1a\xe1"
		r := a.get("udp://both.example:80", by(tracker.IPv6))
		if r.Err != nil || r.Addr.String() != "2a00::5" || len(r.Peers) != 1 || r.Peers[0].String() != "[2a00::1]:6881" {
			t.Errorf("%+v", r)
		}
		u.want(t, "connect@0s", "announce@0s", "connect@0s", "announce@0s")
		n.host("old.example", "5.5.5.5")
		a.wantErr(a.get("udp://old.example:80", by(tracker.IPv6)), "old.example:80: no address of this family")
	})
}

// A host's addresses take turns: what can't be sent to is left out at once, what
// is silent lets the next one try.
func TestUDPSeveralAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.noV6 = true
		u := newUDPTracker(n)
		n.host("many.example", "2a00::5", "5.5.5.4", "5.5.5.5")
		n.packets = func(s *fakeSocket, to netip.AddrPort, p []byte) {
			if to.Addr().String() == "5.5.5.5" {
				u.packet(s, to, p)
			}
		}
		a := ask(t, n, tracker.ClientConfig{})
		begin := time.Now()
		if r := a.get("udp://many.example:80"); r.Err != nil || r.Addr.String() != "5.5.5.5" || time.Since(begin) != 15*time.Second {
			t.Errorf("%+v after %v", r, time.Since(begin))
		}
		n.host("unreachable.example", "2a00::5", "2a00::6")
		if r := a.get("udp://unreachable.example:80"); r.Err == nil || !strings.Contains(r.Err.Error(), "unreachable") {
			t.Errorf("%v", r.Err)
		}
		a.wantErr(a.get("udp://5.5.5.5:0"), `5.5.5.5:0: port "0" is none`)
		a.wantErr(a.get("udp://5.5.5.5:70000"), `5.5.5.5:70000: port "70000" is none`)
	})
}

// A socket that breaks is replaced.
func TestUDPBrokenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		u := newUDPTracker(n)
		a := ask(t, n, tracker.ClientConfig{})
		var old *fakeSocket
		u.reply = func(s *fakeSocket, from netip.AddrPort, _, answer string) { old = s; s.from(from, answer) }
		a.get(udpURL)
		old.Close()
		synctest.Wait()
		if r := a.get(udpURL); r.Err != nil || n.sockets != 2 {
			t.Errorf("%v, %d sockets", r.Err, n.sockets)
		}
		u.want(t, "connect@0s", "announce@0s", "connect@0s", "announce@0s")
		u.silent = func(string, int) bool { return true }
		got := a.begin(udpURL)
		synctest.Wait()
		old.Close()
		if r := <-got; r.Err == nil || !strings.Contains(r.Err.Error(), "socket was closed") {
			t.Errorf("%v", r.Err)
		}
	})
}
