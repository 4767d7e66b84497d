package transport

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// server answers requests at 127.0.0.1 and counts them.
func server(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func get(o Origin, url string) (body string, err error) {
	resp, err := NewNet(NetConfig{}).HTTPClient(o).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// What may be asked of a server on this machine depends on who named the URL.
func TestHTTPOrigins(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	for _, c := range []struct {
		origin Origin
		path   string
		err    string
	}{
		{FromUser, "/any", ""},
		{FromLocal, "/any", ""},
		{FromTorrent, "/announce?x=1", ""},
		{FromTorrent, "/announce.php", ""},
		{FromTorrent, "/scrape", ""},
		{FromTorrent, "/transmission/rpc", "a local service, and no tracker's path"},
		{FromTorrent, "/", "a local service, and no tracker's path"},
		{FromTracker, "/announce", "loopback address, named by a public tracker"},
		{FromPeer, "/announce", "loopback address, named by a peer"},
	} {
		body, err := get(c.origin, s.URL+c.path)
		switch {
		case c.err == "" && (err != nil || body != "here"):
			t.Errorf("%v asks for %s: %q, %v", c.origin, c.path, body, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%v asks for %s: %v, want %q", c.origin, c.path, err, c.err)
		}
	}
}

// A name is judged by the address that it leads to, not by how it looks.
func TestHTTPNamesAreResolvedFirst(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	_, err := get(FromTracker, "http://localhost:"+port+"/announce")
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v", err)
	}
}

func TestHTTPRedirects(t *testing.T) {
	var s *httptest.Server
	s = server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		case "/good":
			http.Redirect(w, r, s.URL+"/end", http.StatusFound)
		case "/announce/inside":
			http.Redirect(w, r, s.URL+"/rpc", http.StatusFound)
		}
		io.WriteString(w, "end")
	})
	for _, c := range []struct {
		origin    Origin
		path, err string
	}{
		{FromUser, "/loop", "more than 5 redirects"},
		{FromUser, "/file", `redirect to a "file" URL`},
		{FromUser, "/metadata", "cloud metadata address, named by a local tracker or peer"},
		{FromUser, "/good", ""},
		// The tracker is on this machine: what it names there is its business.
		{FromTorrent, "/announce/inside", ""},
	} {
		body, err := get(c.origin, s.URL+c.path)
		switch {
		case c.err == "" && (err != nil || body != "end"):
			t.Errorf("%s: %q, %v", c.path, body, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: %v, want %q", c.path, err, c.err)
		}
	}
}

// The machine of this test has no public server to be redirected by: the hop's own
// decision is tested in its place.
func TestHTTPRedirectByAPublicServerNamesNothingLocal(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, r *http.Request) {})
	from, _ := http.NewRequest("GET", "http://tracker.example/announce", nil)
	next, _ := http.NewRequest("GET", s.URL+"/announce", nil)
	next.Response = &http.Response{Request: from}
	_, err := NewNet(NetConfig{}).HTTPClient(FromUser).Transport.RoundTrip(next)
	if err == nil || !strings.Contains(err.Error(), "loopback address, named by a public tracker") {
		t.Errorf("got %v", err)
	}
}

func TestHTTPNoDowngrade(t *testing.T) {
	secure, _ := http.NewRequest("GET", "https://tracker.example/announce", nil)
	plain, _ := http.NewRequest("GET", "http://tracker.example/announce", nil)
	if err := checkRedirect(plain, []*http.Request{secure}); err == nil {
		t.Error("https to http must be refused")
	}
	if err := checkRedirect(secure, []*http.Request{plain}); err != nil {
		t.Error(err)
	}
}

func TestResolveFilters(t *testing.T) {
	n := NewNet(NetConfig{})
	got, err := n.Resolve(t.Context(), "ip4", "127.0.0.1:6969", FromUser)
	if err != nil || len(got) != 1 || got[0] != netip.MustParseAddrPort("127.0.0.1:6969") {
		t.Errorf("got %v, %v", got, err)
	}
	for addr, want := range map[string]string{
		"127.0.0.1:6969":  "loopback address, named by a peer",
		"8.8.8.8:0":       "port 0",
		"127.0.0.1":       "missing port",
		"127.0.0.1:99999": "value out of range",
	} {
		if _, err := n.Resolve(t.Context(), "ip4", addr, FromPeer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}
