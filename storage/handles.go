//pump: around open files.

package storage

import (
	"errors"
	"sync"
)

// handles keeps files open, those used last, up to a bound. Files in use are not
// closed, so the bound may be passed by the number of workers.
type handles struct {
	mu   sync.Mutex
	max  int
	open map[handleKey]*handle
	// newest and oldest are the ends of a list in the order of use.
	newest, oldest *handle
}

// handleKey names an open file: of which torrent, which file, and whether for
// writing.
type handleKey struct {
	s     *store
	file  int32
	write bool
}

// Files of a torrent that are not payload.
const (
	partsFile = -1
	stateFile = -2
)

type handle struct {
	File
	key        handleKey
	refs       int
	gone       bool // not in the pool any more: closed by its last user
	prev, next *handle
}

func newHandles(limit int) handles { return handles{max: limit, open: map[handleKey]*handle{}} }

// get returns an open file, opened by f if need be. A file open for writing also
// serves readers.
func (p *handles) get(key handleKey, f func() (File, error)) (*handle, error) {
	if h := p.find(key); h != nil {
		return h, nil
	}
	file, err := f()
	if tooMany(err) {
		p.shrink(0)
		file, err = f()
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	if h := p.findLocked(key); h != nil { // somebody else was faster
		p.mu.Unlock()
		file.Close() // unused
		return h, nil
	}
	h := &handle{File: file, key: key, refs: 1}
	p.open[key] = h
	p.pushLocked(h)
	p.mu.Unlock()
	p.shrink(p.max)
	return h, nil
}

func (p *handles) find(key handleKey) *handle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.findLocked(key)
}

func (p *handles) findLocked(key handleKey) *handle {
	h := p.open[key]
	if h == nil && !key.write {
		key.write = true
		h = p.open[key]
	}
	if h == nil {
		return nil
	}
	h.refs++
	p.unlinkLocked(h)
	p.pushLocked(h)
	return h
}

// put ends a use.
func (p *handles) put(h *handle) {
	p.mu.Lock()
	h.refs--
	last := h.gone && h.refs == 0
	p.mu.Unlock()
	if last {
		h.end()
	}
}

// end closes a file that nobody has asked to be closed. An error may be the only word
// of writes that never reached the disk: the next sync of the file fails with it.
func (h *handle) end() {
	if err := h.Close(); err != nil && h.key.write && h.key.s != nil {
		h.key.s.ail(h.key.file, err)
	}
}

// shrink closes files that are not in use, oldest first, down to n.
func (p *handles) shrink(n int) {
	var closing []*handle
	p.mu.Lock()
	for h := p.oldest; h != nil && len(p.open) > n; {
		next := h.next
		if h.refs == 0 {
			p.removeLocked(h)
			closing = append(closing, h)
		}
		h = next
	}
	p.mu.Unlock()
	for _, h := range closing {
		h.end()
	}
}

// forget closes a torrent's files that match; those in use when they are given back.
func (p *handles) forget(s *store, match func(file int32) bool) error {
	var closing []*handle
	p.mu.Lock()
	for key, h := range p.open {
		if key.s == s && match(key.file) {
			p.removeLocked(h)
			if h.refs == 0 {
				closing = append(closing, h)
			} else {
				h.gone = true
			}
		}
	}
	p.mu.Unlock()
	var errs []error
	for _, h := range closing {
		err := h.Close()
		if err != nil && h.key.write {
			s.ail(h.key.file, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (p *handles) closeAll() error {
	p.mu.Lock()
	open := p.open
	p.open, p.newest, p.oldest = map[handleKey]*handle{}, nil, nil
	p.mu.Unlock()
	var errs []error
	for _, h := range open {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// pushLocked puts h at the newest end: next points to what is newer.
func (p *handles) pushLocked(h *handle) {
	h.prev, h.next = p.newest, nil
	if p.newest != nil {
		p.newest.next = h
	} else {
		p.oldest = h
	}
	p.newest = h
}

func (p *handles) unlinkLocked(h *handle) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		p.oldest = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		p.newest = h.prev
	}
	h.prev, h.next = nil, nil
}

func (p *handles) removeLocked(h *handle) {
	delete(p.open, h.key)
	p.unlinkLocked(h)
}
