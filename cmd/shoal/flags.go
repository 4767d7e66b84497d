package main

import (
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/picker"
)

// transferFlags are what download and seed have in common.
type transferFlags struct {
	selection
	finderFlags
	output     string
	port       int
	seed       bool
	seedRatio  float64
	seedTime   span
	timeout    span
	sequential bool
	picker     string
	choker     string
	downLimit  string
	upLimit    string
	maxPeers   int
	check      bool
	stateDir   string
	memory     string
	allocation string
	json       bool
	verbose    bool
	logLevel   string
	logFile    string

	cmd      *cobra.Command
	many     bool // there are several SOURCEs
	seedOnly bool // the command is seed
	partial  bool // seed what is there, though some is missing
}

// register adds the flags to a command.
func (o *transferFlags) register(c *cobra.Command) {
	o.cmd = c
	o.registerWhat(c)
	o.registerNetwork(c)
	f := c.Flags()
	f.BoolVar(&o.check, "check", false, "hash what is there before starting, whatever was recorded of it")
	f.StringVar(&o.stateDir, "state-dir", "", "`DIR` of resume records (default: shoal in the XDG state folder)")
	f.StringVar(&o.memory, "memory-limit", "64MiB", "`SIZE` of memory for payload on its way")
	f.StringVar(&o.allocation, "allocation", "fallocate", "how files get their space: `fallocate|sparse`")
	f.BoolVar(&o.json, "json", false, "NDJSON events on stdout")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	f.StringVar(&o.logLevel, "log-level", "", "log `error|warn|info|debug` and worse (default: error)")
	f.StringVar(&o.logFile, "log-file", "", "write the log to this `FILE` instead of stderr")
}

// registerWhat adds what is fetched, how, and for how long.
func (o *transferFlags) registerWhat(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", ".", "`DIR` for the files")
	o.selection.register(c)
	f.BoolVar(&o.sequential, "sequential", false, "pieces in order (the same as --picker sequential)")
	f.StringVar(&o.picker, "picker", "", "piece picker by `NAME`: "+strings.Join(picker.Names(), ", "))
	f.StringVar(&o.choker, "choker", "", "choker by `NAME`: "+strings.Join(choker.Names(), ", "))
	f.BoolVar(&o.seed, "seed", false, "go on seeding when done")
	f.Float64Var(&o.seedRatio, "seed-ratio", 0, "seed until `R` times the size was uploaded")
	f.Var(&o.seedTime, "seed-time", "seed for this long, such as 30m")
	f.Var(&o.timeout, "timeout", "give up after this long without any progress, such as 5m")
}

// offAlready are switches for what is not there yet.
var offAlready = []string{"no-nat"}

// registerNetwork adds how peers are found and reached.
func (o *transferFlags) registerNetwork(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&o.port, "port", engine.DefaultPort, "`PORT` to listen on; 0 is any free one. Without the flag the next free one is taken")
	o.finderFlags.register(f)
	f.StringVar(&o.downLimit, "down-limit", "", "download at most this `RATE` a second, such as 500k or 10MiB")
	f.StringVar(&o.upLimit, "up-limit", "", "upload at most this `RATE` a second")
	f.IntVar(&o.maxPeers, "max-peers", 200, "at most `N` connections of one torrent")
	// What these switch off is off already, so they hold true; they are hidden until
	// there is something to switch off.
	for _, name := range offAlready {
		f.Bool(name, false, "")
		_ = f.MarkHidden(name)
	}
	laterFlags(f, "proxy", "ip-filter")
}

// stays reports whether the transfer goes on after the download.
func (o *transferFlags) stays() bool {
	return o.seedOnly || o.seed || o.seedRatio > 0 || o.seedTime.Duration > 0
}

// validate checks what can be checked before anything is begun.
func (o *transferFlags) validate() error {
	if err := refuseLater(o.cmd.Flags()); err != nil {
		return err
	}
	for _, name := range offAlready {
		if f := o.cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "false" {
			return tooEarly("--" + name + "=false")
		}
	}
	switch {
	case o.allocation != "fallocate" && o.allocation != "sparse":
		return fail(exitUsage, "--allocation %s: say fallocate or sparse", o.allocation)
	case o.sequential && o.picker != "" && o.picker != "sequential":
		return fail(exitUsage, "--sequential and --picker %s exclude each other", o.picker)
	case o.port < 0 || o.port > 65535:
		return fail(exitUsage, "--port %d: want 0 to 65535", o.port)
	case o.maxPeers < 1 || o.maxPeers > math.MaxInt32:
		return fail(exitUsage, "--max-peers %d: want 1 or more", o.maxPeers)
	case !(o.seedRatio >= 0) || math.IsInf(o.seedRatio, 0):
		return fail(exitUsage, "--seed-ratio %v: want a number from 0 on", o.seedRatio)
	}
	if err := o.strategies(); err != nil {
		return err
	}
	if err := o.finderFlags.validate(); err != nil {
		return err
	}
	if _, err := o.level(); err != nil {
		return err
	}
	return o.selection.validate()
}

// strategies refuses pickers and chokers that nobody has registered.
func (o *transferFlags) strategies() error {
	if o.sequential {
		o.picker = "sequential"
	}
	if o.picker != "" && !slices.Contains(picker.Names(), o.picker) {
		return fail(exitUsage, "--picker %s: want one of %s", o.picker, strings.Join(picker.Names(), ", "))
	}
	if o.choker != "" && !slices.Contains(choker.Names(), o.choker) {
		return fail(exitUsage, "--choker %s: want one of %s", o.choker, strings.Join(choker.Names(), ", "))
	}
	return nil
}

// checkTrackers refuses URLs that no announce could go to.
func checkTrackers(flag string, urls []string) error {
	for _, u := range urls {
		v, err := url.Parse(u)
		if err != nil || v.Hostname() == "" || v.Scheme != "http" && v.Scheme != "https" && v.Scheme != "udp" ||
			v.Scheme == "udp" && v.Port() == "" {
			return fail(exitUsage, "--%s %s: want an http or https URL, or udp://HOST:PORT", flag, u)
		}
	}
	return nil
}
