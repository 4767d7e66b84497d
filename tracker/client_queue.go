package tracker

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// job is a request with its parsed URL.
type job struct {
	Request
	u *url.URL
}

func (j *job) host() string { return strings.ToLower(j.u.Host) }

// queue decides which request may run: at most total at a time, perHost of them to
// one host, whose requests begin at a bounded rate. Within a host good-byes go first,
// then events, then periodic announces and scrapes, each kind first come, first
// served; hosts take turns. Time is given in.
type queue struct {
	perHost, total int
	pace           time.Duration // between the begins of a host's requests, on average; 0: none
	running        int

	hosts   map[string]*hostQueue
	turn    []*hostQueue // hosts that have something to run and room for it, in turn
	resting []*hostQueue // hosts that would be in turn but for their pace
}

// burst is how many requests may begin at once at a host that was idle.
const burst = 50

// Kinds of requests, as the index of their list.
const (
	goodBye = iota // "stopped": short-lived and not paced, the program wants to end
	event
	routine
	kinds
)

func (j *job) kind() int {
	switch j.Event {
	case Stopped:
		return goodBye
	case None:
		return routine
	}
	return event
}

// hostQueue is what waits for one host.
type hostQueue struct {
	name    string
	lists   [kinds][]job
	running int
	dead    int       // requests in a row that did not reach it
	paid    time.Time // until when its pace is used up
	place   place
}

// place is where a host is listed.
type place uint8

const (
	nowhere place = iota
	inTurn
	atRest
)

func newQueue(perHost, total int, pace time.Duration) queue {
	return queue{perHost: perHost, total: total, pace: pace, hosts: map[string]*hostQueue{}}
}

func (q *queue) push(j job, now time.Time) {
	h := q.hosts[j.host()]
	if h == nil {
		h = &hostQueue{name: j.host()}
		q.hosts[h.name] = h
	}
	h.lists[j.kind()] = append(h.lists[j.kind()], j)
	q.enlist(h, now)
}

func (h *hostQueue) waiting() int {
	return len(h.lists[goodBye]) + len(h.lists[event]) + len(h.lists[routine])
}

// rested reports whether the host's pace allows another begin.
func (q *queue) rested(h *hostQueue, now time.Time) bool {
	return len(h.lists[goodBye]) > 0 || !h.paid.After(now.Add(burst*q.pace))
}

// enlist puts a host where it belongs.
func (q *queue) enlist(h *hostQueue, now time.Time) {
	to := nowhere
	switch {
	case h.waiting() == 0 || h.running >= q.perHost:
	case h.dead > 0 && h.running > 0: // in doubt: those under way will tell
	case q.rested(h, now):
		to = inTurn
	default:
		to = atRest
	}
	if to == h.place {
		return
	}
	switch h.place {
	case inTurn:
		q.turn = without(q.turn, h)
	case atRest:
		q.resting = without(q.resting, h)
	}
	switch h.place = to; to {
	case inTurn:
		q.turn = append(q.turn, h)
	case atRest:
		q.resting = append(q.resting, h)
	}
}

func without(list []*hostQueue, h *hostQueue) []*hostQueue {
	i := slices.Index(list, h)
	return slices.Delete(list, i, i+1)
}

// next takes the job that may run now.
func (q *queue) next(now time.Time) (job, bool) {
	for _, h := range slices.Clone(q.resting) {
		q.enlist(h, now)
	}
	q.prune(now)
	if len(q.turn) == 0 || q.running >= q.total {
		return job{}, false
	}
	h := q.turn[0]
	q.turn = slices.Delete(q.turn, 0, 1)
	h.place = nowhere
	j := h.pop()
	h.running++
	q.running++
	if h.paid.Before(now) {
		h.paid = now
	}
	h.paid = h.paid.Add(q.pace)
	q.enlist(h, now)
	return j, true
}

// prune forgets hosts that have nothing to remember, once there are many.
func (q *queue) prune(now time.Time) {
	const many = 256
	if len(q.hosts) <= many {
		return
	}
	for _, h := range q.hosts { //order: irrelevant, each is judged by itself
		if h.waiting() == 0 && h.running == 0 && !h.paid.After(now) {
			delete(q.hosts, h.name)
		}
	}
}

func (h *hostQueue) pop() job {
	for i := range h.lists {
		if list := h.lists[i]; len(list) > 0 {
			j := list[0]
			list[0] = job{}
			h.lists[i] = list[1:]
			return j
		}
	}
	panic("tracker: nothing waits for a host in turn")
}

// wake is when a resting host may go on, ok only if there is one and room to run.
func (q *queue) wake() (at time.Time, ok bool) {
	if q.running >= q.total {
		return at, false
	}
	for _, h := range q.resting {
		if t := h.paid.Add(-burst * q.pace); !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	return at, ok
}

// done takes note of a job's end. When as many requests in a row as may run at a
// time have not reached the host, it returns all that wait for it, to be answered
// with the last error: thousands of torrents must not wait for a dead host's
// timeouts one after another.
func (q *queue) done(j job, alive bool, now time.Time) (givenUp []job) {
	h := q.hosts[j.host()]
	h.running--
	q.running--
	h.dead++
	if alive {
		h.dead = 0
	}
	if h.dead >= q.perHost {
		givenUp = h.clear()
		h.dead = 0
	}
	q.enlist(h, now)
	if h.waiting() == 0 && h.running == 0 && !h.paid.After(now) {
		delete(q.hosts, h.name)
	}
	return givenUp
}

func (h *hostQueue) clear() []job {
	all := slices.Concat(h.lists[:]...)
	h.lists = [kinds][]job{}
	return all
}

// clear returns everything that waits.
func (q *queue) clear(now time.Time) []job {
	var all []job
	for _, h := range q.hosts { //order: irrelevant, each is answered to its own asker
		all = append(all, h.clear()...)
		q.enlist(h, now)
	}
	return all
}
