package memfs

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/shoal-bt/shoal/storage"
)

// nameLog is the history of names since the last moment at which all of them were
// durable: base is the tree of then.
type nameLog struct {
	base    *node
	ops     []nameOp
	durable int // ops before it survive a power cut
}

// nameOp gives a node a name, takes a name away (node nil), or renames.
type nameOp struct {
	path string
	node *node
	from string // of a rename
}

func (l *nameLog) link(f *FS, p string, n *node) { l.do(f, nameOp{path: p, node: n}) }
func (l *nameLog) unlink(f *FS, p string)        { l.do(f, nameOp{path: p}) }
func (l *nameLog) rename(f *FS, from, to string) { l.do(f, nameOp{path: to, from: from}) }

func (l *nameLog) do(f *FS, op nameOp) {
	f.apply(f.top, op, true)
	if !f.AllDurable {
		l.ops = append(l.ops, op)
	}
}

// apply carries a change of names out on a tree: now, or when a power cut shows
// what of the log was durable.
func (f *FS) apply(top *node, op nameOp, now bool) {
	n := op.node
	if op.from != "" {
		dir := lookup(top, path.Dir(op.from))
		if dir == nil {
			return
		}
		n = dir.entries[path.Base(op.from)]
		delete(dir.entries, path.Base(op.from))
	}
	dir := lookup(top, path.Dir(op.path))
	if dir == nil || dir.entries == nil {
		return
	}
	if old := dir.entries[path.Base(op.path)]; old != nil && now {
		old.links--
		f.freeSpace(old)
	}
	if n != nil && n.kind == storage.Folder && !now && op.from == "" {
		n = newDir() // what was put into it comes later in the log
	}
	if n == nil {
		delete(dir.entries, path.Base(op.path))
		return
	}
	dir.entries[path.Base(op.path)] = n
}

func (f *FS) freeSpace(n *node) {
	n.free(0)
	for _, c := range n.entries {
		f.freeSpace(c)
	}
}

func lookup(top *node, p string) *node { return (&FS{top: top}).find(p) }

// sync makes the changes of names in a folder durable, with all that came before.
func (l *nameLog) sync(f *FS, dir string) {
	for i, op := range l.ops {
		if path.Dir(op.path) == dir || op.from != "" && path.Dir(op.from) == dir || op.path == dir {
			l.durable = max(l.durable, i+1)
		}
	}
	if l.durable == len(l.ops) {
		l.settle(f)
	}
}

// settle makes all names durable.
func (l *nameLog) settle(f *FS) {
	l.base = copyTree(f.top)
	l.ops, l.durable = nil, 0
}

// copyTree copies folders; files are shared.
func copyTree(n *node) *node {
	if n.kind != storage.Folder {
		return n
	}
	c := *n
	c.entries = make(map[string]*node, len(n.entries))
	for name, e := range n.entries {
		c.entries[name] = copyTree(e)
	}
	return &c
}

// SwitchOff makes the call n calls from now, and all that follow, fail.
func (f *FS) SwitchOff(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = f.calls + n
}

// Kill ends the process that uses the files: all that was written is there, locks
// and open files are gone.
func (f *FS) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life++
	f.off = 0
	f.locks = map[string]*lock{}
}

// PowerCut is Kill by loss of power: what was not synced may be lost, in part.
func (f *FS) PowerCut(rng *rand.Rand) {
	f.Kill()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boot++
	keep := f.names.durable
	if n := len(f.names.ops) - keep; n > 0 {
		keep += rng.IntN(n + 1)
	}
	top := f.names.base
	for _, op := range f.names.ops[:keep] {
		f.apply(top, op, false)
	}
	f.top = top
	f.tear(top, rng)
	f.names.settle(f)
	f.recount()
}

// tear leaves of each file what the power cut left.
func (f *FS) tear(n *node, rng *rand.Rand) {
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		f.tear(n.entries[name], rng)
	}
	if n.kind != storage.Regular {
		return
	}
	pending := n.pending
	n.data = slices.Clone(n.durable)
	for _, c := range pending {
		switch {
		case rng.IntN(3) == 0: // lost
		case c.data == nil:
			n.data = resize(n.data, c.off)
		case rng.IntN(4) == 0:
			n.put(c.data[:len(c.data)*rng.IntN(3)/3/512*512], c.off)
		default:
			n.put(c.data, c.off)
		}
	}
	n.settle()
}

// recount finds out how full each device is.
func (f *FS) recount() {
	for _, d := range f.disks {
		d.Used = 0
	}
	var walk func(n *node)
	walk = func(n *node) {
		if n.kind == storage.Regular && n.disk != nil {
			n.pages = nil
			n.take(0, int64(len(n.data)))
		}
		for _, e := range n.entries {
			walk(e)
		}
	}
	walk(f.top)
}

// Off reports whether the machine has been switched off by SwitchOff.
func (f *FS) Off() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off > 0 && f.calls >= f.off
}
