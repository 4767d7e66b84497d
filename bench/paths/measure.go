package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
	"github.com/shoal-bt/shoal/internal/relay"
)

// askEvery is how often a leecher is asked whether it is done.
const askEvery = 100 * time.Millisecond

// bench holds what all runs share.
type bench struct {
	lab     clients.Lab
	opts    options
	payload clients.Payload
	torrent *clients.Torrent
	source  string // folder of the complete payload
	sink    string // folder of the output
	addrs   int
}

// prepare builds our binary while there still is a network.
func prepare(disk string, o options) error {
	if os.Getenv("SHOAL_BIN") != "" || !strings.Contains(strings.Join(o.pairs, " "), "shoal") {
		return nil
	}
	bin := filepath.Join(disk, "shoal")
	if err := clients.BuildShoal(context.Background(), ".", bin); err != nil {
		return err
	}
	return os.Setenv("SHOAL_BIN", bin)
}

func newBench(lab clients.Lab, o options) (*bench, error) {
	b := &bench{lab: lab, opts: o, payload: clients.SingleFile("payload.bin", o.size),
		source: filepath.Join(lab.Scratch, "source"), sink: filepath.Join(lab.Scratch, "sink")}
	if err := b.payload.Write(b.source, 7); err != nil {
		return nil, err
	}
	var err error
	b.torrent, err = b.payload.MakeTorrent(b.source, filepath.Join(lab.Scratch, "x.torrent"), 256<<10, "http://10.77.0.1:1/announce")
	return b, err
}

// named makes a client that speaks nothing but uTP.
func (b *bench) named(name string) (clients.Client, []string, error) {
	switch name {
	case "shoal":
		return clients.Shoal{Bin: os.Getenv("SHOAL_BIN"), Flags: b.opts.flags}, nil, nil
	case "libtorrent":
		return clients.Libtorrent{}, clients.LibtorrentUTP, nil
	}
	return nil, nil, fmt.Errorf("no client is named %q", name)
}

// cell measures one pair on one path, some times.
func (b *bench) cell(ctx context.Context, p relay.Profile, pair string) error {
	seed, leech, ok := strings.Cut(pair, ":")
	if !ok {
		return errors.New("a pair is seed:leecher")
	}
	var rates []float64
	for i := range b.opts.rounds {
		r, err := b.run(ctx, p, b.opts.seed+uint64(i), seed, leech)
		if err != nil {
			return err
		}
		rates = append(rates, r)
	}
	sorted := slices.Sorted(slices.Values(rates))
	fmt.Printf("%-14s %-24s median %8.0f KiB/s   of %.0f\n", p.Name, pair, sorted[len(sorted)/2], rates)
	return nil
}

func (b *bench) job(name string, seed bool) (clients.Client, clients.Job, error) {
	c, settings, err := b.named(name)
	b.addrs++
	j := clients.Job{Addr: clients.Addr(b.addrs+1, 6881), Torrent: b.torrent, Seed: seed, Data: b.sink, Options: settings}
	j.Dir = filepath.Join(b.lab.Scratch, "run", j.Addr.Addr().String())
	if seed {
		j.Data = b.source
	}
	return c, j, err
}

// run lets one client fetch from another through the relay, in KiB per second.
func (b *bench) run(ctx context.Context, p relay.Profile, chance uint64, seed, leech string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.limit+time.Minute)
	defer cancel()
	defer os.RemoveAll(filepath.Join(b.lab.Scratch, "run"))
	if err := errors.Join(os.RemoveAll(b.sink), os.MkdirAll(b.sink, 0o755)); err != nil {
		return 0, err
	}
	s, sj, err := b.job(seed, true)
	if err != nil {
		return 0, err
	}
	l, lj, err := b.job(leech, false)
	if err != nil {
		return 0, err
	}
	r, err := relay.Listen(netip.AddrPortFrom(clients.Addr(1, 0).Addr(), 0), sj.Addr, p, chance)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if l.Name() == "shoal" {
		lj.Peers = []netip.AddrPort{r.Addr()} // it takes its peers at the start
	}
	from, err := s.Start(ctx, sj)
	if err != nil {
		return 0, err
	}
	defer from.Stop()
	if err := from.Ready(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	to, err := l.Start(ctx, lj)
	if err != nil {
		return 0, err
	}
	defer to.Stop()
	if err := to.Ready(ctx); err != nil {
		return 0, err
	}
	if len(lj.Peers) == 0 {
		began = time.Now() // it has not been connecting all the while
		if err := to.Dial(ctx, r.Addr()); err != nil {
			return 0, err
		}
	}
	return b.time(ctx, to, began)
}

// time waits until a leecher has everything, or for the limit.
func (b *bench) time(ctx context.Context, to clients.Run, began time.Time) (float64, error) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		<-tick.C
		st, err := to.Status(ctx)
		took := time.Since(began)
		if err != nil || st.Done || took > b.opts.limit {
			return float64(max(st.Have, st.Down)) / 1024 / took.Seconds(), err
		}
	}
}
