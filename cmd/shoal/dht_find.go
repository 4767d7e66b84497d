package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/engine"
)

// newDHTPeers looks for the peers of a torrent.
func newDHTPeers(st streams) *cobra.Command {
	var o dhtFlags
	var scrape bool
	var announce int
	c := &cobra.Command{
		Use:   "get-peers SOURCE",
		Short: "Find the peers of a torrent: of its info-hash, magnet link or file",
		Args:  wants("SOURCE"),
		RunE: func(_ *cobra.Command, args []string) error {
			w, err := wantedSource(st, args[0])
			if err != nil {
				return err
			}
			if w.hash().IsZero() {
				return fail(exitUsage, "%s: this names a key, see shoal dht get", short(args[0], 80))
			}
			if announce < 0 || announce > 65535 {
				return fail(exitUsage, "--announce %d: want a port from 1 to 65535", announce)
			}
			hash, q := w.hash().Wire()[0], engine.DHTLookup{Scrape: scrape, Announce: announce > 0, Port: uint16(announce)}
			if q.Announce {
				o.readOnly = false // such a node announces nothing
			}
			return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error { return o.getPeers(ctx, st, n, hash, q) })
		},
	}
	o.registerClient(c)
	c.Flags().BoolVar(&scrape, "scrape", false, "estimate the number of seeds and leechers (BEP 33)")
	c.Flags().IntVar(&announce, "announce", 0, "say that a peer of the torrent listens here on this TCP `PORT`")
	return c
}

// getPeers prints each peer once, as it is found.
func (o *dhtFlags) getPeers(ctx context.Context, st streams, n *engine.DHTNode, hash [20]byte, q engine.DHTLookup) error {
	peers := []netip.AddrPort{}
	all, err := n.GetPeers(ctx, hash, q, func(found []netip.AddrPort) {
		peers = append(peers, found...)
		if !o.json {
			fmt.Fprintln(st.out, strings.Join(addrTexts(found), "\n"))
		}
	})
	if err != nil {
		return err
	}
	done := joinedLookups(all)
	if o.json {
		m := effortJSON(map[string]any{"infohash": hex.EncodeToString(hash[:]), "peers": addrTexts(peers),
			"nodes": contacts(done.Closest), "stored": done.Stored}, done.Effort)
		if done.Seeds >= 0 && done.Leechers >= 0 {
			m["seeds"], m["leechers"] = done.Seeds, done.Leechers
		}
		return printJSON(st, m)
	}
	said := effort(done.Effort) + ": " + count(len(peers), "peer")
	if q.Scrape && done.Seeds >= 0 && done.Leechers >= 0 {
		said += fmt.Sprintf(", about %s and %s in all", count(done.Seeds, "seed"), count(done.Leechers, "leecher"))
	}
	if q.Announce {
		said += fmt.Sprintf(", announced to %s", count(done.Stored, "node"))
	}
	fmt.Fprintln(st.err, said)
	return nil
}

// joinedLookups is what the nodes of both families have found, as one.
func joinedLookups(all []dht.LookupDone) (sum dht.LookupDone) {
	sum.Seeds, sum.Leechers = -1, -1
	for _, d := range all {
		addEffort(&sum.Effort, d.Effort)
		sum.Closest = append(sum.Closest, d.Closest...)
		sum.Stored += d.Stored
		sum.Seeds, sum.Leechers = max(sum.Seeds, d.Seeds), max(sum.Leechers, d.Leechers)
	}
	return sum
}

// closest finds the nodes closest to a target, of each family.
func closest(ctx context.Context, n *engine.DHTNode, target dht.ID) (nodes []dht.Contact, cost dht.Effort, err error) {
	all, err := n.Lookup(ctx, target)
	for _, f := range all {
		addEffort(&cost, f.Effort)
		nodes = append(nodes, f.Nodes...)
	}
	return nodes, cost, err
}

func addEffort(sum *dht.Effort, e dht.Effort) {
	sum.Queried, sum.Replied, sum.Lied = sum.Queried+e.Queried, sum.Replied+e.Replied, sum.Lied+e.Lied
	sum.Hops, sum.Took = max(sum.Hops, e.Hops), max(sum.Took, e.Took)
}

