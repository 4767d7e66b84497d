package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/tracker/server"
)

func newTracker(st streams) *cobra.Command {
	var listen string
	var interval span
	var asJSON bool
	c := &cobra.Command{
		Use:   "tracker --listen HOST:PORT",
		Short: "Run a tracker, HTTP and UDP on one port",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, _, err := net.SplitHostPort(listen); err != nil {
				return fail(exitUsage, "--listen %s: want HOST:PORT", listen)
			}
			ctx, stop := interruptible()
			defer stop()
			s, err := server.Listen(context.Background(), listen, server.Config{Interval: interval.Duration})
			if err != nil {
				return fail(exitIO, "can't listen on %s: %w; give another --listen", listen, err)
			}
			rep := newReporter(st, asJSON)
			at := reachable(s.Addr())
			if asJSON {
				rep.event("listening", metainfo.Hash{}, keys{"addr": s.Addr().String(), "port": s.Addr().Port(),
					"announce": []string{"http://" + at + "/announce", "udp://" + at + "/announce"}})
			} else {
				fmt.Fprintf(st.out, "http://%s/announce\nudp://%s/announce\n", at, at)
			}
			<-ctx.Done()
			if err := s.Close(); err != nil {
				return err
			}
			return context.Cause(ctx)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:6969", "`HOST:PORT`; port 0 is any free one")
	c.Flags().Var(&interval, "interval", "announce interval that peers are told (default 30m)")
	c.Flags().BoolVar(&asJSON, "json", false, "NDJSON events on stdout")
	return c
}

// reachable is an address for URLs: one that stands for all of this machine's is
// reached by its name.
func reachable(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		return "localhost:" + strconv.Itoa(int(a.Port()))
	}
	return a.String()
}
