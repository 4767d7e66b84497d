//pump: around copying files a part at a time.

package storage

import "slices"

// copier copies files to another folder, a part at a time.
type copier struct {
	s     *store
	to    Root
	dir   string
	files []placeName
	only  int32       // the one file that is copied because it is complete; -1: a move
	again []stretch   // payload to be copied once more
	late  []placeName // files that were made since files were listed

	at  int   // in files
	off int64 // in that file
	out File
}

// copyOut makes a copier of one complete file.
func (s *store) copyOut(to Root, i int32) *copier {
	return &copier{s: s, to: to, files: []placeName{{i, s.name(i)}}, only: i}
}

// copySuffix is on the name of a copy until all of it is there. A move needs none:
// the state file says that it is under way.
const copySuffix = ".shoal-copy"

// target is the name under which a file is copied.
func (c *copier) target(name string) string {
	if c.only >= 0 {
		return name + copySuffix
	}
	return name
}

func (k *copyTask) run(d *Disk) {
	if k.err = k.store.begin(); k.err != nil {
		return
	}
	k.done, k.err = k.copier.step(d, copyBytes)
	if k.err != nil {
		k.err = &Error{"copy to", k.copier.dir, k.err}
	}
}

// step copies about n bytes and reports whether all is copied.
func (c *copier) step(d *Disk, n int64) (done bool, err error) {
	sc := d.getScratch()
	defer d.putScratch(sc)
	for n > 0 {
		switch {
		case c.at < len(c.files):
			m, err := c.copySome(sc)
			if err != nil {
				return false, err
			}
			n -= m
		case len(c.again) > 0:
			if err := c.copyAgain(sc, c.again[0]); err != nil {
				return false, err
			}
			n -= c.again[0].n
			c.again = c.again[1:]
		default:
			return true, nil
		}
	}
	return false, nil
}

// copySome copies the next part of the present file and returns its length.
func (c *copier) copySome(sc *scratch) (int64, error) {
	f := c.files[c.at]
	if f.file >= 0 && c.s.lay.files[f.file].Symlink() {
		c.at++
		return 1, c.copyLink(f)
	}
	h, err := c.source(f)
	if err != nil {
		return 0, err
	}
	defer c.s.disk.pool.put(h)
	info, err := h.Stat()
	if err != nil {
		return 0, err
	}
	if c.out == nil {
		if c.out, err = c.create(c.target(f.name), info.Size); err != nil {
			return 0, err
		}
	}
	from, err := h.NextData(c.off)
	if err != nil || from < c.off {
		from = c.off
	}
	c.off = min(from, info.Size)
	buf := sc.buffer(min(info.Size-c.off, scratchBytes))
	if len(buf) > 0 {
		err = copyPart(h, c.out, buf, c.off)
		c.off += int64(len(buf))
	}
	if err == nil && c.off >= info.Size {
		err = c.finishFile()
	}
	return int64(len(buf)) + 1, err
}

func (c *copier) source(f placeName) (*handle, error) {
	if f.file >= 0 && !c.s.lay.hasData(f.file) {
		return c.s.disk.pool.get(handleKey{c.s, f.file, false}, func() (File, error) {
			return c.s.root.OpenFile(f.name, ReadOnly)
		})
	}
	return c.s.open(f.file, false)
}

func copyPart(from, to File, buf []byte, off int64) error {
	if _, err := from.ReadV([][]byte{buf}, off); err != nil {
		return err
	}
	_, err := to.WriteV([][]byte{buf}, off)
	return err
}

func (c *copier) create(name string, size int64) (File, error) {
	c.s.mu.Lock()
	err := c.s.makeParent(c.to, name)
	c.s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f, err := c.to.OpenFile(name, Replace)
	if err == nil {
		if err = f.Truncate(size); err != nil {
			f.Close()
		}
	}
	return f, err
}

// finishFile makes the copy of a file durable and goes on to the next one.
func (c *copier) finishFile() error {
	err := c.out.Sync()
	if err2 := c.out.Close(); err == nil {
		err = err2
	}
	c.out = nil
	c.at, c.off = c.at+1, 0
	return err
}

func (c *copier) copyLink(f placeName) error {
	c.s.mu.Lock()
	err := c.s.makeParent(c.to, f.name)
	c.s.mu.Unlock()
	if err == nil {
		err = c.to.Symlink(c.s.lay.files[f.file].LinkText(), f.name)
	}
	return err
}

// copyAgain copies a stretch that was written after it may have been copied.
func (c *copier) copyAgain(sc *scratch, st stretch) error {
	type part struct {
		file  int32
		at, n int64
	}
	var parts []part // each reuses sc.spans, which reading does not
	err := c.s.each(sc, st.off, st.n, func(file int32, at, n int64) error {
		parts = append(parts, part{file, at, n})
		return nil
	})
	for _, p := range parts {
		if err == nil && c.copies(p.file) {
			err = c.copyRange(sc, p.file, p.at, p.n)
		}
	}
	return err
}

// copies reports whether a file is one of those that are copied.
func (c *copier) copies(i int32) bool {
	if i == partsFile {
		root, _ := c.s.parts()
		return root == c.s.root
	}
	root, _ := c.s.where(i)
	return c.s.lay.hasData(i) && root == c.s.root
}

func (c *copier) copyRange(sc *scratch, i int32, at, n int64) error {
	h, err := c.s.open(i, false)
	if err != nil {
		return err
	}
	defer c.s.disk.pool.put(h)
	_, name := c.s.parts()
	if i >= 0 {
		_, name = c.s.where(i)
	}
	c.s.mu.Lock()
	err = c.s.makeParent(c.to, name)
	c.s.mu.Unlock()
	if err != nil {
		return err
	}
	if f := (placeName{i, name}); !slices.Contains(c.files, f) && !slices.Contains(c.late, f) {
		c.late = append(c.late, f)
	}
	out, err := c.to.OpenFile(name, Create)
	if err != nil {
		return err
	}
	for n > 0 && err == nil {
		buf := sc.buffer(min(n, scratchBytes))
		err = copyPart(h, out, buf, at)
		at, n = at+int64(len(buf)), n-int64(len(buf))
	}
	if err == nil {
		err = out.Sync()
	}
	if err2 := out.Close(); err == nil {
		err = err2
	}
	return err
}
