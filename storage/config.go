package storage

import (
	"time"

	"github.com/shoal-bt/shoal/internal/block"
)

// Config configures a Storage.
type Config struct {
	Workers Workers
	// Slab is what received blocks are leased from: its use is what is watched.
	Slab *block.Slab
	// Uploads is what reads are leased from, which bounds what waits on slow
	// receivers. Default: a slab of its own with a quarter of Slab's budget.
	Uploads *block.Slab
	// StateDir holds what is known of torrents over restarts; "": nothing is kept.
	StateDir string
	// Shared lets several processes use StateDir at a time, each torrent in one
	// of them only. Otherwise the whole folder is locked.
	Shared bool
	// Lanes says how many jobs of each lane may be under way; 0 is the default,
	// which does not depend on the machine. See LiveWorkers.Lanes.
	Lanes [Lanes]int
}

// MailLimit is what the actor's mailbox must allow for besides the windows of
// torrents and peers: its own jobs.
const MailLimit = 256

// marks are bounds of the slab's use, in slots.
type marks struct {
	full int // cold partial pieces are spilled whatever else is under way
	high int // torrents stop asking; cold partial pieces are spilled if nothing else gives room
	low  int // they go on
	kept int // the most that a disk in trouble may hold back in memory
}

func marksOf(budget int) marks {
	return marks{full: budget * 7 / 8, high: budget * 3 / 4, low: budget / 2, kept: budget / 4}
}

const (
	// runBlocks is how many blocks in order are worth a hash job: 256 KiB.
	runBlocks = 16
	// mateTime is how long a run that could be hashed waits for another piece's.
	mateTime = 3 * time.Millisecond
	// writeBlocks is the most that small pieces are merged to: 1 MiB.
	writeBlocks = 64
	// syncEvery and syncBytes bound what a power cut can cost: ADR 0005.
	syncEvery = 5 * time.Second
	syncBytes = 512 << 20
	// pastRun is the shortest write that goes past the page cache, which gathers short
	// ones; pastTotal the smallest torrent; and readRecently how long after a peer's
	// read what is written stays in the cache, since it may be what is asked for next.
	pastRun      = 256 << 10
	pastTotal    = 64 << 20
	readRecently = 10 * time.Second
	// roomEvery is how often it is looked whether slots have been released, while
	// somebody waits for that.
	roomEvery = 5 * time.Millisecond
	// retryFirst and retryMost bound the pauses between attempts to write to a
	// disk that failed.
	retryFirst = time.Second
	retryMost  = 15 * time.Second
	// maxRead is the longest Read.
	maxRead = 256 << 10
	// verifyBytes is how much one job verifies, but at least one piece.
	verifyBytes = 8 << 20
	// compactBytes is how long a state file may at least grow.
	compactBytes = 256 << 10
)

// withDefaults fills in what is not given.
func (c Config) withDefaults() Config {
	if c.Uploads == nil {
		c.Uploads = block.NewSlab(int64(max(c.Slab.Budget()/4, maxRead/block.Size)) * block.Size)
	}
	for lane, n := range [Lanes]int{LaneHash: 4, LaneRead: 4, LaneWrite: 4, LaneSync: 1, LaneSlow: 2} {
		if c.Lanes[lane] == 0 {
			c.Lanes[lane] = n
		}
	}
	return c
}
