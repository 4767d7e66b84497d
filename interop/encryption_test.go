package interop

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// Settings of libtorrent: encrypted connections only, in both directions.
var (
	ltForced    = []string{"in_enc_policy=0", "out_enc_policy=0"}
	ltRC4       = append(slices.Clone(ltForced), "allowed_enc_level=2", "prefer_rc4=true")
	ltPlaintext = append(slices.Clone(ltForced), "allowed_enc_level=1")
	ltBoth      = append(slices.Clone(ltForced), "allowed_enc_level=3")
	ltDisabled  = []string{"in_enc_policy=2", "out_enc_policy=2"}
)

// encryptedCase is one client with its settings against shoal with its policy.
type encryptedCase struct {
	name    string
	client  clients.Client
	options []string
	policy  string
	// In the clear after the handshake: then the answer of who was connected to is
	// seen, which follows the encrypted part.
	clear bool
	// dials: it is the other client that connects.
	dials bool
}

var encryptedCases = []encryptedCase{
	{"libtorrent, RC4", clients.Libtorrent{}, ltRC4, "require", false, false},
	{"libtorrent, RC4, connects", clients.Libtorrent{}, ltRC4, "require", false, true},
	{"libtorrent, RC4, connects to who allows", clients.Libtorrent{}, ltRC4, "allow", false, true},
	{"libtorrent, plaintext", clients.Libtorrent{}, ltPlaintext, "prefer", true, false},
	{"libtorrent, plaintext, connects", clients.Libtorrent{}, ltPlaintext, "prefer", true, true},
	{"libtorrent, either", clients.Libtorrent{}, ltBoth, "require", false, false},
	{"libtorrent, either, connects", clients.Libtorrent{}, ltBoth, "require", false, true},
	{"transmission, required", clients.Transmission{}, []string{"encryption=2"}, "require", false, false},
	{"transmission, preferred", clients.Transmission{}, []string{"encryption=1"}, "require", false, false},
	{"transmission, tolerated", clients.Transmission{}, []string{"encryption=0"}, "prefer", true, false},
	{"shoal", nil, nil, "require", false, false},
}

// TestEncryption sends a payload in both directions over connections that both sides
// want encrypted, and looks at what passes: no plain handshake is among it.
func TestEncryption(t *testing.T) {
	for _, c := range encryptedCases {
		for _, seeds := range []bool{true, false} {
			name := c.name + ", shoal fetches"
			if !seeds {
				name = c.name + ", shoal seeds"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, time.Minute)
				s.encrypted(c, seeds)
			})
		}
	}
}

// plainHandshake is how every connection begins that is not encrypted (BEP 3).
var plainHandshake = []byte("\x13BitTorrent protocol")

// sniffPlain looks for plain handshakes from and to these addresses.
func (s *stage) sniffPlain(addrs ...netip.Addr) *clients.Sniffer {
	wire, err := clients.Sniff(func(p clients.Packet) bool {
		return (slices.Contains(addrs, p.From.Addr()) || slices.Contains(addrs, p.To.Addr())) &&
			bytes.Contains(p.Payload, plainHandshake)
	})
	s.must(err)
	return wire
}

// encrypted runs one case; theirs says that the other client has the payload.
func (s *stage) encrypted(c encryptedCase, theirs bool) {
	f := mustFixture(s.T, small)
	tor := s.torrent(f, 64<<10)
	seed, leech := s.seedJob("seed", f, tor), s.leechJob("leech", tor)
	ours, other := &leech, &seed
	if !theirs {
		ours, other = other, ours
	}
	ours.Options = []string{"--transport", "tcp", "--encryption", c.policy}
	other.Options = c.options
	if c.client == nil {
		c.client, other.Options = shoal, ours.Options
	}
	runs := map[*clients.Job]clients.Run{}
	wire := s.sniffPlain(seed.Addr.Addr(), leech.Addr.Addr())
	began := time.Now()
	if c.dials {
		runs[ours] = s.ready(shoal, *ours)
		runs[other] = s.ready(c.client, *other)
		s.must(runs[other].Dial(s.ctx, ours.Addr))
	} else {
		runs[other] = s.ready(c.client, *other)
		ours.Peers = []netip.AddrPort{other.Addr}
		if c.client.Name() == "transmission" && !slices.Contains(other.Options, "encryption=2") {
			wire.Stop() // it was asked in the clear whether it is there
			wire, began = s.sniffPlain(seed.Addr.Addr(), leech.Addr.Addr()), time.Now()
		}
		runs[ours] = s.run(shoal, *ours)
	}
	s.must(clients.WaitDone(s.ctx, runs[&leech]))
	s.Logf("%.1f s", time.Since(began).Seconds())
	s.must(f.Compare(seed.Data, leech.Data, c.client.Name() == "transmission"))
	s.judgeHandshakes(wire.Stop(), c)
}

// judgeHandshakes: nothing in the clear passes; or, where that was agreed upon, only
// the answer to an encrypted handshake.
func (s *stage) judgeHandshakes(seen []clients.Packet, c encryptedCase) {
	s.Helper()
	begins := 0
	for _, p := range seen {
		if bytes.HasPrefix(p.Payload, plainHandshake) && !c.clear {
			begins++
			s.Errorf("a plain handshake: %v", p)
		}
	}
	if !c.clear && len(seen) > begins {
		s.Errorf("%d packets contain one", len(seen)-begins)
	}
	if c.clear && len(seen) == 0 {
		s.Error("it was not in the clear")
	}
}

// TestRequireMeetsPlain: who requires encryption and who refuses it do not come
// together, and not even a plain handshake of shoal's is seen.
func TestRequireMeetsPlain(t *testing.T) {
	for _, dials := range []bool{false, true} {
		name := "shoal connects"
		if dials {
			name = "libtorrent connects"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, time.Minute)
			f := mustFixture(t, small)
			tor := s.torrent(f, 64<<10)
			seed, leech := s.seedJob("seed", f, tor), s.leechJob("leech", tor)
			seed.Options = ltDisabled
			leech.Options = []string{"--transport", "tcp", "--encryption", "require"}
			wire := s.sniffPlain(leech.Addr.Addr())
			from := s.ready(clients.Libtorrent{}, seed)
			if !dials {
				leech.Peers = []netip.AddrPort{seed.Addr}
			}
			to := s.shoalRun(shoal, leech)
			s.must(to.Ready(s.ctx))
			if dials {
				s.must(from.Dial(s.ctx, leech.Addr))
			}
			time.Sleep(watchAfter) // what is to be seen is that nothing comes
			theirs := 0
			for _, p := range wire.Stop() {
				if p.From.Addr() == leech.Addr.Addr() {
					t.Errorf("shoal says %v", p)
				} else {
					theirs++
				}
			}
			if dials && theirs == 0 {
				t.Error("libtorrent has not tried")
			}
			if st, err := to.Status(s.ctx); err != nil || st.Have > 0 {
				t.Errorf("fetched %d bytes (%v)", st.Have, err)
			}
		})
	}
}
