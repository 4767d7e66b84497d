package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/storage"
)

// minMemory is the least that --memory-limit may say: below that a piece on its way
// would fill it.
const minMemory = 1 << 20

// config makes the engine's configuration of the flags, but for its log.
func (o *transferFlags) config() (engine.Config, error) {
	cfg := engine.Config{SharedState: true, Caps: engine.Caps{TorrentPeers: int32(o.maxPeers)}}
	if !o.cmd.Flags().Changed("port") {
		cfg.NextPorts = 100
	}
	err := o.apply(&cfg)
	if err != nil {
		return cfg, err
	}
	local := cfg.Bind
	if !local.IsValid() {
		local = netip.IPv6Unspecified() // and all of IPv4
	}
	cfg.Listen = netip.AddrPortFrom(local, uint16(o.port))
	if cfg.Limits.Down, err = parseSize("down-limit", o.downLimit); err != nil {
		return cfg, err
	}
	if cfg.Limits.Up, err = parseSize("up-limit", o.upLimit); err != nil {
		return cfg, err
	}
	if cfg.Memory, err = parseSize("memory-limit", o.memory); err != nil {
		return cfg, err
	}
	if cfg.Memory < minMemory {
		return cfg, fail(exitUsage, "--memory-limit %s: want at least %s", o.memory, size(minMemory))
	}
	cfg.StateDir, err = o.stateFolder()
	return cfg, err
}

// localAddr is the address that --bind names, as itself or by its interface.
func localAddr(bind string) (netip.Addr, error) {
	if bind == "" {
		return netip.Addr{}, nil
	}
	if a, err := netip.ParseAddr(bind); err == nil {
		if a.IsUnspecified() {
			return netip.Addr{}, nil
		}
		return a.Unmap(), nil
	}
	iface, err := net.InterfaceByName(bind)
	if err != nil {
		return netip.Addr{}, fail(exitUsage, "--bind %s: neither an address nor an interface of this machine", bind)
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return netip.Addr{}, fail(exitNoPeers, "--bind %s: %w", bind, err)
	}
	if a := bestAddr(addrs); a.IsValid() {
		return a, nil
	}
	return netip.Addr{}, fail(exitNoPeers, "--bind %s: the interface has no address; is it up?", bind)
}

// bestAddr chooses the address of an interface: IPv4 before IPv6, none that is
// valid on its link only.
func bestAddr(addrs []net.Addr) (best netip.Addr) {
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		if !best.IsValid() || best.Is6() && p.Addr().Is4() {
			best = p.Addr()
		}
	}
	return best
}

// stateFolder is where the records of what goes to the output folder are. Each
// output has a folder of its own, so that one torrent may be fetched to two places,
// or be seeded here and fetched there, at the same time.
func (o *transferFlags) stateFolder() (string, error) {
	base := o.stateDir
	if base == "" {
		var err error
		if base, err = defaultStateDir(); err != nil {
			return "", err
		}
	}
	out, err := filepath.Abs(o.output)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(realPath(out)))
	return filepath.Join(base, "transfers", hex.EncodeToString(sum[:8])), nil
}

// realPath resolves symbolic links, also in a path whose end does not exist yet.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(realPath(dir), filepath.Base(path))
}

// defaultStateDir is where the system wants state to be: what the XDG base directory
// specification says, but for macOS and Windows.
func defaultStateDir() (string, error) {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "shoal"), nil
	}
	if d := os.Getenv("LOCALAPPDATA"); runtime.GOOS == "windows" && d != "" {
		return filepath.Join(d, "shoal"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fail(exitIO, "no home folder for the records, give --state-dir: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "shoal"), nil
	}
	return filepath.Join(home, ".local", "state", "shoal"), nil
}

// logger makes the log that the flags ask for; by default only errors are shown.
// The function closes it.
func (o *transferFlags) logger(w io.Writer) (*slog.Logger, func(), error) {
	level, err := o.level()
	if err != nil {
		return nil, nil, err
	}
	end := func() {}
	if o.logFile != "" {
		f, err := os.OpenFile(o.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			return nil, nil, fail(exitIO, "--log-file: %w", err)
		}
		w, end = f, func() { f.Close() }
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), end, nil
}

func (o *transferFlags) level() (level slog.Level, err error) {
	switch {
	case o.logLevel != "":
		if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
			return level, fail(exitUsage, "--log-level %s: say error, warn, info or debug", o.logLevel)
		}
		return level, nil
	case o.verbose, o.logFile != "":
		return slog.LevelInfo, nil
	}
	return slog.LevelError, nil
}

// common is what the flags say of every torrent. Names of peers are looked up.
func (o *transferFlags) common() (engine.AddOptions, error) {
	dir, err := filepath.Abs(o.output)
	if err != nil {
		return engine.AddOptions{}, err
	}
	add := engine.AddOptions{
		Dir: dir, Picker: o.picker, Choker: o.choker, MaxPeers: int32(o.maxPeers),
		SeedOnly: o.seedOnly, Storage: storage.Options{Check: o.check, ReadOnly: o.seedOnly},
	}
	if o.allocation == "sparse" {
		add.Storage.Allocation = storage.Sparse
	}
	return add, o.applyTo(&add)
}

// resolveTime is how long the lookup of a peer's name may take.
const resolveTime = 10 * time.Second

// resolvePeer reads HOST:PORT; what is how an error names it.
func resolvePeer(what, s string) ([]netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil && a.Port() != 0 {
		return []netip.AddrPort{a}, nil
	}
	host, service, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return nil, fail(exitUsage, "%s: want HOST:PORT", what)
	}
	port, err := net.LookupPort("tcp", service)
	if err != nil || port == 0 {
		return nil, fail(exitUsage, "%s: want HOST:PORT, with a port from 1 to 65535", what)
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fail(exitNoPeers, "%s: the host %s can't be looked up: %w", what, host, err)
	}
	out := make([]netip.AddrPort, len(ips))
	for i, ip := range ips {
		out[i] = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	}
	return out, nil
}
