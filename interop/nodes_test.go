package interop

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// TestFindNodes has ten nodes of libtorrent's and ten of shoal's in one DHT: what either
// kind stores the other finds.
func TestFindNodes(t *testing.T) {
	t.Parallel()
	s := newStage(t, 2*time.Minute)
	theirs, ours := s.nodeAddrs(10), s.nodeAddrs(10)
	for i, a := range ours {
		var begin []netip.AddrPort
		if i > 0 {
			begin = ours[:1]
		}
		p, err := shoal.DHTServe(s.ctx, filepath.Join(s.dir, fmt.Sprint("serve", i)), nil, a, begin...)
		s.must(err)
		s.Cleanup(p.Kill)
	}
	nodes, err := clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), nil, theirs, nil, ours[0])
	s.must(err)
	s.Cleanup(nodes.Stop)
	s.must(nodes.Mesh(s.within(30*time.Second), 15, ours...))
	d := mixed{s, nodes, ours, theirs, 0}
	d.peers()
	d.items()
	d.samples()
}

// mixed is a DHT of both kinds.
type mixed struct {
	*stage
	nodes        *clients.DHTNodes
	ours, theirs []netip.AddrPort
	asked        int
}

// ask asks the DHT by shoal, from an address of its own.
func (d *mixed) ask(args ...string) string {
	d.Helper()
	d.asked++
	out, err := shoal.DHT(d.within(30*time.Second), filepath.Join(d.dir, fmt.Sprint("ask", d.asked)), nil,
		d.nodeAddrs(1)[0].Addr(), d.ours[3:4], args...)
	if err != nil {
		d.Errorf("%v: %v\n%s", args, err, out)
	}
	return out
}

// their has a node of libtorrent's do something.
func (d *mixed) their(cmd string, node int, args map[string]any) clients.DHTAnswer {
	d.Helper()
	a, err := d.nodes.Ask(d.within(30*time.Second), cmd, node, args)
	d.must(err)
	return a
}

// peers are announced by either kind and found by the other.
func (d *mixed) peers() {
	d.Helper()
	one, two := strings.Repeat("a1", 20), strings.Repeat("5b", 20)
	d.their("announce", 2, map[string]any{"hash": one}) // at the port where it listens
	want := d.theirs[2].String()
	d.must(clients.Poll(d.within(40*time.Second), d.nodes.Proc(), "their announce", func() (bool, error) {
		return strings.Contains(d.ask("get-peers", one, "--timeout", "5s"), want), nil
	}))
	// Shoal's nodes are young: until they know libtorrent's, what is announced by way of
	// them goes to shoal's alone, and no sample of the others can name it.
	d.must(clients.Poll(d.within(40*time.Second), d.nodes.Proc(), "all nodes for our announce", func() (bool, error) {
		out := d.ask("get-peers", two, "--announce", "2222")
		return strings.Contains(out, `"stored":8`) && slices.ContainsFunc(d.theirs, func(a netip.AddrPort) bool {
			return strings.Contains(out, `"`+a.String()+`"`)
		}), nil
	}))
	d.must(clients.Poll(d.within(40*time.Second), d.nodes.Proc(), "our announce", func() (bool, error) {
		a, err := d.nodes.Ask(d.ctx, "get_peers", 7, map[string]any{"hash": two, "wait": 3})
		return slices.ContainsFunc(a.Peers, func(p string) bool { return strings.HasSuffix(p, ":2222") }), err
	}))
}

// items that can be changed are put and got, with their signatures.
func (d *mixed) items() {
	d.Helper()
	seed := [32]byte{7, 7, 7}
	key := ed25519.NewKeyFromSeed(seed[:])
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	expanded := sha512.Sum512(seed[:]) // what libtorrent calls the private key
	expanded[0] &= 248
	expanded[31] = expanded[31]&63 | 64
	for n, value := range []string{"what libtorrent says", "what it says later"} {
		a := d.their("put", 4, map[string]any{"private": hex.EncodeToString(expanded[:]), "key": public, "salt": "s", "value": value})
		if a.Stored == 0 {
			d.Errorf("put %d by libtorrent is stored nowhere", n)
		}
		if out := d.ask("get", "--k", public, "--salt", "s"); !strings.Contains(out, value) {
			d.Errorf("shoal gets %s, want %q", out, value)
		}
	}
	file := filepath.Join(d.dir, "key")
	other := [32]byte{9, 9, 9}
	d.must(os.WriteFile(file, []byte(hex.EncodeToString(other[:])), 0o600))
	public = hex.EncodeToString(ed25519.NewKeyFromSeed(other[:]).Public().(ed25519.PublicKey))
	for n, value := range []string{"what shoal says", "what shoal says later"} {
		d.ask("put", "--key", file, "--salt", "t", "--seq", fmt.Sprint(n+1), value)
		a := d.their("get", 6, map[string]any{"key": public, "salt": "t"})
		if a.Value != value || a.Seq != int64(n+1) || len(a.Signature) != 128 {
			d.Errorf("libtorrent gets %+v, want %q", a, value)
		}
	}
}

// samples name what was announced (BEP 51). Each hash is on the eight nodes closest to
// it, so nodes of both kinds have it, and none has so many that it would leave one out.
func (d *mixed) samples() {
	d.Helper()
	one, two := strings.Repeat("a1", 20), strings.Repeat("5b", 20)
	found := map[string]bool{}
	for _, at := range d.theirs {
		out := d.ask("sample", at.String(), "--timeout", "5s")
		found[one], found[two] = found[one] || strings.Contains(out, one), found[two] || strings.Contains(out, two)
	}
	if !found[one] || !found[two] {
		d.Errorf("shoal's samples of libtorrent's nodes: %v", found)
	}
	clear(found)
	for _, at := range d.ours {
		a := d.their("sample", 1, map[string]any{"ip": at.Addr().String(), "port": at.Port(), "target": one, "wait": 5})
		if a.Num < 0 {
			d.Errorf("%v does not answer", at)
		}
		for _, h := range a.Samples {
			found[h] = true
		}
	}
	if !found[one] || !found[two] {
		d.Errorf("libtorrent's samples of shoal's nodes: %v", found)
	}
}

// TestFindNodesByAddress has nodes at addresses that look like the world's, where ids
// have to fit them (BEP 42): libtorrent, which enforces that, takes shoal's.
func TestFindNodesByAddress(t *testing.T) {
	t.Parallel()
	s := newStage(t, 90*time.Second)
	net, err := clients.NewSegment(netip.MustParsePrefix("45.99.99.1/32"), netip.MustParsePrefix("45.0.0.0/8"))
	s.must(err)
	const n = 5
	var ours []netip.AddrPort
	for i := range n + 1 {
		h, err := net.Host(netip.PrefixFrom(netip.AddrFrom4([4]byte{45, byte(10 + i), byte(20 + i), 1}), 32))
		s.must(err)
		if i == n {
			theirs, err := clients.StartDHTNodes(s.ctx, filepath.Join(s.dir, "dht"), h, []netip.AddrPort{h.Port(6881)},
				[]string{"dht_enforce_node_id=true"}, ours[0])
			s.must(err)
			s.Cleanup(theirs.Stop)
			s.must(theirs.Mesh(s.within(time.Minute), n-1, ours...))
			return
		}
		p, err := shoal.DHTServe(s.ctx, filepath.Join(s.dir, fmt.Sprint("serve", i)), h, h.Port(6881), ours[:min(i, 1)]...)
		s.must(err)
		s.Cleanup(p.Kill)
		ours = append(ours, h.Port(6881))
	}
}
