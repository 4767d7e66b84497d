package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/tracker/server"
)

// direct is a tracker.Network without a policy.
type direct struct{ dialer net.Dialer }

func (d *direct) Dial(ctx context.Context, network, addr string, _ tracker.Origin) (net.Conn, error) {
	return d.dialer.DialContext(ctx, network, addr)
}

func (*direct) ListenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, network, ":0")
}

func (*direct) Resolve(ctx context.Context, host string, _ tracker.Origin) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// start runs a tracker on loopback for the length of a test.
func start(t *testing.T, addr string, cfg server.Config) *server.Server {
	t.Helper()
	s, err := server.Listen(t.Context(), addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// swarm asks a tracker in the name of many peers, with our own client.
type swarm struct {
	t      *testing.T
	client *tracker.LiveClient
	url    string
}

func newSwarm(t *testing.T, url string) *swarm {
	c := tracker.NewLiveClient(tracker.ClientConfig{Network: &direct{}, UDP: 5 * time.Second})
	t.Cleanup(c.Close)
	return &swarm{t, c, url}
}

var hash = metainfo.Hash{V1: [20]byte{0, 1, '%', '&', 255, ' ', '+', '=', '~'}, HasV1: true}

// ask announces peer n, at port 7000+n.
func (s *swarm) ask(n byte, left int64, ev tracker.Event) tracker.Response {
	s.t.Helper()
	return s.do(tracker.Request{
		InfoHash: hash, PeerID: [20]byte{'p', n}, Port: 7000 + uint16(n), Key: uint32(n) + 1, Event: ev,
		Facts: tracker.Facts{Left: left, Wanted: 50},
	})
}

func (s *swarm) do(r tracker.Request) tracker.Response {
	s.t.Helper()
	got := make(chan tracker.Response, 1)
	r.URL, r.Origin = s.url, tracker.FromUser
	r.Reply = actor.FuncRef(func(a tracker.Response) { got <- a })
	s.client.Do(r)
	return <-got
}

func ports(r tracker.Response) (out []int) {
	for _, p := range r.Peers {
		out = append(out, int(p.Port())-7000)
	}
	slices.Sort(out)
	return out
}

// want checks whom an answer names, and its counts.
func (s *swarm) want(r tracker.Response, seeds, leechers int32, peers ...int) {
	s.t.Helper()
	if r.Err != nil {
		s.t.Fatal(r.Err)
	}
	if r.Seeds != seeds || r.Leechers != leechers || !slices.Equal(ports(r), peers) {
		s.t.Errorf("%d seeds, %d leechers, peers %v; want %d, %d, %v", r.Seeds, r.Leechers, ports(r), seeds, leechers, peers)
	}
}

// life is a swarm's life as one tracker sees it, by any protocol.
func life(t *testing.T, url string) {
	s := newSwarm(t, url)
	s.want(s.ask(1, 100, tracker.Started), 0, 1)
	s.want(s.ask(2, 100, tracker.Started), 0, 2, 1)
	s.want(s.ask(3, 0, tracker.Started), 1, 2, 1, 2)
	s.want(s.ask(4, 0, tracker.Started), 2, 2, 1, 2) // seeds are not given to seeds
	s.want(s.ask(1, 50, tracker.None), 2, 2, 2, 3, 4)
	s.want(s.ask(1, 0, tracker.Completed), 3, 1, 2)
	s.want(s.ask(1, 0, tracker.Completed), 3, 1, 2)
	s.want(s.ask(3, 0, tracker.Stopped), 2, 1)
	s.want(s.ask(2, 100, tracker.None), 2, 1, 1, 4)
	r := s.do(tracker.Request{InfoHash: hash, Scrape: true})
	if r.Err != nil || r.Seeds != 2 || r.Leechers != 1 || r.Finished != 1 {
		t.Errorf("scraped %d %d %d, %v; want 2 1 1", r.Seeds, r.Leechers, r.Finished, r.Err)
	}
}

func TestLife(t *testing.T) {
	for _, scheme := range []string{"http", "udp"} {
		for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(scheme+host, func(t *testing.T) {
				t.Parallel()
				s := start(t, host, server.Config{})
				life(t, scheme+"://"+s.Addr().String()+"/announce")
				st := s.Stats()
				if st.Torrents != 1 || st.Seeds != 2 || st.Leechers != 1 || st.Announces != 9 || st.Scrapes != 1 {
					t.Errorf("stats %+v", st)
				}
			})
		}
	}
}

// A client that begins with a magnet link may say that nothing is left of what it
// knows nothing of, and needs the seeds; one that goes on seeding does not.
func TestLinkAmongSeeds(t *testing.T) {
	for _, scheme := range []string{"http", "udp"} {
		w := newSwarm(t, scheme+"://"+start(t, "127.0.0.1:0", server.Config{}).Addr().String()+"/announce")
		w.want(w.ask(1, 0, tracker.Started), 1, 0)
		w.want(w.ask(2, 0, tracker.Started), 2, 0, 1)
		w.want(w.ask(2, 0, tracker.None), 2, 0)
		w.want(w.ask(3, 100, tracker.Started), 2, 1, 1, 2)
		w.want(w.ask(4, 0, tracker.Started), 3, 1, 3)
	}
}

// BEP 7: a peer at two addresses with one key is one peer, and is told to others by
// both.
func TestTwoFamilies(t *testing.T) {
	s := start(t, ":0", server.Config{})
	port := s.Addr().Port()
	for _, scheme := range []string{"http", "udp"} {
		by4 := newSwarm(t, scheme+"://"+netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()+"/announce")
		by6 := newSwarm(t, scheme+"://"+netip.AddrPortFrom(netip.MustParseAddr("::1"), port).String()+"/announce")
		by4.want(by4.ask(1, 100, tracker.Started), 0, 1)
		by6.want(by6.ask(1, 100, tracker.Started), 0, 1)
		r := by4.ask(2, 100, tracker.Started)
		if scheme == "http" {
			by4.want(r, 0, 2, 1, 1)
		} else {
			by4.want(r, 0, 2, 1) // UDP answers in the family of the question
		}
		by4.want(by4.ask(1, 100, tracker.Stopped), 0, 2)
		r = by6.ask(3, 100, tracker.Started)
		if !slices.Contains(r.Peers, netip.MustParseAddrPort("[::1]:7001")) {
			t.Errorf("%s: the peer's other address is lost: %v", scheme, r.Peers)
		}
		by6.want(by6.ask(1, 100, tracker.Stopped), 0, 2)
		by4.ask(2, 100, tracker.Stopped)
		by6.ask(3, 100, tracker.Stopped)
	}
}

func TestIntervals(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{Interval: 90 * time.Second, MinInterval: 20 * time.Second})
	base := s.Addr().String()
	r := newSwarm(t, "http://"+base+"/announce").ask(1, 1, tracker.Started)
	if r.Interval != 90*time.Second || r.MinInterval != 20*time.Second {
		t.Errorf("http: %v and %v", r.Interval, r.MinInterval)
	}
	if r.ExternalIP != netip.MustParseAddr("127.0.0.1") { // BEP 24
		t.Errorf("external ip %v", r.ExternalIP)
	}
	if r.Addr != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the tracker is said to be at %v", r.Addr)
	}
	if r := newSwarm(t, "udp://"+base).ask(1, 1, tracker.Started); r.Interval != 90*time.Second {
		t.Errorf("udp: %v", r.Interval)
	}
}

