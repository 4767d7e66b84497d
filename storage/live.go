//pump: goroutines around jobs, each of which may wait for a disk.

package storage

import (
	"runtime"
	"sync"
)

// LiveWorkers run jobs on goroutines: one per core for hashing, two each for
// reading and writing, one for syncing, two for all else. They start with the
// first job of their lane.
type LiveWorkers struct {
	disk  *Disk
	lanes [Lanes]liveLane
	wg    sync.WaitGroup
}

// liveLane is a queue and those who take from it.
type liveLane struct {
	mu     sync.Mutex
	cond   *sync.Cond
	jobs   queue[*Job]
	idle   int
	alive  int
	most   int
	closed bool
}

// NewLiveWorkers makes workers on the machine's files.
func NewLiveWorkers() *LiveWorkers { return NewWorkers(NewDisk(OS{}, maxOpenFiles())) }

// NewWorkers makes workers on a Disk, which they close.
func NewWorkers(d *Disk) *LiveWorkers {
	w := &LiveWorkers{disk: d}
	most := [Lanes]int{
		LaneHash: runtime.GOMAXPROCS(0), LaneRead: 2, LaneWrite: 2, LaneSync: 1, LaneSlow: 2,
	}
	for i := range w.lanes {
		l := &w.lanes[i]
		l.cond, l.most = sync.NewCond(&l.mu), most[i]
	}
	return w
}

// Lanes is how many jobs of each lane the actor should have under way: one at work
// and one at hand for each goroutine. It goes into Config.
func (w *LiveWorkers) Lanes() (n [Lanes]int) {
	for i := range w.lanes {
		n[i] = 2 * w.lanes[i].most
	}
	n[LaneHash] = min(n[LaneHash], MailLimit/2)
	n[LaneSync], n[LaneSlow] = 1, 2
	return n
}

// Do implements Workers.
func (w *LiveWorkers) Do(j *Job) {
	l := &w.lanes[j.lane]
	l.mu.Lock()
	l.jobs.push(j)
	if l.idle == 0 && l.alive < l.most {
		l.alive++
		w.wg.Go(func() { w.work(l) })
	}
	l.mu.Unlock()
	l.cond.Signal()
}

func (w *LiveWorkers) work(l *liveLane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.jobs.len() == 0 {
			if l.closed {
				return
			}
			l.idle++
			l.cond.Wait()
			l.idle--
		}
		j := l.jobs.pop()
		l.mu.Unlock()
		j.Run(w.disk)
		j.Done()
		l.mu.Lock()
	}
}

// Close waits until all jobs are done, then closes all files. The actor must have
// ended, or have nothing left to do.
func (w *LiveWorkers) Close() error {
	for i := range w.lanes {
		l := &w.lanes[i]
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		l.cond.Broadcast()
	}
	w.wg.Wait()
	return w.disk.Close()
}
