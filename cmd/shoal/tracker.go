package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/server"
)

func newTracker(st streams) *cobra.Command {
	var listen string
	var interval time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use:   "tracker --listen HOST:PORT",
		Short: "Run a tracker, HTTP and UDP on one port",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := interruptible()
			defer stop()
			s, err := server.Listen(context.Background(), listen, server.Config{Interval: interval})
			if err != nil {
				return fail(exitIO, "can't listen on %s: %w", listen, err)
			}
			if asJSON {
				(&jsonReporter{out: st.out}).event("listening", metainfo.Hash{}, map[string]any{"addr": s.Addr().String()})
			} else {
				fmt.Fprintf(st.out, "http://%v/announce\nudp://%v\n", s.Addr(), s.Addr())
			}
			<-ctx.Done()
			if err := s.Close(); err != nil {
				return err
			}
			var ex *exitError
			if errors.As(context.Cause(ctx), &ex) {
				return &exitError{ex.code, errors.New("")}
			}
			return nil
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:6969", "`HOST:PORT`; port 0 is any free one")
	c.Flags().DurationVar(&interval, "interval", 0, "announce interval that peers are told (default 30m)")
	c.Flags().BoolVar(&asJSON, "json", false, "NDJSON events on stdout")
	return c
}
