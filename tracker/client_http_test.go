package tracker_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shoal-bt/shoal/tracker"
)

// say writes a whole answer.
func say(w io.Writer, status int, header, body string) {
	fmt.Fprintf(w, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s", status, len(body), header, body)
}

const good = "d8:completei3e10:incompletei4e8:intervali1800e5:peers6:\x01\x02\x03\x04\x1a\xe1e"

func TestHTTPAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.host("t.example", "5.5.5.5")
		var agent, cookie, query string
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) {
			agent, cookie, query = r.UserAgent(), r.Header.Get("Cookie"), r.URL.RawQuery
			say(w, 200, "Set-Cookie: a=b\r\n", good)
		})
		a := ask(t, n, tracker.ClientConfig{UserAgent: "shoal/9"})
		for range 3 {
			r := a.get("http://t.example/announce")
			if r.Err != nil || r.Seeds != 3 || r.Leechers != 4 || r.Interval != half || len(r.Peers) != 1 || r.Addr != netip.MustParseAddr("5.5.5.5") {
				t.Errorf("%+v", r)
			}
		}
		if agent != "shoal/9" || cookie != "" || !strings.HasPrefix(query, "info_hash=%01%02%03%00") {
			t.Errorf("agent %q, cookie %q, query %q", agent, cookie, query)
		}
		if len(n.dials) != 1 {
			t.Errorf("connections are not reused: %v", n.dials)
		}
	})
}

func TestHTTPScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		var path string
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) {
			path = r.URL.Path
			say(w, 200, "", "d5:filesd20:"+string(hash.V1[:])+"d8:completei1e10:downloadedi2e10:incompletei3eeee")
		})
		a := ask(t, n, tracker.ClientConfig{})
		scrape := func(r *tracker.Request) { r.Scrape = true }
		if r := a.get("http://5.5.5.5/announce", scrape); r.Err != nil || r.Seeds != 1 || r.Finished != 2 || r.Leechers != 3 || path != "/scrape" {
			t.Errorf("%+v at %s", r, path)
		}
		a.wantErr(a.get("http://5.5.5.5/other", scrape), "5.5.5.5: this tracker cannot be scraped")
	})
}

// T1, T6 and others: what a hostile or broken server can do, and how soon it ends.
func TestHTTPBadServers(t *testing.T) {
	bomb := gzipped(t, 100<<20)
	for _, c := range []struct {
		name  string
		serve func(c net.Conn)
		err   string
		after time.Duration
	}{
		{"never answers", func(c net.Conn) { io.Copy(io.Discard, c) }, "no answer within 30s", 30 * time.Second},
		{"never reads", func(c net.Conn) { time.Sleep(time.Minute) }, "no answer within 30s", 30 * time.Second},
		{"a byte a second", func(c net.Conn) {
			readRequest(c)
			for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100)) {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}, "no answer within 30s", 30 * time.Second},
		{"a byte a second of body", func(c net.Conn) {
			readRequest(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
			for range 100 {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{'x'}); err != nil {
					return
				}
			}
		}, "no answer within 30s", 30 * time.Second},
		{"closes", func(c net.Conn) { readRequest(c) }, "EOF", 0},
		{"breaks off", func(c net.Conn) {
			readRequest(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:in")
		}, "answer broke off: unexpected EOF", 0},
		{"gzip bomb", func(c net.Conn) {
			readRequest(c)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb), bomb)
		}, "answer of more than 1048576 bytes", 0},
		{"endless body", func(c net.Conn) {
			readRequest(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				if _, err := fmt.Fprintf(c, "1000\r\n%s\r\n", strings.Repeat("x", 4096)); err != nil {
					return
				}
			}
		}, "answer of more than 1048576 bytes", 0},
		{"endless header", func(c net.Conn) {
			readRequest(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		}, "broken HTTP answer: server response headers exceeded 65536 bytes; aborted", 0},
		{"not HTTP", func(c net.Conn) { readRequest(c); fmt.Fprint(c, "SSH-2.0-OpenSSH\r\n\r\n") }, `broken HTTP answer: malformed HTTP response "SSH-2.0-OpenSSH"`, 0},
		{"an HTML page", func(c net.Conn) { readRequest(c); say(c, 503, "", "<html>busy</html>") }, "answered with an HTML page, status 503", 0},
		{"no content", func(c net.Conn) { readRequest(c); fmt.Fprint(c, "HTTP/1.1 204 X\r\n\r\n") }, "answered with an empty body, status 204", 0},
		{"a refusal", func(c net.Conn) { readRequest(c); say(c, 200, "", "d14:failure reason2:noe") }, "tracker refused: no", 0},
		{"a redirect to itself", func(c net.Conn) {
			for readRequest(c) == nil {
				say(c, 302, "Location: /again\r\n", "")
			}
		}, "more than 5 redirects", 0},
		{"a redirect to a file", func(c net.Conn) { readRequest(c); say(c, 302, "Location: file:///etc/passwd\r\n", "") }, `redirect to the scheme "file" refused`, 0},
		{"a redirect to nowhere", func(c net.Conn) { readRequest(c); say(c, 302, "", "") }, "answered with an empty body, status 302", 0},
		{"a redirect to UDP", func(c net.Conn) { readRequest(c); say(c, 302, "Location: udp://x:1\r\n", "") }, `redirect to the scheme "udp" refused`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newFakeNet()
				n.raw("5.5.5.5:80", c.serve)
				a := ask(t, n, tracker.ClientConfig{})
				begin := time.Now()
				r := a.get("http://5.5.5.5/announce?secret=1")
				a.wantErr(r, "5.5.5.5: "+c.err)
				if d := time.Since(begin); d != c.after {
					t.Errorf("it took %v, want %v", d, c.after)
				}
				a.client.Close()
				time.Sleep(2 * time.Minute) // the server comes to its end
			})
		})
	}
}

