package tracker

import (
	"net/url"
	"strings"
)

// job is a request with its parsed URL.
type job struct {
	Request
	u *url.URL
}

func (j *job) host() string { return strings.ToLower(j.u.Host) }

// queue decides which request may run: at most total at a time, perHost of them to
// one host. Within a host events go before periodic announces, otherwise first come,
// first served; hosts take turns.
type queue struct {
	perHost, total, running int

	hosts map[string]*hostQueue
	turn  []*hostQueue // hosts that have something to run and room for it, in turn
}

// hostQueue is what waits for one host.
type hostQueue struct {
	name         string
	events, rest []job
	running      int
	dead         int  // requests in a row that did not reach it
	inTurn       bool // it is in queue.turn
}

func newQueue(perHost, total int) queue {
	return queue{perHost: perHost, total: total, hosts: map[string]*hostQueue{}}
}

func (q *queue) push(j job) {
	h := q.hosts[j.host()]
	if h == nil {
		h = &hostQueue{name: j.host()}
		q.hosts[h.name] = h
	}
	if j.Event != None {
		h.events = append(h.events, j)
	} else {
		h.rest = append(h.rest, j)
	}
	q.enlist(h)
}

func (h *hostQueue) waiting() int { return len(h.events) + len(h.rest) }

func (q *queue) enlist(h *hostQueue) {
	if h.dead > 0 && h.running > 0 {
		return // in doubt: those under way will tell
	}
	if !h.inTurn && h.waiting() > 0 && h.running < q.perHost {
		h.inTurn = true
		q.turn = append(q.turn, h)
	}
}

// next takes the job that may run now.
func (q *queue) next() (job, bool) {
	if len(q.turn) == 0 || q.running >= q.total {
		return job{}, false
	}
	h := q.turn[0]
	q.turn = q.turn[1:]
	h.inTurn = false
	list := &h.events
	if len(*list) == 0 {
		list = &h.rest
	}
	j := (*list)[0]
	(*list)[0] = job{}
	*list = (*list)[1:]
	h.running++
	q.running++
	q.enlist(h)
	return j, true
}

// done takes note of a job's end. When as many requests in a row as may run at a
// time have not reached the host, it returns all that wait for it, to be answered
// with the last error: thousands of torrents must not wait for a dead host's
// timeouts one after another.
func (q *queue) done(j job, alive bool) (givenUp []job) {
	h := q.hosts[j.host()]
	h.running--
	q.running--
	h.dead++
	if alive {
		h.dead = 0
	}
	if h.dead >= q.perHost {
		givenUp = append(h.events, h.rest...)
		h.events, h.rest, h.dead = nil, nil, 0
	}
	if h.waiting() == 0 || h.dead > 0 && h.running > 0 {
		q.unlist(h)
	}
	q.enlist(h)
	if h.waiting() == 0 && h.running == 0 {
		delete(q.hosts, h.name)
	}
	return givenUp
}

func (q *queue) unlist(h *hostQueue) {
	if !h.inTurn {
		return
	}
	kept := make([]*hostQueue, 0, len(q.turn))
	for _, x := range q.turn {
		if x != h {
			kept = append(kept, x)
		}
	}
	q.turn, h.inTurn = kept, false
}

// clear returns everything that waits.
func (q *queue) clear() []job {
	var all []job
	for _, h := range q.hosts { //order: irrelevant, each is answered to its own asker
		all = append(append(all, h.events...), h.rest...)
		h.events, h.rest, h.inTurn = nil, nil, false
	}
	q.turn = nil
	return all
}
