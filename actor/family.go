package actor

import "slices"

// node is a place in a list of children or of watchers.
type node struct {
	prev, next *node
	cell       *Cell      // the child, or the one watched
	f          func(Exit) // tells parent, owner or watcher of its end; may be nil
}

// list is doubly linked, in the order of arrival, so that ends are told in an order
// that repeats.
type list struct {
	first, last *node
	n           int
}

func (l *list) add(k *node) {
	k.prev, k.next = l.last, nil
	if l.last != nil {
		l.last.next = k
	} else {
		l.first = k
	}
	l.last = k
	l.n++
}

func (l *list) remove(k *node) {
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		l.last = k.prev
	}
	k.prev, k.next = nil, nil
	l.n--
}

func (l *list) all() []*node {
	nodes := make([]*node, 0, l.n)
	for k := l.first; k != nil; k = k.next {
		nodes = append(nodes, k)
	}
	return nodes
}

// adopt adds a child; it reports false when the parent is already ending.
func (c *Cell) adopt(k *Cell) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending || c.state == dead {
		return false
	}
	c.kids.add(&k.kid)
	return true
}

// childGone runs on the child's turn, as its last act but one.
func (c *Cell) childGone(k *Cell) {
	c.mu.Lock()
	c.kids.remove(&k.kid)
	ready := c.ending && c.kids.n == 0 && c.readyLocked()
	c.mu.Unlock()
	if ready {
		c.world.Ready(c)
	}
}

// watch makes f be told of c's end: at once if c has ended, else on c's last turn.
func (c *Cell) watch(f func(Exit)) *node {
	w := &node{cell: c, f: f}
	c.mu.Lock()
	gone, why := c.state == dead, c.stopWhy
	if !gone {
		c.watchers.add(w)
	}
	c.mu.Unlock()
	if gone {
		f(Exit{Name: c.name, ID: c.id, Err: why})
	}
	return w
}

func (w *node) unwatch() {
	c := w.cell
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != dead {
		c.watchers.remove(w)
	}
}

func (w *node) over() bool { return w.cell.ended() }

// remember keeps a watch that the cell has set, so that it ends with the cell. The
// watches of those who have ended are forgotten when space runs out.
func (c *Cell) remember(w *node) {
	if len(c.watching) == cap(c.watching) {
		c.watching = slices.DeleteFunc(c.watching, (*node).over)
		c.watching = slices.Grow(c.watching, 1+len(c.watching))
	}
	c.watching = append(c.watching, w)
}

// beginEnd closes the mailbox, stops the children and reports whether there are none.
func (c *Cell) beginEnd() (childless bool) {
	c.mu.Lock()
	drop := c.body.closeLocked()
	c.ending = true
	kids := c.kids.all()
	c.mu.Unlock()
	drop()
	for _, k := range kids {
		k.cell.stop(nil)
	}
	return len(kids) == 0
}

// finish ends the cell and tells everybody who wants to know.
func (c *Cell) finish(why error) {
	for _, w := range c.watching {
		w.unwatch()
	}
	c.watching = nil
	c.mu.Lock()
	c.state, c.stopWhy = dead, why
	told := c.watchers.all()
	c.watchers = list{}
	c.mu.Unlock()
	e := Exit{Name: c.name, ID: c.id, Err: why}
	for _, w := range append(told, &c.kid) {
		if w.f != nil {
			c.guard(func() { w.f(e) })
		}
	}
	if c.up != nil {
		c.up.childGone(c)
	}
	c.world.Gone(c)
}