func TestAllow(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{Allow: func(h [20]byte) bool { return h == [20]byte{1} }})
	for _, url := range []string{"http://" + s.Addr().String() + "/announce", "udp://" + s.Addr().String()} {
		r := newSwarm(t, url).ask(1, 1, tracker.Started)
		var refused *tracker.Failure
		if !errors.As(r.Err, &refused) || refused.Reason != "torrent not registered with this tracker" {
			t.Errorf("%s: %v", url, r.Err)
		}
		if strings.HasPrefix(url, "http") && r.RetryIn >= 0 {
			t.Errorf("retry in %v, want never", r.RetryIn)
		}
	}
	if st := s.Stats(); st.Refused != 2 || st.Torrents != 0 {
		t.Errorf("stats %+v", st)
	}
}

// A client that was killed comes back with another peer id at the same address.
func TestReborn(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{})
	w := newSwarm(t, "http://"+s.Addr().String()+"/announce")
	w.ask(1, 100, tracker.Started)
	r := w.do(tracker.Request{InfoHash: hash, PeerID: [20]byte{'q'}, Port: 7001, Key: 99, Facts: tracker.Facts{Left: 5, Wanted: 9}})
	w.want(r, 0, 1)
}

// Who has seen a peer's id cannot sign it off or move it elsewhere.
func TestNoTakeover(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{})
	w := newSwarm(t, "http://"+s.Addr().String()+"/announce")
	w.ask(1, 100, tracker.Started)
	forged := tracker.Request{InfoHash: hash, PeerID: [20]byte{'p', 1}, Port: 7005, Key: 12345, Event: tracker.Stopped}
	w.do(forged)
	w.want(w.ask(2, 100, tracker.Started), 0, 2, 1)
	forged.Event, forged.Facts.Left = tracker.Started, 7
	w.do(forged)
	w.want(w.ask(2, 100, tracker.None), 0, 3, 1, 5)
}

