package clients

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Transmission is transmission-daemon. It cannot be told to connect to a peer, leaves
// empty files out, seeds at a flat 12 MiB/s a peer and refuses peers at 127/8.
// Job.Options are entries of settings.json, "name=value".
type Transmission struct{}

// Name implements Client.
func (Transmission) Name() string { return "transmission" }

// Start implements Client.
func (c Transmission) Start(ctx context.Context, j Job) (Run, error) {
	if err := os.MkdirAll(j.Dir, 0o755); err != nil {
		return nil, err
	}
	rpc := netip.AddrPortFrom(j.Addr.Addr(), j.Addr.Port()+1)
	settings, err := json.Marshal(transmissionSettings(j, rpc))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(j.Dir, "settings.json"), settings, 0o644); err != nil {
		return nil, err
	}
	var nodes strings.Builder
	for _, n := range j.Find.Nodes {
		fmt.Fprintln(&nodes, n.Addr(), n.Port())
	}
	if err := os.WriteFile(filepath.Join(j.Dir, "dht.bootstrap"), []byte(nodes.String()), 0o644); err != nil {
		return nil, err
	}
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir,
		host: j.Host, args: []string{"transmission-daemon", "-f", "-g", j.Dir}})
	if err != nil {
		return nil, err
	}
	r := &transmissionRun{p: p, url: "http://" + rpc.String() + "/transmission/rpc", job: j, ways: map[string]bool{}}
	if err := r.add(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return r, nil
}

func transmissionSettings(j Job, rpc netip.AddrPort) map[string]any {
	out := map[string]any{
		"bind-address-ipv4":            j.Addr.Addr().String(),
		"peer-port":                    j.Addr.Port(),
		"rpc-bind-address":             rpc.Addr().String(),
		"rpc-port":                     rpc.Port(),
		"rpc-whitelist-enabled":        false,
		"rpc-host-whitelist-enabled":   false,
		"download-dir":                 j.Data,
		"incomplete-dir-enabled":       false,
		"dht-enabled":                  j.Find.DHT,
		"pex-enabled":                  j.Find.PEX,
		"lpd-enabled":                  j.Find.LSD,
		"utp-enabled":                  false,
		"port-forwarding-enabled":      false,
		"encryption":                   0,
		"cache-size-mb":                64,
		"preallocation":                0,
		"peer-limit-global":            1000,
		"peer-limit-per-torrent":       500,
		"upload-slots-per-torrent":     200,
		"download-queue-enabled":       false,
		"seed-queue-enabled":           false,
		"queue-stalled-enabled":        false,
		"rename-partial-files":         false,
		"trash-original-torrent-files": false,
		"blocklist-enabled":            false,
	}
	maps.Copy(out, settingsOf(j.Options))
	return out
}

// encrypted reports whether only encrypted peers get an answer, so that a plain
// handshake can't tell whether there is one.
func (r *transmissionRun) encrypted() bool { return slices.Contains(r.job.Options, "encryption=2") }

type transmissionRun struct {
	p       *Proc
	url     string
	session string // the token against forged requests
	job     Job

	ways map[string]bool // Status.Ways
}

// rpc makes one request; the first one learns the session token.
func (r *transmissionRun) rpc(ctx context.Context, method string, args, out any) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": args})
	if err != nil {
		return err
	}
	answer := struct {
		Result    string
		Arguments any
	}{Arguments: out}
	for range 2 {
		h := http.Header{"X-Transmission-Session-Id": {r.session}}
		resp, err := call(ctx, "POST", r.url, h, body, &answer)
		if resp != nil && resp.StatusCode == http.StatusConflict {
			r.session = resp.Header.Get("X-Transmission-Session-Id")
			continue
		}
		if err == nil && answer.Result != "success" {
			return errors.New("transmission: " + answer.Result)
		}
		return err
	}
	return errors.New("transmission: no session token")
}

func (r *transmissionRun) add(ctx context.Context) error {
	args := map[string]any{"download-dir": r.job.Data, "paused": false}
	if r.job.Magnet != "" {
		args["filename"] = r.job.Magnet
	} else {
		raw, err := os.ReadFile(r.job.Torrent.Path)
		if err != nil {
			return err
		}
		args["metainfo"] = base64.StdEncoding.EncodeToString(raw)
	}
	return Poll(ctx, r.p, "RPC at "+strconv.Itoa(int(r.job.Addr.Port())+1), func() (bool, error) {
		err := r.rpc(ctx, "torrent-add", args, nil)
		return err == nil, err
	})
}

// The states of a torrent, from libtransmission/transmission.h of version 3.00.
const (
	trDownload = 4
	trSeed     = 6
)

type transmissionPeer struct {
	Address            string
	IsEncrypted, IsUTP bool
}

type transmissionTorrent struct {
	Status        int
	LeftUntilDone int64
	HaveValid     int64
	SizeWhenDone  int64
	DownloadedEver,
	UploadedEver,
	CorruptEver int64
	Peers       []transmissionPeer
	Error       int
	ErrorString string
}

func (r *transmissionRun) torrent(ctx context.Context) (transmissionTorrent, error) {
	var out struct{ Torrents []transmissionTorrent }
	err := r.rpc(ctx, "torrent-get", map[string]any{"fields": []string{"status", "leftUntilDone", "haveValid",
		"sizeWhenDone", "downloadedEver", "uploadedEver", "corruptEver", "peers", "error", "errorString"}}, &out)
	if err != nil {
		return transmissionTorrent{}, err
	}
	if len(out.Torrents) != 1 {
		return transmissionTorrent{}, errors.New("transmission has no torrent")
	}
	t := out.Torrents[0]
	if t.Error == 3 { // a local error; 1 and 2 come from trackers
		return t, errors.New("transmission: " + t.ErrorString)
	}
	return t, nil
}

func (r *transmissionRun) Ready(ctx context.Context) error {
	return Poll(ctx, r.p, "check", func() (bool, error) {
		t, err := r.torrent(ctx)
		if err != nil || t.Status != trDownload && t.Status != trSeed {
			return false, err
		}
		if r.job.Seed && t.Status != trSeed {
			return false, errors.New("transmission does not see the payload")
		}
		if r.encrypted() {
			return listening(r.job.Addr), nil
		}
		return answers(r.job), nil
	})
}

func (r *transmissionRun) Dial(context.Context, netip.AddrPort) error { return ErrCannotDial }

func (r *transmissionRun) Status(ctx context.Context) (Status, error) {
	t, err := r.torrent(ctx)
	failed := 0
	if t.CorruptEver > 0 {
		failed = 1
	}
	for _, p := range t.Peers {
		if p.Address == network.Addr().Next().String() {
			continue // it was us who knocked, see answers
		}
		way := "tcp"
		if p.IsUTP {
			way = "utp"
		}
		if p.IsEncrypted {
			way += " rc4"
		}
		r.ways[way] = true
	}
	return Status{Ways: slices.Sorted(maps.Keys(r.ways)), Done: err == nil && t.SizeWhenDone > 0 && t.LeftUntilDone == 0 && t.Status == trSeed,
		Have: t.HaveValid, Down: t.DownloadedEver, Up: t.UploadedEver, Failed: failed}, err
}

func (r *transmissionRun) Proc() *Proc { return r.p }
func (r *transmissionRun) Stop()       { r.p.Kill() }
