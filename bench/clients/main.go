// Clients compares shoal with other BitTorrent clients on this machine: the same work,
// in turns, in one call, over loopback in a private network.
//
//	go run ./bench/clients [flags]          (root, or user namespaces; Linux)
//
// The rows:
//
//	leech  the client fetches from a libtorrent seed that has checked its data
//	seed   the client serves a libtorrent leecher
//	self   the client fetches from itself
//	check  the client hashes data that is there
//	utp    over uTP alone: utp-self, utp-leech and utp-seed, which are as above, with
//	       libtorrent in utp-self only; shoal-anacrolix is shoal with its other uTP
//
// CPU is user and system time of the whole process between the connection and
// completion, so that start-up and the first check do not count. Output goes over
// files that are already allocated in memory (tmpfs), or to new files on disk: never
// compare runs that differ in this. Other figures of this machine, or of another hour,
// mean little; only the ratios to libtorrent within one table do.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/internal/clients"
)

// options are the flags.
type options struct {
	clients, rows []string
	rounds        int
	size, piece   int64
	out           string
	json          string
	shoalFlags    []string
	encryption    encryption
}

// encryption is how shoal and libtorrent are made to agree on a method.
type encryption struct{ shoal, libtorrent []string }

var encryptions = map[string]encryption{
	"": {},
	"rc4": {
		shoal:      []string{"--transport", "tcp", "--encryption", "require"},
		libtorrent: []string{"in_enc_policy=0", "out_enc_policy=0", "allowed_enc_level=2"},
	},
	"plaintext": {
		shoal:      []string{"--transport", "tcp", "--encryption", "prefer"},
		libtorrent: []string{"in_enc_policy=0", "out_enc_policy=0", "allowed_enc_level=1"},
	},
}

func main() {
	o := parse()
	lab, err := clients.Isolate(3*o.size+1<<30, func(disk string) error { return prepare(disk, o) })
	if err == nil {
		err = run(lab, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	names := flag.String("clients", "shoal,libtorrent", "of shoal, shoal-anacrolix, libtorrent, aria2, transmission, qbittorrent, rtorrent")
	rows := flag.String("rows", "leech,seed,self,check", "what to measure")
	flag.IntVar(&o.rounds, "n", 5, "runs of each cell; medians are shown")
	mib := flag.Int64("size", 1024, "payload in MiB, a single file")
	kib := flag.Int64("piece", 1024, "piece length in KiB")
	flag.StringVar(&o.out, "out", "tmpfs", "where output goes: tmpfs (over allocated files) or disk (new files in $TMPDIR)")
	flag.StringVar(&o.json, "json", "", "also write every run to this file")
	extra := flag.String("shoal", "", "more flags for shoal's downloads and seeds, such as \"--allocation sparse\"")
	crypt := flag.String("encryption", "", "rc4 or plaintext: shoal and libtorrent shake hands encrypted, and go on with this")
	flag.Parse()
	o.shoalFlags = strings.Fields(*extra)
	var known bool
	if o.encryption, known = encryptions[*crypt]; !known {
		flag.Usage()
		os.Exit(2)
	}
	o.shoalFlags = append(o.shoalFlags, o.encryption.shoal...)
	o.clients, o.rows = strings.Split(*names, ","), withUTP(strings.Split(*rows, ","))
	o.size, o.piece = *mib<<20, *kib<<10
	if o.json != "" {
		o.json, _ = filepath.Abs(o.json)
	}
	if o.out != "tmpfs" && o.out != "disk" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	return o
}

// prepare builds our binary while there still is a network.
func prepare(disk string, o options) error {
	if os.Getenv("SHOAL_BIN") != "" || !slices.Contains(o.clients, "shoal") && !slices.Contains(o.clients, anacrolix) {
		return nil
	}
	bin := filepath.Join(disk, "shoal")
	if err := clients.BuildShoal(context.Background(), ".", bin); err != nil {
		return err
	}
	return os.Setenv("SHOAL_BIN", bin)
}

func run(lab clients.Lab, o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b, err := newBench(lab, o)
	if err != nil {
		return err
	}
	var results []result
	for round := range o.rounds {
		for _, row := range o.rows {
			for _, name := range o.clients {
				r, err := b.measure(ctx, row, name)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", row, name, err)
				}
				if r.Seconds == 0 {
					continue // this client cannot do this
				}
				fmt.Fprintf(os.Stderr, "%d/%d %s\n", round+1, o.rounds, r)
				results = append(results, r)
			}
		}
	}
	fmt.Print(table(results, o))
	return save(results, o)
}

func save(results []result, o options) error {
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{
		"time": time.Now().UTC().Format(time.RFC3339), "machine": machine(), "out": o.out,
		"bytes": o.size, "piece": o.piece, "runs": results,
	}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(b, '\n'), 0o644)
}