func TestNumwant(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{})
	for _, scheme := range []string{"http", "udp"} {
		w := newSwarm(t, scheme+"://"+s.Addr().String()+"/announce")
		for n := range byte(40) {
			w.ask(n, 1, tracker.Started)
		}
		seen := map[int]bool{}
		for range 50 {
			r := w.do(tracker.Request{InfoHash: hash, PeerID: [20]byte{'p', 1}, Port: 7001, Key: 2, Facts: tracker.Facts{Left: 1, Wanted: 5}})
			got := ports(r)
			if len(got) != 5 || len(slices.Compact(got)) != 5 {
				t.Fatalf("%s: asked for 5 peers, got %v", scheme, ports(r))
			}
			for _, p := range got {
				seen[p] = true
			}
		}
		// 250 draws of 39 peers: one is missed with a probability of 0.06.
		if len(seen) < 35 || seen[1] {
			t.Errorf("%s: 250 draws gave %d of 39 peers; ourselves: %v", scheme, len(seen), seen[1])
		}
	}
}

// get asks by raw HTTP.
func get(t *testing.T, s *server.Server, query string) (status int, body string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get("http://" + s.Addr().String() + query)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

const rawHash = "info_hash=%01%23Eg%89%ab%cd%ef%01%23Eg%89%AB%CD%EF%01%23Eg"

// The bytes on the wire, for a client of another mother.
func TestRawHTTP(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{TrustAddresses: true})
	announce := func(id, more string) string {
		return "/x/announce?" + rawHash + "&peer_id=" + id + "&port=6881&uploaded=0&downloaded=0&left=1" + more
	}
	const head = "d8:completei%de10:downloadedi0e11:external ip4:\x7f\x00\x00\x0110:incompletei%de8:intervali1800e12:min intervali300e5:peers"
	full := func(seeds, leechers byte) string {
		return strings.Replace(strings.Replace(head, "%d", string('0'+seeds), 1), "%d", string('0'+leechers), 1)
	}
	for _, c := range []struct{ name, query, want string }{
		{"compact", announce("aaaaaaaaaaaaaaaaaaaa", ""), full(0, 1) + "0:6:peers60:e"},
		{"compact peers", announce("bbbbbbbbbbbbbbbbbbbb", "&ip=192.0.2.7"), full(0, 2) + "6:\x7f\x00\x00\x01\x1a\xe16:peers60:e"},
		{"dictionaries", announce("cccccccccccccccccccc", "&ip=192.0.2.8&compact=0&numwant=1&event=stopped"), full(0, 2) + "lee"},
		{"stop", announce("bbbbbbbbbbbbbbbbbbbb", "&ip=192.0.2.7&event=stopped"), full(0, 1) + "0:6:peers60:e"},
		{"peers6", announce("dddddddddddddddddddd", "&ip=192.0.2.9&ipv6=2001:db8::1"), full(0, 2) + "6:\x7f\x00\x00\x01\x1a\xe16:peers60:e"},
		{"no want", announce("aaaaaaaaaaaaaaaaaaaa", "&numwant=0"), full(0, 2) + "0:6:peers60:e"},
		{"stop 4", announce("dddddddddddddddddddd", "&ip=192.0.2.9&event=stopped"), full(0, 2) + "0:6:peers60:e"},
		{"see 6", announce("aaaaaaaaaaaaaaaaaaaa", ""), full(0, 2) + "0:6:peers618: \x01\r\xb8" + strings.Repeat("\x00", 11) + "\x01\x1a\xe1e"},
		{"dictionary 6", announce("aaaaaaaaaaaaaaaaaaaa", "&compact=0"), full(0, 2) + "ld2:ip11:2001:db8::17:peer id20:dddddddddddddddddddd4:porti6881eeee"},
		{"no peer id", announce("aaaaaaaaaaaaaaaaaaaa", "&compact=0&no_peer_id=1"), full(0, 2) + "ld2:ip11:2001:db8::14:porti6881eeee"},
		{"scrape", "/x/scrape?" + rawHash + "&info_hash=01234567890123456789", "d5:filesd20:\x01#Eg\x89\xab\xcd\xef\x01#Eg\x89\xab\xcd\xef\x01#Egd8:completei0e10:downloadedi0e10:incompletei2eee5:flagsd20:min_request_intervali300eee"},
	} {
		if status, body := get(t, s, c.query); status != 200 || body != c.want {
			t.Errorf("%s: %d\n%q\nwant\n%q", c.name, status, body, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{MaxSwarms: 1})
	ok := "/announce?" + rawHash + "&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1"
	for _, c := range []struct{ query, want string }{
		{"/announce", "info_hash is missing or not 20 bytes"},
		{"/announce?info_hash=123", "info_hash is missing or not 20 bytes"},
		{"/announce?" + rawHash, "peer_id is missing or not 20 bytes"},
		{"/announce?" + rawHash + "&peer_id=aaaaaaaaaaaaaaaaaaaa", "port is missing or not 1..65535"},
		{"/announce?" + rawHash + "&peer_id=aaaaaaaaaaaaaaaaaaaa&port=70000", "port is missing or not 1..65535"},
		{"/announce?" + rawHash + "&peer_id=aaaaaaaaaaaaaaaaaaaa&port=x", "port is not a number"},
		{ok + "&numwant=99999999999999999999", "numwant is not a number"},
		{"/announce?info_hash=%2&x=%zz", "broken % escape in the query"},
		{"/scrape", "info_hash is missing or not 20 bytes"},
		{"/scrape?info_hash=1", "info_hash is missing or not 20 bytes"},
		{"/scrape?" + strings.Repeat(rawHash+"&", 75), "a scrape is of at most 74 torrents"},
	} {
		if status, body := get(t, s, c.query); status != 200 || !strings.Contains(body, "14:failure reason") || !strings.Contains(body, c.want) {
			t.Errorf("%.60s: %d %q, want %q", c.query, status, body, c.want)
		}
	}
	for query, want := range map[string]int{"/": 404, "/announce/x": 404, "/stats": 200, "/announce?" + strings.Repeat("x", 20000): 431} {
		if status, _ := get(t, s, query); status != want {
			t.Errorf("%.40s: status %d, want %d", query, status, want)
		}
	}
	// One torrent of 256 shards: each shard takes one, so that the cap is soft.
	full := 0
	for i := range 600 {
		_, body := get(t, s, "/announce?peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1&info_hash=0123456789012345"+strings.ToUpper(string([]byte{'a' + byte(i/100), 'a' + byte(i/10%10), 'a' + byte(i%10), 'x'})))
		if strings.Contains(body, "as many torrents as it can") && strings.Contains(body, "8:retry ini30e") {
			full++
		}
	}
	if full < 344 {
		t.Errorf("%d of 600 torrents were refused", full)
	}
}

func TestFullSwarm(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{MaxPeers: 2})
	w := newSwarm(t, "http://"+s.Addr().String()+"/announce")
	w.ask(1, 1, tracker.Started)
	w.ask(2, 1, tracker.Started)
	w.want(w.ask(3, 1, tracker.Started), 0, 2, 1, 2) // it gets peers, but is not listed
	w.want(w.ask(1, 1, tracker.None), 0, 2, 2)
}

// talkUDP sends raw packets and reads their answers.
type talkUDP struct {
	t    *testing.T
	conn net.Conn
}

func dialUDP(t *testing.T, s *server.Server) *talkUDP {
	c, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &talkUDP{t, c}
}

func (k *talkUDP) ask(p []byte) []byte {
	k.t.Helper()
	if _, err := k.conn.Write(p); err != nil {
		k.t.Fatal(err)
	}
	return k.read()
}

func (k *talkUDP) read() []byte {
	k.t.Helper()
	buf := make([]byte, 4096)
	_ = k.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := k.conn.Read(buf)
	if err != nil {
		k.t.Fatal(err)
	}
	return buf[:n]
}

func TestRawUDP(t *testing.T) {
	s := start(t, "127.0.0.1:0", server.Config{})
	k := dialUDP(t, s)
	got := k.ask([]byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd"))
	if len(got) != 16 || string(got[:8]) != "\x00\x00\x00\x00abcd" {
		t.Fatalf("connect: %q", got)
	}
	id := string(got[8:])
	announce := func(id, peer string, port byte, left, event byte) []byte {
		return []byte(id + "\x00\x00\x00\x01efgh" + "HHHHHHHHHHHHHHHHHHHH" + peer + strings.Repeat("\x00", 15) + string([]byte{left}) +
			strings.Repeat("\x00", 8) + "\x00\x00\x00" + string([]byte{event}) + "\x00\x00\x00\x00" + "\x00\x00\x00" + peer[:1] + "\xff\xff\xff\xff\x1a" + string([]byte{port}))
	}
	for _, c := range []struct {
		name, want string
		ask        []byte
	}{
		{"first", "\x00\x00\x00\x01efgh\x00\x00\x07\x08\x00\x00\x00\x01\x00\x00\x00\x00", announce(id, "aaaaaaaaaaaaaaaaaaaa", 1, 1, 2)},
		{"second", "\x00\x00\x00\x01efgh\x00\x00\x07\x08\x00\x00\x00\x01\x00\x00\x00\x01\x7f\x00\x00\x01\x1a\x01", announce(id, "bbbbbbbbbbbbbbbbbbbb", 2, 0, 2)},
		{"BEP 41", "\x00\x00\x00\x01efgh\x00\x00\x07\x08\x00\x00\x00\x01\x00\x00\x00\x01\x7f\x00\x00\x01\x1a\x02", append(announce(id, "aaaaaaaaaaaaaaaaaaaa", 1, 1, 0), "\x02\x05/path\x00"...)},
		{"scrape", "\x00\x00\x00\x02ijkl\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x00", 12), []byte(id + "\x00\x00\x00\x02ijklHHHHHHHHHHHHHHHHHHHHZZZZZZZZZZZZZZZZZZZZ")},
		{"bad id", "\x00\x00\x00\x03efghconnection id is not valid", announce("01234567", "aaaaaaaaaaaaaaaaaaaa", 1, 1, 2)},
		{"no port", "\x00\x00\x00\x03efghport 0", append(announce(id, "cccccccccccccccccccc", 1, 1, 2)[:96], 0, 0)},
		{"short", "\x00\x00\x00\x03efghmalformed request", announce(id, "aaaaaaaaaaaaaaaaaaaa", 1, 1, 2)[:97]},
		{"no hashes", "\x00\x00\x00\x03ijkla scrape is of 1 to 74 torrents", []byte(id + "\x00\x00\x00\x02ijkl")},
		{"unknown action", "\x00\x00\x00\x03ijklmalformed request", []byte(id + "\x00\x00\x00\x09ijkl")},
		{"stopped", "\x00\x00\x00\x01efgh\x00\x00\x07\x08\x00\x00\x00\x00\x00\x00\x00\x01", announce(id, "aaaaaaaaaaaaaaaaaaaa", 1, 1, 3)},
	} {
		if got := k.ask(c.ask); string(got) != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
	// Packets that are nobody's are met with silence: the next answer is to the
	// connect that follows them.
	for _, p := range []string{"", "x", "\x00\x00\x04\x17\x27\x10\x19\x81\x00\x00\x00\x00abcd", "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abc"} {
		_, _ = k.conn.Write([]byte(p))
	}
	if got := k.ask([]byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00last")); string(got[4:8]) != "last" {
		t.Errorf("an answer to nonsense: %q", got)
	}
	// Another address cannot use the id.
	other := dialFrom(t, s, "127.0.0.2")
	if other != nil {
		if got := other.ask(announce(id, "aaaaaaaaaaaaaaaaaaaa", 1, 1, 2)); binary.BigEndian.Uint32(got) != 3 {
			t.Errorf("a stolen connection id works: %q", got)
		}
	}
}

// dialFrom asks from another loopback address, where the system has any.
func dialFrom(t *testing.T, s *server.Server, ip string) *talkUDP {
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)}, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Logf("no address %s here: %v", ip, err)
		return nil
	}
	t.Cleanup(func() { c.Close() })
	return &talkUDP{t, c}
}

