package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker"
)

func newPeers(st streams) *cobra.Command {
	var trackers []string
	timeout := span{15 * time.Second}
	var port int
	var asJSON bool
	c := &cobra.Command{
		Use:   "peers SOURCE",
		Short: "Ask the trackers for peers and print them",
		Args:  wants("SOURCE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkTrackers("tracker", trackers); err != nil {
				return err
			}
			w, err := wantedBy(st, args[0])
			if err != nil {
				return err
			}
			w.trackers = append(w.trackers, trackers...)
			if len(w.trackers) == 0 {
				return fail(exitNoPeers, "%s names no tracker; give one with --tracker", w.name)
			}
			return printPeers(st, w, uint16(port), timeout.Duration, asJSON)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.Var(&timeout, "timeout", "wait this long for each tracker")
	f.IntVar(&port, "port", engine.DefaultPort, "the `PORT` to announce")
	f.BoolVar(&asJSON, "json", false, "one JSON object for each tracker")
	return c
}

// probed is what a probe needs to know of a torrent.
type probed struct {
	name     string
	hash     metainfo.Hash
	size     int64 // in bytes, -1 if not known
	pieces   int32 // 0 if not known
	trackers []string
}

// wantedBy takes a torrent file, magnet link or info-hash: a probe needs no metadata.
func wantedBy(st streams, source string) (probed, error) {
	if isMagnet(source) || isHash(source) {
		m, err := metainfo.ParseLink(source)
		if err != nil {
			return probed{}, err
		}
		return probed{name: m.Hash.String(), hash: m.Hash, size: -1, trackers: slices.Concat(m.Trackers...)}, nil
	}
	t, err := loadSource(st, source)
	if err != nil {
		return probed{}, err
	}
	return probed{t.Name, t.Hash, t.Size(), t.Lengths.Pieces(), slices.Concat(t.Trackers...)}, nil
}

// printPeers prints each peer once on stdout, and what failed on stderr.
func printPeers(st streams, w probed, port uint16, timeout time.Duration, asJSON bool) error {
	ctx, stop := interruptible()
	defer stop()
	answers := engine.AskTrackers(ctx, w.hash, w.trackers, w.size, port, timeout)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var peers []string
	var errs []error
	for _, a := range answers {
		if asJSON {
			if err := printJSON(st, trackerJSON(&a)); err != nil {
				return err
			}
		}
		if a.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", tracker.Redact(a.URL), a.Err))
			continue
		}
		for _, p := range a.Peers {
			if s := p.String(); !slices.Contains(peers, s) {
				peers = append(peers, s)
			}
		}
	}
	if !asJSON && len(peers) > 0 {
		if _, err := fmt.Fprintln(st.out, strings.Join(peers, "\n")); err != nil {
			return err
		}
	}
	if len(errs) == len(answers) {
		return &exitError{exitNoPeers, joined(errs)}
	}
	for _, err := range errs {
		complain(st, err)
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
	for _, k := range []string{"peer_id", "client", "flags", "reserved", "extensions", "reqq", "pieces", "rtt_ms"} {
		if v, ok := m[k]; ok {
			fmt.Fprintf(st.out, "%-11s %s\n", k, printable(fmt.Sprint(v)))
		}
	}
	fmt.Fprintf(st.out, "%-11s %s\n", "id", printable(string(s.Handshake.PeerID[:8])))
	return nil
}