// readRequest reads a request's header.
func readRequest(c net.Conn) error {
	var got []byte
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		if got = append(got, b[:n]...); bytes.HasSuffix(got, []byte("\r\n\r\n")) {
			return nil
		}
	}
}

func gzipped(t *testing.T, n int) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= len(zeros) {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	return b.Bytes()
}

func TestHTTPGzip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, good)
			z.Close()
			say(w, 200, "Content-Encoding: gzip\r\n", b.String())
		})
		if r := ask(t, n, tracker.ClientConfig{}).get("http://5.5.5.5/announce"); r.Err != nil || r.Seeds != 3 {
			t.Errorf("%+v", r)
		}
	})
}

func TestHTTPUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ask(t, newFakeNet(), tracker.ClientConfig{})
		a.wantErr(a.get("http://nowhere.example/announce"), `nowhere.example: host name "nowhere.example" not found`)
		a.wantErr(a.get("udp://nowhere.example:80/announce"), `nowhere.example:80: host name "nowhere.example" not found`)
		a.wantErr(a.get("http://5.5.5.5:81/announce"), "5.5.5.5:81: dial tcp 5.5.5.5:81: connection refused")
		a.wantErr(a.get("ftp://5.5.5.5/announce"), `tracker URL of scheme "ftp": only http, https and udp are known`)
	})
}

// BEP 31 has "retry in"; HTTP has Retry-After.
func TestHTTPRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		header := "Retry-After: 120\r\n"
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) { say(w, 503, header, "") })
		a := ask(t, n, tracker.ClientConfig{})
		if r := a.get("http://5.5.5.5/announce"); r.RetryIn != 2*time.Minute {
			t.Errorf("retry in %v", r.RetryIn)
		}
		for _, header = range []string{"Retry-After: soon\r\n", "Retry-After: -4\r\n", "Retry-After: 99999999999999\r\n"} {
			if r := a.get("http://5.5.5.5/announce"); r.RetryIn != 0 && r.RetryIn != tracker.MaxInterval {
				t.Errorf("%s gives %v", header, r.RetryIn)
			}
		}
	})
}

