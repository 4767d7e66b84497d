package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
	"github.com/shoal-bt/shoal/wire"
)

// peersFlags are the flags of peers.
type peersFlags struct {
	trackers   []string
	noTrackers bool
	noDHT      bool
	bootstrap  []string
	timeout    span
	port       int
	json       bool
}

func newPeers(st streams) *cobra.Command {
	o := peersFlags{timeout: span{15 * time.Second}}
	c := &cobra.Command{
		Use:   "peers SOURCE",
		Short: "Ask the trackers, and for a link the DHT, for peers and print them",
		Long: `Ask the trackers of a torrent for peers and print each once. The DHT is asked as well
for a link or an info-hash, and for a torrent without any tracker that is not private.`,
		Args: wants("SOURCE"),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(st, args[0]) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.BoolVar(&o.noTrackers, "no-trackers", false, "ask no tracker")
	f.BoolVar(&o.noDHT, "no-dht", false, "don't ask the DHT")
	f.StringArrayVar(&o.bootstrap, "dht-bootstrap", nil, "`HOST:PORT` of a node of the DHT to begin with (repeat; replaces the well-known ones)")
	f.Var(&o.timeout, "timeout", "wait this long for each tracker, and for the DHT")
	f.IntVar(&o.port, "port", engine.DefaultPort, "the `PORT` to announce to trackers")
	f.BoolVar(&o.json, "json", false, "one JSON object for each tracker, and one for the DHT")
	return c
}

// probed is what a probe needs to know of a torrent.
type probed struct {
	name     string
	hash     metainfo.Hash
	size     int64 // in bytes, -1 if not known
	pieces   int32 // 0 if not known
	trackers []string
	link     bool // of which no more is known
	private  bool
}

// wantedBy takes a torrent file, magnet link or info-hash: a probe needs no metadata.
func wantedBy(st streams, source string) (probed, error) {
	w, err := wantedSource(st, source)
	switch {
	case err != nil:
		return probed{}, err
	case w.hash().IsZero():
		return probed{}, fail(exitUsage, "%s: the link names a torrent that changes; shoal dht get tells what it is now", short(source, 80))
	case w.torrent == nil:
		return probed{name: w.name(), hash: w.hash(), size: -1, trackers: slices.Concat(w.link.Trackers...), link: true}, nil
	}
	t := w.torrent
	return probed{t.Name, t.Hash, t.Size(), t.Lengths.Pieces(), slices.Concat(t.Trackers...), false, t.Private}, nil
}

// run carries out the command.
func (o *peersFlags) run(st streams, source string) error {
	if err := checkTrackers("tracker", o.trackers); err != nil {
		return err
	}
	if err := checkHosts("dht-bootstrap", o.bootstrap); err != nil {
		return err
	}
	w, err := wantedBy(st, source)
	if err != nil {
		return err
	}
	if w.private && len(o.bootstrap) > 0 {
		return fail(exitUsage, "%s is private: the DHT must not be asked for it", w.name)
	}
	w.trackers = append(w.trackers, o.trackers...)
	if o.noTrackers {
		w.trackers = nil
	}
	asksDHT := (w.link || len(w.trackers) == 0 || len(o.bootstrap) > 0) && !w.private && !o.noDHT
	if len(w.trackers) == 0 && !asksDHT {
		return fail(exitNoPeers, "%s names no tracker; give one with --tracker", w.name)
	}
	ctx, stop := interruptible()
	defer stop()
	found := make(chan dhtPeers, 1)
	if asksDHT {
		go func() { found <- o.askDHT(ctx, w.hash) }()
	}
	p := peerPrinter{st: st, json: o.json}
	for _, a := range engine.AskTrackers(ctx, w.hash, w.trackers, w.size, uint16(o.port), o.timeout.Duration) {
		if err := p.tracker(&a); err != nil {
			return err
		}
	}
	if asksDHT {
		if err := p.dht(<-found); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.end()
}

// dhtPeers is what the DHT knows of a torrent.
type dhtPeers struct {
	peers []netip.AddrPort
	done  dht.LookupDone
	err   error
}

// askDHT looks for a torrent's peers.
func (o *peersFlags) askDHT(ctx context.Context, hash metainfo.Hash) (p dhtPeers) {
	limited, cancel := context.WithTimeout(ctx, o.timeout.Duration)
	defer cancel()
	f := dhtFlags{bootstrap: o.bootstrap, timeout: o.timeout, readOnly: true}
	cfg, err := f.config()
	if err != nil {
		return dhtPeers{err: err}
	}
	n, err := openNode(cfg)
	if err != nil {
		return dhtPeers{err: err}
	}
	defer func() { _ = n.Close() }() // what was wanted of it is known
	all, err := n.GetPeers(limited, hash.Wire()[0], engine.DHTLookup{}, func(found []netip.AddrPort) { p.peers = append(p.peers, found...) })
	if p.done = joinedLookups(all); err != nil {
		p.err = f.explained(n, err)
	}
	return p
}

// peerPrinter prints each peer once on stdout, and what failed on stderr.
type peerPrinter struct {
	st       streams
	json     bool
	peers    []netip.AddrPort
	asked    int
	trackers bool // are among them
	errs     []error
}

func (p *peerPrinter) tracker(a *engine.TrackerAnswer) error {
	p.trackers = true
	return p.add(a.Peers, a.Err, tracker.Redact(a.URL), trackerJSON(a))
}

func (p *peerPrinter) dht(a dhtPeers) error {
	m := effortJSON(map[string]any{"source": "dht", "peers": addrTexts(a.peers)}, a.done.Effort)
	if a.err != nil {
		m["error"] = oneLine(a.err.Error())
	}
	return p.add(a.peers, a.err, "DHT", m)
}

// add takes one answer; m is what of it is printed as JSON.
func (p *peerPrinter) add(peers []netip.AddrPort, bad error, name string, m map[string]any) error {
	p.asked++
	if p.json {
		if err := printJSON(p.st, m); err != nil {
			return err
		}
	}
	if bad != nil {
		p.errs = append(p.errs, fmt.Errorf("%s: %w", name, bad))
		return nil
	}
	for _, a := range peers {
		if slices.Contains(p.peers, a) {
			continue
		}
		p.peers = append(p.peers, a)
		if !p.json {
			if _, err := fmt.Fprintln(p.st.out, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// end is an error if nobody has answered.
func (p *peerPrinter) end() error {
	if len(p.errs) == p.asked {
		if p.asked == 1 && !p.trackers {
			p.errs = append(p.errs, errors.New("no tracker to ask; give one with --tracker"))
		}
		return &exitError{exitNoPeers, joined(p.errs)}
	}
	for _, err := range p.errs {
		complain(p.st, err)
	}
	return nil
}

// joined makes one line of several errors.
func joined(errs []error) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

func trackerJSON(a *engine.TrackerAnswer) map[string]any {
	m := map[string]any{"url": a.URL, "seeds": a.Seeds, "leechers": a.Leechers, "interval": int64(a.Interval / time.Second)}
	peers := make([]string, len(a.Peers))
	for i, p := range a.Peers {
		peers[i] = p.String()
	}
	m["peers"] = peers
	if a.Err != nil {
		m["error"] = oneLine(a.Err.Error())
	}
	if a.Warning != "" {
		m["warning"] = a.Warning
	}
	return m
}

func newHandshake(st streams) *cobra.Command {
	timeout := span{15 * time.Second}
	var asJSON bool
	c := &cobra.Command{
		Use:   "handshake SOURCE HOST:PORT",
		Short: "Shake hands with one peer and print what it says of itself",
		Args:  wants("SOURCE", "HOST:PORT"),
		RunE: func(_ *cobra.Command, args []string) error {
			w, err := wantedBy(st, args[0])
			if err != nil {
				return err
			}
			if _, err := resolvePeer(args[1], args[1]); err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			limited, cancel := context.WithTimeout(ctx, timeout.Duration)
			defer cancel()
			s, err := engine.Handshake(limited, w.hash, w.pieces, args[1])
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return &exitError{exitNoPeers, err}
			}
			return printShaken(st, s, asJSON)
		},
	}
	c.Flags().Var(&timeout, "timeout", "give up after this long")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printShaken(st streams, s *engine.Shaken, asJSON bool) error {
	m := map[string]any{"peer_id": hex.EncodeToString(s.Handshake.PeerID[:]), "reserved": fmt.Sprintf("%016x", uint64(s.Handshake.Reserved)),
		"infohash": hex.EncodeToString(s.Handshake.InfoHash[:]),
		"flags":    s.Handshake.Reserved.String(), "rtt_ms": float64(s.RTT.Microseconds()) / 1000}
	if s.Pieces >= 0 {
		m["pieces"] = s.Pieces
	}
	if s.Pieces >= 0 || s.All {
		m["complete"] = s.All
	}
	if s.Extended != nil {
		m["client"], m["reqq"] = s.Extended.V, s.Extended.Reqq
		ext := map[string]int{}
		for _, e := range s.Extended.M {
			ext[e.Name] = int(e.ID)
		}
		m["extensions"] = ext
	}
	if asJSON {
		return printJSON(st, m)
	}
	if s.Extended != nil {
		m["extensions"] = extensionNames(s.Extended)
	}
	for _, k := range []string{"peer_id", "client", "flags", "reserved", "extensions", "reqq", "pieces", "complete", "rtt_ms"} {
		if v, ok := m[k]; ok {
			fmt.Fprintf(st.out, "%-11s %s\n", k, printable(fmt.Sprint(v)))
		}
	}
	fmt.Fprintf(st.out, "%-11s %s\n", "id", printable(string(s.Handshake.PeerID[:8])))
	return nil
}

// extensionNames is what a peer's extensions are called, each with its number.
func extensionNames(h *wire.ExtHandshake) string {
	var said []string
	for _, e := range h.M {
		said = append(said, fmt.Sprintf("%s=%d", e.Name, e.ID))
	}
	slices.Sort(said)
	return strings.Join(said, " ")
}
