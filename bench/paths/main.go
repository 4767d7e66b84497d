// Paths measures what uTP brings over bad paths: each client fetches from itself, or
// from another, through a relay in this process that delays, loses, reorders, repeats
// or swallows datagrams. See internal/relay for the profiles.
//
//	go run ./bench/paths [flags]            (root, or user namespaces; Linux)
//	go run ./bench/paths -relay 127.0.0.1:7000 -profiles 50ms-0.5%
//
// The second form is only the relay, in front of a target, until it is interrupted; it
// says at which address. A figure is the payload that came in the time, which is that
// from the connection to completion, or the limit. Relay and clients share the machine:
// where no profile limits it, figures say little.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
	"github.com/shoal-bt/shoal/internal/relay"
)

type options struct {
	pairs    []string // "seed:leecher"
	profiles []relay.Profile
	rounds   int
	size     int64
	limit    time.Duration
	relay    string
	seed     uint64
	flags    []string
}

func main() {
	o, err := parse()
	switch {
	case err != nil:
	case o.relay != "":
		err = stand(o)
	default:
		err = measureAll(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "paths:", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	var o options
	var all []string
	for _, p := range relay.Profiles() {
		all = append(all, p.Name)
	}
	pairs := flag.String("pairs", "libtorrent:libtorrent", "who seeds to whom, of libtorrent and shoal")
	profiles := flag.String("profiles", strings.Join(all, ","), "the paths")
	flag.IntVar(&o.rounds, "n", 3, "runs of each cell, with seeds that follow one another; all are shown")
	mib := flag.Int64("size", 64, "payload in MiB")
	flag.DurationVar(&o.limit, "limit", 20*time.Second, "of one run")
	flag.StringVar(&o.relay, "relay", "", "only relay: to this address")
	flag.Uint64Var(&o.seed, "seed", 1, "of the first round")
	extra := flag.String("shoal", "--transport utp --encryption off", "more flags for shoal")
	flag.Parse()
	o.pairs, o.size, o.flags = strings.Split(*pairs, ","), *mib<<20, strings.Fields(*extra)
	for _, name := range strings.Split(*profiles, ",") {
		p, ok := relay.Named(name)
		if !ok {
			return o, fmt.Errorf("no profile is named %q, of %s", name, strings.Join(all, ", "))
		}
		o.profiles = append(o.profiles, p)
	}
	return o, nil
}

// stand relays until the process is interrupted.
func stand(o options) error {
	target, err := netip.ParseAddrPort(o.relay)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := relay.Listen(netip.AddrPortFrom(target.Addr(), 0), target, o.profiles[0], o.seed)
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Println(r.Addr(), "to", target, o.profiles[0].Name)
	<-ctx.Done()
	there, back := r.Stats()
	fmt.Printf("there %+v\nback  %+v\n", there, back)
	return nil
}

func measureAll(o options) error {
	lab, err := clients.Isolate(3*o.size+1<<30, func(disk string) error { return prepare(disk, o) })
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b, err := newBench(lab, o)
	if err != nil {
		return err
	}
	for _, p := range o.profiles {
		for _, pair := range o.pairs {
			if err := b.cell(ctx, p, pair); err != nil {
				return fmt.Errorf("%s, %s: %w", p.Name, pair, err)
			}
		}
	}
	return nil
}
