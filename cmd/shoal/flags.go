package main

import (
	"fmt"
	"math"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shoal-bt/shoal/metainfo"
)

// transferFlags are what download and seed have in common.
type transferFlags struct {
	output     string
	port       int
	bind       string
	peers      []string
	trackers   []string
	seed       bool
	seedRatio  float64
	seedTime   time.Duration
	timeout    time.Duration
	files      string
	selects    []string
	excludes   []string
	sequential bool
	picker     string
	choker     string
	downLimit  string
	upLimit    string
	maxPeers   int
	noTrackers bool
	noDHT      bool
	noPEX      bool
	noLSD      bool
	noNAT      bool
	transport  string
	encryption string
	private    bool
	check      bool
	stateDir   string
	memory     string
	allocation string
	json       bool
	verbose    bool
	logLevel   string
	logFile    string

	portGiven bool
}

// register adds the flags to a command.
func (o *transferFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", ".", "`DIR` for the files")
	f.IntVar(&o.port, "port", 51413, "port to listen on; 0 is any free one")
	f.StringVar(&o.bind, "bind", "", "use this local `ADDR` only, for what comes in and what goes out")
	f.StringArrayVar(&o.peers, "peer", nil, "`HOST:PORT` of a peer (repeat)")
	f.StringArrayVar(&o.trackers, "tracker", nil, "`URL` of a further tracker (repeat)")
	f.BoolVar(&o.seed, "seed", false, "go on seeding when done")
	f.Float64Var(&o.seedRatio, "seed-ratio", 0, "seed until uploaded / size reaches `R`")
	f.DurationVar(&o.seedTime, "seed-time", 0, "seed for this long, such as 30m")
	f.DurationVar(&o.timeout, "timeout", 0, "give up after this long without any progress, such as 5m")
	f.BoolVar(&o.noTrackers, "no-trackers", false, "announce to no tracker")
	f.BoolVar(&o.noDHT, "no-dht", false, "without the DHT")
	f.BoolVar(&o.noPEX, "no-pex", false, "without peer exchange")
	f.BoolVar(&o.noLSD, "no-lsd", false, "without local discovery")
	f.BoolVar(&o.noNAT, "no-nat", false, "without port mapping")
	f.StringVar(&o.transport, "transport", "tcp", "transports to use")
	f.StringVar(&o.encryption, "encryption", "off", "encryption policy")
	f.BoolVar(&o.private, "private", false, "no DHT, PEX or LSD from the first packet")
	f.StringVar(&o.picker, "picker", "", "piece picker by `NAME`: rarest, sequential, random")
	f.StringVar(&o.choker, "choker", "", "choker by `NAME`: tit-for-tat, seed-round-robin, fastest")
	f.StringVar(&o.downLimit, "down-limit", "", "download `RATE` a second, such as 500k or 10MiB")
	f.StringVar(&o.upLimit, "up-limit", "", "upload `RATE` a second")
	f.IntVar(&o.maxPeers, "max-peers", 200, "connections of one torrent")
	f.BoolVar(&o.check, "check", false, "hash what is there before starting")
	f.StringVar(&o.stateDir, "state-dir", "", "`DIR` of resume records (default: the XDG state folder)")
	f.StringVar(&o.memory, "memory-limit", "", "`SIZE` of memory for payload on its way (default 64MiB)")
	f.StringVar(&o.allocation, "allocation", "fallocate", "how files get their space: fallocate or sparse")
	f.BoolVar(&o.json, "json", false, "NDJSON events on stdout")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more to stderr")
	f.StringVar(&o.logLevel, "log-level", "", "error, warn, info or debug")
	f.StringVar(&o.logFile, "log-file", "", "write the log to this `FILE`")
	// What stands here is off already in this version, so the flags hold true; they
	// are hidden until there is something to switch off.
	for _, name := range []string{"no-dht", "no-pex", "no-lsd", "no-nat", "private", "transport", "encryption"} {
		_ = f.MarkHidden(name)
	}
}

// registerSelection adds the flags that only a download has.
func (o *transferFlags) registerSelection(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.files, "files", "", "only these files, by number from 1, such as `1,3-5`")
	f.StringArrayVar(&o.selects, "select", nil, "only files whose path matches `GLOB` (repeat)")
	f.StringArrayVar(&o.excludes, "exclude", nil, "not the files whose path matches `GLOB` (repeat)")
	f.BoolVar(&o.sequential, "sequential", false, "pieces in order (the same as --picker sequential)")
}

// stays reports whether the transfer goes on after the download.
func (o *transferFlags) stays() bool { return o.seed || o.seedRatio > 0 || o.seedTime > 0 }

