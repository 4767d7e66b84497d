package clients

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed libtorrent.py
var libtorrentDriver []byte

// Libtorrent is libtorrent-rasterbar behind a small driver in Python: Debian's
// python3-libtorrent, so the system's interpreter runs it. Job.Options are settings of
// the session, "name=value".
type Libtorrent struct{}

// LibtorrentUTP are options that have libtorrent speak nothing but uTP.
var LibtorrentUTP = []string{
	"enable_incoming_utp=true", "enable_outgoing_utp=true",
	"enable_incoming_tcp=false", "enable_outgoing_tcp=false",
}

// Name implements Client.
func (Libtorrent) Name() string { return "libtorrent" }

// Start implements Client.
func (c Libtorrent) Start(ctx context.Context, j Job) (Run, error) {
	if err := os.MkdirAll(j.Dir, 0o755); err != nil {
		return nil, err
	}
	driver := filepath.Join(j.Dir, "driver.py")
	if err := os.WriteFile(driver, libtorrentDriver, 0o644); err != nil {
		return nil, err
	}
	cfg, err := json.Marshal(map[string]any{
		"addr": j.Addr.Addr().String(), "port": j.Addr.Port(),
		"torrent": j.Torrent.Path, "save": j.Data, "seed": j.Seed, "settings": settingsOf(j.Options),
		"magnet": j.Magnet, "dht": j.Find.DHT, "pex": j.Find.PEX, "lsd": j.Find.LSD, "nodes": j.Find.nodes(","),
	})
	if err != nil {
		return nil, err
	}
	toDriver, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, fromDriver, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir, host: j.Host, stdin: toDriver, stdout: fromDriver,
		args: []string{"/usr/bin/python3", driver, string(cfg)}})
	toDriver.Close()
	fromDriver.Close()
	if err != nil {
		return nil, err
	}
	r := &libtorrentRun{p: p, in: in, out: bufio.NewReader(out)}
	for _, peer := range j.Peers {
		if err := r.Dial(ctx, peer); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// settingsOf turns "name=value" into typed settings.
func settingsOf(options []string) map[string]any {
	out := map[string]any{}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if n, err := strconv.Atoi(value); err == nil {
			out[name] = n
		} else if b, err := strconv.ParseBool(value); err == nil {
			out[name] = b
		} else {
			out[name] = value
		}
	}
	return out
}

type libtorrentRun struct {
	p   *Proc
	mu  sync.Mutex // one question at a time
	in  io.WriteCloser
	out *bufio.Reader
}

// ask sends one command and reads its answer. It returns early when ctx ends, after
// which the driver is of no more use.
func (r *libtorrentRun) ask(ctx context.Context, req map[string]any) (Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = r.p.Cmd.Process.Kill() })
	defer stop()
	b, err := json.Marshal(req)
	if err != nil {
		return Status{}, err
	}
	if _, err := r.in.Write(append(b, '\n')); err != nil {
		return Status{}, fmt.Errorf("libtorrent's driver: %w\n%s", err, r.p.Tail())
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return Status{}, fmt.Errorf("libtorrent's driver, %v: %w\n%s", req["cmd"], errors.Join(err, ctx.Err()), r.p.Tail())
	}
	var a struct {
		Done           bool
		Have, Down, Up int64
		Bans, Failed   int
		Ways           []string
		Error          string
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return Status{}, err
	}
	if a.Error != "" {
		return Status{}, errors.New("libtorrent: " + a.Error)
	}
	return Status{Done: a.Done, Have: a.Have, Down: a.Down, Up: a.Up, Bans: a.Bans, Failed: a.Failed,
		Ways: a.Ways}, nil
}

func (r *libtorrentRun) Ready(ctx context.Context) error {
	_, err := r.ask(ctx, map[string]any{"cmd": "ready"})
	return err
}

func (r *libtorrentRun) Dial(ctx context.Context, peer netip.AddrPort) error {
	_, err := r.ask(ctx, map[string]any{"cmd": "dial", "ip": peer.Addr().String(), "port": peer.Port()})
	return err
}

func (r *libtorrentRun) Status(ctx context.Context) (Status, error) {
	return r.ask(ctx, map[string]any{"cmd": "status"})
}

// Complete waits inside the driver, which costs it less than being asked.
func (r *libtorrentRun) Complete(ctx context.Context) error {
	_, err := r.ask(ctx, map[string]any{"cmd": "done"})
	return err
}

func (r *libtorrentRun) Proc() *Proc { return r.p }

// Stop lets libtorrent write what it has, which may be after it says that all is
// there.
func (r *libtorrentRun) Stop() {
	r.in.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := r.p.Wait(ctx); err != nil {
		r.p.Kill()
	}
}
