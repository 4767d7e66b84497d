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
)

// pieceFlags are the flags of piece.
type pieceFlags struct {
	finderFlags
	out     string
	timeout span
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
	o.finderFlags.register(f)
	f.Var(&o.timeout, "timeout", "give up after this long")
	return c
}

// run carries out the command.
func (o *pieceFlags) run(st streams, source, index string) error {
	w, err := wantedSource(st, source)
	if err != nil {
		return err
	}
	i, err := strconv.ParseInt(index, 10, 32)
	switch {
	case err != nil || i < 0 || w.torrent != nil && !w.torrent.Lengths.Valid(metainfo.PieceIndex(i)):
		return noPiece(index, w)
	case o.out == "":
		return fail(exitUsage, "say with -o FILE where the piece goes")
	}
	if err := o.finderFlags.validate(); err != nil {
		return err
	}
	var data []byte
	err = o.withTorrent(st, w, o.timeout.Duration, func(ctx context.Context, tor *engine.Torrent) (err error) {
		if !tor.Meta().Lengths.Valid(metainfo.PieceIndex(i)) {
			return noPiece(index, wanted{torrent: tor.Meta()})
		}
		if data, err = tor.ReadPiece(ctx, metainfo.PieceIndex(i)); errors.Is(err, context.DeadlineExceeded) {
			err = fail(exitNoPeers, "piece %d did not come within %v: %s", i, o.timeout.Duration, tried(tor))
		}
		return err
	})
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

// noPiece says which pieces there are.
func noPiece(index string, w wanted) error {
	if w.torrent == nil {
		return fail(exitUsage, "piece %s: want a number from 0 on", short(index, 40))
	}
	return fail(exitUsage, "piece %s: %s has pieces 0 to %d", short(index, 40), w.torrent.Name, w.torrent.Lengths.Pieces()-1)
}
