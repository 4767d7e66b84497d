package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

func newPeers(st streams) *cobra.Command {
	var trackers []string
	var timeout time.Duration
	var port int
	var asJSON bool
	c := &cobra.Command{
		Use:   "peers SOURCE",
		Short: "Ask the trackers for peers and print them",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadSource(st, args[0])
			if err != nil {
				return err
			}
			return printPeers(st, t, append(slices.Concat(t.Trackers...), trackers...), uint16(port), timeout, asJSON)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.DurationVar(&timeout, "timeout", 15*time.Second, "wait this long for each tracker")
	f.IntVar(&port, "port", engine.DefaultPort, "the port to announce")
	f.BoolVar(&asJSON, "json", false, "one JSON object for each tracker")
	return c
}

// printPeers prints each peer once on stdout, and what failed on stderr.
func printPeers(st streams, t *metainfo.Torrent, urls []string, port uint16, timeout time.Duration, asJSON bool) error {
	if len(urls) == 0 {
		return fail(exitNoPeers, "%s names no tracker; give one with --tracker", t.Name)
	}
	ctx, stop := interruptible()
	defer stop()
	answers := engine.AskTrackers(ctx, t.Hash, urls, t.Size(), port, timeout)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var peers []string
	var errs []error
	for _, a := range answers {
		if asJSON {
			_ = printJSON(st, trackerJSON(&a))
		}
		if a.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", a.URL, a.Err))
			continue
		}
		for _, p := range a.Peers {
			if s := p.String(); !slices.Contains(peers, s) {
				peers = append(peers, s)
			}
		}
	}
	if !asJSON {
		for _, p := range peers {
			fmt.Fprintln(st.out, p)
		}
	}
	if len(errs) == len(answers) {
		return &exitError{exitNoPeers, errors.Join(errs...)}
	}
	for _, err := range errs {
		fmt.Fprintln(st.err, "shoal: "+oneLine(err.Error()))
	}
	return nil
}

func trackerJSON(a *engine.TrackerAnswer) map[string]any {
	m := map[string]any{"url": a.URL, "seeds": a.Seeds, "leechers": a.Leechers, "interval": int64(a.Interval / time.Second)}
	peers := make([]string, len(a.Peers))
	for i, p := range a.Peers {
		peers[i] = p.String()
	}
	m["peers"] = peers
	if a.Err != nil {
		m["error"] = a.Err.Error()
	}
	if a.Warning != "" {
		m["warning"] = a.Warning
	}
	return m
}

func newHandshake(st streams) *cobra.Command {
	var timeout time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "handshake SOURCE HOST:PORT",
		Short: "Shake hands with one peer and print what it says of itself",
		Args:  cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			hash, pieces, err := hashOf(st, args[0])
			if err != nil {
				return err
			}
			if _, err := resolvePeer(args[1]); err != nil {
				return err
			}
			ctx, stop := interruptible()
			defer stop()
			limited, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			s, err := engine.Handshake(limited, hash, pieces, args[1])
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return &exitError{exitNoPeers, err}
			}
			return printShaken(st, s, asJSON)
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 15*time.Second, "give up after this long")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// hashOf takes a torrent file, magnet link or info-hash.
func hashOf(st streams, source string) (metainfo.Hash, int32, error) {
	if m, err := metainfo.ParseLink(source); err == nil {
		return m.Hash, 0, nil
	}
	t, err := loadSource(st, source)
	if err != nil {
		return metainfo.Hash{}, 0, err
	}
	return t.Hash, t.Lengths.Pieces(), nil
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

func newPiece(st streams) *cobra.Command {
	var o transferFlags
	var out string
	c := &cobra.Command{
		Use:   "piece SOURCE INDEX -o FILE",
		Short: "Fetch and verify one piece",
		Args:  cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := loadSource(st, args[0])
			if err != nil {
				return err
			}
			i, err := strconv.ParseInt(args[1], 10, 32)
			if err != nil || !t.Lengths.Valid(metainfo.PieceIndex(i)) {
				return fail(exitUsage, "piece %s: %s has pieces 0 to %d", args[1], t.Name, t.Lengths.Pieces()-1)
			}
			if out == "" {
				return fail(exitUsage, "say where the piece goes with -o FILE")
			}
			return o.piece(st, t, metainfo.PieceIndex(i), out)
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "", "`FILE` to write; - for standard output")
	f.StringArrayVar(&o.peers, "peer", nil, "`HOST:PORT` of a peer (repeat)")
	f.StringArrayVar(&o.trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.BoolVar(&o.noTrackers, "no-trackers", false, "announce to no tracker")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "give up after this long")
	return c
}

// piece fetches one piece into memory by way of a temporary folder.
func (o *transferFlags) piece(st streams, t *metainfo.Torrent, i metainfo.PieceIndex, out string) error {
	dir, err := os.MkdirTemp("", "shoal-piece-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.output, o.allocation, o.maxPeers = dir, "sparse", 200
	add, err := o.addOptions(t)
	if err != nil {
		return err
	}
	clear(add.Storage.Priority)
	ctx, stop := interruptible()
	defer stop()
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	eng, err := engine.New(engine.Config{})
	if err != nil {
		return fail(exitIO, "can't listen: %w", err)
	}
	defer eng.Close(stopAnnounce)
	tor, err := eng.Add(limited, add)
	if err != nil {
		return err
	}
	data, err := tor.ReadPiece(limited, i)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		x := &transfer{t: tor}
		x.snapshot()
		return fail(exitNoPeers, "piece %d did not come within %v: %s", i, o.timeout, x.explain())
	case err != nil:
		return err
	}
	if out == "-" {
		_, err = st.out.Write(data)
		return err
	}
	return os.WriteFile(out, data, 0o666)
}
