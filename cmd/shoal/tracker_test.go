package main

import (
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The tracker says where it is, serves HTTP and UDP there, and ends by a signal.
func TestTrackerCommand(t *testing.T) {
	t.Parallel()
	p := start(t, "tracker", "--listen", "127.0.0.1:0", "--json", "--interval", "5m")
	e := p.await(t, func(e event) bool { return e.name() == "listening" })
	var urls []string
	for _, u := range e["announce"].([]any) {
		urls = append(urls, u.(string))
	}
	if len(urls) != 2 || urls[0] != "http://"+e.text("addr")+"/announce" || urls[1] != "udp://"+e.text("addr")+"/announce" {
		t.Fatalf("announce: %q", urls)
	}
	s := newSwarm(t, options{files: payload{"x": 100_000}, idle: true})
	for _, u := range urls {
		seed := start(t, "seed", s.file, "--data", s.data, "--port", "0", "--bind", "127.0.0.1", "--tracker", u, "--json")
		seed.await(t, func(e event) bool { return e.name() == "tracker" && e["state"] == "working" })
		addr := last(t, events(t, seed.out.String()), "listening").text("addr")
		out := t.TempDir()
		shoal("download", s.file, "-o", out, "--port", "0", "--bind", "127.0.0.1", "--tracker", u).want(t, 0)
		same(t, out, s.data)
		if o := shoal("peers", s.file, "--tracker", u).want(t, 0); !strings.Contains(o.out, addr) {
			t.Errorf("%s knows %q, not %s", u, o.out, addr)
		}
		if err := seed.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		seed.end(t).want(t, 130)
		// It has said "stopped".
		if o := shoal("peers", s.file, "--tracker", u).want(t, 0); strings.Contains(o.out, addr) {
			t.Errorf("%s knows one that has stopped: %q", u, o.out)
		}
	}
	shoal("tracker", "--listen", e.text("addr")).want(t, 5).complains(t, e.text("addr"))
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.end(t).want(t, 143).complains(t, "SIGTERM")
}

func TestTrackerPrintsItsURLs(t *testing.T) {
	t.Parallel()
	c := command(t, "tracker", "--listen", "127.0.0.1:0")
	p := startCommand(t, c)
	waitFor(t, func() bool { return strings.Count(p.out.String(), "\n") == 2 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(p.end(t).want(t, 130).out, "\n")
	if !strings.HasPrefix(lines[0], "http://127.0.0.1:") || !strings.HasPrefix(lines[1], "udp://127.0.0.1:") || !strings.HasSuffix(lines[0], "/announce") {
		t.Errorf("stdout: %q", lines)
	}
	for a, want := range map[string]string{"[::]:80": "localhost:80", "0.0.0.0:80": "localhost:80", "[::1]:80": "[::1]:80", "1.2.3.4:80": "1.2.3.4:80"} {
		if got := reachable(netip.MustParseAddrPort(a)); got != want {
			t.Errorf("%s: %s", a, got)
		}
	}
}
