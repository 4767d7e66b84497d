package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// serveFlags are the flags of dht serve.
type serveFlags struct {
	dhtFlags
	alone    bool
	stats    bool
	stateDir string
}

func newDHTServe(st streams) *cobra.Command {
	var o serveFlags
	c := &cobra.Command{
		Use:   "serve --listen HOST:PORT",
		Short: "Run a node of the DHT until a signal ends it",
		Long: `Run a node of the DHT, one for each family of addresses, until a signal ends it. The
address and id of each are printed on standard output. What they know of others is kept
in --state-dir, so that the next start needs no --bootstrap.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return o.run(st) },
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.listen, "listen", ":6881", "`HOST:PORT`; port 0 is any free one, without a host it is all addresses")
	f.BoolVar(&o.alone, "no-bootstrap", false, "begin with no other node: others will come")
	f.BoolVar(&o.stats, "stats", false, "a line of numbers every 10 s")
	f.StringVar(&o.stateDir, "state-dir", "", "`DIR` of saved tables (default: shoal in the XDG state folder)")
	f.BoolVar(&o.readOnly, "read-only", false, "don't answer the queries of others, and say so (BEP 43)")
	return c
}

// run carries out the command.
func (o *serveFlags) run(st streams) error {
	cfg, err := o.config()
	switch {
	case err != nil:
		return err
	case o.alone && len(o.bootstrap) > 0:
		return fail(exitUsage, "--no-bootstrap and --bootstrap exclude each other")
	case o.alone:
		cfg.Bootstrap = []string{}
	}
	if cfg.StateDir, err = o.folder(cfg); err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	n, err := openNode(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }() // what was wanted of it is known
	rep := newReporter(st, o.json)
	defer rep.close()
	if err := o.announce(ctx, st, rep, n); err != nil {
		return ended(ctx, err)
	}
	o.watch(ctx, rep, n)
	if err := n.Close(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// folder is where the tables are kept: each address has its own, so that several nodes
// may run at a time.
func (o *serveFlags) folder(cfg engine.DHTConfig) (string, error) {
	base := o.stateDir
	if base == "" {
		var err error
		if base, err = defaultStateDir(); err != nil {
			return "", err
		}
	}
	name := "any"
	if a := cfg.Listen.Addr(); a.IsValid() {
		name = safeName(a.WithZone("").String())
	}
	dir := filepath.Join(base, "dht", fmt.Sprintf("%s-%d", name, cfg.Listen.Port()))
	if err := makeFolder(dir); err != nil {
		return "", unwritable("folder for the tables", dir, "--state-dir", err)
	}
	return dir, nil
}

// safeName is an address as the name of a folder on any system.
func safeName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == ':' {
			b[i] = '_'
		}
	}
	return string(b)
}

// announce tells where the nodes are, and their ids.
func (o *serveFlags) announce(ctx context.Context, st streams, rep reporter, n *engine.DHTNode) error {
	limited, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	addrs, err := n.Addrs(limited)
	if err != nil {
		return err
	}
	stats, err := n.Stats(limited)
	if err != nil {
		return err
	}
	for i, a := range addrs {
		if o.json {
			rep.event("listening", metainfo.Hash{}, keys{"addr": a.String(), "port": a.Port(), "id": stats[i].Self.String()})
		} else if _, err := fmt.Fprintf(st.out, "%v %v\n", a, stats[i].Self); err != nil {
			return err
		}
	}
	return nil
}

// watch waits for the end, tells numbers, and says in time why nobody is there.
func (o *serveFlags) watch(ctx context.Context, rep reporter, n *engine.DHTNode) {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	lonely := time.NewTimer(explainAfter)
	defer lonely.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-lonely.C:
			if why := trouble(n.DHT); why != "" && !o.alone {
				rep.event("diagnosis", metainfo.Hash{}, keys{"text": why})
				rep.note("no other node yet: %s", why)
			}
		case <-tick.C:
			if o.stats {
				tellStats(ctx, rep, n)
			}
		}
	}
}

// tellStats tells the numbers of each node.
func tellStats(ctx context.Context, rep reporter, n *engine.DHTNode) {
	limited, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	all, err := n.Stats(limited)
	if err != nil {
		return // it is busy, or ends: the next line tells more
	}
	for i := range all {
		rep.event("stats", metainfo.Hash{}, keys(statsJSON(&all[i])))
		rep.note("%s", statsLine(&all[i]))
	}
}
