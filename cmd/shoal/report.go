package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// reporter tells the person or program at the other end what happens. It is safe
// for concurrent use: several sources report to one.
type reporter interface {
	// event reports that something happened to a torrent; extra are further keys.
	event(name string, hash metainfo.Hash, extra map[string]any)
	// progress reports how far a torrent is.
	progress(s engine.TorrentStats, eta time.Duration)
	// note tells a person one line, and a program nothing.
	note(format string, args ...any)
	// file reports a finished file by its path.
	file(path string)
	// close ends the report: a terminal is left on a fresh line.
	close()
}

// jsonReporter writes NDJSON on stdout, one object an event.
type jsonReporter struct {
	mu  sync.Mutex
	out io.Writer
}

func (r *jsonReporter) event(name string, hash metainfo.Hash, extra map[string]any) {
	m := map[string]any{"v": 1, "event": name, "t": float64(time.Now().UnixMicro()) / 1e6}
	if !hash.IsZero() {
		m["infohash"] = hash.String()
	}
	for k, v := range extra {
		m[k] = v
	}
	line, err := json.Marshal(m)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.out.Write(append(line, '\n')) // whoever read it is gone: the transfer goes on
}

func (r *jsonReporter) progress(s engine.TorrentStats, eta time.Duration) {
	m := map[string]any{
		"state": s.State.String(), "bytes_done": s.Done, "bytes_total": s.Wanted,
		"bytes_down": s.Down, "bytes_up": s.Up, "bytes_wasted": s.Wasted, "bytes_rehashed": s.Rehashed,
		"down_rate": s.DownRate, "up_rate": s.UpRate, "peers": s.Peers, "seeds": s.Seeds, "banned": s.Banned,
		"eta": nil,
	}
	if eta >= 0 {
		m["eta"] = int64(eta / time.Second)
	}
	r.event("progress", s.InfoHash, m)
}

func (r *jsonReporter) note(string, ...any) {}
func (r *jsonReporter) file(string)         {}
func (r *jsonReporter) close()              {}

// textReporter writes for people: progress to stderr, finished files to stdout.
type textReporter struct {
	mu       sync.Mutex
	out, err io.Writer
	tty      bool // redraw in place
	color    bool
	width    func() int
	drawn    bool
	last     map[metainfo.Hash]time.Time // of the last line, where it is no terminal
}

// lineEvery is the pace of progress lines where nothing can be redrawn.
const lineEvery = 10 * time.Second

func (r *textReporter) event(name string, _ metainfo.Hash, extra map[string]any) {
	if name == "listening" {
		r.note("listening on %v", extra["addr"])
	}
}

func (r *textReporter) progress(s engine.TorrentStats, eta time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tty {
		r.clearLocked()
		fmt.Fprint(r.err, progressLine(s, eta, r.width()))
		r.drawn = true
		return
	}
	if r.last == nil {
		r.last = map[metainfo.Hash]time.Time{}
	}
	if now := time.Now(); now.Sub(r.last[s.InfoHash]) >= lineEvery {
		r.last[s.InfoHash] = now
		fmt.Fprintln(r.err, progressLine(s, eta, 0))
	}
}

// clearLocked removes the line that was drawn in place.
func (r *textReporter) clearLocked() {
	if r.drawn {
		fmt.Fprint(r.err, "\r\x1b[K")
		r.drawn = false
	}
}

func (r *textReporter) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	fmt.Fprintf(r.err, format+"\n", args...)
}

func (r *textReporter) file(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clearLocked()
	fmt.Fprintln(r.out, path)
}

func (r *textReporter) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drawn {
		fmt.Fprintln(r.err)
		r.drawn = false
	}
}
