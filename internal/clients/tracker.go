package clients

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// OpenTracker starts opentracker at addr, HTTP and UDP, for the given info-hashes in
// hex: Debian builds it with a whitelist.
func OpenTracker(ctx context.Context, dir string, addr netip.AddrPort, infohashes ...string) (*Proc, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "whitelist")
	if err := os.WriteFile(list, []byte(strings.Join(infohashes, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	port := addr.String()[strings.LastIndex(addr.String(), ":")+1:]
	p, err := start(ctx, command{name: "opentracker", dir: dir,
		args: []string{"opentracker", "-i", addr.Addr().String(), "-p", port, "-P", port, "-d", dir, "-w", "whitelist"}})
	if err != nil {
		return nil, err
	}
	err = Poll(ctx, p, "port", func() (bool, error) { return listening(addr), nil })
	if err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}