// newDHTLookup finds the nodes closest to a target.
func newDHTLookup(st streams) *cobra.Command {
	var o dhtFlags
	c := &cobra.Command{
		Use:   "lookup TARGET",
		Short: "Find the live nodes closest to an id, and print their ids and addresses",
		Args:  wants("TARGET"),
		RunE: func(_ *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error {
				nodes, cost, err := closest(ctx, n, target)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(st, effortJSON(map[string]any{"target": target.String(), "nodes": contacts(nodes)}, cost))
				}
				fmt.Fprintln(st.err, effort(cost))
				_, err = fmt.Fprint(st.out, contactLines(nodes))
				return err
			})
		},
	}
	o.registerClient(c)
	return c
}

// newDHTNodes finds its way into the network and prints whom it met.
func newDHTNodes(st streams) *cobra.Command {
	var o dhtFlags
	c := &cobra.Command{
		Use:   "nodes",
		Short: "Join the network and print the nodes that answered, and what they see of us",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error {
				if err := join(ctx, n); err != nil {
					return err
				}
				return o.printTables(ctx, st, n)
			})
		},
	}
	o.registerClient(c)
	return c
}

// join waits until the nodes know whom there is around their own ids: what is known
// when the first has answered is hardly more than that one.
func join(ctx context.Context, n *engine.DHTNode) error {
	if err := n.Ready(ctx); err != nil {
		return err
	}
	stats, err := n.Stats(ctx)
	if err != nil {
		return err
	}
	for _, s := range stats {
		if _, _, err := closest(ctx, n, s.Self); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// printTables prints the routing tables, the closest nodes first.
func (o *dhtFlags) printTables(ctx context.Context, st streams, n *engine.DHTNode) error {
	stats, err := n.Stats(ctx)
	if err != nil {
		return err
	}
	tables, err := n.Nodes(ctx)
	if err != nil {
		return err
	}
	if o.json {
		for i, t := range tables {
			m := statsJSON(&stats[i])
			m["nodes"] = tableJSON(t)
			if err := printJSON(st, m); err != nil {
				return err
			}
		}
		return nil
	}
	for i, t := range tables {
		fmt.Fprintln(st.err, statsLine(&stats[i]))
		for _, v := range nodesOf(t) {
			fmt.Fprintf(st.out, "%v %v %s\n", v.Contact.ID, v.Contact.Addr, nodeText(v))
		}
	}
	return nil
}

// nodesOf is all nodes of a table, the closest to us first.
func nodesOf(t dht.TableView) (list []dht.NodeView) {
	for _, b := range t.Buckets {
		list = append(list, b.Nodes...)
	}
	slices.SortStableFunc(list, func(a, b dht.NodeView) int {
		return cmp.Or(dht.Compare(t.Self, a.Contact.ID, b.Contact.ID), a.Contact.Addr.Compare(b.Contact.Addr))
	})
	return list
}

func nodeText(v dht.NodeView) string {
	said := []string{"questionable"}
	if v.Good {
		said[0] = "good"
	}
	if v.RTT > 0 {
		said = append(said, fmt.Sprintf("%.0f ms", float64(v.RTT)/float64(time.Millisecond)))
	}
	if v.Secure {
		said = append(said, "secure")
	}
	return strings.Join(said, " ")
}

func tableJSON(t dht.TableView) []map[string]any {
	list := []map[string]any{}
	for _, v := range nodesOf(t) {
		list = append(list, map[string]any{"id": v.Contact.ID.String(), "addr": v.Contact.Addr.String(),
			"good": v.Good, "secure": v.Secure, "fails": v.Fails, "rtt_ms": float64(v.RTT.Microseconds()) / 1000})
	}
	return list
}

// statsJSON is a node's numbers.
func statsJSON(s *dht.Stats) map[string]any {
	m := map[string]any{
		"id": s.Self.String(), "external": nil, "read_only": s.ReadOnly, "bootstrapped": s.Bootstrapped,
		"good": s.Good, "questionable": s.Questionable, "replacements": s.Replacements, "buckets": s.Buckets,
		"torrents": s.Torrents, "peers": s.Peers, "items": s.Items, "lookups": s.Lookups, "in_flight": s.InFlight,
		"bytes_in": s.BytesIn, "bytes_out": s.BytesOut, "queries_in": s.QueriesIn, "queries_out": s.QueriesOut,
		"replies_in": s.RepliesIn, "replies_out": s.RepliesOut, "errors_in": s.ErrorsIn, "errors_out": s.ErrorsOut,
		"timeouts": s.Timeouts, "dropped": s.Dropped,
	}
	if s.External.IsValid() {
		m["external"] = s.External.String()
	}
	if s.LastError != "" {
		m["trouble"] = s.LastError
	}
	return m
}

// statsLine is a node's numbers in one line.
func statsLine(s *dht.Stats) string {
	said := []string{s.Self.String()}
	if s.External.IsValid() {
		said = append(said, "seen as "+s.External.String())
	}
	said = append(said, fmt.Sprintf("nodes: %d good, %d questionable, %d spare", s.Good, s.Questionable, s.Replacements))
	if !s.ReadOnly {
		said = append(said, fmt.Sprintf("stored: %s, %s, %s", count(s.Torrents, "torrent"), count(s.Peers, "peer"), count(s.Items, "item")))
	}
	said = append(said, fmt.Sprintf("queries: %d in, %d out", s.QueriesIn, s.QueriesOut),
		fmt.Sprintf("%s in, %s out", size(s.BytesIn), size(s.BytesOut)))
	if s.LastError != "" {
		said = append(said, s.LastError)
	}
	return oneLine(strings.Join(said, "; "))
}

// newDHTSample asks nodes for info-hashes that they have stored.
func newDHTSample(st streams) *cobra.Command {
	var o dhtFlags
	c := &cobra.Command{
		Use:   "sample HOST:PORT-or-TARGET",
		Short: "Ask a node, or those closest to an id, for a sample of its info-hashes (BEP 51)",
		Args:  wants("HOST:PORT-or-TARGET"),
		RunE: func(_ *cobra.Command, args []string) error {
			var addrs []netip.AddrPort
			target, err := parseTarget(args[0])
			if err != nil {
				if addrs, err = resolvePeer(args[0], args[0]); err != nil {
					return err
				}
			}
			return o.asked(st, func(ctx context.Context, n *engine.DHTNode) error { return o.sample(ctx, st, n, addrs, target) })
		},
	}
	o.registerClient(c)
	return c
}

// sample asks one address of a node, or all nodes close to target, and prints each
// info-hash once.
func (o *dhtFlags) sample(ctx context.Context, st streams, n *engine.DHTNode, addrs []netip.AddrPort, target dht.ID) error {
	if len(addrs) == 0 {
		nodes, _, err := closest(ctx, n, target)
		if err != nil {
			return err
		}
		for _, c := range nodes {
			addrs = append(addrs, c.Addr)
		}
	} else {
		addrs = addrs[:1]
	}
	told := map[[20]byte]bool{}
	var last error
	answered := 0
	for _, a := range addrs {
		s, err := n.Sample(ctx, a, target)
		if err != nil {
			last = fmt.Errorf("%v: %w", a, err)
			continue
		}
		answered++
		if err := o.printSample(st, &s, told); err != nil {
			return err
		}
	}
	if answered == 0 {
		return last
	}
	return nil
}

func (o *dhtFlags) printSample(st streams, s *dht.Sampled, told map[[20]byte]bool) error {
	if o.json {
		hashes := make([]string, len(s.Hashes))
		for i, h := range s.Hashes {
			hashes[i] = hex.EncodeToString(h[:])
		}
		return printJSON(st, map[string]any{"addr": s.Node.Addr.String(), "id": s.Node.ID.String(), "samples": hashes,
			"num": s.Num, "interval": int64(s.Interval / time.Second), "nodes": contacts(s.Nodes)})
	}
	for _, h := range s.Hashes {
		if !told[h] {
			told[h] = true
			fmt.Fprintln(st.out, hex.EncodeToString(h[:]))
		}
	}
	fmt.Fprintf(st.err, "%v: %d of its %d info-hashes; ask it again in %v\n", s.Node.Addr, len(s.Hashes), s.Num, s.Interval)
	return nil
}