// checkUnsupported refuses what this version can't do: a network option is never
// silently ignored.
func (o *transferFlags) checkUnsupported() error {
	switch {
	case o.transport != "tcp":
		return fail(exitUsage, "--transport %s: this version speaks tcp only", o.transport)
	case o.encryption != "off":
		return fail(exitUsage, "--encryption %s: this version has no encryption; say off", o.encryption)
	case o.allocation != "fallocate" && o.allocation != "sparse":
		return fail(exitUsage, "--allocation %s: say fallocate or sparse", o.allocation)
	case o.sequential && o.picker != "" && o.picker != "sequential":
		return fail(exitUsage, "--sequential and --picker %s exclude each other", o.picker)
	case o.port < 0 || o.port > 65535:
		return fail(exitUsage, "--port %d: not a port", o.port)
	case o.maxPeers < 1:
		return fail(exitUsage, "--max-peers %d: at least 1", o.maxPeers)
	case o.seedRatio < 0 || o.seedTime < 0 || o.timeout < 0:
		return fail(exitUsage, "a negative duration or ratio means nothing")
	}
	return nil
}

// listen is the address to listen on.
func (o *transferFlags) listen() (netip.AddrPort, error) {
	if o.bind == "" {
		return netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(o.port)), nil
	}
	a, err := netip.ParseAddr(o.bind)
	if err != nil {
		return netip.AddrPort{}, fail(exitUsage, "--bind %s: not an address (interfaces by name come with a later version)", o.bind)
	}
	return netip.AddrPortFrom(a, uint16(o.port)), nil
}

// bindOf is the address that what goes out must use too: the one of --bind.
func bindOf(listen netip.AddrPort) netip.Addr {
	if listen.Addr().IsUnspecified() {
		return netip.Addr{}
	}
	return listen.Addr()
}

// parseSize reads a number of bytes: 500k and 10M are decimal, 10MiB and 10Ki binary.
func parseSize(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	num := strings.TrimRight(s, "kKMGTiBb/s")
	unit := strings.TrimSuffix(strings.TrimSuffix(s[len(num):], "/s"), "B")
	mult, ok := map[string]float64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}[unit]
	v, err := strconv.ParseFloat(num, 64)
	if err != nil || !ok || v < 0 || v*mult > math.MaxInt64/2 {
		return 0, fail(exitUsage, "--%s %s: want a number with a unit, such as 500k or 10MiB", flag, s)
	}
	return int64(v * mult), nil
}

// maxSelected bounds the numbers in --files.
const maxSelected = 1 << 20

// priorities says which files are wanted: nil for all.
func (o *transferFlags) priorities(t *metainfo.Torrent) ([]uint8, error) {
	prio := make([]uint8, len(t.Files))
	for i := range prio {
		prio[i] = 4
	}
	if o.files != "" {
		if err := selectNumbers(o.files, prio); err != nil {
			return nil, err
		}
	}
	for i := range t.Files {
		name := t.Files[i].Path.String()
		if len(o.selects) > 0 && !matchAny(o.selects, name) || matchAny(o.excludes, name) {
			prio[i] = 0
		}
	}
	for i, p := range prio {
		if p > 0 && !t.Files[i].Pad() {
			return prio, nil
		}
	}
	return nil, fail(exitUsage, "no file of %s is selected", t.Name)
}

// selectNumbers reads "1,3-5" and clears the priority of all other files.
func selectNumbers(list string, prio []uint8) error {
	chosen := make([]bool, len(prio))
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(from)
		b := a
		if err == nil && isRange {
			b, err = strconv.Atoi(to)
		}
		if err != nil || a < 1 || b < a || b > len(prio) || b > maxSelected {
			return fail(exitUsage, "--files %s: want numbers from 1 to %d, such as 1,3-5", list, len(prio))
		}
		for i := a; i <= b; i++ {
			chosen[i-1] = true
		}
	}
	for i := range prio {
		if !chosen[i] {
			prio[i] = 0
		}
	}
	return nil
}

// matchAny matches a file's path, or its last element, against globs.
func matchAny(globs []string, name string) bool {
	for _, g := range globs {
		if ok, _ := path.Match(g, name); ok {
			return true
		}
		if ok, _ := path.Match(g, path.Base(name)); ok {
			return true
		}
		if _, inner, found := strings.Cut(name, "/"); found {
			if ok, _ := path.Match(g, inner); ok {
				return true
			}
		}
	}
	return false
}

// checkGlobs refuses malformed globs, which would match nothing.
func checkGlobs(flag string, globs []string) error {
	for _, g := range globs {
		if _, err := path.Match(g, ""); err != nil {
			return fail(exitUsage, "--%s %s: %v", flag, g, err)
		}
	}
	return nil
}

// size prints bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}
