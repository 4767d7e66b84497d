package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/actor"
	"github.com/shoal-bt/shoal/dht"
	"github.com/shoal-bt/shoal/tracker"
)

// SourceStats says what came of looking for peers in one place, in words for people.
type SourceStats struct {
	Name  string        // "tracker", "dht", "pex", "lsd", "user" or "incoming"
	State string        // such as "off: private torrent", "3 lookups, 40 of 45 nodes answered"
	On    bool          // it is asked; false: it is off, or there is nothing to ask
	Trial bool          // an answer is still awaited
	Peers int32         // addresses that it has named
	Since time.Duration // since it named the last one; negative: it has named none
}

// tally counts what sources have said. Owner: the torrent.
type tally struct {
	named   [sourceKinds]int32
	last    [sourceKinds]actor.Time
	lookups int32 // in the DHT
	ended   int32
	queried int32
	replied int32
	stored  int32
	err     error // of the last lookup
}

// note counts an address that a source has named for the first time.
func (y *tally) note(s Source, now actor.Time) {
	y.named[s]++
	y.last[s] = now
}

// done counts a lookup.
func (y *tally) done(a dht.LookupDone) {
	y.ended++
	y.queried += int32(a.Effort.Queried)
	y.replied += int32(a.Effort.Replied)
	y.stored += int32(a.Stored)
	y.err = a.Err
}

// sum adds what several sources have named.
func (y *tally) sum(now actor.Time, name, state string, on, trial bool, of ...Source) SourceStats {
	s := SourceStats{Name: name, State: state, On: on, Trial: trial, Since: -1}
	for _, k := range of {
		s.Peers += y.named[k]
		if d := now.Sub(y.last[k]); y.named[k] > 0 && (s.Since < 0 || d < s.Since) {
			s.Since = d
		}
	}
	return s
}

// sourceStats says of each source what it was asked and what came of it, so that
// whoever wonders why there is no peer has an answer.
func (t *torrent) sourceStats(now actor.Time) []SourceStats {
	y := &t.disc.tally
	track, asked, asking := t.trackerWords()
	nodes, dhtOn, looking := t.dhtWords()
	local, lsdOn := t.lsdWords()
	exch, pexOn := t.pexWords()
	in, open := t.incomingWords()
	return []SourceStats{
		y.sum(now, "tracker", track, asked, asking, SourceTracker, SourceLocalTracker),
		y.sum(now, "dht", nodes, dhtOn, looking, SourceDHT, SourceLocalDHT),
		y.sum(now, "pex", exch, pexOn, false, SourcePEX, SourceLocalPEX),
		y.sum(now, "lsd", local, lsdOn, false, SourceLSD),
		y.sum(now, "user", t.userWords(), y.named[SourceUser]+y.named[SourceResume] > 0, false, SourceUser, SourceResume),
		y.sum(now, "incoming", in, open, false, SourceIncoming),
	}
}

const offPrivate = "off: private torrent"

func (t *torrent) trackerWords() (words string, on, asking bool) {
	var working, failing, trying int
	err := ""
	for _, r := range t.news.reports {
		switch r.State {
		case tracker.Working:
			working++
		case tracker.Failing:
			failing++
			err = r.Err
		case tracker.Asking:
			trying++
		}
	}
	switch n := len(t.news.reports); {
	case n == 0 && len(t.cfg.given)+len(t.cfg.extra)+t.trackerCount() == 0:
		return "none", false, false
	case n == 0:
		return "not asked yet", true, true
	case working > 0:
		return fmt.Sprintf("%s answered", count(working, "tracker")), true, trying > 0
	case failing > 0 && trying == 0:
		return fmt.Sprintf("%s failed: %s", count(failing, "tracker"), err), true, false
	case failing > 0:
		return fmt.Sprintf("%s failed (%s), %d asked", count(failing, "tracker"), err, trying), true, true
	}
	return fmt.Sprintf("%s asked, no answer yet", count(max(trying, 1), "tracker")), true, true
}

// trackerCount is how many trackers the torrent itself names.
func (t *torrent) trackerCount() (n int) {
	if t.cfg.trackers != nil {
		return len(t.cfg.trackers)
	}
	if t.cfg.meta != nil {
		return len(t.cfg.meta.Trackers)
	}
	return 0
}

func (t *torrent) dhtWords() (words string, on, trial bool) {
	d := &t.disc
	y := &d.tally
	running := d.waiting || d.turn
	switch {
	case t.private():
		return offPrivate, false, false
	case t.cfg.noDHT || d.at.dhtOff || d.at.finders.IsZero():
		return "off", false, false
	case y.replied == 0 && !d.at.dhtUp:
		why := "no node has answered"
		if y.queried > 0 {
			why = fmt.Sprintf("none of %s has answered", count(int(y.queried), "node"))
		}
		if d.at.dhtWhy != "" {
			why += ": " + strings.TrimPrefix(d.at.dhtWhy, "dht: ")
		}
		return why, true, true
	case y.ended == 0:
		return "looking", true, true
	}
	words = fmt.Sprintf("%s, %d of %d nodes answered", count(int(y.ended), "lookup"), y.replied, y.queried)
	if running {
		words += ", looking"
	}
	return words, true, running
}

func (t *torrent) lsdWords() (words string, on bool) {
	d := &t.disc
	switch {
	case t.private():
		return offPrivate, false
	case t.cfg.noLSD || d.at.lsdOff || d.at.finders.IsZero():
		return "off", false
	case d.at.lsdWhy != "":
		return d.at.lsdWhy, true
	case d.tally.named[SourceLSD] > 0:
		return "neighbours have answered", true
	}
	return "nobody in the local network has answered", true
}

func (t *torrent) pexWords() (words string, on bool) {
	switch {
	case t.private():
		return offPrivate, false
	case t.cfg.noPEX:
		return "off", false
	}
	n := 0
	for _, p := range t.swarm.list {
		if p.mayBeTold() {
			n++
		}
	}
	if n == 0 {
		return "no connected peer to ask", true
	}
	return fmt.Sprintf("%s to ask", count(n, "peer")), true
}

func (t *torrent) userWords() string {
	y := &t.disc.tally
	switch given, kept := y.named[SourceUser], y.named[SourceResume]; {
	case given > 0 && kept > 0:
		return fmt.Sprintf("%d given, %d remembered", given, kept)
	case kept > 0:
		return fmt.Sprintf("%d remembered", kept)
	case given > 0:
		return fmt.Sprintf("%d given", given)
	}
	return "none"
}

func (t *torrent) incomingWords() (words string, on bool) {
	if t.cfg.port == 0 {
		return "off: not listening", false
	}
	for _, p := range t.swarm.list {
		if p.incoming && p.live {
			return fmt.Sprintf("listening at port %d, peers have come", t.cfg.port), true
		}
	}
	return fmt.Sprintf("listening at port %d, nobody has come", t.cfg.port), true
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
