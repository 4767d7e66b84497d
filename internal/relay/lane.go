package relay

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/internal/netpath"
)

// batch is how many datagrams a lane takes from its heap at a time; spares how many
// buffers it keeps for others, of smallBuffer bytes each.
const (
	batch       = 64
	spares      = 4096
	smallBuffer = 2048
)

// item is a datagram on its way.
type item struct {
	at  clock.Time
	n   uint64 // order of coming, among those of one moment
	b   []byte
	via *net.UDPConn
	to  netip.AddrPort
}

// lane is one direction: a link, and a goroutine that sends what has arrived.
type lane struct {
	began time.Time
	wake  chan struct{} // capacity 1: the first item changed
	done  chan struct{}
	ended chan struct{}

	mu    sync.Mutex
	link  *netpath.Link
	air   heap
	count uint64
	spare [][]byte
}

func newLane(l *netpath.Link, began time.Time) *lane {
	a := &lane{began: began, link: l, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	go a.run()
	return a
}

func (a *lane) now() clock.Time { return clock.Time(time.Since(a.began)) }

func (a *lane) stats() netpath.Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.link.Stats()
}

func (a *lane) close() {
	close(a.done)
	<-a.ended
}

// take puts a copy of b on its way.
func (a *lane) take(b []byte, headers int, via *net.UDPConn, to netip.AddrPort) {
	now := a.now()
	a.mu.Lock()
	f := a.link.Carry(now, len(b)+headers)
	first := false
	for _, at := range f.At[:f.Copies] {
		a.count++
		a.air.push(item{at, a.count, append(a.buffer(len(b)), b...), via, to})
		first = first || a.air[0].n == a.count
	}
	a.mu.Unlock()
	if first {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// buffer returns an empty slice with room for n bytes.
func (a *lane) buffer(n int) []byte {
	if k := len(a.spare); k > 0 && n <= smallBuffer {
		b := a.spare[k-1]
		a.spare = a.spare[:k-1]
		return b[:0]
	}
	return make([]byte, 0, max(n, smallBuffer))
}

// run sends datagrams when their time has come.
func (a *lane) run() {
	defer close(a.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []item
	for {
		var wait clock.Duration
		due, wait = a.due(due[:0])
		for i := range due {
			// What cannot be sent is lost, as on any path.
			_, _ = due[i].via.WriteToUDPAddrPort(due[i].b, due[i].to)
		}
		if len(due) > 0 {
			a.recycle(due)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-a.wake:
		case <-a.done:
			return
		}
	}
}

// due takes what has arrived from the heap, or says how long nothing will.
func (a *lane) due(into []item) ([]item, clock.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for len(a.air) > 0 && len(into) < batch {
		if a.air[0].at > now {
			return into, a.air[0].at.Sub(now)
		}
		into = append(into, a.air.pop())
	}
	return into, time.Hour
}

func (a *lane) recycle(sent []item) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range sent {
		if b := sent[i].b; cap(b) == smallBuffer && len(a.spare) < spares {
			a.spare = append(a.spare, b)
		}
		sent[i] = item{}
	}
}

// heap orders items by time, then by coming.
type heap []item

func (h heap) before(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].n < h[j].n
}

func (h *heap) push(x item) {
	*h = append(*h, x)
	s := *h
	for i := len(s) - 1; i > 0 && s.before(i, (i-1)/2); i = (i - 1) / 2 {
		s[i], s[(i-1)/2] = s[(i-1)/2], s[i]
	}
}

func (h *heap) pop() item {
	s := *h
	top, last := s[0], len(s)-1
	s[0], s[last] = s[last], item{}
	s = s[:last]
	*h = s
	for i := 0; ; {
		c := 2*i + 1
		if c >= last {
			return top
		}
		if c+1 < last && s.before(c+1, c) {
			c++
		}
		if !s.before(c, i) {
			return top
		}
		s[i], s[c] = s[c], s[i]
		i = c
	}
}
