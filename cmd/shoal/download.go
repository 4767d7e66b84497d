package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/shoal-bt/shoal/choker"
	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
	"github.com/shoal-bt/shoal/picker"
	"github.com/shoal-bt/shoal/storage"
)

// atOnce SOURCEs are downloaded at a time.
const atOnce = 3

func newDownload(io streams) *cobra.Command {
	var o transferFlags
	c := &cobra.Command{
		Use:   "download [flags] SOURCE...",
		Short: "Download torrents, then exit",
		Long: `Download the torrents that SOURCE names (torrent files, or - for standard input),
verify them, and exit. What is there already is used; a download that was
interrupted goes on where it stopped.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.portGiven = c.Flags().Changed("port")
			return o.download(io, args)
		},
	}
	o.register(c)
	o.registerSelection(c)
	return c
}

// download carries out the command.
func (o *transferFlags) download(io streams, sources []string) error {
	if err := o.validate(); err != nil {
		return err
	}
	adds := make([]engine.AddOptions, len(sources))
	for i, s := range sources {
		t, err := loadSource(io, s)
		if err != nil {
			return err
		}
		if adds[i], err = o.addOptions(t); err != nil {
			return err
		}
	}
	if err := makeOutput(o.output); err != nil {
		return err
	}
	return o.transferAll(io, adds)
}

// validate checks what can be checked before anything is begun.
func (o *transferFlags) validate() error {
	if err := o.checkUnsupported(); err != nil {
		return err
	}
	if o.sequential {
		o.picker = "sequential"
	}
	if o.picker != "" {
		if _, err := picker.New(o.picker); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	if o.choker != "" {
		if _, err := choker.New(o.choker); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	return errors.Join(checkGlobs("select", o.selects), checkGlobs("exclude", o.excludes))
}

// makeOutput makes the output folder, and says clearly why it can't be one.
func makeOutput(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			return fail(exitIO, "output %s is not a folder", dir)
		}
		return fail(exitIO, "output: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".shoal-probe-*")
	if err != nil {
		return fail(exitIO, "output %s can't be written: %w", dir, err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// addOptions says how to add a torrent.
func (o *transferFlags) addOptions(t *metainfo.Torrent) (engine.AddOptions, error) {
	prio, err := o.priorities(t)
	if err != nil {
		return engine.AddOptions{}, err
	}
	dir, err := filepath.Abs(o.output)
	if err != nil {
		return engine.AddOptions{}, err
	}
	add := engine.AddOptions{
		Torrent: t, Dir: dir, Picker: o.picker, Choker: o.choker, NoTrackers: o.noTrackers, MaxPeers: int32(o.maxPeers),
		Storage: storage.Options{Priority: prio, Check: o.check},
	}
	if o.allocation == "sparse" {
		add.Storage.Allocation = storage.Sparse
	}
	for _, p := range o.peers {
		addrs, err := resolvePeer(p)
		if err != nil {
			return add, err
		}
		add.Peers = append(add.Peers, addrs...)
	}
	for _, u := range o.trackers {
		if v, err := url.Parse(u); err != nil || v.Host == "" || v.Scheme != "http" && v.Scheme != "https" && v.Scheme != "udp" {
			return add, fail(exitUsage, "--tracker %s: want a http, https or udp URL", u)
		}
		add.Trackers = append(add.Trackers, []string{u})
	}
	return add, nil
}

// resolvePeer reads HOST:PORT.
func resolvePeer(s string) ([]netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return []netip.AddrPort{a}, nil
	}
	host, service, err := net.SplitHostPort(s)
	if err != nil {
		return nil, fail(exitUsage, "--peer %s: want HOST:PORT", s)
	}
	port, err := net.LookupPort("tcp", service)
	if err != nil {
		return nil, fail(exitUsage, "--peer %s: want HOST:PORT", s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fail(exitNoPeers, "--peer %s: host %s does not resolve: %v", s, host, err)
	}
	out := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		out[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return out, nil
}

// transferAll runs torrents on one engine, atOnce at a time, and returns the error
// of the first that failed, in the order of the arguments.
func (o *transferFlags) transferAll(io streams, adds []engine.AddOptions) error {
	rep := o.reporter(io)
	defer rep.close()
	ctx, stop := interruptible()
	defer stop()
	cfg, closeLog, err := o.config(io)
	if err != nil {
		return err
	}
	defer closeLog()
	eng, err := engine.New(cfg)
	if err != nil {
		return fail(exitIO, "can't listen: %w", err)
	}
	addrs, _ := eng.Addrs(ctx)
	for _, a := range addrs {
		rep.event("listening", metainfo.Hash{}, map[string]any{"addr": a.String(), "port": a.Port()})
	}
	xs := make([]*transfer, len(adds))
	errs := make([]error, len(adds))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range adds {
		xs[i] = &transfer{opt: o, rep: rep, eng: eng, add: adds[i], start: time.Now()}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = xs[i].run(ctx)
		})
	}
	wg.Wait()
	closeErr := eng.Close(stopAnnounce)
	return o.conclude(ctx, rep, xs, errs, closeErr)
}

// conclude reports the summaries and chooses the error.
func (o *transferFlags) conclude(ctx context.Context, rep reporter, xs []*transfer, errs []error, closeErr error) error {
	var first error
	var total engine.TorrentStats
	for i, x := range xs {
		err := errs[i]
		if sig := (*signalError)(nil); errors.As(context.Cause(ctx), &sig) && x.done && (err == nil || errors.As(err, &sig)) {
			err = nil // all that was asked for is there; only the seeding ends
		}
		if err == nil && closeErr != nil {
			err = closeErr
		}
		if first == nil {
			first = err
		}
		x.summary(exitCode(err))
		total.Down += x.stats.Down
		total.Up += x.stats.Up
		total.Wasted += x.stats.Wasted
		total.Rehashed += x.stats.Rehashed
	}
	if len(xs) > 1 {
		rep.event("summary", metainfo.Hash{}, map[string]any{"bytes_down": total.Down, "bytes_up": total.Up,
			"bytes_wasted": total.Wasted, "bytes_rehashed": total.Rehashed, "seconds": time.Since(xs[0].start).Seconds(), "exit_code": exitCode(first)})
	}
	return first
}

// signalError says that a signal ended the program.
type signalError struct{ sig os.Signal }

func (e *signalError) Error() string { return "stopped by " + e.sig.String() }

// interruptible is a context that the first ^C or SIGTERM ends in good order; the
// second ends the program.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, os.Interrupt, syscall.SIGTERM)
	go func() {
		sig, ok := <-ch
		if !ok {
			return
		}
		code := signalCode(sig)
		cancel(&exitError{code, &signalError{sig}})
		if _, ok := <-ch; ok {
			os.Exit(code)
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		close(ch)
		cancel(nil)
	}
}

func signalCode(sig os.Signal) int {
	if sig == syscall.SIGTERM {
		return exitTerminated
	}
	return exitInterrupted
}

// config makes the engine's configuration of the flags.
func (o *transferFlags) config(io streams) (engine.Config, func(), error) {
	listen, err := o.listen()
	if err != nil {
		return engine.Config{}, nil, err
	}
	cfg := engine.Config{Listen: listen, StateDir: o.stateDir, SharedState: true, Bind: bindOf(listen), Caps: engine.Caps{TorrentPeers: int32(o.maxPeers)}}
	if !o.portGiven {
		cfg.NextPorts = 100
	}
	if cfg.StateDir == "" {
		if cfg.StateDir, err = defaultStateDir(); err != nil {
			return cfg, nil, err
		}
	}
	if cfg.Limits.Down, err = parseSize("down-limit", o.downLimit); err != nil {
		return cfg, nil, err
	}
	if cfg.Limits.Up, err = parseSize("up-limit", o.upLimit); err != nil {
		return cfg, nil, err
	}
	if cfg.Memory, err = parseSize("memory-limit", o.memory); err != nil {
		return cfg, nil, err
	}
	log, closeLog, err := o.logger(io)
	cfg.Logger = log
	return cfg, closeLog, err
}

// defaultStateDir is where the XDG base directory specification puts state.
func defaultStateDir() (string, error) {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "shoal"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fail(exitIO, "no home folder for the state, say --state-dir: %w", err)
	}
	return filepath.Join(home, ".local", "state", "shoal"), nil
}

// logger makes the log that the flags ask for; by default only errors are shown.
func (o *transferFlags) logger(io streams) (*slog.Logger, func(), error) {
	level := slog.LevelError
	if o.verbose {
		level = slog.LevelInfo
	}
	if o.logLevel != "" {
		if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
			return nil, nil, fail(exitUsage, "--log-level %s: say error, warn, info or debug", o.logLevel)
		}
	}
	if o.logFile == "" {
		return slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: level})), func() {}, nil
	}
	f, err := os.OpenFile(o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, nil, fail(exitIO, "--log-file: %w", err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: min(level, slog.LevelInfo)})), func() { f.Close() }, nil
}

// reporter chooses who is told: a program, a terminal, or a log.
func (o *transferFlags) reporter(io streams) reporter {
	if o.json {
		return &jsonReporter{out: io.out}
	}
	r := &textReporter{out: io.out, err: io.err}
	if f, ok := io.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		r.tty = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		r.width = func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return w
		}
	}
	return r
}
