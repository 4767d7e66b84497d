package actor

// Child is what a parent holds of an actor that it has made.
type Child[M any] struct {
	Ref   Ref[M]
	Inlet Inlet[M] // for the pumps that the parent starts for it
	c     *Cell
}

// Stop asks the child to end; its Exit follows. It goes ahead of the child's mail.
func (h Child[M]) Stop(why error) {
	if h.c != nil {
		h.c.stop(why)
	}
}

// IsZero reports whether there is no child.
func (h Child[M]) IsZero() bool { return h.c == nil }

// Spawn makes an actor whose parent is the caller. When it ends, for whatever
// reason, down's message reaches the parent, once; its place needs no window. With
// a nil down nothing does. The child ends with its parent, before it.
func Spawn[P, M any](c *Ctx[P], s Spec, a Actor[M], down func(Exit) P) Child[M] {
	parent := c.p
	p := newProc(parent.world, s, a)
	p.up = &parent.Cell
	if down != nil {
		p.kid.f = func(e Exit) { parent.exited(down(e)) }
	}
	if !parent.adopt(&p.Cell) {
		panic("actor: Spawn by an actor that is ending")
	}
	return start(p)
}

// Root makes an actor without a parent. exit, which may be nil, is called once, on
// the actor's last turn; it must not wait.
func Root[M any](w World, s Spec, a Actor[M], exit func(Exit)) Child[M] {
	p := newProc(w, s, a)
	p.kid.f = exit
	return start(p)
}

func start[M any](p *proc[M]) Child[M] {
	p.id = p.world.Born(&p.Cell)
	p.world.Ready(&p.Cell)
	return Child[M]{Ref: Ref[M]{p}, Inlet: Inlet[M]{p}, c: &p.Cell}
}

// Watch makes down's message reach the caller when the actor behind ref ends; at
// once if it has ended already, or if ref addresses nothing. Whoever holds a window
// towards an actor that is not its child watches it. What is no actor never ends.
func Watch[P, M any](c *Ctx[P], ref Ref[M], down func(Exit) P) {
	self := c.p
	if ref.to == nil {
		self.exited(down(Exit{Err: ErrStopped}))
		return
	}
	if cell := ref.to.cell(); cell != nil {
		self.remember(cell.watch(func(e Exit) { self.exited(down(e)) }))
	}
}
