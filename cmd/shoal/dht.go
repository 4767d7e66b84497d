package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// newDHT is the group of what asks the DHT, or is part of it.
func newDHT(st streams) *cobra.Command {
	return group("dht", "Ask the DHT, store in it, or run a node of it",
		newDHTPeers(st), newDHTLookup(st), newDHTNodes(st), newDHTGet(st), newDHTPut(st), newDHTSample(st), newDHTServe(st))
}

// dhtFlags are what all commands of the DHT have in common.
type dhtFlags struct {
	bootstrap []string
	listen    string
	json      bool
	timeout   span
	only4     bool
	only6     bool
	readOnly  bool
}

// register adds the flags to a command.
func (o *dhtFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.bootstrap, "bootstrap", nil, "`HOST:PORT` of a node to begin with (repeat; replaces the well-known ones)")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.BoolVarP(&o.only4, "ipv4", "4", false, "IPv4 only")
	f.BoolVarP(&o.only6, "ipv6", "6", false, "IPv6 only")
}

// registerClient adds those of a command that asks and goes again.
func (o *dhtFlags) registerClient(c *cobra.Command) {
	o.register(c)
	o.timeout = span{30 * time.Second}
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "", "send from this `HOST:PORT` (default: any free port)")
	f.Var(&o.timeout, "timeout", "give up after this long")
	f.BoolVar(&o.readOnly, "read-only", true, "don't answer the queries of others, and say so (BEP 43)")
}

// config makes a node's configuration of the flags.
func (o *dhtFlags) config() (cfg engine.DHTConfig, err error) {
	if o.only4 && o.only6 {
		return cfg, fail(exitUsage, "-4 and -6 exclude each other")
	}
	if err := checkHosts("bootstrap", o.bootstrap); err != nil {
		return cfg, err
	}
	cfg = engine.DHTConfig{Bootstrap: o.bootstrap, ReadOnly: o.readOnly}
	if o.listen != "" {
		if cfg.Listen, err = o.listenAddr(); err != nil {
			return cfg, err
		}
	}
	switch a := cfg.Listen.Addr(); {
	case a.IsValid():
	case o.only4 || !o.only6 && allOf(o.bootstrap, netip.Addr.Is4):
		cfg.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), cfg.Listen.Port())
	case o.only6 || allOf(o.bootstrap, netip.Addr.Is6):
		cfg.Listen = netip.AddrPortFrom(netip.IPv6Unspecified(), cfg.Listen.Port())
	}
	return cfg, nil
}

// listenAddr reads --listen; without a host it is all addresses of the wanted
// families.
func (o *dhtFlags) listenAddr() (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(o.listen)
	port, bad := strconv.ParseUint(service, 10, 16)
	if err != nil || bad != nil {
		return netip.AddrPort{}, fail(exitUsage, "--listen %s: want HOST:PORT", o.listen)
	}
	var a netip.Addr
	if host != "" {
		if a, err = o.hostAddr(host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	if a.IsValid() && (o.only4 && !a.Is4() || o.only6 && a.Is4()) {
		return netip.AddrPort{}, fail(exitUsage, "--listen %s is of the other family of addresses", o.listen)
	}
	return netip.AddrPortFrom(a, uint16(port)), nil
}

// hostAddr looks up a host, IPv4 first.
func (o *dhtFlags) hostAddr(host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
	}
	addrs, err := resolvePeer("--listen "+o.listen, net.JoinHostPort(host, "1"))
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Addr().Is4() != o.only6 {
			return a.Addr(), nil
		}
	}
	return addrs[0].Addr(), nil
}

// allOf reports whether hosts are all literal addresses of one family: then a node of
// the other has nobody to ask.
func allOf(hosts []string, family func(netip.Addr) bool) bool {
	for _, h := range hosts {
		hp, err := metainfo.ParseHostPort(h)
		if err != nil {
			return false
		}
		if a, err := netip.ParseAddr(hp.Host); err != nil || !family(a) {
			return false
		}
	}
	return len(hosts) > 0
}

// startTime bounds how long a node may take to open its sockets.
const startTime = 10 * time.Second