// Each hop of a redirect goes through the factory, with the origin it deserves, and
// learns nothing of the hop before.
func TestHTTPRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.host("public.example", "5.5.5.5")
		to, referer := "", "none"
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) { say(w, 302, "Location: "+to+"\r\n", "") })
		answer := func(w net.Conn, r *http.Request) {
			referer = r.Referer()
			say(w, 200, "", good)
		}
		n.serve("6.6.6.6:80", answer)
		n.serve("10.0.0.1:80", func(w net.Conn, r *http.Request) { say(w, 302, "Location: "+to+"\r\n", "") })
		n.serve("10.0.0.2:80", answer)
		n.serve("127.0.0.1:80", answer)
		a := ask(t, n, tracker.ClientConfig{})

		to = "http://6.6.6.6/x?y=1"
		if r := a.get("http://public.example/passkey/announce"); r.Err != nil || r.Addr.String() != "6.6.6.6" || referer != "" {
			t.Errorf("%v, referer %q", r.Err, referer)
		}
		// A public tracker points into the local net: the factory is told so.
		to = "http://10.0.0.2/"
		a.get("http://public.example/announce", func(r *tracker.Request) { r.Origin = tracker.FromUser })
		// A local one may point at its neighbour.
		a.get("http://10.0.0.1/announce", func(r *tracker.Request) { r.Origin = tracker.FromUser })
		want := []string{
			"tcp 5.5.5.5:80 0", "tcp 6.6.6.6:80 2",
			"tcp 5.5.5.5:80 1", "tcp 10.0.0.2:80 2",
			"tcp 10.0.0.1:80 1", "tcp 10.0.0.2:80 1",
		}
		if !slices.Equal(n.dials, want) {
			t.Errorf("dials %q, want %q", n.dials, want)
		}
		// However it is named, this machine gets nothing but announces.
		to = "http://127.0.0.1/shutdown"
		a.wantErr(a.get("http://10.0.0.1/announce"), "10.0.0.1: refused: a tracker on this machine needs a path that begins with /announce, and no query")
	})
}

// A torrent's tracker on this machine: announces only (reliability of local services).
func TestHTTPLoopback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		hits := 0
		for _, at := range []string{"127.0.0.1:80", "[::1]:80"} {
			n.serve(at, func(w net.Conn, r *http.Request) { hits++; say(w, 200, "", good) })
		}
		n.host("rebound.example", "127.0.0.1")
		a := ask(t, n, tracker.ClientConfig{})
		const refused = "refused: a tracker on this machine needs a path that begins with /announce, and no query"
		a.get("http://127.0.0.1/announce") // leaves a connection that must not be reused below
		for _, u := range []string{"127.0.0.1/", "127.0.0.1/api/delete", "[::1]/x/announce", "rebound.example/announce?cmd=1"} {
			host, _, _ := strings.Cut(u, "/")
			a.wantErr(a.get("http://"+u), host+": "+refused)
		}
		if hits != 1 {
			t.Errorf("%d requests came through", hits)
		}
		if r := a.get("http://127.0.0.1/api", func(r *tracker.Request) { r.Origin = tracker.FromUser }); r.Err != nil {
			t.Errorf("a user's own tracker: %v", r.Err)
		}
	})
}

func TestHTTPFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.host("both.example", "5.5.5.5", "2a00::5")
		n.host("old.example", "5.5.5.5")
		for _, at := range []string{"5.5.5.5:80", "[2a00::5]:80"} {
			n.serve(at, func(w net.Conn, r *http.Request) { say(w, 200, "", good) })
		}
		a := ask(t, n, tracker.ClientConfig{})
		by := func(f tracker.Family) func(*tracker.Request) { return func(r *tracker.Request) { r.Family = f } }
		for f, want := range map[tracker.Family]string{tracker.IPv4: "5.5.5.5", tracker.IPv6: "2a00::5"} {
			if r := a.get("http://both.example/announce", by(f)); r.Err != nil || r.Addr.String() != want {
				t.Errorf("%v %v, want %s", r.Addr, r.Err, want)
			}
		}
		a.wantErr(a.get("http://old.example/announce", by(tracker.IPv6)), "old.example: no address of this family")
		if !slices.Contains(n.dials, "tcp4 5.5.5.5:80 0") || !slices.Contains(n.dials, "tcp6 [2a00::5]:80 0") || len(n.dials) != 2 {
			t.Errorf("dials %q", n.dials)
		}
	})
}

