package clients

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// network is the private network; its first address is the test's own.
var network = netip.MustParsePrefix("10.77.0.0/16")

// Addr returns the n-th address of the private network, with a port.
func Addr(n int, port uint16) netip.AddrPort {
	b := network.Addr().As4()
	b[2], b[3] = byte(n>>8), byte(n)
	return netip.AddrPortFrom(netip.AddrFrom4(b), port)
}

// Client is a program that speaks BitTorrent.
type Client interface {
	Name() string
	// Start runs the program on one torrent. It ends with ctx at the latest.
	Start(ctx context.Context, j Job) (Run, error)
}

// Job is what a client shall do.
type Job struct {
	Dir     string         // its own folder, for configuration, state and log
	Addr    netip.AddrPort // where it listens, and from where it connects
	Torrent *Torrent
	Data    string           // folder that holds the payload, or shall hold it
	Seed    bool             // the payload is there, and is checked
	Peers   []netip.AddrPort // peers to connect to; for clients that take them at the start
	Options []string         // more arguments (shoal, aria2) or settings "name=value" (libtorrent, transmission)
	Find    Find             // how it may find peers by itself
	Magnet  string           // the link that a leecher gets instead of the torrent file; "": that
	Host    *Host            // where it runs; nil: in the private network itself
}

// Find says how a client may find peers, besides those that it is told. The zero value
// is not at all.
type Find struct {
	DHT, PEX, LSD bool
	Nodes         []netip.AddrPort // of the DHT, to begin with
}

// nodes lists the nodes.
func (f Find) nodes(sep string) string {
	var out []string
	for _, n := range f.Nodes {
		out = append(out, n.String())
	}
	return strings.Join(out, sep)
}

// Magnet is a link with nothing but the info-hash, and peers if there are any.
func (t *Torrent) Magnet(peers ...netip.AddrPort) string {
	link := "magnet:?xt=urn:btih:" + t.InfoHash
	for _, p := range peers {
		link += "&x.pe=" + p.String()
	}
	return link
}

// Run is a client at work on its job.
type Run interface {
	// Ready returns once the client has looked at what it has, and listens.
	Ready(ctx context.Context) error
	// Dial makes the client connect to a peer, or returns ErrCannotDial.
	Dial(ctx context.Context, peer netip.AddrPort) error
	// Status asks the client how far it is.
	Status(ctx context.Context) (Status, error)
	Proc() *Proc
	// Stop ends the client at once.
	Stop()
}

// Status is what a client says about its torrent.
type Status struct {
	Done     bool  // everything wanted is there, verified by the client
	Have     int64 // verified bytes
	Down, Up int64 // payload bytes of this run
	Bans     int   // peers it has banned, where it says so
	Failed   int   // pieces that did not match their hash, where it says so
	// Ways are the manners in which it has been connected, where it says so: "tcp" or
	// "utp", and behind a space "rc4", or "plaintext" if only the handshake was encrypted.
	Ways []string
}

// ErrCannotDial says that a client takes its peers only from trackers.
var ErrCannotDial = errors.New("cannot be told to connect to a peer")

// errNotYet is what Poll last heard from a function that returned no error.
var errNotYet = errors.New("not yet")

// pollEvery is how often clients are asked for their state.
const pollEvery = 50 * time.Millisecond

// Poll calls f until it is content, fails, or ctx ends. A program that ends
// meanwhile is an error. What f last complained about is part of the error.
func Poll(ctx context.Context, p *Proc, what string, f func() (bool, error)) error {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		ok, err := f()
		if ok {
			return nil
		}
		if gone := p.Ended(); gone != nil {
			return fmt.Errorf("waiting for %s: %w", what, gone)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s of %s: %w (last: %w)\n%s", what, p.Name, ctx.Err(), cmp.Or(err, errNotYet), p.Tail())
		case <-t.C:
		}
	}
}

// WaitDone waits until a run has everything.
func WaitDone(ctx context.Context, r Run) error {
	var last Status
	err := Poll(ctx, r.Proc(), "completion", func() (bool, error) {
		s, err := r.Status(ctx)
		last = s
		return err == nil && s.Done, err
	})
	if err != nil {
		return fmt.Errorf("%w\nlast status: %+v", err, last)
	}
	return nil
}

// listening reports whether something accepts connections at a.
func listening(a netip.AddrPort) bool {
	c, err := net.DialTimeout("tcp", a.String(), time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// answers reports whether the job's client answers a handshake: some say that they
// work on a torrent a second before they stop to turn peers away.
func answers(j Job) bool {
	c, err := net.DialTimeout("tcp", j.Addr.String(), time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	if c.SetDeadline(time.Now().Add(time.Second)) != nil {
		return false
	}
	hash := j.Torrent.infoHash()
	if _, err := c.Write(slices.Concat([]byte(protocol), make([]byte, 8), hash, []byte("-XX0000-probeprobe00"))); err != nil {
		return false
	}
	var hello [68]byte
	_, err = io.ReadFull(c, hello[:])
	return err == nil && bytes.Equal(hello[28:48], hash)
}

// Missing names the programs of a list that are not installed.
func Missing(programs ...string) []string {
	var out []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			out = append(out, p)
		}
	}
	return out
}
