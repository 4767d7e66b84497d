package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/tracker"
)

// diagnosis is what was tried to find peers, and what came of it.
type diagnosis struct {
	peers, known int32
	nameless     bool // nobody has told yet what the torrent is
	trackers     []engine.TrackerStats
	sources      []engine.SourceStats
	failures     []string // the last reasons why no connection came about
}

// diagnosis asks the engine for it. What does not come is left out: the rest is still
// worth saying.
func (x *transfer) diagnosis() diagnosis {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	d := diagnosis{peers: x.stats.Peers, known: x.stats.Known, nameless: x.stats.State == engine.FetchingMetadata, sources: x.stats.Sources, failures: x.stats.Failures}
	if x.t != nil {
		d.trackers, _ = x.t.Trackers(ctx)
	}
	return d
}

// explain is all that in one line.
func (x *transfer) explain() string {
	d := x.diagnosis()
	return d.text()
}

// diagnose tells it while there is still time to do something about it.
func (x *transfer) diagnose() { x.rep.note("%s: %s", x.name, x.tellDiagnosis()) }

// tellDiagnosis tells a program, once, and returns what to tell a person.
func (x *transfer) tellDiagnosis() string {
	x.moves.said = true
	d := x.diagnosis()
	x.rep.event("diagnosis", x.hash, keys{"text": d.text(), "peers": d.peers, "addresses": d.known,
		"trackers": d.trackersJSON(), "sources": d.sourcesJSON(), "failures": nonNilTexts(d.failures)})
	return d.text()
}

// maxTold trackers are told one by one; --json has all.
const maxTold = 5

// text is one line for people.
func (d *diagnosis) text() string {
	said := []string{count(d.peers, "peer") + " connected"}
	switch {
	case d.peers == 0:
		said[0] = "no peer, " + addresses(d.known) + " known"
	case d.nameless:
		said[0] += ", none has sent all of the metadata"
	}
	for _, t := range d.trackers[:min(len(d.trackers), maxTold)] {
		said = append(said, "tracker "+tracker.Redact(t.URL)+": "+saidBy(&t))
	}
	if n := len(d.trackers) - maxTold; n > 0 {
		said = append(said, "and "+count(n, "more tracker"))
	}
	if len(d.trackers) == 0 {
		said = append(said, "no tracker to ask")
	}
	for _, s := range d.sources {
		if text := sourceText(&s); text != "" {
			said = append(said, text)
		}
	}
	if n := len(d.failures); n > 0 {
		said = append(said, "last tried "+d.failures[n-1])
	}
	if len(d.trackers) == 0 {
		said = append(said, "give a tracker with --tracker, or a peer with --peer")
	}
	return strings.Join(said, "; ")
}

// sourceNames is how people know the sources of addresses. Trackers are told one by
// one, and peers of the user's by what came of them.
var sourceNames = map[string]string{"dht": "DHT", "pex": "PEX", "lsd": "LSD"}

// sourceText is what came of one source, "" if there is nothing to say.
func sourceText(s *engine.SourceStats) string {
	name, known := sourceNames[s.Name]
	if !known || s.State == "" {
		return ""
	}
	return name + ": " + s.State
}

func (d *diagnosis) trackersJSON() []map[string]any {
	list := make([]map[string]any, len(d.trackers))
	for i, t := range d.trackers {
		list[i] = map[string]any{"url": tracker.Redact(t.URL), "state": t.State, "error": t.Err}
	}
	return list
}

func (d *diagnosis) sourcesJSON() []map[string]any {
	list := make([]map[string]any, len(d.sources))
	for i, s := range d.sources {
		list[i] = map[string]any{"name": s.Name, "state": s.State, "on": s.On, "addresses": s.Peers}
	}
	return list
}

func nonNilTexts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func addresses(n int32) string {
	switch n {
	case 0:
		return "no address"
	case 1:
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// saidBy is what a tracker said last.
func saidBy(t *engine.TrackerStats) string {
	switch {
	case t.Err != "":
		return t.Err
	case t.State == "working":
		return "knows " + count(max(t.Seeds, 0), "seed") + ", " + count(max(t.Leechers, 0), "leecher")
	}
	if t.State == "asking" {
		return "no answer yet"
	}
	return t.State
}
