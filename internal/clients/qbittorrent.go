package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
)

// QBittorrent is qbittorrent-nox, driven through its Web API.
type QBittorrent struct{}

// Name implements Client.
func (QBittorrent) Name() string { return "qbittorrent" }

// qbConfig has the listen port, the address, the Web port and the save path.
const qbConfig = `[LegalNotice]
Accepted=true

[BitTorrent]
Session\Port=%d
Session\InterfaceAddress=%s
Session\DHTEnabled=%t
Session\PeXEnabled=%t
Session\LSDEnabled=%t
Session\Encryption=2
Session\BTProtocol=TCP
Session\QueueingSystemEnabled=false
Session\MultiConnectionsPerIp=true
Session\MaxUploads=-1
Session\MaxUploadsPerTorrent=-1
Session\DefaultSavePath=%s
Session\Preallocation=false
Session\TempPathEnabled=false
Session\AddExtensionToIncompleteFiles=false

[Network]
PortForwardingEnabled=false

[Preferences]
General\Locale=en
WebUI\Address=%s
WebUI\Port=%d
WebUI\UseUPnP=false
WebUI\CSRFProtection=false
WebUI\HostHeaderValidation=false
WebUI\LocalHostAuth=false
WebUI\AuthSubnetWhitelistEnabled=true
WebUI\AuthSubnetWhitelist=0.0.0.0/0
`

// Start implements Client.
func (c QBittorrent) Start(ctx context.Context, j Job) (Run, error) {
	dir := filepath.Join(j.Dir, "profile", "qBittorrent", "config")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	web := netip.AddrPortFrom(j.Addr.Addr(), j.Addr.Port()+1)
	conf := fmt.Sprintf(qbConfig, j.Addr.Port(), j.Addr.Addr(), j.Find.DHT, j.Find.PEX, j.Find.LSD, j.Data, web.Addr(), web.Port())
	if err := os.WriteFile(filepath.Join(dir, "qBittorrent.conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	args := []string{"qbittorrent-nox", "--profile=" + filepath.Join(j.Dir, "profile"), "--webui-port=" + strconv.Itoa(int(web.Port()))}
	if len(j.Find.Nodes) > 0 {
		// Its nodes can't be chosen: here the world's well-known one is ours.
		hosts := filepath.Join(j.Dir, "hosts")
		line := fmt.Sprintf("127.0.0.1 localhost\n%s router.bittorrent.com\n", j.Find.Nodes[0].Addr())
		if err := os.WriteFile(hosts, []byte(line), 0o644); err != nil {
			return nil, err
		}
		args = append([]string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts}, args...)
	}
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir, host: j.Host, env: []string{"QT_QPA_PLATFORM=minimal"}, args: args})
	if err != nil {
		return nil, err
	}
	r := &qbRun{p: p, job: j, url: "http://" + web.String() + "/api/v2/"}
	if err := r.add(ctx); err != nil {
		p.Kill()
		return nil, err
	}
	return r, nil
}

type qbRun struct {
	p    *Proc
	job  Job
	url  string
	hash string
}

func (r *qbRun) add(ctx context.Context) error {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for k, v := range map[string]string{"savepath": r.job.Data, "paused": "false", "autoTMM": "false",
		"contentLayout": "Original"} {
		if err := w.WriteField(k, v); err != nil {
			return err
		}
	}
	if err := errors.Join(r.source(w), w.Close()); err != nil {
		return err
	}
	h := http.Header{"Content-Type": {w.FormDataContentType()}}
	return Poll(ctx, r.p, "Web API", func() (bool, error) {
		_, err := call(ctx, "POST", r.url+"torrents/add", h, form.Bytes(), nil)
		return err == nil, err
	})
}

// source writes the torrent or the link into the form.
func (r *qbRun) source(w *multipart.Writer) error {
	if r.job.Magnet != "" {
		return w.WriteField("urls", r.job.Magnet)
	}
	raw, err := os.ReadFile(r.job.Torrent.Path)
	if err != nil {
		return err
	}
	part, err := w.CreateFormFile("torrents", "x.torrent")
	if err == nil {
		_, err = part.Write(raw)
	}
	return err
}

type qbTorrent struct {
	Hash       string
	State      string
	Completed  int64
	AmountLeft int64 `json:"amount_left"`
	Size       int64
	Downloaded int64
	Uploaded   int64
}

func (r *qbRun) torrent(ctx context.Context) (qbTorrent, error) {
	var list []qbTorrent
	if _, err := call(ctx, "GET", r.url+"torrents/info", nil, nil, &list); err != nil {
		return qbTorrent{}, err
	}
	if len(list) != 1 {
		return qbTorrent{}, errors.New("qBittorrent has no torrent yet")
	}
	if s := list[0].State; s == "error" || s == "missingFiles" {
		return list[0], errors.New("qBittorrent: state " + s)
	}
	r.hash = list[0].Hash
	return list[0], nil
}

// qbActive are the states in which a torrent talks to peers.
var qbActive = map[string]bool{"downloading": true, "stalledDL": true, "forcedDL": true,
	"uploading": true, "stalledUP": true, "forcedUP": true}

func (r *qbRun) Ready(ctx context.Context) error {
	return Poll(ctx, r.p, "check", func() (bool, error) {
		t, err := r.torrent(ctx)
		if err != nil || !qbActive[t.State] || !answers(r.job) {
			return false, fmt.Errorf("state %q, %w", t.State, errors.Join(err))
		}
		if r.job.Seed && t.AmountLeft != 0 {
			return false, fmt.Errorf("qBittorrent lacks %d bytes", t.AmountLeft)
		}
		return true, nil
	})
}

func (r *qbRun) Dial(ctx context.Context, peer netip.AddrPort) error {
	form := url.Values{"hashes": {r.hash}, "peers": {peer.String()}}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	_, err := call(ctx, "POST", r.url+"torrents/addPeers", h, []byte(form.Encode()), nil)
	return err
}

func (r *qbRun) Status(ctx context.Context) (Status, error) {
	t, err := r.torrent(ctx)
	seeding := t.State == "uploading" || t.State == "stalledUP" || t.State == "forcedUP"
	return Status{Done: err == nil && seeding && t.AmountLeft == 0, Have: t.Completed, Down: t.Downloaded, Up: t.Uploaded}, err
}

func (r *qbRun) Proc() *Proc { return r.p }
func (r *qbRun) Stop()       { r.p.Kill() }
