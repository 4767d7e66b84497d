package clients

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// RTorrent is rtorrent without its terminal, driven by XML-RPC over SCGI.
type RTorrent struct{}

// Name implements Client.
func (RTorrent) Name() string { return "rtorrent" }

// Start implements Client.
func (c RTorrent) Start(ctx context.Context, j Job) (Run, error) {
	session := filepath.Join(j.Dir, "session")
	if err := os.MkdirAll(session, 0o755); err != nil {
		return nil, err
	}
	port := strconv.Itoa(int(j.Addr.Port()))
	rpc := netip.AddrPortFrom(j.Addr.Addr(), j.Addr.Port()+1)
	args := []string{"rtorrent", "-n"}
	for _, o := range []string{
		"system.daemon.set=true", "session.path.set=" + session, "directory.default.set=" + j.Data,
		"network.bind_address.set=" + j.Addr.Addr().String(), "network.port_range.set=" + port + "-" + port,
		"network.port_random.set=no", "network.port_open.set=yes", "network.scgi.open_port=" + rpc.String(),
		"dht.mode.set=disable", "protocol.pex.set=no", "protocol.encryption.set=none", "trackers.use_udp.set=yes",
		"throttle.max_uploads.set=100", "throttle.max_uploads.global.set=100", "pieces.hash.on_completion.set=no",
	} {
		args = append(args, "-o", o)
	}
	p, err := start(ctx, command{name: c.Name(), dir: j.Dir, args: args, env: []string{"TERM=dumb"}})
	if err != nil {
		return nil, err
	}
	r := &rtorrentRun{p: p, job: j, rpc: rpc.String()}
	err = Poll(ctx, p, "SCGI", func() (bool, error) {
		_, err := r.call(ctx, "load.start", "", j.Torrent.Path)
		return err == nil, err
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return r, nil
}

type rtorrentRun struct {
	p    *Proc
	job  Job
	rpc  string
	hash string
}

// call makes one XML-RPC request and returns the values of its answer, in order.
func (r *rtorrentRun) call(ctx context.Context, method string, args ...string) ([]string, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "<?xml version=\"1.0\"?><methodCall><methodName>%s</methodName><params>", method)
	for _, a := range args {
		body.WriteString("<param><value><string>")
		if err := xml.EscapeText(&body, []byte(a)); err != nil {
			return nil, err
		}
		body.WriteString("</string></value></param>")
	}
	body.WriteString("</params></methodCall>")

	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.rpc)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// SCGI: a netstring of NUL-ended names and values, then the body.
	head := fmt.Sprintf("CONTENT_LENGTH\x00%d\x00SCGI\x001\x00", body.Len())
	if _, err := fmt.Fprintf(conn, "%d:%s,%s", len(head), head, body.Bytes()); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return nil, err
	}
	_, doc, ok := strings.Cut(string(answer), "\r\n\r\n")
	if !ok {
		return nil, fmt.Errorf("rtorrent answered %.200q", answer)
	}
	return xmlValues(doc)
}

// xmlValues returns the text of all scalar values of an XML-RPC answer.
func xmlValues(doc string) ([]string, error) {
	var out []string
	d := xml.NewDecoder(strings.NewReader(doc))
	var text string
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.CharData:
			text = string(t)
		case xml.StartElement:
			text = ""
		case xml.EndElement:
			switch t.Name.Local {
			case "string", "i4", "i8", "int", "boolean":
				out = append(out, text)
			}
		}
	}
	if strings.Contains(doc, "<fault>") {
		return nil, errors.New("rtorrent: " + strings.Join(out, " "))
	}
	return out, nil
}

// rtorrentFields are what torrent asks about, in the order of rtorrentTorrent.
var rtorrentFields = []string{"d.hash=", "d.is_active=", "d.hashing=", "d.complete=", "d.completed_bytes=",
	"d.down.total=", "d.up.total=", "d.message="}

func (r *rtorrentRun) torrent(ctx context.Context) ([]string, error) {
	v, err := r.call(ctx, "d.multicall2", append([]string{"", "main"}, rtorrentFields...)...)
	if err != nil {
		return nil, err
	}
	if len(v) != len(rtorrentFields) {
		return nil, errors.New("rtorrent has no torrent yet")
	}
	r.hash = v[0]
	return v, nil
}

func (r *rtorrentRun) Ready(ctx context.Context) error {
	return Poll(ctx, r.p, "check", func() (bool, error) {
		v, err := r.torrent(ctx)
		if err != nil || v[1] != "1" || v[2] != "0" || !answers(r.job) {
			return false, errors.Join(err, fmt.Errorf("rtorrent: %q", v))
		}
		if r.job.Seed && v[3] != "1" {
			return false, fmt.Errorf("rtorrent is not complete: %q", v)
		}
		return true, nil
	})
}

func (r *rtorrentRun) Dial(ctx context.Context, peer netip.AddrPort) error {
	_, err := r.call(ctx, "add_peer", r.hash, peer.String())
	return err
}

func (r *rtorrentRun) Status(ctx context.Context) (Status, error) {
	v, err := r.torrent(ctx)
	if err != nil {
		return Status{}, err
	}
	n := func(i int) int64 { x, _ := strconv.ParseInt(v[i], 10, 64); return x }
	return Status{Done: v[3] == "1" && v[2] == "0", Have: n(4), Down: n(5), Up: n(6)}, nil
}

func (r *rtorrentRun) Proc() *Proc { return r.p }
func (r *rtorrentRun) Stop()       { r.p.Kill() }
