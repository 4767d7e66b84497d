package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/metainfo"
)

// reporter tells the person or program at the other end what happens. It is safe
// for concurrent use: several transfers report to one.
type reporter interface {
	// event tells a program that something happened to a torrent.
	event(name string, hash metainfo.Hash, extra keys)
	// progress tells how far a torrent is, ended that nothing more will be told.
	progress(p progress)
	ended(id int)
	// note tells a person one line, and a program nothing.
	note(format string, args ...any)
	// file tells of a finished file, by its path.
	file(hash metainfo.Hash, path string)
	// fault tells the error that ended a transfer.
	fault(hash metainfo.Hash, err error)
	// log is where the program's log goes when it goes to stderr.
	log() io.Writer
	// pace is how often progress is worth telling.
	pace() time.Duration
	// close ends the report: a terminal is left on a fresh line.
	close()
}

// keys are an event's keys besides those that all events have.
type keys map[string]any

// progress is how far a torrent is.
type progress struct {
	engine.TorrentStats
	id    int // of the transfer: its place among the SOURCEs
	phase string
	eta   time.Duration // negative: unknown
	said  string        // of trackers, in a few words
}

// Paces of progress.
var (
	progressEvery = 500 * time.Millisecond // of events
	redrawEvery   = 200 * time.Millisecond // of a terminal
	lineEvery     = 10 * time.Second       // of lines elsewhere
)

// jsonReporter writes NDJSON on stdout, one object an event. Only an error's one
// line goes to stderr.
type jsonReporter struct {
	mu sync.Mutex
	st streams
}

func (r *jsonReporter) event(name string, hash metainfo.Hash, extra keys) {
	head, err := json.Marshal(struct {
		V     int     `json:"v"`
		Event string  `json:"event"`
		T     float64 `json:"t"`
		Hash  *string `json:"infohash"`
	}{1, name, float64(time.Now().UnixMicro()) / 1e6, hexOf(hash)})
	if err != nil {
		return
	}
	line := head
	if len(extra) > 0 {
		rest, err := json.Marshal(extra)
		if err != nil {
			return
		}
		line = append(append(head[:len(head)-1], ','), rest[1:]...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.st.out.Write(append(line, '\n')) // whoever read it is gone: the transfer goes on
}

// hexOf is an info-hash for JSON: null where an event is of no torrent.
func hexOf(h metainfo.Hash) *string {
	if h.IsZero() {
		return nil
	}
	s := h.String()
	return &s
}

func (r *jsonReporter) progress(p progress) {
	m := keys{
		"state": p.phase, "bytes_done": p.Done, "bytes_total": p.Wanted,
		"bytes_down": p.Down, "bytes_up": p.Up, "bytes_wasted": p.Wasted, "bytes_rehashed": p.Rehashed,
		"down_rate": p.DownRate, "up_rate": p.UpRate, "peers": p.Peers, "seeds": p.Seeds, "banned": p.Banned,
		"eta": nil,
	}
	if p.eta >= 0 {
		m["eta"] = int64(p.eta / time.Second)
	}
	if p.State == engine.FetchingMetadata {
		m["metadata_done"], m["metadata_pieces"] = p.MetadataDone, p.MetadataTotal
	}
	if p.CheckTotal > 0 {
		m["checked"], m["check_total"] = p.Checked, p.CheckTotal
	}
	r.event("progress", p.InfoHash, m)
}

func (r *jsonReporter) file(hash metainfo.Hash, path string) {
	r.event("file", hash, keys{"path": path})
}

func (r *jsonReporter) fault(hash metainfo.Hash, err error) {
	r.event("error", hash, keys{"error": oneLine(err.Error()), "exit_code": exitCode(err), "fatal": true})
	if !isSignal(err) {
		r.mu.Lock()
		defer r.mu.Unlock()
		complain(r.st, err)
	}
}

func (r *jsonReporter) ended(int)           {}
func (r *jsonReporter) note(string, ...any) {}
func (r *jsonReporter) log() io.Writer      { return r.st.err }
func (r *jsonReporter) pace() time.Duration { return progressEvery }
func (r *jsonReporter) close()              {}
