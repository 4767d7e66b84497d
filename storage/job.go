package storage

import "github.com/shoal-bt/shoal/actor"

// Workers carry out jobs on whatever files there are. Each job is answered by its
// Done, exactly once. Do never waits. The actor bounds how many jobs of a lane are
// under way, so a queue per lane never grows beyond that.
type Workers interface {
	Do(j *Job)
}

// Lane is a kind of worker: jobs of one lane don't wait for those of another.
type Lane uint8

// Lanes.
const (
	LaneHash  Lane = iota // computing, and reading what is verified
	LaneRead              // uploads
	LaneWrite             // payload
	LaneSync              // making durable
	LaneSlow              // all else: opening, moving, state files
	Lanes     = 5
)

// Job is one piece of work that may block. It holds all that it needs and comes
// back to the actor as its own answer.
type Job struct {
	lane  Lane
	t     *torrent // the actor's; workers don't look at it
	task  task
	reply actor.Ref[Message]
}

// task is what a job does. run and phantom are called by a worker, drop by whoever
// finds that the job can't be delivered.
type task interface {
	kind() string
	bytes() int64
	run(d *Disk)
	phantom(whole bool)
	drop()
}

// Lane returns the kind of worker that the job is for.
func (j *Job) Lane() Lane { return j.lane }

// Kind names what the job does, for models of cost and traces.
func (j *Job) Kind() string { return j.task.kind() }

// Bytes is how much payload the job hashes, reads or writes.
func (j *Job) Bytes() int64 { return j.task.bytes() }

// Run does the work and waits for as long as it takes.
func (j *Job) Run(d *Disk) { j.task.run(d) }

// RunPhantom does the work for payload that has no bytes: a piece is good if the
// marks of all its blocks are 0, and nothing is stored. whole says that the
// torrent's payload is there from the beginning, as at a seed.
func (j *Job) RunPhantom(whole bool) { j.task.phantom(whole) }

// Done hands the job back to the actor. It never waits.
func (j *Job) Done() { j.reply.Tell(j) }

// Torrent names the torrent that the job belongs to; ok is false if to none.
func (j *Job) Torrent() (id ID, ok bool) {
	if j.t == nil {
		return 0, false
	}
	return j.t.id, true
}

// Drop implements actor.Dropper: the actor has ended before its job.
func (j *Job) Drop() { j.task.drop() }

// Digest implements sim's digester: the kind and the size go into the event hash.
func (j *Job) Digest() uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(j.task.kind()) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h ^ uint64(j.task.bytes())
}

func (*Job) storageMsg() {}
