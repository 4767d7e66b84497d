package sim

import (
	"time"

	"github.com/shoal-bt/shoal/internal/clock"
	"github.com/shoal-bt/shoal/storage"
)

// DiskModel says how fast a host's disk and hashing are, in bytes a second.
type DiskModel struct {
	Hash, Read, Write int64
	Seek              clock.Duration // of every job that touches the disk
}

// FastDisk is a disk that is no bottleneck in most experiments.
var FastDisk = DiskModel{Hash: 1 << 30, Read: 1 << 30, Write: 500 << 20, Seek: 100 * time.Microsecond}

// Disk is a host's workers: it carries storage's jobs out in virtual time, each lane
// one job after the other. With a storage.Disk the jobs run on its files; without,
// payload is a phantom and nothing is kept.
type Disk struct {
	w     *World
	model DiskModel
	files *storage.Disk
	whole bool // phantom payload is there from the beginning, as at a seed
	free  [storage.Lanes]clock.Time
	jobs  int
}

// NewDisk makes a disk that carries real bytes.
func NewDisk(w *World, m DiskModel, files *storage.Disk) *Disk {
	return &Disk{w: w, model: m, files: files}
}

// NewPhantomDisk makes a disk of phantom payload; whole says that all is there.
func NewPhantomDisk(w *World, m DiskModel, whole bool) *Disk {
	return &Disk{w: w, model: m, whole: whole}
}

// Do implements storage.Workers.
func (d *Disk) Do(j *storage.Job) {
	lane := j.Lane()
	start := max(d.free[lane], d.w.Now())
	d.free[lane] = start.Add(d.cost(j))
	d.jobs++
	d.w.At(d.free[lane], func() {
		if d.files != nil {
			j.Run(d.files)
		} else {
			j.RunPhantom(d.whole)
		}
		d.jobs--
		j.Done()
	})
}

// cost is how long a job takes.
func (d *Disk) cost(j *storage.Job) clock.Duration {
	rate := d.model.Write
	switch j.Lane() {
	case storage.LaneHash:
		return span(j.Bytes(), d.model.Hash)
	case storage.LaneRead:
		rate = d.model.Read
	}
	return d.model.Seek + span(j.Bytes(), rate)
}

func span(bytes, rate int64) clock.Duration {
	if rate <= 0 {
		return 0
	}
	return clock.Duration(bytes * int64(time.Second) / rate)
}