func TestListenErrors(t *testing.T) {
	if _, err := server.Listen(t.Context(), "nonsense", server.Config{}); err == nil {
		t.Error("listens on nonsense")
	}
	if _, err := server.Listen(t.Context(), "127.0.0.1:0", server.Config{NoHTTP: true, NoUDP: true}); err == nil {
		t.Error("listens on nothing")
	}
	s := start(t, "127.0.0.1:0", server.Config{})
	if _, err := server.Listen(t.Context(), s.Addr().String(), server.Config{}); err == nil {
		t.Error("listens on a port that is taken")
	}
	if _, err := server.Listen(t.Context(), s.Addr().String(), server.Config{NoHTTP: true}); err == nil {
		t.Error("listens on a UDP port that is taken")
	}
	u := start(t, "127.0.0.1:0", server.Config{NoHTTP: true})
	newSwarm(t, "udp://"+u.Addr().String()).ask(1, 1, tracker.Started)
	h := start(t, "127.0.0.1:0", server.Config{NoUDP: true})
	w := newSwarm(t, "http://"+h.Addr().String()+"/announce")
	w.want(w.ask(1, 1, tracker.Started), 0, 1)
}

// The tracker ends with its context, and frees its port.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.Listen(ctx, "127.0.0.1:0", server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s.Close()
	s.Close()
	again, err := server.Listen(context.Background(), s.Addr().String(), server.Config{})
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
