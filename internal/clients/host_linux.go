package clients

import (
	"bytes"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
)

// Host is a network of its own for programs, on one segment with other hosts: what
// multicast and addresses that look like the world's need.
type Host struct {
	name  string
	Addrs []netip.Addr
}

// Segment is an Ethernet between hosts and the test itself.
type Segment struct {
	bridge string
	mu     sync.Mutex
	hosts  int
}

var (
	segments  atomic.Int64
	hostNames sync.Once
	hostsErr  error
)

// NewSegment makes a segment on which the test itself has an address. Networks that
// shall be reached through it, besides those of its hosts' own, are routed to it.
func NewSegment(own netip.Prefix, networks ...netip.Prefix) (*Segment, error) {
	// Names of networks go with this program's mount table.
	hostNames.Do(func() { hostsErr = MountTmpfs("/run/netns", 1<<20) })
	if hostsErr != nil {
		return nil, hostsErr
	}
	s := &Segment{bridge: fmt.Sprintf("br%d", segments.Add(1))}
	lines := []string{
		"link add " + s.bridge + " type bridge mcast_snooping 0",
		"link set " + s.bridge + " up",
		"addr add " + own.String() + " dev " + s.bridge + noDAD(own.Addr()),
	}
	for _, n := range networks {
		lines = append(lines, "route add "+n.String()+" dev "+s.bridge)
	}
	return s, ip("", lines...)
}

// noDAD lets an IPv6 address be used at once.
func noDAD(a netip.Addr) string {
	if a.Is6() {
		return " nodad"
	}
	return ""
}

// Host adds a host with these addresses. Its default route is the segment, so that
// addresses may be of any network.
func (s *Segment) Host(addrs ...netip.Prefix) (*Host, error) {
	s.mu.Lock()
	s.hosts++
	h := &Host{name: fmt.Sprintf("%s-h%d", s.bridge, s.hosts)}
	port := fmt.Sprintf("%sv%d", s.bridge, s.hosts)
	s.mu.Unlock()
	if err := ip("", "netns add "+h.name, "link add "+port+" type veth peer name eth0 netns "+h.name,
		"link set "+port+" master "+s.bridge+" up"); err != nil {
		return nil, err
	}
	lines := []string{"link set lo up", "link set eth0 up"}
	v4, v6 := false, false
	for _, a := range addrs {
		h.Addrs = append(h.Addrs, a.Addr())
		lines = append(lines, "addr add "+a.String()+" dev eth0"+noDAD(a.Addr()))
		v4, v6 = v4 || a.Addr().Is4(), v6 || a.Addr().Is6()
	}
	if v4 {
		lines = append(lines, "route add default dev eth0")
	}
	if v6 {
		lines = append(lines, "-6 route add default dev eth0")
	}
	return h, ip(h.name, lines...)
}

// Port is the host's first address with a port.
func (h *Host) Port(port uint16) netip.AddrPort { return netip.AddrPortFrom(h.Addrs[0], port) }

// wrap makes a command run on the host.
func (h *Host) wrap(args []string) []string {
	return append([]string{"ip", "netns", "exec", h.name}, args...)
}

// ip runs commands of ip(8), on a host or in the private network itself.
func ip(host string, lines ...string) error {
	for _, line := range lines {
		args := strings.Fields(line)
		if host != "" {
			args = append([]string{"-n", host}, args...)
		}
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	return nil
}
