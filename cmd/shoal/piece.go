package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/storage"
)

// pieceFlags are the flags of piece.
type pieceFlags struct {
	out        string
	peers      []string
	trackers   []string
	noTrackers bool
	timeout    span
}

func newPiece(st streams) *cobra.Command {
	o := pieceFlags{timeout: span{time.Minute}}
	c := &cobra.Command{
		Use:   "piece SOURCE INDEX -o FILE",
		Short: "Fetch and verify one piece",
		Args:  wants("SOURCE", "INDEX"),
		RunE:  func(_ *cobra.Command, args []string) error { return o.run(st, args[0], args[1]) },
	}
	f := c.Flags()
	f.StringVarP(&o.out, "output", "o", "", "`FILE` to write; - for standard output")
	f.StringArrayVar(&o.peers, "peer", nil, "`HOST:PORT` of a peer (repeat)")
	f.StringArrayVar(&o.trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.BoolVar(&o.noTrackers, "no-trackers", false, "announce to no tracker")
	f.Var(&o.timeout, "timeout", "give up after this long")
	return c
}

// run carries out the command.
func (o *pieceFlags) run(st streams, source, index string) error {
	t, err := loadSource(st, source)
	if err != nil {
		return err
	}
	i, err := strconv.ParseInt(index, 10, 32)
	switch {
	case err != nil || !t.Lengths.Valid(metainfo.PieceIndex(i)):
		return fail(exitUsage, "piece %s: %s has pieces 0 to %d", short(index, 40), t.Name, t.Lengths.Pieces()-1)
	case o.out == "":
		return fail(exitUsage, "say with -o FILE where the piece goes")
	}
	add, err := o.options(t)
	if err != nil {
		return err
	}
	data, err := o.fetch(add, metainfo.PieceIndex(i))
	if err != nil {
		return err
	}
	if o.out == "-" {
		_, err = st.out.Write(data)
		return err
	}
	if err := os.WriteFile(o.out, data, 0o666); err != nil {
		if !isFull(err) {
			err = fail(exitIO, "%w", err)
		}
		return err
	}
	_, err = fmt.Fprintln(st.out, o.out)
	return err
}

// options are those of a torrent of which nothing is wanted but what is read.
func (o *pieceFlags) options(t *metainfo.Torrent) (engine.AddOptions, error) {
	add := engine.AddOptions{Torrent: t, NoTrackers: o.noTrackers,
		Storage: storage.Options{Allocation: storage.Sparse, Priority: make([]uint8, len(t.Files))}}
	if err := checkTrackers("tracker", o.trackers); err != nil {
		return add, err
	}
	for _, u := range o.trackers {
		add.Trackers = append(add.Trackers, []string{u})
	}
	for _, p := range o.peers {
		addrs, err := resolvePeer("--peer "+p, p)
		if err != nil {
			return add, err
		}
		add.Peers = append(add.Peers, addrs...)
	}
	return add, nil
}

// fetch fetches one piece by way of a temporary folder.
func (o *pieceFlags) fetch(add engine.AddOptions, i metainfo.PieceIndex) ([]byte, error) {
	dir, err := os.MkdirTemp("", "shoal-piece-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	add.Dir = dir
	ctx, stop := interruptible()
	defer stop()
	limited, cancel := context.WithTimeout(ctx, o.timeout.Duration)
	defer cancel()
	eng, err := engine.New(engine.Config{})
	if err != nil {
		return nil, fail(exitIO, "can't listen: %w", err)
	}
	defer func() { _ = eng.Close(stopAnnounce) }() // what was wanted of it is known
	tor, err := eng.Add(limited, add)
	if err != nil {
		return nil, ended(ctx, err)
	}
	data, err := tor.ReadPiece(limited, i)
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		x := &transfer{t: tor, name: add.Torrent.Name}
		if err := x.snapshot(); err != nil {
			return nil, err
		}
		return nil, fail(exitNoPeers, "piece %d did not come within %v: %s", i, o.timeout.Duration, x.explain())
	}
	return data, ended(ctx, err)
}
