package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shoal-bt/shoal/engine"
	"github.com/shoal-bt/shoal/storage"
)

// moves is whether a transfer gets on.
type moves struct {
	from time.Time // when it began
	at   time.Time // when something last moved
	mark [4]int64  // what had moved by then
	peer bool      // one has ever been connected
	idle bool      // a seed that nobody wants any more
	said bool      // the lack of peers has been explained
}

// note takes a snapshot; done is whether uploading is what it is about.
func (m *moves) note(s *engine.TorrentStats, done bool, now time.Time) {
	// Metadata that turns out wrong is thrown away and begun anew, which is no progress.
	mark := [4]int64{s.Done + s.Down, s.Rehashed, 0, max(m.mark[3], int64(s.MetadataDone))}
	if done {
		mark[2] = s.Up
	}
	if mark != m.mark || s.State == engine.Checking || s.State == engine.Starting {
		m.mark, m.at = mark, now
	}
	m.peer = m.peer || s.Peers > 0 || s.Down > 0
}

// explainAfter is how long there may be no peer before a person is told why.
const explainAfter = 15 * time.Second

// overdue ends a transfer that has not moved for --timeout, and explains in time why
// there is no peer.
func (x *transfer) overdue(now time.Time) error {
	x.moves.note(&x.stats, x.done, now)
	if x.done && !x.opt.seedOnly {
		return nil
	}
	if !x.moves.said && !x.done && (!x.moves.peer || x.meta == nil) && now.Sub(x.moves.from) >= explainAfter {
		x.diagnose()
	}
	limit := x.opt.timeout.Duration
	if limit <= 0 || now.Sub(x.moves.at) < limit {
		return nil
	}
	if !x.done && !x.moves.said {
		x.tellDiagnosis() // to a person the error says it
	}
	switch {
	case x.opt.seedOnly:
		return x.unwanted(limit)
	case x.troubled:
		return x.diskError(diskTrouble(x.stats.Err, x.stats.NoSpace))
	case x.meta == nil:
		return fail(exitNoPeers, "%s: no metadata within %v: %s", x.name, limit, x.explain())
	case !x.moves.peer:
		return fail(exitNoPeers, "%s: nothing for %v: %s", x.name, limit, x.explain())
	}
	return fail(exitUnfinished, "%s: no progress for %v: %s", x.name, limit, x.explain())
}

// unwanted ends a seed from which nobody has taken anything for --timeout.
func (x *transfer) unwanted(limit time.Duration) error {
	switch {
	case x.stats.Up == 0 && !x.moves.peer:
		return fail(exitNoPeers, "%s: nobody came for %v: %s", x.name, limit, x.explain())
	case x.opt.seedRatio > 0 || x.opt.seedTime.Duration > 0:
		return fail(exitUnfinished, "%s: nobody took anything for %v", x.name, limit)
	}
	x.moves.idle = true
	return nil
}

// finished reports whether there is nothing left to stay for.
func (x *transfer) finished() bool {
	o := x.opt
	switch {
	case !x.done:
		return false
	case !o.stays(), x.moves.idle:
		return true
	case o.seedTime.Duration > 0 && time.Since(x.doneAt) >= o.seedTime.Duration:
		return true
	}
	return o.seedRatio > 0 && float64(x.stats.UpEver) >= o.seedRatio*float64(max(x.stats.DownEver, x.stats.Wanted))
}

// explained is an error with what to do about it, where the error does not say.
func (x *transfer) explained(err error) error {
	switch {
	case errors.Is(err, storage.ErrLocked):
		return fail(exitExists, "%s: another shoal is at work on it in %s; end that one, or give another --output", x.name, x.add.Dir)
	case errors.Is(err, storage.ErrMissing):
		return fail(exitNotFound, "%s: none of its files is in %s; say with --data where they are", x.name, x.add.Dir)
	case x.name == "" && x.opt.many && !strings.Contains(err.Error(), x.source):
		return fail(exitCode(err), "%s: %w", short(x.source, 80), err)
	}
	return err
}

// fewOf names some of many files.
func fewOf(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more files", strings.Join(names[:most], ", "), len(names)-most)
}

// voices is what the trackers say.
type voices struct {
	last    map[string]string // by URL
	working map[string]bool
	// answered says that one has worked at some time.
	answered bool
}

// note takes a report and returns what there is to say to a person, and whether it
// is news.
func (v *voices) note(url string, r *engine.TrackerStats) (said string, news bool) {
	if v.last == nil {
		v.last, v.working = map[string]string{}, map[string]bool{}
	}
	if r.State == "asking" || r.State == "idle" {
		return "", false // it has not answered
	}
	said = r.Err
	if said == "" {
		said = r.Warning
	}
	v.answered = v.answered || r.Err == ""
	before, known := v.last[url]
	v.last[url], v.working[url] = said, r.Err == ""
	return said, !known || before != said
}

// heard reports whether a tracker has ever answered.
func (v *voices) heard() bool { return v.answered }

// text is all that in a few words.
func (v *voices) text() string {
	if len(v.working) == 0 {
		return ""
	}
	n := 0
	for _, ok := range v.working {
		if ok {
			n++
		}
	}
	return fmt.Sprintf("trackers %d/%d ok", n, len(v.working))
}