// One address of a tracker is down, the next one answers.
func TestHTTPSecondAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.host("two.example", "5.5.5.4", "5.5.5.5")
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) { say(w, 200, "", good) })
		r := ask(t, n, tracker.ClientConfig{}).get("http://two.example/announce", func(r *tracker.Request) { r.Family = tracker.IPv4 })
		if r.Err != nil || r.Addr.String() != "5.5.5.5" {
			t.Errorf("%+v", r)
		}
	})
}

// certificate makes a self-signed one.
func certificate(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.Add(-time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// bufferedConn has room for what nobody has read yet, as sockets have and pipes
// have not.
type bufferedConn struct {
	net.Conn
	out  chan []byte
	done chan struct{}
}

func buffered(c net.Conn) *bufferedConn {
	b := &bufferedConn{c, make(chan []byte, 100), make(chan struct{})}
	go func() {
		for p := range b.out {
			_, _ = c.Write(p)
		}
		close(b.done)
	}()
	return b
}

func (b *bufferedConn) Write(p []byte) (int, error) {
	b.out <- slices.Clone(p)
	return len(p), nil
}

// SetWriteDeadline does nothing: crypto/tls ends writing with one.
func (b *bufferedConn) SetWriteDeadline(time.Time) error { return nil }

func (b *bufferedConn) Close() error {
	close(b.out)
	<-b.done
	return nil
}

func TestHTTPS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := certificate(t, "t.example", time.Now().Add(time.Hour))
		old := certificate(t, "old.example", time.Now().Add(-time.Hour))
		n := newFakeNet()
		n.host("t.example", "5.5.5.5")
		n.host("old.example", "5.5.5.6")
		n.host("wrong.example", "5.5.5.5")
		n.host("plain.example", "5.5.5.7")
		secure := func(at string, cert tls.Certificate) {
			n.raw(at, func(c net.Conn) {
				s := tls.Server(buffered(c), &tls.Config{Certificates: []tls.Certificate{cert}})
				if readRequest(s) == nil {
					say(s, 302, "Location: http://plain.example/\r\n", "")
				}
				s.Close()
			})
		}
		secure("5.5.5.5:443", ok)
		secure("5.5.5.6:443", old)
		roots := x509.NewCertPool()
		roots.AddCert(ok.Leaf)
		roots.AddCert(old.Leaf)
		a := ask(t, n, tracker.ClientConfig{TLS: &tls.Config{RootCAs: roots}})
		a.wantErr(a.get("https://t.example/announce"), "t.example: redirect from https to http refused")
		for u, want := range map[string]string{
			"https://old.example/announce":   "certificate has expired or is not yet valid",
			"https://wrong.example/announce": "certificate is valid for t.example, not wrong.example",
		} {
			if r := a.get(u); r.Err == nil || !strings.Contains(r.Err.Error(), want) {
				t.Errorf("%s: %v, want %s", u, r.Err, want)
			}
		}
		stranger := ask(t, n, tracker.ClientConfig{TLS: &tls.Config{RootCAs: x509.NewCertPool()}})
		if r := stranger.get("https://t.example/announce"); r.Err == nil || !strings.Contains(r.Err.Error(), "certificate signed by unknown authority") {
			t.Errorf("%v", r.Err)
		}
		for _, d := range n.dials {
			if strings.Contains(d, "5.5.5.7") || strings.Contains(d, ":80") {
				t.Errorf("fell back to plain text: %s", d)
			}
		}
	})
}

// At most two requests at a time to one host, and all are answered.
func TestHTTPPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) { time.Sleep(time.Second); say(w, 200, "", good) })
		a := ask(t, n, tracker.ClientConfig{})
		var all []<-chan tracker.Response
		begin := time.Now()
		for range 20 {
			all = append(all, a.begin("http://5.5.5.5/announce"))
		}
		for _, got := range all {
			if r := <-got; r.Err != nil {
				t.Error(r.Err)
			}
		}
		if d := time.Since(begin); d != 10*time.Second || n.peak != 2 {
			t.Errorf("20 requests of 1 s took %v over %d connections", d, n.peak)
		}
	})
}

