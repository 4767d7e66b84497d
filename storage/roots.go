//pump: around folders that torrents share.

package storage

import (
	"errors"
	"path/filepath"
)

// sharedRoot is a folder that is open once, however many torrents lie in it: ten
// thousand torrents in one folder take one descriptor.
type sharedRoot struct {
	Root
	disk *Disk
	dir  string
	refs int // under disk.mu
}

// openRoot opens a folder, or shares it if it is open. A folder that has taken the
// place of one that is open is opened anew.
func (d *Disk) openRoot(dir string, create bool) (Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.roots[dir]; r != nil && r.Present() == nil {
		r.refs++
		return r, nil
	}
	open := d.fs.OpenRoot
	if create {
		open = d.fs.MakeRoot
	}
	root, err := open(dir)
	if err != nil {
		return nil, err
	}
	r := &sharedRoot{Root: root, disk: d, dir: dir, refs: 1}
	d.roots[dir] = r
	return r, nil
}

// MoveTo implements Root.
func (r *sharedRoot) MoveTo(name string, to Root, toName string) error {
	if s, ok := to.(*sharedRoot); ok {
		to = s.Root
	}
	return r.Root.MoveTo(name, to, toName)
}

// Close ends one use.
func (r *sharedRoot) Close() error {
	d := r.disk
	d.mu.Lock()
	r.refs--
	last := r.refs == 0
	if last && d.roots[r.dir] == r {
		delete(d.roots, r.dir)
	}
	d.mu.Unlock()
	if last {
		return r.Root.Close()
	}
	return nil
}

// closeRoots closes what is left at the end.
func (d *Disk) closeRoots() error {
	var errs []error
	for _, r := range d.roots {
		errs = append(errs, r.Root.Close())
	}
	clear(d.roots)
	return errors.Join(errs...)
}