// openNode starts a node of the DHT. A port that was asked for is used or refused.
func openNode(cfg engine.DHTConfig) (*engine.DHTNode, error) {
	n, err := engine.NewDHTNode(cfg)
	if err != nil {
		return nil, fail(exitIO, "can't open a node of the DHT on %v: %w", cfg.Listen, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	addrs, err := n.Addrs(ctx)
	for _, a := range addrs {
		if want := cfg.Listen.Port(); want != 0 && a.Port() != want {
			err = fmt.Errorf("another program uses port %d", want)
		}
	}
	if err != nil {
		_ = n.Close() // err says more
		return nil, fail(exitIO, "can't listen for the DHT on %v: %w; give another --listen", listenText(cfg.Listen), err)
	}
	return n, nil
}

// listenText is an address to listen on as --listen takes it.
func listenText(a netip.AddrPort) string {
	if a.Addr().IsValid() {
		return a.String()
	}
	return fmt.Sprintf(":%d", a.Port())
}

// checkHosts refuses what is no HOST:PORT; whether the name is known shows later.
func checkHosts(flag string, hosts []string) error {
	for _, h := range hosts {
		if _, err := metainfo.ParseHostPort(h); err != nil {
			return fail(exitUsage, "--%s %s: want HOST:PORT", flag, h)
		}
	}
	return nil
}

// parseTarget reads an id of the DHT: an info-hash, the SHA-1 of an item, a node's id.
func parseTarget(s string) (dht.ID, error) {
	id, err := dht.ParseID(s)
	if err != nil {
		return id, fail(exitUsage, "%s: want 40 hexadecimal digits", short(s, 80))
	}
	return id, nil
}

// asked carries out one question: it opens a node, has it asked within --timeout, and
// says of a failure why.
func (o *dhtFlags) asked(st streams, ask func(ctx context.Context, n *engine.DHTNode) error) error {
	cfg, err := o.config()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	limited, cancel := context.WithTimeout(ctx, o.timeout.Duration)
	defer cancel()
	n, err := openNode(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }() // what was wanted of it is known
	late := time.AfterFunc(explainAfter, func() {
		if why := trouble(n.DHT); why != "" {
			fmt.Fprintln(st.err, oneLine("no answer yet: "+why))
		}
	})
	defer late.Stop()
	if err := ask(limited, n); err != nil {
		return ended(ctx, o.explained(n, err))
	}
	return nil
}

// explained is an error of the DHT with its exit code, and with what the node knows of
// the reason.
func (o *dhtFlags) explained(n *engine.DHTNode, err error) error {
	var remote *dht.RemoteError
	switch {
	case errors.Is(err, dht.ErrNotFound):
		return fail(exitNotFound, "dht: no node has the item; nodes forget one after two hours, and a mutable one with a salt is found with --salt only")
	case errors.As(err, &remote) && (remote.Code == codeCAS || remote.Code == codeOlder):
		return &exitError{exitExists, err}
	case errors.Is(err, dht.ErrNoNodes), errors.Is(err, dht.ErrTimeout), errors.Is(err, dht.ErrNotStored):
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no answer within %v", o.timeout.Duration)
	default:
		return err
	}
	if why := trouble(n.DHT); why != "" {
		err = fmt.Errorf("%w: %s", err, why)
	}
	return &exitError{exitNoPeers, err}
}

// trouble is why a node has found no others, as far as it knows; "" if it has.
func trouble(n engine.DHT) string {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	all, err := n.Stats(ctx)
	if err != nil {
		return err.Error()
	}
	var said []string
	for i := range all {
		if all[i].Good > 0 {
			return ""
		}
		if why := all[i].LastError; why != "" && !slices.Contains(said, why) {
			said = append(said, why)
		}
	}
	return strings.Join(said, ", ")
}

// BEP 44's errors of a put that came too late: "the CAS hash mismatched, re-read value
// and try again", "sequence number less than current".
const (
	codeCAS   = 301
	codeOlder = 302
)

// effort is what a lookup has cost, for people.
func effort(e dht.Effort) string {
	return fmt.Sprintf("asked %s, %d answered, in %.1f s", count(e.Queried, "node"), e.Replied, e.Took.Seconds())
}

// effortJSON adds what a lookup has cost.
func effortJSON(m map[string]any, e dht.Effort) map[string]any {
	m["queried"], m["replied"], m["hops"], m["seconds"] = e.Queried, e.Replied, e.Hops, e.Took.Seconds()
	return m
}

// contacts is nodes for JSON.
func contacts(list []dht.Contact) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, c := range list {
		out[i] = map[string]any{"id": c.ID.String(), "addr": c.Addr.String()}
	}
	return out
}

// contactLines is nodes for people, one a line.
func contactLines(list []dht.Contact) string {
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%v %v\n", c.ID, c.Addr)
	}
	return b.String()
}

// addrTexts is addresses as text.
func addrTexts(list []netip.AddrPort) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}