// A restart with many torrents does not flood their tracker; good-byes are let through.
func TestHTTPPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		var at []time.Duration
		begin := time.Now()
		n.serve("5.5.5.5:80", func(w net.Conn, r *http.Request) {
			n.mu.Lock()
			at = append(at, time.Since(begin))
			n.mu.Unlock()
			say(w, 200, "", good)
		})
		a := ask(t, n, tracker.ClientConfig{})
		var all []<-chan tracker.Response
		for range 1000 {
			all = append(all, a.begin("http://5.5.5.5/announce", func(r *tracker.Request) { r.Event = tracker.Started }))
		}
		for range 100 {
			if r := a.get("http://5.5.5.5/announce", func(r *tracker.Request) { r.Event = tracker.Stopped }); r.Err != nil {
				t.Error(r.Err)
			}
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("100 good-byes took %v", d)
		}
		for _, got := range all {
			if r := <-got; r.Err != nil {
				t.Error(r.Err)
			}
		}
		for second := range 40 * time.Second / time.Second {
			in := 0
			for _, d := range at[100:] {
				if d/time.Second == second {
					in++
				}
			}
			if in > 50 && second > 0 {
				t.Errorf("%d requests in second %d", in, second)
			}
		}
		if d := time.Since(begin); d < 35*time.Second || d > 45*time.Second {
			t.Errorf("1000 requests took %v", d)
		}
	})
}

// A dead host with a thousand torrents costs each of them one timeout, not all.
func TestHTTPDeadHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.raw("5.5.5.5:80", func(c net.Conn) { io.Copy(io.Discard, c) })
		n.serve("6.6.6.6:80", func(w net.Conn, r *http.Request) { say(w, 200, "", good) })
		a := ask(t, n, tracker.ClientConfig{})
		var all []<-chan tracker.Response
		begin := time.Now()
		for range 1000 {
			all = append(all, a.begin("http://5.5.5.5/announce"))
		}
		if r := a.get("http://6.6.6.6/announce"); r.Err != nil || time.Since(begin) != 0 {
			t.Errorf("another host waits: %v after %v", r.Err, time.Since(begin))
		}
		for _, got := range all {
			a.wantErr(<-got, "5.5.5.5: no answer within 30s")
		}
		if d := time.Since(begin); d != 30*time.Second {
			t.Errorf("all were answered after %v", d)
		}
	})
}

// Close aborts what is under way, answers what waits, and nothing is answered twice.
func TestClientClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.raw("5.5.5.5:80", func(c net.Conn) { io.Copy(io.Discard, c) })
		n.packets = func(*fakeSocket, netip.AddrPort, []byte) {}
		a := ask(t, n, tracker.ClientConfig{})
		var all []<-chan tracker.Response
		for range 10 {
			all = append(all, a.begin("http://5.5.5.5/announce"), a.begin("udp://5.5.5.5:80"))
		}
		synctest.Wait()
		a.client.Close()
		a.client.Close()
		all = append(all, a.begin("http://5.5.5.5/announce"))
		for i, got := range all {
			if r := <-got; r.Err == nil || !strings.HasSuffix(r.Err.Error(), tracker.ErrClosed.Error()) {
				t.Errorf("request %d: %v", i, r.Err)
			}
			if len(got) > 0 {
				t.Errorf("request %d was answered twice", i)
			}
		}
	})
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		n.raw("5.5.5.5:80", func(c net.Conn) { io.Copy(io.Discard, c) })
		n.packets = func(*fakeSocket, netip.AddrPort, []byte) {}
		a := ask(t, n, tracker.ClientConfig{})
		for _, u := range []string{"http://5.5.5.5/announce", "udp://5.5.5.5:80"} {
			begin := time.Now()
			r := a.get(u, func(r *tracker.Request) { r.Timeout, r.Event = 3*time.Second, tracker.Stopped })
			if r.Err == nil || time.Since(begin) != 3*time.Second {
				t.Errorf("%s: %v after %v", u, r.Err, time.Since(begin))
			}
		}
	})
}
