package storage

// control is embedded by tasks that move no payload through the slab.
type control struct{}

func (control) bytes() int64 { return 0 }
func (control) drop()        {}
func (control) phantom(bool) {}

// syncTask makes durable what was written, and then records that.
type syncTask struct {
	control
	store      *store
	files      []int32
	parts      bool
	record     []byte
	pieces     []int32 // the actor's, from here on
	lost       []int32
	bytesDirty int64
	wait       []Sync

	err, recordErr error
}

func (k *syncTask) kind() string { return "sync" }

// stateTask appends a record to the state file.
type stateTask struct {
	control
	store  *store
	record []byte
	cookie uint64
	answer bool
	err    error
}

func (k *stateTask) kind() string { return "state" }

// compactTask replaces the state file by a snapshot.
type compactTask struct {
	control
	store *store
	data  []byte
	err   error
}

func (k *compactTask) kind() string { return "compact" }

// bootTask opens the state folder.
type bootTask struct {
	control
	dir    string
	shared bool

	boot string
	err  error
}

func (k *bootTask) kind() string { return "boot" }
func (k *bootTask) phantom(bool) { k.boot = "phantom" }

// openTask opens a torrent: its lock, its state file, its folder.
type openTask struct {
	control
	key string
	lay *layout
	dir string
	opt Options

	store      *store
	facts      *facts
	logged     int64   // bytes behind the snapshot
	unfinished []int32 // files that don't have their final name
	made       []int32 // files without data that were made
	unsynced   []int32 // files that an earlier run may have left so
	err        error
}

func (k *openTask) kind() string { return "open" }

func (k *openTask) phantom(whole bool) {
	k.facts = newFacts(k.lay.Pieces(), int32(len(k.lay.files)), k.dir)
	k.facts.placed.SetAll()
	k.facts.boot = "phantom"
	if whole {
		k.facts.durable.SetAll()
	}
	k.store = &store{lay: k.lay}
}

// closeTask ends a torrent's stay on the disk.
type closeTask struct {
	control
	store  *store
	clean  bool // all that was written is durable
	remove bool // the payload too
	forget bool // and what is known of it
	err    error
}

func (k *closeTask) kind() string { return "close" }

// selectTask makes files that are wanted now, with what the part store has of them.
type selectTask struct {
	control
	store  *store
	files  []int32
	copies []span // of each file, what is in the part store
	record []byte
	clear  bool // the part store is not needed any more
	cookie uint64
	answer bool

	made           []int32 // files without data that were made
	err, recordErr error
}

func (k *selectTask) kind() string { return "select" }

// finishTask gives a complete file its final name and permissions.
type finishTask struct {
	control
	store *store
	file  int32

	copier *copier // set if it has to be copied to another device; nothing has been done then
	err    error
}

func (k *finishTask) kind() string { return "finish" }

// arrivedTask looks at files that are complete.
type arrivedTask struct {
	control
	store *store
	files []int32

	errs []error // by place in files; none: all are well
}

func (k *arrivedTask) kind() string { return "arrived" }

// renameTask gives a file another path.
type renameTask struct {
	control
	store  *store
	file   int32
	to     renaming
	cookie uint64

	err error
}

func (k *renameTask) kind() string { return "rename" }

// lookTask looks whether files are those that we know, and as long as they were. It
// says what is wrong with one of them, or with heal takes them as they are, if only
// they are there.
type lookTask struct {
	control
	store  *store
	heal   bool
	files  []span // to be healed
	cookie uint64
	answer bool

	ill []span // files that are other ones now or have been cut, and their lengths
	err error
}

func (k *lookTask) kind() string { return "look" }

// rewriteTask reads pieces and writes those that are good again.
type rewriteTask struct {
	control
	store  *store
	pieces []verifyPiece

	err error
}

func (k *rewriteTask) kind() string { return "rewrite" }
func (k *rewriteTask) phantom(bool) {
	for i := range k.pieces {
		k.pieces[i].done, k.pieces[i].ok = true, true
	}
}

// linkTask makes the symbolic links of a torrent that is complete.
type linkTask struct {
	control
	store *store
	links []int32

	err error
}

func (k *linkTask) kind() string { return "link" }
