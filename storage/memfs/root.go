package memfs

import (
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/shoal-bt/shoal/storage"
)

// root is an open folder.
type root struct {
	fs   *FS
	dir  string
	node *node
	life int
}

// enter locks the file system for a call about a name; the caller unlocks it.
func (r *root) enter(op, name string) (p string, err error) {
	r.fs.mu.Lock()
	if !fs.ValidPath(name) {
		return "", pathErr(op, name, fs.ErrInvalid)
	}
	if r.life != r.fs.life {
		return "", ErrOff
	}
	p = path.Join(r.dir, name)
	if err := r.fs.enter(op, p, 0, 0); err != nil {
		return "", err
	}
	if r.fs.find(r.dir) != r.node {
		return "", pathErr(op, p, fs.ErrNotExist)
	}
	return p, nil
}

func (r *root) OpenFile(name string, how storage.How) (storage.File, error) {
	p, err := r.enter("open", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return nil, err
	}
	n := r.fs.find(p)
	switch {
	case n == nil && (how == storage.ReadOnly || how == storage.ReadWrite):
		return nil, pathErr("open", p, fs.ErrNotExist)
	case n == nil:
		if parent := r.fs.find(path.Dir(p)); parent == nil || parent.kind != storage.Folder {
			return nil, pathErr("open", p, fs.ErrNotExist)
		}
		n = r.fs.newFile(p)
		r.fs.names.link(r.fs, p, n)
	case n.kind != storage.Regular:
		return nil, pathErr("open", p, syscall.EISDIR)
	}
	file := &file{fs: r.fs, node: n, path: p, life: r.fs.life, writable: how != storage.ReadOnly}
	if how == storage.Replace {
		n.free(0)
		n.truncate(0)
	}
	return file, nil
}

func (r *root) Stat(name string) (storage.Info, error) {
	p, err := r.enter("stat", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return storage.Info{}, err
	}
	n := r.fs.find(p)
	if n == nil {
		return storage.Info{}, pathErr("stat", p, fs.ErrNotExist)
	}
	return n.info(), nil
}

func (n *node) info() storage.Info {
	return storage.Info{Size: int64(len(n.data)), MTime: n.mtime, Kind: n.kind, Links: n.links}
}

func (r *root) MkdirAll(name string) error {
	p, err := r.enter("mkdir", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	return r.fs.mkdirAll(p)
}

func (r *root) Remove(name string) error {
	p, err := r.enter("remove", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	n := r.fs.find(p)
	switch {
	case n == nil:
		return pathErr("remove", p, fs.ErrNotExist)
	case len(n.entries) > 0:
		return pathErr("remove", p, syscall.ENOTEMPTY)
	}
	r.fs.names.unlink(r.fs, p)
	return nil
}

func (r *root) MoveTo(name string, to storage.Root, toName string) error {
	p, err := r.enter("rename", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	dst, ok := to.(*root)
	if !ok || !fs.ValidPath(toName) {
		return pathErr("rename", toName, fs.ErrInvalid)
	}
	q := path.Join(dst.dir, toName)
	n, parent := r.fs.find(p), r.fs.find(path.Dir(q))
	switch {
	case n == nil, parent == nil, parent.kind != storage.Folder:
		return pathErr("rename", p, fs.ErrNotExist)
	case r.fs.diskOf(p) != r.fs.diskOf(q):
		return storage.ErrCrossDevice
	}
	if p != q {
		r.fs.names.rename(r.fs, p, q)
	}
	return nil
}

func (r *root) Symlink(target, name string) error {
	p, err := r.enter("symlink", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	if r.fs.find(p) != nil {
		return pathErr("symlink", p, fs.ErrExist)
	}
	r.fs.names.link(r.fs, p, &node{kind: storage.Symlink, target: target, links: 1})
	return nil
}

func (r *root) SetExec(name string) error {
	p, err := r.enter("chmod", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	n := r.fs.find(p)
	if n == nil {
		return pathErr("chmod", p, fs.ErrNotExist)
	}
	n.exec = true
	return nil
}

func (r *root) SyncDir(name string) error {
	p, err := r.enter("syncdir", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return err
	}
	r.fs.names.sync(r.fs, p)
	return nil
}

func (r *root) Present() error {
	r.fs.mu.Lock()
	defer r.fs.mu.Unlock()
	if r.fs.find(r.dir) != r.node {
		return pathErr("open", r.dir, fs.ErrNotExist)
	}
	return nil
}

func (r *root) Close() error { return nil }

// lock is who holds a lock: one exclusively, or several.
type lock struct {
	exclusive bool
	holders   int
}

type held struct {
	fs   *FS
	path string
	life int
	done bool
}

func (r *root) Lock(name string, exclusive bool) (io.Closer, error) {
	p, err := r.enter("lock", name)
	defer r.fs.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if r.fs.find(p) == nil {
		r.fs.names.link(r.fs, p, &node{kind: storage.Regular, links: 1})
	}
	l := r.fs.locks[p]
	if l == nil {
		l = &lock{}
		r.fs.locks[p] = l
	}
	if l.holders > 0 && (exclusive || l.exclusive) {
		return nil, storage.ErrLocked
	}
	l.holders++
	l.exclusive = exclusive
	return &held{fs: r.fs, path: p, life: r.fs.life}, nil
}

func (h *held) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if !h.done && h.life == h.fs.life {
		h.done = true
		h.fs.locks[h.path].holders--
	}
	return nil
}
