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
	"strings"
	"sync"
	"time"
)

//go:embed dhtnodes.py
var dhtNodesDriver []byte

// DHTNodes are nodes of libtorrent's DHT, in one process.
type DHTNodes struct {
	Addrs []netip.AddrPort

	p   *Proc
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
}

// StartDHTNodes starts nodes at these addresses. They begin with begin; the first one
// with nothing and the others with the first if there is none. Settings are those of
// libtorrent's sessions, "name=value".
func StartDHTNodes(ctx context.Context, dir string, host *Host, addrs []netip.AddrPort, settings []string, begin ...netip.AddrPort) (*DHTNodes, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	driver := filepath.Join(dir, "dhtnodes.py")
	if err := os.WriteFile(driver, dhtNodesDriver, 0o644); err != nil {
		return nil, err
	}
	var at [][2]any
	for _, a := range addrs {
		at = append(at, [2]any{a.Addr().String(), a.Port()})
	}
	cfg, err := json.Marshal(map[string]any{"addrs": at, "nodes": Find{Nodes: begin}.nodes(","), "settings": settingsOf(settings)})
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
	p, err := start(ctx, command{name: "dhtnodes", dir: dir, host: host, stdin: toDriver, stdout: fromDriver,
		args: []string{"/usr/bin/python3", "-W", "ignore", driver, string(cfg)}})
	toDriver.Close()
	fromDriver.Close()
	if err != nil {
		return nil, err
	}
	return &DHTNodes{Addrs: addrs, p: p, in: in, out: bufio.NewReader(out)}, nil
}

// DHTAnswer is what nodes answer to a command; see dhtnodes.py.
type DHTAnswer struct {
	Nodes     []int
	Peers     []string
	IDs       []string
	Stored    int
	Seq       int64
	Value     string
	Signature string
	Samples   []string
	Num       int
	Error     string
}

// Ask has a node do something and waits for what comes of it.
func (n *DHTNodes) Ask(ctx context.Context, cmd string, node int, args map[string]any) (DHTAnswer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = n.p.Cmd.Process.Kill() })
	defer stop()
	req := map[string]any{"cmd": cmd, "node": node}
	for k, v := range args {
		req[k] = v
	}
	b, err := json.Marshal(req)
	if err != nil {
		return DHTAnswer{}, err
	}
	if _, err := n.in.Write(append(b, '\n')); err != nil {
		return DHTAnswer{}, fmt.Errorf("DHT nodes: %w\n%s", err, n.p.Tail())
	}
	line, err := n.out.ReadBytes('\n')
	if err != nil {
		return DHTAnswer{}, fmt.Errorf("DHT nodes, %s: %w\n%s", cmd, errors.Join(err, ctx.Err()), n.p.Tail())
	}
	var a DHTAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("DHT nodes, %s: %w: %s", cmd, err, strings.TrimSpace(string(line)))
	}
	if a.Error != "" {
		return a, fmt.Errorf("DHT nodes, %s: %s", cmd, a.Error)
	}
	return a, nil
}

// Mesh makes the nodes known to each other, and others to them, and waits until each
// knows at least some.
func (n *DHTNodes) Mesh(ctx context.Context, least int, others ...netip.AddrPort) error {
	at := make([][2]any, 0, len(others)) // never nil
	for _, o := range others {
		at = append(at, [2]any{o.Addr().String(), o.Port()})
	}
	var last []int
	next := time.Time{}
	err := Poll(ctx, n.p, "nodes", func() (bool, error) {
		cmd := "nodes"
		if now := time.Now(); now.After(next) {
			cmd, next = "mesh", now.Add(time.Second)
		}
		a, err := n.Ask(ctx, cmd, 0, map[string]any{"others": at})
		last = a.Nodes
		for _, k := range a.Nodes {
			if k < least {
				return false, err
			}
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("%w: tables of %v", err, last)
	}
	return nil
}

// Proc is the process of all of them.
func (n *DHTNodes) Proc() *Proc { return n.p }

// Stop ends them.
func (n *DHTNodes) Stop() { n.p.Kill() }
