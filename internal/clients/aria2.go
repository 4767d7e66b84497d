package clients

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
)

// Aria2 is aria2c. It takes peers only from trackers and from those who connect.
// Job.Options are more arguments.
type Aria2 struct{}

// Name implements Client.
func (Aria2) Name() string { return "aria2" }

// Start implements Client.
func (c Aria2) Start(ctx context.Context, j Job) (Run, error) {
	// The RPC server listens at 127.0.0.1, so the port must differ between processes.
	a := j.Addr.Addr().As4()
	rpc := 20000 + int(a[2])<<8 + int(a[3])
	at := "127.0.0.1"
	if j.Host != nil {
		at = j.Addr.Addr().String()
	}
	find := func(on bool) string { return strconv.FormatBool(on) }
	args := []string{"aria2c", "--no-conf=true", "--quiet=true", "--console-log-level=warn", "--summary-interval=0",
		"--enable-rpc=true", "--rpc-listen-all=" + find(j.Host != nil), "--rpc-listen-port=" + strconv.Itoa(rpc),
		"--interface=" + j.Addr.Addr().String(), "--listen-port=" + strconv.Itoa(int(j.Addr.Port())),
		"--disable-ipv6=true", "--enable-dht=" + find(j.Find.DHT), "--enable-dht6=false",
		"--bt-enable-lpd=" + find(j.Find.LSD), "--bt-lpd-interface=" + j.Addr.Addr().String(),
		"--enable-peer-exchange=" + find(j.Find.PEX), "--bt-max-peers=0", "--bt-request-peer-speed-limit=0",
		"--bt-tracker-connect-timeout=5", "--file-allocation=none", "--disk-cache=64M", "--allow-overwrite=true",
		"--seed-ratio=0.0", "--dir=" + j.Data,
		"--check-integrity=" + strconv.FormatBool(j.Seed)}
	if j.Find.DHT {
		args = append(args, "--dht-listen-port="+strconv.Itoa(int(j.Addr.Port())), "--dht-file-path="+filepath.Join(j.Dir, "dht.dat"))
		for _, n := range j.Find.Nodes {
			args = append(args, "--dht-entry-point="+n.String())
		}
	}
	args = append(append(args, j.Options...), cmp.Or(j.Magnet, j.Torrent.Path))
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir, host: j.Host, args: args})
	if err != nil {
		return nil, err
	}
	return &aria2Run{p: p, job: j, url: fmt.Sprintf("http://%s:%d/jsonrpc", at, rpc)}, nil
}

type aria2Run struct {
	p   *Proc
	url string
	job Job
}

// aria2Download is the answer to aria2.tellActive; numbers come as strings.
type aria2Download struct {
	Status                 string
	TotalLength            int64  `json:",string"`
	CompletedLength        int64  `json:",string"`
	UploadLength           int64  `json:",string"`
	VerifiedLength         string // present while checking
	VerifyIntegrityPending string // present while waiting to check
	Seeder                 string
}

func (r *aria2Run) download(ctx context.Context) (aria2Download, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "1", "method": "aria2.tellActive"})
	if err != nil {
		return aria2Download{}, err
	}
	var out struct{ Result []aria2Download }
	if _, err := call(ctx, "POST", r.url, nil, body, &out); err != nil {
		return aria2Download{}, err
	}
	for _, d := range out.Result {
		if d.TotalLength > 0 {
			return d, nil
		}
	}
	return aria2Download{}, errors.New("aria2 has no active download")
}

func (r *aria2Run) Ready(ctx context.Context) error {
	return Poll(ctx, r.p, "check", func() (bool, error) {
		d, err := r.download(ctx)
		if err != nil || d.VerifiedLength != "" || d.VerifyIntegrityPending != "" || !answers(r.job) {
			return false, err
		}
		if r.job.Seed && d.CompletedLength != d.TotalLength {
			return false, fmt.Errorf("aria2 sees %d of %d bytes", d.CompletedLength, d.TotalLength)
		}
		return true, nil
	})
}

func (r *aria2Run) Dial(context.Context, netip.AddrPort) error { return ErrCannotDial }

func (r *aria2Run) Status(ctx context.Context) (Status, error) {
	d, err := r.download(ctx)
	return Status{Done: err == nil && d.Seeder == "true" && d.CompletedLength == d.TotalLength,
		Have: d.CompletedLength, Down: d.CompletedLength, Up: d.UploadLength}, err
}

func (r *aria2Run) Proc() *Proc { return r.p }
func (r *aria2Run) Stop()       { r.p.Kill() }
